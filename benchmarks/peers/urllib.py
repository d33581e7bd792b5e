"""urllib3's HTTPConnectionPool. Its requests take and return connections by these two methods."""

from itertools import repeat
from typing import Any, cast

from urllib3 import HTTPConnectionPool

from benchmarks.fakes import ENDPOINT, FakeConnection
from benchmarks.peer import SyncPeer
from benchmarks.peers import block


class Fake(FakeConnection):
    is_connected = True
    """A real one looks at its socket: a system call."""


class Block(block.SyncBlock):
    def take(self) -> Any:
        return self.pool._get_conn()

    def give(self, leased: Any) -> None:
        self.pool._put_conn(leased)


class Sync(SyncPeer):
    code = "conn = pool._get_conn(); pool._put_conn(conn)"
    kind = Fake

    def setup(self) -> None:
        self.pool = HTTPConnectionPool(*ENDPOINT, maxsize=self.size, block=True)
        # A class in the type; whatever makes a connection will do.
        cast("Any", self.pool).ConnectionCls = lambda **options: self.server.open()

    def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            connection = pool._get_conn()
            try:
                pass
            finally:
                pool._put_conn(connection)

    def checkout(self) -> Block:
        return Block(self.pool)

    def teardown(self) -> None:
        self.pool.close()
