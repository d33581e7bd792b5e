"""A cancel at the k-th suspension of what keeps a pool: by hand, by its callers, by its worker.

What holds the place of a connection at each await, and who gives it back when a cancel strikes there:

===========================  ======================  ======================================================
suspended in                 the place is held by    given back by
===========================  ======================  ======================================================
``create`` of a fill         the filler's permit     ``abandon``: told as closed, then ``closed``
``check_aliveness``          the entry, CHECKING     ``checked``, as dead: disposed of, then ``closed``
``on_connection_dead``       the entry, CHECKING     ``checked``, as dead: disposed of, then ``closed``
a dispose                    its own task            that task, which no cancel of ours reaches
a warm-up                    nobody                  nobody: the fill goes on
===========================  ======================  ======================================================

A task that is cancelled before it has begun begins all the same: what it is to do is in its hands already.
"""

import asyncio
from functools import partial
from typing import Any

import pytest
from aio_only.kept import OPTIONS, PREPARED, Act, KeptWorld, at_every_turn, background
from aio_only.steps import World
from aio_only.strikes import MOMENTS, Call, Scenario, strike_everywhere
from behaviour._async.fakes import Chance, FakeClock

from support.aio import PATIENCE, until

pytestmark = pytest.mark.concurrency


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A time that stands still, and no pause after a failed connect."""
    Chance(monkeypatch, 0.0)
    return FakeClock(monkeypatch)


# -- rounds by hand ---------------------------------------------------------------------------------


async def by_hand(clock: FakeClock, what: str, collector: bool) -> tuple[World, Call]:
    """A round in which there is something to do, which the worker, if there is one, sleeps through."""
    world = KeptWorld(clock, background_collector=collector, **OPTIONS[what])
    world.put_to_sleep()
    await PREPARED[what](world)
    return world, world.pool.maintain()


async def warm_up(clock: FakeClock, collector: bool) -> tuple[World, Call]:
    world = KeptWorld(clock, min_size=3, background_collector=collector)
    return world, world.pool.warm_up("e", PATIENCE)


async def warm_up_after_failures(clock: FakeClock, collector: bool) -> tuple[World, Call]:
    world = KeptWorld(clock, min_size=2, background_collector=collector)
    world.manager.outcomes["create"] = "error"
    world.also(world.when(lambda: world.pool.stats().errors > 2, partial(get_well, world)))
    return world, world.pool.warm_up("e", PATIENCE)


async def get_well(world: World) -> None:
    world.manager.outcomes.clear()


async def two_warm_ups(clock: FakeClock, collector: bool) -> tuple[World, Call]:
    """Somebody else waits for the same; he must be served though we leave."""
    world = KeptWorld(clock, min_size=2, background_collector=collector)
    call = world.pool.warm_up("e", PATIENCE)
    world.also(world.when(lambda: world.pool.stats().connecting, lambda: world.pool.warm_up("e")))
    return world, call


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("collector", [True, False])
@pytest.mark.parametrize("what", PREPARED)
async def test_a_round_by_hand_cancelled_at_any_step(
    clock: FakeClock, what: str, collector: bool, moment: str, times: int
) -> None:
    """Leaves nothing half done, and the one who comes meanwhile is served."""
    scenario: Scenario = partial(by_hand, clock, what, collector)
    await strike_everywhere(scenario, moment, times, behind=True)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("collector", [True, False])
@pytest.mark.parametrize("what", [warm_up, warm_up_after_failures, two_warm_ups])
async def test_a_warm_up_cancelled_at_any_step(
    clock: FakeClock, what: Any, collector: bool, moment: str, times: int
) -> None:
    """Leaves nothing behind but what is to be kept, and holds up nobody."""
    await strike_everywhere(partial(what, clock, collector), moment, times, behind=True)


# -- the worker -------------------------------------------------------------------------------------


def cancel_them_all(times: int) -> Act:
    """Cancel whatever keeps the pool, in so many turns of the loop."""

    async def act(world: KeptWorld) -> None:
        for _ in range(times):
            for task in world.keepers():
                task.cancel()
            await asyncio.sleep(0)

    return act


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("what", OPTIONS)
async def test_a_worker_cancelled_at_any_turn(clock: FakeClock, what: str, times: int) -> None:
    """Somebody cancels all tasks that there are: the pool keeps itself well afterwards."""
    await at_every_turn(background(clock, what), cancel_them_all(times))


async def test_a_worker_cancelled_before_it_begins(clock: FakeClock) -> None:
    """Works all the same, now and later."""
    world = KeptWorld(clock, min_size=1)
    await world.pool.add("e")
    for task in world.keepers():
        task.cancel()
    await until(lambda: world.pool.stats().idle == 1)
    await world.pool.clear()
    await until(lambda: world.pool.stats().idle == 1)
    await world.settle()


async def test_a_fill_cancelled_by_somebody_counts_as_no_failure(clock: FakeClock) -> None:
    """It was nobody's fault: there is no last error, and no pause."""
    world = KeptWorld(clock, min_size=1)
    await world.pool.add("e")
    await until(lambda: world.pool.stats().connecting)
    for task in world.keepers():
        task.cancel()
    await until(lambda: world.pool.stats().idle)
    assert world.pool.stats().errors == 0
    assert "error" not in world.pool.explain()
    await world.settle()
