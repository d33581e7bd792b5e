"""Pools made with ``paused=True``: who gets in, and who is turned away."""

from typing import Any

import pytest

from pool import PoolClearedError
from pool.aio import ConnectionPool
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionClosedEvent,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolReadyEvent,
)
from support.aio import Gate, call_soon, until

from .fakes import Connection, Hooked, Manager, Recorder, assert_empty, held
from .meddlers import Peeking, told


def paused(manager: Manager, recorder: Recorder, **options: Any) -> ConnectionPool[Any, Connection]:
    return ConnectionPool(manager, event_listeners=[recorder.listener], paused=True, **options)


async def test_an_unknown_endpoint_starts_paused() -> None:
    """Its first caller is turned away, which is told as a check-out that failed."""
    manager, recorder = Manager(), Recorder()
    async with paused(manager, recorder) as pool:
        with pytest.raises(PoolClearedError, match="paused"):
            await pool.acquire("e")
        assert recorder.names() == [
            "PoolCreated",
            "ConnectionCheckOutStarted",
            "ConnectionCheckOutFailed",
        ]
        assert recorder.events[-1].reason == "connectionError"
        assert manager.started == 0


async def test_a_paused_endpoint_is_remembered() -> None:
    """It has no connection, but who comes again is not told that it was created."""
    manager, recorder = Manager(), Recorder()
    async with paused(manager, recorder) as pool:
        for _ in range(2):
            with pytest.raises(PoolClearedError):
                await pool.acquire("e")
        assert pool.stats().endpoints == 1
        assert recorder.names().count("PoolCreated") == 1


async def test_nobody_listening_changes_nothing_for_a_paused_endpoint() -> None:
    """The first caller is turned away and the endpoint is known."""
    async with ConnectionPool(Manager(), paused=True) as pool:
        with pytest.raises(PoolClearedError):
            await pool.acquire("e")
        assert pool.stats().endpoints == 1


@pytest.mark.parametrize("timeout", [None, 0, 5.0])
async def test_a_paused_endpoint_turns_callers_away_at_once(timeout: float | None) -> None:
    """Not even a caller with all the time in the world queues."""
    async with ConnectionPool(Manager(), paused=True) as pool:
        await pool.add("e")
        with pytest.raises(PoolClearedError):
            await pool.acquire("e", timeout)
        assert pool.stats().waiting == 0
        assert pool.stats().timeouts == 0


async def test_ready_lets_callers_in() -> None:
    """From then on the endpoint is like any other."""
    manager = Manager()
    async with ConnectionPool(manager, paused=True) as pool:
        await pool.add("e")
        await pool.ready("e")
        first = await held(pool)
        assert await held(pool) is first
    assert_empty(pool, manager)


async def test_ready_adds_an_unknown_endpoint() -> None:
    """It is created, then ready, and known although it has no connection."""
    recorder = Recorder()
    async with paused(Manager(), recorder) as pool:
        await pool.ready("e")
        assert told(recorder.events) == [("PoolCreated", None), ("PoolReady", None)]
        assert pool.stats().endpoints == 1


async def test_ready_is_told_once() -> None:
    """What is ready already is no news."""
    recorder = Recorder()
    async with paused(Manager(), recorder) as pool:
        await pool.add("e")
        await pool.ready("e")
        await pool.ready("e")
        assert recorder.names() == ["PoolCreated", "PoolReady"]


async def test_ready_is_for_one_endpoint() -> None:
    """Another one stays paused."""
    async with ConnectionPool(Manager(), paused=True) as pool:
        await pool.add("b")
        await pool.ready("a")
        with pytest.raises(PoolClearedError):
            await pool.acquire("b")
        await held(pool, "a")


async def test_ready_does_nothing_in_a_pool_that_is_not_paused() -> None:
    """There every endpoint is ready from the start; a known one has no news."""
    recorder = Recorder()
    async with ConnectionPool(Manager(), event_listeners=[recorder.listener]) as pool:
        await pool.add("e")
        recorder.clear()
        await pool.ready("e")
        assert recorder.events == []


async def test_a_clear_pauses() -> None:
    """Newcomers are turned away until the endpoint is ready again."""
    manager, recorder = Manager(), Recorder()
    async with paused(manager, recorder) as pool:
        await pool.ready("e")
        await held(pool)
        await pool.clear("e")
        assert manager.live == 0
        recorder.clear()
        with pytest.raises(PoolClearedError):
            await pool.acquire("e")
        assert recorder.names() == ["ConnectionCheckOutStarted", "ConnectionCheckOutFailed"]
        assert recorder.events[-1].reason == "connectionError"
        await pool.ready("e")
        await held(pool)
    assert_empty(pool, manager)


async def test_a_second_clear_is_not_told() -> None:
    """A pool that is paused already publishes nothing."""
    recorder = Recorder()
    async with paused(Manager(), recorder) as pool:
        await pool.add("e")
        await pool.clear("e")
        assert recorder.names() == ["PoolCreated"]
        await pool.ready("e")
        recorder.clear()
        await pool.clear("e")
        await pool.clear("e")
        assert recorder.names() == ["PoolCleared"]


async def test_ready_and_clear_in_turns() -> None:
    """Each change is told once, and ids go on: the endpoint was added."""
    manager, recorder = Manager(), Recorder()
    async with paused(manager, recorder) as pool:
        for _ in range(2):
            await pool.ready("e")
            await held(pool)
            await pool.clear("e")
        assert told(recorder.events) == [
            ("PoolCreated", None),
            ("PoolReady", None),
            ("ConnectionCheckOutStarted", None),
            ("ConnectionCreated", 1),
            ("ConnectionReady", 1),
            ("ConnectionCheckedOut", 1),
            ("ConnectionCheckedIn", 1),
            ("PoolCleared", None),
            ("ConnectionClosed", 1),
            ("PoolReady", None),
            ("ConnectionCheckOutStarted", None),
            ("ConnectionCreated", 2),
            ("ConnectionReady", 2),
            ("ConnectionCheckedOut", 2),
            ("ConnectionCheckedIn", 2),
            ("PoolCleared", None),
            ("ConnectionClosed", 2),
        ]
    assert_empty(pool, manager)


async def test_clear_without_a_name_pauses_all() -> None:
    """Every endpoint that was ready is told of and turns callers away."""
    recorder = Recorder()
    async with paused(Manager(), recorder) as pool:
        await pool.ready("a")
        await pool.ready("b")
        await pool.add("c")
        recorder.clear()
        await pool.clear()
        assert {event.address for event in recorder.events} == {"a", "b"}
        assert recorder.names() == ["PoolCleared", "PoolCleared"]
        for endpoint in ("a", "b"):
            with pytest.raises(PoolClearedError):
                await pool.acquire(endpoint)


async def test_clear_of_one_leaves_the_others_ready() -> None:
    """Only the endpoint named is paused."""
    async with ConnectionPool(Manager(), paused=True) as pool:
        await pool.ready("a")
        await pool.ready("b")
        await pool.clear("a")
        await held(pool, "b")
        with pytest.raises(PoolClearedError):
            await pool.acquire("a")


async def test_what_is_in_use_when_the_pool_pauses_is_closed_on_return() -> None:
    """Checked in, then closed as stale, even if the endpoint is ready again by then."""
    manager, recorder = Manager(), Recorder()
    async with paused(manager, recorder) as pool:
        await pool.ready("e")
        async with pool.connection("e"):
            await pool.clear("e")
            await pool.ready("e")
            recorder.clear()
        assert recorder.events == [
            ConnectionCheckedInEvent("e", 1),
            ConnectionClosedEvent("e", 1, "stale"),
        ]
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_clear_that_pauses_turns_the_queue_away() -> None:
    """All who wait get the error, after the clear was told."""
    manager, recorder = Manager(), Recorder()
    async with paused(manager, recorder, max_size=1) as pool:
        await pool.ready("e")
        lease = await pool.acquire("e")
        callers = [await call_soon(pool.acquire, "e") for _ in range(3)]
        await until(lambda: pool.stats().waiting == 3)
        recorder.clear()
        await pool.clear("e")
        for caller in callers:
            with pytest.raises(PoolClearedError):
                await caller.result()
        assert recorder.names() == ["PoolCleared"] + 3 * ["ConnectionCheckOutFailed"]
        failed = recorder.events[1:]
        assert [event.reason for event in failed] == 3 * ["connectionError"]
        await lease.release()
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_who_was_turned_away_is_not_let_in_by_a_later_ready() -> None:
    """The queue of the moment of the clear is gone, however soon the endpoint is ready again."""
    manager = Manager()
    async with ConnectionPool(manager, paused=True, max_size=1) as pool:
        await pool.ready("e")
        lease = await pool.acquire("e")
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: pool.stats().waiting == 1)
        await pool.clear("e")
        await pool.ready("e")
        with pytest.raises(PoolClearedError):
            await caller.result()
        await lease.release()
    assert_empty(pool, manager)


@pytest.mark.concurrency
@pytest.mark.parametrize("ready_again", [False, True])
async def test_a_connect_that_a_pausing_clear_overtakes(ready_again: bool) -> None:
    """It is closed as stale; its caller is turned away, even if ``ready`` came in between."""
    manager, recorder = Manager(), Recorder()
    async with paused(manager, recorder) as pool:
        await pool.ready("e")
        gate = manager.create_gate = Gate()
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        if ready_again:
            await pool.ready("e")
        gate.open()
        with pytest.raises(PoolClearedError):
            await caller.result()
        await until(lambda: pool.stats().total == 0)
        assert recorder.reasons() == [(1, "stale")]
        assert recorder.names(of=ConnectionReadyEvent) == []
        assert recorder.names(of=ConnectionCheckOutFailedEvent) == ["ConnectionCheckOutFailed"]
        assert manager.started == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_connect_begun_after_ready_is_not_touched_by_the_clear_before() -> None:
    """A clear is about its own moment: later connects are of the new generation."""
    manager = Manager()
    async with ConnectionPool(manager, paused=True) as pool:
        await pool.ready("e")
        await pool.clear("e")
        await pool.ready("e")
        gate = manager.create_gate = Gate()
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        gate.open()
        await (await caller.result()).release()
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
@pytest.mark.parametrize("hook", ["check_aliveness", "on_acquire"])
@pytest.mark.parametrize("ready_again", [False, True])
async def test_a_clear_that_pauses_while_a_connection_is_vetted(
    hook: str, ready_again: bool
) -> None:
    """When the check or hook ends, the connection is closed as stale and the caller turned away."""
    manager, recorder = Hooked(), Recorder()
    async with paused(manager, recorder, check_after_idle=0) as pool:
        await pool.ready("e")
        await held(pool)
        gate = manager.gates[hook] = Gate()
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        if ready_again:
            await pool.ready("e")
        gate.open()
        with pytest.raises(PoolClearedError):
            await caller.result()
        await until(lambda: pool.stats().total == 0)
        assert recorder.reasons() == [(1, "stale")]
        assert manager.started == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_dead_connection_does_not_hide_that_the_pool_paused() -> None:
    """A check that fails after the clear does not make its caller connect."""
    manager = Hooked()
    async with ConnectionPool(manager, paused=True, check_after_idle=0) as pool:
        await pool.ready("e")
        (await held(pool)).alive = False
        gate = manager.gates["check_aliveness"] = Gate()
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        await pool.ready("e")
        gate.open()
        with pytest.raises(PoolClearedError):
            await caller.result()
        await until(lambda: pool.stats().total == 0)
        assert manager.started == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_failed_connect_after_the_clear_reaches_its_caller() -> None:
    """What ``create`` raised is not replaced: the caller learns why there is no connection."""
    manager = Manager()
    async with ConnectionPool(manager, paused=True) as pool:
        await pool.ready("e")
        gate = manager.create_gate = Gate()
        manager.errors = [OSError("refused")]
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        gate.open()
        with pytest.raises(OSError, match="refused"):
            await caller.result()
        await until(lambda: pool.stats().total == 0)
    assert_empty(pool, manager)


async def test_ready_is_told_while_the_endpoint_is_still_paused() -> None:
    """Whoever hears of it cannot have been overtaken by a caller who got in."""
    peeking = Peeking()
    async with ConnectionPool(Manager(), paused=True, event_listeners=[peeking.listener]) as pool:
        peeking.pool = pool
        await pool.ready("e")
        assert "(paused)" in peeking.explained_at(PoolReadyEvent)
        assert "(ready)" in pool.explain()


@pytest.mark.concurrency
async def test_a_clear_is_told_while_the_queue_is_still_there() -> None:
    """Whoever hears of it finds the idle ones idle and those who wait waiting."""
    manager, peeking = Manager(), Peeking()
    options: dict[str, Any] = {"max_size": 1, "event_listeners": [peeking.listener]}
    async with ConnectionPool(manager, paused=True, **options) as pool:
        peeking.pool = pool
        await pool.ready("a")
        await pool.ready("b")
        await held(pool, "a")
        lease = await pool.acquire("b")
        caller = await call_soon(pool.acquire, "b")
        await until(lambda: pool.stats().waiting == 1)
        await pool.clear()
        with pytest.raises(PoolClearedError):
            await caller.result()
        seen = [stats for event, stats in peeking.seen if type(event) is PoolClearedEvent]
        assert [(stats.idle, stats.waiting) for stats in seen] == [(1, 1), (0, 1)]
        await lease.release()
    assert_empty(pool, manager)
