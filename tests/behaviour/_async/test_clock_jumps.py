"""The clock jumps, as when a laptop was closed or a process frozen: what is idle is checked before use."""

import time
from typing import Any

import pytest

from pool._async.upkeep import keep
from pool.aio import ConnectionPool
from support.aio import runtime, until

from .fakes import Connection, FakeClock, Hooked, Manager, assert_empty, held, stocked

pytestmark = pytest.mark.concurrency

Pool = ConnectionPool[Any, Connection]


class Checked(Hooked):
    """Has a check, and no hook that a checkout must call anyway."""

    on_acquire = Manager.on_acquire
    on_release = Manager.on_release


def checks(manager: Hooked) -> int:
    return manager.calls.count("check_aliveness")


def make(manager: Manager, **options: Any) -> Pool:
    """Return a pool that believes in its connections for an hour."""
    options = {"check_after_idle": 3600.0, "idle_timeout": None, **options}
    return ConnectionPool(manager, **options)


def overslept(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [text for text in caplog.messages if "overslept" in text]


async def test_what_is_idle_is_checked_before_its_use(caplog: pytest.LogCaptureFixture) -> None:
    """Each connection once, however short it was idle; then all is as it was."""
    manager = Checked()
    async with make(manager) as pool:
        await stocked(pool, 2)
        await keep(pool._engine, 60.0)
        assert overslept(caplog) == [
            "the pool overslept by 60.0 s: idle connections are checked before use"
        ]
        assert checks(manager) == 0
        leases = [await pool.acquire("e") for _ in range(2)]
        assert checks(manager) == 2
        for lease in leases:
            await lease.release()
        await held(pool)
        assert checks(manager) == 2
        assert len(manager.opened) == 2
    assert_empty(pool, manager)


async def test_what_has_died_meanwhile_is_replaced() -> None:
    """The caller gets another one."""
    manager = Checked()
    async with make(manager) as pool:
        (await held(pool)).alive = False
        await keep(pool._engine, 60.0)
        assert (await held(pool)).number == 2
        assert [conn.number for conn in manager.disposed] == [1]
    assert_empty(pool, manager)


@pytest.mark.parametrize(("late", "expected"), [(0.0, 0), (4.9, 0), (5.1, 1)])
async def test_a_little_late_is_no_jump(late: float, expected: int) -> None:
    """A machine may be busy."""
    manager = Checked()
    async with make(manager) as pool:
        await held(pool)
        await keep(pool._engine, late)
        await held(pool)
        assert checks(manager) == expected


async def test_never_stays_never() -> None:
    """With ``check_after_idle=None`` the user has said so."""
    manager = Checked()
    async with make(manager, check_after_idle=None) as pool:
        await held(pool)
        await keep(pool._engine, 60.0)
        assert (await held(pool)).number == 1
        assert checks(manager) == 0
    assert_empty(pool, manager)


async def test_there_is_nothing_to_check_with() -> None:
    """Then connections are lent as ever."""
    manager = Manager()
    async with make(manager) as pool:
        await stocked(pool, 3)
        await keep(pool._engine, 60.0)
        for _ in range(2):
            leases = [await pool.acquire("e", 0) for _ in range(3)]
            for lease in leases:
                await lease.release()
        assert len(manager.opened) == 3
        assert pool.stats().idle == 3
    assert_empty(pool, manager)


async def test_what_is_in_use_is_its_holders() -> None:
    """He would notice. It is not suspect when it comes back."""
    manager = Checked()
    async with make(manager) as pool:
        lease = await pool.acquire("e")
        await keep(pool._engine, 60.0)
        await lease.release()
        await held(pool)
        assert checks(manager) == 0


async def test_now_or_never_checks_too() -> None:
    """A caller without time gets what is idle and alive."""
    manager = Checked()
    async with make(manager) as pool:
        await held(pool)
        await keep(pool._engine, 60.0)
        async with pool.connection("e", 0) as connection:
            assert (connection.number, checks(manager)) == (1, 1)


async def test_a_check_in_the_background_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was found alive after the jump is not checked again."""
    manager, clock = Checked(), FakeClock(monkeypatch)
    options: dict[str, Any] = {"health_check_interval": 10.0, "background_collector": False}
    async with make(manager, **options) as pool:
        await held(pool)
        await keep(pool._engine, 60.0)
        clock.now += 10.0
        await pool.maintain()
        assert checks(manager) == 1
        await held(pool)
        assert checks(manager) == 1


async def test_every_endpoint() -> None:
    """And those that are added later are not concerned."""
    manager = Checked()
    async with make(manager) as pool:
        for endpoint in "ab":
            await held(pool, endpoint)
        await keep(pool._engine, 60.0)
        for endpoint in "abcabc":
            await held(pool, endpoint)
        assert checks(manager) == 2


@pytest.mark.parametrize("reuse", ["lifo", "fifo"])
async def test_the_order_of_reuse_stays(reuse: str) -> None:
    """Suspicion changes nothing of which goes first."""
    manager = Checked()
    async with make(manager, reuse=reuse) as pool:
        before = [connection.number for connection in await stocked(pool, 3)]
        await keep(pool._engine, 60.0)
        leases = [await pool.acquire("e") for _ in range(3)]
        after = [lease.connection.number for lease in leases]
        assert after == (before if reuse == "fifo" else before[::-1])
        for lease in leases:
            await lease.release()


async def test_again_and_again() -> None:
    """Jumps that nobody's use comes between leave nothing behind, and the checks work after each."""
    manager = Checked()
    async with make(manager) as pool:
        await stocked(pool, 2)
        for _ in range(50):
            await keep(pool._engine, 60.0)
        for _ in range(3):
            await keep(pool._engine, 60.0)
            await held(pool)
        assert checks(manager) == 3
        assert pool.stats().idle == 2
        await pool.clear()
    assert_empty(pool, manager)


async def test_the_worker_notices(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever wakes it after the jump."""
    jump, trace = 0.0, list[str]()

    def clock() -> float:
        trace.append("clock")
        return time.monotonic() + jump

    async def traced(engine: Any, late: float) -> float | None:
        seconds = await keep(engine, late)
        trace.append("nap")
        return seconds

    monkeypatch.setattr(runtime, "elapsed", clock)
    monkeypatch.setattr("pool._async.pool.keep", traced)
    manager = Checked()
    async with make(manager) as pool:
        await held(pool)
        # The worker has looked at the clock before it went to sleep.
        await until(lambda: trace[-2:] == ["nap", "clock"])
        jump = 1e6
        pool._engine.worker.ring()
        await until(lambda: overslept(caplog))
        await held(pool)
        assert checks(manager) == 1
    assert_empty(pool, manager)
