"""redis-py's pools. Only the connection is faked: connecting and looking for data do nothing."""

import os
from itertools import repeat
from typing import Any, cast

from redis import connection
from redis.asyncio import connection as aio_connection

from benchmarks.fakes import FakeConnection
from benchmarks.peer import AsyncPeer, SyncPeer
from benchmarks.peers import block


class Fake(FakeConnection):
    """What the pools call whenever a connection is taken or given back."""

    def __init__(self) -> None:
        self.pid = os.getpid()

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def re_auth(self) -> None: ...

    def can_read(self) -> bool:
        return False

    def should_reconnect(self) -> bool:
        return False


class AsyncFake(FakeConnection):
    async def connect(self) -> None: ...
    async def disconnect(self) -> None: ...
    async def re_auth(self) -> None: ...

    async def can_read(self) -> bool:
        return False

    def should_reconnect(self) -> bool:
        return False


class SyncBlock(block.SyncBlock):
    def take(self) -> Any:
        return self.pool.get_connection()

    def give(self, leased: Any) -> None:
        self.pool.release(leased)


class AsyncBlock(block.AsyncBlock):
    async def take(self) -> Any:
        return await self.pool.get_connection()

    async def give(self, leased: Any) -> None:
        await self.pool.release(leased)


class Sync(SyncPeer):
    """The pool that clients have unless told otherwise: it never waits."""

    code = "conn = pool.get_connection(); pool.release(conn)"
    kind = Fake
    pool_class: Any = connection.ConnectionPool

    def setup(self) -> None:
        self.pool = self.pool_class(
            connection_class=cast("Any", lambda **options: self.server.open()),
            max_connections=self.size,
        )

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            leased = pool.get_connection()
            try:
                pass
            finally:
                pool.release(leased)

    def checkout(self) -> SyncBlock:
        return SyncBlock(self.pool)

    def teardown(self) -> None:
        self.pool.close()


class Blocking(Sync):
    pool_class = connection.BlockingConnectionPool


class Aio(AsyncPeer):
    """The pool that clients have unless told otherwise: it never waits."""

    code = "conn = await pool.get_connection(); await pool.release(conn)"
    kind = AsyncFake
    pool_class: Any = aio_connection.ConnectionPool

    async def setup(self) -> None:
        self.pool = self.pool_class(
            connection_class=cast("Any", lambda **options: self.server.open()),
            max_connections=self.size,
        )

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            leased = await pool.get_connection()
            try:
                pass
            finally:
                await pool.release(leased)

    def checkout(self) -> AsyncBlock:
        return AsyncBlock(self.pool)

    async def teardown(self) -> None:
        await self.pool.aclose()


class AioBlocking(Aio):
    pool_class = aio_connection.BlockingConnectionPool
