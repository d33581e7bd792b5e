"""The asynchronous half of the twin for psycopg: whose turn it is, with tasks."""

import asyncio

__all__ = ["becomes_free", "current"]


def current() -> object:
    """Return who is running."""
    return asyncio.current_task()


async def becomes_free(lock: asyncio.Lock, seconds: float) -> bool:
    """Wait until nobody has a lock; false when the time is up.

    A generator of notifications that a body has left half-way gives it back a little later: the loop closes
    it.
    """
    try:
        async with asyncio.timeout(seconds):
            await lock.acquire()
    except TimeoutError:
        return False
    lock.release()
    return True
