"""UnixConnectionManager, on real servers."""

from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from pool.aio import UnixConnectionManager
from support.aio_net import start, until
from support.servers import Peer, Server, full_server, listener, wait_readable

LIMIT = 20.0


@pytest.mark.parametrize("kind", [str, Path])
async def test_connects(kind: type, tmp_path: Path) -> None:
    """The endpoint is a path, as a ``str`` or a ``Path``."""
    manager = UnixConnectionManager()
    path = tmp_path / "socket"
    with Server(Peer.echo, path=path) as server:
        stream = await manager.create(kind(path), LIMIT)
        await stream.send(b"hello\n")
        assert await stream.receive_until(b"\n", 10) == b"hello\n"
        assert stream.peer == str(path) == server.endpoint
        assert stream.tls is None
        assert repr(stream) == f"<Stream to {path}: open>"
        assert await manager.check_aliveness(path, stream, LIMIT)
        await manager.dispose(path, stream, LIMIT)
        assert stream.raw.fileno() == -1


@pytest.mark.parametrize(
    ("endpoint", "error", "text"),
    [
        (
            ("localhost", 80),
            TypeError,
            r"must be a path, as a str or a Path, not \('localhost', 80\)",
        ),
        (b"/run/socket", TypeError, "must be a path, as a str or a Path, not b'/run/socket'"),
        (None, TypeError, "must be a path, as a str or a Path, not None"),
        ("", ValueError, "the path must not be empty"),
    ],
)
async def test_wrong_endpoint(endpoint: Any, error: type[Exception], text: str) -> None:
    """An endpoint that is none is refused with its value and what was expected."""
    with pytest.raises(error, match=text):
        await UnixConnectionManager().create(endpoint, LIMIT)


async def test_nobody_there(tmp_path: Path) -> None:
    """No file, or nobody listens any more: the error of the system, with the path."""
    path = tmp_path / "socket"
    with pytest.raises(FileNotFoundError, match=str(path)):
        await UnixConnectionManager().create(path, LIMIT)
    listener(path).close()
    with pytest.raises(ConnectionRefusedError, match=str(path)):
        await UnixConnectionManager().create(path, LIMIT)


async def test_full_queue(tmp_path: Path) -> None:
    """A server whose queue is full is asked again until the time is up."""
    path = tmp_path / "socket"
    with full_server(path):
        begin = monotonic()
        with pytest.raises(TimeoutError, match=r"timed out \(0\.1 s\): the server's queue is full"):
            await UnixConnectionManager().create(path, 0.1)
        assert 0.05 < monotonic() - begin < LIMIT / 2


async def test_queue_gets_free(tmp_path: Path) -> None:
    """As soon as the server accepts, there is a connection."""
    path = tmp_path / "socket"
    manager = UnixConnectionManager()
    with full_server(path) as server:
        call = await start(manager.create, path, None)
        first, _ = server.accept()
        async with await call.outcome() as stream:
            second, _ = server.accept()
            with first, second:
                await stream.send(b"!")
                assert second.recv(1) == b"!"


async def test_dead(tmp_path: Path) -> None:
    """Unsolicited data, and the end: dead."""
    path = tmp_path / "socket"
    manager = UnixConnectionManager()
    with Server(path=path) as server:
        async with await manager.create(path, LIMIT) as stream:
            peer = server.accept()
            peer.send(b"x")
            wait_readable(stream.raw)
            assert not await manager.check_aliveness(path, stream, LIMIT)
            assert await stream.receive() == b"x"
            assert await manager.check_aliveness(path, stream, LIMIT)
            peer.close()
            wait_readable(stream.raw)
            assert not await manager.check_aliveness(path, stream, LIMIT)


async def test_interrupt(tmp_path: Path) -> None:
    """A blocked receive is broken through the manager."""
    path = tmp_path / "socket"
    manager = UnixConnectionManager()
    with Server(path=path) as server:
        async with await manager.create(server.endpoint, LIMIT) as stream:
            call = await start(stream.receive)
            await until(lambda: "receiving" in repr(stream))
            manager.interrupt(path, stream)
            with pytest.raises(ConnectionAbortedError, match="was interrupted"):
                await call.outcome()
