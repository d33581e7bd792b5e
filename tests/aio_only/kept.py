"""A pool that is kept by its worker, by hand or by its callers, at a time that stands still."""

import asyncio
import warnings
from collections.abc import Callable, Coroutine
from itertools import count
from typing import Any

import pytest
from aio_only.steps import SOON, Conn, Hooked, World, leap
from behaviour._async.fakes import FakeClock

from pool._runtime.aio import Worker
from support.aio import until

__all__ = ["LONG", "Act", "Kept", "KeptWorld", "Midst", "at_every_turn", "background"]

#: Seconds after which everything is due.
LONG = 1e6

Act = Callable[["KeptWorld"], Coroutine[Any, Any, object]]
Midst = Callable[[], Coroutine[Any, Any, "KeptWorld"]]


class Kept(Hooked):
    """Its outcomes are met by those who keep the pool: by whoever is none of the ``people``."""

    def __init__(self) -> None:
        super().__init__()
        self.people: set[asyncio.Task[Any] | None] = {asyncio.current_task()}

    def meets(self, hook: str) -> bool:
        task = asyncio.current_task()
        return hook == "dispose" or (task not in self.people and task is not self.victim)


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

    manager: Kept

    def __init__(self, clock: FakeClock, **options: Any) -> None:
        self.clock = clock
        options = {"max_size": 3, "check_after_idle": None, "max_lifetime": None, **options}
        super().__init__(manager=Kept(), **options)

    def also(self, call: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        task = super().also(call)
        self.manager.people.add(task)
        return task

    def put_to_sleep(self) -> None:
        """Have the worker sleep until all has settled."""
        self.pool._engine.worker = Deaf(self.pool._engine, self.pool._engine.keep)

    def wake_up(self) -> None:
        """Have the worker work again."""
        engine = self.pool._engine
        if isinstance(engine.worker, Deaf):
            engine.worker = Worker(engine, engine.keep)
        self.ring()

    def ring(self) -> None:
        """Have the worker look what is due."""
        self.pool._engine.worker.ring()

    async def all_is_due(self) -> None:
        """Let so much time pass that everything is due."""
        self.clock.now += LONG

    def keepers(self) -> set["asyncio.Task[Any]"]:
        """The tasks of those who keep the pool now."""
        return asyncio.all_tasks() - {task for task in self.manager.people if task is not None}

    async def lose(self) -> None:
        """Lose a lease."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self.leases.pop()

    def _filled(self) -> bool:
        least = self.pool.options.min_size
        endpoints = self.pool._engine.core.endpoints()
        return all(self.pool.stats(endpoint).total >= least for endpoint in endpoints)

    async def settle(self, *, open_still: bool = True) -> None:
        self.manager.outcomes.clear()
        await until(lambda: all(task.done() for task in self.others))
        if open_still:
            # It keeps itself well, now that nothing fails any more.
            self.wake_up()
            if not self.pool.options.background_collector:
                await self.pool.maintain()
            await until(self._filled)
        with warnings.catch_warnings():
            # As a task that is cancelled before it began drops its lease.
            warnings.simplefilter("ignore", ResourceWarning)
            await super().settle(open_still=open_still)

    async def rest(self) -> None:
        await until(lambda: not self.keepers())


async def at_every_turn(
    midst: Midst, act: Act, *, open_still: bool = True, endless: bool = False, flies: bool = False
) -> None:
    """Begin something, let the loop turn k times, act in its midst, assert that all is well; for every k.

    Parameters:
        midst: what begins it.
        act: what is done in its midst.
        open_still: the pool is open afterwards.
        endless: it comes to no end by itself.
        flies: time flies after the act.
    """
    for turns in range(20) if endless else count():
        world = await midst()
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns and not world.keepers():
            await world.settle()
            break
        world.also(act(world))
        if flies:
            leap(1.1 * SOON)
        await world.settle(open_still=open_still)
        if turns > 200:
            pytest.fail("it never ends")


def background(
    clock: FakeClock, what: str, hook: str = "", outcome: str = "ok", **options: Any
) -> Midst:
    """What the worker begins: to ``fill``, ``check`` (the ``dead``), ``retire``, ``reclaim``, or ``all``.

    Parameters:
        clock: the time.
        what: it begins.
        hook: in which this ``outcome`` is met.
        outcome: as ``Stepping`` says.
        options: the pool's.
    """
    options = {"connect_timeout": SOON, "dispose_timeout": SOON, **OPTIONS[what], **options}

    async def midst() -> KeptWorld:
        world = KeptWorld(clock, **options)
        if options.get("paused"):
            await world.pool.ready("e")
            await world.pool.ready("f")
        await PREPARED[what](world)
        if hook:
            world.manager.outcomes[hook] = outcome
        return world

    return midst


async def _to_fill(world: KeptWorld) -> None:
    await world.pool.add("e")


async def _to_check(world: KeptWorld) -> None:
    await world.idle(2)
    world.clock.now += LONG
    world.ring()


async def _to_bury(world: KeptWorld) -> None:
    conns: list[Conn] = await world.idle(2)
    conns[0].alive = False
    world.clock.now += LONG
    world.ring()


async def _to_reclaim(world: KeptWorld) -> None:
    await world.acquire()
    await world.acquire()
    await world.lose()


async def _to_do_it_all(world: KeptWorld) -> None:
    conns = await world.idle(3)
    conns[0].alive = False
    await world.acquire()
    await world.pool.add("f")
    await world.lose()
    world.clock.now += LONG
    world.ring()


_CHECKED: dict[str, Any] = {"health_check_interval": 10.0, "idle_timeout": None}

OPTIONS: dict[str, dict[str, Any]] = {
    "fill": {
        "min_size": 2,
    },
    "check": _CHECKED,
    "dead": {**_CHECKED, "min_size": 1},
    "retire": {"max_lifetime": 10.0, "min_size": 1},
    "reclaim": {"min_size": 1},
    "all": {**_CHECKED, "min_size": 2, "total_max_size": 5},
}
PREPARED: dict[str, Callable[[KeptWorld], Coroutine[Any, Any, None]]] = {
    "fill": _to_fill,
    "check": _to_check,
    "dead": _to_bury,
    "retire": _to_check,
    "reclaim": _to_reclaim,
    "all": _to_do_it_all,
}
