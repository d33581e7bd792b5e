"""PyMongo's pools. Only the connect is faked: no socket, no handshake."""

from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from itertools import repeat
from typing import Any, cast

from pymongo.asynchronous.pool import AsyncConnection
from pymongo.asynchronous.pool import Pool as AsyncPool
from pymongo.pool_options import PoolOptions
from pymongo.synchronous.pool import Connection, Pool

from benchmarks.fakes import ENDPOINT, FakeConnection, FakeServer
from benchmarks.peer import AsyncPeer, SyncPeer


class SyncConnection(Connection):
    def conn_closed(self) -> bool:
        return False  # There is no socket to look at after a second of idleness.


class SyncPool(Pool):
    server: FakeServer

    def connect(self, handler: object = None) -> Connection:
        fake = cast("Any", self.server.open())
        return SyncConnection(fake, self, ENDPOINT, self.server.opened, self.is_sdam)


class AioConnection(AsyncConnection):
    def conn_closed(self) -> bool:
        return False


class AioPool(AsyncPool):
    server: FakeServer

    async def connect(self, handler: object = None) -> AsyncConnection:
        fake = cast("Any", self.server.open())
        return AioConnection(fake, self, ENDPOINT, self.server.opened, self.is_sdam)


class Sync(SyncPeer):
    code = "with pool.checkout():"

    def setup(self) -> None:
        self.pool = SyncPool(ENDPOINT, PoolOptions(max_pool_size=1, pause_enabled=False))
        self.pool.server = self.server

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            with pool.checkout():
                pass

    @contextmanager
    def checkout(self) -> Generator[FakeConnection, None, None]:
        with self.pool.checkout() as connection:
            yield cast("FakeConnection", connection.conn)

    def teardown(self) -> None:
        self.pool.close()


class Aio(AsyncPeer):
    code = "async with pool.checkout():"

    async def setup(self) -> None:
        self.pool = AioPool(
            ENDPOINT, PoolOptions(max_pool_size=1, pause_enabled=False, is_sync=False)
        )
        self.pool.server = self.server

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            async with pool.checkout():
                pass

    @asynccontextmanager
    async def checkout(self) -> AsyncGenerator[FakeConnection, None]:
        async with self.pool.checkout() as connection:
            yield cast("FakeConnection", connection.conn)

    async def teardown(self) -> None:
        await self.pool.close()
