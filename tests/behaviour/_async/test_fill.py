"""``min_size``: connections that the pool opens by itself. With a worker, and by hand."""

import pytest

from support.aio import call_soon, until

from .callers import Caller
from .fakes import (
    Chance,
    FakeClock,
    Hooked,
    Keeper,
    Manager,
    Recorder,
    assert_empty,
)
from .kept import Filled, filling, is_filled
from .meddlers import told

pytestmark = pytest.mark.concurrency


# -- what is filled -----------------------------------------------------------------------------------


async def test_an_endpoint_that_is_added_is_filled(keeper: Keeper) -> None:
    """Up to ``min_size``, without any caller."""
    manager = Manager()
    async with Filled(manager, keeper, min_size=3) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        await is_filled(pool, 3)
        assert len(manager.opened) == 3
        stats = pool.stats()
        assert (stats.created, stats.acquired, stats.total) == (3, 0, 3)
    assert_empty(pool, manager)


async def test_an_endpoint_that_is_used_is_filled(keeper: Keeper) -> None:
    """What the caller has opened counts."""
    manager = Manager()
    async with Filled(manager, keeper, min_size=3) as pool:
        async with pool.connection("e"):
            await keeper.tend(pool)
            await is_filled(pool, 2)
        assert len(manager.opened) == 3
    assert_empty(pool, manager)


async def test_every_endpoint_is_filled(keeper: Keeper) -> None:
    """Each by itself."""
    manager = Manager()
    async with Filled(manager, keeper) as pool:
        for endpoint in ("a", "b", "c"):
            await pool.add(endpoint)
        await keeper.tend(pool)
        await is_filled(pool, 6)
        assert [pool.stats(endpoint).idle for endpoint in ("a", "b", "c")] == [2, 2, 2]
    assert_empty(pool, manager)


async def test_by_default_nothing_is_filled(keeper: Keeper) -> None:
    """``min_size=0``."""
    manager = Manager()
    async with Filled(manager, keeper, min_size=0) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        assert manager.started == 0
    assert_empty(pool, manager)


async def test_an_endpoint_that_is_to_be_filled_is_not_forgotten(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it has no connection: it will have some."""
    Chance(monkeypatch, 1.0)
    manager = Manager()
    manager.errors = [OSError("refused") for _ in range(4)]
    async with Filled(manager, keeper) as pool:
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        assert pool.stats().endpoints == 1
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_a_greater_minimum_is_filled(keeper: Keeper) -> None:
    """``resize`` at run time."""
    manager = Manager()
    async with Filled(manager, keeper, min_size=0) as pool:
        await pool.add("e")
        pool.resize(min_size=2)
        await keeper.tend(pool)
        await is_filled(pool)
    assert_empty(pool, manager)


async def test_what_was_removed_is_not_filled(keeper: Keeper) -> None:
    """Until it is used again."""
    manager = Manager()
    async with Filled(manager, keeper) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        await is_filled(pool)
        await pool.remove("e")
        await keeper.tend(pool)
        assert pool.get_size() == 0
        assert len(manager.opened) == 2
        await pool.add("e")
        await keeper.tend(pool)
        await is_filled(pool)
    assert_empty(pool, manager)


async def test_a_closed_pool_is_not_filled(keeper: Keeper) -> None:
    """There is nothing to come."""
    manager = Manager()
    async with Filled(manager, keeper) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        await is_filled(pool)
    await pool.maintain()
    assert len(manager.opened) == 2
    assert_empty(pool, manager)


async def test_what_is_told_of_a_fill(keeper: Keeper) -> None:
    """Connections are created and become ready; nobody checks anything out."""
    manager, recorder = Manager(), Recorder()
    async with Filled(manager, keeper, min_size=1, event_listeners=[recorder.listener]) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        await is_filled(pool, 1)
        assert told(recorder.events) == [
            ("PoolCreated", None),
            ("PoolReady", None),
            ("ConnectionCreated", 1),
            ("ConnectionReady", 1),
        ]
    assert_empty(pool, manager)


async def test_what_is_told_of_a_fill_that_fails(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection that was created is closed, for an error."""
    Chance(monkeypatch, 1.0)
    manager, recorder = Manager(), Recorder()
    manager.errors = [OSError("refused")]
    async with Filled(manager, keeper, min_size=1, event_listeners=[recorder.listener]) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        await until(lambda: recorder.reasons())
        assert told(recorder.events)[2:] == [("ConnectionCreated", 1), ("ConnectionClosed", 1)]
        assert recorder.reasons() == [(1, "error")]
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_hooks_of_callers_are_not_called(keeper: Keeper) -> None:
    """Nobody acquires or releases; but the service is asked for."""
    manager = Hooked()
    manager.on["service_id"] = lambda conn: "blue"
    async with Filled(manager, keeper) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        await is_filled(pool)
        assert manager.calls == []
        await pool.clear("e", service_id="green")
        assert pool.stats().idle == 2
        await pool.clear("e", service_id="blue")
        assert len(manager.disposed) == 2
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


# -- within limits ------------------------------------------------------------------------------------


async def test_a_fill_keeps_to_max_connecting(keeper: Keeper) -> None:
    """Together with the callers who connect."""
    manager = Manager()
    async with Filled(manager, keeper, min_size=8, max_connecting=3) as pool:
        gate, call = await filling(keeper, pool, manager)
        calls = [await call_soon(Caller(pool).call) for _ in range(4)]
        await until(lambda: gate.waiting == 3)
        await until(lambda: pool.stats().waiting + pool.stats().connecting >= 5)
        gate.open()
        await call.result()
        for caller in calls:
            await caller.result()
        await keeper.tend(pool)
        await is_filled(pool, 8)
        assert manager.most_creating <= 3
    assert_empty(pool, manager)


async def test_a_fill_keeps_to_the_total(keeper: Keeper) -> None:
    """It opens nothing where the pool is full, and drives nobody out."""
    manager = Manager()
    async with Filled(manager, keeper, max_size=2, total_max_size=3) as pool:
        for endpoint in ("a", "b"):
            await pool.add(endpoint)
            await keeper.tend(pool)
        await is_filled(pool, 3)
        await keeper.tend(pool)
        assert (pool.stats("a").idle, pool.stats("b").idle) == (2, 1)
        assert manager.disposed == []
        assert manager.most_live == 3
    assert_empty(pool, manager)


async def test_what_found_no_room_is_filled_when_there_is(keeper: Keeper) -> None:
    """Wherever it comes from: here another endpoint is removed."""
    manager = Manager()
    async with Filled(manager, keeper, max_size=2, total_max_size=2) as pool:
        for endpoint in ("a", "b"):
            await pool.add(endpoint)
            await keeper.tend(pool)
        await is_filled(pool)
        await pool.remove("a")
        await keeper.tend(pool)
        await until(lambda: pool.stats("b").idle == 2)
        assert manager.most_live == 2
    assert_empty(pool, manager)


async def test_who_needs_nothing_any_more_holds_nobody_up(keeper: Keeper) -> None:
    """The next one that found no room has what he leaves."""
    manager = Manager()
    async with Filled(
        manager, keeper, min_size=1, max_size=1, total_max_size=1, paused=True
    ) as pool:
        for endpoint in ("a", "b", "c"):
            await pool.ready(endpoint)
            await keeper.tend(pool)
        await is_filled(pool, 1)
        await pool.clear("b")
        await pool.remove("a")
        await keeper.tend(pool)
        await until(lambda: pool.stats("c").idle == 1)
        assert [connection.endpoint for connection in manager.opened] == ["a", "c"]
    assert_empty(pool, manager)


async def test_who_must_be_patient_holds_nobody_up(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fill that has failed is tried again later; till then another one has the room."""
    Chance(monkeypatch, 1.0)
    clock, manager = FakeClock(monkeypatch), Manager()
    async with Filled(manager, keeper, min_size=1, max_size=1, total_max_size=1) as pool:
        lease = await pool.acquire("a")
        for endpoint in ("b", "c"):
            await pool.add(endpoint)
        await keeper.tend(pool)
        pool._engine.books._homes["b"].failures = 1
        pool._engine.books._homes["b"].retry = clock.now + 5.0
        await pool.remove("a")
        await lease.release()
        await keeper.tend(pool)
        await until(lambda: pool.stats("c").idle == 1)
    assert_empty(pool, manager)


async def test_more_room_is_used(keeper: Keeper) -> None:
    """The total is made greater."""
    manager = Manager()
    async with Filled(manager, keeper, max_size=2, total_max_size=2) as pool:
        for endpoint in ("a", "b", "c"):
            await pool.add(endpoint)
            await keeper.tend(pool)
        await is_filled(pool)
        pool.resize(total_max_size=6)
        await keeper.tend(pool)
        await is_filled(pool, 6)
    assert_empty(pool, manager)


# -- paused -------------------------------------------------------------------------------------------


async def test_a_paused_endpoint_is_not_filled(keeper: Keeper) -> None:
    """Not before it is ready."""
    manager = Manager()
    async with Filled(manager, keeper, paused=True) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        assert manager.started == 0
        await pool.ready("e")
        await keeper.tend(pool)
        await is_filled(pool)
    assert_empty(pool, manager)


async def test_what_a_clear_has_paused_is_not_filled(keeper: Keeper) -> None:
    """Not before it is ready again."""
    manager = Manager()
    async with Filled(manager, keeper, paused=True) as pool:
        await pool.ready("e")
        await keeper.tend(pool)
        await is_filled(pool)
        await pool.clear("e")
        await keeper.tend(pool)
        assert pool.get_size() == 0
        assert manager.started == 2
        await pool.ready("e")
        await keeper.tend(pool)
        await is_filled(pool)
    assert_empty(pool, manager)
