"""PyMongo's pools. Only the connect is faked: no socket, no handshake."""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from itertools import repeat
from typing import Any, cast

from pymongo.asynchronous.pool import AsyncConnection
from pymongo.asynchronous.pool import Pool as AsyncPool
from pymongo.monitoring import ConnectionPoolListener, _EventListeners
from pymongo.pool_options import PoolOptions
from pymongo.synchronous.pool import Connection, Pool

from benchmarks.fakes import ENDPOINT, FakeConnection, FakeServer, Indifferent
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


class Listener(Indifferent, ConnectionPoolListener):
    """Hears of every event."""


class Sync(SyncPeer):
    code = "with pool.checkout():"
    listeners: _EventListeners | None = None

    def setup(self) -> None:
        options = PoolOptions(
            max_pool_size=self.size, pause_enabled=False, event_listeners=self.listeners
        )
        self.pool = SyncPool(ENDPOINT, options)
        self.pool.server = self.server

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            with pool.checkout():
                pass

    def checkout(self) -> AbstractContextManager[Any]:
        return self.pool.checkout()

    def bare(self, leased: Any) -> FakeConnection:
        return cast("FakeConnection", leased.conn)

    def teardown(self) -> None:
        self.pool.close()


class HeardSync(Sync):
    """With a listener."""

    def setup(self) -> None:
        self.listeners = _EventListeners([Listener()])
        super().setup()


class Aio(AsyncPeer):
    code = "async with pool.checkout():"
    listeners: _EventListeners | None = None

    async def setup(self) -> None:
        options = PoolOptions(
            max_pool_size=self.size,
            pause_enabled=False,
            event_listeners=self.listeners,
            is_sync=False,
        )
        self.pool = AioPool(ENDPOINT, options)
        self.pool.server = self.server

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            async with pool.checkout():
                pass

    def checkout(self) -> AbstractAsyncContextManager[Any]:
        return self.pool.checkout()

    def bare(self, leased: Any) -> FakeConnection:
        return cast("FakeConnection", leased.conn)

    async def teardown(self) -> None:
        await self.pool.close()


class HeardAio(Aio):
    """With a listener."""

    async def setup(self) -> None:
        self.listeners = _EventListeners([Listener()])
        await super().setup()
