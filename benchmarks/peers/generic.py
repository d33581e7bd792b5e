"""generic-connection-pool, with its defaults but for the sizes."""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from itertools import repeat
from typing import Any

from generic_connection_pool import asyncio as gcp_aio
from generic_connection_pool import threading as gcp_sync

from benchmarks.fakes import ENDPOINT, FakeConnection, FakeServer
from benchmarks.peer import AsyncPeer, SyncPeer


class SyncManager(gcp_sync.BaseConnectionManager[tuple[str, int], FakeConnection]):
    def __init__(self, server: FakeServer) -> None:
        self.server = server

    def create(self, endpoint: tuple[str, int], timeout: float | None = None) -> FakeConnection:
        return self.server.open()

    def dispose(
        self, endpoint: tuple[str, int], conn: FakeConnection, timeout: float | None = None
    ) -> None:
        conn.close()


class AsyncManager(gcp_aio.BaseConnectionManager[tuple[str, int], FakeConnection]):
    def __init__(self, server: FakeServer) -> None:
        self.server = server

    async def create(self, endpoint: tuple[str, int]) -> FakeConnection:
        return self.server.open()

    async def dispose(self, endpoint: tuple[str, int], conn: FakeConnection) -> None:
        conn.close()


def sizes(size: int) -> Any:
    """Return the options of a pool of this size: nothing is retired while it is measured."""
    return {"min_idle": size, "max_size": size, "total_max_size": max(size, 100)}


class Sync(SyncPeer):
    code = "with pool.connection(endpoint):"

    def setup(self) -> None:
        self.pool = gcp_sync.ConnectionPool(SyncManager(self.server), **sizes(self.size))

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            with pool.connection(ENDPOINT):
                pass

    def checkout(self) -> AbstractContextManager[FakeConnection]:
        return self.pool.connection(ENDPOINT)

    def teardown(self) -> None:
        self.pool.close()


class Aio(AsyncPeer):
    code = "async with pool.connection(endpoint):"

    async def setup(self) -> None:
        self.pool = gcp_aio.ConnectionPool(AsyncManager(self.server), **sizes(self.size))

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            async with pool.connection(ENDPOINT):
                pass

    def checkout(self) -> AbstractAsyncContextManager[FakeConnection]:
        return self.pool.connection(ENDPOINT)

    async def teardown(self) -> None:
        await self.pool.close()
