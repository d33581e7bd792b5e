"""A cancellation, at every step of what a pool of WebSockets does: nothing leaks, nothing is shared."""

import asyncio
import gc
import os
import stat
import subprocess
import sys
from collections.abc import Awaitable
from typing import Any

import pytest
from aio_only.steps import AT_ONCE, Stepped, ended
from websockets.exceptions import ConnectionClosedError

from pool.aio.websockets import WebSocket, WebSocketPool
from support.aio_net import until
from support.certs import client_context, server_context
from support.forks import FORKS, child
from support.websocket_servers import WebSocketServer

LIMIT = 10.0


async def everything(pool: WebSocketPool) -> None:
    """Connect, send, receive, ping, release; and once more, on the same connection or another."""
    for number in range(2):
        async with pool.connection("/", LIMIT) as ws:
            await ws.send(f"{number}" * 50_000)
            assert await ws.recv(LIMIT) == f"{number}" * 50_000
            await ws.ping(LIMIT)
            ws.subscriptions.add(number)


async def reset(ws: WebSocket) -> bool:
    await ws.send("!raw bye")
    return bool(await ws.recv(LIMIT) == "bye")


@pytest.mark.parametrize("with_reset", [False, True])
@pytest.mark.parametrize("tls", [False, True])
async def test_cancel_at_every_step(tls: bool, with_reset: bool) -> None:
    """Whichever step it is: the counts come back, the server sees the ends, the next caller is served."""
    context = client_context()
    with WebSocketServer(tls=server_context() if tls else None) as server:
        for strike in range(200):
            pool = WebSocketPool(
                server.uri, ssl=context, ping_after=0, reset=reset if with_reset else None
            )
            call = Stepped(everything(pool), {strike}, AT_ONCE)

            async def run(call: Stepped[None] = call) -> None:
                await call

            task = await ended(asyncio.ensure_future(run()))
            # A cancel is never swallowed, and nothing else comes of it.
            assert task.cancelled() == (strike < call.steps)
            assert task.cancelled() or task.exception() is None
            async with pool.connection("/", LIMIT) as ws:
                await ws.send("mine")
                assert await ws.recv(LIMIT) == "mine"
            await pool.close()
            await until(lambda pool=pool: pool.stats().total == 0)  # type: ignore[misc]
            if not task.cancelled():
                break
        else:
            raise AssertionError("it has no end")
        assert strike > 8
        await until(lambda: not server.peers)


async def test_cancelled_recv_loses_nothing() -> None:
    """The next recv gets what the cancelled one would have got."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool, pool.connection("/", LIMIT) as ws:
            got: list[str] = []
            await ws.send("!flood 200 10")
            while len(got) < 200:
                task = asyncio.ensure_future(ws.recv())
                await asyncio.sleep(0)
                if len(got) % 2:
                    task.cancel()
                await asyncio.wait([task])
                if not task.cancelled():
                    got.append(task.result())
                else:
                    got.append(await ws.recv(LIMIT))
            assert [int(text.split()[0]) for text in got] == list(range(200))


@pytest.mark.parametrize("what", ["recv", "ping"])
async def test_cancelled_body(what: str) -> None:
    """A body that was cancelled closes its connection: an answer may be on its way."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:

            async def use() -> None:
                async with pool.connection("/", LIMIT) as ws:
                    await ws.send("!stop")
                    if what == "ping":
                        await ws.ping()
                    await ws.recv()

            task = asyncio.ensure_future(use())
            await until(lambda: server.got == ["!stop"])
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.go_on.set()
            await until(lambda: pool.stats().total == 0)
            async with pool.connection("/", LIMIT):
                assert server.opened == 2
                assert pool.stats().reconnects == 1


async def test_cancelled_connect() -> None:
    """Its place is free for the next, its server sees the end."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, max_size=1) as pool:
            task: Awaitable[Any] = asyncio.ensure_future(pool.acquire("/stuck"))
            await until(lambda: server.paths == ["/stuck"])
            assert isinstance(task, asyncio.Future)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert pool.stats("/stuck").total == 0
            server.go_on.set()
            async with pool.connection("/stuck", LIMIT) as ws:
                await ws.send("x")
                assert await ws.recv(LIMIT) == "x"


async def test_busy_loop() -> None:
    """What has come while the loop had no time is seen by the very next acquire."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            for kind in ("late", b"late", "x" * 100_000):
                async with pool.connection("/", LIMIT) as ws:
                    pass
                server.say(kind)
                # The loop has not had a turn since.
                async with pool.connection("/", LIMIT) as again:
                    assert again is not ws
                    with pytest.raises(TimeoutError):
                        await again.recv(0.01)


async def test_a_line_that_ends_during_a_ping() -> None:
    """The ping fails with the library's error at once, not when its time is up."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool, pool.connection("/", LIMIT) as ws:
            await ws.send("!quiet")
            await until(lambda: server.got == ["!quiet"])
            (peer,) = server.all()
            with peer.protocol_mutex:
                task = asyncio.ensure_future(ws.ping())
                await asyncio.sleep(0.01)
            ws._line.interrupt()
            try:
                await task
            except ConnectionClosedError:
                assert ws.latency is None


@pytest.mark.filterwarnings(FORKS)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.parametrize("tls", [False, True])
async def test_fork(tls: bool) -> None:
    """The child begins empty; what it does to the parent's connection leads to nowhere."""
    with WebSocketServer(tls=server_context() if tls else None) as server:
        async with WebSocketPool(server.uri, ssl=client_context()) as pool:
            async with pool.connection("/", LIMIT) as ws:
                pass

            def use() -> int:
                transport = ws._line._conn.transport
                # Neither of its descriptors is the connection any more.
                for sock in (transport.get_extra_info("socket"), ws._line._channel.sock):
                    assert not stat.S_ISSOCK(os.fstat(sock.fileno()).st_mode)
                ws._line._channel.interrupt()
                gc.collect()
                return pool.stats().total

            assert child(use) == 0
            async with pool.connection("/", LIMIT) as again:
                assert again is ws
                await again.send("parent")
                assert await again.recv(LIMIT) == "parent"


def test_a_loop_that_ends_with_a_pool() -> None:
    """A program that never closes its pool ends, and writes nothing."""
    code = """
import asyncio
from aio_only.steps import AT_ONCE, Stepped, ended
from pool.aio.websockets import WebSocketPool
from support.forks import FORKS, child
from support.websocket_servers import WebSocketServer
async def main():
    pool = WebSocketPool(server.uri)
    async with pool.connection("/") as ws:
        await ws.send("x")
        print(await ws.recv())
with WebSocketServer() as server:
    asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "x\n", "")
