"""The asynchronous half of the twin for shared connections."""

from pool._runtime.aio import Waiter
from pool._runtime.pipeline import Pipeline

__all__ = ["Core", "core"]

#: What ``core`` returns: on one event loop, code between awaits is atomic.
Core = Pipeline[Waiter]


def core() -> Core:
    """Return the core of a new connection."""
    return Pipeline(Waiter)
