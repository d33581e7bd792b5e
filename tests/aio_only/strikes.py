"""One run of a scenario in which its call is struck at chosen suspensions."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

from aio_only.steps import AS_IT_IS_SERVED, AT_ONCE, Stepped, World, ended

__all__ = ["MOMENTS", "Call", "Scenario", "strike", "strike_everywhere"]

Call = Coroutine[Any, Any, object]
Scenario = Callable[[], Coroutine[Any, Any, tuple[World, Call]]]

MOMENTS = (AT_ONCE, AS_IT_IS_SERVED)


async def strike(
    scenario: Scenario,
    at: set[int],
    moment: str,
    *,
    behind: bool,
    open_still: bool = True,
    errors: tuple[type[Exception], ...] = (),
) -> bool:
    """Run once, strike at the chosen suspensions, assert that all is well; return whether any was met."""
    world, call = await scenario()
    stepped = Stepped(call, at, moment)

    async def act() -> None:
        await stepped

    victim = world.manager.victim = asyncio.ensure_future(act())
    await asyncio.sleep(0)
    if behind:
        world.also(world.use())
    await ended(victim)
    if stepped.cancels:
        assert victim.cancelled(), f"the cancel was swallowed: {victim}"
        assert victim.cancelling() == stepped.cancels
    else:
        assert not victim.cancelled(), "a cancel from nowhere"
        error = victim.exception()
        assert error is None or isinstance(error, errors), error
    await world.settle(open_still=open_still)
    return stepped.strikes > 0


async def strike_everywhere(scenario: Scenario, moment: str, times: int, **how: Any) -> None:
    """Strike at every step in turn, ``times`` at successive steps."""
    for step in count():
        if not await strike(scenario, set(range(step, step + times)), moment, **how):
            break
    assert step > 0, "there was nothing to strike at"
