"""What somebody does in the midst of what the worker does, at any of its steps.

The worker stops there: in a hook, or in a listener. Whoever comes meanwhile does what he wants, or waits for
the worker; then it goes on.
"""

import threading
import time
from collections.abc import Callable
from itertools import count

import pytest
from behaviour._sync.fakes import Chance, FakeClock
from sync_only.kept import LONG, OPTIONS, PREPARED, KeptWorld, StrikeWorker

from support.sync import PATIENCE, Gate, call_soon, until

pytestmark = pytest.mark.concurrency

Act = Callable[[KeptWorld], object]


@pytest.fixture(autouse=True)
def _chance(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause after a failed connect."""
    Chance(monkeypatch, 0.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A time that stands still."""
    return FakeClock(monkeypatch)


class Halt(StrikeWorker):
    """Stops the worker at one of its steps, until the gate is opened."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.gate = Gate()
        self._step = at

    def step(self) -> None:
        if self.aims_here():
            self.steps += 1
            if self.steps - 1 == self._step:
                self.gate.wait()


def at_every_step(
    clock: FakeClock, what: str, act: Act, *, open_still: bool = True, errors: str = ""
) -> None:
    """Stop the worker at its k-th step, act, let it go on, assert that all is well; for every k."""
    world = KeptWorld(clock, **OPTIONS[what])
    for step in count():
        if step:
            world = KeptWorld(clock, **OPTIONS[what])
        halt = world.manager.strike = Halt(step)
        world.put_to_sleep()
        PREPARED[what](world)
        world.manager.errors.update({errors} - {""})
        halt.arm(set())
        world.ring()
        until(lambda w=world, h=halt: h.gate.waiting or w.naps)  # type: ignore[misc]
        if not halt.gate.waiting:
            break
        acting = call_soon(act, world)
        world.others.append(acting)
        # It may wait for the worker.
        end = time.monotonic() + 0.002
        while time.monotonic() < end and not acting.done():
            time.sleep(0)
        halt.gate.open()
        world.settle(open_still=open_still)
    assert step > 0, "the worker did nothing"
    world.settle()
    until(lambda: "pool upkeep" not in [thread.name for thread in threading.enumerate()])


def clear(world: KeptWorld) -> None:
    world.pool.clear()


def clear_and_interrupt(world: KeptWorld) -> None:
    world.pool.clear(interrupt_connections=True)


def remove(world: KeptWorld) -> None:
    world.pool.remove("e")


def remove_and_add(world: KeptWorld) -> None:
    world.pool.remove("e")
    world.pool.add("e")


def shrink(world: KeptWorld) -> None:
    world.pool.resize(max_size=1, min_size=1)


def shrink_the_total(world: KeptWorld) -> None:
    world.pool.resize(max_size=1, min_size=1, total_max_size=2)


def grow(world: KeptWorld) -> None:
    world.pool.resize(max_size=5, min_size=4, total_max_size=10)
    world.bounds = world.pool.options


def maintain(world: KeptWorld) -> None:
    world.pool.maintain()


def warm_up(world: KeptWorld) -> None:
    world.pool.warm_up("e", PATIENCE)


def use(world: KeptWorld) -> None:
    world.use()
    world.use(endpoint="f")
    world.use()


def hold_all(world: KeptWorld) -> None:
    leases = [world.pool.acquire("e", PATIENCE) for _ in range(3 - len(world.leases))]
    for lease in leases:
        lease.release()


def lose(world: KeptWorld) -> None:
    world.acquire()
    world.lose()


def distrust(world: KeptWorld) -> None:
    """The machine was suspended."""
    world.pool._engine.core.distrust()


def all_is_due(world: KeptWorld) -> None:
    world.clock.now += LONG
    world.ring()


def close(world: KeptWorld) -> None:
    world.pool.close()


def close_and_interrupt(world: KeptWorld) -> None:
    world.pool.close(interrupt_connections=True)


ACTS: tuple[Act, ...] = (
    clear,
    clear_and_interrupt,
    remove,
    remove_and_add,
    shrink,
    shrink_the_total,
    grow,
    maintain,
    warm_up,
    use,
    hold_all,
    lose,
    distrust,
    all_is_due,
)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("what", OPTIONS)
def test_an_act_in_the_midst_of_the_upkeep(clock: FakeClock, what: str, act: Act) -> None:
    """Neither undoes the other, and the pool is well afterwards."""
    at_every_step(clock, what, act)


@pytest.mark.parametrize("act", [close, close_and_interrupt])
@pytest.mark.parametrize("what", OPTIONS)
def test_a_close_in_the_midst_of_the_upkeep(clock: FakeClock, what: str, act: Act) -> None:
    """Leaves nothing open, and nobody at work."""
    at_every_step(clock, what, act, open_still=False)


@pytest.mark.parametrize("act", [clear_and_interrupt, remove_and_add, shrink_the_total, use, close])
@pytest.mark.parametrize(
    ("what", "hook"),
    [("check", "check_aliveness"), ("dead", "on_connection_dead"), ("retire", "dispose")],
)
def test_an_act_in_the_midst_of_an_upkeep_in_trouble(
    clock: FakeClock, what: str, hook: str, act: Act
) -> None:
    """A hook of the upkeep fails: nothing is lost."""
    at_every_step(clock, what, act, open_still=act is not close, errors=hook)
