"""Streams between two uses: which are alive, how they end, and what a pool makes of it."""

from collections.abc import AsyncIterator, Callable
from time import monotonic

import pytest

from pool.aio import ConnectionPool, Stream, TcpConnectionManager
from support.aio_net import start, until
from support.certs import client_context, server_context
from support.servers import Peer, Server, wait_readable

LIMIT = 20.0
"""Seconds that no test needs."""


# --- The idle check ---


@pytest.fixture(params=["tcp", "tls"])
async def idle(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Stream, Peer]]:
    """An idle stream on which both sides have said something, and the other end of it."""
    encrypted = request.param == "tls"
    with Server(tls=server_context() if encrypted else None) as server:
        manager = TcpConnectionManager(ssl=client_context() if encrypted else None)
        async with await manager.create(server.endpoint, LIMIT) as stream:
            peer = server.accept()
            peer.send(b"hello\n")
            assert await stream.receive_until(b"\n", 10) == b"hello\n"
            yield stream, peer


async def is_alive(stream: Stream) -> bool:
    """Ask as a pool does."""
    return await TcpConnectionManager().check_aliveness(("127.0.0.1", 1), stream, LIMIT)


async def test_silent_is_alive(idle: tuple[Stream, Peer]) -> None:
    """A silent stream is alive, however often one asks, and still works."""
    stream, peer = idle
    for _ in range(3):
        assert await is_alive(stream)
    peer.send(b"and on\n")
    assert await stream.receive_until(b"\n", 10) == b"and on\n"
    assert await is_alive(stream)


async def test_unsolicited_data_is_dead(idle: tuple[Stream, Peer]) -> None:
    """Data that nobody asked for: dead at once, though no event loop has seen it; and it is not lost."""
    stream, peer = idle
    peer.send(b"surprise\n")
    wait_readable(stream.raw)
    assert not await is_alive(stream)
    assert not await is_alive(stream)
    assert await stream.receive_until(b"\n", 10) == b"surprise\n"
    assert await is_alive(stream)


async def test_left_over_is_dead(idle: tuple[Stream, Peer]) -> None:
    """Bytes left over in the buffer: dead."""
    stream, peer = idle
    peer.send(b"one\ntwo")
    wait_readable(stream.raw)
    assert await stream.receive_until(b"\n", 10) == b"one\n"
    assert not await is_alive(stream)
    assert await stream.receive_exactly(3) == b"two"
    assert await is_alive(stream)


async def test_ended_is_dead(idle: tuple[Stream, Peer]) -> None:
    """The peer has closed: dead at once."""
    stream, peer = idle
    peer.close()
    wait_readable(stream.raw)
    assert not await is_alive(stream)
    assert not await is_alive(stream)
    assert await stream.receive() == b""


async def test_half_closed_is_dead(idle: tuple[Stream, Peer]) -> None:
    """The peer will send no more: dead."""
    stream, peer = idle
    peer.half_close()
    wait_readable(stream.raw)
    assert not await is_alive(stream)


async def test_reset_is_dead(idle: tuple[Stream, Peer]) -> None:
    """The peer has reset the connection: dead."""
    stream, peer = idle
    peer.reset()
    wait_readable(stream.raw)
    assert not await is_alive(stream)
    assert not await is_alive(stream)


async def test_closed_and_interrupted_are_dead(idle: tuple[Stream, Peer]) -> None:
    """So is what was interrupted or closed."""
    stream, _ = idle
    TcpConnectionManager().interrupt(("127.0.0.1", 1), stream)
    assert not await is_alive(stream)
    await stream.close()
    assert not await is_alive(stream)


async def test_goodbye_is_dead() -> None:
    """A TLS peer that has said goodbye: dead, although the connection is open."""
    manager = TcpConnectionManager(ssl=client_context())
    with Server(tls=server_context()) as server:
        async with await manager.create(server.endpoint, LIMIT) as stream:
            server.accept().say_goodbye()
            wait_readable(stream.raw)
            assert not await is_alive(stream)


async def test_session_tickets_are_alive() -> None:
    """TLS 1.3 session tickets are on their way to us all the time: they are no data."""
    context = server_context()
    context.num_tickets = 5
    manager = TcpConnectionManager(ssl=client_context())
    with Server(tls=context) as server:
        async with await manager.create(server.endpoint, LIMIT) as stream:
            peer = server.accept()
            wait_readable(stream.raw)
            assert await is_alive(stream)
            peer.send(b"x")
            wait_readable(stream.raw)
            assert not await is_alive(stream)
            assert await stream.receive() == b"x"
            assert await is_alive(stream)


# --- The end ---


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("timeout", [None, 5.0, 0.0])
async def test_dispose(encrypted: bool, timeout: float | None) -> None:
    """A TLS peer is told, if there is any time; the descriptor is released in any case."""
    manager = TcpConnectionManager(ssl=client_context() if encrypted else None)
    with Server(tls=server_context() if encrypted else None) as server:
        stream = await manager.create(server.endpoint, LIMIT)
        peer = server.accept()
        await manager.dispose(server.endpoint, stream, timeout)
        assert stream.raw.fileno() == -1
        # Unread session tickets may turn an end without goodbye into a reset.
        ends = ("cut", "reset") if encrypted and timeout == 0.0 else ("end",)
        assert peer.ending() in ends


async def test_dispose_does_not_wait_for_a_deaf_peer() -> None:
    """A peer that reads nothing keeps nobody up."""
    manager = TcpConnectionManager(ssl=client_context())
    with Server(tls=server_context()) as server:
        stream = await manager.create(server.endpoint, LIMIT)
        server.accept()
        with pytest.raises(TimeoutError):
            await stream.send(bytes(64 * 2**20), timeout=0.05)
        begin = monotonic()
        await manager.dispose(server.endpoint, stream, None)
        assert monotonic() - begin < LIMIT / 2
        assert stream.raw.fileno() == -1


async def test_dispose_a_dead_one(idle: tuple[Stream, Peer]) -> None:
    """Disposing what is broken in whatever way raises nothing."""
    stream, peer = idle
    peer.reset()
    wait_readable(stream.raw)
    await TcpConnectionManager().dispose(("127.0.0.1", 1), stream, 5.0)
    assert stream.raw.fileno() == -1


# --- In a pool ---


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize(
    "defect",
    [Peer.close, Peer.reset, Peer.half_close, lambda peer: peer.send(b"surprise")],
    ids=["close", "reset", "half close", "talk"],
)
async def test_a_dead_stream_is_never_handed_out(
    encrypted: bool, defect: Callable[[Peer], None]
) -> None:
    """An idle stream that died is replaced, and the next caller notices nothing."""
    manager = TcpConnectionManager(ssl=client_context() if encrypted else None)
    with Server(tls=server_context() if encrypted else None) as server:
        async with ConnectionPool(manager, check_after_idle=0) as pool:
            async with pool.connection(server.endpoint) as first:
                peer = server.accept()
                # Session tickets are out of the way then.
                peer.send(b"x")
                assert await first.receive() == b"x"
            async with pool.connection(server.endpoint) as again:
                assert again is first
            defect(peer)
            wait_readable(first.raw)
            async with pool.connection(server.endpoint) as second:
                assert second is not first
                await second.send(b"hello")
                assert server.accept().receive(5) == b"hello"
            assert first.raw.fileno() == -1


async def test_a_pool_breaks_a_blocked_receive() -> None:
    """Clearing with interruption ends what a holder waits for."""
    manager = TcpConnectionManager()
    with Server() as server:
        async with ConnectionPool(manager) as pool:

            async def use() -> None:
                async with pool.connection(server.endpoint) as stream:
                    streams.append(stream)
                    await stream.receive()

            streams: list[Stream] = []
            call = await start(use)
            await until(lambda: bool(streams) and "receiving" in repr(streams[0]))
            await pool.clear(server.endpoint, interrupt_connections=True)
            with pytest.raises(ConnectionAbortedError, match="was interrupted"):
                await call.outcome()
        assert streams[0].raw.fileno() == -1
