"""What there is only with tasks: cancellation, and a loop."""

import asyncio

import pytest

from pool.testing import ExplorationError, explore
from pool.testing.aio import Stage


def test_a_cancel_may_strike_at_any_time() -> None:
    """Before the first step, at each wait, and not at all."""
    seen: set[object] = set()

    async def scenario(stage: Stage) -> None:
        async def work() -> None:
            where = "first"
            seen.add("begun")
            try:
                await stage.step()
                where = "second"
                await stage.step()
            except asyncio.CancelledError:
                seen.add(where)
                raise

        actor = stage.start(work, cancellable=True)
        await stage.join()
        assert actor.done
        assert actor.cancelled == actor.struck
        seen.add(("cancelled", actor.cancelled, actor.struck))
        assert actor.error is None

    result = explore(scenario, preemptions=1)
    assert result.complete
    assert seen == {
        *("begun", "first", "second"),
        *(("cancelled", True, True), ("cancelled", False, False)),
    }


def test_a_cancel_that_is_swallowed_is_seen() -> None:
    """Who was struck and was not cancelled has swallowed it."""

    async def scenario(stage: Stage) -> None:
        async def swallow() -> None:
            try:
                await stage.step()
            except asyncio.CancelledError:
                pass

        actor = stage.start(swallow, cancellable=True)
        await stage.join()
        assert actor.cancelled or not actor.struck, "swallowed"

    with pytest.raises(ExplorationError, match="swallowed") as found:
        explore(scenario, preemptions=1)
    assert "is cancelled" in str(found.value)


def test_what_is_ready_goes_in_any_order() -> None:
    """Three that are ready go in each of the six orders."""
    orders = set()

    async def scenario(stage: Stage) -> None:
        order: list[int] = []

        async def go(number: int) -> None:
            order.append(number)

        for number in range(3):
            stage.start(go, number)
        await stage.join()
        orders.add(tuple(order))

    explore(scenario, preemptions=3)
    assert len(orders) == 6


async def test_beside_a_loop_that_runs() -> None:
    """It may be called where a loop runs already, which goes on afterwards."""
    before = asyncio.get_running_loop()

    async def scenario(stage: Stage) -> None:
        assert asyncio.get_running_loop() is not before
        await asyncio.sleep(1.0)
        async with asyncio.timeout(5.0):
            await asyncio.gather(asyncio.sleep(2.0), asyncio.sleep(3.0))
        assert stage.now() == asyncio.get_running_loop().time()

    explore(scenario, preemptions=0)
    assert asyncio.get_running_loop() is before
    await asyncio.sleep(0)


def test_what_nobody_awaits_is_a_failure() -> None:
    """A callback that raises is not overlooked."""

    def fail() -> None:
        raise LookupError("nobody looks")

    async def scenario(stage: Stage) -> None:
        asyncio.get_running_loop().call_soon(fail)
        await stage.step()

    with pytest.raises(ExplorationError, match="nobody looks"):
        explore(scenario, preemptions=0)
