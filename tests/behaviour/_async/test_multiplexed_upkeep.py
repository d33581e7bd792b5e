"""What a pool of shared connections does by itself: replace, check, retire, report."""

import gc
import logging
import weakref
from typing import Any

import pytest

from pool.monitoring import ConnectionLeakedEvent
from support.aio import Gate, begun, call_soon, until

from .callers import line, queued
from .fakes import Chance, FakeClock, Hooked, Keeper, Manager, Recorder, assert_empty
from .kept import Down
from .sharers import Shared, leave, numbers, reached, spoil, take, use

pytestmark = pytest.mark.concurrency


def make(keeper: Keeper, manager: Manager, **options: Any) -> Shared:
    return Shared(manager, **{"background_collector": keeper.worker, **options})


# -- broken ones are replaced -----------------------------------------------------------------------


async def test_a_broken_one_is_replaced_soon(keeper: Keeper, clock: FakeClock) -> None:
    """After 0.1 seconds, not before."""
    manager = Manager()
    async with make(keeper, manager) as pool:
        await spoil(pool)
        clock.now += 0.09
        await keeper.tend(pool)
        assert (len(pool.broken), manager.started) == (1, 2)
        clock.now += 0.02
        await keeper.tend(pool)
        await until(lambda: not pool.broken)
        assert (len(pool.connected), manager.started) == (2, 3)
    assert_empty(pool, manager)


async def test_not_while_somebody_uses_it(keeper: Keeper, clock: FakeClock) -> None:
    """The server never sees more than there may be."""
    manager = Manager()
    async with make(keeper, manager, size=1) as pool:
        leases = await take(pool, 2)
        await leases.pop().discard()
        clock.now += 5.0
        await keeper.tend(pool)
        assert (numbers(pool.broken), manager.started) == ([1], 1)
        await leave(leases)
        clock.now += 0.2
        await keeper.tend(pool)
        await until(lambda: not pool.broken)
        assert (manager.most_live, numbers(pool.connected)) == (1, [2])
    assert_empty(pool, manager)


async def test_the_pauses_grow(
    keeper: Keeper, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the server is down: one connect at a time, twice as late each time, up to five seconds."""
    Chance(monkeypatch, 1.0)
    manager = Down()
    async with make(keeper, manager, size=3) as pool:
        leases = await take(pool, 3)
        for lease in leases:
            await lease.discard()
        manager.down = {"e"}
        clock.now += 0.2
        tried = len(manager.tried)
        await keeper.tend(pool)
        await until(lambda: len(manager.tried) > tried)
        await until(lambda: not pool.stats().connecting)
        # They may have been tried at once, as far as none had failed yet.
        first = len(manager.tried)
        assert first - tried <= 2
        pauses = [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0] if first - tried == 2 else [0.1, 0.2, 0.4, 0.8]
        for count, pause in enumerate(pauses):
            clock.now += pause - 0.01
            await keeper.tend(pool)
            assert len(manager.tried) == first + count
            clock.now += 0.02
            await keeper.tend(pool)
            await until(reached(manager.tried, first + count + 1))
            await until(lambda: not pool.stats().connecting)
        assert len(pool.broken) == 3
        if keeper.worker:
            assert "in a row, the pool itself tries again in" in pool.explain()
        manager.down.clear()
        clock.now += 6.0
        for _ in range(3):
            await keeper.tend(pool)
        await until(lambda: len(pool.connected) == 3)
        assert pool.broken == []
    assert_empty(pool, manager)


async def test_reconnect_while_it_is_being_replaced(keeper: Keeper, clock: FakeClock) -> None:
    """There are never more than the size."""
    manager = Manager()
    async with make(keeper, manager, size=2) as pool:
        await spoil(pool)
        manager.create_gate = Gate()
        clock.now += 0.2
        tending = await call_soon(keeper.tend, pool)
        await until(lambda: manager.creating)
        reconnecting = await call_soon(pool.reconnect)
        manager.create_gate.open()
        await tending.result()
        assert await reconnecting.result() in (0, 1)
        await until(lambda: len(pool.connected) == 2)
        assert (manager.most_live, pool.broken) == (2, [])
    assert_empty(pool, manager)


async def test_who_waits_is_served_by_the_upkeep(
    keeper: Keeper, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A growth that failed while all were taken is tried again for those who wait."""
    Chance(monkeypatch, 1.0)
    manager = Manager()
    pool = make(keeper, manager, max_pending=1)
    lease = await pool.acquire()
    manager.errors = [OSError("refused")]
    call = await queued(pool, use, pool)
    assert manager.started == 2
    clock.now += 0.2
    await keeper.tend(pool)
    assert (await call.result()).number == 2
    await lease.release()
    await pool.close()
    assert_empty(pool, manager)


# -- checks -----------------------------------------------------------------------------------------


async def test_an_idle_one_is_checked_at_acquire(clock: FakeClock) -> None:
    """If it was idle longer than that."""
    manager = Hooked()
    async with Shared(manager, size=1, check_after_idle=2.0) as pool:
        clock.now += 1.9
        await use(pool)
        assert manager.calls.count("check_aliveness") == 0
        clock.now += 2.1
        await use(pool)
        assert manager.calls.count("check_aliveness") == 1
        lease = await pool.acquire()
        clock.now += 9.0
        await use(pool)
        assert manager.calls.count("check_aliveness") == 1, "somebody uses it"
        await lease.release()
    assert_empty(pool, manager)


async def test_idle_ones_are_checked_in_the_background(keeper: Keeper, clock: FakeClock) -> None:
    """What is dead is broken, and replaced; what is used is left alone."""
    manager = Hooked()
    options: dict[str, Any] = {"health_check_interval": 30.0, "check_after_idle": None}
    async with make(keeper, manager, **options) as pool:
        lease = await pool.acquire()
        clock.now += 31.0
        await keeper.tend(pool)
        await until(lambda: manager.calls.count("check_aliveness") == 1)
        await until(lambda: pool.stats().idle == 1)
        for connection in manager.opened:
            connection.alive = connection is lease.connection
        clock.now += 31.0
        await keeper.tend(pool)
        await until(lambda: len(pool.broken) == 1 and not pool.stats().closing)
        assert pool.stats().errors == 1
        clock.now += 0.2
        await keeper.tend(pool)
        await until(lambda: len(pool.connected) == 2)
        assert not lease.connection.disposed
        await lease.release()
    assert_empty(pool, manager)


async def test_it_is_nobodys_while_it_is_checked(keeper: Keeper, clock: FakeClock) -> None:
    """A caller who comes meanwhile waits for the end of the check."""
    manager = Hooked()
    options: dict[str, Any] = {"health_check_interval": 30.0, "check_after_idle": None, "size": 1}
    async with make(keeper, manager, **options) as pool:
        gate = manager.gates["check_aliveness"] = Gate()
        clock.now += 31.0
        tending = await call_soon(keeper.tend, pool)
        await until(lambda: gate.waiting)
        calls = [await queued(pool, use, pool) for _ in range(2)]
        assert numbers(pool.connected) == [1]
        gate.open()
        assert [(await call.result()).number for call in calls] == [1, 1]
        await tending.result()
    assert_empty(pool, manager)


# -- retirement -------------------------------------------------------------------------------------


async def test_one_whose_life_is_over(keeper: Keeper, clock: FakeClock) -> None:
    """Nobody new gets it; who uses it is not cut off. If it is idle it is closed."""
    manager, recorder = Manager(), Recorder()
    options: dict[str, Any] = {"max_lifetime": 60.0, "event_listeners": [recorder.listener]}
    async with make(keeper, manager, size=2, **options) as pool:
        lease = await pool.acquire()
        clock.now += 61.0
        await keeper.tend(pool)
        await until(lambda: len(manager.disposed) == 1)
        assert numbers(manager.disposed) != [lease.id]
        async with pool.connection() as connection:
            assert connection.number == 3
        assert pool.broken == []
        await lease.release()
        assert sorted(numbers(manager.disposed)) == [1, 2]
        assert [reason for _, reason in recorder.reasons()] == ["idle", "idle"]
    assert_empty(pool, manager)


async def test_one_that_was_used_often_enough() -> None:
    """So many callers get it, then it is closed when the last one has left."""
    manager = Manager()
    pool = Shared(manager, size=1, max_uses=3)
    leases = await take(pool, 3)
    call = await queued(pool, use, pool)
    await leave(leases[:2])
    assert (pool.stats().waiting, manager.started) == (1, 1)
    await leave(leases[2:])
    assert (await call.result()).number == 2
    assert (numbers(manager.disposed), pool.broken) == ([1], [])
    await pool.close()
    assert_empty(pool, manager)


@pytest.mark.parametrize("timeout", [None, 10.0])
async def test_idle_ones_are_kept(keeper: Keeper, clock: FakeClock, timeout: float | None) -> None:
    """Unless an ``idle_timeout`` was given."""
    manager = Manager()
    async with make(keeper, manager, idle_timeout=timeout, max_lifetime=None) as pool:
        lease = await pool.acquire()
        clock.now += 1000.0
        await keeper.tend(pool)
        await until(lambda: len(pool.connected) == (2 if timeout is None else 1))
        await lease.release()
        assert manager.live == len(pool.connected)
    assert_empty(pool, manager)


# -- leaks ------------------------------------------------------------------------------------------


async def test_a_share_held_too_long_is_reported(
    keeper: Keeper, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, with the line that took it; the others of the same connection are not."""
    manager, recorder = Manager(), Recorder()
    options: dict[str, Any] = {"leak_threshold": 10.0, "event_listeners": [recorder.listener]}
    async with make(keeper, manager, size=1, **options) as pool:
        here = line() + 1
        lease = await pool.acquire()
        clock.now += 8.0
        other = await pool.acquire()
        clock.now += 4.0
        await keeper.tend(pool)
        await keeper.tend(pool)
        leaked = [event for event in recorder.events if type(event) is ConnectionLeakedEvent]
        (warning,) = [each for each in caplog.records if each.levelno == logging.WARNING]
        assert [event.connection_id for event in leaked] == [1]
        text = warning.getMessage()
        assert "connection #1 to 'e' has been held for 12.000 s" in text
        assert f"acquired at {__file__}:{here} in " in text
        await leave([lease, other])
    assert_empty(pool, manager)


# -- the end of the upkeep --------------------------------------------------------------------------


async def test_a_pool_that_is_dropped() -> None:
    """Leases that live on work, and end well; nothing keeps the pool alive, and its worker ends."""
    manager = Manager()
    pool = Shared(manager, background_collector=True)
    leases = await take(pool, 3)
    engine: Any = pool._engine
    worker, known = engine.worker, weakref.ref(pool)
    del pool, engine
    gc.collect()
    assert known() is None
    assert leases[0].connection.number == 1
    await leave(leases)
    leases.clear()
    gc.collect()
    await until(lambda: not begun(worker))
    assert manager.disposed == []
