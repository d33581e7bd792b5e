"""Clearing what reached one service behind a load balancer."""

from typing import Any

import pytest

from pool import PoolClearedError
from pool.aio import ConnectionPool
from pool.monitoring import ConnectionReadyEvent, PoolClearedEvent
from support.aio import Gate, call_soon, until

from .fakes import Connection, Hooked, Manager, Recorder, assert_empty, held


class Balanced(Hooked):
    """Behind a load balancer: the n-th connection reaches the n-th service named."""

    def __init__(self, *services: str) -> None:
        super().__init__()
        self.on["service_id"] = lambda conn: services[conn.number - 1]


async def leases_of(pool: ConnectionPool[Any, Connection], number: int) -> list[Any]:
    return [await pool.acquire("e") for _ in range(number)]


async def test_only_the_connections_of_the_service_become_stale() -> None:
    """Idle ones of that service are closed, the others stay."""
    manager, recorder = Balanced("one", "two", "one"), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        for lease in await leases_of(pool, 3):
            await lease.release()
        await pool.clear("e", service_id="one")
        assert sorted(recorder.reasons()) == [(1, "stale"), (3, "stale")]
        assert pool.stats().idle == 1
        assert await held(pool) is manager.opened[1]
    assert_empty(pool, manager)


async def test_those_in_use_are_closed_when_they_come_back() -> None:
    """As with any clear; those of other services are kept."""
    manager, recorder = Balanced("one", "two"), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        leases = await leases_of(pool, 2)
        await pool.clear("e", service_id="one")
        assert recorder.reasons() == []
        for lease in leases:
            await lease.release()
        assert recorder.reasons() == [(1, "stale")]
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_the_event_names_the_service() -> None:
    """So that a listener knows that it is about one service only."""
    manager, recorder = Balanced("one"), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        await held(pool)
        recorder.clear()
        await pool.clear("e", service_id="one")
        assert recorder.events[0] == PoolClearedEvent("e", "one", False)
        assert recorder.names() == ["PoolCleared", "ConnectionClosed"]
    assert_empty(pool, manager)


async def test_a_clear_of_all_is_for_every_service() -> None:
    """Without a service named, whatever was reached is stale."""
    manager = Balanced("one", "two")
    async with ConnectionPool(manager) as pool:
        for lease in await leases_of(pool, 2):
            await lease.release()
        await pool.clear("e")
        assert pool.stats().total == 0
    assert_empty(pool, manager)


async def test_a_connection_without_a_service_belongs_to_none() -> None:
    """It is not touched when a service is cleared."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool)
        await pool.clear("e", service_id="one")
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_a_service_is_cleared_at_every_endpoint() -> None:
    """If none is named."""
    manager = Balanced("one", "one", "two")
    async with ConnectionPool(manager) as pool:
        for endpoint in ("a", "b", "c"):
            await held(pool, endpoint)
        await pool.clear(service_id="one")
        assert [pool.stats(endpoint).idle for endpoint in ("a", "b", "c")] == [0, 0, 1]
    assert_empty(pool, manager)


async def test_clearing_a_service_never_pauses() -> None:
    """The other services of the endpoint are fine, so callers are let in."""
    manager, recorder = Balanced("one", "two"), Recorder()
    async with ConnectionPool(manager, paused=True, event_listeners=[recorder.listener]) as pool:
        await pool.ready("e")
        await held(pool)
        await pool.clear("e", service_id="one")
        await pool.clear("e", service_id="one")
        assert await held(pool) is manager.opened[1]
        assert recorder.names().count("PoolCleared") == 2
    assert_empty(pool, manager)


async def test_clearing_a_service_of_a_paused_endpoint_is_not_told() -> None:
    """A pool that is paused already publishes nothing."""
    recorder = Recorder()
    async with ConnectionPool(Balanced(), paused=True, event_listeners=[recorder.listener]) as pool:
        await pool.add("e")
        recorder.clear()
        await pool.clear("e", service_id="one")
        assert recorder.events == []
        with pytest.raises(PoolClearedError):
            await pool.acquire("e")


@pytest.mark.concurrency
async def test_the_queue_of_a_pool_with_pauses_outlives_the_clear_of_a_service() -> None:
    """Nobody in the queue is turned away."""
    manager = Balanced("one", "two")
    async with ConnectionPool(manager, paused=True, max_size=1) as pool:
        await pool.ready("e")
        lease = await pool.acquire("e")
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: pool.stats().waiting == 1)
        await pool.clear("e", service_id="one")
        assert pool.stats().waiting == 1
        await lease.release()
        await (await caller.result()).release()
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_connect_that_turns_out_to_have_reached_a_cleared_service() -> None:
    """Its service was not known at the clear: it is closed as stale, and its caller connects again."""
    manager, recorder = Balanced("one", "two"), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        gate = manager.create_gate = Gate()
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e", service_id="one")
        gate.open()
        lease = await caller.result()
        assert lease.connection is manager.opened[1]
        await until(lambda: pool.stats().closing == 0)
        assert recorder.reasons() == [(1, "stale")]
        await lease.release()
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_connect_that_reached_another_service_is_kept() -> None:
    """The clear was not about it."""
    manager, recorder = Balanced("two"), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        gate = manager.create_gate = Gate()
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e", service_id="one")
        await pool.clear("e", service_id="three")
        gate.open()
        await (await caller.result()).release()
        assert recorder.reasons() == []
        assert recorder.names(of=ConnectionReadyEvent) == ["ConnectionReady"]
        assert manager.started == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_several_services_cleared_during_one_connect() -> None:
    """Each of them is remembered."""
    manager, recorder = Balanced("one", "two"), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        gate = manager.create_gate = Gate()
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e", service_id="one")
        await pool.clear("e", service_id="three")
        gate.open()
        await (await caller.result()).release()
        await until(lambda: pool.stats().closing == 0)
        assert recorder.reasons() == [(1, "stale")]
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_connection_to_a_cleared_service_that_is_being_checked() -> None:
    """It is closed as stale when the check ends."""
    manager, recorder = Balanced("one", "two"), Recorder()
    listeners = [recorder.listener]
    async with ConnectionPool(manager, check_after_idle=0, event_listeners=listeners) as pool:
        await held(pool)
        gate = manager.gates["check_aliveness"] = Gate()
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e", service_id="one")
        gate.open()
        lease = await caller.result()
        assert lease.connection is manager.opened[1]
        assert recorder.reasons() == [(1, "stale")]
        await lease.release()
        await until(lambda: pool.stats().closing == 0)
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_only_the_service_is_interrupted() -> None:
    """Connections of other services, and connects whose service is not known, are left alone."""
    manager = Balanced("one", "two", "three")
    async with ConnectionPool(manager) as pool:
        leases = await leases_of(pool, 2)
        gate = manager.create_gate = Gate()
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e", service_id="one", interrupt_connections=True)
        assert [id(conn) for conn in manager.interrupted] == [id(leases[0].connection)]
        gate.open()
        leases.append(await caller.result())
        for lease in leases:
            await lease.release()
        assert pool.stats().idle == 2
    assert_empty(pool, manager)


async def test_a_service_id_that_fails_is_a_failed_connect() -> None:
    """What was opened is closed with the reason error, and the caller gets the error."""
    manager, recorder = Hooked(), Recorder()

    def unknown(conn: Connection) -> str:
        raise LookupError("which service?")

    manager.on["service_id"] = unknown
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        with pytest.raises(LookupError):
            await pool.acquire("e")
        await until(lambda: pool.stats().total == 0)
        assert recorder.reasons() == [(1, "error")]
        assert recorder.names(of=ConnectionReadyEvent) == []
    assert_empty(pool, manager)
