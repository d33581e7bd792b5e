"""Endpoints without connections and waiters leave no trace: any number of them may be touched once."""

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionManager, ConnectionPool
from support.aio import until

from .fakes import Connection

#: How many endpoints are touched before anything is measured, and how many afterwards.
FIRST, MORE = 500, 2_500

#: How many bytes more may be in use afterwards: a hundred timers that have ended, say; an event loop may
#: keep so many. One small object per endpoint would be more.
SLACK = 80_000

#: How many records of any kind a pool of this size may keep.
TOTAL = 100
RECORDS = 4 * TOTAL


class Forgetful(ConnectionManager[Any, Connection]):
    """Keeps nothing of what it opened."""

    refuses = False

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        if self.refuses:
            raise OSError("refused")
        return Connection(endpoint, 0)

    async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
        assert not conn.disposed
        conn.disposed = True


async def use(pool: ConnectionPool[Any, Any], endpoint: int) -> None:
    async with pool.connection(endpoint):
        pass


async def discard(pool: ConnectionPool[Any, Any], endpoint: int) -> None:
    await (await pool.acquire(endpoint)).discard()


async def clear(pool: ConnectionPool[Any, Any], endpoint: int) -> None:
    await use(pool, endpoint)
    await pool.clear(endpoint)


async def remove(pool: ConnectionPool[Any, Any], endpoint: int) -> None:
    await use(pool, endpoint)
    await pool.remove(endpoint)


async def miss(pool: ConnectionPool[Any, Any], endpoint: int) -> None:
    with suppress(PoolTimeoutError):
        await pool.acquire(endpoint, 0)


async def fail(pool: ConnectionPool[Any, Any], endpoint: int) -> None:
    pool._engine.manager.refuses = True  # type: ignore[attr-defined]
    with suppress(OSError):
        await pool.acquire(endpoint)


WAYS: dict[str, Callable[..., Any]] = {
    "evicted": use,
    "discarded": discard,
    "cleared": clear,
    "removed": remove,
    "never connected": miss,
    "refused": fail,
}


def kept(pool: ConnectionPool[Any, Any]) -> dict[str, int]:
    """How many records the core has, of each kind."""
    core = pool._engine.books
    return {
        "homes": len(core._homes),
        "dates": len(core._agenda._dates),
        "ranks": len(core._ranks),
        "hungry": len(core._hungry),
        "starved": len(core._starved),
        "waiting": len(core._waiting),
        "tellers": len(core._tellers),
        "lost": len(core._lost),
    }


@pytest.fixture
def without_collector() -> Iterator[None]:
    """Nobody looks for garbage in cycles."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def tidied_up() -> None:
    """Let the others run: whatever runs them may have something to throw away."""
    turns = iter([False] * 3 + [True])
    await until(lambda: next(turns))


async def touch_each(
    pool: ConnectionPool[Any, Any], touch: Callable[..., Any], endpoints: range
) -> None:
    for endpoint in endpoints:
        await touch(pool, endpoint)
        if endpoint % 100 == 0:
            await tidied_up()
    await tidied_up()


async def grown(pool: ConnectionPool[Any, Any], touch: Callable[..., Any], more: int) -> int:
    """Touch endpoints, and return by how many bytes the memory in use has grown."""
    await touch_each(pool, touch, range(FIRST))
    tracemalloc.start()
    try:
        await touch_each(pool, touch, range(FIRST, 2 * FIRST))
        before, _ = tracemalloc.get_traced_memory()
        await touch_each(pool, touch, range(2 * FIRST, 2 * FIRST + more))
        after, _ = tracemalloc.get_traced_memory()
        return after - before
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.usefixtures("without_collector")
@pytest.mark.parametrize(("way", "total"), [(way, TOTAL) for way in WAYS] + [("discarded", None)])
async def test_endpoints_touched_once_do_not_grow_memory(way: str, total: int | None) -> None:
    """However they were touched; and nothing is left for the garbage collector to find."""
    async with ConnectionPool(Forgetful(), total_max_size=total) as pool:
        more = 4 * MORE if way == "evicted" else MORE
        assert await grown(pool, WAYS[way], more) < SLACK
        assert max(kept(pool).values()) <= RECORDS, kept(pool)
        assert pool.stats().endpoints <= TOTAL
