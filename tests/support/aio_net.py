"""Calls side by side with a test: tasks."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

PATIENCE = 20.0


class Call(Generic[T]):
    """A call that runs beside the test."""

    def __init__(self, task: "asyncio.Task[T]") -> None:
        self._task = task

    async def outcome(self) -> T:
        """Wait for its end, and return or raise what it did."""
        async with asyncio.timeout(PATIENCE):
            return await self._task


async def start(
    function: Callable[P, Coroutine[Any, Any, T]], *args: P.args, **kwargs: P.kwargs
) -> Call[T]:
    """Call a function beside the test."""
    return Call(asyncio.get_running_loop().create_task(function(*args, **kwargs)))


async def until(condition: Callable[[], bool]) -> None:
    """Wait until it is true."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110  # there is nothing to be woken by
            await asyncio.sleep(0.001)


async def away(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a plain function that blocks, while others go on."""
    return await asyncio.to_thread(function, *args, **kwargs)


async def rest(seconds: float) -> None:
    """Let others go on for some time."""
    await asyncio.sleep(seconds)


def busy() -> set[object]:
    """Return all that run now: tasks."""
    return set(asyncio.all_tasks())
