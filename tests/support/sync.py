"""What tests of behaviour need to run several callers at once: here as threads."""

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pool._runtime import sync as runtime

__all__ = ["THREADS", "Gate", "Running", "begun", "call_soon", "me", "runtime", "until"]

T = TypeVar("T")

#: How long (seconds) anything may take before a test fails rather than hangs.
PATIENCE = 10.0

#: How many threads a pool that is used has: its worker.
THREADS = 1


class Running(Generic[T]):
    """A call that goes on in the background."""

    def __init__(self, function: Callable[..., T], args: tuple[Any, ...]) -> None:
        self._outcome: tuple[T] | BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(function, args), daemon=True)
        self._thread.start()

    def _run(self, function: Callable[..., T], args: tuple[Any, ...]) -> None:
        try:
            self._outcome = (function(*args),)
        except BaseException as error:
            self._outcome = error

    @property
    def who(self) -> str:
        """What a pool calls the one who makes the call."""
        return f"thread {self._thread.name!r}"

    def done(self) -> bool:
        """Return whether it has ended."""
        return not self._thread.is_alive()

    def result(self) -> T:
        """Wait for its end; return or raise what it did."""
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the call hangs"
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        assert self._outcome is not None
        return self._outcome[0]


def call_soon(function: Callable[..., T], *args: Any) -> Running[T]:
    """Start a call in the background. To see it get somewhere, use ``until``."""
    return Running(function, args)


def me() -> str:
    """Return what a pool calls the one who asks."""
    return f"thread {threading.current_thread().name!r}"


def begun(worker: runtime.Worker[Any]) -> bool:
    """Return whether a pool's worker has begun, and has not ended."""
    return worker._thread is not None


def until(condition: Callable[[], object]) -> None:
    """Let the others run until the condition holds; fail if it never does."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.0002)


class Gate:
    """A place where a fake stops until the test opens it."""

    def __init__(self, is_open: bool = False) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self.waiting = 0
        if is_open:
            self._event.set()

    def wait(self) -> None:
        """Pass, or stop here until it is opened."""
        with self._lock:
            self.waiting += 1
        try:
            assert self._event.wait(PATIENCE), "the gate was never opened"
        finally:
            with self._lock:
                self.waiting -= 1

    def open(self) -> None:
        """Let everybody pass, now and later."""
        self._event.set()
