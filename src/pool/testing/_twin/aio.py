"""The asynchronous half of the kit's twin: asyncio."""

import asyncio
import inspect
from asyncio import sleep as pause
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from pool._runtime.aio import Limit, here
from pool._runtime.clock import clock

__all__ = [
    "CANCELS",
    "Call",
    "Limit",
    "Signal",
    "begin",
    "clock",
    "misfit",
    "pause",
    "promptly",
    "strike",
]

T = TypeVar("T")

#: Whether a call can be cancelled.
CANCELS: Final = True


class Signal:
    """Something to wait for. ``set`` may be called from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop = here()
        self._event = asyncio.Event()

    def set(self) -> None:
        """Let everybody who waits go on, now and until it is cleared."""
        # RuntimeError: the loop is closed, and nobody waits there.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._event.set)

    def clear(self) -> None:
        """Have those who come from now on wait."""
        self._event.clear()

    async def wait(self, seconds: float | None) -> bool:
        """Return true when it is set, false when ``seconds`` have passed first."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        return self._event.is_set()


class Call(Generic[T]):
    """A call that goes on beside us."""

    def __init__(self, task: "asyncio.Future[T]") -> None:
        self._task = task
        # Nobody may ask any more: then that is no news.
        task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def ends(self, seconds: float) -> bool:
        """Wait for its end at most so long, and return whether it has ended."""
        await asyncio.wait([self._task], timeout=seconds)
        return self._task.done()

    def outcome(self) -> T:
        """Return or raise what it did. It must have ended."""
        return self._task.result()

    async def abandon(self) -> None:
        """Cancel it, and do not wait long for its end."""
        self._task.cancel()
        await asyncio.wait([self._task], timeout=0.1)


async def begin(function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> Call[T]:
    """Call a function beside us; it has begun."""
    task = asyncio.ensure_future(function(*args))
    await pause(0)
    return Call(task)


async def promptly(function: Callable[..., T], *args: Any) -> Call[T]:
    """Call a function that never waits, where a pool would call it: on the loop. It has ended."""
    future: asyncio.Future[T] = here().create_future()
    try:
        future.set_result(function(*args))
    except Exception as error:
        future.set_exception(error)
    return Call(future)


def misfit(hook: Callable[..., Any], waits: bool) -> str | None:
    """Return what is wrong with a hook that may wait, or must not; ``None`` if it is right."""
    if inspect.iscoroutinefunction(hook) == waits:
        return None
    return "is to be an async def" if waits else "is to be a plain def, and is an async one"


class _Struck:
    """Drives a coroutine and cancels its task at one of the places where it waits."""

    def __init__(self, work: Coroutine[Any, Any, T], place: int) -> None:
        self._work = work
        self._left = place
        self.struck = False

    def __await__(self) -> Generator[Any, Any, Any]:
        sent: Any = None
        thrown: BaseException | None = None
        while True:
            try:
                waits_for = self._work.send(sent) if thrown is None else self._work.throw(thrown)
            except StopIteration as end:
                return end.value
            self._left -= 1
            if self._left == 0:
                self.struck = True
                task = asyncio.current_task()
                assert task is not None, "bug: it runs in no task"
                task.cancel()
            sent = thrown = None
            try:
                sent = yield waits_for
            except BaseException as error:
                thrown = error


async def strike(
    function: Callable[[], Coroutine[Any, Any, T]], place: int, seconds: float
) -> tuple[bool, T | Exception | None]:
    """Cancel a call at the ``place``-th point where it waits, from 1.

    Returns:
        Whether it came to that point, and what it returned or raised, if it was not its cancellation.

    Raises:
        TimeoutError: it has not ended ``seconds`` later.
    """
    struck = _Struck(function(), place)

    async def drive() -> T:
        result: T = await struck
        return result

    task = asyncio.ensure_future(drive())
    done, _ = await asyncio.wait([task], timeout=seconds)
    if not done:
        task.cancel()
        raise TimeoutError
    if task.cancelled():
        return struck.struck, None
    error = task.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return struck.struck, task.result() if error is None else error
