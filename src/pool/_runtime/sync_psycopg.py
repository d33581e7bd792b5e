"""The synchronous half of the twin for psycopg: whose turn it is, with threads."""

from threading import Lock

from pool._runtime.identity import get_ident

__all__ = ["becomes_free", "current"]


def current() -> object:
    """Return who is running."""
    return get_ident()


def becomes_free(lock: Lock, seconds: float) -> bool:
    """Wait until nobody has a lock; false when the time is up."""
    if not lock.acquire(timeout=seconds):
        return False
    lock.release()
    return True
