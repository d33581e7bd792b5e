"""SQLAlchemy's pool for asyncio, driven as its AsyncEngine does it: each call in a greenlet of its own."""

from importlib import import_module
from itertools import repeat
from typing import Any, cast

from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util import greenlet_spawn

from benchmarks.fakes import FakeConnection
from benchmarks.peer import AsyncPeer
from benchmarks.peers.block import AsyncBlock

import_module("greenlet")  # SQLAlchemy does without it, but not this pool.


class Block(AsyncBlock):
    async def take(self) -> Any:
        return await greenlet_spawn(self.pool.connect)

    async def give(self, leased: Any) -> None:
        await greenlet_spawn(leased.close)


class Aio(AsyncPeer):
    code = "conn = await greenlet_spawn(pool.connect); await greenlet_spawn(conn.close)"

    async def setup(self) -> None:
        self.pool = AsyncAdaptedQueuePool(
            cast("Any", self.server.open), pool_size=self.size, max_overflow=0, reset_on_return=None
        )

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            connection = await greenlet_spawn(pool.connect)
            try:
                pass
            finally:
                await greenlet_spawn(connection.close)

    def checkout(self) -> Block:
        return Block(self.pool)

    def bare(self, leased: Any) -> FakeConnection:
        return cast("FakeConnection", leased.dbapi_connection)

    async def teardown(self) -> None:
        await greenlet_spawn(self.pool.dispose)
