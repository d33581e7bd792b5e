"""TcpConnectionManager: whom it connects to, with which settings and in what time, on real servers."""

import socket
from threading import Event
from time import monotonic
from typing import Any

import pytest

from pool.aio import TcpConnectionManager
from support.certs import client_context
from support.servers import Peer, Server, full_server, listener, nobody

LIMIT = 20.0
"""Seconds that no test needs."""


class Names:
    """Stands in for the resolver: names lead to the addresses that a test chose, once ``answer`` is set."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[tuple[str, int]]] = {}
        self.answer = Event()
        self.answer.set()

    def getaddrinfo(self, host: str, port: int, *_: Any, flags: int = 0, **__: Any) -> list[Any]:
        del port
        if not flags & socket.AI_NUMERICHOST:
            assert self.answer.wait(LIMIT)
            if host in self.addresses:
                found = self.addresses[host]
                return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in found]
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    return names


# --- Connecting ---


async def test_connects() -> None:
    """A stream leads to the endpoint, and both ends can talk."""
    manager = TcpConnectionManager()
    with Server(Peer.echo) as server:
        stream = await manager.create(server.endpoint, None)
        await stream.send(b"hello\n")
        assert await stream.receive_until(b"\n", 10) == b"hello\n"
        assert stream.peer == server.endpoint
        assert not stream.tls
        await manager.dispose(server.endpoint, stream, LIMIT)


async def test_ipv6() -> None:
    """An IPv6 address is an endpoint like others."""
    manager = TcpConnectionManager()
    with socket.socket(socket.AF_INET6) as server:
        server.bind(("::1", 0))
        server.listen()
        endpoint = ("::1", server.getsockname()[1])
        async with await manager.create(endpoint, LIMIT) as stream:
            assert stream.peer[:2] == endpoint
            assert repr(stream) == f"<Stream to [::1]:{endpoint[1]}: open>"


async def test_localhost() -> None:
    """A name is looked up."""
    manager = TcpConnectionManager()
    with Server() as server:
        endpoint = ("localhost", server.endpoint[1])
        async with await manager.create(endpoint, LIMIT) as stream:
            assert stream.peer == server.endpoint


@pytest.mark.parametrize(
    ("endpoint", "error", "text"),
    [
        ("localhost:80", TypeError, r"must be a tuple \(host, port\), not 'localhost:80'"),
        (("localhost",), TypeError, r"must be a tuple \(host, port\), not \('localhost',\)"),
        (["localhost", 80], TypeError, r"must be a tuple \(host, port\)"),
        ((b"localhost", 80), TypeError, "the host must be a str, not b'localhost'"),
        (("localhost", "80"), TypeError, "the port must be an int, not '80'"),
        (("localhost", True), TypeError, "the port must be an int, not True"),
        (("localhost", 0), ValueError, "the port must be from 1 to 65535, not 0"),
        (("localhost", 65536), ValueError, "the port must be from 1 to 65535, not 65536"),
        (("", 80), ValueError, "the host must be a name or an address, not ''"),
        (("a\0b", 80), ValueError, "the host must be a name or an address, not 'a"),
        (("x" * 70, 80), ValueError, "is no host name"),
    ],
)
async def test_wrong_endpoint(endpoint: Any, error: type[Exception], text: str) -> None:
    """An endpoint that is none is refused with its value and what was expected."""
    with pytest.raises(error, match=text):
        await TcpConnectionManager().create(endpoint, LIMIT)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"ssl": 1}, TypeError, "ssl must be a bool, an ssl.SSLContext or None, not 1"),
        ({"ssl": "yes"}, TypeError, "ssl must be a bool, an ssl.SSLContext or None, not 'yes'"),
        ({"server_hostname": "x"}, ValueError, "server_hostname='x' has no meaning without ssl"),
        ({"ssl": True, "server_hostname": ""}, ValueError, "server_hostname must not be empty"),
        ({"ssl": True, "server_hostname": 5}, TypeError, "server_hostname must be a str or None"),
        ({"nodelay": 1}, TypeError, "nodelay must be a bool, not 1"),
        ({"keepalive": "1"}, TypeError, "keepalive must be seconds, a bool or None, not '1'"),
        ({"keepalive": 0}, ValueError, "keepalive must be from 1 to 32767 seconds, not 0"),
        ({"keepalive": float("nan")}, ValueError, "keepalive must be from 1 to 32767 seconds"),
        ({"keepalive": 1e9}, ValueError, "keepalive must be from 1 to 32767 seconds"),
    ],
)
def test_wrong_settings(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    """A setting that makes no sense is refused when the manager is made."""
    with pytest.raises(error, match=text):
        TcpConnectionManager(**arguments)


@pytest.mark.parametrize(
    ("arguments", "nodelay", "idle"),
    [
        ({}, True, 60),
        ({"nodelay": False}, False, 60),
        ({"keepalive": True}, True, 60),
        ({"keepalive": 7.2}, True, 8),
        ({"keepalive": None}, True, None),
        ({"keepalive": False}, True, None),
    ],
)
async def test_socket_options(arguments: dict[str, Any], nodelay: bool, idle: int | None) -> None:
    """``nodelay`` and ``keepalive`` reach the socket."""
    with Server() as server:
        async with await TcpConnectionManager(**arguments).create(server.endpoint, LIMIT) as stream:
            raw = stream.raw
            assert bool(raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is nodelay
            on = bool(raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            assert on is (idle is not None)
            if idle is not None:
                assert raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == idle


async def test_refused() -> None:
    """Nobody listens: ``ConnectionRefusedError`` that says where."""
    with nobody() as endpoint, pytest.raises(ConnectionRefusedError, match=str(endpoint[1])):
        await TcpConnectionManager().create(endpoint, LIMIT)


async def test_no_connection_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP connects a port to itself if it happens to choose it for the client: that is nobody, too."""
    with nobody() as endpoint:
        port = endpoint[1]
    connect = socket.socket.connect_ex

    def from_the_same_port(sock: socket.socket, address: Any) -> int:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        return connect(sock, address)

    monkeypatch.setattr(socket.socket, "connect_ex", from_the_same_port)
    with pytest.raises(ConnectionRefusedError):
        await TcpConnectionManager().create(("127.0.0.1", port), LIMIT)


async def test_unknown_host(names: Names) -> None:
    """A host that nobody knows: the resolver's error, with the name in it."""
    del names
    with pytest.raises(socket.gaierror, match=r"not known: 'db\.test'"):
        await TcpConnectionManager().create(("db.test", 80), LIMIT)


async def test_every_address_is_tried(names: Names) -> None:
    """The first address that accepts is taken."""
    with nobody() as closed, Server() as server:
        names.addresses["db.test"] = [closed, closed, server.endpoint]
        async with await TcpConnectionManager().create(("db.test", 80), LIMIT) as stream:
            assert stream.peer == server.endpoint
            assert repr(stream) == "<Stream to db.test:80: open>"


async def test_every_address_refuses(names: Names) -> None:
    """If none accepts, the last error is raised and the others are told."""
    with nobody() as first, nobody() as second:
        names.addresses["db.test"] = [first, second]
        with pytest.raises(ConnectionRefusedError, match=f"127.0.0.1:{second[1]}") as caught:
            await TcpConnectionManager().create(("db.test", 80), LIMIT)
        (note,) = caught.value.__notes__
        assert "refused" in note
        assert f"127.0.0.1:{first[1]}" in note


async def test_a_silent_address_leaves_time_for_the_next(names: Names) -> None:
    """An address that does not answer takes only its share of the time."""
    with full_server() as silent, Server() as server:
        names.addresses["db.test"] = [silent.getsockname(), server.endpoint]
        async with await TcpConnectionManager().create(("db.test", 80), 1.0) as stream:
            assert stream.peer == server.endpoint


# --- Time ---


async def expect_timeout(manager: TcpConnectionManager, endpoint: tuple[str, int]) -> str:
    begin = monotonic()
    with pytest.raises(TimeoutError) as caught:
        await manager.create(endpoint, 0.1)
    assert 0.05 < monotonic() - begin < LIMIT / 2
    return str(caught.value)


async def test_timeout_while_connecting() -> None:
    """A server whose queue is full does not answer in time."""
    with full_server() as silent:
        endpoint = silent.getsockname()
        text = await expect_timeout(TcpConnectionManager(), endpoint)
        assert text == (
            f"connecting to 127.0.0.1:{endpoint[1]} timed out (0.1 s): "
            f"no answer from 127.0.0.1:{endpoint[1]}"
        )


async def test_timeout_of_every_address(names: Names) -> None:
    """Silent addresses share the time between them."""
    with full_server() as silent:
        names.addresses["db.test"] = [silent.getsockname()] * 3
        await expect_timeout(TcpConnectionManager(), ("db.test", 80))


async def test_timeout_while_looking_up(names: Names) -> None:
    """A resolver that does not answer does not keep the caller."""
    names.answer.clear()
    try:
        text = await expect_timeout(TcpConnectionManager(), ("db.test", 80))
    finally:
        names.answer.set()
    assert text.endswith("the host name is still being looked up")


async def test_timeout_in_the_tls_handshake() -> None:
    """A server that never answers the handshake: the time is up and the socket closed."""
    manager = TcpConnectionManager(ssl=client_context())
    with Server() as server:
        text = await expect_timeout(manager, server.endpoint)
        assert text.endswith("no end of the TLS handshake")
        assert server.accept().ending() == "end"


async def test_no_time() -> None:
    """With no time left there is no connection, and no socket left over."""
    with Server() as server, pytest.raises(TimeoutError):
        await TcpConnectionManager().create(server.endpoint, 0.0)


# --- The manager ---


async def test_nothing_to_interrupt() -> None:
    """Interrupting an endpoint where nobody connects does nothing, then and later."""
    manager = TcpConnectionManager()
    with Server() as server:
        manager.interrupt(server.endpoint, None)
        async with await manager.create(server.endpoint, LIMIT) as stream:
            manager.interrupt(server.endpoint, None)
            assert stream.is_alive()


def test_an_error_leaves_reuse_to_who_knows_the_protocol() -> None:
    """``can_reuse`` is false: only who knows the protocol can tell a clean boundary."""
    manager = TcpConnectionManager()
    with listener() as server:
        assert not manager.can_reuse(server.getsockname(), None, ValueError())  # type: ignore[arg-type]
