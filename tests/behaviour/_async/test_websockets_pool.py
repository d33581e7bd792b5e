"""A pool of WebSockets as a pool: who waits, what is counted, told, checked and kept."""

import gc

import pytest

from pool.aio import ConnectionPool
from pool.aio.websockets import WebSocket, WebSocketManager, WebSocketPool, WebSocketStats
from pool.errors import PoolTimeoutError
from pool.monitoring import ConnectionClosedEvent
from pool.testing import EventRecorder
from support.aio_net import start, until
from support.websocket_servers import WebSocketServer

LIMIT = 10.0
"""Seconds that no test needs."""


async def test_one_endpoint() -> None:
    """A path and its whole URI share connections and counts."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            async with pool.connection("a", LIMIT) as ws:
                await ws.send("x")
                assert await ws.recv(LIMIT) == "x"
            whole = f"WS://127.0.0.1:{server.port}/a"
            async with pool.connection(whole, LIMIT) as again:
                assert again is ws
            async with pool.connection("/b", LIMIT) as other:
                assert other is not ws
            assert pool.stats(whole) == pool.stats("a") == pool.stats("/a")
            assert pool.stats("a") == WebSocketStats(
                total=1, idle=1, messages_sent=1, messages_received=1
            )
            assert pool.stats("b") == WebSocketStats(total=1, idle=1)
            assert server.paths == ["/a", "/b"]
            await pool.remove(whole)
            assert pool.stats("a").total == 0
            assert pool.stats().total == 1
        assert pool.stats() == WebSocketStats(messages_sent=1, messages_received=1)


async def test_two_callers() -> None:
    """Two at a time have two connections, and each gets what is meant for him."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:

            async def use(name: str) -> None:
                for number in range(50):
                    async with pool.connection("/", LIMIT) as ws:
                        await ws.send(f"{name} {number}")
                        assert await ws.recv(LIMIT) == f"{name} {number}"

            calls = [await start(use, name) for name in "abcd"]
            for call in calls:
                await call.outcome()
            assert 1 <= server.opened <= 4
            stats = pool.stats()
            assert (stats.messages_sent, stats.messages_received) == (200, 200)
            assert stats.reconnects == 0
        await until(lambda: server.codes == [1000] * server.opened)


async def test_fair() -> None:
    """Those who wait at ``max_size`` are served in their order."""
    served: list[int] = []
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, max_size=1) as pool:

            async def use(number: int) -> None:
                async with pool.connection("/", LIMIT) as ws:
                    served.append(number)
                    await ws.send("x")
                    await ws.recv(LIMIT)

            lease = await pool.acquire("/", LIMIT)
            calls = []
            for number in range(5):
                calls.append(await start(use, number))
                await until(lambda n=number: pool.stats().waiting == n + 1)  # type: ignore[misc]
            await lease.release()
            for call in calls:
                await call.outcome()
        assert served == [0, 1, 2, 3, 4]
        assert server.opened == 1


async def test_dirty_handed_on() -> None:
    """Who waits does not get the dirty connection of the one before, but a new one in its place."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, max_size=1) as pool:
            lease = await pool.acquire("/", LIMIT)
            first = lease.connection
            await first.send("!twice x")
            await first.recv(LIMIT)
            await until(first._line._has_unread)

            async def use() -> WebSocket:
                async with pool.connection("/", LIMIT) as ws:
                    await ws.send("mine")
                    assert await ws.recv(LIMIT) == "mine"
                    return ws

            call = await start(use)
            await until(lambda: pool.stats().waiting == 1)
            await lease.release()
            assert await call.outcome() is not first
            assert server.opened == 2
            assert pool.stats() == WebSocketStats(
                total=1, idle=1, messages_sent=2, messages_received=2
            )


async def test_events() -> None:
    """The events are those of every pool: a dirty connection is closed after it was checked in."""
    recorder = EventRecorder()
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, event_listeners=[recorder]) as pool:
            async with pool.connection("/", LIMIT):
                pass
            async with pool.connection("/", LIMIT) as ws:
                ws.subscriptions.add(1)
    names = [type(event).__name__ for event in recorder.events]
    assert names == [
        "PoolCreatedEvent",
        "PoolReadyEvent",
        "ConnectionCheckOutStartedEvent",
        "ConnectionCreatedEvent",
        "ConnectionReadyEvent",
        "ConnectionCheckedOutEvent",
        "ConnectionCheckedInEvent",
        "ConnectionCheckOutStartedEvent",
        "ConnectionCheckedOutEvent",
        "ConnectionCheckedInEvent",
        "ConnectionClosedEvent",
    ]
    assert isinstance(recorder.events[-1], ConnectionClosedEvent)
    assert recorder.events[-1].reason == "error"


async def test_call_sites() -> None:
    """Who holds a connection is told by where he asked for it, not by where the face did."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri) as pool:
            async with pool.connection("/", LIMIT):
                assert "in test_call_sites" in pool.explain()
                assert "websockets.py" not in pool.explain().replace("test_websockets", "")
            lease = await pool.acquire("/", LIMIT)
            assert "in test_call_sites" in pool.explain()
            await lease.release()


async def test_stock() -> None:
    """Connections are opened ahead, and kept alive by the pool's own pings."""
    with WebSocketServer() as server:
        async with WebSocketPool(
            server.uri, min_size=2, health_check_interval=0.05, ping_after=100
        ) as pool:
            await pool.warm_up("/", LIMIT)
            assert pool.stats("/").idle == 2
            leases = [await pool.acquire("/", LIMIT) for _ in range(2)]
            both = [lease.connection for lease in leases]
            for lease in leases:
                await lease.release()
            await until(lambda: all(ws.latency is not None for ws in both))
            assert server.opened == 2
            # One that the server leaves is replaced without anybody asking for it.
            server.vanish()
            await until(lambda: server.opened == 4)
            await until(lambda: pool.stats("/").idle == 2)
            assert pool.stats("/").reconnects == 2


async def test_acquire_pings_after_some_idleness() -> None:
    """Not before, since that takes time."""
    with WebSocketServer() as server:
        for seconds, pinged in ((0, True), (100, False)):
            async with WebSocketPool(server.uri, ping_after=seconds) as pool:
                async with pool.connection("/", LIMIT):
                    pass
                async with pool.connection("/", LIMIT) as ws:
                    pass
                assert (ws.latency is not None) == pinged


async def test_the_other_calls() -> None:
    """They are those of every pool, with a path where it wants an endpoint."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, paused=True, name="x") as pool:
            await pool.add("/a")
            with pytest.raises(Exception, match="paused"):
                await pool.acquire("/a", LIMIT)
            await pool.ready("a")
            async with pool.connection("/a", LIMIT):
                pool.resize(max_size=1)
                assert pool.options.max_size == 1
                with pytest.raises(PoolTimeoutError):
                    await pool.acquire("/a", 0)
            await pool.maintain()
            assert pool.stats("a").idle == 1
            await pool.clear("a")
            assert pool.stats("a").total == 0
            with pytest.raises(Exception, match="paused"):
                await pool.acquire("/a", LIMIT)
            assert pool.base_uri == server.uri
        await until(lambda: server.codes == [1000])


async def test_retired_is_not_lost() -> None:
    """What the pool itself closes is replaced by no reconnect."""
    with WebSocketServer() as server:
        async with WebSocketPool(server.uri, max_uses=1) as pool:
            for _ in range(3):
                async with pool.connection("/", LIMIT):
                    pass
            lease = await pool.acquire("/", LIMIT)
            await lease.discard()
            await pool.clear()
            async with pool.connection("/", LIMIT):
                pass
            assert pool.stats().reconnects == 0
            assert server.opened == 5


async def test_the_manager_alone() -> None:
    """The manager serves any pool that looks at each acquire."""
    with WebSocketServer() as server:
        manager = WebSocketManager(json=True)
        async with ConnectionPool(manager, check_after_idle=0) as pool:
            async with pool.connection(server.uri, LIMIT) as ws:
                await ws.send([1])
                assert await ws.recv(LIMIT) == [1]
            server.say("late")
            async with pool.connection(server.uri, LIMIT) as again:
                assert again is not ws


async def test_a_pool_that_is_dropped() -> None:
    """Its connections end with it, although nobody has closed them."""
    with WebSocketServer() as server:

        async def use() -> None:
            pool = WebSocketPool(server.uri)
            async with pool.connection("/", LIMIT) as ws:
                await ws.send("x")
                assert await ws.recv(LIMIT) == "x"

        await use()
        assert len(server.all()) == 1
        gc.collect()
        await until(lambda: not server.peers)
