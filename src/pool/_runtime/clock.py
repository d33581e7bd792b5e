"""The clocks of both worlds: seconds, from anywhere, never backwards."""

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

__all__ = ["clock", "elapsed"]


def _best() -> Callable[[], float]:
    """Return a monotonic clock that goes on while the machine is suspended, where there is one.

    A connection that was used just before a laptop was closed is not fresh when it is opened again.
    ``time.monotonic`` stands still meanwhile on Linux and macOS. See clock_gettime(2) of either.
    """
    number = None
    if sys.platform == "linux":
        number = getattr(time, "CLOCK_BOOTTIME", None)
    elif sys.platform == "darwin":
        number = time.CLOCK_MONOTONIC
    if number is None:
        return time.monotonic
    try:
        time.clock_gettime(number)
    except OSError:
        return time.monotonic
    # Not a function: it is read twice in every checkout.
    return partial(time.clock_gettime, number)


#: A clock that goes on while the machine is suspended, where there is one.
elapsed: Final = _best()

#: The clock of the pool. Before 3.13 a reading of the other one costs two or three times as much, and every
#: checkout needs two of them: there it is left to the worker to find out that the machine was suspended.
clock: Final = elapsed if sys.version_info >= (3, 13) else time.monotonic
