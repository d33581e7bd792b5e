"""The asynchronous half of the twin: asyncio."""

import asyncio
import sys
from asyncio import get_running_loop as here
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import suppress
from contextvars import Context
from math import inf
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar
from weakref import ref

from pool._core.pool import PoolCore
from pool._runtime.aio_checkout import Checkout, Entrance, entrance, recognizer
from pool._runtime.clock import clock, elapsed

__all__ = [
    "HANDS",
    "Checkout",
    "Core",
    "Entrance",
    "Limit",
    "Pending",
    "Waiter",
    "Worker",
    "abandoned",
    "allowance",
    "asked",
    "background",
    "caller",
    "clock",
    "each",
    "elapsed",
    "entrance",
    "guard",
    "here",
    "name",
    "recognizer",
    "shield",
    "spawn",
    "stranded",
    "stray",
]

T = TypeVar("T")

#: How many spawned calls go on side by side.
HANDS: Final = sys.maxsize

#: What a plain function returns that hands on the result of an ``async`` one.
Pending = Coroutine[Any, Any, T]

#: What ``guard`` returns.
Core = PoolCore

# A timer cannot be set for any time: a day is enough.
_LONGEST = 86400.0

# How long (seconds) a worker rests that was broken off.
_PAUSE = 1.0


class _Crew:
    """The tasks that we start on one event loop. It knows them only weakly itself.

    A loop that ends cancels all tasks, then closes all generators. What is started in between, by those who
    are cancelled, has no other end than the one made here, and would be told of as destroyed.
    """

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.ended = False
        self._watch = self._until_the_end()
        with suppress(StopIteration):
            self._watch.__anext__().send(None)

    async def _until_the_end(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self.ended = True
            while self.tasks:
                for task in self.tasks:
                    task.cancel()
                await asyncio.wait(self.tasks)

    def left(self, task: asyncio.Task[None]) -> None:
        """One has ended: nobody waits for him, so tell what he raised."""
        self.tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        # The two that end a program were raised by the loop already.
        if error is not None and not isinstance(error, (KeyboardInterrupt, SystemExit)):
            context = {"message": "a task of a pool failed", "exception": error, "task": task}
            task.get_loop().call_exception_handler(context)


# A loop that is closed is forgotten when there is another one. To hold it weakly would not do: its crew has a
# generator of its, which holds it.
_crews: dict[asyncio.AbstractEventLoop, _Crew] = {}


def guard(core: PoolCore) -> Core:
    """Return the core itself: on one event loop, code between awaits is atomic."""
    return core


class _Stranded:
    """Where a pool is bound that was used before a fork, in the child."""

    def __repr__(self) -> str:
        return "one of the parent process, before it was forked"


def stranded(place: object) -> object:
    """Return where a pool that is bound to ``place`` is bound in a child process: its loop is not there."""
    return _Stranded()


def name(owner: object) -> str:
    """Return what people call one who was recognized."""
    return f"task {owner.get_name()!r}" if isinstance(owner, asyncio.Task) else repr(owner)


def caller() -> int:
    """Return who is calling: while listeners are told, nobody but they can be."""
    return 0


class Waiter:
    """A place to wait until somebody wakes it; ``wake`` may come before ``wait``."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[bool] = here().create_future()

    def wake(self) -> None:
        """End the wait. Once."""
        self._settle(True)

    async def wait(self, seconds: float | None) -> bool:
        """Return true when woken, false when ``seconds`` have passed first."""
        if seconds is None or self._future.done():
            return await self._future
        alarm = self._future.get_loop().call_later(seconds, self._settle, False)
        try:
            return await self._future
        finally:
            alarm.cancel()

    def _settle(self, woken: bool) -> None:
        # The one who waits may have been cancelled, or be late already.
        if not self._future.done():
            # Not suppress: somebody waits for it, and that takes longer than all the rest.
            try:
                self._future.set_result(woken)
            except RuntimeError:
                # The loop is closed, with him in it.
                pass


class Worker(Generic[T]):
    """Works for its owner whenever something is due, and sleeps until then. Asleep, it is a timer.

    Parameters:
        owner: for whom; it is not kept alive, and without it there is nothing to do.
        work: gets the owner and by how many seconds it is late; returns the seconds until it wants to be
            called again, ``None`` for never.
        title: what its tasks are called.
    """

    __slots__ = (
        "__weakref__",
        "_again",
        "_due",
        "_loop",
        "_nap",
        "_owner",
        "_timer",
        "_title",
        "_work",
        "_working",
        "keep",
    )

    def __init__(
        self,
        owner: T,
        work: Callable[[T, float], Coroutine[Any, Any, float | None]],
        title: str = "pool upkeep",
    ) -> None:
        self._owner = ref(owner, self._orphaned)
        self._work = work
        self._title = title
        self.keep: object = None
        """What it keeps alive until it is done: it may be all that does."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._due = inf
        """When the timer is to go off."""
        self._nap: float | None = None
        """The seconds to sleep then."""
        self._working = False
        self._again = False

    def ring(self) -> bool:
        """Have it look now what is due; false if it cannot."""
        if self._working:
            self._again = True
            return True
        try:
            self._loop = here()
        except RuntimeError:
            # A coroutine that was abandoned is being closed, by nobody's loop.
            self.alert()
        else:
            self._begin()
        return True

    def alert(self) -> None:
        """Have it look soon, if it has begun. May be called by a finalizer: anywhere, at any time."""
        if self._loop is not None:
            # RuntimeError: the loop is closed.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._wake)

    def _orphaned(self, _: object) -> None:
        self.alert()

    def _begin(self) -> None:
        if _crew(here()).ended:
            return
        self._working = True
        self._again = False
        # It counts only if the task is cancelled or fails: that must not be the end of the work.
        self._nap = _PAUSE
        # What it does is none of the caller's who happens to ring.
        context = Context()
        task = _start(self._run(), context, self._title)
        task.add_done_callback(self._rest, context=context)

    async def _run(self) -> None:
        late = max(elapsed() - self._due, 0.0)
        while (owner := self._owner()) is not None:
            self._again = False
            self._nap = await self._work(owner, late)
            late = 0.0
            if not self._again:
                return
        self._nap = None

    def _rest(self, task: object) -> None:
        self._working = False
        self._stop()
        if self._again:
            self._begin()
        elif self._nap is not None and self._loop is not None:
            seconds = min(self._nap, _LONGEST)
            self._due = elapsed() + seconds
            # RuntimeError: the loop is closed.
            with suppress(RuntimeError):
                self._timer = self._loop.call_later(seconds, self._wake)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = inf

    def _wake(self) -> None:
        if self._owner() is None:
            self._stop()
        elif self._working:
            self._again = True
        else:
            self._begin()


class Limit:
    """A block that takes at most ``seconds`` (``None``: any time): then ``TimeoutError``.

    Whatever the block returns is never lost: nothing runs in another task, and a block that ends in time
    is not cancelled. The caller's own cancellation stays a ``CancelledError``.
    """

    __slots__ = ("_scope", "broken")

    def __init__(self, seconds: float | None) -> None:
        self._scope = asyncio.timeout(seconds)
        self.broken = False
        """Whether somebody ended it before its time."""

    @property
    def expired(self) -> bool:
        """Whether it ended the block, for whatever reason."""
        return self._scope.expired()

    def break_off(self) -> None:
        """End the block now, or as soon as it begins; nothing once it is over."""
        self.broken = True
        # RuntimeError: it has not begun, is ending already or is over.
        with suppress(RuntimeError):
            self._scope.reschedule(here().time())

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        if self.broken:
            self.break_off()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._scope.__aexit__(exc_type, exc, traceback)


def asked(error: BaseException) -> bool:
    """Return whether it is a cancellation that somebody asked for."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and bool(task and task.cancelling())


def stray(error: BaseException) -> bool:
    """Return whether it is a cancellation that nobody asked for: one that a hook let escape."""
    return isinstance(error, asyncio.CancelledError) and not asked(error)


def abandoned(error: BaseException) -> bool:
    """Return whether nobody drives us any more, so that we cannot wait for anything."""
    return isinstance(error, GeneratorExit)


def allowance(limit: float | None, left: float | None) -> float | None:
    """Return the seconds a spawned call may take whose caller has ``left``: nobody waits for it."""
    return limit


def spawn(function: Callable[[T], Coroutine[Any, Any, None]], argument: T) -> None:
    """Call it in a task of its own, without waiting for its end."""
    try:
        here()
    except RuntimeError:
        # A coroutine that was abandoned is being closed, by nobody's loop: what it had is lost, and found.
        return
    _start(function(argument))


def background(function: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Call it beside everything else, for nobody who waits for it."""
    try:
        here()
    except RuntimeError:
        return
    _start(function())


async def shield(
    function: Callable[[T], Coroutine[Any, Any, None]], argument: T, seconds: float | None
) -> None:
    """Call it and wait for its end, at most ``seconds``; it runs to its end whoever is cancelled."""
    # Not asyncio.shield: an error in there, a stray cancellation say, is none of the caller's.
    await asyncio.wait([_start(function(argument))], timeout=seconds)


async def each(function: Callable[[T], Coroutine[Any, Any, None]], items: Iterable[T]) -> None:
    """Call it for every item, side by side; every call begins."""
    await asyncio.gather(*(_sure(function(item)) for item in items))


def _start(
    work: Coroutine[Any, Any, None], context: Context | None = None, name: str | None = None
) -> asyncio.Task[None]:
    loop = here()
    crew = _crew(loop)
    task = loop.create_task(_sure(work), context=context, name=name)
    crew.tasks.add(task)
    task.add_done_callback(crew.left)
    return task


def _crew(loop: asyncio.AbstractEventLoop) -> _Crew:
    crew = _crews.get(loop)
    if crew is None:
        for other in list(_crews):
            if other.is_closed():
                _crews.pop(other, None)
        crew = _crews[loop] = _Crew()
    return crew


def _sure(work: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None]:
    """Have work begin even if its task is cancelled before: it has something in its hands."""
    begun = _begun(work)
    # Up to where it waits for its task.
    begun.send(None)
    return begun


async def _begun(work: Coroutine[Any, Any, None]) -> None:
    try:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            # Not yet: it is cancelled where it waits first.
            task = asyncio.current_task()
            assert task is not None, "bug: it runs in no task"
            task.uncancel()
            task.cancel()
        await work
    finally:
        work.close()
