"""The floor of a hand-off between threads: the connection *is* a raw lock, the checkout ``with lock:``."""

from itertools import repeat
from threading import Lock
from typing import Any

from benchmarks.fakes import FakeConnection
from benchmarks.peer import SyncPeer


class Sync(SyncPeer):
    code = "with lock:"

    def setup(self) -> None:
        self.lock = Lock()
        self.connection = self.server.open()

    def run(self, n: int) -> None:
        for _ in repeat(None, n):
            with self.lock:
                pass

    def checkout(self) -> Any:
        return self.lock

    def bare(self, leased: Any) -> FakeConnection:
        return self.connection

    def teardown(self) -> None:
        pass
