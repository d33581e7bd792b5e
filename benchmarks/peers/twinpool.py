"""This library: with its block, by hand, and with listeners. All that can be on by default is on."""

from collections.abc import Sequence
from itertools import repeat

from benchmarks.fakes import ENDPOINT, Endpoint, FakeConnection, FakeServer, Indifferent
from benchmarks.peer import AsyncPeer, SyncPeer
from pool import aio, monitoring, sync

BUDGET = 100
"""The connections over all endpoints that a pool may have by default."""


class SyncManager(sync.ConnectionManager[Endpoint, FakeConnection]):
    def __init__(self, server: FakeServer) -> None:
        self.server = server

    def create(self, endpoint: Endpoint, timeout: float | None) -> FakeConnection:
        return self.server.open()

    def dispose(self, endpoint: Endpoint, conn: FakeConnection, timeout: float | None) -> None:
        conn.close()


class AsyncManager(aio.ConnectionManager[Endpoint, FakeConnection]):
    def __init__(self, server: FakeServer) -> None:
        self.server = server

    async def create(self, endpoint: Endpoint, timeout: float | None) -> FakeConnection:
        return self.server.open()

    async def dispose(
        self, endpoint: Endpoint, conn: FakeConnection, timeout: float | None
    ) -> None:
        conn.close()


class Listener(Indifferent, monitoring.ConnectionPoolListener):
    """Hears of every event."""


Listeners = Sequence[monitoring.EventListener]


class SyncBlock(SyncPeer):
    code = "with pool.connection(endpoint):"

    def setup(self) -> None:
        self.pool = sync.ConnectionPool(
            SyncManager(self.server),
            event_listeners=self.listeners(),
            max_size=self.size,
            total_max_size=BUDGET if self.size <= BUDGET else None,
        )

    def listeners(self) -> Listeners:
        return ()

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            with pool.connection(ENDPOINT):
                pass

    def checkout(self) -> "sync.Lease[Endpoint, FakeConnection]":
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


class HeardSync(SyncBlock):
    def listeners(self) -> Listeners:
        return (Listener(),)


class FunctionSync(SyncBlock):
    def listeners(self) -> Listeners:
        return (monitoring.on(Indifferent().ignore),)


class AioBlock(AsyncPeer):
    code = "async with pool.connection(endpoint):"

    async def setup(self) -> None:
        self.pool = aio.ConnectionPool(
            AsyncManager(self.server),
            event_listeners=self.listeners(),
            max_size=self.size,
            total_max_size=BUDGET if self.size <= BUDGET else None,
        )

    def listeners(self) -> Listeners:
        return ()

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            async with pool.connection(ENDPOINT):
                pass

    def checkout(self) -> "aio.Lease[Endpoint, FakeConnection]":
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


class HeardAio(AioBlock):
    def listeners(self) -> Listeners:
        return (Listener(),)


class FunctionAio(AioBlock):
    def listeners(self) -> Listeners:
        return (monitoring.on(Indifferent().ignore),)
