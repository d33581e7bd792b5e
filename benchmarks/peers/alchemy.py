"""SQLAlchemy's QueuePool. It has no block: ``close`` gives a connection back. Nothing is reset on return."""

from collections.abc import Generator
from contextlib import contextmanager
from itertools import repeat
from typing import Any, cast

from sqlalchemy.pool import QueuePool

from benchmarks.fakes import FakeConnection
from benchmarks.peer import SyncPeer


class Sync(SyncPeer):
    code = "conn = pool.connect(); conn.close()"

    def setup(self) -> None:
        self.pool = QueuePool(
            cast("Any", self.server.open), pool_size=1, max_overflow=0, reset_on_return=None
        )

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            connection = pool.connect()
            try:
                pass
            finally:
                connection.close()

    @contextmanager
    def checkout(self) -> Generator[FakeConnection, None, None]:
        fairy = self.pool.connect()
        yield cast("FakeConnection", fairy.dbapi_connection)
        fairy.close()

    def teardown(self) -> None:
        self.pool.dispose()
