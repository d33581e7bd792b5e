"""The standard library's queues, used as a pool: they can wait, but not open or close."""

import asyncio
import queue
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from itertools import repeat

from benchmarks.fakes import FakeConnection
from benchmarks.peer import AsyncPeer, SyncPeer


class Sync(SyncPeer):
    code = "conn = pool.get(); pool.put(conn)"

    def setup(self) -> None:
        self.pool: queue.LifoQueue[FakeConnection] = queue.LifoQueue(1)
        self.pool.put(self.server.open())

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            connection = pool.get()
            try:
                pass
            finally:
                pool.put(connection)

    @contextmanager
    def checkout(self) -> Generator[FakeConnection, None, None]:
        connection = self.pool.get()
        yield connection
        self.pool.put(connection)

    def teardown(self) -> None:
        pass


class Aio(AsyncPeer):
    code = "conn = await pool.get(); await pool.put(conn)"

    async def setup(self) -> None:
        self.pool: asyncio.LifoQueue[FakeConnection] = asyncio.LifoQueue(1)
        await self.pool.put(self.server.open())

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            connection = await pool.get()
            try:
                pass
            finally:
                await pool.put(connection)

    @asynccontextmanager
    async def checkout(self) -> AsyncGenerator[FakeConnection, None]:
        connection = await self.pool.get()
        yield connection
        await self.pool.put(connection)

    async def teardown(self) -> None:
        pass
