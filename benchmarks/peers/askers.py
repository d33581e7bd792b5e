"""Clients of a real Redis, for many callers and few connections: ours with both pools, and redis-py's."""

# mypy: allow-untyped-calls
# redis-py has types for some of its functions.

from abc import ABC, abstractmethod
from typing import Any

import redis
from redis import asyncio as aioredis

from pool import aio, sync
from pool.aio.redis import PipelinedRedisManager as AioPipelined
from pool.aio.redis import RedisManager as AioRedis
from pool.sync.redis import PipelinedRedisManager as SyncPipelined
from pool.sync.redis import RedisManager as SyncRedis

LIMIT = 5.0
"""Seconds for a reply: redis-py's default, and so everybody's."""

MAX_PENDING = 64


class SyncAsker(ABC):
    """A client of one server.

    Parameters:
        endpoint: where the server is.
        size: how many connections there are.
        name: what the server calls them.
    """

    def __init__(self, endpoint: tuple[str, int], size: int, name: str) -> None:
        self.endpoint = endpoint
        self.size = size
        self.name = name

    @abstractmethod
    def setup(self) -> None:
        """Open all the connections."""

    @abstractmethod
    def ask(self, key: str) -> Any:
        """Return the value, as its users do it."""

    @abstractmethod
    def teardown(self) -> None:
        """Close everything."""


class AsyncAsker(ABC):
    """The same for asyncio."""

    def __init__(self, endpoint: tuple[str, int], size: int, name: str) -> None:
        self.endpoint = endpoint
        self.size = size
        self.name = name

    @abstractmethod
    async def setup(self) -> None: ...

    @abstractmethod
    async def ask(self, key: str) -> Any: ...

    @abstractmethod
    async def teardown(self) -> None: ...


# --- Threads -----------------------------------------------------------------------------------------------


class SyncShared(SyncAsker):
    max_pending: int | None = None

    def setup(self) -> None:
        manager = SyncPipelined(client_name=self.name)
        self.pool = sync.MultiplexedPool(
            manager, self.endpoint, size=self.size, max_pending=self.max_pending
        )
        self.pool.open()

    def ask(self, key: str) -> Any:
        with self.pool.connection() as conn:
            return conn.ask("GET", key, timeout=LIMIT)

    def teardown(self) -> None:
        self.pool.close()


class SyncExclusive(SyncAsker):
    def setup(self) -> None:
        self.pool = sync.ConnectionPool(SyncRedis(client_name=self.name), max_size=self.size)
        for lease in [self.pool.acquire(self.endpoint) for _ in range(self.size)]:
            lease.release()

    def ask(self, key: str) -> Any:
        with self.pool.connection(self.endpoint) as conn:
            return conn.ask("GET", key, timeout=LIMIT)

    def teardown(self) -> None:
        self.pool.close()


class SyncRedisPy(SyncAsker):
    def setup(self) -> None:
        host, port = self.endpoint
        self.pool = redis.BlockingConnectionPool(
            max_connections=self.size, timeout=None, host=host, port=port, client_name=self.name
        )
        for connection in [self.pool.get_connection() for _ in range(self.size)]:
            self.pool.release(connection)
        self.client = redis.Redis(connection_pool=self.pool)

    def ask(self, key: str) -> Any:
        return self.client.get(key)

    def teardown(self) -> None:
        self.client.close()
        self.pool.disconnect()


# --- asyncio -----------------------------------------------------------------------------------------------


class AioShared(AsyncAsker):
    max_pending: int | None = None

    async def setup(self) -> None:
        manager = AioPipelined(client_name=self.name)
        self.pool = aio.MultiplexedPool(
            manager, self.endpoint, size=self.size, max_pending=self.max_pending
        )
        await self.pool.open()

    async def ask(self, key: str) -> Any:
        async with self.pool.connection() as conn:
            return await conn.ask("GET", key, timeout=LIMIT)

    async def teardown(self) -> None:
        await self.pool.close()


class AioBounded(AioShared):
    max_pending = MAX_PENDING


class AioExclusive(AsyncAsker):
    async def setup(self) -> None:
        self.pool = aio.ConnectionPool(AioRedis(client_name=self.name), max_size=self.size)
        for lease in [await self.pool.acquire(self.endpoint) for _ in range(self.size)]:
            await lease.release()

    async def ask(self, key: str) -> Any:
        async with self.pool.connection(self.endpoint) as conn:
            return await conn.ask("GET", key, timeout=LIMIT)

    async def teardown(self) -> None:
        await self.pool.close()


class AioRedisPy(AsyncAsker):
    async def setup(self) -> None:
        host, port = self.endpoint
        self.pool = aioredis.BlockingConnectionPool(
            max_connections=self.size, timeout=None, host=host, port=port, client_name=self.name
        )
        for connection in [await self.pool.get_connection() for _ in range(self.size)]:
            await self.pool.release(connection)
        self.client = aioredis.Redis(connection_pool=self.pool)

    async def ask(self, key: str) -> Any:
        return await self.client.get(key)

    async def teardown(self) -> None:
        await self.client.aclose()
        await self.pool.disconnect()
