"""TcpConnectionManager with TLS: what is agreed upon, what is refused, on real servers."""

import ssl
from collections.abc import Callable
from queue import SimpleQueue

import pytest

from pool.aio import TcpConnectionManager
from support.certs import authority, client_context, server_context
from support.servers import Peer, Server

LIMIT = 20.0
"""Seconds that no test needs."""


async def test_tls() -> None:
    """What both ends say is encrypted, and the stream says how."""
    manager = TcpConnectionManager(ssl=client_context())
    with Server(Peer.echo, tls=server_context()) as server:
        async with await manager.create(server.endpoint, LIMIT) as stream:
            await stream.send(b"secret\n")
            assert await stream.receive_until(b"\n", 10) == b"secret\n"
            assert stream.tls
            assert stream.tls.version == "TLSv1.3"
            assert isinstance(stream.raw, ssl.SSLSocket)
            assert stream.raw.getpeercert()


async def test_tls_1_2() -> None:
    """The context decides on the version."""
    context = client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    manager = TcpConnectionManager(ssl=context)
    with Server(Peer.echo, tls=server_context()) as server:
        async with await manager.create(server.endpoint, LIMIT) as stream:
            await stream.send(b"secret\n")
            assert await stream.receive_until(b"\n", 10) == b"secret\n"
            assert stream.tls
            assert stream.tls.version == "TLSv1.2"
            assert stream.is_alive()


async def test_alpn() -> None:
    """Application protocols of the context are negotiated."""
    manager = TcpConnectionManager(ssl=client_context(alpn=("h2", "line/1")))
    with Server(tls=server_context(alpn=("line/1", "other"))) as server:
        async with await manager.create(server.endpoint, LIMIT) as stream:
            assert stream.tls
            assert stream.tls.alpn == "line/1"
            peer = server.accept()
            assert isinstance(peer.sock, ssl.SSLSocket)
            assert peer.sock.selected_alpn_protocol() == "line/1"


@pytest.mark.parametrize("override", [None, "db.example"])
async def test_server_name(override: str | None) -> None:
    """The server is asked for the endpoint's host, or for ``server_hostname``, and must prove it."""
    asked: list[str | None] = []
    wanted = override or "localhost"
    context = server_context(wanted)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    manager = TcpConnectionManager(ssl=client_context(), server_hostname=override)
    with Server(tls=context) as server:
        endpoint = ("localhost", server.endpoint[1])
        async with await manager.create(endpoint, LIMIT) as stream:
            assert stream.tls
            assert stream.tls.server_hostname == wanted
    assert asked == [wanted]


@pytest.mark.parametrize(
    ("context", "text"),
    [
        (lambda: server_context("other.example"), "IP address mismatch"),
        (lambda: server_context(expired=True), "certificate has expired"),
    ],
    ids=["wrong name", "expired"],
)
async def test_wrong_certificate(context: Callable[[], ssl.SSLContext], text: str) -> None:
    """A certificate that does not prove who the server is: no connection, and no socket left over."""
    manager = TcpConnectionManager(ssl=client_context())
    with Server(tls=context()) as server:
        with pytest.raises(ssl.SSLCertVerificationError, match=text):
            await manager.create(server.endpoint, LIMIT)
        with pytest.raises(OSError, match=r".+"):
            server.accept()


async def test_verification_is_on_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """``ssl=True`` trusts the authorities of the system, and nobody else."""
    strangers = TcpConnectionManager(ssl=True)
    with authority().cert_pem.tempfile() as file:
        monkeypatch.setenv("SSL_CERT_FILE", file)
        friends = TcpConnectionManager(ssl=True)
    error = ssl.SSLCertVerificationError
    with Server(tls=server_context()) as server:
        async with await friends.create(server.endpoint, LIMIT) as stream:
            assert stream.tls
        with pytest.raises(error, match="unable to get local issuer"):
            await strangers.create(server.endpoint, LIMIT)
    with Server(tls=server_context("other.example")) as server, pytest.raises(error, match="match"):
        await friends.create(server.endpoint, LIMIT)


@pytest.mark.parametrize("defect", ["close", "reset", "talk"])
async def test_handshake_fails(defect: str) -> None:
    """A server that ends the handshake, or does not speak TLS, is an ``OSError``, and no socket is left."""
    manager = TcpConnectionManager(ssl=client_context())
    endings: SimpleQueue[str] = SimpleQueue()

    def serve(peer: Peer) -> None:
        peer.receive(5)
        if defect == "talk":
            peer.send(b"220 I speak something else\r\n")
            endings.put(peer.ending())
        else:
            getattr(peer, defect)()
            endings.put("done")

    with Server(serve) as server:
        with pytest.raises(OSError, match=r".+"):
            await manager.create(server.endpoint, LIMIT)
        assert endings.get(timeout=LIMIT)
