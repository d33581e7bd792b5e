"""What an idle connection and an endpoint cost in memory, besides what the user keeps himself."""

import asyncio
import gc
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from pool import aio, sync

COUNT = 2000

#: Bytes for each. Measured: 573 and 1174 on CPython 3.11, 613 and 1222 on 3.12 and 3.13.
CONNECTION = 640
ENDPOINT = 1280

#: Bytes for each caller of a shared connection, and his lease. Measured: 633 on CPython 3.11, 641 on 3.12 and
#: 3.13.
SHARE = 680

Measured = tuple[float, int]


class Manager(sync.ConnectionManager[Any, object]):
    """Opens what was there before."""

    def __init__(self, connections: Iterator[object]) -> None:
        self.connections = connections

    def create(self, endpoint: Any, timeout: float | None) -> object:
        return next(self.connections)

    def dispose(self, endpoint: Any, conn: object, timeout: float | None) -> None:
        pass


class AsyncManager(aio.ConnectionManager[Any, object]):
    """Opens what was there before."""

    def __init__(self, connections: Iterator[object]) -> None:
        self.connections = connections

    async def create(self, endpoint: Any, timeout: float | None) -> object:
        return next(self.connections)

    async def dispose(self, endpoint: Any, conn: object, timeout: float | None) -> None:
        pass


def traced() -> int:
    """Return the bytes that are in use."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


@pytest.fixture
def _tracing() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def use(endpoints: list[Any], connections: list[object]) -> Measured:
    """Have a connection idle for each of the endpoints; return the bytes for each, and how many there are."""
    with sync.ConnectionPool(
        Manager(iter(connections)), max_size=None, total_max_size=None
    ) as pool:
        pool.acquire("first").release()
        before = traced()
        leases = [pool.acquire(endpoint) for endpoint in endpoints]
        while leases:
            leases.pop().release()
        return (traced() - before) / COUNT, pool.stats().idle


async def use_async(endpoints: list[Any], connections: list[object]) -> Measured:
    """Do the same on an event loop."""
    async with aio.ConnectionPool(
        AsyncManager(iter(connections)), max_size=None, total_max_size=None
    ) as pool:
        await (await pool.acquire("first")).release()
        before = traced()
        leases = [await pool.acquire(endpoint) for endpoint in endpoints]
        while leases:
            await leases.pop().release()
        # The loop forgets the timers that were cancelled.
        for _ in range(3):
            await asyncio.sleep(0)
        return (traced() - before) / COUNT, pool.stats().idle


@pytest.mark.usefixtures("_tracing")
@pytest.mark.parametrize("world", ["sync", "async"])
@pytest.mark.parametrize(
    ("endpoints", "limit"),
    [
        pytest.param(["e"] * COUNT, CONNECTION, id="one endpoint"),
        pytest.param([("host", port) for port in range(COUNT)], ENDPOINT, id="many endpoints"),
    ],
)
def test_what_is_idle_is_small(world: str, endpoints: list[Any], limit: int) -> None:
    """Ten thousand connections, or endpoints with one each, must not be what fills a process."""
    connections = [object() for _ in range(COUNT + 1)]
    if world == "sync":
        each, idle = use(endpoints, connections)
    else:
        each, idle = asyncio.run(use_async(endpoints, connections))
    assert idle == COUNT + 1
    assert each <= limit


def share(connections: list[object]) -> tuple[float, float]:
    """Have one connection used by many; return the bytes for each, and for each when they have left."""
    with sync.MultiplexedPool(Manager(iter(connections)), "e", size=1) as pool:
        pool.acquire().release()
        before = traced()
        leases = [pool.acquire() for _ in range(COUNT)]
        held = traced() - before
        while leases:
            leases.pop().release()
        # A dict shrinks when it is used.
        for _ in range(COUNT):
            pool.acquire().release()
        return held / COUNT, (traced() - before) / COUNT


async def share_async(connections: list[object]) -> tuple[float, float]:
    """Do the same on an event loop."""
    async with aio.MultiplexedPool(AsyncManager(iter(connections)), "e", size=1) as pool:
        await (await pool.acquire()).release()
        before = traced()
        leases = [await pool.acquire() for _ in range(COUNT)]
        held = traced() - before
        while leases:
            await leases.pop().release()
        for _ in range(COUNT):
            await (await pool.acquire()).release()
        return held / COUNT, (traced() - before) / COUNT


@pytest.mark.usefixtures("_tracing")
@pytest.mark.parametrize("world", ["sync", "async"])
def test_a_share_is_small_and_leaves_nothing(world: str) -> None:
    """Ten thousand callers of one connection are no trouble, nor is there any trace of them later."""
    connections = [object()]
    held, left = share(connections) if world == "sync" else asyncio.run(share_async(connections))
    assert held <= SHARE
    assert left <= 2
