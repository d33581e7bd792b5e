"""A cancel at the k-th suspension of a use of a shared connection, one hook of which fails."""

import asyncio
from typing import Any

import pytest
from aio_only.sharing import SharedHooked, SharedWorld
from aio_only.steps import BRIEF, HookError
from aio_only.strikes import MOMENTS, Call, Scenario, strike_everywhere

from pool import PoolTimeoutError

HOOKS = ("create", "check_aliveness", "on_acquire", "on_release", "on_connection_dead", "dispose")


def with_outcome(hook: str, outcome: str) -> Scenario:
    """A use that meets this outcome in this hook."""

    async def scenario() -> tuple[SharedWorld, Call]:
        cut = outcome == "never"
        world = SharedWorld(size=2, dispose_timeout=BRIEF if cut and hook == "dispose" else None)
        if hook in ("on_acquire", "on_release"):
            await world.taken(3)
        elif hook != "create":
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
    """Whatever a hook does, a cancel before, in and after it leaves nothing behind."""
    errors = (HookError, PoolTimeoutError, TimeoutError)
    await strike_everywhere(with_outcome(hook, outcome), moment, 1, behind=True, errors=errors)


@pytest.mark.concurrency
async def test_the_manager_notices() -> None:
    """That nobody is alone where he must be, and that nobody new gets what is broken."""
    manager = SharedHooked()
    conn = await manager.create("e", None)
    manager.enter(conn, "body")
    manager.enter(conn, "body")
    assert (manager.faults, manager.most_users) == ([], 2)
    manager.enter(conn, "dispose")
    assert len(manager.faults) == 1
    conn.spoiled = True
    manager.enter(conn, "on_acquire")
    found: Any = manager.faults
    assert len(found) == 2
