"""What hooks must be like, for threads."""

from collections.abc import Callable
from typing import Any

from pool._runtime.hooks import is_coroutine_function

__all__ = ["misfit"]


def misfit(hook: Callable[..., Any], waits: bool) -> str | None:
    """Return what is wrong with a hook, whether it may wait or not; ``None`` if nothing is seen."""
    if not is_coroutine_function(hook):
        return None
    return "is an async def, and pool.sync wants plain ones: async ones are for pool.aio"
