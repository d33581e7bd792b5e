"""What tests of behaviour need to run several callers at once: here as tasks."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from pool._runtime import aio as runtime

__all__ = ["THREADS", "Gate", "Running", "begun", "call_soon", "me", "runtime", "until"]

T = TypeVar("T")

#: How long (seconds) anything may take before a test fails rather than hangs.
PATIENCE = 10.0

#: How many threads a pool that is used has: its worker is a timer and tasks.
THREADS = 0


class Running(Generic[T]):
    """A call that goes on in the background."""

    def __init__(self, task: "asyncio.Task[T]") -> None:
        self._task = task

    @property
    def who(self) -> str:
        """What a pool calls the one who makes the call."""
        return f"task {self._task.get_name()!r}"

    def done(self) -> bool:
        """Return whether it has ended."""
        return self._task.done()

    async def result(self) -> T:
        """Wait for its end; return or raise what it did."""
        done, _ = await asyncio.wait([self._task], timeout=PATIENCE)
        assert done, "the call hangs"
        return self._task.result()


async def call_soon(function: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> Running[T]:
    """Start a call in the background. To see it get somewhere, use ``until``."""
    return Running(asyncio.ensure_future(function(*args)))


def me() -> str:
    """Return what a pool calls the one who asks."""
    task = asyncio.current_task()
    assert task is not None
    return f"task {task.get_name()!r}"


def begun(worker: runtime.Worker[Any]) -> bool:
    """Return whether a pool's worker has begun, and has not ended."""
    timer = worker._timer
    return worker._working or (timer is not None and not timer.cancelled())


async def until(condition: Callable[[], object]) -> None:
    """Let the others run until the condition holds; fail if it never does."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the condition never came true"
        await asyncio.sleep(0)


class Gate:
    """A place where a fake stops until the test opens it."""

    def __init__(self, is_open: bool = False) -> None:
        self._event = asyncio.Event()
        self.waiting = 0
        if is_open:
            self._event.set()

    async def wait(self) -> None:
        """Pass, or stop here until it is opened."""
        self.waiting += 1
        try:
            await self._event.wait()
        finally:
            self.waiting -= 1

    def open(self) -> None:
        """Let everybody pass, now and later."""
        self._event.set()
