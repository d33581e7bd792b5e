"""``resize``, ``remove``, ``clear`` and ``close`` under load, by schedules made of seeds."""

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from pool import PoolClosedError, PoolError, PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Running, call_soon, until

from .callers import settled
from .watchers import Leisurely, emptied, pause

pytestmark = pytest.mark.concurrency

ENDPOINTS = "abcd"
USERS = 8
TURNS = 12
LARGEST, LARGEST_TOTAL = 4, 8

#: The same load with different sizes, so that now one limit bites, now the other.
SIZES: dict[str, dict[str, Any]] = {
    "roomy": {"max_size": 4, "total_max_size": 8},
    "tight": {"max_size": 1, "total_max_size": 2, "max_connecting": 1},
    "kept": {"max_size": 3, "total_max_size": 4, "min_size": 1},
    "unlimited": {"max_size": 2, "total_max_size": None},
}


class DirtyError(Exception):
    """What leaves a body."""


class User:
    """Lives at random, the same for the same seed as far as it is up to him, and counts how it went."""

    def __init__(self, pool: ConnectionPool[Any, Any], seed: str) -> None:
        self.pool = pool
        self.random = random.Random(seed)
        self.turns = self.served = 0
        self.closed = False

    async def live(self) -> None:
        """Use the pool until it is closed, or so many times."""
        for _ in range(TURNS):
            if self.closed:
                return
            self.turns += 1
            with suppress(PoolClosedError, PoolTimeoutError, OSError, DirtyError):
                await self.random.choice([self.block, self.lease])()

    async def block(self) -> None:
        async with self.pool.connection(
            self.random.choice(ENDPOINTS), self.timeout()
        ) as connection:
            assert not connection.disposed
            self.served += 1
            await pause(self.random.randrange(3))
            assert not connection.disposed
            if self.random.random() < 0.2:
                raise DirtyError

    async def lease(self) -> None:
        lease = await self.pool.acquire(self.random.choice(ENDPOINTS), self.timeout())
        self.served += 1
        await pause(self.random.randrange(3))
        assert not lease.connection.disposed
        await self.random.choice([lease.release, lease.discard])()

    def timeout(self) -> float:
        return self.random.choice([0, 0.002, 20.0, 20.0, 20.0])


class Meddler:
    """Changes what there is to be changed."""

    def __init__(self, pool: ConnectionPool[Any, Any], seed: str) -> None:
        self.pool = pool
        self.random = random.Random(seed)

    async def live(self) -> None:
        """Do one thing after the other."""
        acts: list[Callable[[], Any]] = [
            self.resize,
            self.resize,
            self.remove,
            self.clear,
            self.pool.maintain,
            self.warm_up,
        ]
        for _ in range(2 * TURNS):
            with suppress(PoolError):
                await self.random.choice(acts)()
            await pause(self.random.randrange(3))

    async def resize(self) -> None:
        total = None
        size = self.random.randint(1, LARGEST)
        if self.pool.options.total_max_size is not None:
            total = self.random.randint(size, LARGEST_TOTAL)
        least = self.random.choice([0, 0, 1, size])
        self.pool.resize(max_size=size, min_size=least, total_max_size=total)

    async def remove(self) -> None:
        await self.pool.remove(self.random.choice(ENDPOINTS))

    async def clear(self) -> None:
        await self.pool.clear(self.random.choice([None, *ENDPOINTS]))

    async def warm_up(self) -> None:
        await self.pool.warm_up(self.random.choice(ENDPOINTS), 0.01)


async def load(
    pool: ConnectionPool[Any, Any], seed: str
) -> tuple[list[User], list[Running[Any]], Meddler]:
    """Let them all begin, but for the meddler."""
    users = [User(pool, f"{seed} {number}") for number in range(USERS)]
    return users, [await call_soon(user.live) for user in users], Meddler(pool, seed)


def check(manager: Leisurely) -> None:
    """The servers never saw more than the largest sizes there were."""
    seen = dict(manager.most_seen)
    total = seen.pop(None, 0)
    assert max(seen.values(), default=0) <= LARGEST, seen
    assert total <= LARGEST_TOTAL, total


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("seed", ["one", "two", "three"])
async def test_everything_changes_under_load(sizes: str, seed: str) -> None:
    """Everybody gets an answer, no limit is passed, and by the last sizes there are not too many."""
    manager = Leisurely(seed, failing=0.05)
    async with ConnectionPool(manager, **SIZES[sizes]) as pool:
        users, calls, meddler = await load(pool, f"{sizes} {seed}")
        meddling = await call_soon(meddler.live)
        for call in calls:
            await call.result()
        await meddling.result()
        assert sum(user.served for user in users) > 0
        pool.resize(max_size=1, min_size=0)
        await until(lambda: pool.stats().closing == pool.stats().connecting == 0)
        stats = pool.stats()
        assert (stats.in_use, stats.waiting) == (0, 0), pool.explain()
        assert all(pool.stats(endpoint).idle <= 1 for endpoint in ENDPOINTS)
        if pool.options.total_max_size is not None:
            assert stats.idle <= pool.options.total_max_size
            check(manager)
    await emptied(pool, manager)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("after", [1, 5, 25])
async def test_a_pool_is_closed_under_load(sizes: str, after: int) -> None:
    """Everybody gets an answer at once or ends his lease; then nothing is left."""
    manager = Leisurely(after)
    pool: ConnectionPool[Any, Any] = ConnectionPool(manager, **SIZES[sizes])
    users, calls, _ = await load(pool, f"{sizes} {after}")
    await until(lambda: pool.stats().acquired >= after)
    await pool.close(20.0)
    for user in users:
        user.closed = True
    for call in calls:
        await call.result()
    assert sum(user.served for user in users) >= after
    await settled(pool)
    if SIZES[sizes]["total_max_size"] is not None:
        check(manager)
    await emptied(pool, manager)
    with pytest.raises(PoolClosedError):
        await pool.acquire("a")


@pytest.mark.parametrize("sizes", SIZES)
async def test_all_endpoints_are_removed_under_load(sizes: str) -> None:
    """Again and again; each starts afresh, and nothing of before is lent."""
    manager = Leisurely(sizes)
    async with ConnectionPool(manager, **SIZES[sizes]) as pool:
        users, calls, _ = await load(pool, sizes)
        while not all(call.done() for call in calls):
            for endpoint in ENDPOINTS:
                await pool.remove(endpoint)
                await pause(2)
        for call in calls:
            await call.result()
        assert sum(user.turns for user in users) == USERS * TURNS
        await settled(pool)
        if SIZES[sizes]["total_max_size"] is not None:
            check(manager)
    await emptied(pool, manager)


@pytest.mark.parametrize("sizes", ["roomy", "tight", "kept"])
async def test_sizes_go_up_and_down_under_load(sizes: str) -> None:
    """Nobody fails for it, and nobody is forgotten in the queue."""
    manager = Leisurely(sizes)
    async with ConnectionPool(manager, **SIZES[sizes]) as pool:
        served: list[int] = []

        async def use(number: int) -> None:
            for turn in range(TURNS):
                async with pool.connection(ENDPOINTS[(number + turn) % 4], 20.0) as connection:
                    assert not connection.disposed
                    await pause(1)
            served.append(number)

        calls = [await call_soon(use, number) for number in range(USERS)]
        while not all(call.done() for call in calls):
            for size, total in [(1, 1), (4, 8), (2, 3), (3, 4)]:
                pool.resize(max_size=size, total_max_size=total)
                await pause(3)
        for call in calls:
            await call.result()
        assert sorted(served) == list(range(USERS))
        assert pool.stats().timeouts == 0
        check(manager)
    await emptied(pool, manager)
