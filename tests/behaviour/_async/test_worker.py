"""The worker: begun when it is needed, asleep until something is due, ended with its pool."""

import gc
from math import inf
from typing import Any

import pytest

from pool import PoolClosedError
from pool.aio import ConnectionPool
from support.aio import begun, runtime, until

from .fakes import (
    Chance,
    FakeClock,
    Hooked,
    Keeper,
    Manager,
    Recorder,
    assert_empty,
    held,
    stocked,
)

pytestmark = pytest.mark.concurrency


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """Notes what the worker does."""
    return Keeper(monkeypatch)


class Rings:
    """Counts how often any worker is told to look."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.number = 0
        ring = runtime.Worker.ring

        def counted(worker: Any) -> bool:
            self.number += 1
            return ring(worker)

        monkeypatch.setattr(runtime.Worker, "ring", counted)


# -- its beginning ------------------------------------------------------------------------------------


async def test_it_begins_when_there_is_a_connection(clock: FakeClock) -> None:
    """Neither a new pool nor one that only knows an endpoint needs anybody."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        assert not begun(pool._engine.worker)
        await pool.add("e")
        await pool.maintain()
        assert not begun(pool._engine.worker)
        await held(pool)
        assert begun(pool._engine.worker)
    assert_empty(pool, manager)


async def test_it_begins_when_something_is_to_be_filled() -> None:
    """Nobody else would."""
    manager = Manager()
    async with ConnectionPool(manager, min_size=1) as pool:
        assert not begun(pool._engine.worker)
        await pool.add("e")
        assert begun(pool._engine.worker)
        await until(lambda: pool.stats().idle == 1)
    assert_empty(pool, manager)


async def test_one_does_for_all_endpoints(keeper: Keeper, clock: FakeClock) -> None:
    """In one go, if all is due at once."""
    manager = Manager()
    async with ConnectionPool(manager, total_max_size=None) as pool:
        for endpoint in range(50):
            await stocked(pool, 2, endpoint)
        worker = pool._engine.worker
        await keeper.look(pool)
        clock.now += 60.0
        await keeper.look(pool)
        await until(lambda: pool.get_size() == 0)
        assert pool._engine.worker is worker
        assert pool.stats().endpoints == 0
    assert_empty(pool, manager)


async def test_every_pool_has_its_own(keeper: Keeper, clock: FakeClock) -> None:
    """The end of one is none of the other's business."""
    manager = Manager()
    async with ConnectionPool(manager) as pool, ConnectionPool(manager) as other:
        for each in (pool, other):
            await held(each)
        await other.close()
        await until(lambda: not begun(other._engine.worker))
        clock.now += 60.0
        await keeper.tend(pool)
        assert pool.get_size() == 0
        assert begun(pool._engine.worker)
    assert_empty(pool, manager)


# -- its sleep ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ({}, 60.0),
        ({"idle_timeout": 600.0}, 600.0),
        ({"idle_timeout": None}, 3600.0),
        ({"max_lifetime": 30.0}, 30.0),
        ({"idle_timeout": None, "max_lifetime": None}, inf),
        ({"health_check_interval": 20.0}, 20.0),
        ({"min_size": 1}, 60.0),
    ],
)
async def test_it_sleeps_until_something_is_due(
    keeper: Keeper, clock: FakeClock, options: Any, seconds: float
) -> None:
    """Whatever is due first; for ever if nothing is."""
    manager = Hooked()
    async with ConnectionPool(manager, **options) as pool:
        await held(pool)
        await keeper.look(pool)
        assert keeper.naps[-1] == seconds
    assert_empty(pool, manager)


async def test_it_sleeps_while_something_is_in_use(keeper: Keeper, clock: FakeClock) -> None:
    """There is nothing to be done with it before it comes back."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        async with pool.connection("e"):
            clock.now += 60.0
            await keeper.look(pool)
            assert keeper.naps[-1] == inf
        await keeper.look(pool)
        assert keeper.naps[-1] == 60.0
    assert_empty(pool, manager)


async def test_it_sleeps_on_when_what_was_due_was_used(keeper: Keeper, clock: FakeClock) -> None:
    """Then it is due later; in between nobody looks."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool)
        clock.now += 50.0
        await held(pool)
        clock.now += 10.0
        await keeper.look(pool)
        assert keeper.naps[-1] == 50.0
    assert_empty(pool, manager)


async def test_nothing_is_due_in_an_empty_pool(keeper: Keeper, clock: FakeClock) -> None:
    """It sleeps for ever, until there is a connection again."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool)
        clock.now += 60.0
        await keeper.tend(pool)
        assert pool.get_size() == 0
        await keeper.look(pool)
        assert keeper.naps[-1] == inf
    assert_empty(pool, manager)


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize(
    "options", [{}, {"reuse": "fifo"}, {"min_size": 2}, {"health_check_interval": 40.0}]
)
async def test_use_does_not_wake_it(
    monkeypatch: pytest.MonkeyPatch, keeper: Keeper, clock: FakeClock, heard: bool, options: Any
) -> None:
    """Whatever callers do with connections that are there: nobody is rung, nobody polls."""
    manager, rings = Hooked() if heard else Manager(), Rings(monkeypatch)
    listeners = [Recorder().listener] if heard else []
    async with ConnectionPool(manager, event_listeners=listeners, **options) as pool:
        await stocked(pool, 3)
        await until(lambda: pool.stats().idle == 3)
        await keeper.look(pool)
        looks, rung = keeper.looks, rings.number
        for _ in range(30):
            clock.now += 1.0
            await stocked(pool, 3)
        assert rings.number == rung
        assert keeper.looks == looks
    assert_empty(pool, manager)


async def test_what_is_due_earlier_wakes_it(
    monkeypatch: pytest.MonkeyPatch, keeper: Keeper
) -> None:
    """It does not sleep past it."""
    chance, clock, rings = Chance(monkeypatch), FakeClock(monkeypatch), Rings(monkeypatch)
    manager = Manager()
    async with ConnectionPool(manager, idle_timeout=None, max_lifetime=100.0) as pool:
        first = await pool.acquire("e")
        await keeper.look(pool)
        assert keeper.naps[-1] == 100.0
        rung, chance.drawn = rings.number, 1.0
        second = await pool.acquire("e")
        assert rings.number == rung + 1
        await until(lambda: keeper.naps[-1] == 90.0)
        third = await pool.acquire("e")
        assert rings.number == rung + 1
        clock.now += 1.0
        for lease in (first, second, third):
            await lease.release()
    assert_empty(pool, manager)


async def test_it_really_sleeps(keeper: Keeper) -> None:
    """In real time it looks when it begins, when something is due, and when that is done."""
    manager = Manager()
    async with ConnectionPool(manager, idle_timeout=0.1) as pool:
        await held(pool)
        await until(lambda: pool.get_size() == 0)
        assert keeper.looks <= 5
    assert_empty(pool, manager)


# -- its end ------------------------------------------------------------------------------------------


async def test_it_ends_with_its_pool() -> None:
    """When that is closed, and empty."""
    manager = Manager()
    pool = ConnectionPool(manager)
    worker = pool._engine.worker
    lease = await pool.acquire("e")
    await held(pool)
    await pool.close()
    assert begun(worker)
    await lease.release()
    await until(lambda: not begun(worker))
    assert_empty(pool, manager)


async def test_it_ends_with_a_pool_that_was_empty(keeper: Keeper, clock: FakeClock) -> None:
    """There was nothing to close any more, and nothing to wake it later."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await (await pool.acquire("e")).discard()
        await keeper.look(pool)
        assert pool.get_size() == 0
        assert begun(pool._engine.worker)
    await until(lambda: not begun(pool._engine.worker))
    assert_empty(pool, manager)


async def test_it_ends_while_nothing_is_due(keeper: Keeper, clock: FakeClock) -> None:
    """It need not wait for the end of its sleep."""
    manager = Manager()
    async with ConnectionPool(manager, idle_timeout=None, max_lifetime=None) as pool:
        await held(pool)
        await keeper.look(pool)
    await until(lambda: not begun(pool._engine.worker))
    assert keeper.naps[-1] is None
    assert_empty(pool, manager)


async def test_it_does_not_begin_again() -> None:
    """Whatever is asked of a closed pool."""
    manager = Manager()
    async with ConnectionPool(manager, min_size=1) as pool:
        await held(pool)
    await until(lambda: not begun(pool._engine.worker))
    with pytest.raises(PoolClosedError):
        await pool.acquire("e")
    with pytest.raises(PoolClosedError):
        await pool.add("e")
    pool.resize(min_size=2)
    await pool.clear()
    await pool.remove("e")
    await pool.maintain()
    await pool.close()
    assert not begun(pool._engine.worker)
    assert_empty(pool, manager)


async def test_a_pool_that_was_not_used_has_none_to_end() -> None:
    """Closing it begins nothing."""
    pool = ConnectionPool(Manager(), min_size=1)
    await pool.close()
    assert not begun(pool._engine.worker)


async def test_it_ends_when_its_pool_is_dropped() -> None:
    """It does not keep it alive; asleep or not."""
    manager = Manager()
    pool = ConnectionPool(manager, idle_timeout=None, max_lifetime=None)
    await held(pool)
    worker = pool._engine.worker
    assert begun(worker)
    del pool
    gc.collect()
    await until(lambda: not begun(worker))
