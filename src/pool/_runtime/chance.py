"""Chance, for what must not happen everywhere at once."""

from collections.abc import Callable

__all__ = ["lots"]


def lots() -> Callable[[], float]:
    """Return what draws random numbers from 0 to 1. It is loaded when a pool is made, and not before."""
    from random import random

    return random
