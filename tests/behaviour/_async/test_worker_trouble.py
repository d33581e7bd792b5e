"""The worker in real time, and when things go wrong."""

import logging
import re
from typing import Any

import pytest

from pool import monitoring
from pool._async.upkeep import keep
from pool._core.pool import PoolCore
from pool.aio import ConnectionPool
from support.aio import begun, runtime, until

from .fakes import (
    Chance,
    Connection,
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


# -- in real time -------------------------------------------------------------------------------------


async def test_it_retires_what_is_idle() -> None:
    """By itself, when the time has come."""
    manager = Manager()
    async with ConnectionPool(manager, idle_timeout=0.02) as pool:
        await stocked(pool, 3)
        await until(lambda: pool.get_size() == 0)
        await held(pool)
        await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_it_retires_what_is_old() -> None:
    """However short it was idle."""
    manager = Manager()
    async with ConnectionPool(manager, max_lifetime=0.02, idle_timeout=None) as pool:
        await stocked(pool, 3)
        await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_it_keeps_the_minimum_young() -> None:
    """What has grown old is replaced, again and again."""
    manager = Manager()
    async with ConnectionPool(manager, max_lifetime=0.02, min_size=2) as pool:
        await pool.add("e")
        await until(lambda: len(manager.opened) >= 8)
        assert manager.most_live <= 10
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_it_checks_what_is_idle() -> None:
    """Again and again."""
    manager = Hooked()
    async with ConnectionPool(manager, health_check_interval=0.005) as pool:
        await held(pool)
        await until(lambda: manager.calls.count("check_aliveness") >= 3)
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_it_replaces_the_dead() -> None:
    """Before anybody meets them."""
    manager = Hooked()
    async with ConnectionPool(manager, health_check_interval=0.005) as pool:
        connection = await held(pool)
        connection.alive = False
        await until(lambda: len(manager.opened) == 2)
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_it_recovers_by_itself() -> None:
    """When the server is there again, after the pauses that are due."""
    manager = Manager()
    manager.errors = [OSError("refused") for _ in range(3)]
    async with ConnectionPool(manager, min_size=1) as pool:
        await pool.add("e")
        await until(lambda: pool.stats().idle == 1)
        assert manager.started == 4
    assert_empty(pool, manager)


# -- what goes wrong ----------------------------------------------------------------------------------


async def test_it_survives_a_bug(
    keeper: Keeper,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It says so, rests for a second, and goes on."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool)
        await keeper.look(pool)

        def fail(*args: Any) -> Any:
            raise ZeroDivisionError("a bug")

        with monkeypatch.context() as patch:
            patch.setattr(PoolCore, "chores", fail)
            await keeper.look(pool)
        assert keeper.naps[-1] == 1.0
        assert "bug: the upkeep of a pool failed; it goes on" in caplog.text
        assert "ZeroDivisionError: a bug" in caplog.text
        clock.now += 60.0
        await keeper.tend(pool)
        assert pool.get_size() == 0
    assert_empty(pool, manager)


async def test_it_survives_hooks_that_fail(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Every one of them, and a listener too: the next look is as good as any."""

    def fail(*args: Any) -> Any:
        raise ArithmeticError("broken")

    class Broken(Hooked):
        """Nothing ends well with it."""

        async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
            await super().dispose(endpoint, conn, timeout)
            fail()

    Chance(monkeypatch, 1.0)
    clock, manager = FakeClock(monkeypatch), Broken()
    caplog.set_level(logging.CRITICAL)
    async with ConnectionPool(
        manager,
        min_size=1,
        health_check_interval=30.0,
        event_listeners=[monitoring.on(fail)],
    ) as pool:
        await held(pool)
        for hook in ("check_aliveness", "on_connection_dead", "service_id"):
            manager.on[hook] = fail
        for _ in range(5):
            clock.now += 30.0
            await keeper.tend(pool)
        assert pool.stats().idle == 0
        manager.on.clear()
        clock.now += 30.0
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 1)
        assert begun(pool._engine.worker)
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


# -- a clock that jumps -------------------------------------------------------------------------------


class Counting(Manager):
    """Checks, and counts that."""

    def __init__(self) -> None:
        super().__init__()
        self.checked: list[int] = []

    async def check_aliveness(self, endpoint: Any, conn: Connection, timeout: float | None) -> bool:
        self.checked.append(conn.number)
        return True


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize(("late", "checks"), [(5.001, [3, 2, 1]), (5.0, []), (0.0, [])])
async def test_after_a_jump_everything_is_checked(
    clock: FakeClock, late: float, checks: list[int], heard: bool
) -> None:
    """The machine was suspended if the worker overslept so much: once, before its next use."""
    manager = Counting()
    listeners = [Recorder().listener] if heard else []
    async with ConnectionPool(manager, check_after_idle=1000.0, event_listeners=listeners) as pool:
        await stocked(pool, 3)
        await keep(pool._engine, late)
        for _ in range(2):
            leases = [await pool.acquire("e", 0) for _ in range(3)]
            assert [lease.connection.number for lease in leases] == [3, 2, 1]
            for lease in reversed(leases):
                await lease.release()
        assert manager.checked == checks
    assert_empty(pool, manager)


async def test_a_jump_is_seen(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker knows when it should have woken up, and says by how much it was late."""
    real, ahead, manager = runtime.elapsed, 0.0, Hooked()

    def is_seen() -> bool:
        nonlocal ahead
        # It must jump while the worker is asleep: one of many times.
        ahead += 3600.0
        return bool(re.search(r"the pool overslept by \d+00\.\d s", caplog.text))

    monkeypatch.setattr(runtime, "elapsed", lambda: real() + ahead)
    async with ConnectionPool(manager, health_check_interval=0.005) as pool:
        await held(pool)
        await until(lambda: manager.calls.count("check_aliveness") > 1)
        assert "overslept" not in caplog.text
        await until(is_seen)
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)
