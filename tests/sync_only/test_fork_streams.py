"""Forks with real connections: whatever the child does, the other side learns nothing of it."""

import gc
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pool._runtime.fork import silence
from pool.sync import ConnectionManager, ConnectionPool, TcpConnectionManager, UnixConnectionManager
from support.certs import client_context, server_context
from support.forks import FORKS, child
from support.servers import PATIENCE, Peer, Server
from support.sync import call_soon, until

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.filterwarnings(FORKS),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]


class RawManager(ConnectionManager[tuple[str, int], socket.socket]):
    """A user's own, of plain sockets, who has not thought of forks."""

    def create(self, endpoint: tuple[str, int], timeout: float | None) -> socket.socket:
        return socket.create_connection(endpoint, timeout)

    def dispose(
        self, endpoint: tuple[str, int], conn: socket.socket, timeout: float | None
    ) -> None:
        conn.close()


class RawTlsManager(RawManager):
    """The same with TLS."""

    def create(self, endpoint: tuple[str, int], timeout: float | None) -> ssl.SSLSocket:
        sock = super().create(endpoint, timeout)
        return client_context().wrap_socket(sock, server_hostname="127.0.0.1")


class Scene(NamedTuple):
    """A pool with one idle connection and one in use, and the other ends of both."""

    pool: ConnectionPool[Any, Any]
    endpoint: Any
    server: Server
    lease: Any
    idle: Any
    peers: list[Peer]


def plain(tmp_path: Path) -> tuple[Server, Any]:
    return Server(), TcpConnectionManager()


def tls(tmp_path: Path) -> tuple[Server, Any]:
    return Server(tls=server_context()), TcpConnectionManager(ssl=client_context())


def unix(tmp_path: Path) -> tuple[Server, Any]:
    return Server(path=tmp_path / "socket"), UnixConnectionManager()


def raw(tmp_path: Path) -> tuple[Server, Any]:
    return Server(), RawManager()


def raw_tls(tmp_path: Path) -> tuple[Server, Any]:
    return Server(tls=server_context()), RawTlsManager()


@pytest.fixture(params=[plain, tls, unix, raw, raw_tls])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """Every kind of connection."""
    server, manager = request.param(tmp_path)
    with server, ConnectionPool(manager, check_after_idle=None) as pool:
        calls = [call_soon(pool.acquire, server.endpoint) for _ in range(2)]
        peers = [server.accept() for _ in calls]
        lease, other = [call.result() for call in calls]
        idle = other.connection
        other.release()
        yield Scene(pool, server.endpoint, server, lease, idle, peers)
        lease.release()


def send(connection: Any, data: bytes) -> None:
    """As a stream or a socket does it."""
    getattr(connection, "sendall", connection.send)(data)


def receive(connection: Any) -> bytes:
    exactly = getattr(connection, "receive_exactly", None)
    data: bytes = connection.recv(4) if exactly is None else exactly(4)
    return data


def assert_untouched(scene: Scene) -> None:
    """Both connections carry data in both directions, and nothing else has come to the other side."""
    again = scene.pool.acquire(scene.endpoint, 0)
    assert again.connection is scene.idle
    for number, connection in enumerate([scene.lease.connection, again.connection]):
        send(connection, b"ask%d" % number)
    heard = []
    for peer in scene.peers:
        heard.append(peer.receive(4))
        peer.send(heard[-1])
    assert sorted(heard) == [b"ask0", b"ask1"]
    for number, connection in enumerate([scene.lease.connection, again.connection]):
        assert receive(connection) == b"ask%d" % number
    again.release()
    for peer in scene.peers:
        peer.sock.setblocking(False)
        with pytest.raises((BlockingIOError, ssl.SSLWantReadError)):
            peer.sock.recv(1)
        peer.sock.settimeout(PATIENCE)


# -- what the child does ----------------------------------------------------------------------------


def do_nothing(scene: Scene) -> None:
    """Nothing."""


def leave(scene: Scene) -> None:
    scene.lease.release()


def throw_away(scene: Scene) -> None:
    scene.lease.discard()


def clear(scene: Scene) -> None:
    scene.pool.clear(interrupt_connections=True)


def close(scene: Scene) -> None:
    scene.pool.close(None, interrupt_connections=True)


def forget(scene: Scene) -> None:
    engine = scene.pool._engine
    del scene, engine
    gc.collect()


@pytest.mark.parametrize("act", [do_nothing, leave, throw_away, clear, close, forget])
def test_the_parents_go_on(scene: Scene, act: Callable[[Scene], None]) -> None:
    """The child deals with its pool and its leases in every way, and ends."""
    child(lambda: act(scene))
    assert_untouched(scene)


MEDDLING: dict[str, list[Any]] = {
    "close": [],
    "abort": [],
    "interrupt": [],
    "shutdown": [socket.SHUT_RDWR],
    "send": [b"hello"],
    "sendall": [b"hello"],
    "receive": [4],
    "recv": [4],
    "unwrap": [],
    "is_alive": [],
}


def test_the_child_meddles(scene: Scene) -> None:
    """It has kept the connections themselves, and uses them in every way: that leads to nowhere."""
    kept = [scene.lease.connection, scene.idle]

    def meddle() -> None:
        for name, args in MEDDLING.items():
            for connection in kept:
                method = getattr(connection, name, None)
                if method is not None:
                    # It may fail or not, and must not wait.
                    with suppress(OSError, ValueError):
                        method(*args)

    for act in list(MEDDLING):
        child(meddle)
        # The first of them closes it for the others.
        MEDDLING[act] = MEDDLING.pop(act)
    assert_untouched(scene)


@pytest.mark.parametrize("kind", [plain, tls, unix])
def test_a_stream_is_cut_off_in_the_child(
    kind: Callable[[Path], tuple[Server, Any]], tmp_path: Path
) -> None:
    """Nothing comes any more, and the stream is dead; a send fails, or nobody gets it."""
    server, manager = kind(tmp_path)
    with server, ConnectionPool(manager) as pool:
        call = call_soon(pool.acquire, server.endpoint)
        peer = server.accept()
        lease = call.result()
        stream = lease.connection

        def try_it() -> tuple[bytes, bool]:
            try:
                data = stream.receive(timeout=5.0)
            except OSError:
                data = b""
            return data, stream.is_alive()

        peer.send(b"pong")
        assert child(try_it) == (b"", False)
        assert stream.receive_exactly(4) == b"pong"
        lease.release()


def test_the_childs_own(scene: Scene) -> None:
    """It opens its own connections to the same server, and closes them; the parent's are not disturbed."""

    def work() -> bytes:
        with scene.pool.connection(scene.endpoint) as connection:
            send(connection, b"mine")
            answer = receive(connection)
        scene.pool.close(None)
        return answer

    def serve() -> str:
        peer = scene.server.accept()
        data = peer.receive(4)
        peer.send(data)
        ending = peer.ending()
        peer.close()
        return ending

    serving = call_soon(serve)
    assert child(work) == b"mine"
    # It was closed by the child's pool, with a goodbye where its manager knows one.
    assert serving.result() in ("end", "cut")
    assert_untouched(scene)


def test_a_fork_in_the_middle_of_a_receive(scene: Scene) -> None:
    """Another thread of the parent waits for bytes: it gets them."""
    waiting = call_soon(receive, scene.lease.connection)
    child(lambda: scene.pool.close())
    for peer in scene.peers:
        peer.send(b"pong")
    assert waiting.result() == b"pong"
    with ExitStack() as stack:
        other = stack.enter_context(scene.pool.connection(scene.endpoint))
        assert receive(other) == b"pong"
    assert_untouched(scene)


# -- programs that end ------------------------------------------------------------------------------

FORKS_ARE_MEANT = "ignore:This process:DeprecationWarning"

PROGRAM = """
import gc, os, sys
from pool.sync import ConnectionPool, TcpConnectionManager, UnixConnectionManager
host, port, how = sys.argv[1:]
pool = ConnectionPool(TcpConnectionManager())
endpoint = host, int(port)
lease, other = pool.acquire(endpoint), pool.acquire(endpoint)
other.release()
pid = os.fork()
if not pid:
    if how == "exit":
        sys.exit(0)
    if how == "error":
        raise SystemExit("an end")
    if how == "use":
        with pool.connection(endpoint) as stream:
            stream.send(b"mine")
    if how == "forget":
        del lease, pool
        gc.collect()
else:
    os.waitpid(pid, 0)
    with lease as stream, pool.connection(endpoint, 0) as second:
        stream.send(b"ping")
        second.send(b"ping")
        print(stream.receive_exactly(4) + second.receive_exactly(4))
    pool.close()
"""


@pytest.mark.parametrize("how", ["exit", "error", "use", "forget", "fall off"])
def test_a_program_whose_child_ends_first(how: str) -> None:
    """With everything that an interpreter does at its end; the parent goes on with both connections."""
    endings: list[tuple[bytes, str]] = []

    def echo(peer: Peer) -> None:
        data = peer.receive(4)
        if data == b"ping":
            peer.send(data)
        endings.append((data, peer.ending()))

    with Server(echo) as server:
        host, port = server.endpoint
        done = subprocess.run(
            # From 3.12 on, a fork beside threads is warned of in the main program.
            [sys.executable, "-W", FORKS_ARE_MEANT, "-c", PROGRAM, host, str(port), how],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        until(lambda: len(endings) == (3 if how == "use" else 2))
    assert done.stdout == "b'pingping'\n"
    assert done.stderr == ("an end\n" if how == "error" else "")
    assert sorted(endings)[-2:] == [(b"ping", "end")] * 2


# -- connections of users ---------------------------------------------------------------------------


class Numbered:
    """Says what its descriptor is."""

    def __init__(self, number: Any) -> None:
        self.number = number

    def fileno(self) -> Any:
        if isinstance(self.number, Exception):
            raise self.number
        return self.number


class Attributed:
    """Has no method, but something of that name."""

    fileno = 1


@pytest.mark.parametrize(
    "thing",
    [object(), None, Attributed(), Numbered(-1), Numbered("1"), Numbered(OSError("closed"))],
)
def test_what_has_no_descriptor_is_left_alone(thing: object) -> None:
    """Whatever a connection is, nobody else's descriptor is hit, and nothing is raised."""
    before = os.fstat(0), os.fstat(1), os.fstat(2)
    silence(thing)
    assert (os.fstat(0), os.fstat(1), os.fstat(2)) == before


def test_a_descriptor_leads_to_nowhere() -> None:
    """It stays open, so that whoever closes it closes nobody else's, and is not inherited by programs."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        number = ours.fileno()
        mine = os.dup(number)
        silence(ours)
        assert ours.fileno() == number
        assert not os.get_inheritable(number)
        assert os.path.samestat(os.fstat(number), Path(os.devnull).stat())
        with pytest.raises(OSError, match="socket"):
            ours.send(b"hello")
        ours.close()
        os.write(mine, b"still there")
        assert theirs.recv(100) == b"still there"
        os.close(mine)
