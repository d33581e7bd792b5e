"""asyncpg's Pool. Only the connection is faked: its reset, when it comes back, asks the server nothing."""

from itertools import repeat
from typing import Any, cast

import asyncpg

from benchmarks.fakes import FakeConnection
from benchmarks.peer import AsyncPeer


class FakeProtocol:
    """What the pool looks at whenever a connection comes back."""

    queries_count = 0

    def _is_cancelling(self) -> bool:
        return False


class Fake(FakeConnection, asyncpg.Connection):  # type: ignore[misc]
    """Has what asyncpg's own methods touch on the way through the pool."""

    def __init__(self) -> None:
        self._protocol = FakeProtocol()
        self._proxy = None
        self._pool_holder = None
        self._pool_release_ctr = 0
        self._listeners: dict[str, Any] = {}
        self._log_listeners: set[Any] = set()
        self.ended = False

    def is_closed(self) -> bool:
        return self.ended

    async def reset(self, *, timeout: float | None = None) -> None: ...

    async def close(self, *, timeout: float | None = None) -> None:  # type: ignore[override]
        self.terminate()

    def terminate(self) -> None:
        self.ended = True


class Aio(AsyncPeer):
    code = "async with pool.acquire():"
    kind = Fake

    async def setup(self) -> None:
        self.pool = asyncpg.create_pool(
            connect=self.connect, min_size=self.size, max_size=self.size
        )
        await self.pool

    async def connect(self, *arguments: object, **options: object) -> FakeConnection:
        return self.server.open()

    async def run(self, n: int) -> None:
        pool = self.pool
        for _ in repeat(None, n):
            async with pool.acquire():
                pass

    def checkout(self) -> Any:
        return self.pool.acquire()

    def bare(self, leased: Any) -> FakeConnection:
        return cast("FakeConnection", leased._con)

    async def teardown(self) -> None:
        await self.pool.close()
