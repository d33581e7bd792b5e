"""The queue: first come, first served, by direct hand-off."""

from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, call_soon, until

from .callers import Caller, connecting, queued, queued_late
from .fakes import Hooked, Manager, assert_empty, held

pytestmark = pytest.mark.concurrency


async def test_callers_are_served_in_the_order_they_came() -> None:
    """One connection goes from each to the next, whoever is quicker."""
    manager, log = Manager(), list[Any]()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        calls = [await queued(pool, Caller(pool, name, log).call) for name in range(5)]
        await lease.release()
        for call in calls:
            await call.result()
        assert log == [0, 1, 2, 3, 4]
        assert manager.started == 1
    assert_empty(pool, manager)


async def test_blocks_are_served_in_the_order_they_came() -> None:
    """The way by ``with`` is as fair."""
    manager, log = Manager(), list[Any]()

    async def block(name: int) -> None:
        async with pool.connection("e"):
            log.append(name)

    async with ConnectionPool(manager, max_size=1) as pool:
        async with pool.connection("e"):
            calls = [await queued(pool, block, name) for name in range(5)]
        for call in calls:
            await call.result()
        assert log == [0, 1, 2, 3, 4]
    assert_empty(pool, manager)


async def test_a_returned_connection_is_never_free_while_somebody_waits() -> None:
    """When ``release`` returns, it is in use by the next already."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        caller = Caller(pool, holds=True)
        call = await queued(pool, caller.call)
        await lease.release()
        stats = pool.stats()
        assert (stats.idle, stats.in_use, stats.waiting) == (0, 1, 0)
        caller.gate.open()
        await call.result()
    assert_empty(pool, manager)


async def test_nobody_overtakes_at_the_moment_of_a_return() -> None:
    """A newcomer who asks right after ``release``, before the waiter has run, finds nothing."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        caller = Caller(pool, holds=True)
        call = await queued(pool, caller.call)
        await lease.release()
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 0)
        caller.gate.open()
        await call.result()
    assert_empty(pool, manager)


async def test_nobody_overtakes_while_a_connection_is_returned() -> None:
    """Who comes while ``on_release`` resets the connection is behind those who waited before."""
    manager, log = Hooked(), list[Any]()
    gate = manager.gates["on_release"] = Gate()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        early = await queued(pool, Caller(pool, "early", log).call)
        returning = await call_soon(lease.release)
        await until(lambda: gate.waiting == 1)
        newcomer = await queued(pool, Caller(pool, "newcomer", log).call)
        gate.open()
        for call in (returning, early, newcomer):
            await call.result()
        assert log == ["early", "newcomer"]
    assert_empty(pool, manager)


async def test_a_connection_that_is_being_returned_is_not_idle_yet() -> None:
    """Now-or-never callers do not get it while ``on_release`` still works on it."""
    manager = Hooked()
    gate = manager.gates["on_release"] = Gate()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        returning = await call_soon(lease.release)
        await until(lambda: gate.waiting == 1)
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 0)
        gate.open()
        await returning.result()
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_a_newcomer_does_not_take_the_place_that_a_closed_connection_leaves() -> None:
    """The place goes to the caller in the queue, at once."""
    manager, log = Manager(), list[Any]()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        early = Caller(pool, "early", log, holds=True)
        calls = [await queued(pool, early.call)]
        manager.create_gate = Gate()
        await lease.discard()
        await until(lambda: manager.creating == 1)
        calls.append(await queued(pool, Caller(pool, "newcomer", log).call))
        manager.create_gate.open()
        early.gate.open()
        for call in calls:
            await call.result()
        assert log == ["early", "newcomer"]
        assert manager.most_live == 1
    assert_empty(pool, manager)


# -- leaving the queue ------------------------------------------------------------------------------


async def test_a_waiter_whose_time_is_up_leaves_and_the_others_keep_their_order() -> None:
    """Its place closes up; nobody is moved."""
    manager, log = Manager(), list[Any]()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        first = await queued(pool, Caller(pool, "first", log).call)
        hasty = await queued(pool, Caller(pool, "hasty", log, timeout=0.05).call)
        second = await queued(pool, Caller(pool, "second", log).call)
        with pytest.raises(PoolTimeoutError):
            await hasty.result()
        assert pool.stats().waiting == 2
        third = await queued(pool, Caller(pool, "third", log).call)
        await lease.release()
        for call in (first, second, third):
            await call.result()
        assert log == ["first", "second", "third"]
    assert_empty(pool, manager)


async def test_the_head_of_the_queue_may_leave() -> None:
    """The next one is the head then."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        hasty = await queued(pool, Caller(pool, timeout=0.05).call)
        patient = await queued(pool, Caller(pool).call)
        with pytest.raises(PoolTimeoutError):
            await hasty.result()
        await lease.release()
        assert await patient.result() is manager.opened[0]
    assert_empty(pool, manager)


async def test_a_connection_that_crosses_a_timeout_goes_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was given to a caller whose time was up at that moment; he passes it on."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        unlucky = await queued_late(pool, monkeypatch, Caller(pool).call)
        lucky = await queued(pool, Caller(pool).call)
        await lease.release()
        with pytest.raises(PoolTimeoutError):
            await unlucky.result()
        assert await lucky.result() is manager.opened[0]
        assert manager.started == 1
    assert_empty(pool, manager)


async def test_a_connection_that_crosses_the_last_timeout_is_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody is left to have it: it is neither lost nor closed, and was not used."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        unlucky = await queued_late(pool, monkeypatch, Caller(pool).call)
        await lease.release()
        with pytest.raises(PoolTimeoutError):
            await unlucky.result()
        stats = pool.stats()
        assert (stats.idle, stats.in_use, stats.acquired, stats.released) == (1, 0, 1, 1)
        assert await held(pool) is manager.opened[0]
    assert_empty(pool, manager)


async def test_a_permit_that_crosses_a_timeout_goes_to_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The next one connects with it, and no number is skipped."""
    manager = Manager()
    manager.create_gate = Gate()
    async with ConnectionPool(manager, max_size=2, max_connecting=1) as pool:
        first = Caller(pool, holds=True)
        calls = [await connecting(pool, first.call)]
        unlucky = await queued_late(pool, monkeypatch, Caller(pool).call)
        lucky = Caller(pool)
        calls.append(await queued(pool, lucky.call))
        manager.create_gate.open()
        with pytest.raises(PoolTimeoutError):
            await unlucky.result()
        await until(lambda: lucky.id)
        first.gate.open()
        for call in calls:
            await call.result()
        assert (first.id, lucky.id) == (1, 2)
        assert manager.started == 2
    assert_empty(pool, manager)


async def test_a_permit_that_crosses_the_last_timeout_is_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It takes no room and no number, and nothing is opened for nobody."""
    manager = Manager()
    manager.create_gate = Gate()
    async with ConnectionPool(manager, max_size=2, max_connecting=1) as pool:
        first = Caller(pool, holds=True)
        call = await connecting(pool, first.call)
        unlucky = await queued_late(pool, monkeypatch, Caller(pool).call)
        manager.create_gate.open()
        with pytest.raises(PoolTimeoutError):
            await unlucky.result()
        await until(lambda: first.id)
        assert pool.stats().total == 1
        lease = await pool.acquire("e", 1.0)
        assert (lease.id, manager.started) == (2, 2)
        await lease.release()
        first.gate.open()
        await call.result()
    assert_empty(pool, manager)


async def test_an_endpoint_is_forgotten_when_the_last_permit_crosses_a_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is left there: no connection, and nobody who waits for one."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        unlucky = await queued_late(pool, monkeypatch, Caller(pool).call)
        await lease.discard()
        with pytest.raises(PoolTimeoutError):
            await unlucky.result()
        assert pool.stats().endpoints == 0
        assert manager.started == 1
    assert_empty(pool, manager)


# -- now or never -----------------------------------------------------------------------------------


async def test_now_or_never_takes_an_idle_connection() -> None:
    """It is there, and nobody waits for it."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        connection = await held(pool)
        async with pool.connection("e", 0) as again:
            assert again is connection
    assert_empty(pool, manager)


async def test_now_or_never_opens_nothing() -> None:
    """There is room, but opening takes time; nothing is left of the attempt."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 0)
        assert manager.started == 0
        stats = pool.stats()
        assert (stats.total, stats.waiting, stats.endpoints, stats.timeouts) == (0, 0, 0, 1)


async def test_now_or_never_may_be_the_default() -> None:
    """``acquire_timeout=0`` means the same; a call may still allow more."""
    manager = Manager()
    async with ConnectionPool(manager, acquire_timeout=0) as pool:
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e")
        async with pool.connection("e", 5.0):
            with pytest.raises(PoolTimeoutError):
                await pool.acquire("e")
        async with pool.connection("e"):
            assert manager.started == 1
    assert_empty(pool, manager)


async def test_now_or_never_waits_for_the_hooks_of_the_connection_it_takes() -> None:
    """It never queues or opens, but what it takes is prepared like any other."""
    manager = Hooked()
    async with ConnectionPool(manager) as pool:
        await held(pool)
        gate = manager.gates["on_acquire"] = Gate()
        call = await call_soon(Caller(pool, timeout=0).call)
        await until(lambda: gate.waiting == 1 or call.done())
        gate.open()
        assert await call.result() is manager.opened[0]
    assert_empty(pool, manager)


# -- several endpoints ------------------------------------------------------------------------------


async def test_a_connection_goes_to_a_waiter_of_its_own_endpoint_only() -> None:
    """Who waited longer for another endpoint goes on waiting."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease_a, lease_b = await pool.acquire("a"), await pool.acquire("b")
        call_a = await queued(pool, Caller(pool, endpoint="a").call)
        call_b = await queued(pool, Caller(pool, endpoint="b").call)
        await lease_b.release()
        assert (await call_b.result()).endpoint == "b"
        assert pool.stats("a").waiting == 1
        await lease_a.release()
        assert (await call_a.result()).endpoint == "a"
    assert_empty(pool, manager)


async def test_a_queue_at_one_endpoint_holds_up_no_other() -> None:
    """There a connection is idle, and a newcomer takes it."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        await held(pool, "b")
        lease = await pool.acquire("a")
        call = await queued(pool, Caller(pool, endpoint="a").call)
        async with pool.connection("b", 0) as connection:
            assert connection.endpoint == "b"
        await lease.release()
        await call.result()
    assert_empty(pool, manager)
