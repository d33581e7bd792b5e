"""Pools with many endpoints, a connection at each. A route visits them in random order, always the same."""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, contextmanager
from itertools import cycle, islice
from random import Random
from typing import Any

from benchmarks.fakes import Endpoint, FakeConnection
from benchmarks.peer import AsyncPeer, SyncPeer
from benchmarks.peers import twinpool
from pool import aio, sync

LENGTH = 10_000
"""Visits after which a route repeats itself, if there are not more endpoints."""


def route(size: int) -> Iterator[Endpoint]:
    """Visit all endpoints, again and again, each time in another order."""
    endpoints = [(f"host-{i}.example.org", 7000) for i in range(size)]
    random = Random(4)
    visits = []
    for _ in range(max(LENGTH // size, 1)):
        random.shuffle(endpoints)
        visits += endpoints
    return cycle(visits)


class FloorSync(SyncPeer):
    """A dict of deques: no lock, no block."""

    code = "conn = idle[endpoint].pop(); idle[endpoint].append(conn)"

    def __init__(self, size: int = 1) -> None:
        super().__init__(size)
        self.route = route(size)

    def setup(self) -> None:
        self.idle: dict[Endpoint, deque[FakeConnection]] = {}
        for endpoint in islice(self.route, self.size):
            self.idle[endpoint] = deque([self.server.open()])

    def run(self, n: int) -> None:
        idle = self.idle
        for endpoint in islice(self.route, n):
            queue = idle[endpoint]
            queue.append(queue.pop())

    @contextmanager
    def checkout(self) -> Generator[FakeConnection, None, None]:
        queue = self.idle[next(self.route)]
        connection = queue.pop()
        yield connection
        queue.append(connection)

    def teardown(self) -> None:
        pass


class Sync(SyncPeer):
    code = "with pool.connection(endpoint):"

    def __init__(self, size: int = 1) -> None:
        super().__init__(size)
        self.route = route(size)

    def setup(self) -> None:
        self.pool: Any = sync.ConnectionPool(
            twinpool.SyncManager(self.server), max_size=1, total_max_size=None
        )

    def run(self, n: int) -> None:
        pool = self.pool
        for endpoint in islice(self.route, n):
            with pool.connection(endpoint):
                pass

    def checkout(self) -> AbstractContextManager[FakeConnection]:
        connection: AbstractContextManager[FakeConnection] = self.pool.connection(next(self.route))
        return connection

    def teardown(self) -> None:
        self.pool.close()


class Aio(AsyncPeer):
    code = "async with pool.connection(endpoint):"

    def __init__(self, size: int = 1) -> None:
        super().__init__(size)
        self.route = route(size)

    async def setup(self) -> None:
        self.pool: Any = aio.ConnectionPool(
            twinpool.AsyncManager(self.server), max_size=1, total_max_size=None
        )

    async def run(self, n: int) -> None:
        pool = self.pool
        for endpoint in islice(self.route, n):
            async with pool.connection(endpoint):
                pass

    def checkout(self) -> AbstractAsyncContextManager[FakeConnection]:
        connection: AbstractAsyncContextManager[FakeConnection] = self.pool.connection(
            next(self.route)
        )
        return connection

    async def teardown(self) -> None:
        await self.pool.close()
