"""``resize``: the size of the whole pool, and sizes that make no sense together."""

import re
from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, call_soon, until

from .callers import Caller, queued, settled
from .fakes import Hooked, Manager, Recorder, assert_empty, held
from .watchers import Watched


async def resized(pool: ConnectionPool[Any, Any], gate: Gate, total: int) -> Any:
    """Resize, and see it close one."""

    async def resize() -> None:
        pool.resize(total_max_size=total)

    call = await call_soon(resize)
    await until(lambda: gate.waiting == 1)
    return call


# -- less room --------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [5, 8, None])
@pytest.mark.parametrize("reuse", ["lifo", "fifo"])
async def test_less_room_closes_those_used_least_recently(before: int | None, reuse: Any) -> None:
    """Over all endpoints, at once, with the reason idle; no more than are too many."""
    manager, recorder = Watched(), Recorder()
    options: dict[str, Any] = {"max_size": 2, "total_max_size": before, "reuse": reuse}
    async with ConnectionPool(manager, event_listeners=[recorder.listener], **options) as pool:
        for endpoint in "abcdeabc":
            await held(pool, endpoint)
        pool.resize(total_max_size=3)
        assert recorder.reasons() == [(1, "idle"), (1, "idle")]
        await settled(pool)
        assert sorted(manager.closed_at()) == ["d", "e"]
        assert (pool.options.total_max_size, pool.stats().idle) == (3, 3)
        assert pool.stats().endpoints == 3
    assert_empty(pool, manager)


async def test_with_less_room_those_in_use_are_closed_as_they_come_back() -> None:
    """The first ones, wherever they lead, until as many are left as there may be; nobody resets them."""
    manager, recorder = Hooked(), Recorder()
    async with ConnectionPool(manager, max_size=2, event_listeners=[recorder.listener]) as pool:
        leases = [await pool.acquire(endpoint) for endpoint in "abcc"]
        pool.resize(total_max_size=2)
        assert recorder.reasons() == []
        for lease in leases:
            await lease.release()
        assert recorder.reasons() == [(1, "idle"), (1, "idle")]
        assert manager.calls.count("on_release") == 2
        assert (pool.stats("c").idle, pool.stats().idle) == (2, 2)
    assert_empty(pool, manager)


@pytest.mark.parametrize("listening", [False, True])
async def test_idle_connections_go_before_those_in_use(listening: bool) -> None:
    """What is in use counts: with all places in use, nothing may stay idle."""
    manager = Manager()
    listeners = [Recorder().listener] if listening else []
    async with ConnectionPool(manager, max_size=2, event_listeners=listeners) as pool:
        leases = [await pool.acquire(endpoint) for endpoint in "aabb"]
        await leases.pop(0).release()
        await leases.pop(1).release()
        pool.resize(total_max_size=2)
        assert (pool.stats().idle, pool.stats().in_use) == (0, 2)
        for lease in leases:
            await lease.release()
        await settled(pool)
        assert pool.stats().idle == 2
    assert_empty(pool, manager)


async def test_with_less_room_nothing_is_opened_until_there_is_some() -> None:
    """Neither for those who wait nor for those who come."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=2) as pool:
        leases = [await pool.acquire(endpoint) for endpoint in "abc"]
        pool.resize(total_max_size=2)
        await leases[0].release()
        with pytest.raises(PoolTimeoutError, match="total_max_size=2 is reached"):
            await pool.acquire("d", 0.01)
        assert manager.started == 3
        await leases[1].release()
        assert (await held(pool, "d")).endpoint == "d"
        await leases[2].release()
        assert manager.log[3:] == [("close", "a"), ("close", "b"), ("open", "d")]
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_those_who_wait_get_nothing_that_is_too_many() -> None:
    """A connection goes on only when there are no more than there may be."""
    manager, log = Watched(), list[Any]()
    async with ConnectionPool(manager, max_size=2) as pool:
        leases = [await pool.acquire("a") for _ in range(2)] + [await pool.acquire("b")]
        calls = [
            await queued(pool, Caller(pool, endpoint, log, endpoint=endpoint).call)
            for endpoint in "aa"
        ]
        pool.resize(total_max_size=2)
        await leases[0].release()
        assert (pool.stats().waiting, pool.stats().total, log) == (2, 2, [])
        await leases[1].release()
        for call in calls:
            await call.result()
        await leases[2].release()
        assert log == ["a", "a"]
        assert manager.started == 3
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_what_is_being_closed_is_not_too_many_twice() -> None:
    """A slow dispose of the surplus does not cost the connections that may stay."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=2) as pool:
        for endpoint in "abcd":
            await held(pool, endpoint)
        leases = [await pool.acquire(endpoint) for endpoint in "abcd"]
        gate = manager.dispose_gate = Gate()
        for lease in leases[:2]:
            await lease.release()
        resizing = await resized(pool, gate, 3)
        assert (pool.stats().closing, pool.stats().idle) == (1, 1)
        for lease in leases[2:]:
            await lease.release()
        assert (pool.stats().closing, pool.stats().idle) == (1, 3)
        gate.open()
        await resizing.result()
        await settled(pool)
        assert manager.closed_at() == ["a"]
    assert_empty(pool, manager)


# -- more room --------------------------------------------------------------------------------------


@pytest.mark.concurrency
async def test_more_room_serves_those_who_wait_at_once() -> None:
    """At all endpoints; ``max_size`` and the total may grow in one call."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:
        lease = await pool.acquire("a")
        callers = [Caller(pool, endpoint=endpoint, holds=True) for endpoint in "abab"]
        calls = [await queued(pool, caller.call) for caller in callers]
        pool.resize(max_size=2, total_max_size=4)
        await until(lambda: pool.stats().in_use == 4)
        assert (pool.stats("a").in_use, pool.stats("b").in_use) == (2, 2)
        assert pool.stats("a").waiting == 1
        await lease.release()
        for caller, call in zip(callers, calls, strict=True):
            caller.gate.open()
            await call.result()
        assert manager.most_seen[None] == 4
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_more_room_at_the_endpoint_makes_room_in_the_pool() -> None:
    """Who waited for ``max_size`` may now have an idle one of another endpoint closed."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=1, total_max_size=2) as pool:
        await held(pool, "b")
        lease = await pool.acquire("a")
        call = await queued(pool, Caller(pool, endpoint="a").call)
        pool.resize(max_size=2)
        await call.result()
        assert manager.closed_at() == ["b"]
        await lease.release()
    assert_empty(pool, manager)


async def test_a_total_that_grows_and_shrinks() -> None:
    """Order and numbers stay right, however often."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=1, total_max_size=4) as pool:
        for total in (4, 8, 2, 6, 1, 5):
            pool.resize(total_max_size=total)
            await settled(pool)
            closed = len(manager.log)
            for endpoint in "abcdefgh":
                await held(pool, endpoint)
            assert pool.stats().idle == min(total, 8)
            assert manager.seen[None] == total
            assert sorted(pool._engine.core.endpoints()) == list("abcdefgh"[8 - total :])
            assert len(manager.log) > closed
    assert_empty(pool, manager)


# -- sizes that make no sense -----------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], dict[str, Any], type[Exception], str]] = [
    ({}, {"max_size": 0}, ValueError, "max_size must be at least 1, not 0"),
    ({}, {"min_size": -1}, ValueError, "min_size must be at least 0, not -1"),
    ({}, {"total_max_size": 0}, ValueError, "total_max_size must be at least 1, not 0"),
    ({}, {"max_size": 2.0}, TypeError, "max_size must be a whole number or None, not 2.0"),
    ({}, {"min_size": True}, TypeError, "min_size must be a whole number, not True"),
    ({}, {"total_max_size": "9"}, TypeError, "total_max_size must be a whole number or None"),
    (
        {},
        {"max_size": 101},
        ValueError,
        "max_size must not be more than total_max_size, which is 100, but is 101",
    ),
    (
        {},
        {"total_max_size": 9},
        ValueError,
        "max_size must not be more than total_max_size, which is 9, but is 10",
    ),
    (
        {},
        {"min_size": 11},
        ValueError,
        "min_size must not be more than max_size, which is 10, but is 11",
    ),
    (
        {"min_size": 2},
        {"max_size": 1},
        ValueError,
        "min_size must not be more than max_size, which is 1, but is 2",
    ),
    (
        {"max_size": None, "total_max_size": 3},
        {"min_size": 4},
        ValueError,
        "min_size must not be more than total_max_size, which is 3, but is 4",
    ),
    (
        {"max_size": None, "min_size": 2},
        {"total_max_size": 1},
        ValueError,
        "min_size must not be more than total_max_size, which is 1, but is 2",
    ),
    ({}, {"max_size": 5, "min_size": 6}, ValueError, "min_size must not be more than max_size"),
]


@pytest.mark.parametrize(("options", "sizes", "error", "text"), WRONG)
async def test_sizes_that_make_no_sense_change_nothing(
    options: dict[str, Any], sizes: dict[str, Any], error: type[Exception], text: str
) -> None:
    """The error names the option, the value and the bound; not even the good ones are taken over."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener], **options) as pool:
        leases = [await pool.acquire("e") for _ in range(3)]
        for lease in leases:
            await lease.release()
        before, stats = pool.options, pool.stats()
        recorder.clear()
        with pytest.raises(error, match=f"^{re.escape(text)}"):
            pool.resize(**sizes)
        assert pool.options is before
        assert pool.stats() == stats
        assert recorder.events == []
    assert_empty(pool, manager)


@pytest.mark.parametrize(
    "sizes",
    [
        {"max_size": 200, "total_max_size": 200},
        {"max_size": 5, "total_max_size": 5},
        {"max_size": 20, "min_size": 20},
        {"max_size": 1, "min_size": 1, "total_max_size": 1},
    ],
)
async def test_sizes_that_make_sense_together_are_taken_together(sizes: dict[str, Any]) -> None:
    """Although each alone would make none."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        pool.resize(**sizes)
        assert {name: getattr(pool.options, name) for name in sizes} == sizes
    assert_empty(pool, manager)
