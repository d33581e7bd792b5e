"""Clearing while connects, checks and hooks go on, and from within them."""

from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionClosedEvent,
    ConnectionReadyEvent,
    PoolClearedEvent,
)
from support.aio import Gate, call_soon, until

from .fakes import FakeClock, Hooked, Manager, Recorder, assert_empty, held
from .meddlers import Meddling, told


@pytest.mark.concurrency
async def test_a_connect_that_a_clear_overtakes_is_closed_and_done_again() -> None:
    """It is closed as stale when it completes, never ready, and its caller connects again."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        gate = manager.create_gate = Gate()
        acquiring = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        assert (acquiring.done(), manager.disposed) == (False, [])
        gate.open()
        lease = await acquiring.result()
        assert lease.connection is manager.opened[1]
        assert recorder.reasons() == [(1, "stale")]
        assert recorder.names(of=ConnectionReadyEvent) == ["ConnectionReady"]
        assert (pool.stats().created, pool.stats().acquired) == (1, 1)
        await lease.release()
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_the_second_connect_is_told_of_as_part_of_the_same_check_out() -> None:
    """One check-out: a connection that is not ready and closes, and another one that is taken."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        gate = manager.create_gate = Gate()
        acquiring = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        gate.open()
        await (await acquiring.result()).release()
        assert told(recorder.events) == [
            ("PoolCreated", None),
            ("PoolReady", None),
            ("ConnectionCheckOutStarted", None),
            ("ConnectionCreated", 1),
            ("PoolCleared", None),
            ("ConnectionClosed", 1),
            ("ConnectionCreated", 2),
            ("ConnectionReady", 2),
            ("ConnectionCheckedOut", 2),
            ("ConnectionCheckedIn", 2),
        ]


@pytest.mark.concurrency
async def test_an_overtaken_caller_connects_again_within_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second connect gets what is left of the first one's time."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, connect_timeout=None) as pool:
        gate = manager.create_gate = Gate()
        acquiring = await call_soon(pool.acquire, "e", 30.0)
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        clock.now += 10.0
        gate.open()
        await (await acquiring.result()).release()
        assert manager.timeouts == [30.0, 20.0]


@pytest.mark.concurrency
async def test_an_overtaken_caller_whose_time_is_up_does_not_connect_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first connect took all of the time: what it opened is closed, and that is the end."""
    clock, manager, recorder = FakeClock(monkeypatch), Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        gate = manager.create_gate = Gate()
        acquiring = await call_soon(pool.acquire, "e", 30.0)
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        clock.now += 31.0
        gate.open()
        with pytest.raises(PoolTimeoutError):
            await acquiring.result()
        await until(lambda: pool.stats().total == 0)
        assert manager.started == 1
        assert recorder.reasons() == [(1, "stale")]
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_an_overtaken_caller_keeps_its_turn() -> None:
    """It had the permit to connect: it gets the next one before those who came later."""
    manager = Manager()
    options: dict[str, Any] = {"max_connecting": 1, "connect_timeout": None}
    async with ConnectionPool(manager, **options) as pool:
        gate = manager.create_gate = Gate()
        first = await call_soon(pool.acquire, "e", 2000.0)
        await until(lambda: gate.waiting == 1)
        second = await call_soon(pool.acquire, "e", 1000.0)
        await until(lambda: pool.stats().waiting == 1)
        await pool.clear("e")
        gate_again = manager.create_gate = Gate()
        gate.open()
        await until(lambda: gate_again.waiting == 1)
        assert (manager.timeouts[1] or 0.0) > 1000.0, "the second caller overtook the first"
        gate_again.open()
        for acquiring in (first, second):
            await (await acquiring.result()).release()
    assert_empty(pool, manager)


@pytest.mark.concurrency
@pytest.mark.parametrize("hook", ["check_aliveness", "on_acquire"])
async def test_a_clear_while_a_connection_is_vetted(hook: str) -> None:
    """It is closed as stale when its check or hook ends, and the caller gets another one."""
    manager, recorder = Hooked(), Recorder()
    listeners = [recorder.listener]
    async with ConnectionPool(manager, check_after_idle=0, event_listeners=listeners) as pool:
        stale = await held(pool)
        gate = manager.gates[hook] = Gate()
        acquiring = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        assert manager.live == 1
        gate.open()
        lease = await acquiring.result()
        assert lease.connection is not stale
        assert recorder.reasons() == [(1, "stale")]
        await lease.release()
        await until(lambda: pool.stats().closing == 0)
        assert stale.disposed
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_clear_while_a_connection_is_reset() -> None:
    """It is closed as stale when ``on_release`` ends, and not kept."""
    manager, recorder = Hooked(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        lease = await pool.acquire("e")
        gate = manager.gates["on_release"] = Gate()
        releasing = await call_soon(lease.release)
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        recorder.clear()
        gate.open()
        await releasing.result()
        assert recorder.events == [
            ConnectionCheckedInEvent("e", 1),
            ConnectionClosedEvent("e", 1, "stale"),
        ]
    assert_empty(pool, manager)


async def test_on_release_is_not_called_for_a_stale_connection() -> None:
    """Nobody resets what will be closed."""
    manager = Hooked()
    async with ConnectionPool(manager) as pool:
        async with pool.connection("e"):
            await pool.clear("e")
        assert "on_release" not in manager.calls
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["create", "check_aliveness", "on_acquire"])
async def test_a_hook_on_the_way_in_may_clear_the_pool(hook: str) -> None:
    """Its own connection is of the old generation then, and the caller gets a new one."""
    manager, recorder = Meddling(hook), Recorder()
    listeners = [recorder.listener]
    async with ConnectionPool(manager, check_after_idle=0, event_listeners=listeners) as pool:
        if hook != "create":
            await held(pool)
        manager.act = lambda: pool.clear("e")
        assert await held(pool) is manager.opened[1]
        await until(lambda: pool.stats().closing == 0)
        assert recorder.names(of=PoolClearedEvent) == ["PoolCleared"]
        assert recorder.reasons() == [(1, "stale")]
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_on_release_may_clear_the_pool() -> None:
    """The connection that it resets is of the old generation then, and is closed."""
    manager, recorder = Meddling("on_release"), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        manager.act = lambda: pool.clear("e")
        await held(pool)
        assert recorder.names(of=PoolClearedEvent) == ["PoolCleared"]
        assert recorder.reasons() == [(1, "stale")]
        assert pool.stats().total == 0
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["on_connection_dead", "dispose"])
async def test_a_hook_at_the_end_of_a_connection_may_clear_the_pool(hook: str) -> None:
    """The caller whose connection was dead gets another one all the same."""
    manager, recorder = Meddling(hook), Recorder()
    listeners = [recorder.listener]
    async with ConnectionPool(manager, check_after_idle=0, event_listeners=listeners) as pool:
        await pool.add("e")
        (await held(pool)).alive = False
        manager.act = lambda: pool.clear("e")
        assert await held(pool) is not manager.opened[0]
        await until(lambda: manager.act is None and pool.stats().closing == 0)
        assert recorder.names(of=PoolClearedEvent) == ["PoolCleared"]
    assert_empty(pool, manager)
