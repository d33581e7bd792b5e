"""Endpoints come and go: ``add`` and ``remove``."""

from typing import Any

import pytest

from pool import PoolClearedError, PoolClosedError, PoolTimeoutError
from pool.aio import ConnectionPool
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionClosedEvent,
    ConnectionReadyEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)
from support.aio import Gate, call_soon, until

from .fakes import Connection, Hooked, Manager, Recorder, assert_empty, held
from .meddlers import Meddling, told


def recorded(manager: Manager, **options: Any) -> tuple[ConnectionPool[Any, Connection], Recorder]:
    recorder = Recorder()
    return ConnectionPool(manager, event_listeners=[recorder.listener], **options), recorder


# -- remove -----------------------------------------------------------------------------------------


async def test_removing_closes_what_is_idle() -> None:
    """Closed as the pool is, then told, before ``remove`` returns; nothing is left."""
    manager = Manager()
    pool, recorder = recorded(manager)
    async with pool:
        await held(pool)
        recorder.clear()
        await pool.remove("e")
        assert recorder.events == [
            ConnectionClosedEvent("e", 1, "poolClosed"),
            PoolClosedEvent("e"),
        ]
        assert manager.live == 0
        assert pool.stats().endpoints == 0


async def test_removing_leaves_other_endpoints_alone() -> None:
    """Their connections stay."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool, "a")
        kept = await held(pool, "b")
        await pool.remove("a")
        assert await held(pool, "b") is kept
    assert_empty(pool, manager)


async def test_removing_an_unknown_endpoint_does_nothing() -> None:
    """Nothing is told."""
    pool, recorder = recorded(Manager())
    async with pool:
        await pool.remove("e")
        assert recorder.events == []


async def test_removing_an_added_endpoint_forgets_it() -> None:
    """To add is no promise for ever."""
    pool, recorder = recorded(Manager())
    async with pool:
        await pool.add("e")
        await pool.remove("e")
        assert recorder.names() == ["PoolCreated", "PoolReady", "PoolClosed"]
        assert pool.stats().endpoints == 0


async def test_what_is_in_use_when_its_endpoint_is_removed() -> None:
    """It can be used to the end of its lease: then checked in, then closed."""
    manager = Manager()
    pool, recorder = recorded(manager)
    async with pool:
        async with pool.connection("e") as connection:
            await pool.remove("e")
            await pool.remove("e")
            assert not connection.disposed
            assert recorder.names().count("PoolClosed") == 1
            recorder.clear()
        assert recorder.events == [
            ConnectionCheckedInEvent("e", 1),
            ConnectionClosedEvent("e", 1, "poolClosed"),
        ]
        assert pool.stats().endpoints == 0
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_those_in_the_queue_of_a_removed_endpoint_are_turned_away() -> None:
    """They do not wait for the endpoint to come back."""
    manager = Manager()
    pool, recorder = recorded(manager, max_size=1)
    async with pool:
        lease = await pool.acquire("e")
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: pool.stats().waiting == 1)
        recorder.clear()
        await pool.remove("e")
        with pytest.raises(PoolClosedError):
            await caller.result()
        assert recorder.names() == ["PoolClosed", "ConnectionCheckOutFailed"]
        assert recorder.events[-1].reason == "poolClosed"
        await lease.release()
    assert_empty(pool, manager)


@pytest.mark.concurrency
@pytest.mark.parametrize("error", [None, OSError("refused")])
async def test_those_who_connect_to_a_removed_endpoint_are_turned_away(
    error: Exception | None,
) -> None:
    """Whether the connect succeeds or fails; what it opened is closed and was never ready."""
    manager = Manager()
    pool, recorder = recorded(manager)
    async with pool:
        gate = manager.create_gate = Gate()
        manager.errors = [error]
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.remove("e")
        gate.open()
        with pytest.raises(PoolClosedError):
            await caller.result()
        await until(lambda: pool.stats().total == 0)
        assert len(recorder.reasons()) == 1
        assert recorder.names(of=ConnectionReadyEvent) == []
        assert recorder.events[-1].reason == "poolClosed"
        assert pool.stats().endpoints == 0
    assert_empty(pool, manager)


@pytest.mark.concurrency
@pytest.mark.parametrize("hook", ["check_aliveness", "on_acquire"])
async def test_a_connection_is_vetted_while_its_endpoint_is_removed(hook: str) -> None:
    """When the check or hook ends, it is closed and its caller turned away."""
    manager = Hooked()
    pool, recorder = recorded(manager, check_after_idle=0)
    async with pool:
        await held(pool)
        gate = manager.gates[hook] = Gate()
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.remove("e")
        gate.open()
        with pytest.raises(PoolClosedError):
            await caller.result()
        await until(lambda: pool.stats().total == 0)
        assert recorder.reasons() == [(1, "poolClosed")]
    assert_empty(pool, manager)


async def test_a_removed_endpoint_that_is_used_again_starts_afresh() -> None:
    """It is created and ready once more, and its ids start again."""
    manager = Manager()
    pool, recorder = recorded(manager)
    async with pool:
        await held(pool)
        await pool.remove("e")
        recorder.clear()
        await held(pool)
        assert told(recorder.events)[:4] == [
            ("PoolCreated", None),
            ("PoolReady", None),
            ("ConnectionCheckOutStarted", None),
            ("ConnectionCreated", 1),
        ]
    assert_empty(pool, manager)


async def test_a_removed_endpoint_is_paused_again() -> None:
    """In a pool that starts endpoints paused, that it was ready is forgotten."""
    async with ConnectionPool(Manager(), paused=True) as pool:
        await pool.ready("e")
        await pool.remove("e")
        with pytest.raises(PoolClearedError):
            await pool.acquire("e")


async def test_a_removed_endpoint_can_be_used_while_old_leases_go_on() -> None:
    """New connections are of the new part; the old one is closed when its lease ends, under its id."""
    manager = Manager()
    pool, recorder = recorded(manager)
    async with pool:
        old = await pool.acquire("e")
        await pool.remove("e")
        recorder.clear()
        fresh = await held(pool)
        assert recorder.names()[:2] == ["PoolCreated", "PoolReady"]
        assert not fresh.disposed
        await old.release()
        assert recorder.reasons() == [(1, "poolClosed")]
        assert await held(pool) is fresh
    assert_empty(pool, manager)


async def test_what_was_removed_is_not_cleared() -> None:
    """The old connection was closed with its part: a clear of the new part is not about it."""
    manager = Manager()
    pool, recorder = recorded(manager)
    async with pool:
        old = await pool.acquire("e")
        await pool.remove("e")
        await held(pool)
        await pool.clear("e")
        await old.release()
        assert recorder.reasons() == [(2, "stale"), (1, "poolClosed")]
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_who_connected_to_the_old_part_is_not_let_in_to_the_new_one() -> None:
    """The caller is turned away, also if the endpoint is in use again when the connect completes."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        gate = manager.create_gate = Gate()
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.remove("e")
        await pool.add("e")
        gate.open()
        with pytest.raises(PoolClosedError):
            await caller.result()
        await until(lambda: pool.stats().total == 0)
        assert manager.started == 1
    assert_empty(pool, manager)


async def test_old_leases_count_against_the_size_of_the_new_part() -> None:
    """The server never sees more than ``max_size``."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        old = await pool.acquire("e")
        await pool.remove("e")
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 0.01)
        await old.release()
        await held(pool)
        assert manager.most_live == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_who_waits_in_the_new_part_is_served_when_an_old_lease_ends() -> None:
    """The place of the old connection is free once it is closed."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        old = await pool.acquire("e")
        await pool.remove("e")
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: pool.stats().waiting == 1)
        await old.release()
        await (await caller.result()).release()
        assert pool.stats().idle == 1
        assert manager.most_live == 1
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["create", "check_aliveness", "on_acquire"])
async def test_a_hook_may_remove_its_endpoint(hook: str) -> None:
    """Its caller is turned away, and nothing is left."""
    manager = Meddling(hook)
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        if hook != "create":
            await held(pool)
        manager.act = lambda: pool.remove("e")
        with pytest.raises(PoolClosedError):
            await pool.acquire("e")
        await until(lambda: pool.stats().endpoints == 0)
        await held(pool)
    assert_empty(pool, manager)


# -- add --------------------------------------------------------------------------------------------


async def test_adding_tells_of_the_endpoint_once() -> None:
    """Created and ready; neither a second ``add`` nor the first use is news."""
    pool, recorder = recorded(Manager())
    async with pool:
        await pool.add("e")
        await pool.add("e")
        assert recorder.events == [PoolCreatedEvent("e", {}), PoolReadyEvent("e")]
        await held(pool)
        assert recorder.names().count("PoolCreated") == 1


async def test_adding_opens_nothing() -> None:
    """The endpoint is known, and that is all."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await pool.add("e")
        assert manager.started == 0
        assert pool.stats().endpoints == 1


async def test_an_added_endpoint_is_remembered_when_it_is_empty() -> None:
    """Its ids go on, and it is not created a second time."""
    manager = Manager()
    pool, recorder = recorded(manager)
    async with pool:
        await pool.add("e")
        for _ in range(2):
            await (await pool.acquire("e")).discard()
        assert pool.stats().endpoints == 1
        assert recorder.reasons() == [(1, "error"), (2, "error")]
        assert recorder.names().count("PoolCreated") == 1
    assert_empty(pool, manager)


async def test_an_endpoint_in_use_can_be_added() -> None:
    """It is no news, but it is remembered from then on."""
    manager = Manager()
    pool, recorder = recorded(manager)
    async with pool:
        lease = await pool.acquire("e")
        recorder.clear()
        await pool.add("e")
        assert recorder.events == []
        await lease.discard()
        assert pool.stats().endpoints == 1


async def test_an_endpoint_added_to_a_pool_that_pauses_is_not_ready() -> None:
    """Only its creation is told."""
    pool, recorder = recorded(Manager(), paused=True)
    async with pool:
        await pool.add("e")
        assert recorder.names() == ["PoolCreated"]


@pytest.mark.parametrize("call", ["add", "ready"])
async def test_nothing_can_be_added_to_a_closed_pool(call: str) -> None:
    """The attempt says so and tells nobody."""
    pool, recorder = recorded(Manager(), paused=True)
    await pool.close()
    with pytest.raises(PoolClosedError, match="closed"):
        await getattr(pool, call)("e")
    assert recorder.events == []
    assert pool.stats().endpoints == 0
