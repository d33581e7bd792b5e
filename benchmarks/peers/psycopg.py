"""psycopg_pool. Its block also enters the connection's own, which has nothing to commit here."""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from itertools import repeat
from types import TracebackType
from typing import Any, Self, cast

from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from benchmarks.fakes import FakeConnection, FakeServer
from benchmarks.peer import AsyncPeer, SyncPeer

# The types ask for subclasses of psycopg's connections, which cannot be had without a server.
AnyPool = cast("Any", ConnectionPool)
AnyAsyncPool = cast("Any", AsyncConnectionPool)


class FakePGconn:
    """What the pool looks at whenever a connection comes back."""

    transaction_status = TransactionStatus.IDLE


class SyncFake(FakeConnection):
    pgconn = FakePGconn()

    @classmethod
    def connect(cls, conninfo: str, server: FakeServer) -> FakeConnection:
        return server.open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


class AsyncFake(FakeConnection):
    pgconn = FakePGconn()

    @classmethod
    async def connect(cls, conninfo: str, server: FakeServer) -> FakeConnection:
        return server.open()

    async def close(self) -> None:  # type: ignore[override]
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass


class Sync(SyncPeer):
    code = "with pool.connection():"
    kind = SyncFake

    def setup(self) -> None:
        self.pool = AnyPool(
            connection_class=SyncFake,
            kwargs={"server": self.server},
            min_size=self.size,
            max_size=self.size,
            open=False,
        )
        self.pool.open(wait=True)

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            with pool.connection():
                pass

    def checkout(self) -> AbstractContextManager[FakeConnection]:
        return cast("AbstractContextManager[FakeConnection]", self.pool.connection())

    def teardown(self) -> None:
        self.pool.close()


class Aio(AsyncPeer):
    code = "async with pool.connection():"
    kind = AsyncFake

    async def setup(self) -> None:
        self.pool = AnyAsyncPool(
            connection_class=AsyncFake,
            kwargs={"server": self.server},
            min_size=self.size,
            max_size=self.size,
            open=False,
        )
        await self.pool.open(wait=True)

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            async with pool.connection():
                pass

    def checkout(self) -> AbstractAsyncContextManager[FakeConnection]:
        return cast("AbstractAsyncContextManager[FakeConnection]", self.pool.connection())

    async def teardown(self) -> None:
        await self.pool.close()
