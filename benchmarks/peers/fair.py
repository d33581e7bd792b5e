"""The fair floor: the least that serves callers in order. Whoever gives back hands over to the first.

It knows neither timeouts nor cancellation, and cannot open, check, count or close.
"""

import asyncio
from collections import deque
from itertools import repeat
from threading import Lock
from types import TracebackType

from benchmarks.fakes import FakeConnection
from benchmarks.peer import AsyncPeer, SyncPeer


class SyncLease:
    """One checkout: its place in the queue is a raw lock, made only if it must wait."""

    __slots__ = ("connection", "parker", "pool")
    connection: FakeConnection
    parker: Lock

    def __init__(self, pool: "Sync") -> None:
        self.pool = pool

    def __enter__(self) -> FakeConnection:
        pool = self.pool
        with pool.lock:
            if pool.idle:
                connection = self.connection = pool.idle.pop()
                return connection
            parker = self.parker = Lock()
            parker.acquire()
            pool.queue.append(self)
        parker.acquire()
        return self.connection

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pool = self.pool
        with pool.lock:
            if not pool.queue:
                pool.idle.append(self.connection)
                return
            following = pool.queue.popleft()
        following.connection = self.connection
        following.parker.release()


class AsyncLease:
    """One checkout: its place in the queue is a future, made only if it must wait."""

    __slots__ = ("connection", "pool")
    connection: FakeConnection

    def __init__(self, pool: "Aio") -> None:
        self.pool = pool

    async def __aenter__(self) -> FakeConnection:
        pool = self.pool
        if pool.idle:
            connection = self.connection = pool.idle.pop()
            return connection
        turn: asyncio.Future[FakeConnection] = pool.loop.create_future()
        pool.queue.append(turn)
        connection = self.connection = await turn
        return connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pool = self.pool
        if pool.queue:
            pool.queue.popleft().set_result(self.connection)
        else:
            pool.idle.append(self.connection)


class Sync(SyncPeer):
    code = "with floor.connection():"

    def setup(self) -> None:
        self.lock = Lock()
        self.idle = deque(self.server.open() for _ in range(self.size))
        self.queue: deque[SyncLease] = deque()

    def run(self, n: int) -> None:
        for _ in repeat(None, n):
            with SyncLease(self):
                pass

    def checkout(self) -> SyncLease:
        return SyncLease(self)

    def teardown(self) -> None:
        pass


class Aio(AsyncPeer):
    code = "async with floor.connection():"

    async def setup(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.idle = deque(self.server.open() for _ in range(self.size))
        self.queue: deque[asyncio.Future[FakeConnection]] = deque()

    async def run(self, n: int) -> None:
        for _ in repeat(None, n):
            async with AsyncLease(self):
                pass

    def checkout(self) -> AsyncLease:
        return AsyncLease(self)

    async def teardown(self) -> None:
        pass
