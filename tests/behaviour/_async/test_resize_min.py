"""``resize``: how many connections are kept."""

from typing import Any

import pytest

from pool.aio import ConnectionPool
from support.aio import Gate, call_soon, until

from .fakes import FakeClock, Manager, Recorder, held
from .watchers import Watched, emptied

pytestmark = pytest.mark.concurrency


async def filled(pool: ConnectionPool[Any, Any], endpoint: str, number: int) -> None:
    """Wait until so many are kept."""
    await until(lambda: pool.stats(endpoint).idle == number)


# -- more -------------------------------------------------------------------------------------------


async def test_a_larger_minimum_fills() -> None:
    """Every endpoint that is known, and those that are used later."""
    manager = Watched()
    async with ConnectionPool(manager) as pool:
        await pool.add("a")
        await held(pool, "b")
        pool.resize(min_size=3)
        await held(pool, "c")
        for endpoint in "abc":
            await filled(pool, endpoint, 3)
        assert manager.started == 9
    await emptied(pool, manager)


async def test_a_larger_minimum_opens_no_more_at_once_than_is_allowed() -> None:
    """``max_connecting`` holds for the refill."""
    manager = Watched()
    async with ConnectionPool(manager, max_connecting=2) as pool:
        await pool.add("a")
        gate = manager.create_gate = Gate()
        pool.resize(min_size=4)
        await until(lambda: gate.waiting)
        assert pool.stats().connecting <= 2
        gate.open()
        await filled(pool, "a", 4)
        assert manager.most_opening["a"] <= 2
    await emptied(pool, manager)


async def test_those_in_use_count() -> None:
    """Only what is missing is opened."""
    manager = Watched()
    async with ConnectionPool(manager) as pool:
        leases = [await pool.acquire("a") for _ in range(2)]
        pool.resize(min_size=3)
        await filled(pool, "a", 1)
        for lease in leases:
            await lease.release()
        await pool.maintain()
        assert manager.started == 3
    await emptied(pool, manager)


async def test_a_larger_minimum_keeps_what_would_be_retired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As many as are to be kept now."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, idle_timeout=60.0) as pool:
        leases = [await pool.acquire("a") for _ in range(3)]
        for lease in leases:
            await lease.release()
        pool.resize(min_size=2)
        clock.now += 61.0
        await pool.maintain()
        await until(lambda: pool.stats().closing == 0)
        assert (pool.stats().idle, len(manager.disposed)) == (2, 1)
    await emptied(pool, manager)


async def test_warming_up_waits_for_the_new_minimum() -> None:
    """More are to be there before it ends."""
    manager = Watched()
    async with ConnectionPool(manager, min_size=1) as pool:
        gate = manager.create_gate = Gate()
        call = await call_soon(pool.warm_up, "a", 10.0)
        await until(lambda: gate.waiting == 1)
        pool.resize(min_size=3)
        gate.open()
        await call.result()
        assert pool.stats("a").idle == 3
    await emptied(pool, manager)


async def test_warming_up_ends_when_enough_are_there_by_the_new_minimum() -> None:
    """It does not wait for what is not wanted any more."""
    manager = Watched()
    async with ConnectionPool(manager, min_size=2) as pool:
        gate = manager.create_gate = Gate()
        call = await call_soon(pool.warm_up, "a", 10.0)
        await until(lambda: gate.waiting)
        pool.resize(min_size=0)
        await call.result()
        gate.open()
        await until(lambda: pool.stats().connecting == 0)
    await emptied(pool, manager)


async def test_both_sizes_at_once() -> None:
    """More room, and more to be kept."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=1, min_size=1) as pool:
        await pool.warm_up("a")
        pool.resize(max_size=4, min_size=4)
        await filled(pool, "a", 4)
        pool.resize(max_size=2, min_size=2)
        await until(lambda: pool.stats().total == 2)
        assert len(manager.disposed) == 2
    await emptied(pool, manager)


async def test_who_waits_goes_before_what_is_to_be_kept() -> None:
    """With more room, the queue is served first."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=1, max_connecting=1) as pool:
        lease = await pool.acquire("a")
        gate = manager.create_gate = Gate()
        calls = [await call_soon(pool.acquire, "a", 10.0) for _ in range(2)]
        await until(lambda: pool.stats().waiting == 2)
        pool.resize(max_size=3, min_size=3)
        gate.open()
        leases = [lease, *[await call.result() for call in calls]]
        assert (pool.stats("a").in_use, manager.started) == (3, 3)
        for lease in leases:
            await lease.release()
        await pool.maintain()
        assert manager.started == 3
    await emptied(pool, manager)


# -- fewer ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_smaller_minimum_lets_idle_ones_retire(
    by_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those whose time was over already at once, with the reason idle; the worker is woken."""
    clock, manager, recorder = FakeClock(monkeypatch), Manager(), Recorder()
    options: dict[str, Any] = {"min_size": 3, "background_collector": not by_hand}
    async with ConnectionPool(manager, event_listeners=[recorder.listener], **options) as pool:
        await pool.warm_up("a")
        clock.now += 61.0
        await pool.maintain()
        assert pool.stats().idle == 3
        pool.resize(min_size=1)
        if by_hand:
            await pool.maintain()
        await until(lambda: pool.stats().total == 1)
        assert [reason for _, reason in recorder.reasons()] == ["idle", "idle"]
    await emptied(pool, manager)


async def test_a_smaller_minimum_closes_nothing_that_is_fresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each has its time to be idle first."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, min_size=3) as pool:
        await pool.warm_up("a")
        clock.now += 59.0
        pool.resize(min_size=0)
        await pool.maintain()
        assert pool.stats().idle == 3
        clock.now += 2.0
        await pool.maintain()
        await until(lambda: pool.stats().total == 0)
    await emptied(pool, manager)


async def test_without_a_minimum_empty_endpoints_are_forgotten() -> None:
    """At once, unless they were added; the others when their last connection is gone."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1, min_size=1, total_max_size=2) as pool:
        await pool.add("added")
        await until(lambda: pool.stats("added").idle == 1)
        for endpoint in "abc":
            await held(pool, endpoint)
        assert pool.stats().endpoints == 4
        pool.resize(min_size=0)
        assert sorted(pool._engine.core.endpoints()) == ["added", "b", "c"]
        await pool.clear("b")
        assert sorted(pool._engine.core.endpoints()) == ["added", "c"]
    await emptied(pool, manager)


async def test_a_refill_under_way_is_kept_though_it_is_needed_no_more() -> None:
    """It was opened: it is idle like any other, and nothing more is opened."""
    manager = Watched()
    async with ConnectionPool(manager, min_size=2, max_connecting=1) as pool:
        gate = manager.create_gate = Gate()
        await pool.add("a")
        await until(lambda: gate.waiting == 1)
        pool.resize(min_size=0)
        gate.open()
        await filled(pool, "a", 1)
        await pool.maintain()
        assert manager.started == 1
    await emptied(pool, manager)
