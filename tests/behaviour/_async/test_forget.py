"""Endpoints that nobody needs any more are forgotten; what they did stays in the totals."""

from typing import Any

import pytest

from pool import PoolStats, PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import until

from .fakes import Connection, FakeClock, Hooked, Manager, Recorder, assert_empty, held


def recorded(manager: Manager, **options: Any) -> tuple[ConnectionPool[Any, Connection], Recorder]:
    recorder = Recorder()
    return ConnectionPool(manager, event_listeners=[recorder.listener], **options), recorder


async def test_an_endpoint_that_nobody_needs_is_forgotten() -> None:
    """Without connections and waiters it leaves no trace."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await (await pool.acquire("e")).discard()
        assert pool.stats().endpoints == 0
        assert pool.stats("e") == PoolStats()
        assert "'e'" not in pool.explain()
    assert_empty(pool, manager)


async def test_a_forgotten_endpoint_starts_afresh() -> None:
    """Its next use is its first one: created, ready, and ids from 1."""
    manager = Manager()
    pool, recorder = recorded(manager)
    async with pool:
        await (await pool.acquire("e")).discard()
        recorder.clear()
        lease = await pool.acquire("e")
        assert lease.id == 1
        assert recorder.names()[:2] == ["PoolCreated", "PoolReady"]
        await lease.release()
    assert_empty(pool, manager)


async def test_clearing_everything_makes_an_endpoint_forgotten() -> None:
    """What has no connection any more is not kept for having had some."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool)
        await pool.clear("e")
        assert pool.stats().endpoints == 0
    assert_empty(pool, manager)


async def test_a_failed_connect_leaves_no_endpoint_behind() -> None:
    """A mistyped address is not remembered."""
    manager = Manager()
    manager.errors = [OSError("refused")]
    async with ConnectionPool(manager) as pool:
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        await until(lambda: pool.stats().endpoints == 0)
        assert pool.stats().errors == 1
    assert_empty(pool, manager)


async def test_a_caller_without_time_leaves_no_endpoint_behind() -> None:
    """Now or never at an endpoint that nobody has used: never."""
    async with ConnectionPool(Manager()) as pool:
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 0)
        assert pool.stats() == PoolStats(timeouts=1)


async def test_an_endpoint_with_an_idle_connection_is_remembered() -> None:
    """So is one whose connections are in use or being closed."""
    manager = Manager()
    pool, recorder = recorded(manager)
    async with pool:
        for _ in range(3):
            await held(pool)
        assert pool.stats().endpoints == 1
        assert recorder.names().count("PoolCreated") == 1
    assert_empty(pool, manager)


async def test_a_caller_whose_dead_connection_was_the_last_starts_nothing_afresh() -> None:
    """The endpoint is needed by the very caller who replaces the connection: ids go on."""
    manager = Hooked()
    pool, recorder = recorded(manager, check_after_idle=0)
    async with pool:
        (await held(pool)).alive = False
        lease = await pool.acquire("e")
        assert lease.id == 2
        assert recorder.names().count("PoolCreated") == 1
        await lease.release()
        await until(lambda: pool.stats().closing == 0)
    assert_empty(pool, manager)


async def test_the_totals_outlive_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """What happened at an endpoint that is forgotten stays in the totals of the pool."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager) as pool:
        for endpoint in ("a", "b"):
            lease = await pool.acquire(endpoint)
            with pytest.raises(PoolTimeoutError):
                await pool.acquire("c", 0)
            clock.now += 2.0
            await lease.discard()
        manager.errors = [OSError("refused")]
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("d")
        await until(lambda: pool.stats().endpoints == 0)
        assert pool.stats() == PoolStats(
            created=2, closed=2, acquired=2, released=2, timeouts=2, errors=1, use_time=4.0
        )
    assert_empty(pool, manager)


async def test_the_totals_of_a_removed_endpoint_are_kept() -> None:
    """The same for one that was taken away."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool)
        await pool.remove("e")
        stats = pool.stats()
        assert (stats.created, stats.closed, stats.acquired, stats.released) == (1, 1, 1, 1)
        assert pool.stats("e") == PoolStats()
    assert_empty(pool, manager)
