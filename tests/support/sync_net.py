"""Calls side by side with a test: threads."""

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

PATIENCE = 20.0


class Call(Generic[T]):
    """A call that runs beside the test."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._result: list[Any] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result.append(self._function())
        except BaseException as error:
            self._error = error

    def outcome(self) -> T:
        """Wait for its end, and return or raise what it did."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the call hangs"
        if self._error is not None:
            raise self._error
        result: T = self._result[0]
        return result


def start(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Call[T]:
    """Call a function beside the test."""
    return Call(lambda: function(*args, **kwargs))


def until(condition: Callable[[], bool]) -> None:
    """Wait until it is true."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.001)


def away(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a plain function that blocks, while others go on."""
    return function(*args, **kwargs)


def rest(seconds: float) -> None:
    """Let others go on for some time."""
    time.sleep(seconds)


def busy() -> set[object]:
    """Return all that run now: threads."""
    return set(threading.enumerate())
