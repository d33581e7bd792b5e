"""Breaking what blocks in another thread: connects, handshakes, look-ups; and what a fork may not touch."""

import errno
import gc
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest

from pool._runtime import sync_net
from pool._runtime.sockets import Address, Channel
from pool.sync import Stream, TcpConnectionManager, UnixConnectionManager
from support.certs import client_context, server_context
from support.servers import Peer, Server, full_server, in_thread
from support.sync_net import start, until

LIMIT = 20.0


@pytest.fixture
def silent() -> Iterator[tuple[str, int]]:
    with full_server() as server:
        yield server.getsockname()


def test_interrupt_blocked_connects(silent: tuple[str, int]) -> None:
    """Every connect to the endpoint fails at once; those to others go on."""
    manager = TcpConnectionManager()
    with full_server() as other:
        calls = [start(manager.create, silent, None) for _ in range(3)]
        spared = start(manager.create, other.getsockname(), None)
        running = manager._attempts._running
        until(lambda: sum(attempt.channel is not None for attempt in running) == 4)
        begin = monotonic()
        manager.interrupt(silent, None)
        for call in calls:
            with pytest.raises(ConnectionAbortedError, match=r"connecting to .+ was interrupted"):
                call.outcome()
        assert monotonic() - begin < LIMIT / 2
        assert {attempt.endpoint for attempt in running} == {other.getsockname()}
        manager.interrupt(other.getsockname(), None)
        with pytest.raises(ConnectionAbortedError):
            spared.outcome()
    assert not running


def test_where_a_shutdown_wakes_nobody(
    silent: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other systems have no poll, or do not wake who waits to connect: then one looks now and then."""
    monkeypatch.setattr(sync_net, "_is_ready", sync_net._select)
    monkeypatch.setattr(sync_net, "_LOOK_AGAIN", 0.01)
    monkeypatch.setattr(Channel, "_shut_down", lambda channel: None)
    manager = TcpConnectionManager()
    with Server(Peer.echo) as server, manager.create(server.endpoint, LIMIT) as stream:
        stream.send(b"x")
        assert stream.receive() == b"x"
    call = start(manager.create, silent, None)
    until(lambda: any(attempt.channel for attempt in manager._attempts._running))
    manager.interrupt(silent, None)
    with pytest.raises(ConnectionAbortedError):
        call.outcome()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_interrupt_just_around_the_connect(
    silent: tuple[str, int], moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no moment in which an interruption is lost."""
    manager = TcpConnectionManager()
    connect = Channel.connect

    def interrupted(channel: Channel, address: Address) -> bool:
        if moment == "before":
            manager.interrupt(silent, None)
        done = connect(channel, address)
        if moment == "after":
            manager.interrupt(silent, None)
        return done

    monkeypatch.setattr(Channel, "connect", interrupted)
    begin = monotonic()
    with pytest.raises(ConnectionAbortedError):
        manager.create(silent, None)
    assert monotonic() - begin < LIMIT / 2


def test_interrupt_after_the_last_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is interrupted when it is complete is not handed out."""
    manager = TcpConnectionManager()
    with Server() as server:
        connected = Channel.connected

        def interrupted(channel: Channel, address: Address) -> None:
            connected(channel, address)
            manager.interrupt(server.endpoint, None)

        monkeypatch.setattr(Channel, "connected", interrupted)
        with pytest.raises(ConnectionAbortedError):
            manager.create(server.endpoint, LIMIT)
        assert server.accept().ending() == "end"


def test_interrupt_a_tls_handshake() -> None:
    """A handshake that is never answered fails at once, and the server sees the end."""
    manager = TcpConnectionManager(ssl=client_context())
    with Server() as server:
        call = start(manager.create, server.endpoint, None)
        peer = server.accept()
        assert peer.receive(5)
        manager.interrupt(server.endpoint, None)
        with pytest.raises(ConnectionAbortedError):
            call.outcome()
        assert peer.ending() == "end"


def test_interrupt_a_look_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a resolver that does not answer."""
    asked, answer = Event(), Event()

    def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        if not kwargs["flags"]:
            asked.set()
            answer.wait(LIMIT)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    manager = TcpConnectionManager()
    call = start(manager.create, ("db.test", 80), None)
    assert asked.wait(LIMIT)
    manager.interrupt(("db.test", 80), None)
    try:
        with pytest.raises(ConnectionAbortedError):
            call.outcome()
    finally:
        answer.set()


def test_look_up_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the interpreter ends there are no new threads: names are looked up all the same."""

    class NoThread(threading.Thread):
        def start(self) -> None:
            raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(sync_net, "Thread", NoThread)
    with Server() as server:
        TcpConnectionManager().create(("localhost", server.endpoint[1]), LIMIT).close()


def test_interrupt_in_a_full_queue(tmp_path: Path) -> None:
    """Whoever waits for a place in a Unix server's queue is broken."""
    manager = UnixConnectionManager()
    path = tmp_path / "socket"
    with full_server(path):
        call = start(manager.create, path, None)
        until(lambda: bool(manager._attempts._running))
        manager.interrupt(path, None)
        with pytest.raises(ConnectionAbortedError):
            call.outcome()


@pytest.mark.concurrency
@pytest.mark.parametrize("encrypted", [False, True])
def test_interrupt_at_any_time(encrypted: bool) -> None:
    """Whenever it strikes, a connect either fails or gives a stream, and no socket is left."""
    manager = TcpConnectionManager(ssl=client_context() if encrypted else None)
    done = Event()

    def serve(peer: Peer) -> None:
        peer.ending()

    with Server(serve, tls=server_context() if encrypted else None) as server:

        def strike() -> None:
            while not done.is_set():
                manager.interrupt(server.endpoint, None)

        with in_thread(strike):
            outcomes = [_connect(manager, server.endpoint) for _ in range(30)]
            done.set()
    assert set(outcomes) <= {"connected", "interrupted"}
    assert not manager._attempts._running


def test_the_peer_is_gone_before_tls_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The standard library has taken the socket over by then, and leaves it open."""
    fail = True
    getpeername = ssl.SSLSocket.getpeername

    def gone(sock: ssl.SSLSocket) -> object:
        if fail and not sock.server_side:
            raise OSError(errno.EBADF, "gone")
        return getpeername(sock)

    monkeypatch.setattr(ssl.SSLSocket, "getpeername", gone)
    manager = TcpConnectionManager(ssl=client_context())
    with Server(Peer.echo, tls=server_context()) as server:
        with pytest.raises(OSError, match="gone"):
            manager.create(server.endpoint, LIMIT)
        # What is left open warns when it is collected, and warnings are errors.
        gc.collect()
        fail = False
        manager.create(server.endpoint, LIMIT).close()


def _connect(manager: TcpConnectionManager, endpoint: tuple[str, int]) -> str:
    try:
        manager.create(endpoint, LIMIT).close()
    except ConnectionAbortedError:
        return "interrupted"
    return "connected"


@pytest.mark.concurrency
@pytest.mark.parametrize("encrypted", [False, True])
def test_close_from_many_threads(encrypted: bool) -> None:
    """Closed, interrupted and used by several threads at once: everybody leaves, and the descriptor goes."""
    manager = TcpConnectionManager(ssl=client_context() if encrypted else None)
    with Server(Peer.echo, tls=server_context() if encrypted else None) as server:
        for _ in range(10):
            stream = manager.create(server.endpoint, LIMIT)
            calls = [
                start(_chat, stream),
                start(_listen, stream),
                start(stream.interrupt),
                start(stream.close),
            ]
            for call in calls:
                try:
                    call.outcome()
                except (OSError, RuntimeError):
                    pass
            assert stream.raw.fileno() == -1


def _chat(stream: Stream) -> None:
    while True:
        stream.send(bytes(1000))


def _listen(stream: Stream) -> None:
    while stream.receive():
        pass


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("encrypted", [False, True])
def test_a_forked_child_leaves_the_connection_alone(encrypted: bool) -> None:
    """Whatever a child does to its parent's stream, the connection stays: it is the parent's."""
    manager = TcpConnectionManager(ssl=client_context() if encrypted else None)
    tls = server_context() if encrypted else None
    with Server(Peer.echo, tls=tls) as server, manager.create(server.endpoint, LIMIT) as stream:
        child = os.fork()
        if child == 0:
            try:
                manager.interrupt(server.endpoint, stream)
                stream.close()
                code = 0 if stream.raw.fileno() == -1 else 1
            except BaseException:
                code = 2
            os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        stream.send(b"still here\n")
        assert stream.receive_until(b"\n", 100) == b"still here\n"
        assert stream.is_alive()
