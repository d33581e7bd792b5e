"""``background_collector=False``: nobody keeps the pool but its callers, and whoever calls ``maintain``."""

import threading
from typing import Any

import pytest

from pool.aio import ConnectionPool
from support.aio import Gate, Running, begun, call_soon, until

from .callers import Caller, connecting, queued
from .fakes import (
    Connection,
    FakeClock,
    Hooked,
    Manager,
    Recorder,
    assert_empty,
    held,
    stocked,
)

pytestmark = pytest.mark.concurrency


class Unattended(ConnectionPool[Any, Connection]):
    """Has no worker."""

    def __init__(self, manager: Manager, **options: Any) -> None:
        super().__init__(manager, **{"background_collector": False, "max_size": 50, **options})


async def aged(pool: ConnectionPool[Any, Connection], clock: FakeClock, number: int) -> Any:
    """Leave so many idle that are over, and return the lease of one that is not."""
    lease = await pool.acquire("other")
    await stocked(pool, number)
    clock.now += 60.0
    return lease


# -- nobody is there --------------------------------------------------------------------------------


async def test_nobody_works_in_the_background(clock: FakeClock) -> None:
    """No thread and no task is ever begun, whatever becomes due."""
    manager, before = Hooked(), threading.enumerate()
    async with Unattended(
        manager,
        min_size=2,
        health_check_interval=10.0,
        leak_threshold=5.0,
        dispose_batch_size=1,
        event_listeners=[Recorder().listener],
    ) as pool:
        worker = pool._engine.worker
        await pool.add("a")
        for endpoint in ("a", "b"):
            await stocked(pool, 4, endpoint)
            clock.now += 100.0
            await held(pool, endpoint)
            assert not begun(worker)
        await (await pool.acquire("a")).discard()
        await pool.clear("a")
        pool.resize(min_size=1, max_size=3)
        await pool.maintain()
        await pool.warm_up("c", 0)
        await pool.remove("a")
        assert not begun(worker)
    assert not begun(worker)
    assert set(threading.enumerate()) <= set(before)
    assert_empty(pool, manager)


async def test_nothing_is_opened_for_stock() -> None:
    """Not without ``warm_up`` or ``maintain``."""
    manager = Manager()
    async with Unattended(manager, min_size=3) as pool:
        await pool.add("e")
        await held(pool)
        await (await pool.acquire("e")).discard()
        assert manager.started == 1
    assert_empty(pool, manager)


async def test_nothing_is_checked_in_the_background(clock: FakeClock) -> None:
    """Not by those who release: a check may take long."""
    manager = Hooked()
    async with Unattended(manager, health_check_interval=10.0, check_after_idle=None) as pool:
        lease = await pool.acquire("other")
        await stocked(pool, 3)
        clock.now += 20.0
        await lease.release()
        assert "check_aliveness" not in manager.calls
        await pool.maintain()
        assert manager.calls.count("check_aliveness") == 3
    assert_empty(pool, manager)


# -- a release retires ------------------------------------------------------------------------------


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("batch", [1, 2, 5])
async def test_a_release_retires_a_batch(clock: FakeClock, batch: int, heard: bool) -> None:
    """Of those that are over, ``dispose_batch_size`` at a time, anywhere in the pool."""
    manager, recorder = Manager(), Recorder()
    listeners = [recorder.listener] if heard else []
    async with Unattended(manager, dispose_batch_size=batch, event_listeners=listeners) as pool:
        lease = await aged(pool, clock, 5)
        for gone in range(0, 5, batch):
            assert len(manager.disposed) == gone
            await lease.release()
            lease = await pool.acquire("other", 0)
        assert len(manager.disposed) == 5
        await lease.release()
        assert pool.get_size() == 1
        assert {reason for _, reason in recorder.reasons()} <= {"idle"}
    assert_empty(pool, manager)


@pytest.mark.parametrize(("idle", "batch"), [(1, 2), (2, 2), (3, 3), (6, 3), (7, 4), (30, 5)])
async def test_zero_lets_the_size_decide(clock: FakeClock, idle: int, batch: int) -> None:
    """As many as the number of all connections has binary digits: the more there are, the more go."""
    manager = Manager()
    async with Unattended(manager) as pool:
        lease = await aged(pool, clock, idle)
        await lease.release()
        assert len(manager.disposed) == min(batch, idle)
    assert_empty(pool, manager)


async def test_only_what_is_over_is_retired(clock: FakeClock) -> None:
    """Neither what came back just now nor what is in use."""
    manager = Manager()
    async with Unattended(manager) as pool:
        lease = await aged(pool, clock, 2)
        busy = await pool.acquire("third")
        await held(pool, "fourth")
        await lease.release()
        assert [connection.endpoint for connection in manager.disposed] == ["e", "e"]
        clock.now += 600.0
        await held(pool, "other")
        assert not busy.connection.disposed
        await busy.release()
    assert_empty(pool, manager)


async def test_what_is_kept_stays(clock: FakeClock) -> None:
    """A release goes never below ``min_size``."""
    manager = Manager()
    async with Unattended(manager, min_size=2, dispose_batch_size=10) as pool:
        lease = await aged(pool, clock, 5)
        await lease.release()
        assert pool.stats("e").idle == 2
        clock.now += 600.0
        await held(pool, "other")
        assert pool.stats("e").idle == 2
    assert_empty(pool, manager)


async def test_what_comes_back_late_is_retired_later(clock: FakeClock) -> None:
    """It was in use when somebody looked; it is not forgotten."""
    manager = Manager()
    async with Unattended(manager) as pool:
        leases = [await pool.acquire("e") for _ in range(2)]
        clock.now += 60.0
        await held(pool, "other")
        for lease in leases:
            await lease.release()
        clock.now += 60.0
        await held(pool, "other")
        assert pool.get_size() == 1
    assert_empty(pool, manager)


async def test_a_release_that_hands_over_retires_too(clock: FakeClock) -> None:
    """The next caller gets the connection; what is over elsewhere goes."""
    manager = Manager()
    async with Unattended(manager, max_size=1, min_size=0) as pool:
        await held(pool, "old")
        lease = await pool.acquire("e")
        clock.now += 60.0
        call = await queued(pool, Caller(pool, timeout=None).call)
        await lease.release()
        assert (await call.result()).endpoint == "e"
        await until(lambda: pool.get_size() == 1)
        assert [connection.endpoint for connection in manager.disposed] == ["old"]
    assert_empty(pool, manager)


async def test_a_release_with_a_hook_retires_too(clock: FakeClock) -> None:
    """By whichever way it goes."""
    manager = Hooked()
    async with Unattended(manager) as pool:
        lease = await aged(pool, clock, 2)
        await lease.release()
        assert pool.stats("e").total == 0
        assert manager.calls.count("on_release") == 3
    assert_empty(pool, manager)


async def test_whoever_releases_sees_it_done(clock: FakeClock) -> None:
    """What his release retires is closed when it returns."""
    manager = Manager()
    async with Unattended(manager) as pool:
        lease = await aged(pool, clock, 1)
        gate = manager.dispose_gate = Gate()
        call: Running[None] = await call_soon(lease.release)
        await until(lambda: gate.waiting)
        assert not call.done()
        assert pool.stats().idle == 1
        gate.open()
        await call.result()
        assert pool.get_size() == 1
    assert_empty(pool, manager)


# -- expired never leaves ---------------------------------------------------------------------------


async def test_what_is_over_is_not_lent(clock: FakeClock) -> None:
    """Though nobody has retired it yet."""
    manager = Manager()
    async with Unattended(manager) as pool:
        await stocked(pool, 3)
        clock.now += 60.001
        assert (await held(pool)).number == 4
        await stocked(pool, 2)
        clock.now += 3600.0
        assert (await held(pool)).number == 6
    assert_empty(pool, manager)


# -- by hand ----------------------------------------------------------------------------------------


async def test_maintain_does_it_all(clock: FakeClock) -> None:
    """Retires, checks, replaces the dead, and fills: everywhere, and as much as there is."""
    manager = Hooked()
    async with Unattended(
        manager, min_size=2, health_check_interval=50.0, dispose_batch_size=1
    ) as pool:
        await stocked(pool, 20, "a")
        dead = (await stocked(pool, 2, "b"))[0]
        dead.alive = False
        await pool.add("c")
        clock.now += 60.0
        await pool.maintain()
        assert [pool.stats(endpoint).idle for endpoint in ("a", "b", "c")] == [2, 2, 2]
        assert dead.disposed
        assert len(manager.disposed) == 19
        assert manager.calls.count("check_aliveness") == 4
    assert_empty(pool, manager)


async def test_a_fill_by_hand_serves_those_who_wait() -> None:
    """Like any other."""
    manager = Manager()
    async with Unattended(manager, min_size=1, max_size=1) as pool:
        await pool.add("e")
        gate = manager.create_gate = Gate()
        call = await connecting(pool, pool.maintain)
        waiting = await queued(pool, Caller(pool).call)
        gate.open()
        assert await waiting.result() is manager.opened[0]
        await call.result()
        assert manager.started == 1
    assert_empty(pool, manager)
