"""The short way in and out, for asyncio: where a connection lies idle and nobody is to be told.

``PoolCore.take`` and ``check_in`` decide it; they stand here once more, written out. Nowhere else does it
matter, but here the calls would cost as much as half the rest. A test holds the two together.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from functools import partial
from types import TracebackType, coroutine
from typing import Any, Generic, Protocol, TypeVar, cast

from pool._core.pool import PoolCore
from pool._core.records import Claim, Effects
from pool._core.states import IDLE, IN_USE
from pool._runtime.clock import clock
from pool._runtime.identity import get_ident

__all__ = ["Checkout", "Entrance", "entrance", "recognizer"]

ConnectionT = TypeVar("ConnectionT")

# Both are made of C, since every checkout asks.
_task_on: Callable[[Any], object]
"""Tells the current task of a loop."""
_where: Callable[[], object]
"""Tells the running loop or, where that costs too much, the thread: a loop has a current task in one."""
if sys.version_info >= (3, 12):
    _task_on = asyncio.current_task
    _where = asyncio.get_running_loop
else:
    # There the former is written in Python, and the latter asks for the process id: either costs as much as
    # half a checkout.
    from asyncio.tasks import _current_tasks  # type: ignore[attr-defined]

    _task_on = _current_tasks.get
    _where = get_ident


def recognizer(place: object) -> Callable[[], object]:
    """Return what tells who is calling on an event loop: the task."""
    return partial(_task_on, place)


class Entrance:
    """What an event loop's pool opens to those who may take an idle connection and tell nobody."""

    __slots__ = ("core", "loop", "where")

    def __init__(self, core: PoolCore, place: object) -> None:
        self.core = core
        self.loop = place
        self.where = _where()


entrance = Entrance


@coroutine
def _end() -> Generator[None, None, None]:
    return
    yield


# It has ended already, and ends at once each time it is awaited: no coroutine need be made for that.
_DONE = cast("Coroutine[Any, Any, None]", _end())
with suppress(StopIteration):
    _DONE.send(None)


class Engine(Protocol):
    """What a checkout needs of the pool's engine."""

    way_in: Entrance | None
    """An ``entrance``, if nobody is to be told of a checkout."""
    way_out: PoolCore | None
    """The core, if nobody is to be told of a return."""

    async def perform(self, effects: Effects) -> None: ...


class Checkout(Claim, Generic[ConnectionT]):
    """The base of a lease: a block that takes the short way, and leaves the long one to the lease."""

    __slots__ = ("_engine",)

    _engine: Engine

    async def _enter(self) -> ConnectionT:
        """Acquire by the long way."""
        raise NotImplementedError

    async def _leave(self, error: BaseException | None) -> None:
        """Release by the long way."""
        raise NotImplementedError

    async def __aenter__(self) -> ConnectionT:
        entrance = self._engine.way_in
        if entrance is None or self.entry is not None or self.ended or _where() != entrance.where:
            return await self._enter()
        owner = _task_on(entrance.loop)
        if owner is None:
            return await self._enter()
        core = entrance.core
        now = clock()
        try:
            home = core._homes.get(self.endpoint)
            if home is not None:
                entry = home.top
                if entry is not None and (now < entry.until or core.is_fresh(entry, now)):
                    home.top = entry.next
                    entry.next = None
                    entry.state = IN_USE
                    entry.since = now
                    entry.uses += 1
                    entry.owner = owner
                    entry.code = self.code
                    entry.instruction = self.instruction
                    self.entry = entry
                    connection: ConnectionT = entry.connection
                    return connection
        except TypeError:
            # An endpoint that cannot be a key: the long way says so.
            pass
        return await self._enter()

    def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> Coroutine[Any, Any, None]:
        core = self._engine.way_out
        if core is None or exc is not None:
            return self._leave(exc)
        now = clock()
        entry = self.entry
        if entry is None or entry.state is not IN_USE:
            return _DONE
        self.entry = None
        self.ended = entry.id
        home = entry.home
        home.use_time += now - entry.since
        if home.special or core._pressed:
            effects = core.put(entry, now)
        else:
            entry.state = IDLE
            entry.since = now
            entry.owner = None
            entry.next = home.top
            home.top = entry
            return _DONE
        return self._engine.perform(effects) if effects else _DONE
