"""A pool of WebSockets on bad days: limits, lines that break, closing, breaking."""

import time
import tracemalloc
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, ConnectionClosedOK

from pool.aio.websockets import WebSocketManager, WebSocketPool
from pool.errors import PoolTimeoutError
from pool.testing import ChaosProxy
from support.aio_net import start, until
from support.certs import client_context, server_context
from support.websocket_servers import WebSocketServer

LIMIT = 10.0
"""Seconds that no test needs."""


# --- Limits ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["!bomb 100000000", "!flood 1 1001", "!raw " + "x" * 996])
async def test_message_too_big(command: str) -> None:
    """It ends the connection, also if it is small until it is unpacked: then memory stays small."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, max_message_size=1000) as pool:
            async with pool.connection("/", LIMIT) as ws:
                await ws.send("!quiet")
                await until(lambda: server.got == ["!quiet"])
                tracemalloc.start()
                try:
                    await ws.send(command)
                    if command.startswith("!raw"):
                        assert await ws.recv(LIMIT) == "x" * 996
                        await ws.send("y" * 1001)
                    with pytest.raises(ConnectionClosedError) as caught:
                        await ws.recv(LIMIT)
                    peak = tracemalloc.get_traced_memory()[1]
                finally:
                    tracemalloc.stop()
                assert caught.value.sent
                assert caught.value.sent.code == 1009
                assert peak < 10_000_000
            assert pool.stats().total == 0
        await until(lambda: server.codes == [1009])


async def test_fragments_without_end() -> None:
    """A message in pieces without end ends the connection, although the pieces are empty."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, compression=None) as pool:

            async def use() -> None:
                async with pool.connection("/", LIMIT) as ws:
                    (peer,) = server.all()
                    peer.socket.sendall(b"\x01\x00" + b"\x00\x00" * 5000)
                    await ws.recv(LIMIT)

            with pytest.raises(ConnectionClosedError) as caught:
                await use()
            assert caught.value.sent
            assert caught.value.sent.code == 1002
            assert caught.value.sent.reason == "more than 4096 fragments of a message"


async def test_many_that_inflate() -> None:
    """Nor does a queue get too large by messages that are small until they are unpacked."""
    count, size = 200, 1_000_000
    with WebSocketServer() as server:
        async with (
            WebSocketPool(server.uri, max_queue=4) as pool,
            pool.connection("/", LIMIT) as ws,
        ):
            await ws.send(f"!bomb {size} {count}")
            tracemalloc.start()
            try:
                for _ in range(count):
                    assert len(await ws.recv(LIMIT)) == size
                peak = tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()
            assert peak < 60_000_000
            await ws.send("x")
            assert await ws.recv(LIMIT) == "x"


async def standstill(server: WebSocketServer) -> None:
    """Wait until the server sends no more: both kernels' buffers are full."""
    sent = -1
    while sent != server.sent:
        sent = server.sent
        end = time.monotonic() + 0.1
        await until(lambda end=end: time.monotonic() > end)  # type: ignore[misc]


@pytest.mark.parametrize("tls", [False, True])
async def test_slow_reader(tls: bool) -> None:
    """Who does not read makes the server wait: little is kept here, and nothing is lost."""
    count, size = 3000, 10_000
    with WebSocketServer(tls=server_context() if tls else None) as server:
        async with WebSocketPool(
            server.uri, max_queue=4, compression=None, ssl=client_context()
        ) as pool:
            async with pool.connection("/", LIMIT) as ws:
                await ws.send(f"!flood {count} {size}")
                frames: Any = ws._line._conn.recv_messages.frames
                await until(lambda: ws._line._conn.recv_messages.paused)
                for number in range(count):
                    if number in (0, 10):
                        await standstill(server)
                        assert server.sent < count
                        # What was read at once may be more than the limit, but not much more.
                        kept = frames.qsize() if hasattr(frames, "qsize") else len(frames)
                        assert kept < 10
                    # A loop must not read on for itself; a thread does not.
                    conn: Any = ws._line._conn
                    if hasattr(conn, "transport"):
                        assert conn.transport.is_reading() != conn.recv_messages.paused
                    assert (await ws.recv(LIMIT)).startswith(f"{number} ")
            async with pool.connection("/", LIMIT) as again:
                assert again is ws


# --- Time --------------------------------------------------------------------------------------------------


async def test_handshake_in_time() -> None:
    """A server that accepts and says nothing costs as long as the acquire may take."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            with pytest.raises(PoolTimeoutError, match="phase: connect"):
                await pool.acquire("/stuck", 0.1)
            assert pool.stats().total == 0
            server.go_on.set()
            async with pool.connection("/", LIMIT):
                pass
        await until(lambda: not server.peers)


@pytest.mark.parametrize("tls", [False, True])
async def test_connect_in_time(tls: bool) -> None:
    """So does a line on which nothing comes back; ``connect_timeout`` alone is the connect's own error."""
    with (
        WebSocketServer(tls=server_context() if tls else None) as server,
        ChaosProxy(*server.address) as proxy,
    ):
        proxy.blackhole = True
        uri = f"{'wss' if tls else 'ws'}://127.0.0.1:{proxy.address[1]}/"
        context = client_context()
        async with WebSocketPool(uri, connect_timeout=0.1, ssl=context) as pool:
            with pytest.raises(
                TimeoutError, match=r"timed out \(0\.1 s\)|took longer than 0\.100 s"
            ):
                await pool.acquire("/", LIMIT)
            assert pool.stats().total == 0
        proxy.blackhole = False
        await until(lambda: proxy.connections == 0)


async def test_queue_in_time() -> None:
    """Who finds no free connection gets the pool's error, which says who has it."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, max_size=1) as pool, pool.connection("/", LIMIT):
            with pytest.raises(PoolTimeoutError, match="phase: queue") as caught:
                await pool.acquire("/", 0.01)
            assert "test_websockets_trouble.py" in str(caught.value)
            # Each URI has a pool of its own.
            async with pool.connection("/other", LIMIT):
                assert pool.stats().active == 2


async def test_half_open_while_idle() -> None:
    """A server that answers no ping is dead, and that takes 2 seconds at most."""
    with WebSocketServer() as server, ChaosProxy(*server.address) as proxy:
        host, port = proxy.address
        async with WebSocketPool(f"ws://{host}:{port}", ping_after=0, dispose_timeout=0.1) as pool:
            async with pool.connection("/", LIMIT) as ws:
                pass
            proxy.half_open = "down"
            with pytest.raises(PoolTimeoutError):
                await pool.acquire("/", 0.2)
            proxy.half_open = None
            async with pool.connection("/", LIMIT) as again:
                assert again is not ws


# --- Lines that break --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["reset", "close_connections"])
async def test_cut_in_use(how: str) -> None:
    """Who waits for a message gets the library's error; the next caller gets a new connection."""
    with WebSocketServer() as server, ChaosProxy(*server.address) as proxy:
        host, port = proxy.address
        async with WebSocketPool(f"ws://{host}:{port}") as pool:

            async def use() -> None:
                async with pool.connection("/", LIMIT) as ws:
                    await ws.send("!quiet")
                    await ws.recv(LIMIT)

            call = await start(use)
            await until(lambda: server.got == ["!quiet"])
            getattr(proxy, how)()
            with pytest.raises(ConnectionClosedError):
                await call.outcome()
            async with pool.connection("/", LIMIT) as ws:
                await ws.send("x")
                assert await ws.recv(LIMIT) == "x"
            stats = pool.stats()
            assert (stats.total, stats.idle, stats.reconnects) == (1, 1, 1)
        await until(lambda: len(server.codes) == 2)


async def test_goodbye_on_a_line_that_stays() -> None:
    """Whoever waits is freed some time after the server's goodbye, also if it never closes the line."""
    with WebSocketServer() as server, ChaosProxy(*server.address) as proxy:
        host, port = proxy.address
        async with (
            WebSocketPool(f"ws://{host}:{port}") as pool,
            pool.connection("/", LIMIT) as ws,
        ):
            conn: Any = ws._line._conn
            conn.close_timeout = 0.1
            # So that the server does not hear the answer.
            proxy.half_open = "up"
            (peer,) = server.all()
            peer.socket.sendall(b"\x88\x02\x03\xe8")
            with pytest.raises(ConnectionClosedOK):
                await ws.recv(LIMIT)
            assert ws.close_code == 1000


@pytest.mark.parametrize("how", ["reset", "close_connections"])
async def test_cut_while_idle(how: str) -> None:
    """A line that breaks while nobody uses it is noticed by the next caller, and costs him nothing."""
    with WebSocketServer() as server, ChaosProxy(*server.address) as proxy:
        host, port = proxy.address
        async with WebSocketPool(f"ws://{host}:{port}") as pool:
            async with pool.connection("/", LIMIT) as ws:
                pass
            getattr(proxy, how)()
            async with pool.connection("/", LIMIT) as again:
                await again.send("x")
                assert await again.recv(LIMIT) == "x"
                assert again is not ws
            assert pool.stats().reconnects == 1


async def test_slow_line() -> None:
    """A line that is slow is only slow."""
    with WebSocketServer() as server, ChaosProxy(*server.address) as proxy:
        proxy.latency = 0.02
        host, port = proxy.address
        async with WebSocketPool(f"ws://{host}:{port}") as pool, pool.connection("/", LIMIT) as ws:
            assert await ws.ping(LIMIT) >= 0.04
            await ws.send("x" * 100_000)
            assert await ws.recv(LIMIT) == "x" * 100_000


async def test_refused_line() -> None:
    """Nobody there is an OSError, and leaves nothing."""
    with WebSocketServer() as server:
        uri = server.uri
        server._server.socket.close()
        async with WebSocketPool(uri) as pool:
            with pytest.raises(OSError, match="refused"):
                await pool.acquire("/", LIMIT)
            assert pool.stats().total == 0


# --- Breaking and closing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tls", [False, True])
async def test_interrupt_a_recv(tls: bool) -> None:
    """A close that interrupts ends what is waited for; it is not the network that lost the connection."""
    with WebSocketServer(tls=server_context() if tls else None) as server:
        pool = WebSocketPool(server.uri, ssl=client_context())

        async def use() -> None:
            async with pool.connection("/", LIMIT) as ws:
                await ws.send("!quiet")
                await ws.recv()

        call = await start(use)
        await until(lambda: server.got == ["!quiet"])
        await pool.clear(interrupt_connections=True)
        with pytest.raises(ConnectionClosed):
            await call.outcome()
        async with pool.connection("/", LIMIT):
            assert pool.stats().reconnects == 0
        await pool.close()
        assert pool.stats().total == 0
        await until(lambda: len(server.codes) == 2)


async def test_interrupt_a_connect() -> None:
    """A manager breaks the connects to one URI, and no others."""
    with WebSocketServer() as server:
        manager = WebSocketManager()
        uri = f"{server.uri}stuck"
        one = await start(manager.create, uri, LIMIT)
        other = await start(manager.create, f"{uri}-too", LIMIT)
        await until(lambda: len(server.paths) == 2)
        manager.interrupt(uri, None)
        with pytest.raises(ConnectionAbortedError, match="was interrupted"):
            await one.outcome()
        server.go_on.set()
        ws = await other.outcome()
        await manager.dispose(ws.uri, ws, LIMIT)
        await until(lambda: not server.peers)


async def test_polite_close() -> None:
    """A pool that closes says goodbye, to all servers at a time where that is possible."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, max_size=3) as pool:
            leases = [await pool.acquire("/", LIMIT) for _ in range(3)]
            for lease in leases:
                await lease.release()
        assert pool.stats().total == 0
        await until(lambda: server.codes == [1000] * 3)


@pytest.mark.parametrize("tls", [False, True])
async def test_close_that_nobody_answers(tls: bool) -> None:
    """The goodbye may take ``dispose_timeout``, then the socket is cut."""
    with (
        WebSocketServer(tls=server_context() if tls else None) as server,
        ChaosProxy(*server.address) as proxy,
    ):
        uri = f"{'wss' if tls else 'ws'}://127.0.0.1:{proxy.address[1]}/"
        pool = WebSocketPool(uri, dispose_timeout=0.2, ssl=client_context())
        async with pool.connection("/", LIMIT):
            pass
        proxy.half_open = "down"
        started = time.monotonic()
        await pool.close()
        assert 0.1 < time.monotonic() - started < 2
        assert pool.stats().total == 0
        proxy.half_open = None
        await until(lambda: len(server.codes) == 1)


async def test_close_of_a_full_queue() -> None:
    """A connection whose queue is full can say goodbye all the same."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, max_queue=1, compression=None) as pool:
            started = time.monotonic()
            async with pool.connection("/", LIMIT) as ws:
                await ws.send("!flood 1000 10000")
                await until(lambda: ws._line._conn.recv_messages.paused)
            assert time.monotonic() - started < 3
            assert pool.stats().total == 0
        await until(lambda: server.codes == [1000])


async def test_close_of_half_a_message(caplog: pytest.LogCaptureFixture) -> None:
    """A connection says goodbye also if the beginning of a message in its queue is gone."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, max_queue=1, compression=None) as pool:
            async with pool.connection("/", LIMIT) as ws:
                (peer,) = server.all()
                peer.socket.sendall(b"\x01\x00" + b"\x00\x00" * 50)
                messages: Any = ws._line._conn.recv_messages
                await until(lambda: messages.paused)
                await messages.frames.get()
            assert pool.stats().total == 0
        await until(lambda: server.codes == [1000])
    assert not caplog.records
