"""One run of a scenario in which its call is interrupted at chosen steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from sync_only.steps import Strike, World

from pool._runtime.sync import Waiter

__all__ = ["Call", "Scenario", "interrupt_everywhere", "interruptible_waits"]

Call = Callable[[], object]
Scenario = Callable[[], tuple[World, Call]]


@contextmanager
def interruptible_waits(strike: Strike, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make the beginning and the end of each wait a step."""
    wait = Waiter.wait

    def stepped(self: Waiter, seconds: float | None) -> bool:
        strike.step()
        woken = wait(self, seconds)
        strike.step()
        return woken

    with monkeypatch.context() as patch:
        patch.setattr(Waiter, "wait", stepped)
        yield


def interrupt(
    scenario: Scenario, at: set[int], monkeypatch: pytest.MonkeyPatch, *, open_still: bool
) -> bool:
    """Run once, interrupt at the chosen steps, assert that all is well; return whether any was met."""
    world, call = scenario()
    strike = world.manager.strike
    if open_still:
        # One who waits behind the victim, if it has come so far.
        world.also(world.when(lambda: strike.steps, world.use))
    strike.arm(at)
    interrupted = False
    with interruptible_waits(strike, monkeypatch):
        try:
            call()
        except KeyboardInterrupt:
            interrupted = True
    assert interrupted == bool(strike.count), "the interrupt was swallowed"
    world.settle(open_still=open_still)
    return interrupted


def interrupt_everywhere(
    scenario: Scenario, times: int, monkeypatch: pytest.MonkeyPatch, *, open_still: bool = True
) -> None:
    """Interrupt at every step in turn, ``times`` at successive steps."""
    for step in count():
        at = set(range(step, step + times))
        if not interrupt(scenario, at, monkeypatch, open_still=open_still):
            break
    assert step > 0, "there was nothing to interrupt"
