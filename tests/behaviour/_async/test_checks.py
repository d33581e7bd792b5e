"""Checks of idle connections: when they are made, and what becomes of the dead."""

from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, call_soon, until

from .callers import Caller, queued, settled
from .fakes import Connection, FakeClock, Hooked, Manager, Recorder, assert_empty, held


class Checks(Manager):
    """Has ``check_aliveness`` and no other hook."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock
        self.times: list[float] = []

    async def check_aliveness(self, endpoint: Any, conn: Connection, timeout: float | None) -> bool:
        self.times.append(self.clock.now)
        return True


def checks(manager: Hooked) -> int:
    return manager.calls.count("check_aliveness")


# -- when -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "idle", "checked"),
    [
        ({}, 0.0, False),
        ({}, 1.0, False),
        ({}, 1.001, True),
        ({"check_after_idle": 5.0}, 5.0, False),
        ({"check_after_idle": 5.0}, 5.001, True),
        ({"check_after_idle": 0}, 0.0, True),
        ({"check_after_idle": 0}, 60.0, True),
        ({"check_after_idle": None}, 1e9, False),
    ],
)
async def test_a_connection_is_checked_if_it_was_idle_for_longer(
    options: Any, idle: float, checked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One second by default; 0 means always, ``None`` never."""
    clock, manager = FakeClock(monkeypatch), Hooked()
    options = {"idle_timeout": None, "max_lifetime": None, **options}
    async with ConnectionPool(manager, **options) as pool:
        first = await held(pool)
        clock.now += idle
        assert await held(pool) is first
        assert checks(manager) == checked
    assert_empty(pool, manager)


async def test_a_manager_that_only_checks_is_asked_at_the_same_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The shortest way, of a pool that has nobody else to tell, knows when a check is due."""
    clock = FakeClock(monkeypatch)
    manager, start = Checks(clock), clock.now
    async with ConnectionPool(manager) as pool:
        for idle in (0.5, 1.5, 1.0):
            await held(pool)
            clock.now += idle
        assert await held(pool) is manager.opened[0]
        assert manager.times == [start + 2.0]
    assert_empty(pool, manager)


async def test_only_idleness_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for which a connection was held is no idleness."""
    clock, manager = FakeClock(monkeypatch), Hooked()
    async with ConnectionPool(manager) as pool:
        async with pool.connection("e"):
            clock.now += 60.0
        await held(pool)
        assert checks(manager) == 0
    assert_empty(pool, manager)


async def test_a_new_connection_is_not_checked() -> None:
    """Not even where every idle one is."""
    manager = Hooked()
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        await held(pool)
        assert checks(manager) == 0
    assert_empty(pool, manager)


async def test_a_connection_that_was_opened_too_late_was_not_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was opened for somebody who did not get it, but just now: the next one need not check it."""
    clock = FakeClock(monkeypatch)

    class Slow(Hooked):
        """Takes 6 seconds to open a connection."""

        async def create(self, endpoint: Any, timeout: float | None) -> Connection:
            clock.now += 6.0
            return await super().create(endpoint, timeout)

    manager = Slow()
    async with ConnectionPool(manager) as pool:
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 5.0)
        assert (await held(pool)).number == 1
        assert checks(manager) == 0
    assert_empty(pool, manager)


@pytest.mark.parametrize(("after", "checked"), [(1.0, 0), (0, 1)])
async def test_a_connection_that_is_handed_over_was_not_idle(after: float, checked: int) -> None:
    """The next in the queue gets it without a check, unless 0 asks for one always."""
    manager = Hooked()
    async with ConnectionPool(manager, max_size=1, check_after_idle=after) as pool:
        lease = await pool.acquire("e")
        call = await queued(pool, Caller(pool).call)
        await lease.release()
        await call.result()
        assert checks(manager) == checked
    assert_empty(pool, manager)


async def test_a_connection_under_check_is_in_use() -> None:
    """Nobody else gets it meanwhile."""
    manager = Hooked()
    async with ConnectionPool(manager, max_size=1, check_after_idle=0) as pool:
        await held(pool)
        gate = manager.gates["check_aliveness"] = Gate()
        call = await call_soon(Caller(pool).call)
        await until(lambda: gate.waiting)
        stats = pool.stats()
        assert (stats.in_use, stats.idle) == (1, 0)
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 0)
        gate.open()
        await call.result()
    assert_empty(pool, manager)


# -- the dead ---------------------------------------------------------------------------------------


async def test_a_dead_connection_is_replaced_by_a_new_one() -> None:
    """The manager is told, the connection is closed with the reason ``error``, and it counts."""
    manager, recorder = Hooked(), Recorder()
    async with ConnectionPool(
        manager, check_after_idle=0, event_listeners=[recorder.listener]
    ) as pool:
        dead = await held(pool)
        dead.alive = False
        manager.calls.clear()
        recorder.clear()
        assert (await held(pool)).number == 2
        assert manager.calls == [
            "check_aliveness",
            "on_connection_dead",
            "on_acquire",
            "on_release",
        ]
        assert recorder.reasons() == [(1, "error")]
        assert recorder.names() == [
            "ConnectionCheckOutStarted",
            "ConnectionClosed",
            "ConnectionCreated",
            "ConnectionReady",
            "ConnectionCheckedOut",
            "ConnectionCheckedIn",
        ]
        await settled(pool)
        assert manager.disposed[0] is dead
        assert pool.stats().errors == 1
    assert_empty(pool, manager)


async def test_the_manager_is_told_of_the_dead_before_it_disposes_of_it() -> None:
    """``on_connection_dead`` may still look at the connection."""
    manager = Hooked()
    seen: list[bool] = []
    manager.on["on_connection_dead"] = lambda conn: seen.append(conn.disposed)
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        (await held(pool)).alive = False
        await held(pool)
        await settled(pool)
    assert seen == [False]
    assert_empty(pool, manager)


async def test_a_dead_connection_is_replaced_by_the_next_idle_one() -> None:
    """It is checked as well, before anything is opened."""
    manager = Hooked()
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        leases = [await pool.acquire("e") for _ in range(3)]
        for lease in leases:
            await lease.release()
        manager.opened[2].alive = False
        assert await held(pool) is manager.opened[1]
        assert checks(manager) == 2
        assert manager.started == 3
        await settled(pool)
    assert_empty(pool, manager)


async def test_if_all_are_dead_a_new_one_is_opened() -> None:
    """Each is checked once."""
    manager = Hooked()
    async with ConnectionPool(manager, max_size=3, check_after_idle=0) as pool:
        leases = [await pool.acquire("e") for _ in range(3)]
        for lease in leases:
            await lease.release()
        for connection in manager.opened:
            connection.alive = False
        assert (await held(pool)).number == 4
        assert checks(manager) == 3
        await settled(pool)
        assert manager.most_live <= 3
    assert_empty(pool, manager)


async def test_now_or_never_opens_nothing_in_place_of_the_dead() -> None:
    """There is no other idle one, so the answer is never."""
    manager = Hooked()
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        (await held(pool)).alive = False
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 0)
        assert manager.started == 1
        await settled(pool)
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_caller_whose_connection_was_dead_keeps_his_turn() -> None:
    """Who came while it was being checked is served after him."""
    manager, log = Hooked(), list[Any]()
    async with ConnectionPool(manager, max_size=1, check_after_idle=0) as pool:
        (await held(pool)).alive = False
        gate = manager.gates["check_aliveness"] = Gate()
        first = await call_soon(Caller(pool, "first", log).call)
        await until(lambda: gate.waiting)
        second = await queued(pool, Caller(pool, "second", log).call)
        gate.open()
        await first.result()
        await second.result()
        assert log == ["first", "second"]
        assert manager.most_live == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_caller_whose_connection_was_dead_is_not_turned_away() -> None:
    """He had been let in, so ``max_waiting`` does not count him while the dead one is closed."""
    manager = Hooked()
    options: Any = {"max_size": 1, "max_waiting": 0, "check_after_idle": 0}
    async with ConnectionPool(manager, **options) as pool:
        (await held(pool)).alive = False
        manager.dispose_gate = Gate()
        call = await call_soon(Caller(pool).call)
        await until(lambda: manager.dispose_gate.waiting or call.done())
        manager.dispose_gate.open()
        assert (await call.result()).number == 2
        assert manager.most_live == 1
    assert_empty(pool, manager)


async def test_a_check_that_raises_means_dead_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The caller does not see the error; he gets another connection."""
    manager = Hooked()

    def fail(conn: Connection) -> None:
        raise OSError("reset by peer")

    manager.on["check_aliveness"] = fail
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        await held(pool)
        assert (await held(pool)).number == 2
        assert "on_connection_dead" in manager.calls
        await settled(pool)
    assert_empty(pool, manager)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("pool.connection", "WARNING")
    assert "#1 to 'e'" in record.getMessage()
    assert "reset by peer" in record.getMessage()


async def test_an_error_of_on_connection_dead_is_only_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The connection is disposed of all the same, and the caller gets another one."""
    manager = Hooked()

    def fail(conn: Connection) -> None:
        raise OSError("no grave")

    manager.on["on_connection_dead"] = fail
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        dead = await held(pool)
        dead.alive = False
        assert (await held(pool)).number == 2
        await settled(pool)
        assert dead.disposed
    assert_empty(pool, manager)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("pool.connection", "ERROR")
    assert "on_connection_dead" in record.getMessage()


async def test_a_falsy_answer_means_dead() -> None:
    """Any truth value is an answer."""
    manager = Hooked()
    manager.on["check_aliveness"] = lambda conn: 0
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        await held(pool)
        assert (await held(pool)).number == 2
        await settled(pool)
    assert_empty(pool, manager)
