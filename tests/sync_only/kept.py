"""A pool that is kept by its worker, by hand or by its callers, at a time that stands still."""

import threading
import warnings
from collections.abc import Callable
from typing import Any

from behaviour._sync.fakes import FakeClock
from sync_only.steps import Strike, World

from pool._runtime.sync import Worker
from support.sync import until

__all__ = ["LONG", "OPTIONS", "PREPARED", "KeptWorld", "StrikeWorker"]

#: Seconds after which everything is due.
LONG = 1e6


class StrikeWorker(Strike):
    """Raises at the chosen steps of the worker."""

    def aims_here(self) -> bool:
        armed = self._thread is not None
        return armed and threading.current_thread().name == "pool upkeep"


class Deaf(Worker[Any]):
    """Hears nothing."""

    def ring(self) -> bool:
        """Go on sleeping."""
        return True


class KeptWorld(World):
    """A world in which connections are due when ``clock`` is put forward.

    Parameters:
        clock: the time.
        options: the pool's.
    """

    def __init__(self, clock: FakeClock, **options: Any) -> None:
        self.clock = clock
        self.naps = 0
        """How often the worker has gone to sleep since it was woken up."""
        options = {"max_size": 3, "check_after_idle": None, "max_lifetime": None, **options}
        super().__init__(**options)

    def put_to_sleep(self) -> None:
        """Have the worker sleep until all has settled."""
        self.pool._engine.worker = Deaf(self.pool._engine, self.pool._engine.keep)

    def ring(self) -> None:
        """Have the worker look what is due, even if it was put to sleep."""
        engine = self.pool._engine
        if isinstance(engine.worker, Deaf):
            engine.worker = Worker(engine, self._keep)
        engine.worker.ring()

    def _keep(self, engine: Any, late: float) -> float | None:
        seconds = engine.keep(engine, late)
        self.naps += 1
        return seconds  # type: ignore[no-any-return]

    def lose(self) -> None:
        """Lose a lease."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self.leases.pop()

    def settle(self, *, open_still: bool = True) -> None:
        self.over = True
        self.manager.errors.clear()
        until(lambda: all(other.done() for other in self.others))
        if open_still:
            # It keeps itself well, now that nothing fails any more.
            if self.pool.options.background_collector:
                self.ring()
            else:
                self.manager.strike.disarm()
                self.pool.maintain()
            until(self._filled)
        super().settle(open_still=open_still)

    def rest(self) -> None:
        until(lambda: self.pool.stats().total == self.pool.stats().idle and self._filled())

    def _filled(self) -> bool:
        least = self.pool.options.min_size
        endpoints = self.pool._engine.core.endpoints()
        return all(self.pool.stats(endpoint).total >= least for endpoint in endpoints)


def _to_fill(world: KeptWorld) -> None:
    world.pool.add("e")


def _to_check(world: KeptWorld) -> None:
    world.idle(2)
    world.clock.now += LONG


def _to_bury(world: KeptWorld) -> None:
    conns = world.idle(2)
    conns[0].alive = False
    world.clock.now += LONG


def _to_reclaim(world: KeptWorld) -> None:
    world.acquire()
    world.acquire()
    world.lose()


def _to_do_it_all(world: KeptWorld) -> None:
    conns = world.idle(3)
    conns[0].alive = False
    world.acquire()
    world.pool.add("f")
    world.lose()
    world.clock.now += LONG


_CHECKED: dict[str, Any] = {"health_check_interval": 10.0, "idle_timeout": None}

OPTIONS: dict[str, dict[str, Any]] = {
    "fill": {"min_size": 2},
    "check": _CHECKED,
    "dead": {**_CHECKED, "min_size": 1},
    "retire": {"max_lifetime": 10.0, "min_size": 1},
    "reclaim": {"min_size": 1},
    "all": {**_CHECKED, "min_size": 2, "total_max_size": 5},
}
PREPARED: dict[str, Callable[[KeptWorld], None]] = {
    "fill": _to_fill,
    "check": _to_check,
    "dead": _to_bury,
    "retire": _to_check,
    "reclaim": _to_reclaim,
    "all": _to_do_it_all,
}
