"""Closing a pool: who is told what, and what becomes of each connection."""

from typing import Any

import pytest

from pool import PoolClosedError
from pool.aio import ConnectionPool
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionClosedEvent,
    ConnectionReadyEvent,
    PoolClosedEvent,
)
from support.aio import Gate, call_soon, until

from .fakes import Connection, Hooked, Manager, Recorder, assert_empty, held
from .meddlers import Meddling, Peeking, told


def recorded(manager: Manager, **options: Any) -> tuple[ConnectionPool[Any, Connection], Recorder]:
    recorder = Recorder()
    return ConnectionPool(manager, event_listeners=[recorder.listener], **options), recorder


async def test_idle_connections_close_before_the_pool_is_closed() -> None:
    """They are disposed of when ``close`` returns; their closes are told before the pool's."""
    manager = Manager()
    pool, recorder = recorded(manager)
    lease = await pool.acquire("e")
    await held(pool)
    await lease.release()
    recorder.clear()
    await pool.close()
    assert manager.live == 0
    assert recorder.names() == ["ConnectionClosed", "ConnectionClosed", "PoolClosed"]
    assert sorted(recorder.reasons()) == [(1, "poolClosed"), (2, "poolClosed")]
    assert_empty(pool, manager)


async def test_every_endpoint_is_closed() -> None:
    """Each one that is known is told once, after its idle connections."""
    manager = Manager()
    pool, recorder = recorded(manager)
    await held(pool, "a")
    await held(pool, "b")
    await pool.add("c")
    recorder.clear()
    await pool.close()
    for endpoint, expected in (
        ("a", ["ConnectionClosed", "PoolClosed"]),
        ("b", ["ConnectionClosed", "PoolClosed"]),
        ("c", ["PoolClosed"]),
    ):
        events = [event for event in recorder.events if event.address == endpoint]
        assert [name for name, _ in told(events)] == expected
    assert_empty(pool, manager)


async def test_a_pool_that_knows_no_endpoint_closes_silently() -> None:
    """There is nothing to tell."""
    pool, recorder = recorded(Manager())
    await pool.close()
    assert recorder.events == []


async def test_a_connection_in_use_is_closed_when_its_lease_ends() -> None:
    """Checked in, then closed; ``close`` does not wait for it, and nobody resets it."""
    manager = Hooked()
    pool, recorder = recorded(manager)
    async with pool.connection("e"):
        await pool.close()
        assert manager.disposed == []
        recorder.clear()
    assert recorder.events == [
        ConnectionCheckedInEvent("e", 1),
        ConnectionClosedEvent("e", 1, "poolClosed"),
    ]
    assert "on_release" not in manager.calls
    assert_empty(pool, manager)


async def test_without_listeners_too_a_lease_that_ends_after_close_closes() -> None:
    """The short way of a pool that tells nobody knows that the pool is closed."""
    manager = Manager()
    pool = ConnectionPool(manager)
    async with pool.connection("e") as connection:
        await pool.close()
    assert connection.disposed
    assert_empty(pool, manager)


async def test_a_failed_body_after_close_closes_for_the_pool() -> None:
    """The pool was closed before the body failed: that is the reason."""
    manager = Manager()
    pool, recorder = recorded(manager)

    async def body() -> None:
        async with pool.connection("e"):
            await pool.close()
            raise KeyError

    with pytest.raises(KeyError):
        await body()
    assert recorder.reasons() == [(1, "poolClosed")]
    assert_empty(pool, manager)


async def test_closing_twice_is_closing_once() -> None:
    """The second time nothing is told and nothing is done."""
    manager = Manager()
    pool, recorder = recorded(manager)
    await held(pool)
    await pool.close()
    recorder.clear()
    await pool.close()
    assert recorder.events == []
    assert_empty(pool, manager)


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("timeout", [None, 0, 5.0])
async def test_nothing_can_be_acquired_after_close(known: bool, timeout: float | None) -> None:
    """The attempt is told, as failed because the pool is closed; no endpoint is created for it."""
    pool, recorder = recorded(Manager())
    if known:
        await held(pool)
    await pool.close()
    recorder.clear()
    with pytest.raises(PoolClosedError, match="closed"):
        await pool.acquire("e", timeout)
    assert recorder.names() == ["ConnectionCheckOutStarted", "ConnectionCheckOutFailed"]
    assert recorder.events[-1].reason == "poolClosed"


async def test_without_listeners_too_nothing_can_be_acquired_after_close() -> None:
    """A block cannot be entered."""
    pool = ConnectionPool(Manager())
    await held(pool)
    await pool.close()
    with pytest.raises(PoolClosedError):
        await held(pool)


async def test_a_closed_pool_answers_questions() -> None:
    """Counts, totals and words are there, about what is still held too."""
    pool = ConnectionPool(Manager())
    lease = await pool.acquire("e")
    await held(pool)
    await pool.close()
    stats = pool.stats()
    assert (stats.total, stats.in_use, stats.idle) == (1, 1, 0)
    assert (stats.created, stats.acquired, stats.released, stats.closed) == (2, 2, 1, 1)
    assert "#1 in use" in pool.explain()
    assert pool.get_size() == pool.get_endpoint_pool_size("e") == 1
    await lease.release()
    stats = pool.stats()
    assert (stats.total, stats.released, stats.closed) == (0, 2, 2)
    assert "in use for" not in pool.explain()


async def test_the_block_of_a_pool_closes_it() -> None:
    """At its end nothing is idle and nothing can be acquired."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool)
    assert manager.live == 0
    with pytest.raises(PoolClosedError):
        await pool.acquire("e")
    assert_empty(pool, manager)


async def test_the_block_of_a_pool_closes_it_when_its_body_fails() -> None:
    """The body's error is raised, and the pool is closed."""
    manager = Manager()
    pool = ConnectionPool(manager)

    async def body() -> None:
        async with pool:
            await held(pool)
            raise KeyError

    with pytest.raises(KeyError):
        await body()
    assert_empty(pool, manager)
    with pytest.raises(PoolClosedError):
        await pool.acquire("e")


async def test_clearing_a_closed_pool_does_nothing() -> None:
    """Nothing is told; what is in use closes for the pool and not as stale."""
    manager = Manager()
    pool, recorder = recorded(manager)
    lease = await pool.acquire("e")
    await pool.close()
    recorder.clear()
    await pool.clear("e")
    await pool.clear()
    await pool.remove("e")
    assert recorder.events == []
    await lease.release()
    assert recorder.reasons() == [(1, "poolClosed")]
    assert_empty(pool, manager)


async def test_a_stale_connection_that_returns_to_a_closed_pool_closes_for_the_pool() -> None:
    """It was cleared first, and then the pool was closed: the last word counts, once."""
    manager = Manager()
    pool, recorder = recorded(manager)
    lease = await pool.acquire("e")
    await pool.clear("e")
    await pool.close()
    await lease.release()
    assert len(recorder.reasons()) == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_those_in_the_queue_are_turned_away() -> None:
    """They fail at once, although the lease that they wait for goes on."""
    manager = Manager()
    pool, recorder = recorded(manager, max_size=1)
    lease = await pool.acquire("e")
    callers = [await call_soon(pool.acquire, "e") for _ in range(3)]
    await until(lambda: pool.stats().waiting == 3)
    recorder.clear()
    await pool.close()
    assert pool.stats().waiting == 0
    for caller in callers:
        with pytest.raises(PoolClosedError):
            await caller.result()
    assert recorder.names() == ["PoolClosed", *3 * ["ConnectionCheckOutFailed"]]
    assert [event.reason for event in recorder.events[1:]] == 3 * ["poolClosed"]
    await lease.release()
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_connect_that_a_close_overtakes() -> None:
    """When it completes it is closed, never ready, and its caller told that the pool is closed."""
    manager = Manager()
    pool, recorder = recorded(manager)
    gate = manager.create_gate = Gate()
    caller = await call_soon(pool.acquire, "e")
    await until(lambda: gate.waiting == 1)
    await pool.close()
    gate.open()
    with pytest.raises(PoolClosedError):
        await caller.result()
    await until(lambda: pool.stats().total == 0)
    assert recorder.reasons() == [(1, "poolClosed")]
    assert recorder.names(of=ConnectionReadyEvent) == []
    assert recorder.events[-1].reason == "poolClosed"
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_connect_that_fails_after_a_close() -> None:
    """Its caller is told that the pool is closed, and in the cause what ``create`` raised."""
    manager = Manager()
    pool, recorder = recorded(manager)
    gate = manager.create_gate = Gate()
    refused = OSError("refused")
    manager.errors = [refused]
    caller = await call_soon(pool.acquire, "e")
    await until(lambda: gate.waiting == 1)
    await pool.close()
    gate.open()
    with pytest.raises(PoolClosedError) as caught:
        await caller.result()
    assert caught.value.__cause__ is refused
    await until(lambda: pool.stats().total == 0)
    assert len(recorder.reasons()) == 1
    assert recorder.events[-1].reason == "poolClosed"
    assert_empty(pool, manager)


@pytest.mark.concurrency
@pytest.mark.parametrize("hook", ["check_aliveness", "on_acquire"])
async def test_a_close_while_a_connection_is_vetted(hook: str) -> None:
    """When the check or hook ends, the connection is closed and its caller turned away."""
    manager = Hooked()
    pool, recorder = recorded(manager, check_after_idle=0)
    await held(pool)
    gate = manager.gates[hook] = Gate()
    caller = await call_soon(pool.acquire, "e")
    await until(lambda: gate.waiting == 1)
    await pool.close()
    assert pool.stats().in_use == 1
    gate.open()
    with pytest.raises(PoolClosedError):
        await caller.result()
    await until(lambda: pool.stats().total == 0)
    assert recorder.reasons() == [(1, "poolClosed")]
    assert recorder.events[-1].reason == "poolClosed"
    assert manager.started == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_close_while_a_connection_is_reset() -> None:
    """When ``on_release`` ends, the connection is closed and not kept."""
    manager = Hooked()
    pool, recorder = recorded(manager)
    lease = await pool.acquire("e")
    gate = manager.gates["on_release"] = Gate()
    releasing = await call_soon(lease.release)
    await until(lambda: gate.waiting == 1)
    await pool.close()
    recorder.clear()
    gate.open()
    await releasing.result()
    assert told(recorder.events) == [("ConnectionCheckedIn", 1), ("ConnectionClosed", 1)]
    assert recorder.reasons() == [(1, "poolClosed")]
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_callers_are_turned_away_while_a_dispose_hangs() -> None:
    """``close`` waits for the dispose; the others need not."""
    manager = Manager()
    pool, recorder = recorded(manager)
    await held(pool)
    gate = manager.dispose_gate = Gate()
    closing = await call_soon(pool.close)
    await until(lambda: gate.waiting == 1)
    assert "PoolClosed" in recorder.names()
    with pytest.raises(PoolClosedError):
        await pool.acquire("e")
    assert not closing.done()
    assert (pool.stats().closing, pool.stats().total) == (1, 1)
    gate.open()
    await closing.result()
    assert_empty(pool, manager)


async def test_the_end_is_told_when_nothing_is_idle_any_more() -> None:
    """Whoever hears that the pool is closed finds those that were idle closing or closed."""
    peeking = Peeking()
    pool = ConnectionPool(Manager(), event_listeners=[peeking.listener])
    peeking.pool = pool
    await held(pool)
    await pool.close()
    assert peeking.at(PoolClosedEvent).idle == 0
    assert peeking.at(ConnectionClosedEvent).closing == 1


@pytest.mark.parametrize("hook", ["create", "check_aliveness", "on_acquire", "on_connection_dead"])
async def test_a_hook_on_the_way_in_may_close_the_pool(hook: str) -> None:
    """Its caller is turned away and its connection closed."""
    manager = Meddling(hook)
    pool, recorder = recorded(manager, check_after_idle=0)
    if hook != "create":
        (await held(pool)).alive = hook != "on_connection_dead"
    manager.act = pool.close
    with pytest.raises(PoolClosedError):
        await pool.acquire("e")
    await until(lambda: pool.stats().total == 0)
    assert len(recorder.reasons()) == 1
    assert recorder.names().count("PoolClosed") == 1
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["on_release", "dispose"])
async def test_a_hook_on_the_way_out_may_close_the_pool(hook: str) -> None:
    """The lease ends well, and its connection is closed."""
    manager = Meddling(hook)
    pool, recorder = recorded(manager)
    lease = await pool.acquire("e")
    manager.act = pool.close
    await (lease.discard() if hook == "dispose" else lease.release())
    assert recorder.reasons() == [(1, "error" if hook == "dispose" else "poolClosed")]
    assert recorder.names().count("PoolClosed") == 1
    assert_empty(pool, manager)
