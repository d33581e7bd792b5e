"""A cancel, or the end of the time, at the k-th suspension of an acquire that finds no room in the pool.

=============================  ============================  ==============================================
suspended in                   the place is held by          given back by
=============================  ============================  ==============================================
the dispose of the one that    its own task                  that task: the room goes to the oldest who
is evicted                                                   waits at any endpoint
the queue                      nobody, or a grant on its     ``abandon``: the claim leaves the queue, the
                               way to the claim              grant goes to the oldest at any endpoint
``create``                     the claim's permit            ``abandon``: its room to the oldest
=============================  ============================  ==============================================
"""

import asyncio
from typing import Any

import pytest
from aio_only.steps import SOON, TIME_FLIES, Conn, World
from aio_only.strikes import MOMENTS, Call, Scenario, strike_everywhere

from pool import PoolTimeoutError
from support.aio import until

pytestmark = pytest.mark.concurrency


def crowded(total: int = 1, **options: Any) -> World:
    """A pool with little room, where time flies for nobody but the one who acquires."""
    options = {"max_size": 2, "total_max_size": total, "check_after_idle": None, **options}
    options = {**options, "max_size": min(options["max_size"], total)}
    return World(connect_timeout=None, dispose_timeout=None, **options)


async def evict() -> tuple[World, Call]:
    """An idle connection of another endpoint makes room."""
    world = crowded()
    await world.idle(endpoint="f")
    return world, world.acquire(SOON)


async def evict_two_at_once() -> tuple[World, Call]:
    """Somebody else needs room as well, at a third endpoint."""
    world = crowded(2)
    await world.idle(endpoint="f")
    await world.idle(endpoint="g")
    world.also(world.use(endpoint="h"))
    return world, world.acquire(SOON)


async def evict_while_its_endpoint_wants_it_back() -> tuple[World, Call]:
    world = crowded()
    await world.idle(endpoint="f")
    world.also(world.when(lambda: world.pool.stats().closing, lambda: world.use(endpoint="f")))
    return world, world.acquire(SOON)


async def wait_for_what_another_endpoint_releases() -> tuple[World, Call]:
    """What comes back there makes room."""
    world = crowded()
    await world.acquire(endpoint="f")
    world.also(world.when(lambda: world.pool.stats().waiting, world.leases[0].release))
    return world, world.acquire(SOON)


async def wait_behind_another_endpoint() -> tuple[World, Call]:
    """Somebody at a third endpoint is older, somebody at a fourth younger."""
    world = crowded()
    await world.acquire(endpoint="f")
    world.also(world.use(endpoint="g"))
    await until(lambda: world.pool.stats().waiting)
    waits = world.also(world.when(lambda: world.pool.stats().waiting > 2, world.leases[0].release))
    world.also(world.when(lambda: world.pool.stats().waiting > 1, lambda: world.use(endpoint="h")))
    assert not waits.done()
    return world, world.acquire(SOON)


async def wait_for_a_connect_elsewhere_to_fail() -> tuple[World, Call]:
    """The room of a connect that fails goes to us."""
    world = crowded(hooked=False)

    async def inside(hook: str, conn: Conn | None) -> None:
        if hook == "create" and not world.manager.opened and world.pool.stats("f").connecting:
            raise OSError

    async def fail() -> None:
        with pytest.raises(OSError):  # noqa: PT011 - it says nothing
            await world.use(endpoint="f")

    world.manager.inside = inside
    world.also(fail())
    await until(lambda: world.pool.stats().connecting)
    return world, world.acquire(SOON)


async def wait_for_room_and_for_the_endpoint() -> tuple[World, Call]:
    """Both the endpoint and the pool are full; what is freed first is not enough."""
    world = crowded(2, max_size=1)
    await world.idle(endpoint="f")
    await world.acquire()
    world.also(world.when(lambda: world.pool.stats().waiting > 1, world.leases[0].discard))
    world.also(world.when(lambda: world.pool.stats().waiting, lambda: world.use(endpoint="g")))
    return world, world.acquire(SOON)


async def fight_for_the_only_place() -> tuple[World, Call]:
    """Callers of two endpoints evict each other again and again."""
    world = crowded()
    for endpoint in "fefef":
        world.also(world.use(endpoint=endpoint))
    await asyncio.sleep(0)

    async def come_and_go() -> None:
        await world.use(SOON)
        await world.use(SOON, endpoint="f")
        await world.use(SOON)

    return world, come_and_go()


SCENARIOS: tuple[Scenario, ...] = (
    evict,
    evict_two_at_once,
    evict_while_its_endpoint_wants_it_back,
    wait_for_what_another_endpoint_releases,
    wait_behind_another_endpoint,
    wait_for_a_connect_elsewhere_to_fail,
    wait_for_room_and_for_the_endpoint,
    fight_for_the_only_place,
)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_an_acquire_without_room_cancelled_at_any_step(
    scenario: Scenario, moment: str, times: int
) -> None:
    """Gives its room, or its place in the queue, to the oldest who can use it."""
    await strike_everywhere(scenario, moment, times, behind=True)


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_an_acquire_without_room_whose_time_is_up_at_any_step(scenario: Scenario) -> None:
    """Is told so, and gives its room, or its place in the queue, to the oldest who can use it."""
    errors = (PoolTimeoutError, TimeoutError)
    await strike_everywhere(scenario, TIME_FLIES, 1, behind=True, errors=errors)
