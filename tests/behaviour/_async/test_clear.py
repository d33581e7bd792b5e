"""Clearing a pool that is not ``paused``: a new generation, and nobody is turned away."""

import pytest

from pool.aio import ConnectionPool
from pool.monitoring import ConnectionCheckedInEvent, ConnectionClosedEvent, PoolClearedEvent
from support.aio import Gate, call_soon, until

from .fakes import Manager, Recorder, assert_empty, held


async def test_idle_connections_are_closed_before_clear_returns() -> None:
    """What is idle is disposed of when ``clear`` returns, with the reason stale."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        first = await pool.acquire("e")
        await held(pool)
        await first.release()
        await pool.clear("e")
        assert (pool.stats().total, manager.live) == (0, 0)
        assert sorted(recorder.reasons()) == [(1, "stale"), (2, "stale")]
    assert_empty(pool, manager)


async def test_only_the_endpoint_named_is_cleared() -> None:
    """The connections of other endpoints stay."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool, "a")
        kept = await held(pool, "b")
        await pool.clear("a")
        assert (pool.stats("a").total, pool.stats("b").idle) == (0, 1)
        assert await held(pool, "b") is kept
    assert_empty(pool, manager)


async def test_all_endpoints_are_cleared_when_none_is_named() -> None:
    """``clear()`` is for every endpoint, and each one is told."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        await held(pool, "a")
        await held(pool, "b")
        await pool.clear()
        assert pool.stats().total == 0
        cleared = [event for event in recorder.events if type(event) is PoolClearedEvent]
        assert {event.address for event in cleared} == {"a", "b"}
        assert len(cleared) == 2
    assert_empty(pool, manager)


async def test_clearing_an_unknown_endpoint_does_nothing() -> None:
    """Nothing is told and nothing becomes known."""
    recorder = Recorder()
    async with ConnectionPool(Manager(), event_listeners=[recorder.listener]) as pool:
        await pool.clear("e")
        await pool.clear()
        assert recorder.events == []
        assert pool.stats().endpoints == 0


async def test_a_connection_in_use_is_closed_when_it_comes_back() -> None:
    """It can be used to the end of its lease: then checked in, then closed as stale."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        async with pool.connection("e"):
            await pool.clear("e")
            assert (pool.stats().in_use, manager.live) == (1, 1)
            recorder.clear()
        assert recorder.events == [
            ConnectionCheckedInEvent("e", 1),
            ConnectionClosedEvent("e", 1, "stale"),
        ]
        assert manager.live == 0
    assert_empty(pool, manager)


async def test_without_listeners_too_a_stale_connection_is_not_reused() -> None:
    """The short way of a pool that tells nobody keeps to the generation."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        async with pool.connection("e") as connection:
            await pool.clear("e")
        assert connection.disposed
        assert await held(pool) is not connection
    assert_empty(pool, manager)


async def test_connections_opened_after_a_clear_are_kept() -> None:
    """A clear is about the connections of its moment, also while older ones are in use."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        old = await pool.acquire("e")
        await pool.clear("e")
        fresh = await held(pool)
        await old.release()
        assert not fresh.disposed
        assert await held(pool) is fresh
    assert_empty(pool, manager)


async def test_the_clear_is_told_before_its_connections_close() -> None:
    """Cleared comes first, then the closes; it says that nothing is interrupted."""
    recorder = Recorder()
    async with ConnectionPool(Manager(), event_listeners=[recorder.listener]) as pool:
        await held(pool)
        recorder.clear()
        await pool.clear("e")
        assert recorder.events == [
            PoolClearedEvent("e", None, False),
            ConnectionClosedEvent("e", 1, "stale"),
        ]


async def test_every_clear_of_a_ready_pool_is_told() -> None:
    """Without ``paused`` there is no state in which a clear would be no news."""
    recorder = Recorder()
    async with ConnectionPool(Manager(), event_listeners=[recorder.listener]) as pool:
        await pool.add("e")
        recorder.clear()
        await pool.clear("e")
        await pool.clear("e")
        assert recorder.names() == ["PoolCleared", "PoolCleared"]


@pytest.mark.concurrency
async def test_clear_waits_until_the_idle_ones_are_disposed_of() -> None:
    """While a dispose goes on, ``clear`` has not returned and the connection counts as closing."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool)
        manager.dispose_gate = Gate()
        clearing = await call_soon(pool.clear, "e")
        await until(lambda: manager.dispose_gate.waiting == 1)
        assert not clearing.done()
        assert (pool.stats().closing, pool.stats().idle) == (1, 0)
        manager.dispose_gate.open()
        await clearing.result()
        assert pool.stats().total == 0
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_the_queue_stays_and_is_served_by_new_connections() -> None:
    """Who waits at a clear goes on waiting, and gets a connection of the new generation."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        old = await pool.acquire("e")
        waiting = await call_soon(pool.acquire, "e")
        await until(lambda: pool.stats().waiting == 1)
        await pool.clear("e")
        assert (pool.stats().waiting, waiting.done()) == (1, False)
        stale = old.connection
        await old.release()
        lease = await waiting.result()
        assert lease.connection is not stale
        assert manager.most_live == 1
        await lease.release()
        assert pool.stats().idle == 1
    assert_empty(pool, manager)
