"""Checks of idle connections in the background: when they are made. With a worker, and by hand."""

from typing import Any

import pytest

from support.aio import until

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
from .kept import INTERVAL, Checked, checks, tend

pytestmark = pytest.mark.concurrency


# -- when ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("drawn", "interval"), [(0.0, 30.0), (0.5, 28.5), (1.0, 27.0)])
async def test_what_is_idle_is_checked(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, drawn: float, interval: float
) -> None:
    """After ``health_check_interval``, shortened by up to 10 % at random; and not before."""
    Chance(monkeypatch, drawn)
    clock, manager = FakeClock(monkeypatch), Hooked()
    async with Checked(manager, keeper) as pool:
        await held(pool)
        clock.now += interval - 0.001
        await tend(keeper, pool, 1)
        assert checks(manager) == 0
        clock.now += 0.001
        await tend(keeper, pool, 1)
        assert checks(manager) == 1
    assert_empty(pool, manager)


async def test_it_is_checked_again_and_again(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time after another interval, for which lots are drawn anew."""
    chance, clock, manager = Chance(monkeypatch), FakeClock(monkeypatch), Hooked()
    async with Checked(manager, keeper) as pool:
        await held(pool)
        for count, interval in enumerate((30.0, 27.0, 30.0, 27.0), 1):
            chance.drawn = 0.0 if chance.drawn else 1.0
            clock.now += interval - 0.001
            await tend(keeper, pool, 1)
            assert checks(manager) == count - 1
            clock.now += 0.001
            await tend(keeper, pool, 1)
            assert checks(manager) == count
    assert_empty(pool, manager)


async def test_use_is_as_good_as_a_check(keeper: Keeper, clock: FakeClock) -> None:
    """The interval counts from the last use."""
    manager = Hooked()
    async with Checked(manager, keeper) as pool:
        for _ in range(4):
            await held(pool)
            clock.now += 29.0
            await tend(keeper, pool, 1)
        assert checks(manager) == 0
        clock.now += 1.0
        await tend(keeper, pool, 1)
        assert checks(manager) == 1
    assert_empty(pool, manager)


async def test_what_is_in_use_is_not_checked(keeper: Keeper, clock: FakeClock) -> None:
    """Only when it has been idle for the interval afterwards."""
    manager = Hooked()
    async with Checked(manager, keeper) as pool:
        async with pool.connection("e"):
            clock.now += 300.0
            await keeper.tend(pool)
        await tend(keeper, pool, 1)
        clock.now += 29.0
        await tend(keeper, pool, 1)
        assert checks(manager) == 0
        clock.now += 1.0
        await tend(keeper, pool, 1)
        assert checks(manager) == 1
    assert_empty(pool, manager)


async def test_every_idle_one_is_checked(keeper: Keeper, clock: FakeClock) -> None:
    """At every endpoint, each once."""
    manager, seen = Hooked(), list[Connection]()

    def check(conn: Connection) -> bool:
        seen.append(conn)
        return True

    manager.on["check_aliveness"] = check
    async with Checked(manager, keeper) as pool:
        for endpoint in ("a", "b"):
            await stocked(pool, 3, endpoint)
        clock.now += INTERVAL
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 6)
        assert len(seen) == len({id(conn) for conn in seen}) == 6
    assert_empty(pool, manager)


async def test_by_default_nothing_is_checked(keeper: Keeper, clock: FakeClock) -> None:
    """``health_check_interval=None``."""
    manager = Hooked()
    async with Checked(manager, keeper, health_check_interval=None) as pool:
        await held(pool)
        clock.now += 3000.0
        await tend(keeper, pool, 1)
        assert checks(manager) == 0
    assert_empty(pool, manager)


async def test_a_manager_that_has_no_check_is_left_in_peace(
    keeper: Keeper, clock: FakeClock
) -> None:
    """There is nothing to check with, whatever the interval."""
    manager = Manager()
    async with Checked(manager, keeper) as pool:
        connection = await held(pool)
        clock.now += 3000.0
        await tend(keeper, pool, 1)
        assert pool.options.health_check_interval == INTERVAL
        assert await held(pool) is connection
    assert_empty(pool, manager)


async def test_the_check_is_told_its_time(keeper: Keeper, clock: FakeClock) -> None:
    """It is that of a connect."""
    times: list[float | None] = []

    class Timed(Hooked):
        async def check_aliveness(
            self, endpoint: Any, conn: Connection, timeout: float | None
        ) -> bool:
            times.append(timeout)
            return await super().check_aliveness(endpoint, conn, timeout)

    manager = Timed()
    async with Checked(manager, keeper, connect_timeout=4.5) as pool:
        await held(pool)
        clock.now += INTERVAL
        await tend(keeper, pool, 1)
        assert times == [4.5]
    assert_empty(pool, manager)


# -- the good ones ------------------------------------------------------------------------------------


@pytest.mark.parametrize("reuse", ["lifo", "fifo"])
async def test_the_good_ones_stay_where_they_were(
    keeper: Keeper, clock: FakeClock, reuse: Any
) -> None:
    """The order in which they are lent is the same as before."""
    manager = Hooked()
    async with Checked(manager, keeper, reuse=reuse) as pool:
        order = await stocked(pool, 4)
        clock.now += INTERVAL
        await tend(keeper, pool, 4)
        assert checks(manager) == 4
        leases = [await pool.acquire("e", 0) for _ in order]
        lent = [lease.connection.number for lease in leases]
        expected = [connection.number for connection in order]
        assert lent == (expected if reuse == "fifo" else expected[::-1])
        for lease in leases:
            await lease.release()
    assert_empty(pool, manager)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("reuse", ["lifo", "fifo"])
async def test_one_that_is_checked_alone_stays_where_it_was(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, reuse: Any, place: int
) -> None:
    """It passes none of the others, before or behind it."""
    chance, clock, manager = Chance(monkeypatch), FakeClock(monkeypatch), Hooked()
    async with Checked(manager, keeper, reuse=reuse) as pool:
        leases = []
        for number in range(4):
            chance.drawn = 1.0 if number == place else 0.0
            leases.append(await pool.acquire("e"))
        for lease in leases:
            await lease.release()
        clock.now += 0.9 * INTERVAL
        await tend(keeper, pool, 4)
        assert checks(manager) == 1
        leases = [await pool.acquire("e", 0) for _ in range(4)]
        lent = [lease.connection.number for lease in leases]
        assert lent == ([1, 2, 3, 4] if reuse == "fifo" else [4, 3, 2, 1])
        for lease in leases:
            await lease.release()
    assert_empty(pool, manager)


async def test_a_check_is_no_use(keeper: Keeper, clock: FakeClock) -> None:
    """It neither counts as a checkout nor begins the idleness anew, and no hook but it is called."""
    manager, recorder = Hooked(), Recorder()
    async with Checked(
        manager, keeper, idle_timeout=50.0, event_listeners=[recorder.listener]
    ) as pool:
        await held(pool)
        before, calls = pool.stats(), list(manager.calls)
        recorder.clear()
        clock.now += INTERVAL
        await tend(keeper, pool, 1)
        assert manager.calls == [*calls, "check_aliveness"]
        assert recorder.events == []
        assert pool.stats() == before
        clock.now += 20.0
        await tend(keeper, pool, 0)
        assert recorder.reasons() == [(1, "idle")]
    assert_empty(pool, manager)


async def test_a_check_does_not_lengthen_a_life(keeper: Keeper, clock: FakeClock) -> None:
    """Alive or not: it is retired in its time."""
    manager = Hooked()
    async with Checked(manager, keeper, max_lifetime=100.0) as pool:
        await held(pool)
        for _ in range(3):
            clock.now += INTERVAL
            await tend(keeper, pool, 1)
        clock.now += 10.001
        await tend(keeper, pool, 0)
        assert checks(manager) == 3
    assert_empty(pool, manager)
