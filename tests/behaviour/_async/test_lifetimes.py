"""Connections that are retired because they are old, or worn. With a worker, and by hand."""

from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import until

from .callers import Caller, queued, settled
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


def numbers(connections: list[Connection]) -> list[int]:
    return [connection.number for connection in connections]


# -- max_lifetime -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("drawn", "lifetime"), [(0.0, 3600.0), (0.5, 3420.0), (1.0, 3240.0)])
async def test_what_is_too_old_is_retired(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, drawn: float, lifetime: float
) -> None:
    """After ``max_lifetime``, shortened by up to 10 % at random; and not before."""
    Chance(monkeypatch, drawn)
    clock, manager, recorder = FakeClock(monkeypatch), Manager(), Recorder()
    async with ConnectionPool(
        manager,
        background_collector=keeper.worker,
        idle_timeout=None,
        event_listeners=[recorder.listener],
    ) as pool:
        await held(pool)
        clock.now += lifetime - 0.001
        await keeper.tend(pool)
        assert pool.stats().idle == 1
        clock.now += 0.002
        await keeper.tend(pool)
        assert pool.get_size() == 0
        assert recorder.reasons() == [(1, "idle")]
    assert_empty(pool, manager)


async def test_the_moment_of_the_end_is_no_trap(keeper: Keeper, clock: FakeClock) -> None:
    """A look at the very moment at which the lifetime is over comes to an end."""
    manager = Manager()
    async with ConnectionPool(
        manager, background_collector=keeper.worker, idle_timeout=None
    ) as pool:
        await held(pool)
        clock.now += 3600.0
        await keeper.tend(pool)
        assert pool.get_size() == 0
    assert_empty(pool, manager)


async def test_each_connection_draws_its_own_lot(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened together, they do not end together."""
    chance, clock, manager = Chance(monkeypatch), FakeClock(monkeypatch), Manager()
    async with ConnectionPool(
        manager, background_collector=keeper.worker, idle_timeout=None
    ) as pool:
        leases = []
        for chance.drawn in (0.0, 1.0, 0.5):
            leases.append(await pool.acquire("e"))
        for lease in leases:
            await lease.release()
        clock.now += 3230.0
        for gone in ([], [2], [2, 3], [2, 3], [2, 3, 1]):
            await keeper.tend(pool)
            assert numbers(manager.disposed) == gone
            clock.now += 100.0
    assert_empty(pool, manager)


async def test_use_does_not_lengthen_a_life(keeper: Keeper, clock: FakeClock) -> None:
    """However busy it is."""
    manager = Manager()
    async with ConnectionPool(
        manager, background_collector=keeper.worker, max_lifetime=100.0
    ) as pool:
        for _ in range(5):
            await held(pool)
            clock.now += 20.001
        assert (await held(pool)).number == 2
        assert numbers(manager.disposed) == [1]
    assert_empty(pool, manager)


async def test_the_minimum_grows_old_too(keeper: Keeper, clock: FakeClock) -> None:
    """It is replaced."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker, min_size=2) as pool:
        await stocked(pool, 2)
        clock.now += 3600.001
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 2)
        assert sorted(numbers(manager.disposed)) == [1, 2]
        assert len(manager.opened) == 4
    assert_empty(pool, manager)


async def test_the_old_one_in_use_is_left_alone(keeper: Keeper, clock: FakeClock) -> None:
    """Its lease is not cut short; it is closed when it comes back."""
    manager, recorder = Hooked(), Recorder()
    async with ConnectionPool(
        manager, background_collector=keeper.worker, event_listeners=[recorder.listener]
    ) as pool:
        async with pool.connection("e") as connection:
            clock.now += 36000.0
            await keeper.tend(pool)
            assert not connection.disposed
            assert not connection.interrupted
            assert pool.stats().in_use == 1
        assert manager.disposed == [connection]
        assert recorder.reasons() == [(1, "idle")]
        assert "on_release" not in manager.calls
    assert_empty(pool, manager)


async def test_the_old_one_is_not_given_to_the_next(keeper: Keeper, clock: FakeClock) -> None:
    """Who waits for it gets a new one in its place."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=keeper.worker, max_size=1) as pool:
        lease = await pool.acquire("e")
        call = await queued(pool, Caller(pool, timeout=None).call)
        clock.now += 3600.001
        await lease.release()
        assert (await call.result()).number == 2
        assert numbers(manager.disposed) == [1]
    assert_empty(pool, manager)


@pytest.mark.parametrize("heard", [True, False])
@pytest.mark.parametrize("reuse", ["lifo", "fifo"])
async def test_the_old_one_never_leaves(
    keeper: Keeper, clock: FakeClock, heard: bool, reuse: Any
) -> None:
    """Nobody has looked yet, and yet it is not handed out: whether or not anybody is told."""
    manager = Manager()
    listeners = [Recorder().listener] if heard else []
    async with ConnectionPool(
        manager,
        background_collector=keeper.worker,
        idle_timeout=None,
        event_listeners=listeners,
        reuse=reuse,
    ) as pool:
        await stocked(pool, 3)
        clock.now += 3600.001
        assert (await held(pool)).number == 4
        assert sorted(numbers(manager.disposed)) == [1, 2, 3]
    assert_empty(pool, manager)


async def test_now_or_never_is_never_if_all_are_too_old(keeper: Keeper, clock: FakeClock) -> None:
    """There is nothing idle that is fit to be lent."""
    manager = Manager()
    async with ConnectionPool(
        manager, background_collector=keeper.worker, idle_timeout=None
    ) as pool:
        await stocked(pool, 2)
        clock.now += 3600.001
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 0)
        await settled(pool)
        assert pool.get_size() == 0
    assert_empty(pool, manager)


@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("reuse", ["lifo", "fifo"])
async def test_the_others_stay_in_order(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, reuse: Any, place: int
) -> None:
    """Wherever the retired one stood among the idle."""
    chance, clock, manager = Chance(monkeypatch), FakeClock(monkeypatch), Manager()
    async with ConnectionPool(
        manager, background_collector=keeper.worker, idle_timeout=None, reuse=reuse
    ) as pool:
        leases = []
        for number in range(4):
            chance.drawn = 1.0 if number == place else 0.0
            leases.append(await pool.acquire("e"))
        for lease in leases:
            await lease.release()
        clock.now += 3300.0
        await keeper.tend(pool)
        assert numbers(manager.disposed) == [place + 1]
        leases = [await pool.acquire("e", 0) for _ in range(3)]
        rest = [number for number in (1, 2, 3, 4) if number != place + 1]
        order = rest if reuse == "fifo" else rest[::-1]
        assert numbers([lease.connection for lease in leases]) == order
        for lease in leases:
            await lease.release()
        assert pool.stats().idle == 3
    assert_empty(pool, manager)


async def test_many_are_retired_and_used_in_turn(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost or lent twice, whatever comes between."""
    chance, clock, manager = Chance(monkeypatch), FakeClock(monkeypatch), Manager()
    async with ConnectionPool(
        manager,
        background_collector=keeper.worker,
        max_lifetime=100.0,
        idle_timeout=40.0,
        min_size=1,
    ) as pool:
        for step in range(60):
            chance.drawn = step % 7 / 6
            leases = [await pool.acquire("e") for _ in range(step % 5)]
            clock.now += step % 11
            for lease in leases:
                assert not lease.connection.disposed
                await lease.release()
            clock.now += step % 4
            if step % 3 == 0:
                await keeper.tend(pool)
            assert pool.get_size() <= 10
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


# -- max_uses -----------------------------------------------------------------------------------------


async def test_what_was_used_too_often_is_retired(keeper: Keeper) -> None:
    """When it comes back the last time; the minimum is filled again."""
    manager = Manager()
    async with ConnectionPool(
        manager, background_collector=keeper.worker, max_uses=3, min_size=1
    ) as pool:
        for _ in range(3):
            assert (await held(pool)).number == 1
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 1)
        assert numbers(manager.disposed) == [1]
    assert_empty(pool, manager)


async def test_a_check_is_no_use(keeper: Keeper, clock: FakeClock) -> None:
    """Only checkouts count."""
    manager = Hooked()
    async with ConnectionPool(
        manager,
        background_collector=keeper.worker,
        max_uses=2,
        health_check_interval=10.0,
        idle_timeout=None,
    ) as pool:
        connection = await held(pool)
        for _ in range(5):
            clock.now += 10.0
            await keeper.tend(pool)
            await until(lambda: pool.stats().idle == 1)
        assert manager.calls.count("check_aliveness") == 5
        assert await held(pool) is connection
        assert connection.disposed
    assert_empty(pool, manager)
