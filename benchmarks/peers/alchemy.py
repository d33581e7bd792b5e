"""SQLAlchemy's QueuePool. It has no block: ``close`` gives a connection back. Nothing is reset on return."""

from contextlib import AbstractContextManager, closing
from itertools import repeat
from typing import Any, cast

from sqlalchemy.pool import QueuePool

from benchmarks.fakes import FakeConnection
from benchmarks.peer import SyncPeer


class Sync(SyncPeer):
    code = "conn = pool.connect(); conn.close()"

    def setup(self) -> None:
        self.pool = QueuePool(
            cast("Any", self.server.open), pool_size=self.size, max_overflow=0, reset_on_return=None
        )

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            connection = pool.connect()
            try:
                pass
            finally:
                connection.close()

    def checkout(self) -> AbstractContextManager[Any]:
        return closing(self.pool.connect())

    def bare(self, leased: Any) -> FakeConnection:
        return cast("FakeConnection", leased.dbapi_connection)

    def teardown(self) -> None:
        self.pool.dispose()
