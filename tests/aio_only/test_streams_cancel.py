"""What a cancel may not do to streams: lose bytes, leave sockets open, be swallowed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from threading import Event
from typing import Any

import pytest

from pool.aio import Stream, TcpConnectionManager, UnixConnectionManager
from support.aio_net import until
from support.certs import client_context, server_context
from support.servers import Peer, Server, full_server, wait_readable

LIMIT = 20.0


@pytest.fixture(params=["tcp", "tls"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Stream, Peer]]:
    encrypted = request.param == "tls"
    with Server(tls=server_context() if encrypted else None) as server:
        manager = TcpConnectionManager(ssl=client_context() if encrypted else None)
        async with await manager.create(server.endpoint, LIMIT) as stream:
            yield stream, server.accept()


async def turn(count: int) -> None:
    """Let everything else run that many times."""
    for _ in range(count):
        await asyncio.sleep(0)


async def cancelled(task: "asyncio.Task[Any]") -> bool:
    """Cancel a task and return whether it ended so."""
    task.cancel()
    await asyncio.wait([task])
    return task.cancelled()


@pytest.mark.parametrize("steps", range(8))
async def test_no_byte_is_lost(pair: tuple[Stream, Peer], steps: int) -> None:
    """A receive that is cancelled at any step, data there or not, loses nothing."""
    stream, peer = pair
    task = asyncio.create_task(stream.receive_exactly(4))
    await until(lambda: "receiving" in repr(stream))
    await turn(3)
    peer.send(b"abcd")
    wait_readable(stream.raw)
    await turn(steps)
    if not await cancelled(task):
        assert task.result() == b"abcd"
        peer.send(b"abcd")
    assert await stream.receive_until(b"d", 10, timeout=LIMIT) == b"abcd"
    assert stream.is_alive()


async def test_what_had_come_is_kept(pair: tuple[Stream, Peer]) -> None:
    """What a cancelled receive had already taken is given to the next."""
    stream, peer = pair
    peer.send(b"abc")
    task = asyncio.create_task(stream.receive_exactly(6))
    await until(lambda: "3 bytes buffered" in repr(stream))
    assert await cancelled(task)
    peer.send(b"def")
    assert await stream.receive_exactly(6) == b"abcdef"


async def test_a_timeout_block_is_a_cancel(pair: tuple[Stream, Peer]) -> None:
    """``asyncio.timeout`` works around a receive."""
    stream, peer = pair
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await stream.receive()
    peer.send(b"x")
    assert await stream.receive() == b"x"


async def test_a_cancelled_send_ends_sending(pair: tuple[Stream, Peer]) -> None:
    """Nobody knows how much of it was sent: nothing may follow."""
    stream, _ = pair
    task = asyncio.create_task(stream.send(bytes(64 * 2**20)))
    await until(lambda: "sending" in repr(stream))
    assert await cancelled(task)
    assert not stream.is_alive()
    with pytest.raises(BrokenPipeError, match="ended early"):
        await stream.send(b"more")


async def test_cancel_a_receiver_under_a_sender(pair: tuple[Stream, Peer]) -> None:
    """Cancelling one direction leaves the other alone."""
    stream, peer = pair
    data = bytes(8 * 2**20)
    sending = asyncio.create_task(stream.send(data))
    receiving = asyncio.create_task(stream.receive())
    await until(lambda: "receiving, sending" in repr(stream))
    assert await cancelled(receiving)
    assert await asyncio.to_thread(peer.receive, len(data)) == data
    await sending


async def test_a_fast_peer_does_not_keep_the_loop(pair: tuple[Stream, Peer]) -> None:
    """Others run although a stream always finds data."""
    stream, peer = pair
    data = bytes(4 * 2**20)
    sending = asyncio.create_task(asyncio.to_thread(peer.send, data))
    others = 0

    async def count() -> None:
        nonlocal others
        while True:
            others += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    for _ in range(len(data) // 1024):
        await stream.receive_exactly(1024)
    assert others >= len(data) // 65536 // 20
    await cancelled(counting)
    await sending


# --- Connecting ---


async def test_cancel_while_connecting() -> None:
    """No socket is left: a ``ResourceWarning`` would fail the test."""
    manager = TcpConnectionManager()
    with full_server() as silent:
        task = asyncio.create_task(manager.create(silent.getsockname(), None))
        await turn(3)
        assert await cancelled(task)


@pytest.mark.parametrize("steps", range(6))
async def test_cancel_at_every_step(steps: int) -> None:
    """Whenever it is cancelled, the connection is either the caller's or closed."""
    manager = TcpConnectionManager(ssl=client_context())
    with Server(tls=server_context()) as server:
        task = asyncio.create_task(manager.create(server.endpoint, LIMIT))
        await turn(steps)
        if not await cancelled(task):
            await task.result().close()


async def test_cancel_in_the_tls_handshake() -> None:
    """The server sees the end at once."""
    manager = TcpConnectionManager(ssl=client_context())
    with Server() as server:
        task = asyncio.create_task(manager.create(server.endpoint, None))
        peer = await asyncio.to_thread(server.accept)
        assert await asyncio.to_thread(peer.receive, 5)
        assert await cancelled(task)
        assert peer.ending() == "end"


async def test_cancel_while_looking_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver's thread ends when it likes; the caller does not wait for it."""
    asked, answer = Event(), Event()
    resolve = socket.getaddrinfo

    def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        if not kwargs["flags"]:
            asked.set()
            answer.wait(LIMIT)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    task = asyncio.create_task(TcpConnectionManager().create(("localhost", 1), None))
    try:
        assert await asyncio.to_thread(asked.wait, LIMIT)
        assert await cancelled(task)
    finally:
        answer.set()


async def test_cancel_in_a_full_queue(tmp_path: Any) -> None:
    """Whoever waits for a place in a Unix server's queue can be cancelled."""
    with full_server(tmp_path / "socket"):
        task = asyncio.create_task(UnixConnectionManager().create(tmp_path / "socket", None))
        await turn(3)
        assert await cancelled(task)


async def test_interrupting_an_endpoint_breaks_its_connects() -> None:
    """The async pool cancels them, but the manager alone breaks them as well."""
    manager = TcpConnectionManager(ssl=client_context())
    with Server() as server:
        task = asyncio.create_task(manager.create(server.endpoint, None))
        peer = await asyncio.to_thread(server.accept)
        assert await asyncio.to_thread(peer.receive, 5)
        manager.interrupt(server.endpoint, None)
        with pytest.raises(ConnectionAbortedError, match="was interrupted"):
            await task


async def test_one_stream_in_two_loops() -> None:
    """A stream belongs to no loop: nothing of it stays in one while nobody waits."""
    manager = TcpConnectionManager()

    async def ask(stream: Stream) -> bytes:
        await stream.send(b"x\n")
        return await stream.receive_until(b"\n", 5)

    def elsewhere(stream: Stream) -> bytes:
        return asyncio.run(ask(stream))

    with Server(Peer.echo) as server:
        async with await manager.create(server.endpoint, LIMIT) as stream:
            assert await ask(stream) == b"x\n"
            assert await asyncio.to_thread(elsewhere, stream) == b"x\n"
            assert await ask(stream) == b"x\n"


def test_a_loop_that_cannot_watch_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told what kind of loop is needed, and no socket is left."""

    async def connect(endpoint: tuple[str, int]) -> None:
        def refuse(*_: object) -> None:
            raise NotImplementedError

        monkeypatch.setattr(asyncio.get_running_loop(), "add_writer", refuse)
        await TcpConnectionManager().create(endpoint, LIMIT)

    with Server() as server, pytest.raises(RuntimeError, match="need an event loop that watches"):
        asyncio.run(connect(server.endpoint))
