"""``max_waiting``: how many callers may queue."""

import pytest

from pool import PoolOverloadedError, PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate

from .callers import Caller, connecting, queued
from .fakes import Manager, assert_empty, held

pytestmark = pytest.mark.concurrency


async def test_one_more_than_may_wait_is_turned_away_at_once() -> None:
    """With an error that says so and names the bound; those who wait are still served."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1, max_waiting=2) as pool:
        lease = await pool.acquire("e")
        calls = [await queued(pool, Caller(pool).call) for _ in range(2)]
        with pytest.raises(PoolOverloadedError, match=r"'e'.*max_waiting=2.*1 in use.*2 waiting"):
            await pool.acquire("e")
        assert pool.stats().waiting == 2
        await lease.release()
        for call in calls:
            assert await call.result() is manager.opened[0]
    assert_empty(pool, manager)


async def test_nobody_may_wait() -> None:
    """With ``max_waiting=0`` there is a connection or room at once, or there is an error."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1, max_waiting=0) as pool:
        lease = await pool.acquire("e")
        with pytest.raises(PoolOverloadedError, match="max_waiting=0"):
            await pool.acquire("e")
        await lease.release()
        assert await held(pool) is manager.opened[0]
    assert_empty(pool, manager)


async def test_callers_held_back_by_max_connecting_count_as_waiting() -> None:
    """There is room for another connection, but no permit to open it, and nobody may wait."""
    manager = Manager()
    manager.create_gate = Gate()
    async with ConnectionPool(manager, max_connecting=1, max_waiting=0) as pool:
        call = await connecting(pool, Caller(pool).call)
        with pytest.raises(PoolOverloadedError):
            await pool.acquire("e")
        manager.create_gate.open()
        await call.result()
    assert_empty(pool, manager)


async def test_a_place_in_the_queue_is_free_again_when_a_waiter_leaves() -> None:
    """Whoever was served or timed out counts no more."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1, max_waiting=1) as pool:
        lease = await pool.acquire("e")
        hasty = await queued(pool, Caller(pool, timeout=0.05).call)
        with pytest.raises(PoolTimeoutError):
            await hasty.result()
        patient = await queued(pool, Caller(pool).call)
        await lease.release()
        await patient.result()
    assert_empty(pool, manager)


async def test_each_endpoint_has_its_own_waiters() -> None:
    """A full queue at one endpoint turns nobody away at another."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1, max_waiting=1) as pool:
        leases = [await pool.acquire(endpoint) for endpoint in ("a", "b")]
        calls = [await queued(pool, Caller(pool, endpoint=endpoint).call) for endpoint in "ab"]
        for lease in leases:
            await lease.release()
        for call, endpoint in zip(calls, "ab", strict=True):
            assert (await call.result()).endpoint == endpoint
    assert_empty(pool, manager)
