"""The floor: the least that a pool with a ``with`` block can be. It can neither open nor wait nor fail.

A class-based context manager, one small object for each checkout, around a deque: and, for threads, a lock.
"""

from collections import deque
from collections.abc import Iterable
from itertools import repeat
from threading import Lock
from types import TracebackType

from benchmarks.fakes import FakeConnection
from benchmarks.peer import AsyncPeer, SyncPeer


class SyncPool:
    """A deque under a lock."""

    __slots__ = ("idle", "lock")

    def __init__(self, connections: Iterable[FakeConnection]) -> None:
        self.lock = Lock()
        self.idle = deque(connections)

    def connection(self) -> "SyncLease":
        return SyncLease(self)


class SyncLease:
    """One checkout."""

    __slots__ = ("_connection", "_pool")
    _connection: FakeConnection

    def __init__(self, pool: SyncPool) -> None:
        self._pool = pool

    def __enter__(self) -> FakeConnection:
        pool = self._pool
        with pool.lock:
            connection = self._connection = pool.idle.pop()
        return connection

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pool = self._pool
        with pool.lock:
            pool.idle.append(self._connection)


class AsyncPool:
    """A deque."""

    __slots__ = ("idle",)

    def __init__(self, connections: Iterable[FakeConnection]) -> None:
        self.idle = deque(connections)

    def connection(self) -> "AsyncLease":
        return AsyncLease(self)


class AsyncLease:
    """One checkout."""

    __slots__ = ("_connection", "_pool")
    _connection: FakeConnection

    def __init__(self, pool: AsyncPool) -> None:
        self._pool = pool

    async def __aenter__(self) -> FakeConnection:
        connection = self._connection = self._pool.idle.pop()
        return connection

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.idle.append(self._connection)


class Sync(SyncPeer):
    code = "with floor.connection():"

    def setup(self) -> None:
        self.pool = SyncPool(self.server.open() for _ in range(self.size))

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            with pool.connection():
                pass

    def checkout(self) -> SyncLease:
        return self.pool.connection()

    def teardown(self) -> None:
        pass


class Aio(AsyncPeer):
    code = "async with floor.connection():"

    async def setup(self) -> None:
        self.pool = AsyncPool(self.server.open() for _ in range(self.size))

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            async with pool.connection():
                pass

    def checkout(self) -> AsyncLease:
        return self.pool.connection()

    async def teardown(self) -> None:
        pass
