"""ChaosManager by lot: the same for the same seed; and what it refuses to be told."""

import copy
from typing import Any

import pytest

from pool import PoolError
from pool.aio import ConnectionPool
from pool.testing.aio import ChaosManager, EventRecorder
from support.aio import call_soon

from .fakes import Connection, Hooked, Manager, assert_empty


async def refusals(chaos: ChaosManager[Any, Connection], endpoint: str, calls: int) -> list[bool]:
    """Return which of so many creates are refused."""
    found = []
    for _ in range(calls):
        try:
            await chaos.create(endpoint, None)
            found.append(False)
        except ConnectionRefusedError:
            found.append(True)
    return found


async def test_the_same_seed_draws_the_same_lots() -> None:
    """What the n-th call of a hook at an endpoint meets depends on the seed, and on no other call."""
    first = ChaosManager(Manager(), seed="a", refuse=0.5)
    second = ChaosManager(Manager(), seed="a", refuse=0.5)
    expected = await refusals(first, "x", 40)
    assert 5 < sum(expected) < 35
    await refusals(second, "y", 7)
    assert await refusals(second, "x", 40) == expected


async def test_another_seed_draws_others() -> None:
    """Seeds matter; one that was drawn is told, and repeats the run."""
    drawn = ChaosManager(Manager(), refuse=0.5)
    expected = await refusals(drawn, "x", 40)
    assert await refusals(ChaosManager(Manager(), drawn.seed, refuse=0.5), "x", 40) == expected
    assert await refusals(ChaosManager(Manager(), "another", refuse=0.5), "x", 40) != expected


async def test_odds_change_at_run_time() -> None:
    """From now on; those that are not named stay as they are."""
    chaos = ChaosManager(Manager(), seed=1, refuse=1.0)
    assert await refusals(chaos, "e", 3) == [True] * 3
    chaos.odds(lie=1.0)
    assert await refusals(chaos, "e", 3) == [True] * 3
    chaos.odds(refuse=0.0)
    assert await refusals(chaos, "e", 3) == [False] * 3
    chaos.odds("create", refuse=1.0)
    assert await refusals(chaos, "e", 1) == [True]
    chaos.active = False
    assert await refusals(chaos, "e", 1) == [False]
    chaos.active = True
    assert await refusals(chaos, "e", 1) == [True]
    chaos.heal()
    assert await refusals(chaos, "e", 1) == [False]


async def test_odds_in_one_hook() -> None:
    """A hook can be named; the others are left alone."""
    chaos = ChaosManager(Hooked(), seed=1)
    chaos.odds("on_release", error=1.0)
    conn = await chaos.create("e", None)
    await chaos.on_acquire("e", conn)
    with pytest.raises(OSError, match="chaos"):
        await chaos.on_release("e", conn)


async def test_hangs_strike_by_lot_only_where_a_timeout_ends_them() -> None:
    """A hook without a timeout would not come back by itself."""
    chaos = ChaosManager(Hooked(), seed=1)
    conn = await chaos.create("e", None)
    chaos.odds(hang=1.0)
    await chaos.on_acquire("e", conn)
    await chaos.on_release("e", conn)
    await chaos.on_connection_dead("e", conn)
    with pytest.raises(TimeoutError):
        await chaos.create("e", 0.001)
    with pytest.raises(TimeoutError):
        await chaos.check_aliveness("e", conn, 0.001)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda chaos: chaos.rule("explode"), "no fault is called 'explode'; there are refuse, "),
        (
            lambda chaos: chaos.rule("refuse", "dispose"),
            "'refuse' cannot strike in 'dispose', only",
        ),
        (lambda chaos: chaos.rule("refuse", nth=0), "nth counts from 1, not 0"),
        (lambda chaos: chaos.rule("refuse", times=0), "times must be at least 1, or None"),
        (lambda chaos: chaos.odds(refuse=1.5), "refuse must be a probability from 0 to 1, not 1.5"),
        (lambda chaos: chaos.odds(refuse="often"), "refuse must be a probability from 0 to 1"),
        (lambda chaos: chaos.odds(explode=0.5), "no fault is called 'explode'"),
        (lambda chaos: chaos.odds("dispose", lie=0.5), "'lie' cannot strike in 'dispose'"),
    ],
)
def test_what_makes_no_sense(call: Any, text: str) -> None:
    """A fault that is none, or not there, is refused by name."""
    with pytest.raises(ValueError, match=text):
        call(ChaosManager(Manager()))


async def test_repr() -> None:
    """It tells what is wrapped, the seed, and what was done."""
    manager = Manager()
    chaos = ChaosManager(manager, seed=7)
    assert repr(chaos) == f"<ChaosManager of {manager!r}, seed 7: no harm done>"
    chaos.rule("refuse", times=2)
    await refusals(chaos, "e", 3)
    assert repr(chaos) == f"<ChaosManager of {manager!r}, seed 7: refuse 2>"
    log = copy.copy(chaos.log)
    chaos.log.clear()
    assert chaos.log == log


@pytest.mark.concurrency
@pytest.mark.parametrize("seed", range(3))
async def test_a_pool_survives_chaos(seed: int) -> None:
    """Whatever goes wrong, every count comes back and the events are well-ordered."""
    manager, recorder = Hooked(), EventRecorder()
    chaos = ChaosManager(
        manager,
        seed,
        delay_time=0.0005,
        hang_limit=0.002,
        refuse=0.1,
        delay=0.1,
        hang=0.05,
        reset=0.1,
        half_open=0.05,
        lie=0.1,
        error=0.05,
    )
    options: dict[str, Any] = {"max_size": 3, "check_after_idle": 0.0, "acquire_timeout": 0.05}
    options["event_listeners"] = [recorder]
    served = 0

    async def work() -> None:
        nonlocal served
        for _ in range(10):
            try:
                async with pool.connection("e"):
                    served += 1
            except (OSError, PoolError):
                pass

    async with ConnectionPool(chaos, dispose_timeout=0.01, **options) as pool:
        calls = [await call_soon(work) for _ in range(8)]
        for call in calls:
            await call.result()
        chaos.heal()
        async with pool.connection("e", timeout=10.0):
            served += 1
        await pool.close(timeout=10.0)
    assert served, chaos.log
    assert sum(chaos.counts.values()) > 5
    assert_empty(pool, manager)
    recorder.check_order(ended=True)
