"""The standard library's queues, used as a pool: they can wait, but not open or close."""

import asyncio
import queue
from itertools import repeat
from typing import Any

from benchmarks.fakes import FakeConnection
from benchmarks.peer import AsyncPeer, SyncPeer
from benchmarks.peers import block


class SyncBlock(block.SyncBlock):
    def take(self) -> Any:
        return self.pool.get()

    def give(self, leased: Any) -> None:
        self.pool.put(leased)


class AsyncBlock(block.AsyncBlock):
    async def take(self) -> Any:
        return await self.pool.get()

    async def give(self, leased: Any) -> None:
        await self.pool.put(leased)


class Sync(SyncPeer):
    code = "conn = pool.get(); pool.put(conn)"

    def setup(self) -> None:
        self.pool: queue.LifoQueue[FakeConnection] = queue.LifoQueue(self.size)
        for _ in range(self.size):
            self.pool.put(self.server.open())

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            connection = pool.get()
            try:
                pass
            finally:
                pool.put(connection)

    def checkout(self) -> SyncBlock:
        return SyncBlock(self.pool)

    def teardown(self) -> None:
        pass


class Aio(AsyncPeer):
    code = "conn = await pool.get(); await pool.put(conn)"

    async def setup(self) -> None:
        self.pool: asyncio.LifoQueue[FakeConnection] = asyncio.LifoQueue(self.size)
        for _ in range(self.size):
            await self.pool.put(self.server.open())

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            connection = await pool.get()
            try:
                pass
            finally:
                await pool.put(connection)

    def checkout(self) -> AsyncBlock:
        return AsyncBlock(self.pool)

    async def teardown(self) -> None:
        pass
