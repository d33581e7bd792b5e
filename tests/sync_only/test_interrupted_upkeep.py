"""A KeyboardInterrupt at the k-th step of what keeps a pool: by hand, by its callers, by its worker.

Who holds the place of a connection at each step and who gives it back is what
``aio_only/test_cancel_upkeep.py`` says. The worker is a thread; one who raises there does not end it.
"""

import threading
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest
from behaviour._sync.fakes import Chance, FakeClock
from sync_only.kept import LONG, OPTIONS, PREPARED, KeptWorld, StrikeWorker
from sync_only.steps import World
from sync_only.strikes import Call, interrupt_everywhere

from support.sync import PATIENCE, call_soon, until

pytestmark = pytest.mark.concurrency


@pytest.fixture(autouse=True)
def chance(monkeypatch: pytest.MonkeyPatch) -> Chance:
    """No pause after a failed connect."""
    return Chance(monkeypatch, 0.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A time that stands still."""
    return FakeClock(monkeypatch)


# -- rounds by hand ---------------------------------------------------------------------------------


def by_hand(clock: FakeClock, what: str, collector: bool) -> tuple[World, Call]:
    """A round in which there is something to do, which the worker, if there is one, sleeps through."""
    world = KeptWorld(clock, background_collector=collector, **OPTIONS[what])
    world.put_to_sleep()
    PREPARED[what](world)
    return world, world.pool.maintain


def warm_up(clock: FakeClock, collector: bool) -> tuple[World, Call]:
    world = KeptWorld(clock, min_size=3, background_collector=collector)
    return world, lambda: world.pool.warm_up("e", PATIENCE)


def two_warm_ups(clock: FakeClock, collector: bool) -> tuple[World, Call]:
    """Somebody else waits for the same; he must be served though we leave."""
    world, call = warm_up(clock, collector)
    connecting = lambda: world.pool.stats().connecting  # noqa: E731
    world.also(world.when(connecting, lambda: world.pool.warm_up("e", PATIENCE)))
    return world, call


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("collector", [True, False])
@pytest.mark.parametrize("what", PREPARED)
def test_a_round_by_hand_interrupted_at_any_step(
    clock: FakeClock, what: str, collector: bool, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaves nothing half done, and the one who comes meanwhile is served."""
    interrupt_everywhere(partial(by_hand, clock, what, collector), times, monkeypatch)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("collector", [True, False])
@pytest.mark.parametrize("what", [warm_up, two_warm_ups])
def test_a_warm_up_interrupted_at_any_step(
    clock: FakeClock, what: Any, collector: bool, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Leaves nothing behind but what is to be kept, and holds up nobody."""
    interrupt_everywhere(partial(what, clock, collector), times, monkeypatch)


# -- acquires that keep the pool on their way -------------------------------------------------------


def evict(clock: FakeClock) -> tuple[World, Call]:
    """An idle connection of another endpoint makes room."""
    world = World(max_size=1, total_max_size=1, check_after_idle=None)
    world.idle(endpoint="f")
    return world, world.acquire


def evict_while_its_endpoint_wants_it_back(clock: FakeClock) -> tuple[World, Call]:
    world, call = evict(clock)
    closing = lambda: world.pool.stats().closing  # noqa: E731
    world.also(world.when(closing, lambda: world.use(endpoint="f")))
    return world, call


def wait_for_what_another_endpoint_releases(clock: FakeClock) -> tuple[World, Call]:
    world = World(max_size=1, total_max_size=1, check_after_idle=None)
    world.acquire(endpoint="f")
    world.also(world.when(lambda: world.pool.stats().waiting, world.leases[0].release))
    return world, world.acquire


def make_room_for_another_endpoint(clock: FakeClock) -> tuple[World, Call]:
    """What is released is closed, for one who waits elsewhere."""
    world = World(max_size=1, total_max_size=1, check_after_idle=None)
    world.acquire(endpoint="f")
    world.also(world.use)
    until(lambda: world.pool.stats().waiting)
    return world, world.leases[0].release


def free_a_place_that_is_not_enough(clock: FakeClock) -> tuple[World, Call]:
    """What is closed makes room for one; for the other, who waits as well, one more must go."""
    world = World(max_size=1, total_max_size=2, check_after_idle=None)
    world.idle(endpoint="f")
    world.acquire()
    world.also(world.use)
    until(lambda: world.pool.stats().waiting == 1)

    def inside(hook: str) -> None:
        if hook == "dispose" and more and not world.over:
            other = call_soon(more.pop())
            world.others.append(other)
            until(lambda: other.done() or world.pool.stats("g").waiting)

    more = [lambda: world.use(endpoint="g")]
    world.manager.inside = inside
    return world, world.leases[0].discard


def pass_expired_ones(clock: FakeClock) -> tuple[World, Call]:
    """They are closed on the way to a new one."""
    world = KeptWorld(clock, max_lifetime=10.0, total_max_size=3)
    world.put_to_sleep()
    world.idle(3)
    world.clock.now += LONG
    return world, world.acquire


def collect(clock: FakeClock) -> tuple[World, Call]:
    """A release retires what is due, since nobody else does."""
    world = KeptWorld(clock, max_lifetime=10.0, background_collector=False)
    world.idle(2)
    world.acquire()
    world.clock.now += LONG
    return world, world.leases[0].release


ON_THE_WAY: tuple[Callable[[FakeClock], tuple[World, Call]], ...] = (
    evict,
    evict_while_its_endpoint_wants_it_back,
    wait_for_what_another_endpoint_releases,
    make_room_for_another_endpoint,
    free_a_place_that_is_not_enough,
    pass_expired_ones,
    collect,
)


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("scenario", ON_THE_WAY)
def test_a_call_that_keeps_the_pool_interrupted_at_any_step(
    clock: FakeClock, scenario: Any, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closes what it must close, and the room goes to whoever waits."""
    interrupt_everywhere(partial(scenario, clock), times, monkeypatch)


# -- the worker -------------------------------------------------------------------------------------


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What threads raised, which the worker goes on after at once."""
    told: list[Any] = []
    monkeypatch.setattr("pool._runtime.sync._PAUSE", 0.0)
    monkeypatch.setattr(threading, "excepthook", told.append)
    return told


def interrupt_the_worker(clock: FakeClock, what: str, at: set[int], told: list[Any]) -> bool:
    """Run once, interrupt the worker, assert that all is well; return whether it was met."""
    world = KeptWorld(clock, **OPTIONS[what])
    strike = world.manager.strike = StrikeWorker()
    world.put_to_sleep()
    PREPARED[what](world)
    before = len(told)
    strike.arm(at)
    world.settle()
    until(lambda: "pool upkeep" not in [thread.name for thread in threading.enumerate()])
    deaths = len(told) - before
    assert bool(deaths) == bool(strike.count)
    assert deaths <= strike.count
    assert all(death.exc_type is KeyboardInterrupt for death in told)
    return strike.count > 0


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("what", OPTIONS)
def test_a_worker_interrupted_at_any_step(
    clock: FakeClock, what: str, times: int, told: list[Any]
) -> None:
    """Says so, as every thread does, and goes on with what it has to do."""
    for step in count():
        if not interrupt_the_worker(clock, what, set(range(step, step + times)), told):
            break
    assert step > 0, "there was nothing to interrupt"
