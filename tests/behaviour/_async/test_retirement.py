"""Connections that are retired because they were idle for too long. With a worker, and by hand."""

import pytest

from pool.aio import ConnectionPool
from support.aio import Gate

from .callers import Caller, connecting, queued
from .fakes import (
    Connection,
    FakeClock,
    Keeper,
    Manager,
    Recorder,
    assert_empty,
    held,
    stocked,
)

pytestmark = pytest.mark.concurrency


def numbers(connections: list[Connection]) -> list[int]:
    return [connection.number for connection in connections]


# -- idle_timeout -------------------------------------------------------------------------------------


async def test_what_is_idle_for_too_long_is_retired(keeper: Keeper, clock: FakeClock) -> None:
    """When ``idle_timeout`` seconds have passed, and not before."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(
        manager, background_collector=keeper.worker, event_listeners=[recorder.listener]
    ) as pool:
        await held(pool)
        clock.now += 59.999
        await keeper.tend(pool)
        assert pool.stats().idle == 1
        clock.now += 0.001
        await keeper.tend(pool)
        assert pool.get_size() == 0
        assert recorder.reasons() == [(1, "idle")]
    assert_empty(pool, manager)


@pytest.mark.parametrize("start", [42275.934480541124, 1000.0, 77777.77])
async def test_a_look_at_the_very_moment_ends(
    keeper: Keeper, clock: FakeClock, start: float
) -> None:
    """Whatever is lost where seconds are added and subtracted."""
    manager = Manager()
    clock.now = start
    async with ConnectionPool(
        manager, background_collector=keeper.worker, idle_timeout=0.1
    ) as pool:
        await held(pool)
        clock.now = start + 0.1
        await keeper.tend(pool)
        assert pool.get_size() == 0
    assert_empty(pool, manager)


async def test_each_is_retired_in_its_time(keeper: Keeper, clock: FakeClock) -> None:
    """The time counts from when it came back."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker) as pool:
        leases = [await pool.acquire("e") for _ in range(3)]
        for lease in leases:
            await lease.release()
            clock.now += 10.0
        for gone in ([], [1], [1, 2], [1, 2, 3]):
            await keeper.tend(pool)
            assert numbers(manager.disposed) == gone
            clock.now += 30.0 if not gone else 10.0
    assert_empty(pool, manager)


async def test_use_begins_the_time_anew(keeper: Keeper, clock: FakeClock) -> None:
    """A connection that is used now and then stays."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker) as pool:
        for _ in range(5):
            await held(pool)
            clock.now += 50.0
            await keeper.tend(pool)
        assert len(manager.opened) == 1
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_what_is_in_use_is_not_idle(keeper: Keeper, clock: FakeClock) -> None:
    """However long it is held; its time begins when it comes back."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker) as pool:
        async with pool.connection("e") as connection:
            clock.now += 600.0
            await keeper.tend(pool)
            assert not connection.disposed
        clock.now += 59.999
        await keeper.tend(pool)
        assert pool.stats().idle == 1
        clock.now += 0.001
        await keeper.tend(pool)
        assert pool.get_size() == 0
    assert_empty(pool, manager)


async def test_none_means_that_idleness_does_not_matter(keeper: Keeper, clock: FakeClock) -> None:
    """``idle_timeout=None``, and ``max_lifetime=None``: it stays for ever."""
    manager = Manager()
    async with ConnectionPool(
        manager, background_collector=keeper.worker, idle_timeout=None, max_lifetime=None
    ) as pool:
        connection = await held(pool)
        clock.now += 1e9
        await keeper.tend(pool)
        assert await held(pool) is connection
    assert_empty(pool, manager)


async def test_zero_means_that_nothing_is_ever_idle(keeper: Keeper, clock: FakeClock) -> None:
    """Above ``min_size``, which is 0, a connection is closed when it comes back."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker, idle_timeout=0) as pool:
        await held(pool)
        assert numbers(manager.disposed) == [1]
    assert_empty(pool, manager)


async def test_with_zero_the_next_caller_is_served_all_the_same(clock: FakeClock) -> None:
    """He gets a connection of his own: what comes back is over at once."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1, idle_timeout=0) as pool:
        lease = await pool.acquire("e")
        call = await queued(pool, Caller(pool).call)
        await lease.release()
        assert (await call.result()).number == 2
    assert_empty(pool, manager)


# -- min_size -----------------------------------------------------------------------------------------


async def test_idleness_leaves_the_minimum(keeper: Keeper, clock: FakeClock) -> None:
    """Those that were used last stay, however long they are idle then."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker, min_size=2) as pool:
        leases = [await pool.acquire("e") for _ in range(4)]
        for lease in leases:
            await lease.release()
            clock.now += 1.0
        for _ in range(3):
            clock.now += 60.0
            await keeper.tend(pool)
            assert numbers(manager.disposed) == [1, 2]
        assert len(manager.opened) == 4
    assert_empty(pool, manager)


async def test_the_minimum_is_lent_however_long_it_was_idle(
    keeper: Keeper, clock: FakeClock
) -> None:
    """It is not over: only its lifetime could end it."""
    manager = Manager()
    async with ConnectionPool(
        manager, background_collector=keeper.worker, min_size=1, max_size=1
    ) as pool:
        connection = await held(pool)
        clock.now += 600.0
        assert await held(pool) is connection
    assert_empty(pool, manager)


async def test_what_is_above_the_minimum_is_not_lent_when_it_was_idle_for_too_long(
    keeper: Keeper, clock: FakeClock
) -> None:
    """Nobody need have looked before."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker, min_size=1) as pool:
        await stocked(pool, 3)
        clock.now += 60.001
        connection = await held(pool)
        assert numbers(manager.disposed) == [3, 2]
        assert connection.number == 1
    assert_empty(pool, manager)


async def test_one_that_was_kept_goes_when_there_is_another(
    keeper: Keeper, clock: FakeClock
) -> None:
    """Once it was the minimum; now the other one is, which is in use."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker, min_size=1) as pool:
        await held(pool)
        clock.now += 600.0
        await keeper.tend(pool)
        first = await pool.acquire("e")
        second = await pool.acquire("e")
        await first.release()
        clock.now += 60.0
        await keeper.tend(pool)
        assert numbers(manager.disposed) == [1]
        await second.release()
    assert_empty(pool, manager)


async def test_one_that_was_kept_goes_when_the_minimum_is_made_smaller(
    keeper: Keeper, clock: FakeClock
) -> None:
    """Though it was in use at that time."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker, min_size=1) as pool:
        await held(pool)
        clock.now += 600.0
        await keeper.tend(pool)
        async with pool.connection("e"):
            pool.resize(min_size=0)
        clock.now += 60.0
        await keeper.tend(pool)
        assert pool.get_size() == 0
    assert_empty(pool, manager)


async def test_the_minimum_made_smaller_lets_the_idle_go(keeper: Keeper, clock: FakeClock) -> None:
    """Those that were idle for too long already go at the next look."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker, min_size=3) as pool:
        await stocked(pool, 3)
        clock.now += 600.0
        await keeper.tend(pool)
        assert pool.stats().idle == 3
        pool.resize(min_size=1)
        await keeper.tend(pool)
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_one_that_is_being_opened_is_not_there_yet(keeper: Keeper, clock: FakeClock) -> None:
    """It may fail: until it is ready, it is none of those that are to be kept."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker, min_size=1) as pool:
        lease = await pool.acquire("e")
        manager.errors = [OSError("refused")]
        gate = manager.create_gate = Gate()
        call = await connecting(pool, Caller(pool, timeout=None).call)
        await lease.release()
        clock.now += 60.001
        if keeper.worker:
            await keeper.look(pool)
        else:
            await pool.maintain()
        assert not manager.disposed
        assert await held(pool) is manager.opened[0]
        gate.open()
        with pytest.raises(OSError, match="refused"):
            await call.result()
    assert_empty(pool, manager)


async def test_one_that_has_failed_does_not_count(keeper: Keeper, clock: FakeClock) -> None:
    """When it is gone, the other one is retired in its time as ever."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker) as pool:
        lease = await pool.acquire("e")
        manager.errors = [OSError("refused")]
        gate = manager.create_gate = Gate()
        call = await connecting(pool, Caller(pool, timeout=None).call)
        await lease.release()
        clock.now += 59.0
        gate.open()
        with pytest.raises(OSError, match="refused"):
            await call.result()
        clock.now += 1.0
        await keeper.tend(pool)
        assert pool.get_size() == 0
    assert_empty(pool, manager)
