"""Threads, told apart. Both worlds ask: on an event loop, whether it is the thread of that loop."""

from threading import get_ident

__all__ = ["get_ident"]
