"""What happens while idle connections are checked in the background. With a worker, and by hand."""

from typing import Any

import pytest

from pool import PoolTimeoutError
from support.aio import Running, call_soon, until

from .callers import Caller, queued, settled
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
from .kept import INTERVAL, Checked, checking, tend

pytestmark = pytest.mark.concurrency


async def test_it_belongs_to_nobody(keeper: Keeper, clock: FakeClock) -> None:
    """It is not lent meanwhile; there is a connection, and somebody works with it."""
    manager = Hooked()
    async with Checked(manager, keeper) as pool:
        connection = await held(pool)
        clock.now += INTERVAL
        gate, call = await checking(keeper, pool, manager)
        stats = pool.stats()
        assert (stats.total, stats.idle, stats.in_use) == (1, 0, 1)
        assert stats.acquired == stats.released == 1
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 0)
        other = await held(pool)
        assert other is not connection
        gate.open()
        await call.result()
        await until(lambda: pool.stats().idle == 2)
    assert_empty(pool, manager)


async def test_it_is_the_pool_itself_that_checks(keeper: Keeper, clock: FakeClock) -> None:
    """``explain`` does not accuse whoever had the connection last."""
    manager = Hooked()
    async with Checked(manager, keeper) as pool:
        await held(pool)
        clock.now += INTERVAL
        gate, call = await checking(keeper, pool, manager)
        clock.now += 1.5
        assert "#1 checking for 1.500 s, by the pool itself" in pool.explain()
        gate.open()
        await call.result()
    await settled(pool)
    assert_empty(pool, manager)


async def test_the_next_gets_it_when_it_is_good(keeper: Keeper, clock: FakeClock) -> None:
    """Who came while it was checked waits in the queue, and is the first."""
    manager = Hooked()
    async with Checked(manager, keeper, max_size=1) as pool:
        connection = await held(pool)
        clock.now += INTERVAL
        gate, call = await checking(keeper, pool, manager)
        waiting = await queued(pool, Caller(pool).call)
        gate.open()
        assert await waiting.result() is connection
        await call.result()
        assert len(manager.opened) == 1
    assert_empty(pool, manager)


async def test_the_next_gets_another_when_it_is_dead(keeper: Keeper, clock: FakeClock) -> None:
    """He opens it himself, in its place; nobody opens one more for stock."""
    manager = Hooked()
    async with Checked(manager, keeper, max_size=1) as pool:
        connection = await held(pool)
        connection.alive = False
        clock.now += INTERVAL
        gate, call = await checking(keeper, pool, manager)
        waiting = await queued(pool, Caller(pool).call)
        gate.open()
        assert (await waiting.result()).number == 2
        await call.result()
        await keeper.tend(pool)
        assert len(manager.opened) == 2
        assert manager.most_live == 1
    assert_empty(pool, manager)


@pytest.mark.parametrize("alive", [True, False])
async def test_a_clear_overtakes_a_check(keeper: Keeper, clock: FakeClock, alive: bool) -> None:
    """Whatever it finds: the connection is stale, and is not replaced."""
    manager, recorder = Hooked(), Recorder()
    async with Checked(manager, keeper, event_listeners=[recorder.listener]) as pool:
        connection = await held(pool)
        connection.alive = alive
        clock.now += INTERVAL
        gate, call = await checking(keeper, pool, manager)
        await pool.clear("e")
        assert not connection.disposed
        gate.open()
        await call.result()
        await until(lambda: pool.get_size() == 0)
        assert recorder.reasons() == [(1, "stale")]
        assert len(manager.opened) == 1
    assert_empty(pool, manager)


async def test_a_clear_may_break_off_a_check(keeper: Keeper, clock: FakeClock) -> None:
    """With ``interrupt_connections`` the manager is asked to."""
    manager = Hooked()
    async with Checked(manager, keeper) as pool:
        connection = await held(pool)
        clock.now += INTERVAL
        gate, call = await checking(keeper, pool, manager)
        await pool.clear("e", interrupt_connections=True)
        assert connection.interrupted
        gate.open()
        await call.result()
        await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


@pytest.mark.parametrize("alive", [True, False])
async def test_closing_waits_for_a_check(keeper: Keeper, clock: FakeClock, alive: bool) -> None:
    """As for any other use of a connection."""
    manager, recorder = Hooked(), Recorder()
    pool = Checked(manager, keeper, event_listeners=[recorder.listener])
    connection = await held(pool)
    connection.alive = alive
    clock.now += INTERVAL
    gate, call = await checking(keeper, pool, manager)
    closing: Running[None] = await call_soon(pool.close, None)
    await until(lambda: pool._engine.core.is_closed())
    assert not connection.disposed
    assert not closing.done()
    gate.open()
    await closing.result()
    await call.result()
    assert recorder.reasons() == [(1, "poolClosed")]
    assert_empty(pool, manager)


@pytest.mark.parametrize("alive", [True, False])
async def test_an_endpoint_is_removed_while_it_is_checked(
    keeper: Keeper, clock: FakeClock, alive: bool
) -> None:
    """The connection is closed when the check ends; the endpoint may be used again."""
    manager, recorder = Hooked(), Recorder()
    async with Checked(manager, keeper, event_listeners=[recorder.listener]) as pool:
        connection = await held(pool)
        connection.alive = alive
        clock.now += INTERVAL
        gate, call = await checking(keeper, pool, manager)
        await pool.remove("e")
        gate.open()
        await call.result()
        await until(lambda: connection in manager.disposed)
        await until(lambda: pool.get_size() == 0)
        assert recorder.reasons() == [(1, "poolClosed")]
        assert (await held(pool)).number == 2
    assert_empty(pool, manager)


async def test_the_pool_is_made_smaller_while_one_is_checked(
    keeper: Keeper, clock: FakeClock
) -> None:
    """Those that are idle go first; what is checked goes when it comes back, if it must."""
    manager = Hooked()
    async with Checked(manager, keeper) as pool:
        await stocked(pool, 2)
        async with pool.connection("e") as connection:
            clock.now += INTERVAL
            gate, call = await checking(keeper, pool, manager)
            pool.resize(max_size=1)
            assert pool.get_size() == 2
            gate.open()
            await call.result()
            await until(lambda: pool.get_size() == 1)
            assert not connection.disposed
    assert_empty(pool, manager)


async def test_its_life_may_end_while_it_is_checked(keeper: Keeper, clock: FakeClock) -> None:
    """It is good, but too old by now."""
    manager, recorder = Hooked(), Recorder()
    listeners = [recorder.listener]
    async with Checked(manager, keeper, max_lifetime=31.0, event_listeners=listeners) as pool:
        await held(pool)
        clock.now += INTERVAL
        gate, call = await checking(keeper, pool, manager)
        clock.now += 1.001
        gate.open()
        await call.result()
        await until(lambda: pool.get_size() == 0)
        assert recorder.reasons() == [(1, "idle")]
    assert_empty(pool, manager)


async def test_it_is_as_old_as_before(keeper: Keeper, clock: FakeClock) -> None:
    """Also if callers have passed it meanwhile: it was not used."""
    manager = Hooked()
    async with Checked(manager, keeper, idle_timeout=50.0) as pool:
        connection = await held(pool)
        clock.now += INTERVAL
        gate, call = await checking(keeper, pool, manager)
        other = await held(pool)
        gate.open()
        await call.result()
        await until(lambda: pool.stats().idle == 2)
        clock.now += 20.0
        await tend(keeper, pool, 1)
        assert connection.disposed
        assert not other.disposed
    assert_empty(pool, manager)


async def test_it_makes_room_when_the_check_has_ended(keeper: Keeper, clock: FakeClock) -> None:
    """It is not idle: who needs its place at another endpoint waits so long."""
    manager = Hooked()
    async with Checked(manager, keeper, max_size=1, total_max_size=1) as pool:
        connection = await held(pool, "a")
        clock.now += INTERVAL
        gate, call = await checking(keeper, pool, manager)
        waiting = await queued(pool, Caller(pool, endpoint="b").call)
        assert manager.disposed == []
        gate.open()
        assert (await waiting.result()).endpoint == "b"
        await call.result()
        assert connection.disposed
        assert manager.most_live == 1
    assert_empty(pool, manager)


async def test_a_slow_check_keeps_no_other_from_being_lent(
    keeper: Keeper, clock: FakeClock
) -> None:
    """Those beside it, wherever they stand among the idle."""
    manager = Hooked()
    async with Checked(manager, keeper, max_size=3) as pool:
        first, *others = await stocked(pool, 3)
        clock.now += 10.0
        leases = [await pool.acquire("e") for _ in others]
        for lease in leases:
            await lease.release()
        clock.now += 20.0
        gate, call = await checking(keeper, pool, manager)
        assert pool.stats().idle == 2
        for _ in range(3):
            leases = [await pool.acquire("e", 0) for _ in others]
            assert all(lease.connection is not first for lease in leases)
            for lease in leases:
                await lease.release()
        gate.open()
        await call.result()
        await until(lambda: pool.stats().idle == 3)
        leases = [await pool.acquire("e", 0) for _ in range(3)]
        assert len({lease.id for lease in leases}) == 3
        for lease in leases:
            await lease.release()
    assert_empty(pool, manager)


async def breathe() -> None:
    """Let the others run for a moment."""
    answers = iter((False, True))
    await until(lambda: next(answers))


async def test_checks_and_callers_mix(keeper: Keeper, clock: FakeClock) -> None:
    """Nothing is lost, and nobody has what is being checked."""
    busy: set[int] = set()

    class Jealous(Hooked):
        """Sees to it that it checks alone."""

        async def check_aliveness(
            self, endpoint: Any, conn: Connection, timeout: float | None
        ) -> bool:
            assert id(conn) not in busy, "checked while it is in use"
            busy.add(id(conn))
            alive = await super().check_aliveness(endpoint, conn, timeout)
            busy.remove(id(conn))
            return alive

    async def turned(moment: float) -> None:
        await until(lambda: clock.now > moment)

    async def use(step: float) -> None:
        for _ in range(20):
            async with pool.connection("e", None) as connection:
                assert id(connection) not in busy, "lent while it is checked"
                busy.add(id(connection))
                await turned(clock.now + step / 2)
                busy.remove(id(connection))
            await turned(clock.now + step)

    manager = Jealous()
    async with Checked(
        manager, keeper, max_size=3, health_check_interval=2.0, max_lifetime=40.0
    ) as pool:
        calls = [await call_soon(use, step) for step in (0.5, 1.0, 2.0, 4.0)]
        while not all(call.done() for call in calls):
            clock.now += 0.5
            await keeper.tend(pool)
            await breathe()
        for call in calls:
            await call.result()
        assert manager.most_live <= 3
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)
