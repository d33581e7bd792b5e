"""The asynchronous half of the twin: asyncio."""

import asyncio
from asyncio import get_running_loop as here
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from time import monotonic as clock
from types import TracebackType
from typing import Any, Self, TypeVar

from pool._core.pool import PoolCore

__all__ = [
    "Limit",
    "Pending",
    "Waiter",
    "allowance",
    "caller",
    "clock",
    "each",
    "guard",
    "here",
    "shield",
    "spawn",
    "stray",
]

T = TypeVar("T")

#: What a plain function returns that hands on the result of an ``async`` one.
Pending = Coroutine[Any, Any, T]

# The event loop knows its tasks only weakly.
_running: set[asyncio.Task[None]] = set()


def guard(core: PoolCore) -> PoolCore:
    """Return the core itself: on one event loop, code between awaits is atomic."""
    return core


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
        alarm = here().call_later(seconds, self._settle, False)
        try:
            return await self._future
        finally:
            alarm.cancel()

    def _settle(self, woken: bool) -> None:
        # The one who waits may have been cancelled, or be late already.
        if not self._future.done():
            self._future.set_result(woken)


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


def stray(error: BaseException) -> bool:
    """Return whether it is a cancellation that nobody asked for: one that a hook let escape."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and not (task and task.cancelling())


def allowance(limit: float | None, left: float | None) -> float | None:
    """Return the seconds a spawned call may take whose caller has ``left``: nobody waits for it."""
    return limit


def spawn(function: Callable[[T], Coroutine[Any, Any, None]], argument: T) -> None:
    """Call it in a task of its own, without waiting for its end."""
    _start(function(argument))


async def shield(
    function: Callable[[T], Coroutine[Any, Any, None]], argument: T, seconds: float | None
) -> None:
    """Call it and wait for its end, at most ``seconds``; it runs to its end whoever is cancelled."""
    # Not asyncio.shield: an error in there, a stray cancellation say, is none of the caller's.
    await asyncio.wait([_start(function(argument))], timeout=seconds)


async def each(function: Callable[[T], Awaitable[None]], items: Iterable[T]) -> None:
    """Call it for every item, side by side."""
    await asyncio.gather(*(function(item) for item in items))


def _start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = here().create_task(work)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task
