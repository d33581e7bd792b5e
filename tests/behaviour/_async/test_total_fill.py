"""``total_max_size`` and ``min_size``: who waits goes before what is to be kept."""

from typing import Any

import pytest

from pool.aio import ConnectionPool
from support.aio import Gate, call_soon, until

from .callers import Caller, queued, settled
from .fakes import Connection, held
from .watchers import Watched, emptied

pytestmark = pytest.mark.concurrency


def kept(manager: Watched, **options: Any) -> ConnectionPool[Any, Connection]:
    """A pool that keeps one connection to each endpoint it knows."""
    return ConnectionPool(manager, min_size=1, **{"max_size": 2, "total_max_size": 2, **options})


async def is_idle(pool: ConnectionPool[Any, Any], endpoint: str) -> None:
    """Wait until one connection is kept there."""
    await until(lambda: pool.stats(endpoint).idle == 1)


async def test_eviction_may_go_below_the_minimum() -> None:
    """A caller now is worth more than one who may come; the endpoint stays known."""
    manager = Watched()
    async with kept(manager) as pool:
        await pool.warm_up("a")
        await pool.warm_up("b")
        await held(pool, "c")
        assert manager.closed_at() == ["a"]
        assert pool.stats("a").endpoints == 1
        assert pool.stats("a").total == 0
    await emptied(pool, manager)


async def test_what_is_to_be_kept_evicts_nothing() -> None:
    """In a full pool the refill waits; nothing is closed and opened in a circle."""
    manager = Watched()
    async with kept(manager) as pool:
        await pool.warm_up("a")
        await pool.warm_up("b")
        await held(pool, "c")
        await pool.add("d")
        for _ in range(3):
            await pool.maintain()
        assert manager.closed_at() == ["a"]
        assert (pool.stats("a").total, pool.stats("d").total) == (0, 0)
        assert (pool.stats("b").idle, pool.stats("c").idle) == (1, 1)
        assert manager.started == 3
    await emptied(pool, manager)


async def test_the_refill_comes_when_there_is_room() -> None:
    """As soon as the total is larger."""
    manager = Watched()
    async with kept(manager) as pool:
        for endpoint in "ab":
            await pool.warm_up(endpoint)
        await held(pool, "c")
        await pool.add("d")
        pool.resize(total_max_size=4)
        for endpoint in "abcd":
            await is_idle(pool, endpoint)
        assert manager.most_seen[None] == 4
    await emptied(pool, manager)


async def test_the_room_of_a_removed_endpoint_is_filled() -> None:
    """The refill that waited for room gets it."""
    manager = Watched()
    async with kept(manager) as pool:
        for endpoint in "ab":
            await pool.warm_up(endpoint)
        await held(pool, "c")
        await pool.remove("b")
        await is_idle(pool, "a")
        assert manager.most_seen[None] == 2
    await emptied(pool, manager)


async def test_the_refill_never_takes_the_place_a_waiter_was_given() -> None:
    """Not while the place is still being made, nor when it is there."""
    manager = Watched()
    async with kept(manager) as pool:
        leases = [await pool.acquire("x") for _ in range(2)]
        await pool.add("a")
        callers = [Caller(pool, endpoint=endpoint, holds=True) for endpoint in "bc"]
        calls = [await queued(pool, caller.call) for caller in callers]
        gate = manager.dispose_gate = Gate()
        releasing = [await call_soon(lease.release) for lease in leases]
        await until(lambda: gate.waiting == 2)
        await pool.maintain()
        assert manager.started == 2
        gate.open()
        await until(lambda: pool.stats().in_use == 2)
        await pool.maintain()
        done = [("close", "x"), ("close", "x"), ("open", "b"), ("open", "c")]
        assert sorted(manager.log[2:]) == done
        for caller in callers:
            caller.gate.open()
        for call in [*calls, *releasing]:
            await call.result()
        assert manager.most_seen[None] == 2
    await emptied(pool, manager)


async def test_a_refill_under_way_makes_room_for_a_waiter() -> None:
    """What was opened for stock is closed if somebody waits for the place elsewhere."""
    manager = Watched()
    async with kept(manager, max_size=1, total_max_size=1) as pool:
        gate = manager.create_gate = Gate()
        await pool.add("a")
        await until(lambda: gate.waiting == 1)
        call = await queued(pool, Caller(pool, endpoint="b").call)
        gate.open()
        assert (await call.result()).endpoint == "b"
        assert manager.log[:3] == [("open", "a"), ("close", "a"), ("open", "b")]
        assert manager.most_seen[None] == 1
    await emptied(pool, manager)


async def test_a_refill_under_way_serves_the_caller_of_its_endpoint() -> None:
    """He waits for the connection that is being opened already."""
    manager = Watched()
    async with kept(manager, max_size=1, total_max_size=1) as pool:
        gate = manager.create_gate = Gate()
        await pool.add("a")
        await until(lambda: gate.waiting == 1)
        call = await queued(pool, Caller(pool, endpoint="a").call)
        gate.open()
        assert await call.result() is manager.opened[0]
        assert manager.started == 1
    await emptied(pool, manager)


async def test_a_refill_that_is_needed_no_more_does_not_keep_the_room_from_others() -> None:
    """One of two that waited for room was met by a caller's own connection: the other has it."""
    manager = Watched()
    async with kept(manager) as pool:
        first, second = await pool.acquire("x"), await pool.acquire("x")
        await pool.add("a")
        await pool.add("b")
        caller = Caller(pool, endpoint="a", holds=True)
        call = await queued(pool, caller.call)
        await first.release()
        await until(lambda: pool.stats("a").in_use == 1)
        await pool.remove("x")
        await second.release()
        await is_idle(pool, "b")
        caller.gate.open()
        await call.result()
        assert manager.most_seen[None] == 2
    await emptied(pool, manager)


async def test_one_retired_at_a_full_pool_is_replaced() -> None:
    """The place of the one that went is free for the next of its endpoint."""
    manager = Watched()
    async with kept(manager, max_uses=1) as pool:
        for endpoint in "ab":
            await pool.warm_up(endpoint)
        for _ in range(5):
            await held(pool, "a")
            await is_idle(pool, "a")
        await settled(pool)
        assert manager.most_seen[None] == 2
        assert pool.stats("b").idle == 1
    await emptied(pool, manager)


async def test_callers_and_refills_share_a_tiny_total() -> None:
    """Whoever asks is served, whatever is to be kept elsewhere; the servers never see more."""
    manager = Watched()
    async with kept(manager, max_uses=3) as pool:

        async def use(number: int) -> None:
            for turn in range(20):
                async with pool.connection((number + turn) % 6, 10.0):
                    pass

        calls = [await call_soon(use, number) for number in range(6)]
        for call in calls:
            await call.result()
        assert pool.stats().acquired == 120
        assert manager.most_seen[None] <= 2
    await emptied(pool, manager)
