"""A cancel at the k-th suspension of whatever is done with shared connections, for every k.

Nothing is lost, nobody is held up, and those who share the connection work on. Who owns what at each await:

==========================  =============================  ==============================================
suspended in                the place is held by           given back by
==========================  =============================  ==============================================
the queue                   nobody, or a grant             ``abandon``: the grant goes to the next
``create``                  the claim's permit             ``abandon``: closed
a check, ``on_acquire``     the claim's share              ``abandon``: the connection is broken
``on_release``              the frame of ``release``       its ``finally``: the connection is broken
``open``, ``extend``, …     a filler's permit              ``abandon``: closed
waiting for a permit        nobody                         ``cool``
==========================  =============================  ==============================================
"""

import asyncio
from contextlib import suppress

import pytest
from aio_only.sharing import SharedWorld
from aio_only.steps import BRIEF, Conn, HookError
from aio_only.strikes import MOMENTS, Call, Scenario, strike_everywhere

from pool import PoolClosedError


class DirtyError(Exception):
    """What leaves a body."""


# -- acquire ----------------------------------------------------------------------------------------


async def acquire_from_an_empty_pool() -> tuple[SharedWorld, Call]:
    world = SharedWorld()
    return world, world.acquire()


async def acquire_without_hooks() -> tuple[SharedWorld, Call]:
    world = SharedWorld(hooked=False)
    return world, world.acquire()


async def acquire_an_idle_one() -> tuple[SharedWorld, Call]:
    world = SharedWorld()
    await world.idle()
    return world, world.acquire()


async def acquire_a_share() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=2)
    await world.taken(3)
    return world, world.acquire()


async def acquire_by_growing() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=2)
    await world.taken(1)
    return world, world.acquire()


async def acquire_by_growing_in_vain() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=2)
    await world.taken(1)
    world.manager.outcomes["create"] = "error"
    return world, world.acquire()


async def acquire_in_vain_while_all_are_taken() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=2, max_pending=1)
    await world.taken(1)
    world.manager.outcomes["create"] = "error"
    world.also(world.when(lambda: world.shared.stats().waiting, world.leases.pop().release))
    return world, world.acquire()


async def acquire_after_a_dead_one() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=2)
    for conn in await world.idle(2):
        conn.alive = False
    return world, world.acquire()


async def acquire_in_place_of_a_broken_one() -> tuple[SharedWorld, Call]:
    world = SharedWorld()
    await world.taken(2)
    await world.leases.pop().discard()
    world.also(world.when(lambda: world.shared.stats().waiting, world.leases.pop().release))
    return world, world.acquire()


async def acquire_by_hand_off() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=2, max_pending=2)
    await world.taken(4)
    world.also(world.when(lambda: world.shared.stats().waiting, world.leases.pop().release))
    return world, world.acquire()


async def acquire_behind_one_who_connects() -> tuple[SharedWorld, Call]:
    world = SharedWorld()
    world.also(world.acquire())
    await asyncio.sleep(0)
    assert world.shared.stats().connecting == 1
    return world, world.acquire()


async def acquire_behind_one_who_checks() -> tuple[SharedWorld, Call]:
    world = SharedWorld()
    await world.idle()
    world.also(world.acquire())
    await asyncio.sleep(0)
    assert world.shared.pending == 1
    return world, world.acquire()


async def acquire_overtaken_by_a_clear() -> tuple[SharedWorld, Call]:
    world = SharedWorld()

    async def clear() -> None:
        await world.shared.clear(interrupt_connections=True)

    world.also(world.when(lambda: world.shared.stats().connecting, clear))
    return world, world.acquire()


async def use_with_every_hook() -> tuple[SharedWorld, Call]:
    world = SharedWorld()
    await world.taken(1)
    return world, world.use()


async def use_of_a_reusable_one() -> tuple[SharedWorld, Call]:
    world = SharedWorld()
    world.manager.reusable = True
    await world.taken(1)
    return world, world.use()


# -- release ----------------------------------------------------------------------------------------


async def release() -> tuple[SharedWorld, Call]:
    world = SharedWorld()
    await world.taken(2)
    return world, world.leases[0].release()


async def release_of_the_last() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=2)
    await world.taken(4)
    broken, works = world.leases[0].connection, world.leases[1].connection
    assert broken is not works
    lasts = [lease for lease in world.leases if lease.connection is broken]
    world.leases = [lease for lease in world.leases if lease.connection is works]
    await lasts[0].discard()
    return world, lasts[1].release()


async def release_of_a_worn_one() -> tuple[SharedWorld, Call]:
    world = SharedWorld(max_uses=1)
    await world.taken(1)
    return world, world.leases[0].release()


async def release_of_a_dirty_body() -> tuple[SharedWorld, Call]:
    world = SharedWorld()
    await world.taken(1)

    async def dirty() -> None:
        with suppress(DirtyError):
            async with world.leases[0]:
                raise DirtyError

    return world, dirty()


async def discard_of_the_last() -> tuple[SharedWorld, Call]:
    world = SharedWorld()
    await world.taken(1)
    return world, world.leases[0].discard()


# -- the pool ---------------------------------------------------------------------------------------


async def open_() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=3)
    return world, world.shared.open()


async def open_beside_callers() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=3, max_connecting=1)
    world.also(world.acquire())
    await asyncio.sleep(0)
    return world, world.shared.open()


async def open_in_vain() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=3)
    failed: list[str] = []

    async def fail_once(hook: str, conn: Conn | None) -> None:
        others = asyncio.current_task() in world.others or world.over()
        if hook == "create" and len(world.manager.begun) > 2 and not (failed or others):
            failed.append(hook)
            raise HookError

    async def attempt() -> None:
        with suppress(HookError):
            await world.shared.open()

    world.manager.inside = fail_once
    return world, attempt()


async def extend() -> tuple[SharedWorld, Call]:
    world = SharedWorld()
    world.most = 3
    await world.taken(2)
    return world, world.shared.extend(2)


async def reduce() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=3)
    await world.idle(3)
    return world, world.shared.reduce(2)


async def reduce_those_in_use() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=3)
    await world.taken(3)
    await world.leases.pop().release()
    return world, world.shared.reduce(2, include_pending=True)


async def reconnect() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=3)
    await world.taken(3)
    for _ in range(2):
        await world.leases.pop().discard()
    return world, world.shared.reconnect()


async def reconnect_all() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=3)
    await world.taken(3)
    await world.leases.pop().release()
    return world, world.shared.reconnect(only_broken=False)


async def clear_that_interrupts() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=3)
    await world.taken(3)
    await world.leases.pop().release()
    return world, world.shared.clear(interrupt_connections=True)


async def maintain() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=2)
    await world.taken(2)
    await world.leases.pop().discard()
    await asyncio.sleep(0.11)
    return world, world.shared.maintain()


async def close() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=3)
    await world.taken(4)
    await world.leases.pop().release()
    return world, world.shared.close(BRIEF, interrupt_connections=True)


async def close_until_the_leases_end() -> tuple[SharedWorld, Call]:
    world = SharedWorld(size=2)
    await world.taken(3)
    for lease in world.leases:
        world.also(world.when(lambda: not world.shared.stats().idle, lease.release))
    return world, world.shared.close(None)


async def close_while_callers_connect_and_wait() -> tuple[SharedWorld, Call]:
    world = SharedWorld()

    async def refused() -> None:
        with pytest.raises(PoolClosedError):
            await world.acquire()

    world.also(refused())
    world.also(refused())
    await asyncio.sleep(0)
    assert (world.shared.stats().connecting, world.shared.stats().waiting) == (1, 1)
    return world, world.shared.close(None, interrupt_connections=True)


ACQUIRES: tuple[Scenario, ...] = (
    acquire_from_an_empty_pool,
    acquire_without_hooks,
    acquire_an_idle_one,
    acquire_a_share,
    acquire_by_growing,
    acquire_by_growing_in_vain,
    acquire_in_vain_while_all_are_taken,
    acquire_after_a_dead_one,
    acquire_in_place_of_a_broken_one,
    acquire_by_hand_off,
    acquire_behind_one_who_connects,
    acquire_behind_one_who_checks,
    acquire_overtaken_by_a_clear,
    use_with_every_hook,
    use_of_a_reusable_one,
)
RELEASES: tuple[Scenario, ...] = (
    release,
    release_of_the_last,
    release_of_a_worn_one,
    release_of_a_dirty_body,
    discard_of_the_last,
)
CHANGES: tuple[Scenario, ...] = (
    open_,
    open_beside_callers,
    open_in_vain,
    extend,
    reduce,
    reduce_those_in_use,
    reconnect,
    reconnect_all,
    clear_that_interrupts,
    maintain,
)
CLOSES: tuple[Scenario, ...] = (
    close,
    close_until_the_leases_end,
    close_while_callers_connect_and_wait,
)


@pytest.mark.concurrency
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("scenario", [*ACQUIRES, *RELEASES, *CHANGES])
async def test_cancelled_at_any_step(scenario: Scenario, moment: str, times: int) -> None:
    """Gives everything back, and the one who comes next is served."""
    await strike_everywhere(scenario, moment, times, behind=True)


@pytest.mark.concurrency
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("scenario", CLOSES)
async def test_a_close_cancelled_at_any_step(scenario: Scenario, moment: str) -> None:
    """Has closed the pool all the same, and leaves nothing open."""
    await strike_everywhere(scenario, moment, 1, behind=False, open_still=False)
