"""A KeyboardInterrupt at the k-th step of every operation, for every k: nothing is lost.

The steps are those where a thread spends its time: the beginning and the end of each hook and of each wait
in the queue, and whatever listeners do. Who holds the place there and who gives it back is what
``aio_only/test_cancel_every_step.py`` says; but a dispose runs in the thread that asks for it, so that an
interrupt does end it.
"""

from contextlib import suppress
from typing import Any

import pytest
from sync_only.steps import HookError, World
from sync_only.strikes import Call, Scenario, interrupt_everywhere

from pool import PoolClearedError, PoolClosedError
from support.sync import until

pytestmark = pytest.mark.concurrency


class DirtyError(Exception):
    """What leaves a body."""


def acquire_from_an_empty_pool() -> tuple[World, Call]:
    world = World()
    return world, world.acquire


def acquire_an_idle_one() -> tuple[World, Call]:
    world = World()
    world.idle()
    return world, world.acquire


def acquire_after_a_dead_one() -> tuple[World, Call]:
    world = World(max_size=2)
    for conn in world.idle(2):
        conn.alive = False
    return world, world.acquire


def acquire_by_hand_off() -> tuple[World, Call]:
    world = World()
    world.acquire()
    world.also(world.when(lambda: world.pool.stats().waiting, world.leases[0].release))
    return world, world.acquire


def acquire_by_permit() -> tuple[World, Call]:
    world = World()
    world.acquire()
    world.also(world.when(lambda: world.pool.stats().waiting, world.leases[0].discard))
    return world, world.acquire


def acquire_overtaken_by_a_clear() -> tuple[World, Call]:
    world = World()
    cleared: list[str] = []

    def inside(hook: str) -> None:
        if hook == "create" and not cleared:
            cleared.append(hook)
            world.pool.clear("e")

    world.manager.inside = inside
    return world, world.acquire


def use_with_every_hook() -> tuple[World, Call]:
    world = World()
    world.idle()
    return world, world.use


def use_of_a_reusable_one() -> tuple[World, Call]:
    world = World()
    world.manager.reusable = True
    world.idle()
    return world, world.use


def use_of_a_dirty_one() -> tuple[World, Call]:
    world = World()
    world.idle()

    def dirty() -> None:
        with suppress(DirtyError), world.pool.connection("e"):
            raise DirtyError

    return world, dirty


def use_with_an_error(hook: str) -> Scenario:
    def scenario() -> tuple[World, Call]:
        world = World()
        for conn in world.idle():
            conn.alive = hook not in ("on_connection_dead", "dispose", "create")
        world.manager.errors.add(hook)

        def use() -> None:
            with suppress(HookError):
                world.use()

        return world, use

    scenario.__name__ = f"use_with_an_error_in_{hook}"
    return scenario


def release() -> tuple[World, Call]:
    world = World()
    world.acquire()
    return world, world.leases[0].release


def discard() -> tuple[World, Call]:
    world = World()
    world.acquire()
    return world, world.leases[0].discard


def clear_with_idle_ones() -> tuple[World, Call]:
    world = World(max_size=3)
    world.idle(3)
    return world, world.pool.clear


def remove_with_idle_ones() -> tuple[World, Call]:
    world = World(max_size=3)
    world.idle(2)
    world.acquire()
    return world, lambda: world.pool.remove("e")


def resize_with_idle_ones() -> tuple[World, Call]:
    world = World(max_size=4)
    world.idle(4)
    return world, lambda: world.pool.resize(max_size=1)


def close_with_idle_ones_and_holders() -> tuple[World, Call]:
    world = World(max_size=3)
    world.idle(2)
    world.acquire()
    return world, world.pool.close


def close_until_the_leases_end() -> tuple[World, Call]:
    world = World(max_size=3)
    world.idle(2)
    world.acquire()
    world.also(world.when(lambda: not world.pool.stats().idle, world.leases[0].release))
    return world, lambda: world.pool.close(None)


def close_while_callers_wait() -> tuple[World, Call]:
    world = with_a_caller_who_is_refused(PoolClosedError)
    return world, world.pool.close


def clear_that_pauses() -> tuple[World, Call]:
    world = with_a_caller_who_is_refused(PoolClearedError, paused=True)
    return world, world.pool.clear


def with_a_caller_who_is_refused(error: type[Exception], **options: Any) -> World:
    """One in use and one who waits for it; elsewhere one that is idle."""
    world = World(**options)
    world.pool.ready("e")
    world.pool.ready("f")
    world.idle(endpoint="f")
    world.acquire()

    def refused() -> None:
        with pytest.raises(error):
            world.acquire()

    world.also(refused)
    until(lambda: world.pool.stats().waiting)
    return world


OPEN_STILL: tuple[Scenario, ...] = (
    acquire_from_an_empty_pool,
    acquire_an_idle_one,
    acquire_after_a_dead_one,
    acquire_by_hand_off,
    acquire_by_permit,
    acquire_overtaken_by_a_clear,
    use_with_every_hook,
    use_of_a_reusable_one,
    use_of_a_dirty_one,
    *map(
        use_with_an_error,
        ("create", "check_aliveness", "on_acquire", "on_release", "on_connection_dead", "dispose"),
    ),
    release,
    discard,
    clear_with_idle_ones,
    remove_with_idle_ones,
    resize_with_idle_ones,
)
CLOSED: tuple[Scenario, ...] = (
    close_with_idle_ones_and_holders,
    close_until_the_leases_end,
    close_while_callers_wait,
    clear_that_pauses,
)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("scenario", OPEN_STILL)
def test_a_call_interrupted_at_any_step(
    scenario: Scenario, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gives everything back, closes what it must close, and the one who waits behind it is served."""
    interrupt_everywhere(scenario, times, monkeypatch, open_still=True)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("scenario", CLOSED)
def test_a_close_interrupted_at_any_step(
    scenario: Scenario, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Has closed the pool, or paused it, all the same, and leaves nothing open."""
    interrupt_everywhere(scenario, times, monkeypatch, open_still=False)
