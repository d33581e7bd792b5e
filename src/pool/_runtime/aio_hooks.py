"""What hooks must be like, for asyncio."""

from collections.abc import Callable
from typing import Any

from pool._runtime.hooks import is_coroutine_function

__all__ = ["misfit"]


def misfit(hook: Callable[..., Any], waits: bool) -> str | None:
    """Return what is wrong with a hook that may wait, or must not; ``None`` if nothing is seen."""
    # One that may wait can be any function that returns what can be awaited.
    if waits or not is_coroutine_function(hook):
        return None
    return "is an async def, but is called as a plain function"
