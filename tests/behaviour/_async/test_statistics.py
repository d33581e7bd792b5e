"""What a pool says about itself in numbers."""

from dataclasses import FrozenInstanceError, asdict
from typing import Any

import pytest

from pool import PoolOverloadedError, PoolStats, PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, call_soon, until

from .callers import Caller, connecting, queued, settled
from .fakes import FakeClock, Hooked, Manager, assert_empty, held

NOW = ("total", "idle", "in_use", "connecting", "closing", "waiting", "endpoints")


def now(pool: ConnectionPool[Any, Any], endpoint: Any = None) -> dict[str, int]:
    """Return what is not zero at the moment."""
    stats = asdict(pool.stats(endpoint))
    return {name: stats[name] for name in NOW if stats[name]}


def so_far(pool: ConnectionPool[Any, Any], endpoint: Any = None) -> dict[str, float]:
    """Return the running totals that are not zero."""
    stats = asdict(pool.stats(endpoint))
    return {name: value for name, value in stats.items() if value and name not in NOW}


# -- the moment -------------------------------------------------------------------------------------


def test_a_new_pool_has_nothing() -> None:
    """All numbers are zero, and there are no others than these."""
    stats = ConnectionPool(Manager()).stats()
    assert stats == PoolStats()
    assert set(asdict(stats).values()) == {0}
    assert set(asdict(stats)) == {
        *NOW,
        *("created", "closed", "acquired", "released"),
        *("timeouts", "errors", "wait_time", "use_time"),
    }


async def test_a_snapshot_does_not_change() -> None:
    """What happens later is in later ones."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        before = pool.stats()
        await held(pool)
        assert before == PoolStats()
        assert pool.stats() != before
        with pytest.raises(FrozenInstanceError):
            before.idle = 1  # type: ignore[misc]


async def test_a_connection_in_use_is_counted() -> None:
    """From the moment its caller has it."""
    async with ConnectionPool(Manager()) as pool, pool.connection("e"):
        assert now(pool) == {"total": 1, "in_use": 1, "endpoints": 1}


async def test_an_idle_connection_is_counted() -> None:
    """From the moment it is given back."""
    async with ConnectionPool(Manager()) as pool:
        await held(pool)
        assert now(pool) == {"total": 1, "idle": 1, "endpoints": 1}


async def test_a_connection_that_is_being_opened_is_counted() -> None:
    """It belongs to the total."""
    manager = Manager()
    manager.create_gate = Gate()
    async with ConnectionPool(manager) as pool:
        call = await connecting(pool, Caller(pool).call)
        assert now(pool) == {"total": 1, "connecting": 1, "endpoints": 1}
        manager.create_gate.open()
        await call.result()
    assert_empty(pool, manager)


async def test_a_connection_that_is_being_closed_is_counted() -> None:
    """It belongs to the total until it is closed."""
    manager = Manager()
    manager.dispose_gate = Gate()
    async with ConnectionPool(manager) as pool:
        call = await call_soon((await pool.acquire("e")).discard)
        await until(lambda: manager.dispose_gate.waiting)
        assert now(pool) == {"total": 1, "closing": 1, "endpoints": 1}
        manager.dispose_gate.open()
        await call.result()
        assert now(pool) == {}
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["check_aliveness", "on_acquire", "on_release"])
async def test_a_connection_in_a_hook_is_in_use(hook: str) -> None:
    """Nobody else can have it."""
    manager = Hooked()
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        await held(pool)
        gate = manager.gates[hook] = Gate()
        call = await call_soon(Caller(pool).call)
        await until(lambda: gate.waiting)
        assert now(pool) == {"total": 1, "in_use": 1, "endpoints": 1}
        gate.open()
        await call.result()
    assert_empty(pool, manager)


async def test_waiting_callers_are_counted() -> None:
    """They are callers, not connections."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        calls = [await queued(pool, Caller(pool).call) for _ in range(3)]
        assert now(pool) == {"total": 1, "in_use": 1, "waiting": 3, "endpoints": 1}
        await lease.release()
        for call in calls:
            await call.result()
        assert now(pool) == {"total": 1, "idle": 1, "endpoints": 1}
    assert_empty(pool, manager)


async def test_each_endpoint_has_its_numbers() -> None:
    """And the pool has their sums."""
    async with ConnectionPool(Manager()) as pool:
        await held(pool, "a")
        async with pool.connection("b"), pool.connection("b"):
            assert now(pool, "a") == {"total": 1, "idle": 1, "endpoints": 1}
            assert now(pool, "b") == {"total": 2, "in_use": 2, "endpoints": 1}
            assert now(pool) == {"total": 3, "idle": 1, "in_use": 2, "endpoints": 2}
        assert so_far(pool, "a")["acquired"] == 1
        assert so_far(pool, "b")["acquired"] == 2
        assert so_far(pool)["acquired"] == 3


async def test_asking_about_an_unknown_endpoint_does_not_make_it_known() -> None:
    """It has nothing."""
    async with ConnectionPool(Manager()) as pool:
        assert pool.stats("e") == PoolStats()
        assert pool.get_endpoint_pool_size("e") == 0
        assert pool.stats().endpoints == 0


async def test_a_closed_pool_can_be_asked() -> None:
    """Nothing is there, but what has happened has happened."""
    pool = ConnectionPool(Manager())
    await held(pool)
    await pool.close()
    stats = pool.stats()
    assert (stats.total, stats.idle) == (0, 0)
    assert (stats.created, stats.closed, stats.acquired, stats.released) == (1, 1, 1, 1)


async def test_sizes() -> None:
    """The quick counts: of all, of one endpoint, of those in use there, and of the idle ones."""
    async with ConnectionPool(Manager()) as pool:
        await held(pool, "a")
        async with pool.connection("b"), pool.connection("b"):
            await held(pool, "b")
            assert pool.get_size() == 4
            assert pool.get_endpoint_pool_size("a") == 1
            assert pool.get_endpoint_pool_size("b") == 3
            assert pool.get_endpoint_pool_size("b", acquired=True) == 2
            assert pool.get_endpoint_pool_size("b", acquired=False) == 1
            assert pool.get_endpoint_pool_size("a", True) == 0


# -- the running totals -----------------------------------------------------------------------------


async def test_leases_and_connections_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection was opened for two leases, then closed."""
    FakeClock(monkeypatch)
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool)
        assert so_far(pool) == {"created": 1, "acquired": 1, "released": 1}
        lease = await pool.acquire("e")
        assert so_far(pool) == {"created": 1, "acquired": 2, "released": 1}
        await lease.discard()
        assert so_far(pool) == {"created": 1, "closed": 1, "acquired": 2, "released": 2}
    assert_empty(pool, manager)


async def test_a_failed_connect_is_an_error_and_no_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was never created, so it is never closed."""
    FakeClock(monkeypatch)
    manager = Manager()
    manager.errors = [OSError("refused")]
    async with ConnectionPool(manager) as pool:
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        assert so_far(pool) == {"errors": 1}


async def test_a_failed_check_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is closed, and the one in its place is created."""
    FakeClock(monkeypatch)
    manager = Hooked()
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        (await held(pool)).alive = False
        await held(pool)
        await settled(pool)
        expected = {"created": 2, "closed": 1, "acquired": 2, "released": 2, "errors": 1}
        assert so_far(pool) == expected
    assert_empty(pool, manager)


async def test_an_acquire_that_runs_out_of_time_is_a_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is no lease, and nothing else went wrong; now-or-never counts too."""
    FakeClock(monkeypatch)
    manager = Manager()
    pool = ConnectionPool(manager, max_size=1)
    async with pool, pool.connection("e"):
        for timeout in (0.01, 0):
            with pytest.raises(PoolTimeoutError):
                await pool.acquire("e", timeout)
        assert so_far(pool) == {"created": 1, "acquired": 1, "timeouts": 2}


async def test_a_caller_who_is_turned_away_is_no_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """He did not run out of time."""
    FakeClock(monkeypatch)
    pool = ConnectionPool(Manager(), max_size=1, max_waiting=0)
    async with pool, pool.connection("e"):
        with pytest.raises(PoolOverloadedError):
            await pool.acquire("e")
        assert so_far(pool) == {"created": 1, "acquired": 1}


async def test_the_time_that_callers_waited_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """From joining the queue until being served."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        calls = [await queued(pool, Caller(pool).call)]
        clock.now += 3.0
        calls.append(await queued(pool, Caller(pool).call))
        clock.now += 2.0
        assert pool.stats().wait_time == 0.0
        await lease.release()
        for call in calls:
            await call.result()
        assert pool.stats().wait_time == 5.0 + 2.0
    assert_empty(pool, manager)


async def test_the_time_of_those_who_waited_in_vain_is_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """``wait_time`` is what a connection costs those who get one."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        async with pool.connection("e"):
            call = await queued(pool, Caller(pool, timeout=0.05).call)
            clock.now += 3.0
            with pytest.raises(PoolTimeoutError):
                await call.result()
        assert pool.stats().wait_time == 0.0
    assert_empty(pool, manager)


async def test_who_finds_a_connection_at_once_did_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Opening one is no waiting in the queue either."""
    clock, manager = FakeClock(monkeypatch), Manager()
    manager.create_gate = Gate()
    async with ConnectionPool(manager) as pool:
        call = await connecting(pool, Caller(pool).call)
        clock.now += 3.0
        manager.create_gate.open()
        await call.result()
        await held(pool)
        assert pool.stats().wait_time == 0.0
    assert_empty(pool, manager)


async def test_the_time_that_leases_were_held_is_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """When they end, however they end."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager) as pool:
        async with pool.connection("e"):
            clock.now += 3.0
            assert pool.stats().use_time == 0.0
        clock.now += 100.0
        assert pool.stats().use_time == 3.0
        lease = await pool.acquire("e")
        clock.now += 0.5
        await lease.discard()
        assert pool.stats().use_time == 3.5
    assert_empty(pool, manager)


async def test_hooks_are_no_use_of_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease is held from the end of ``on_acquire`` to the beginning of ``on_release``."""
    clock, manager = FakeClock(monkeypatch), Hooked()
    for hook in ("check_aliveness", "on_acquire", "on_release"):
        manager.on[hook] = lambda conn: setattr(clock, "now", clock.now + 1.0)
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        for _ in range(2):
            async with pool.connection("e"):
                clock.now += 0.25
        assert pool.stats().use_time == 0.5
    assert_empty(pool, manager)
