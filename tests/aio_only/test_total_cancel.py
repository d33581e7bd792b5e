"""A cancel at the k-th suspension of whoever makes room, or is given room, under ``total_max_size``."""

import asyncio
from typing import Any

import pytest
from aio_only.steps import Conn, World, ended
from aio_only.strikes import MOMENTS, Call, Scenario, strike_everywhere

from support.aio import until

SMALL: dict[str, Any] = {"max_size": 1, "total_max_size": 1}


async def acquire_by_eviction() -> tuple[World, Call]:
    world = World(**SMALL)
    await world.idle(endpoint="f")
    return world, world.acquire()


async def acquire_by_eviction_of_one_of_several() -> tuple[World, Call]:
    world = World(max_size=2, total_max_size=2)
    await world.idle(endpoint="f")
    await world.idle(endpoint="g")
    return world, world.acquire()


async def acquire_by_a_release_elsewhere() -> tuple[World, Call]:
    world = World(**SMALL)
    await world.acquire(endpoint="f")
    world.also(world.when(lambda: world.pool.stats().waiting, world.leases[0].release))
    return world, world.acquire()


async def acquire_by_a_discard_elsewhere() -> tuple[World, Call]:
    world = World(**SMALL)
    await world.acquire(endpoint="f")
    world.also(world.when(lambda: world.pool.stats().waiting, world.leases[0].discard))
    return world, world.acquire()


async def acquire_by_a_larger_total() -> tuple[World, Call]:
    world = World(**SMALL)
    await world.acquire(endpoint="f")

    async def resize() -> None:
        world.pool.resize(total_max_size=2)
        world.bounds = world.pool.options

    world.also(world.when(lambda: world.pool.stats().waiting, resize))
    return world, world.acquire()


async def release_that_makes_room() -> tuple[World, Call]:
    world = World(**SMALL)
    await world.acquire(endpoint="f")
    world.also(world.use())
    return world, world.leases[0].release()


async def discard_that_makes_room() -> tuple[World, Call]:
    world = World(**SMALL)
    await world.acquire(endpoint="f")
    world.also(world.use())
    return world, world.leases[0].discard()


async def use_that_makes_room() -> tuple[World, Call]:
    world = World(**SMALL)
    world.also(world.when(lambda: world.pool.stats("f").in_use, world.use))
    return world, world.use(endpoint="f")


SCENARIOS: tuple[Scenario, ...] = (
    acquire_by_eviction,
    acquire_by_eviction_of_one_of_several,
    acquire_by_a_release_elsewhere,
    acquire_by_a_discard_elsewhere,
    acquire_by_a_larger_total,
    release_that_makes_room,
    discard_that_makes_room,
    use_that_makes_room,
)


@pytest.mark.concurrency
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_cancelled_at_any_step(scenario: Scenario, moment: str, times: int) -> None:
    """The room goes to the one who waits behind, the servers never see more, and nothing is left."""
    await strike_everywhere(scenario, moment, times, behind=True)


@pytest.mark.concurrency
async def test_a_cancelled_waiter_has_no_claim_to_what_is_evicted_for_him() -> None:
    """The next, at another endpoint, has the place; nothing more is evicted."""
    world = World(max_size=2, total_max_size=2)
    await world.idle(endpoint="f")
    kept: list[Conn] = await world.idle(endpoint="g")
    leaving = asyncio.ensure_future(world.acquire())
    await until(lambda: world.pool.stats().closing)
    leaving.cancel()
    assert (await ended(leaving)).cancelled()
    assert world.pool.stats().closing == 1
    await world.use(endpoint="h")
    assert not kept[0].disposals
    await world.settle()
