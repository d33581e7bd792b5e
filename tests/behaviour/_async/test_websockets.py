"""A pool of WebSockets: messages, errors of the connection, and what a handshake brings."""

import ssl
from array import array
from typing import Any

import pytest
from websockets.exceptions import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidStatus,
    NegotiationError,
)

from pool.aio.websockets import (
    UndecodableError,
    UnsendableError,
    WebSocket,
    WebSocketManager,
    WebSocketPool,
)
from pool.errors import PoolClosedError
from support.aio_net import until
from support.certs import client_context, server_context
from support.websocket_servers import WebSocketServer

LIMIT = 10.0
"""Seconds that no test needs."""


async def test_messages() -> None:
    """Text is text, bytes are binary, anything else is JSON."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool, pool.connection("/", LIMIT) as ws:
            for message, sent in (
                ("text", "text"),
                (b"bytes", b"bytes"),
                (bytearray(b"array"), b"array"),
                (memoryview(b"view"), b"view"),
                ({"a": [1, None, "ä"]}, '{"a":[1,null,"ä"]}'),
                (None, "null"),
                (True, "true"),
                ("", ""),
            ):
                await ws.send(message)
                assert await ws.recv(LIMIT) == sent
            assert (ws.messages_sent, ws.messages_received) == (8, 8)
            assert ws.close_code is None
            assert ws.close_reason is None
            assert ws.uri == server.uri
    assert ws.close_code == 1000


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_views(compression: str | None) -> None:
    """A view is its bytes, whatever its items and its shape are."""
    with WebSocketServer() as server:
        async with (
            WebSocketPool(server.uri, compression=compression) as pool,
            pool.connection("/", LIMIT) as ws,
        ):
            for view, data in (
                (memoryview(array("H", [1, 2, 3])), array("H", [1, 2, 3]).tobytes()),
                (memoryview(b"abcdef")[::2], b"ace"),
                (memoryview(b"abcdef").cast("B", (2, 3)), b"abcdef"),
            ):
                await ws.send(view)
                assert await ws.recv(LIMIT) == data


@pytest.mark.parametrize(
    "message", [float("nan"), [float("inf")], object(), {1, 2}, {"a": b"b"}, "\ud800", ["\udfff"]]
)
async def test_unsendable(message: object) -> None:
    """What cannot be expressed is refused before anything is sent; the connection is as good as before."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            with pytest.raises(UnsendableError, match="cannot be sent") as caught:
                async with pool.connection("/", LIMIT) as ws:
                    await ws.send(message)
            assert isinstance(caught.value, ValueError)
            assert isinstance(caught.value, TypeError)
            async with pool.connection("/", LIMIT) as again:
                assert again is ws
                await again.send("next")
                assert await again.recv(LIMIT) == "next"
        assert server.got == ["next"]
        assert server.opened == 1


async def test_json() -> None:
    """Where the pool was made so, text is decoded and binary is not; what is no JSON is an error."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, json=True) as pool, pool.connection("/", LIMIT) as ws:
            await ws.send({"a": [1, 2.5]})
            assert await ws.recv(LIMIT) == {"a": [1, 2.5]}
            await ws.send(b"{}")
            assert await ws.recv(LIMIT) == b"{}"
            await ws.send("no json")
            with pytest.raises(UndecodableError, match="'no json' is no JSON") as caught:
                await ws.recv(LIMIT)
            assert caught.value.text == "no json"
            await ws.send([])
            assert await ws.recv(LIMIT) == []
            assert ws.messages_received == 4


@pytest.mark.parametrize("code", [1000, 1001])
async def test_iteration(code: int) -> None:
    """It ends when the server closes normally."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool, pool.connection("/", LIMIT) as ws:
            await ws.send("!flood 3 4")
            await ws.send(f"!close {code} bye")
            messages = [message async for message in ws]
            assert messages == ["0 xx", "1 xx", "2 xx"]
            assert (ws.close_code, ws.close_reason) == (code, "bye")
            with pytest.raises(ConnectionClosedOK):
                await ws.recv(LIMIT)


@pytest.mark.parametrize("code", [1011, 1008, 4321])
async def test_closed_by_the_server(code: int) -> None:
    """The library's error says with which code; so does the WebSocket, from then on."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            async with pool.connection("/", LIMIT) as ws:
                await ws.send(f"!close {code} why")
                with pytest.raises(ConnectionClosedError) as caught:
                    assert [message async for message in ws] == []
                # Nor do we keep the server waiting for our end of the socket.
                await until(lambda: ws._line._channel.closed)
            assert caught.value.rcvd
            assert caught.value.rcvd.code == code
            assert (ws.close_code, ws.close_reason) == (code, "why")
            with pytest.raises(ConnectionClosedError):
                await ws.send("more")
            with pytest.raises(ConnectionClosedError):
                await ws.ping(LIMIT)
            assert pool.stats().total == 0


async def test_recv_in_time() -> None:
    """A recv that is too late loses nothing; 0 is for what is there."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool, pool.connection("/", LIMIT) as ws:
            with pytest.raises(TimeoutError, match=r"no message from ws://127.* within 0\.01 s"):
                await ws.recv(0.01)
            with pytest.raises(TimeoutError):
                await ws.recv(0)
            await ws.send("one")
            assert await ws.recv(LIMIT) == "one"
            for wrong in (-1, float("nan")):
                with pytest.raises(ValueError, match="timeout must be"):
                    await ws.recv(wrong)


async def test_ping() -> None:
    """A ping takes some time, and the last one is the latency."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool, pool.connection("/", LIMIT) as ws:
            seconds = ws.latency
            assert seconds is None
            seconds = await ws.ping(LIMIT)
            assert 0 < seconds < LIMIT
            assert ws.latency == seconds
            await ws.send("!stop")
            await until(lambda: server.got == ["!stop"])
            assert await ws.ping(LIMIT) > 0


async def test_fragments() -> None:
    """A message in parts is one message."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool, pool.connection("/", LIMIT) as ws:
            await ws.send("!fragments abcdef")
            assert await ws.recv(LIMIT) == "abcdef"


async def test_headers_and_subprotocols() -> None:
    """Both are sent with the handshake; what was agreed upon is told."""
    with WebSocketServer(subprotocols=["v2", "v1"]) as server:
        headers = {"Authorization": "Bearer abc", "X-Team": "blue"}
        async with (
            WebSocketPool(server.uri, headers=headers, subprotocols=["v1", "v3"]) as pool,
            pool.connection("/x?y=1", LIMIT) as ws,
        ):
            assert ws.subprotocol == "v1"
            assert server.headers["Authorization"] == "Bearer abc"
            assert server.headers["X-Team"] == "blue"
            assert server.paths == ["/x?y=1"]


async def test_no_subprotocol() -> None:
    """A server that agrees to none has refused those that were offered, or was not asked."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool, pool.connection("/", LIMIT) as ws:
            assert ws.subprotocol is None
    with WebSocketServer(subprotocols=["v2"]) as server:
        async with WebSocketPool(server.uri, subprotocols=["v1"]) as pool:
            with pytest.raises((InvalidStatus, NegotiationError)):
                await pool.acquire("/", LIMIT)
            assert pool.stats().total == 0


@pytest.mark.parametrize(("path", "status"), [("/refuse", 403), ("/moved", 302)])
async def test_refused(path: str, status: int) -> None:
    """A refusal reaches the caller as it is, a redirect too; nothing is left of the connection."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            with pytest.raises(InvalidStatus) as caught:
                await pool.acquire(path, LIMIT)
            assert caught.value.response.status_code == status
            assert pool.stats(path).total == 0
            assert server.paths == [path]


async def test_tls() -> None:
    """Over wss all is the same; a server that nobody trusts is refused."""
    with WebSocketServer(tls=server_context()) as server:
        assert server.uri.startswith("wss:")
        async with WebSocketPool(server.uri, ssl=client_context()) as pool:
            for _ in range(3):
                async with pool.connection("/", LIMIT) as ws:
                    await ws.send("secret" * 10_000)
                    assert await ws.recv(LIMIT) == "secret" * 10_000
                    assert await ws.ping(LIMIT) > 0
            assert server.opened == 1
        await until(lambda: server.codes == [1000])
        async with WebSocketPool(server.uri) as pool:
            with pytest.raises(ssl.SSLCertVerificationError):
                await pool.acquire("/", LIMIT)


async def test_compression_or_none() -> None:
    """It is offered, unless that is not wished."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool, pool.connection("/", LIMIT) as ws:
            assert "permessage-deflate" in server.headers["Sec-WebSocket-Extensions"]
            await ws.send("x" * 100_000)
            assert await ws.recv(LIMIT) == "x" * 100_000
        pool = WebSocketPool(server.uri, compression=None)
        async with pool, pool.connection("/", LIMIT) as ws:
            assert "Sec-WebSocket-Extensions" not in server.headers
            await ws.send("plain")
            assert await ws.recv(LIMIT) == "plain"


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"headers": "a: b"}, TypeError, "headers must be"),
    ({"headers": 3}, TypeError, "headers must be"),
    ({"headers": {"a": 1}}, TypeError, "a header must be a str, not 1"),
    ({"headers": [("a",)]}, TypeError, "headers must be"),
    ({"headers": {"a": "b\r\nc: d"}}, ValueError, "a header must be one line"),
    ({"subprotocols": "v1"}, TypeError, "subprotocols must be"),
    ({"subprotocols": [1]}, TypeError, "a subprotocol must be a str, not 1"),
    ({"subprotocols": ["a b"]}, ValueError, "subprotocols="),
    ({"json": 1}, TypeError, "json must be True or False, not 1"),
    ({"reset": 1}, TypeError, "reset must be a function or None, not 1"),
    ({"reset_timeout": 0}, ValueError, "reset_timeout must be"),
    ({"reset_timeout": None}, TypeError, "reset_timeout must be"),
    ({"ping_after": -1}, ValueError, "ping_after must be"),
    ({"ssl": True}, TypeError, "ssl must be an ssl.SSLContext or None, not True"),
    ({"max_message_size": 0}, ValueError, "max_message_size must be at least 1, not 0"),
    ({"max_message_size": None}, TypeError, "max_message_size must be a whole number, not None"),
    ({"max_queue": 0}, ValueError, "max_queue must be at least 1, not 0"),
    ({"max_queue": True}, TypeError, "max_queue must be a whole number, not True"),
    ({"compression": "gzip"}, ValueError, "compression must be 'deflate' or None, not 'gzip'"),
]


@pytest.mark.parametrize(("options", "kind", "text"), WRONG)
async def test_wrong_options(options: dict[str, Any], kind: type[Exception], text: str) -> None:
    """A wrong option is named when the pool, or the manager, is made."""
    for make in (WebSocketPool, WebSocketManager):
        with pytest.raises(kind, match=text):
            make(**options)


async def test_wrong_options_of_the_pool() -> None:
    """So is one of the pool alone; a message of somebody else's must be looked for each time."""
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"base_uri": "/x"}, ValueError, "the scheme must be ws or wss"),
        ({"base_uri": 1}, TypeError, "must be a str"),
        ({"check_after_idle": 1.0}, ValueError, "check_after_idle must be 0"),
        ({"check_after_idle": None}, ValueError, "check_after_idle must be 0"),
        ({"max_sice": 1}, TypeError, "unknown option 'max_sice': .* has headers, .*max_size, "),
        ({"manager": None}, TypeError, "unknown option 'manager'"),
        ({"max_size": 0}, ValueError, "max_size must be at least 1"),
    ]
    for options, kind, text in wrong:
        with pytest.raises(kind, match=text):
            WebSocketPool(**options)
    assert WebSocketPool().options.check_after_idle == 0


async def test_errors_at_the_call() -> None:
    """What is no URI is refused at the call already."""
    pool = WebSocketPool()
    for ask in (pool.connection, pool.acquire, pool.stats):
        with pytest.raises(ValueError, match="is a path: without base_uri"):
            ask("/x")
        with pytest.raises(TypeError, match="uri must be a str, not 1"):
            ask(1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="timeout must be"):
        pool.connection("ws://h/", -1)
    await pool.close()
    with pytest.raises(PoolClosedError):
        await pool.acquire("ws://h/")


async def test_repr() -> None:
    """Both say what they are."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, name="quotes") as pool:
            assert pool.name == "quotes"
            async with pool.connection("/a", LIMIT) as ws:
                assert isinstance(ws, WebSocket)
                assert repr(ws) == f"<WebSocket '{server.uri}a' open>"
                assert repr(pool).startswith("<WebSocketPool 'quotes' open: 1 endpoints, 1 in use")
        assert repr(ws) == f"<WebSocket '{server.uri}a' closed (1000)>"
