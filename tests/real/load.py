"""Callers who never rest, in either world, and what they remember."""

import asyncio
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from real import kit_aio, kit_sync
from real.kit import TIMEOUT, Kit, Tally

from pool import PoolStats
from pool.aio import ConnectionPool as AsyncPool
from pool.sync import ConnectionPool
from support.real import PATIENCE, RealServer

CALLERS = 20
MAX_SIZE = 5
PAUSE = 0.1
"""Seconds that a caller thinks about an answer."""


@dataclass(frozen=True)
class Attempt:
    """What a caller met: a connection and an answer, or an error."""

    caller: int
    began: float
    seconds: float
    error: Exception | None


class Load(ABC):
    """Callers of one pool, who work from the beginning of the ``with`` block to its end.

    Parameters:
        kit: what they speak.
        server: whom they ask.
        callers: how many there are.
        options: the pool's. With a ``min_size`` it is filled before the first call.
    """

    def __init__(
        self, kit: Kit, server: RealServer, callers: int = CALLERS, **options: Any
    ) -> None:
        self.kit = kit
        self.server = server
        self.callers = range(callers)
        self.options = {"max_size": MAX_SIZE, **options}
        self.tally = Tally()
        self.attempts: list[Attempt] = []
        self.at_rest = PoolStats()
        """When the last caller had ended."""
        self.closed = PoolStats()
        """When the pool was closed."""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @abstractmethod
    def _run(self) -> None:
        """Run all callers, then close the pool."""

    @abstractmethod
    def stats(self) -> PoolStats:
        """Ask the pool, from any thread."""

    def _note(self, caller: int, began: float, error: Exception | None) -> None:
        self.attempts.append(Attempt(caller, began, time.monotonic() - began, error))

    def everybody_served(self, since: float) -> bool:
        """Return whether every caller got an answer to what he asked after that."""
        served = {a.caller for a in self.attempts if a.error is None and a.began >= since}
        return len(served) == len(self.callers)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "a caller hangs"


def left(began: float) -> float:
    """Return what a caller has left to get his answer."""
    return max(began + TIMEOUT - time.monotonic(), 0.01)


class Threads(Load):
    """Callers in threads."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.pool: ConnectionPool[Any, Any] = ConnectionPool(
            self.kit.manager(self.tally), **self.options
        )

    def _run(self) -> None:
        with self.pool:
            if self.pool.options.min_size:
                self.pool.warm_up(self.kit.endpoint(self.server), PATIENCE)
            callers = [threading.Thread(target=self._call, args=(n,)) for n in self.callers]
            for thread in callers:
                thread.start()
            self._ending.wait()
            for thread in callers:
                thread.join()
            self.at_rest = self.pool.stats()
            self.pool.close(timeout=PATIENCE)
            self.closed = self.pool.stats()

    def stats(self) -> PoolStats:
        return self.pool.stats()

    def _call(self, caller: int) -> None:
        endpoint = self.kit.endpoint(self.server)
        while not self._ending.is_set():
            error: Exception | None = None
            began = time.monotonic()
            try:
                with self.pool.connection(endpoint, timeout=TIMEOUT) as conn:
                    assert self.kit.echo(conn, caller, left(began)) == caller
            except Exception as raised:
                error = raised
            self._note(caller, began, error)
            time.sleep(PAUSE)


class Tasks(Load):
    """Callers in tasks, on an event loop of their own."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.pool: AsyncPool[Any, Any] = AsyncPool(self.kit.manager(self.tally), **self.options)
        self._loop: asyncio.AbstractEventLoop | None = None

    def _run(self) -> None:
        asyncio.run(self._run_all())

    async def _run_all(self) -> None:
        async with self.pool:
            if self.pool.options.min_size:
                await self.pool.warm_up(self.kit.endpoint(self.server), PATIENCE)
            self._loop = asyncio.get_running_loop()
            callers = [asyncio.create_task(self._call(n)) for n in self.callers]
            await asyncio.to_thread(self._ending.wait)
            await asyncio.gather(*callers)
            self.at_rest = self.pool.stats()
            await self.pool.close(timeout=PATIENCE)
            self.closed = self.pool.stats()

    def stats(self) -> PoolStats:
        if self._loop is None:
            return PoolStats()
        return asyncio.run_coroutine_threadsafe(self._stats(), self._loop).result(PATIENCE)

    async def _stats(self) -> PoolStats:
        return self.pool.stats()

    async def _call(self, caller: int) -> None:
        endpoint = self.kit.endpoint(self.server)
        while not self._ending.is_set():
            error: Exception | None = None
            began = time.monotonic()
            try:
                async with self.pool.connection(endpoint, timeout=TIMEOUT) as conn:
                    assert await self.kit.echo(conn, caller, left(began)) == caller
            except Exception as raised:
                error = raised
            self._note(caller, began, error)
            await asyncio.sleep(PAUSE)


WORLDS: dict[str, tuple[type[Load], dict[str, Kit]]] = {
    "sync": (Threads, kit_sync.KITS),
    "aio": (Tasks, kit_aio.KITS),
}
