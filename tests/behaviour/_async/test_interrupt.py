"""``interrupt_connections``: what is in use or connecting is broken off."""

import logging
from typing import Any

import pytest

from pool import PoolClearedError, PoolClosedError, PoolTimeoutError
from pool.aio import ConnectionPool
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionClosedEvent,
    ConnectionReadyEvent,
    PoolClearedEvent,
)
from support.aio import Gate, call_soon, until

from .fakes import Connection, FakeClock, Hooked, Manager, Recorder, assert_empty, held
from .meddlers import Breakable, told


class Touchy(Manager):
    """Its ``interrupt`` fails."""

    def interrupt(self, endpoint: Any, conn: Connection | None) -> None:
        super().interrupt(endpoint, conn)
        raise OSError("do not touch")


class Broken(Exception):
    """What an interrupted connection raises in its user's hands."""


async def test_what_is_in_use_is_interrupted_once() -> None:
    """The manager is asked to break each connection in use; what is idle is just closed."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        first, second, third = [await pool.acquire("e") for _ in range(3)]
        await third.release()
        await pool.clear("e", interrupt_connections=True)
        assert list(map(id, manager.interrupted)) == [id(first.connection), id(second.connection)]
        assert manager.disposed == [manager.opened[2]]
        await first.release()
        await second.release()
    assert_empty(pool, manager)


async def test_nothing_is_interrupted_unless_asked_for() -> None:
    """A plain clear or close leaves those in use alone."""
    manager = Manager()
    pool = ConnectionPool(manager)
    lease = await pool.acquire("e")
    await pool.clear("e")
    await pool.close()
    assert manager.interrupted == []
    await lease.release()
    assert_empty(pool, manager)


async def test_other_endpoints_are_not_interrupted() -> None:
    """Only what leads to the endpoint named is broken."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        one, other = await pool.acquire("a"), await pool.acquire("b")
        await pool.clear("a", interrupt_connections=True)
        assert [id(connection) for connection in manager.interrupted] == [id(one.connection)]
        await one.release()
        await other.release()
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_the_clear_says_that_it_interrupts() -> None:
    """And it is told before anything is interrupted."""
    recorder = Recorder()
    told_by_then: list[Any] = []

    class Noting(Manager):
        def interrupt(self, endpoint: Any, conn: Connection | None) -> None:
            told_by_then.extend(recorder.events)

    async with ConnectionPool(Noting(), event_listeners=[recorder.listener]) as pool:
        lease = await pool.acquire("e")
        recorder.clear()
        await pool.clear("e", interrupt_connections=True)
        await lease.release()
    assert told_by_then == [PoolClearedEvent("e", None, True)]


@pytest.mark.parametrize("reusable", [False, True])
async def test_the_error_of_an_interrupted_body_closes_as_stale(reusable: bool) -> None:
    """The body fails, its error is raised, and the reason is the clear, whatever ``can_reuse`` says."""
    manager, recorder = Hooked(), Recorder()
    manager.on["can_reuse"] = lambda conn, error: reusable

    async def body() -> None:
        async with pool.connection("e") as connection:
            await pool.clear("e", interrupt_connections=True)
            recorder.clear()
            assert connection.interrupted
            raise Broken

    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        with pytest.raises(Broken):
            await body()
        assert recorder.events == [
            ConnectionCheckedInEvent("e", 1),
            ConnectionClosedEvent("e", 1, "stale"),
        ]
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_creates_are_interrupted_once_per_endpoint() -> None:
    """``interrupt`` with no connection breaks all creates of an endpoint; the callers connect again."""
    manager, recorder = Breakable(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        callers = [await call_soon(pool.acquire, endpoint) for endpoint in ("a", "a")]
        await until(lambda: manager.creating == 2)
        await pool.clear(interrupt_connections=True)
        assert manager.where == [("a", None)]
        leases = [await caller.result() for caller in callers]
        assert manager.started == 4
        for lease in leases:
            await lease.release()
        await until(lambda: pool.stats().closing == 0)
        assert sorted(recorder.reasons()) == [(1, "stale"), (2, "stale")]
        assert len(recorder.names(of=ConnectionReadyEvent)) == 2
        assert pool.stats().idle == 2
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_each_endpoint_with_creates_in_progress_is_named() -> None:
    """A clear of all endpoints interrupts the creates of each, and no others."""
    manager = Breakable()
    async with ConnectionPool(manager) as pool:
        callers = [await call_soon(pool.acquire, endpoint) for endpoint in ("a", "b")]
        await until(lambda: manager.creating == 2)
        await pool.add("c")
        await pool.clear(interrupt_connections=True)
        assert sorted(manager.where) == [("a", None), ("b", None)]
        for caller in callers:
            await (await caller.result()).release()
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_the_caller_of_an_interrupted_create_is_as_before() -> None:
    """It connects again and can wait for other things afterwards: nobody has cancelled it."""
    manager, after = Breakable(), Gate()

    async def caller() -> str:
        async with pool.connection("e"):
            await after.wait()
        return "done"

    async with ConnectionPool(manager) as pool:
        calling = await call_soon(caller)
        await until(lambda: manager.creating == 1)
        await pool.clear("e", interrupt_connections=True)
        await until(lambda: after.waiting == 1)
        after.open()
        assert await calling.result() == "done"
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_an_interrupted_create_in_a_pool_that_pauses() -> None:
    """Its caller is turned away."""
    manager, recorder = Breakable(), Recorder()
    listeners = [recorder.listener]
    async with ConnectionPool(manager, paused=True, event_listeners=listeners) as pool:
        await pool.ready("e")
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: manager.creating == 1)
        recorder.clear()
        await pool.clear("e", interrupt_connections=True)
        with pytest.raises(PoolClearedError):
            await caller.result()
        await until(lambda: pool.stats().total == 0)
        assert told(recorder.events) == [
            ("PoolCleared", None),
            ("ConnectionClosed", 1),
            ("ConnectionCheckOutFailed", 0),
        ]
        assert recorder.reasons() == [(1, "stale")]
        assert manager.started == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_an_interrupted_create_whose_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no time left to connect again: the caller has timed out."""
    clock, manager = FakeClock(monkeypatch), Breakable()
    async with ConnectionPool(manager) as pool:
        caller = await call_soon(pool.acquire, "e", 30.0)
        await until(lambda: manager.creating == 1)
        clock.now += 31.0
        await pool.clear("e", interrupt_connections=True)
        with pytest.raises(PoolTimeoutError):
            await caller.result()
        await until(lambda: pool.stats().total == 0)
        assert manager.started == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_those_in_the_queue_are_served_after_an_interruption() -> None:
    """Interrupting the creates frees their permits for whoever is next."""
    manager = Breakable()
    async with ConnectionPool(manager, max_connecting=1) as pool:
        callers = [await call_soon(pool.acquire, "e") for _ in range(3)]
        await until(lambda: manager.creating == 1 and pool.stats().waiting == 2)
        await pool.clear("e", interrupt_connections=True)
        leases = [await caller.result() for caller in callers]
        assert len(set(map(id, [lease.connection for lease in leases]))) == 3
        for lease in leases:
            await lease.release()
    assert_empty(pool, manager)


@pytest.mark.concurrency
@pytest.mark.parametrize("hook", ["check_aliveness", "on_acquire", "on_release"])
async def test_a_connection_in_a_hook_is_interrupted(hook: str) -> None:
    """Whoever works with it is using it."""
    manager = Hooked()
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        connection = await held(pool)
        gate = manager.gates[hook] = Gate()
        calling = await call_soon(held, pool)
        await until(lambda: gate.waiting == 1)
        await pool.clear("e", interrupt_connections=True)
        assert len(manager.interrupted) == 1
        assert connection.interrupted
        gate.open()
        await calling.result()
        await until(lambda: pool.stats().closing == 0)
        assert connection.disposed
    assert_empty(pool, manager)


async def test_a_pool_that_is_paused_already_interrupts_still() -> None:
    """The second clear is not told, but what is left in use is broken."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, paused=True, event_listeners=[recorder.listener]) as pool:
        await pool.ready("e")
        async with pool.connection("e") as connection:
            await pool.clear("e")
            recorder.clear()
            await pool.clear("e", interrupt_connections=True)
            assert connection.interrupted
            assert recorder.events == []
    assert_empty(pool, manager)


async def test_an_interrupt_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Each one is; the others are interrupted all the same, and nobody gets the error."""
    manager = Touchy()
    async with ConnectionPool(manager) as pool:
        leases = [await pool.acquire("e") for _ in range(2)]
        await pool.clear("e", interrupt_connections=True)
        assert len(manager.interrupted) == 2
        failures = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert [record.name for record in failures] == ["pool.connection"] * 2
        assert all("do not touch" in (record.exc_text or "") for record in failures)
        for lease in leases:
            await lease.release()
    assert_empty(pool, manager)


async def test_close_interrupts_when_its_time_is_up() -> None:
    """What is still in use then is broken, and closed when its lease ends."""
    manager, recorder = Manager(), Recorder()
    pool = ConnectionPool(manager, event_listeners=[recorder.listener])
    lease = await pool.acquire("e")
    await pool.close(0.01, interrupt_connections=True)
    assert lease.connection.interrupted
    assert not lease.connection.disposed
    await lease.release()
    assert recorder.reasons() == [(1, "poolClosed")]
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_close_does_not_interrupt_what_ends_in_time() -> None:
    """Nothing is left to be broken."""
    manager = Manager()
    pool = ConnectionPool(manager)
    lease = await pool.acquire("e")

    async def closing() -> None:
        await pool.close(30.0, interrupt_connections=True)

    closed = await call_soon(closing)
    await until(lambda: " closed:" in repr(pool))
    await lease.release()
    await closed.result()
    assert manager.interrupted == []
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_close_interrupts_the_creates_too() -> None:
    """Their callers are told that the pool is closed."""
    manager, recorder = Breakable(), Recorder()
    pool = ConnectionPool(manager, event_listeners=[recorder.listener])
    caller = await call_soon(pool.acquire, "e")
    await until(lambda: manager.creating == 1)
    await pool.close(interrupt_connections=True)
    with pytest.raises(PoolClosedError):
        await caller.result()
    await until(lambda: pool.stats().total == 0)
    assert manager.where == [("e", None)]
    assert recorder.reasons() == [(1, "poolClosed")]
    assert recorder.events[-1].reason == "poolClosed"
    assert_empty(pool, manager)
