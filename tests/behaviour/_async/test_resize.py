"""``resize``: new sizes at run time."""

from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, until

from .fakes import Connection, Hooked, Manager, Recorder, assert_empty, held
from .meddlers import told


async def leases_of(
    pool: ConnectionPool[Any, Connection], number: int, endpoint: str = "e"
) -> list[Any]:
    return [await pool.acquire(endpoint) for _ in range(number)]


async def queued(pool: ConnectionPool[Any, Connection], number: int) -> list[Running[Any]]:
    """Let so many callers wait, in this order."""
    callers: list[Running[Any]] = []

    def is_queued() -> bool:
        return pool.stats().waiting == len(callers)

    for _ in range(number):
        callers.append(await call_soon(pool.acquire, "e"))
        await until(is_queued)
    return callers


async def fill(pool: ConnectionPool[Any, Connection], number: int, endpoint: str = "e") -> None:
    """Leave so many idle; the last one opened is the coldest."""
    for lease in reversed(await leases_of(pool, number, endpoint)):
        await lease.release()


async def test_the_options_show_the_new_size() -> None:
    """Also to those who hear of endpoints that are created later; the rest stays."""
    recorder = Recorder()
    listeners = [recorder.listener]
    async with ConnectionPool(
        Manager(), max_size=2, max_connecting=1, event_listeners=listeners
    ) as pool:
        before = pool.options
        pool.resize(max_size=3)
        assert (pool.options.max_size, pool.options.max_connecting) == (3, 1)
        assert before.max_size == 2
        await pool.add("e")
        assert recorder.events[0].options == {"max_size": 3, "max_connecting": 1}


async def test_what_is_not_named_stays() -> None:
    """``resize()`` changes nothing."""
    async with ConnectionPool(Manager(), max_size=2) as pool:
        pool.resize()
        assert pool.options.max_size == 2


@pytest.mark.parametrize(
    ("size", "error"), [(0, ValueError), (-1, ValueError), ("3", TypeError), (True, TypeError)]
)
async def test_a_bad_size_changes_nothing(size: Any, error: type[Exception]) -> None:
    """The error names the option."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=2) as pool:
        await held(pool)
        with pytest.raises(error, match="max_size"):
            pool.resize(max_size=size)
        assert pool.options.max_size == 2
        assert pool.stats().idle == 1


async def test_a_new_pool_can_be_resized() -> None:
    """Before its first use as at any other time."""
    manager = Manager()
    pool = ConnectionPool(manager, max_size=1)
    pool.resize(max_size=2)
    for lease in await leases_of(pool, 2):
        await lease.release()
    await pool.close()
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_more_room_serves_the_queue_at_once() -> None:
    """As many of those who wait as there is room for, in their order."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1, max_connecting=5) as pool:
        leases = await leases_of(pool, 1)
        callers = await queued(pool, 3)
        pool.resize(max_size=3)
        leases += [await caller.result() for caller in callers[:2]]
        assert (pool.stats().in_use, pool.stats().waiting) == (3, 1)
        for lease in leases:
            await lease.release()
        await (await callers[2].result()).release()
        assert manager.most_live == 3
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_more_room_does_not_lift_the_limit_on_connects() -> None:
    """``max_connecting`` at once, the next when one of them is done."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1, max_connecting=1) as pool:
        leases = await leases_of(pool, 1)
        gate = manager.create_gate = Gate()
        callers = [await call_soon(pool.acquire, "e") for _ in range(2)]
        await until(lambda: pool.stats().waiting == 2)
        pool.resize(max_size=3)
        await until(lambda: gate.waiting == 1)
        assert (pool.stats().connecting, pool.stats().waiting) == (1, 1)
        gate.open()
        leases += [await caller.result() for caller in callers]
        for lease in leases:
            await lease.release()
        assert manager.most_creating == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_every_endpoint_gets_the_room() -> None:
    """The size is one of each endpoint."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        leases = await leases_of(pool, 1, "a") + await leases_of(pool, 1, "b")
        callers = [await call_soon(pool.acquire, endpoint) for endpoint in ("a", "b")]
        await until(lambda: pool.stats().waiting == 2)
        pool.resize(max_size=2)
        leases += [await caller.result() for caller in callers]
        for lease in leases:
            await lease.release()
    assert_empty(pool, manager)


async def test_less_room_closes_idle_connections_at_once() -> None:
    """No more of them than are too many, with the reason idle."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        await fill(pool, 4)
        pool.resize(max_size=3)
        assert [reason for _, reason in recorder.reasons()] == ["idle"]
        await until(lambda: pool.stats().closing == 0)
        assert (pool.stats().idle, manager.live) == (3, 3)
    assert_empty(pool, manager)


@pytest.mark.parametrize("reuse", ["lifo", "fifo"])
async def test_less_room_keeps_those_used_last(reuse: Any) -> None:
    """The coldest ones go, whichever would be lent first."""
    manager, recorder = Manager(), Recorder()
    listeners = [recorder.listener]
    async with ConnectionPool(manager, reuse=reuse, event_listeners=listeners) as pool:
        await fill(pool, 4)
        pool.resize(max_size=2)
        assert sorted(recorder.reasons()) == [(3, "idle"), (4, "idle")]
        await until(lambda: pool.stats().closing == 0)
    assert_empty(pool, manager)


async def test_less_room_is_for_each_endpoint() -> None:
    """One that has no more than the new size loses nothing."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await fill(pool, 3, "a")
        await fill(pool, 1, "b")
        pool.resize(max_size=1)
        assert (pool.stats("a").idle, pool.stats("b").idle) == (1, 1)
        await until(lambda: pool.stats().closing == 0)
    assert_empty(pool, manager)


async def test_with_less_room_those_in_use_are_closed_as_they_come_back() -> None:
    """The first ones, until as many are left as there may be; nobody resets what is closed."""
    manager, recorder = Hooked(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        leases = await leases_of(pool, 3)
        pool.resize(max_size=1)
        assert recorder.reasons() == []
        recorder.clear()
        for lease in leases:
            await lease.release()
        assert told(recorder.events) == [
            ("ConnectionCheckedIn", 1),
            ("ConnectionClosed", 1),
            ("ConnectionCheckedIn", 2),
            ("ConnectionClosed", 2),
            ("ConnectionCheckedIn", 3),
        ]
        assert recorder.reasons() == [(1, "idle"), (2, "idle")]
        assert manager.calls.count("on_release") == 1
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_idle_connections_go_before_those_in_use() -> None:
    """What is in use counts: with all places in use, nothing may stay idle."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        leases = await leases_of(pool, 3)
        await leases.pop().release()
        pool.resize(max_size=2)
        assert (pool.stats().idle, pool.stats().in_use) == (0, 2)
        for lease in leases:
            await lease.release()
        await until(lambda: pool.stats().closing == 0)
        assert pool.stats().idle == 2
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_those_who_wait_do_not_get_what_is_too_many() -> None:
    """The queue is served when there is room by the new size."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=2) as pool:
        first, second = await leases_of(pool, 2)
        kept = second.connection
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: pool.stats().waiting == 1)
        pool.resize(max_size=1)
        await first.release()
        assert (pool.stats().waiting, caller.done()) == (1, False)
        await second.release()
        lease = await caller.result()
        assert lease.connection is kept
        await lease.release()
    assert_empty(pool, manager)


async def test_with_less_room_nothing_is_opened_until_there_is_some() -> None:
    """All places are in use by more than there may be."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        leases = await leases_of(pool, 2)
        pool.resize(max_size=1)
        await leases[0].release()
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 0.01)
        await leases[1].release()
        assert manager.started == 2
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_what_is_being_closed_is_not_too_many_twice() -> None:
    """A slow dispose of the surplus does not cost the connections that may stay."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        leases = await leases_of(pool, 2)
        gate = manager.dispose_gate = Gate()
        pool.resize(max_size=1)
        releasing = await call_soon(leases[0].release)
        await until(lambda: gate.waiting == 1)
        second = await call_soon(leases[1].release)
        await until(lambda: pool.stats().in_use == 0)
        gate.open()
        await releasing.result()
        await second.result()
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_resizing_a_closed_pool_opens_and_closes_nothing() -> None:
    """There is nothing left to resize."""
    manager, recorder = Manager(), Recorder()
    pool = ConnectionPool(manager, max_size=1, event_listeners=[recorder.listener])
    lease = await pool.acquire("e")
    await pool.close()
    recorder.clear()
    pool.resize(max_size=5)
    assert recorder.events == []
    await lease.release()
    assert recorder.reasons() == [(1, "poolClosed")]
    assert_empty(pool, manager)
