"""What kind of function a hook of the user's is."""

from typing import Any

__all__ = ["is_coroutine_function"]

# Of the code of a coroutine function, and of an asynchronous generator: inspect would take long to import.
_FLAGS = 0x80 | 0x200


def is_coroutine_function(hook: Any) -> bool:
    """Return whether it is an ``async def``, as far as can be seen."""
    code = getattr(getattr(hook, "__func__", hook), "__code__", None)
    return bool(getattr(code, "co_flags", 0) & _FLAGS)
