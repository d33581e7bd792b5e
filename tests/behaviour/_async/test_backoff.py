"""Fills that fail are tried again, later and later, and carefully at first. With a worker, and by hand."""

from typing import Any

import pytest

from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, until

from .callers import Caller, queued
from .fakes import (
    Chance,
    Connection,
    FakeClock,
    Keeper,
    Manager,
    assert_empty,
    held,
)
from .kept import Down, Filled

pytestmark = pytest.mark.concurrency

PAUSES = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]


@pytest.fixture
def chance(monkeypatch: pytest.MonkeyPatch) -> Chance:
    """Draws the longest of all pauses."""
    return Chance(monkeypatch, 1.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, chance: Chance) -> FakeClock:
    return FakeClock(monkeypatch)


async def tried_after(
    seconds: float,
    keeper: Keeper,
    pool: ConnectionPool[Any, Connection],
    manager: Down,
    clock: FakeClock,
) -> None:
    """See that it tries again so long after the last failure, once; and not a moment before."""
    tried = len(manager.tried)
    clock.now += seconds - 0.001
    await keeper.tend(pool)
    assert len(manager.tried) == tried
    clock.now += 0.002
    await keeper.tend(pool)
    await until(lambda: len(manager.tried) == tried + 1)
    await until(lambda: pool.stats().connecting == 0)
    await keeper.tend(pool)
    assert len(manager.tried) == tried + 1


async def begun(keeper: Keeper, pool: ConnectionPool[Any, Connection], manager: Down) -> None:
    """See the first try."""
    await pool.add("e")
    await keeper.tend(pool)
    await until(lambda: pool.stats().errors == len(manager.tried) == 1)


# -- how long -----------------------------------------------------------------------------------------


async def test_the_pauses_grow(keeper: Keeper, clock: FakeClock) -> None:
    """From a tenth of a second, twice as long each time, to five seconds at most."""
    manager = Down("e")
    async with Filled(manager, keeper, min_size=1) as pool:
        await begun(keeper, pool, manager)
        for seconds in PAUSES:
            await tried_after(seconds, keeper, pool, manager, clock)
    assert_empty(pool, manager)


@pytest.mark.parametrize("drawn", [0.25, 0.5, 0.75])
async def test_any_part_of_a_pause_may_be_drawn(
    keeper: Keeper, clock: FakeClock, chance: Chance, drawn: float
) -> None:
    """Full jitter: clients that failed together do not come back together."""
    chance.drawn = drawn
    manager = Down("e")
    async with Filled(manager, keeper, min_size=1) as pool:
        await begun(keeper, pool, manager)
        for seconds in PAUSES:
            await tried_after(drawn * seconds, keeper, pool, manager, clock)
    assert_empty(pool, manager)


async def test_a_pause_may_be_nothing(
    keeper: Keeper, clock: FakeClock, chance: Chance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is the other end of full jitter: it tries again at once."""
    chance.drawn = 0.0
    manager = Manager()
    manager.errors = [OSError("refused") for _ in range(3)]
    async with Filled(manager, keeper, min_size=1) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 1)
        assert manager.started == 4
    assert_empty(pool, manager)


async def test_lots_are_drawn_each_time(keeper: Keeper, clock: FakeClock, chance: Chance) -> None:
    """A short pause does not make the next one shorter."""
    manager = Down("e")
    async with Filled(manager, keeper, min_size=1) as pool:
        await begun(keeper, pool, manager)
        due = PAUSES[0]
        for longest, chance.drawn in zip(PAUSES[1:], (0.5, 1.0, 0.25, 1.0, 0.125), strict=False):
            await tried_after(due, keeper, pool, manager, clock)
            due = longest * chance.drawn
    assert_empty(pool, manager)


async def test_the_worker_sleeps_until_the_next_try(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks for nothing else meanwhile."""
    manager, keeper = Down("e"), Keeper(monkeypatch)
    async with Filled(manager, keeper, min_size=1) as pool:
        await begun(keeper, pool, manager)
        for expected in PAUSES:
            await keeper.look(pool)
            assert keeper.naps[-1] == pytest.approx(expected)
            clock.now += expected
            tried = len(manager.tried)
            await keeper.tend(pool)
            await until(lambda count=tried: len(manager.tried) > count)  # type: ignore[misc]
            await until(lambda: pool.stats().connecting == 0)
    assert_empty(pool, manager)


async def test_an_outage_of_years_is_no_trap(keeper: Keeper, clock: FakeClock) -> None:
    """Doubling ends before numbers do."""
    manager = Down("e")
    async with Filled(manager, keeper, min_size=1) as pool:
        await begun(keeper, pool, manager)
        pool._engine.books._homes["e"].failures = 100_000
        await tried_after(0.1, keeper, pool, manager, clock)
        await tried_after(5.0, keeper, pool, manager, clock)
    assert_empty(pool, manager)


async def test_the_plan_is_no_secret(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """``explain`` says how often it has failed, and when the pool tries again."""
    manager, keeper = Down("e"), Keeper(monkeypatch)
    async with Filled(manager, keeper, min_size=1) as pool:
        await begun(keeper, pool, manager)
        await tried_after(0.1, keeper, pool, manager, clock)
        clock.now += 0.05
        text = "2 failed connects in a row, the pool itself tries again in 0.150 s"
        assert text in pool.explain()
    assert_empty(pool, manager)


# -- beginning anew -----------------------------------------------------------------------------------


async def test_a_success_ends_it(keeper: Keeper, clock: FakeClock) -> None:
    """The next outage begins with a short pause."""
    manager = Down("e")
    async with Filled(manager, keeper, min_size=1) as pool:
        await begun(keeper, pool, manager)
        for seconds in PAUSES[:4]:
            await tried_after(seconds, keeper, pool, manager, clock)
        manager.down.clear()
        await tried_after(PAUSES[4], keeper, pool, manager, clock)
        await until(lambda: pool.stats().idle == 1)
        manager.down.add("e")
        await pool.clear("e")
        await keeper.tend(pool)
        await until(lambda: len(manager.tried) == 7)
        await until(lambda: pool.get_size() == 0)
        await tried_after(0.1, keeper, pool, manager, clock)
    assert_empty(pool, manager)


async def test_the_success_of_a_caller_ends_it(keeper: Keeper, clock: FakeClock) -> None:
    """He has found that the server is there: what is missing is opened at once."""
    manager = Down("e")
    async with Filled(manager, keeper, min_size=2, max_connecting=1) as pool:
        await begun(keeper, pool, manager)
        manager.down.clear()
        await held(pool)
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 2)
    assert_empty(pool, manager)


async def test_ready_ends_it(keeper: Keeper, clock: FakeClock) -> None:
    """Whoever says so knows that the server is there."""
    manager = Down("e")
    async with Filled(manager, keeper, min_size=1, paused=True) as pool:
        await pool.ready("e")
        await begun(keeper, pool, manager)
        for seconds in PAUSES[:4]:
            await tried_after(seconds, keeper, pool, manager, clock)
        await pool.clear("e")
        clock.now += 60.0
        await keeper.tend(pool)
        assert len(manager.tried) == 5
        await pool.ready("e")
        await keeper.tend(pool)
        await until(lambda: len(manager.tried) == 6)
        await until(lambda: pool.stats().connecting == 0)
        await tried_after(0.1, keeper, pool, manager, clock)
    assert_empty(pool, manager)


async def test_ready_where_it_is_ready_ends_nothing(keeper: Keeper, clock: FakeClock) -> None:
    """There it does nothing."""
    manager = Down("e")
    async with Filled(manager, keeper, min_size=1) as pool:
        await begun(keeper, pool, manager)
        await pool.ready("e")
        await tried_after(0.1, keeper, pool, manager, clock)
    assert_empty(pool, manager)


async def test_a_clear_ends_nothing(keeper: Keeper, clock: FakeClock) -> None:
    """It does not know whether the server is there."""
    manager = Down("e")
    async with Filled(manager, keeper, min_size=1) as pool:
        await begun(keeper, pool, manager)
        await pool.clear("e")
        await tried_after(0.1, keeper, pool, manager, clock)
    assert_empty(pool, manager)


async def test_a_removed_endpoint_starts_afresh(keeper: Keeper, clock: FakeClock) -> None:
    """Added again it is tried at once, though a lease of before lives still."""
    manager = Down()
    async with Filled(manager, keeper, min_size=1) as pool:
        lease = await pool.acquire("e")
        manager.down.add("e")
        pool.resize(min_size=2)
        await keeper.tend(pool)
        await until(lambda: pool.stats().errors == 1)
        await pool.remove("e")
        manager.down.clear()
        await pool.add("e")
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 1)
        await lease.release()
        await keeper.tend(pool)
        await until(lambda: pool.stats().idle == 2)
    assert_empty(pool, manager)


async def test_every_endpoint_has_its_own_pauses(keeper: Keeper, clock: FakeClock) -> None:
    """One that is down holds up no other."""
    manager = Down("e")
    async with Filled(manager, keeper, min_size=1) as pool:
        await begun(keeper, pool, manager)
        await tried_after(0.1, keeper, pool, manager, clock)
        await pool.add("good")
        await keeper.tend(pool)
        await until(lambda: pool.stats("good").idle == 1)
        manager.down.add("bad")
        await pool.add("bad")
        await keeper.tend(pool)
        await until(lambda: manager.tried[-1] == "bad")
        await until(lambda: pool.stats().connecting == 0)
        assert manager.tried == ["e", "e", "good", "bad"]
        await tried_after(0.1, keeper, pool, manager, clock)
        assert manager.tried[-1] == "bad"
        clock.now += 0.1
        await keeper.tend(pool)
        await until(lambda: manager.tried[-1] == "e")
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


# -- callers ------------------------------------------------------------------------------------------


async def test_no_caller_waits_for_the_end_of_a_pause(keeper: Keeper, clock: FakeClock) -> None:
    """He connects at once, however often that has failed before; so does the next."""
    manager = Down("e")
    async with Filled(manager, keeper, min_size=1) as pool:
        await begun(keeper, pool, manager)
        for _ in range(5):
            with pytest.raises(ConnectionRefusedError):
                await pool.acquire("e")
        manager.down.clear()
        assert await held(pool) is manager.opened[0]
        assert len(manager.tried) == 7
    assert_empty(pool, manager)


async def test_nobody_in_the_queue_waits_for_the_end_of_a_pause(
    keeper: Keeper, clock: FakeClock
) -> None:
    """His turn comes when a place is free, even if it was a failure that freed it."""
    manager = Down("e")
    async with Filled(manager, keeper, min_size=1, max_size=1) as pool:
        gate = manager.create_gate = Gate()
        await pool.add("e")
        tending: Running[None] = await call_soon(keeper.tend, pool)
        await until(lambda: gate.waiting)
        calls = [await queued(pool, Caller(pool, timeout=None).call) for _ in range(3)]
        gate.open()
        for call in calls:
            with pytest.raises(ConnectionRefusedError):
                await call.result()
        await tending.result()
        assert len(manager.tried) == 4
    assert_empty(pool, manager)


async def test_the_failures_of_callers_make_the_pool_careful(
    keeper: Keeper, clock: FakeClock
) -> None:
    """It does not try at once what has just failed."""
    manager = Down("e")
    async with Filled(manager, keeper, min_size=1) as pool:
        await begun(keeper, pool, manager)
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                await pool.acquire("e")
        await tried_after(0.8, keeper, pool, manager, clock)
    assert_empty(pool, manager)
