"""A cancel at the k-th suspension of every operation, for every k: nothing is lost and nobody is held up.

What holds the place of a connection at each await, and who gives it back when a cancel strikes there:

=============================  ============================  ==============================================
suspended in                   the place is held by          given back by
=============================  ============================  ==============================================
the queue                      nobody, or a grant on its     ``abandon``: the claim leaves the queue, the
                               way to the claim              grant goes to the next
``create``                     the claim's permit            ``abandon``: told as closed, then ``closed``
``check_aliveness``            the claim's connection        ``abandon``: disposed of, then ``closed``
``on_connection_dead``         the claim's connection        ``abandon``: disposed of, then ``closed``
``on_acquire``                 the claim's connection        ``abandon``: disposed of, then ``closed``
the body                       the lease                     ``release``, by ``can_reuse``: idle or disposed
``on_release``                 the frame of ``release``      its ``finally``: ``doom``, then ``closed``
a dispose that is waited for   the dispose's own task        that task, which no cancel of ours reaches
``close`` waiting for leases   those who hold them           they, as if nobody had waited
=============================  ============================  ==============================================
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from aio_only.steps import BRIEF, HookError, World
from aio_only.strikes import MOMENTS, Call, Scenario, strike_everywhere

from pool import PoolClearedError, PoolClosedError, PoolTimeoutError


class DirtyError(Exception):
    """What leaves a body."""


async def acquire_from_an_empty_pool() -> tuple[World, Call]:
    world = World()
    return world, world.acquire()


async def acquire_an_idle_one() -> tuple[World, Call]:
    world = World()
    await world.idle()
    return world, world.acquire()


async def acquire_after_a_dead_one() -> tuple[World, Call]:
    world = World(max_size=2)
    first, second = await world.idle(2)
    first.alive = second.alive = False
    return world, world.acquire()


async def acquire_by_hand_off() -> tuple[World, Call]:
    world = World()
    await world.acquire()
    world.also(world.when(lambda: world.pool.stats().waiting, world.leases[0].release))
    return world, world.acquire()


async def acquire_by_permit_of_a_closed_one() -> tuple[World, Call]:
    world = World()
    await world.acquire()
    world.also(world.when(lambda: world.pool.stats().waiting, world.leases[0].discard))
    return world, world.acquire()


async def acquire_by_permit_of_one_that_connected() -> tuple[World, Call]:
    world = World(max_size=2, max_connecting=1)
    world.also(world.acquire())
    await asyncio.sleep(0)
    assert world.pool.stats().connecting == 1
    return world, world.acquire()


async def acquire_overtaken_by_a_clear() -> tuple[World, Call]:
    world = World()
    world.also(
        world.when(
            lambda: world.pool.stats().connecting,
            lambda: world.pool.clear(interrupt_connections=True),
        )
    )
    return world, world.acquire()


async def acquire_with_no_hook_but_create() -> tuple[World, Call]:
    world = World(hooked=False)
    return world, world.acquire()


async def use_with_every_hook() -> tuple[World, Call]:
    world = World()
    await world.idle()
    return world, world.use()


async def use_of_a_reusable_one() -> tuple[World, Call]:
    world = World()
    world.manager.reusable = True
    await world.idle()
    return world, world.use()


async def release() -> tuple[World, Call]:
    world = World()
    await world.acquire()
    return world, world.leases[0].release()


async def release_of_a_worn_one() -> tuple[World, Call]:
    world = World(max_uses=1, hooked=False)
    await world.acquire()
    return world, world.leases[0].release()


async def release_of_a_dirty_body() -> tuple[World, Call]:
    world = World()
    await world.acquire()

    async def dirty() -> None:
        with suppress(DirtyError):
            async with world.leases[0]:
                raise DirtyError

    return world, dirty()


async def discard() -> tuple[World, Call]:
    world = World()
    await world.acquire()
    return world, world.leases[0].discard()


async def clear_with_idle_ones() -> tuple[World, Call]:
    world = World(max_size=3)
    await world.idle(2)
    return world, world.pool.clear()


async def clear_that_interrupts() -> tuple[World, Call]:
    world = await busy_in_every_way(World.use)
    return world, world.pool.clear(interrupt_connections=True)


async def remove_with_idle_ones() -> tuple[World, Call]:
    world = World(max_size=3)
    await world.idle(2)
    await world.acquire()
    return world, world.pool.remove("e")


async def close_with_idle_ones_and_holders() -> tuple[World, Call]:
    world = World(max_size=3)
    await world.idle(2)
    await world.acquire()
    return world, world.pool.close(interrupt_connections=True)


async def close_with_a_timeout() -> tuple[World, Call]:
    world = World(max_size=3)
    await world.idle(2)
    await world.acquire()
    return world, world.pool.close(BRIEF, interrupt_connections=True)


async def close_until_the_leases_end() -> tuple[World, Call]:
    world = World(max_size=3)
    await world.idle(2)
    await world.acquire()
    world.also(world.when(lambda: not world.pool.stats().idle, world.leases[0].release))
    return world, world.pool.close(None)


async def close_while_callers_connect_and_wait() -> tuple[World, Call]:
    world = World()

    async def refused() -> None:
        with pytest.raises(PoolClosedError):
            await world.acquire()

    world.also(refused())
    world.also(refused())
    await asyncio.sleep(0)
    assert (world.pool.stats().connecting, world.pool.stats().waiting) == (1, 1)
    return world, world.pool.close(None, interrupt_connections=True)


async def clear_that_pauses() -> tuple[World, Call]:
    async def refused(world: World) -> None:
        with pytest.raises(PoolClearedError):
            await world.acquire()

    world = await busy_in_every_way(refused, paused=True)
    return world, world.pool.clear()


async def busy_in_every_way(meanwhile: Callable[[World], Call], **options: Any) -> World:
    """One idle, one in use, one connecting in order to do something ``meanwhile``."""
    world = World(hooked=False, max_size=4, **options)
    await world.pool.ready("e")
    await world.acquire()
    await world.acquire()
    world.also(meanwhile(world))
    await asyncio.sleep(0)
    await world.leases.pop().release()
    stats = world.pool.stats()
    assert (stats.idle, stats.in_use, stats.connecting) == (1, 1, 1)
    return world


ACQUIRES: tuple[Scenario, ...] = (
    acquire_from_an_empty_pool,
    acquire_an_idle_one,
    acquire_after_a_dead_one,
    acquire_by_hand_off,
    acquire_by_permit_of_a_closed_one,
    acquire_by_permit_of_one_that_connected,
    acquire_overtaken_by_a_clear,
    acquire_with_no_hook_but_create,
    use_with_every_hook,
    use_of_a_reusable_one,
)
RELEASES: tuple[Scenario, ...] = (
    release,
    release_of_a_worn_one,
    release_of_a_dirty_body,
    discard,
    clear_with_idle_ones,
    clear_that_interrupts,
    remove_with_idle_ones,
)
CLOSES: tuple[Scenario, ...] = (
    clear_that_pauses,
    close_with_idle_ones_and_holders,
    close_with_a_timeout,
    close_until_the_leases_end,
    close_while_callers_connect_and_wait,
)


@pytest.mark.concurrency
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("scenario", ACQUIRES)
async def test_an_acquire_cancelled_at_any_step(
    scenario: Scenario, moment: str, times: int
) -> None:
    """Gives everything back, and the one who waits behind it is served."""
    await strike_everywhere(scenario, moment, times, behind=True)


@pytest.mark.concurrency
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("scenario", RELEASES)
async def test_a_release_or_clear_cancelled_at_any_step(
    scenario: Scenario, moment: str, times: int
) -> None:
    """Has taken effect all the same, closes what it must close, and serves the one who waits."""
    await strike_everywhere(scenario, moment, times, behind=True)


@pytest.mark.concurrency
@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("scenario", CLOSES)
async def test_a_close_cancelled_at_any_step(scenario: Scenario, moment: str, times: int) -> None:
    """Has closed the pool, or paused it, all the same, and leaves nothing open."""
    await strike_everywhere(scenario, moment, times, behind=False, open_still=False)


HOOKS = (
    "create",
    "check_aliveness",
    "on_acquire",
    "on_release",
    "on_connection_dead",
    "dispose",
)


def with_outcome(hook: str, outcome: str) -> Scenario:
    """A use that meets this outcome in this hook, and is cut off there where nothing else would end it."""

    async def scenario() -> tuple[World, Call]:
        cut = outcome == "never"
        world = World(dispose_timeout=BRIEF if cut and hook == "dispose" else None)
        if hook != "create":
            for conn in await world.idle():
                conn.alive = hook not in ("on_connection_dead", "dispose")
        world.manager.outcomes[hook] = outcome

        async def use() -> None:
            # on_release has no limit of the pool's own.
            async with asyncio.timeout(BRIEF if cut and hook == "on_release" else None):
                await world.use(*([BRIEF] if cut and hook not in ("on_release", "dispose") else []))

        return world, use()

    return scenario


@pytest.mark.concurrency
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("outcome", ["error", "slow", "never"])
@pytest.mark.parametrize("hook", HOOKS)
async def test_a_use_cancelled_at_any_step_with_a_hook_that_fails(
    hook: str, outcome: str, moment: str
) -> None:
    """Whatever a hook does (raise, dawdle, hang), a cancel before, in and after it leaves nothing behind."""
    errors = (HookError, PoolTimeoutError, TimeoutError)
    await strike_everywhere(with_outcome(hook, outcome), moment, 1, behind=True, errors=errors)
