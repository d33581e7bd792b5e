"""This library: with its block, and by hand."""

from itertools import repeat

from benchmarks.fakes import ENDPOINT, FakeConnection, FakeServer
from benchmarks.peer import AsyncPeer, SyncPeer
from pool import aio, sync


class SyncManager(sync.ConnectionManager[tuple[str, int], FakeConnection]):
    def __init__(self, server: FakeServer) -> None:
        self.server = server

    def create(self, endpoint: tuple[str, int], timeout: float | None) -> FakeConnection:
        return self.server.open()

    def dispose(
        self, endpoint: tuple[str, int], conn: FakeConnection, timeout: float | None
    ) -> None:
        conn.close()


class AsyncManager(aio.ConnectionManager[tuple[str, int], FakeConnection]):
    def __init__(self, server: FakeServer) -> None:
        self.server = server

    async def create(self, endpoint: tuple[str, int], timeout: float | None) -> FakeConnection:
        return self.server.open()

    async def dispose(
        self, endpoint: tuple[str, int], conn: FakeConnection, timeout: float | None
    ) -> None:
        conn.close()


class SyncBlock(SyncPeer):
    code = "with pool.connection(endpoint):"

    def setup(self) -> None:
        self.pool = sync.ConnectionPool(SyncManager(self.server), max_size=1)

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            with pool.connection(ENDPOINT):
                pass

    def checkout(self) -> "sync.Lease[tuple[str, int], FakeConnection]":
        return self.pool.connection(ENDPOINT)

    def teardown(self) -> None:
        self.pool.close()


class SyncByHand(SyncBlock):
    code = "lease = pool.acquire(endpoint); lease.release()"

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            lease = pool.acquire(ENDPOINT)
            lease.release()


class AioBlock(AsyncPeer):
    code = "async with pool.connection(endpoint):"

    async def setup(self) -> None:
        self.pool = aio.ConnectionPool(AsyncManager(self.server), max_size=1)

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            async with pool.connection(ENDPOINT):
                pass

    def checkout(self) -> "aio.Lease[tuple[str, int], FakeConnection]":
        return self.pool.connection(ENDPOINT)

    async def teardown(self) -> None:
        await self.pool.close()


class AioByHand(AioBlock):
    code = "lease = await pool.acquire(endpoint); await lease.release()"

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            lease = await pool.acquire(ENDPOINT)
            await lease.release()
