"""Idle connections that a check in the background finds dead. With a worker, and by hand."""

import logging
from contextlib import suppress

import pytest

from pool import PoolClosedError
from pool.monitoring import ConnectionClosedEvent, ConnectionCreatedEvent, ConnectionReadyEvent
from support.aio import Gate, until

from .callers import Caller, connecting
from .fakes import (
    Connection,
    FakeClock,
    Hooked,
    Keeper,
    Recorder,
    assert_empty,
    held,
    stocked,
)
from .kept import INTERVAL, Checked, checking

pytestmark = pytest.mark.concurrency


async def test_the_dead_is_replaced(keeper: Keeper, clock: FakeClock) -> None:
    """Though nothing need be kept here: there was one, and there is one."""
    manager = Hooked()
    async with Checked(manager, keeper) as pool:
        connection = await held(pool)
        connection.alive = False
        clock.now += INTERVAL
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == len(manager.disposed) == 1)
        assert connection.disposed
        assert await held(pool) is manager.opened[1]
        stats = pool.stats()
        assert (stats.errors, stats.created, stats.closed) == (1, 2, 1)
    assert_empty(pool, manager)


async def test_the_manager_is_told_of_the_dead(keeper: Keeper, clock: FakeClock) -> None:
    """After the check and before the dispose."""
    manager = Hooked()
    async with Checked(manager, keeper) as pool:
        connection = await held(pool)
        connection.alive = False
        manager.on["on_connection_dead"] = lambda conn: manager.calls.append(str(conn.disposed))
        clock.now += INTERVAL
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 1)
        assert manager.calls[-3:] == ["check_aliveness", "on_connection_dead", "False"]
    assert_empty(pool, manager)


async def test_what_is_told_of_the_dead(keeper: Keeper, clock: FakeClock) -> None:
    """It is closed for an error; then comes another one."""
    manager, recorder = Hooked(), Recorder()
    async with Checked(manager, keeper, event_listeners=[recorder.listener]) as pool:
        (await held(pool)).alive = False
        recorder.clear()
        clock.now += INTERVAL
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 1)
        assert [type(event) for event in recorder.events] == [
            ConnectionClosedEvent,
            ConnectionCreatedEvent,
            ConnectionReadyEvent,
        ]
        assert recorder.reasons() == [(1, "error")]
    assert_empty(pool, manager)


async def test_only_the_dead_are_replaced(keeper: Keeper, clock: FakeClock) -> None:
    """The others stay."""
    manager = Hooked()
    async with Checked(manager, keeper) as pool:
        idle = await stocked(pool, 5)
        idle[1].alive = idle[3].alive = False
        clock.now += INTERVAL
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 5)
        assert [connection.disposed for connection in idle] == [False, True, False, True, False]
        assert len(manager.opened) == 7
    assert_empty(pool, manager)


@pytest.mark.parametrize("dead", [1, 2])
async def test_the_dead_of_the_minimum_are_replaced_once(
    keeper: Keeper, clock: FakeClock, dead: int
) -> None:
    """What is missing is opened, and not a second time for those who died."""
    manager = Hooked()
    async with Checked(manager, keeper, min_size=2) as pool:
        # Callers beside the fill might open a third one.
        await pool.warm_up("e")
        for connection in manager.opened[:dead]:
            connection.alive = False
        clock.now += INTERVAL
        await keeper.tend(pool)
        await until(lambda: len(manager.disposed) == dead)
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 2)
        assert len(manager.opened) == 2 + dead
    assert_empty(pool, manager)


@pytest.mark.parametrize("how", ["clear", "remove"])
async def test_the_dead_are_forgotten_with_all_the_others(
    keeper: Keeper, clock: FakeClock, how: str
) -> None:
    """Nobody who is cleared or removed is replaced; so is not who died just before."""
    manager = Hooked()
    async with Checked(manager, keeper, max_connecting=1) as pool:
        idle, lease = (await stocked(pool, 2))[0], await pool.acquire("e")
        idle.alive = False
        assert lease.connection is not idle
        create = manager.create_gate = Gate()
        clock.now += INTERVAL
        gate, call = await checking(keeper, pool, manager)
        caller = await connecting(pool, Caller(pool, timeout=None).call)
        gate.open()
        await until(lambda: idle in manager.disposed)
        await (pool.clear("e") if how == "clear" else pool.remove("e"))
        if how == "remove":
            await pool.add("e")
        create.open()
        with suppress(PoolClosedError):
            await caller.result()
        await call.result()
        await lease.release()
        await keeper.tend(pool)
        await until(lambda: pool.get_size() == (how == "clear"))
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_a_check_that_raises_means_dead(
    keeper: Keeper, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged."""
    manager = Hooked()

    def fail(conn: Connection) -> bool:
        raise OSError("reset by peer")

    async with Checked(manager, keeper) as pool:
        connection = await held(pool)
        manager.on["check_aliveness"] = fail
        clock.now += INTERVAL
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 1)
        assert connection.disposed
        assert manager.calls[-1] == "on_connection_dead"
        assert "check of connection #1 to 'e' failed: OSError('reset by peer')" in caplog.text
    assert_empty(pool, manager)


async def test_a_check_whose_time_is_over_means_dead(keeper: Keeper, clock: FakeClock) -> None:
    """It says so by a ``TimeoutError``."""
    manager = Hooked()

    def late(conn: Connection) -> bool:
        raise TimeoutError

    async with Checked(manager, keeper) as pool:
        connection = await held(pool)
        manager.on["check_aliveness"] = late
        clock.now += INTERVAL
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 1)
        assert connection.disposed
    assert_empty(pool, manager)


async def test_a_hook_that_fails_at_the_dead_changes_nothing(
    keeper: Keeper, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; the dead is replaced all the same."""
    manager = Hooked()

    def fail(conn: Connection) -> None:
        raise RuntimeError("no flowers")

    manager.on["on_connection_dead"] = fail
    async with Checked(manager, keeper) as pool:
        connection = await held(pool)
        connection.alive = False
        clock.now += INTERVAL
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 1)
        assert connection.disposed
        assert "no flowers" in caplog.text
    assert_empty(pool, manager)


async def test_there_may_be_no_replacement_to_be_had(
    keeper: Keeper, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The server is gone: that is logged, and the endpoint is forgotten in the end."""
    caplog.set_level(logging.WARNING, "pool.connection")
    manager = Hooked()
    async with Checked(manager, keeper) as pool:
        (await held(pool)).alive = False
        manager.errors = [OSError("refused")]
        clock.now += INTERVAL
        await keeper.tend(pool)
        await until(lambda: pool.stats().endpoints == 0)
        assert "OSError('refused')" in caplog.text
        assert manager.started == 2
        assert (await held(pool)).number == 2
    assert_empty(pool, manager)
