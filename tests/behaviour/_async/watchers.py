"""Managers that watch what the servers see: for tests of limits."""

import random
import threading
from collections import Counter
from typing import Any

from pool.aio import ConnectionPool
from support.aio import Gate, runtime, until

from .fakes import Connection, Manager, assert_empty

__all__ = ["Hanging", "Leisurely", "Watched", "emptied", "pause"]


async def pause(turns: int) -> None:
    """Let the others run, so many times."""
    left = iter(range(turns, -1, -1))
    await until(lambda: next(left) == 0)


async def emptied(pool: ConnectionPool[Any, Connection], manager: Manager) -> None:
    """A closed pool has nothing left, as soon as what it was about to open and close itself has ended."""
    await until(lambda: pool.stats().total == 0)
    assert_empty(pool, manager)


class Watched(Manager):
    """Watches what the servers see, from the begin of a create to the end of a dispose.

    The keys of the counts are endpoints; ``None`` stands for all of them together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log: list[tuple[str, Any]] = []
        """What was opened and closed, and where."""
        self.seen: Counter[Any] = Counter()
        self.most_seen: Counter[Any] = Counter()
        self.opening: Counter[Any] = Counter()
        self.most_opening: Counter[Any] = Counter()
        self._lock = threading.Lock()

    def closed_at(self) -> list[Any]:
        """Return the endpoints whose connections were closed, in order."""
        return [endpoint for what, endpoint in self.log if what == "close"]

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        self._count(self.seen, self.most_seen, endpoint)
        self._count(self.opening, self.most_opening, endpoint)
        try:
            await self.linger()
            connection = await super().create(endpoint, timeout)
        except BaseException:
            self._uncount(self.seen, endpoint)
            raise
        finally:
            self._uncount(self.opening, endpoint)
        self.log.append(("open", endpoint))
        return connection

    async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
        try:
            await self.linger()
            await super().dispose(endpoint, conn, timeout)
        finally:
            self.log.append(("close", endpoint))
            self._uncount(self.seen, endpoint)

    async def linger(self) -> None:
        """Take some time, in each create and dispose."""

    def _count(self, now: Counter[Any], most: Counter[Any], endpoint: Any) -> None:
        with self._lock:
            for key in (endpoint, None):
                now[key] += 1
                most[key] = max(most[key], now[key])

    def _uncount(self, now: Counter[Any], endpoint: Any) -> None:
        with self._lock:
            for key in (endpoint, None):
                now[key] -= 1


class Leisurely(Watched):
    """Takes a few turns of the others for each create and dispose, as it happens.

    Parameters:
        seed: of what happens.
        failing: which part of the creates fails.
    """

    def __init__(self, seed: object, failing: float = 0.0) -> None:
        super().__init__()
        self.random = random.Random(str(seed))
        self.failing = failing

    async def linger(self) -> None:
        await pause(self.random.randrange(4))

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        if self.random.random() < self.failing:
            await self.linger()
            raise OSError("refused")
        return await super().create(endpoint, timeout)


class Hanging(Watched):
    """Its disposes never end by themselves, only when their time is up."""

    async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
        self.dispose_gate = _Shut(timeout)
        await super().dispose(endpoint, conn, timeout)


class _Shut(Gate):
    """Nobody passes."""

    def __init__(self, seconds: float | None) -> None:
        super().__init__()
        self.seconds = seconds

    async def wait(self) -> None:
        await runtime.Waiter().wait(self.seconds)
        raise TimeoutError("it hangs")
