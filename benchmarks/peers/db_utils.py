"""DBUtils' PooledDB around a fake DB-API module, which cannot ping. It rolls back on return, by default."""

from contextlib import AbstractContextManager
from itertools import repeat
from typing import Any, cast

from dbutils.pooled_db import PooledDB

from benchmarks.fakes import FakeConnection, FakeServer
from benchmarks.peer import SyncPeer


class Fake(FakeConnection):
    def rollback(self) -> None: ...


class Module:
    """What PooledDB wants to know of a DB-API module."""

    threadsafety = 1

    class OperationalError(Exception): ...

    class InterfaceError(Exception): ...

    class InternalError(Exception): ...

    def __init__(self, server: FakeServer) -> None:
        self.connect = server.open


class Sync(SyncPeer):
    code = "conn = pool.connection(); conn.close()"
    kind = Fake

    def setup(self) -> None:
        self.pool = PooledDB(Module(self.server), maxconnections=self.size, blocking=True)

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            connection = pool.connection()
            try:
                pass
            finally:
                connection.close()

    def checkout(self) -> AbstractContextManager[Any]:
        return cast("AbstractContextManager[Any]", self.pool.connection())

    def bare(self, leased: Any) -> FakeConnection:
        return cast("FakeConnection", leased.dbapi_connection)

    def teardown(self) -> None:
        self.pool.close()
