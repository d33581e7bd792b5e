"""This library's client, beside a pool and the manager by hand. The server is one of its own: it is alone."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from itertools import repeat
from typing import Any

from benchmarks.fakes import ENDPOINT, Endpoint, FakeConnection
from benchmarks.peer import AsyncPeer, SyncPeer
from benchmarks.peers import twinpool
from benchmarks.peers.twinpool import Listeners
from pool import Hello, ServerType, aio, monitoring, sync

RARELY = 86_400.0
"""Seconds between heartbeats: none while anything is measured."""

COMMAND = {"ping": 1}
REPLY = {"ok": 1}
HELLO = Hello({}, ServerType.STANDALONE)


class SyncManager(twinpool.SyncManager, sync.CommandManager[Endpoint, FakeConnection]):
    def hello(self, endpoint: Endpoint, conn: FakeConnection, timeout: float | None) -> Hello:
        return HELLO

    def execute(
        self,
        endpoint: Endpoint,
        conn: FakeConnection,
        command: Mapping[str, Any],
        database_name: str,
        timeout: float | None,
    ) -> Mapping[str, Any]:
        return REPLY


class AsyncManager(twinpool.AsyncManager, aio.CommandManager[Endpoint, FakeConnection]):
    async def hello(self, endpoint: Endpoint, conn: FakeConnection, timeout: float | None) -> Hello:
        return HELLO

    async def execute(
        self,
        endpoint: Endpoint,
        conn: FakeConnection,
        command: Mapping[str, Any],
        database_name: str,
        timeout: float | None,
    ) -> Mapping[str, Any]:
        return REPLY


class Listener(monitoring.CommandListener):
    """Hears of every command, and does nothing."""

    def ignore(self, event: object) -> None:
        pass

    started = succeeded = failed = ignore


class SyncByHand(SyncPeer):
    code = "with pool.connection(…) as conn: manager.execute(…)"

    def setup(self) -> None:
        self.manager = SyncManager(self.server)
        self.pool = sync.ConnectionPool(self.manager, max_size=self.size)

    def run(self, n: int) -> None:
        pool, manager = self.pool, self.manager
        for _ in repeat(None, n):
            with pool.connection(ENDPOINT) as conn:
                manager.execute(ENDPOINT, conn, COMMAND, "", None)

    def checkout(self) -> AbstractContextManager[FakeConnection]:
        return self.pool.connection(ENDPOINT)

    def teardown(self) -> None:
        self.pool.close()


class SyncClient(SyncPeer):
    code = "client.command(…)"

    def setup(self) -> None:
        self.client = sync.Client(
            SyncManager(self.server),
            [ENDPOINT],
            heartbeat_interval=RARELY,
            event_listeners=self.listeners(),
            max_size=self.size,
        )
        self.client.topology.select_server()
        # The connection of the monitor is not one of the pool.
        self.server.opened = 0

    def listeners(self) -> Listeners:
        return ()

    def run(self, n: int) -> None:
        client = self.client
        for _ in repeat(None, n):
            client.command(COMMAND)

    def checkout(self) -> AbstractContextManager[FakeConnection]:
        return self.client.topology.connection()

    def teardown(self) -> None:
        self.client.close()


class HeardSync(SyncClient):
    def listeners(self) -> Listeners:
        return (Listener(),)


class AioByHand(AsyncPeer):
    code = "async with pool.connection(…) as conn: await manager.execute(…)"

    async def setup(self) -> None:
        self.manager = AsyncManager(self.server)
        self.pool = aio.ConnectionPool(self.manager, max_size=self.size)

    async def run(self, n: int) -> None:
        pool, manager = self.pool, self.manager
        for _ in repeat(None, n):
            async with pool.connection(ENDPOINT) as conn:
                await manager.execute(ENDPOINT, conn, COMMAND, "", None)

    def checkout(self) -> AbstractAsyncContextManager[FakeConnection]:
        return self.pool.connection(ENDPOINT)

    async def teardown(self) -> None:
        await self.pool.close()


class AioClient(AsyncPeer):
    code = "await client.command(…)"

    async def setup(self) -> None:
        self.client = aio.Client(
            AsyncManager(self.server),
            [ENDPOINT],
            heartbeat_interval=RARELY,
            event_listeners=self.listeners(),
            max_size=self.size,
        )
        await self.client.topology.select_server()
        # The connection of the monitor is not one of the pool.
        self.server.opened = 0

    def listeners(self) -> Listeners:
        return ()

    async def run(self, n: int) -> None:
        client = self.client
        for _ in repeat(None, n):
            await client.command(COMMAND)

    def checkout(self) -> AbstractAsyncContextManager[FakeConnection]:
        return self.client.topology.connection()

    async def teardown(self) -> None:
        await self.client.close()


class HeardAio(AioClient):
    def listeners(self) -> Listeners:
        return (Listener(),)
