"""The synchronous half of the kit's twin: threads."""

import inspect
from collections.abc import Callable
from threading import Event, Thread
from time import sleep as pause
from typing import Any, Final, Generic, TypeVar

from pool._runtime.clock import clock
from pool._runtime.sync import Limit

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
CANCELS: Final = False

#: Something to wait for. ``set`` may be called from any thread.
Signal = Event


class Call(Generic[T]):
    """A call that goes on beside us, in a daemon thread: it may hang for ever."""

    def __init__(self, function: Callable[..., T], args: tuple[Any, ...]) -> None:
        self._outcome: tuple[T] | BaseException | None = None
        self._thread = Thread(
            target=self._run, args=(function, args), name="pool testing", daemon=True
        )
        self._thread.start()

    def _run(self, function: Callable[..., T], args: tuple[Any, ...]) -> None:
        try:
            self._outcome = (function(*args),)
        except BaseException as error:
            self._outcome = error

    def ends(self, seconds: float) -> bool:
        """Wait for its end at most so long, and return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def outcome(self) -> T:
        """Return or raise what it did. It must have ended."""
        assert self._outcome is not None, "bug: it has not ended"
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome[0]

    def abandon(self) -> None:
        """Leave it alone: a thread cannot be cancelled."""


def begin(function: Callable[..., T], *args: Any) -> Call[T]:
    """Call a function beside us."""
    return Call(function, args)


#: Call a function that never waits; if it does, it does so beside us.
promptly = begin


def misfit(hook: Callable[..., Any], waits: bool) -> str | None:
    """Return what is wrong with a hook that may wait, or must not; ``None`` if it is right."""
    return "is to be a plain def" if inspect.iscoroutinefunction(hook) else None


def strike(
    function: Callable[[], T], place: int, seconds: float
) -> tuple[bool, T | Exception | None]:
    """Never called, see ``CANCELS``."""
    raise AssertionError("bug: a thread cannot be cancelled")
