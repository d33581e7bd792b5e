"""A pool of WebSockets: a message must never reach another caller than the one it was meant for."""

import pytest

from pool.aio.websockets import WebSocket, WebSocketPool
from support.aio_net import start, until
from support.certs import client_context, server_context
from support.websocket_servers import WebSocketServer

LIMIT = 10.0
"""Seconds that no test needs."""


async def replaced(pool: WebSocketPool, server: WebSocketServer, old: WebSocket) -> None:
    """The next caller has a new connection, and nothing on it."""
    async with pool.connection("/", LIMIT) as ws:
        assert ws is not old
        assert server.opened == 2
        await ws.send("mine")
        assert await ws.recv(LIMIT) == "mine"
    await until(lambda: len(server.codes) == 1)
    assert pool.stats().total == 1


@pytest.mark.parametrize("tls", [False, True])
async def test_clean(tls: bool) -> None:
    """What is clean goes to the next caller."""
    with WebSocketServer(tls=server_context() if tls else None) as server:
        async with WebSocketPool(server.uri, ssl=client_context()) as pool:
            for number in range(1, 21):
                async with pool.connection("/", LIMIT) as ws:
                    await ws.send(f"{number}" * 1000)
                    assert await ws.recv(LIMIT) == f"{number}" * 1000
                    assert ws.messages_sent == number
            assert server.opened == 1


async def test_unread() -> None:
    """A message that was not read closes the connection when it is released; that is no error."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            async with pool.connection("/", LIMIT) as ws:
                await ws.send("!twice x")
                assert await ws.recv(LIMIT) == "x"
                await until(ws._line._has_unread)
            assert pool.stats().total == 0
            await replaced(pool, server, ws)
            assert pool.stats().reconnects == 0
        await until(lambda: server.codes[0] == 1000)


async def test_unread_by_nobody() -> None:
    """It need not have been asked for: what the server sends at first is for the first caller alone."""
    with WebSocketServer(greeting="hello") as server:
        async with WebSocketPool(server.uri) as pool:
            async with pool.connection("/", LIMIT) as ws:
                await until(ws._line._has_unread)
            assert pool.stats().total == 0
            async with pool.connection("/", LIMIT) as ws:
                assert await ws.recv(LIMIT) == "hello"
            async with pool.connection("/", LIMIT) as again:
                assert again is ws


async def test_subscriptions() -> None:
    """What is still subscribed to closes the connection, although nothing has come yet."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            async with pool.connection("/", LIMIT) as ws:
                ws.subscriptions.add("ACME")
            await replaced(pool, server, ws)


async def test_unsubscribed() -> None:
    """Who has ended all his subscriptions leaves a clean connection."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            async with pool.connection("/", LIMIT) as ws:
                ws.subscriptions.add("ACME")
                ws.subscriptions.discard("ACME")
            async with pool.connection("/", LIMIT) as again:
                assert again is ws


@pytest.mark.parametrize("tls", [False, True])
async def test_message_while_idle(tls: bool) -> None:
    """What comes while it is idle makes it dead at the next acquire; the pool opens another."""
    with WebSocketServer(tls=server_context() if tls else None) as server:
        async with WebSocketPool(server.uri, ssl=client_context()) as pool:
            async with pool.connection("/", LIMIT) as ws:
                pass
            # It is in the kernel when this returns; nobody has had the time to read it.
            server.say("late")
            await replaced(pool, server, ws)
            assert pool.stats().reconnects == 1


async def test_messages_that_nobody_reads() -> None:
    """Nor does it matter that they are more than fit into the queue."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, max_queue=2) as pool:
            async with pool.connection("/", LIMIT) as ws:
                pass
            for _ in range(100):
                server.say("late")
            await replaced(pool, server, ws)
        await until(lambda: server.codes[0] == 1000)


async def test_half_a_message() -> None:
    """A frame that has only begun is one that will end."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, dispose_timeout=0.2, compression=None) as pool:
            async with pool.connection("/", LIMIT) as ws:
                await ws.send("!half")
                await until(lambda: bool(ws._line._conn.protocol.reader.buffer))
            assert pool.stats().total == 0
            await replaced(pool, server, ws)


@pytest.mark.parametrize("end", ["vanish", "goodbye"])
async def test_closed_while_idle(end: str) -> None:
    """A server that goes away, politely or not, leaves a connection that nobody gets."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            async with pool.connection("/", LIMIT) as ws:
                pass
            getattr(server, end)()
            async with pool.connection("/", LIMIT) as again:
                assert again is not ws
            assert pool.stats().reconnects == 1


async def test_closed_by_the_body() -> None:
    """A connection that the server has ended is closed when it is released, and counts as lost."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            async with pool.connection("/", LIMIT) as ws:
                await ws.send("!close 1000 bye")
                assert [message async for message in ws] == []
            assert pool.stats().total == 0
            async with pool.connection("/", LIMIT) as again:
                assert again is not ws
            assert pool.stats().reconnects == 1


async def test_error_in_the_body() -> None:
    """A body left by an error closes the connection, which counts as lost."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            with pytest.raises(KeyError):
                async with pool.connection("/", LIMIT):
                    raise KeyError
            assert pool.stats().total == 0
            async with pool.connection("/", LIMIT):
                assert pool.stats().reconnects == 1


async def test_pings_of_the_server_are_no_messages() -> None:
    """A server that pings is answered, and its connection is clean."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            async with pool.connection("/", LIMIT) as ws:
                pass
            (peer,) = server.all()
            pong = peer.ping()
            async with pool.connection("/", LIMIT) as again:
                assert again is ws
            await until(pong.is_set)


# --- reset -------------------------------------------------------------------------------------------------


async def unsubscribe(ws: WebSocket) -> bool:
    """End all subscriptions; what comes before the answer is for nobody."""
    await ws.send("bye")
    while await ws.recv(LIMIT) != "bye":
        pass
    return True


async def test_reset() -> None:
    """A reset that cleans saves the connection: its subscriptions and messages are gone."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, reset=unsubscribe) as pool:
            async with pool.connection("/", LIMIT) as ws:
                ws.subscriptions |= {"ACME", "EMCA"}
                await ws.send("!flood 5 10")
            assert pool.stats().idle == 1
            async with pool.connection("/", LIMIT) as again:
                assert again is ws
                assert again.subscriptions == set()
                await again.send("mine")
                assert await again.recv(LIMIT) == "mine"


async def says_no(ws: WebSocket) -> bool:
    return False


async def says_nothing(ws: WebSocket) -> bool:
    return None  # type: ignore[return-value]


async def fails(ws: WebSocket) -> bool:
    raise KeyError("reset")


async def lies(ws: WebSocket) -> bool:
    await ws.send("!twice x")
    await ws.recv(LIMIT)
    await until(ws._line._has_unread)
    return True


async def hangs(ws: WebSocket) -> bool:
    await ws.recv()
    return True


@pytest.mark.parametrize("reset", [says_no, says_nothing, fails, lies, hangs])
async def test_bad_reset(reset: object, caplog: pytest.LogCaptureFixture) -> None:
    """A reset that says no, fails, lies or hangs costs the connection, and the caller nothing."""
    with WebSocketServer() as server:
        async with WebSocketPool(
            server.uri,
            reset=reset,  # type: ignore[arg-type]
            reset_timeout=0.1,
        ) as pool:
            async with pool.connection("/", LIMIT) as ws:
                pass
            stats = pool.stats()
            assert (stats.total, stats.active) == (0, 0)
            async with pool.connection("/", LIMIT) as again:
                assert again is not ws
    logged = [r.getMessage() for r in caplog.records if r.name == "pool.connection"]
    assert bool(logged) == (reset in (says_nothing, fails, hangs))
    assert all("reset of <WebSocket" in text for text in logged)


async def test_reset_is_asked_each_time() -> None:
    """Also if nothing seems to be left; not after an error, nor of a connection that is closed."""
    asked = []

    async def reset(ws: WebSocket) -> bool:
        asked.append(ws)
        return True

    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, reset=reset) as pool:
            for _ in range(3):
                async with pool.connection("/", LIMIT):
                    pass
            assert len(asked) == 3
            assert len(set(map(id, asked))) == 1
            with pytest.raises(KeyError):
                async with pool.connection("/", LIMIT):
                    raise KeyError
            async with pool.connection("/", LIMIT) as ws:
                await ws.send("!close 1000")
                assert [message async for message in ws] == []
            assert len(asked) == 3


async def test_somebody_still_waits() -> None:
    """A caller who waits for a message on a connection that was released does not get the next one's."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            lease = await pool.acquire("/", LIMIT)
            ws = lease.connection
            call = await start(ws.recv, LIMIT)
            await until(lambda: ws._line._conn.recv_messages.get_in_progress)
            await lease.release()
            with pytest.raises(Exception, match="1000"):
                await call.outcome()
            async with pool.connection("/", LIMIT) as again:
                assert again is not ws
