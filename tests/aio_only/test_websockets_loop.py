"""What a loop has in its hands, between the kernel and the library, belongs to the pool's WebSockets too."""

import asyncio
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError

from pool._runtime.websocket_words import has_come
from pool.aio.websockets import WebSocketPool
from support.aio_net import until
from support.certs import client_context, server_context
from support.websocket_servers import WebSocketServer, bomb

LIMIT = 10.0


async def test_message_in_the_hands_of_tls() -> None:
    """It has left the kernel while the queue was full: it is unread, and not for the next caller."""
    with WebSocketServer(tls=server_context()) as server:
        async with WebSocketPool(server.uri, ssl=client_context()) as pool:
            async with pool.connection("/", LIMIT) as ws:
                conn: Any = ws._line._conn
                # All in one record.
                (peer,) = server.all()
                peer.socket.sendall(bomb(10) * 20)
                await until(lambda: conn.recv_messages.paused)
                server.say("late")
                assert has_come(ws._line._channel.sock)
                await until(lambda: not has_come(ws._line._channel.sock))
                for _ in range(20):
                    assert await ws.recv(LIMIT) == "0" * 10
            async with pool.connection("/", LIMIT) as again:
                assert again is not ws
                await again.send("mine")
                assert await again.recv(LIMIT) == "mine"


async def test_break_with_messages_in_the_hands_of_the_loop() -> None:
    """None that has come is missing among those that are received, and the error comes last."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool, pool.connection("/", LIMIT) as ws:
            conn: Any = ws._line._conn
            await ws.send("!bomb 10 20000")
            await until(lambda: conn.held)
            read = len(conn.protocol.reader.buffer) + len(conn.held)
            came = len(conn.recv_messages.frames) + read // len(bomb(10))
            # As when a send fails.
            conn.transport.abort()
            await until(lambda: conn.recv_messages.closed)
            for _ in range(came):
                assert await ws.recv(LIMIT) == "0" * 10
            assert ws.messages_received == came
            with pytest.raises(ConnectionClosedError):
                await ws.recv(LIMIT)


async def test_pings_of_a_server_that_does_not_read() -> None:
    """The pongs do not pile up; the newest ping is answered when there is room."""
    count = 150_000
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool, pool.connection("/", LIMIT) as ws:
            (peer,) = server.all()
            # From here on the server reads no further than its queue is long.
            await ws.send("!stop")
            for _ in range(30):
                await ws.send("!quiet")
            await until(lambda: peer.recv_messages.paused)
            flood = (b"\x89\x7d" + bytes(125)) * count
            await asyncio.to_thread(peer.socket.sendall, flood)
            last = await asyncio.to_thread(peer.ping)
            await until(lambda: not has_come(ws._line._channel.sock))
            conn: Any = ws._line._conn
            assert conn.paused
            assert conn.transport.get_write_buffer_size() < 200_000
            server.go_on.set()
            await until(last.is_set)
            await ws.send("next")
            assert await ws.recv(LIMIT) == "next"
