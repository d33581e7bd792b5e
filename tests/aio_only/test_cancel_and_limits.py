"""Cancels and time limits that meet: the caller's own, the pool's, a task group's."""

import asyncio

import pytest
from aio_only.steps import BRIEF, World, ended, leap, turn

from pool import PoolTimeoutError
from support.aio import until

pytestmark = pytest.mark.concurrency

EITHER_ORDER = pytest.mark.parametrize("order", [1, -1], ids=["as named", "the other way"])


PHASES = pytest.mark.parametrize("phase", ["queue", "create", "check_aliveness", "on_acquire"])


async def stuck(phase: str) -> World:
    """A world in which the next acquire never gets past ``phase``."""
    world = World()
    if phase == "queue":
        await world.acquire()
    elif phase != "create":
        await world.idle()
    world.manager.outcomes[phase] = "never"
    return world


@PHASES
@EITHER_ORDER
async def test_the_caller_s_time_limit_and_the_pool_s_in_the_same_turn(
    phase: str, order: int
) -> None:
    """The caller sees his own, and his task is left with no cancel that he has not seen."""
    world = await stuck(phase)
    caught = []

    async def act() -> None:
        world.manager.victim = asyncio.current_task()
        ours, theirs = (1000.0, 2000.0)[::order]
        try:
            async with asyncio.timeout(ours):
                await world.acquire(theirs)
        except TimeoutError as error:
            caught.append(type(error))
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await turn()

    task = asyncio.ensure_future(act())
    await until(lambda: world.pool.stats().waiting or phase in world.manager.begun)
    for _ in range(8):
        await turn()
    # Both are due now, and fire in the order of their times.
    leap(3000.0)
    (await ended(task)).result()
    assert caught == [TimeoutError]
    await world.settle()


@PHASES
async def test_a_time_limit_in_a_task_that_was_cancelled_before(phase: str) -> None:
    """Is a timeout and no cancel: who caught a cancel may still use the pool to clean up."""
    world = await stuck(phase)
    caught: list[BaseException] = []

    async def act() -> None:
        world.manager.victim = asyncio.current_task()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            try:
                await world.acquire(BRIEF)
            except BaseException as error:
                caught.append(error)

    task = asyncio.ensure_future(act())
    await asyncio.sleep(0)
    task.cancel()
    await ended(task)
    assert [type(error) for error in caught] == [PoolTimeoutError], caught
    await world.settle()


@PHASES
async def test_a_sibling_in_a_task_group_fails(phase: str) -> None:
    """The group ends with that error alone, and the siblings in the pool leave nothing behind."""
    world = await stuck(phase)

    class SiblingError(Exception):
        """The reason why the group ends."""

    async def fail() -> None:
        await until(lambda: world.pool.stats().waiting or phase in world.manager.begun)
        raise SiblingError

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            world.manager.victim = group.create_task(world.acquire())
            group.create_task(fail())

    with pytest.raises(ExceptionGroup) as caught:
        await both()
    assert [type(error) for error in caught.value.exceptions] == [SiblingError]
    assert world.manager.victim is not None
    assert world.manager.victim.cancelled()
    await world.settle()
