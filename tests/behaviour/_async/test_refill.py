"""What is lost is filled again, and comes after callers. With a worker, and by hand."""

import logging

import pytest

from support.aio import Gate, Running, call_soon, until

from .callers import Caller, queued
from .fakes import (
    Chance,
    FakeClock,
    Hooked,
    Keeper,
    Manager,
    Recorder,
    assert_empty,
    held,
)
from .kept import Filled, filling, is_filled

pytestmark = pytest.mark.concurrency


# -- what is lost is filled again ---------------------------------------------------------------------


async def test_what_was_discarded_is_replaced(keeper: Keeper) -> None:
    """However a connection ends."""
    manager = Manager()
    async with Filled(manager, keeper) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        await is_filled(pool)
        await (await pool.acquire("e")).discard()
        await keeper.tend(pool)
        await is_filled(pool)
        with pytest.raises(LookupError):
            async with pool.connection("e"):
                raise LookupError
        await keeper.tend(pool)
        await is_filled(pool)
        assert len(manager.opened) == 4
    assert_empty(pool, manager)


async def test_what_was_cleared_is_replaced(keeper: Keeper) -> None:
    """By connections of the new generation."""
    manager = Manager()
    async with Filled(manager, keeper) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        await is_filled(pool)
        await pool.clear("e")
        await keeper.tend(pool)
        await is_filled(pool)
        assert [connection.disposed for connection in manager.opened] == [True, True, False, False]
    assert_empty(pool, manager)


async def test_what_was_retired_is_replaced(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end of its life."""
    Chance(monkeypatch)
    clock, manager = FakeClock(monkeypatch), Manager()
    async with Filled(manager, keeper) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        await is_filled(pool)
        clock.now += 3600.0
        await keeper.tend(pool)
        await until(lambda: len(manager.disposed) == 2)
        await keeper.tend(pool)
        await is_filled(pool)
        assert len(manager.opened) == 4
    assert_empty(pool, manager)


async def test_what_died_is_replaced(keeper: Keeper) -> None:
    """It was found dead when a caller came, who got the other one."""
    manager = Hooked()
    async with Filled(manager, keeper, check_after_idle=0) as pool:
        await pool.add("e")
        await keeper.tend(pool)
        await is_filled(pool)
        manager.opened[1].alive = False
        await held(pool)
        await keeper.tend(pool)
        await is_filled(pool)
        assert len(manager.opened) == 3
    assert_empty(pool, manager)


async def test_what_was_driven_out_is_replaced_when_there_is_room(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A caller elsewhere needed the room; a fill does not take it from him."""
    Chance(monkeypatch)
    clock, manager = FakeClock(monkeypatch), Manager()
    async with Filled(manager, keeper, min_size=1, max_size=1, total_max_size=1) as pool:
        await pool.add("a")
        await keeper.tend(pool)
        await is_filled(pool, 1)
        async with pool.connection("b") as connection:
            await keeper.tend(pool)
            assert connection.endpoint == "b"
            assert manager.opened[0].disposed
        await keeper.tend(pool)
        assert len(manager.opened) == 2
        await pool.remove("b")
        await keeper.tend(pool)
        await until(lambda: pool.stats("a").idle == 1)
        assert manager.most_live == 1
        clock.now += 1.0
    assert_empty(pool, manager)


# -- callers come first -------------------------------------------------------------------------------


async def test_who_waits_gets_what_was_opened_for_stock(keeper: Keeper) -> None:
    """As soon as it is ready."""
    manager = Manager()
    async with Filled(manager, keeper, min_size=1, max_size=1) as pool:
        gate, call = await filling(keeper, pool, manager)
        waiting = await queued(pool, Caller(pool).call)
        gate.open()
        assert await waiting.result() is manager.opened[0]
        await call.result()
        assert manager.started == 1
    assert_empty(pool, manager)


async def test_who_waits_does_not_share_the_failure_of_a_fill(keeper: Keeper) -> None:
    """He connects himself, at once."""
    manager = Manager()
    async with Filled(manager, keeper, min_size=1, max_size=1) as pool:
        manager.errors = [OSError("refused")]
        gate, call = await filling(keeper, pool, manager)
        waiting = await queued(pool, Caller(pool).call)
        gate.open()
        assert await waiting.result() is manager.opened[0]
        await call.result()
        assert manager.started == 2
    assert_empty(pool, manager)


async def test_the_place_of_one_who_waits_is_his(keeper: Keeper) -> None:
    """What is missing is not opened for stock while somebody waits who can open it."""
    manager = Manager()
    async with Filled(manager, keeper, min_size=1, max_size=1) as pool:
        lease = await pool.acquire("e")
        caller = Caller(pool, holds=True)
        waiting = await queued(pool, caller.call)
        dispose = manager.dispose_gate = Gate()
        ending = await call_soon(lease.discard)
        await until(lambda: dispose.waiting)
        await keeper.look(pool) if keeper.worker else await pool.maintain()
        assert manager.started == 1
        dispose.open()
        await until(lambda: caller.log)
        await ending.result()
        caller.gate.open()
        assert (await waiting.result()).number == 2
        await keeper.tend(pool)
        assert manager.started == 2
    assert_empty(pool, manager)


async def test_the_room_of_one_who_waits_elsewhere_is_his(keeper: Keeper) -> None:
    """What another endpoint gives up for him is not taken for stock."""
    manager = Manager()
    async with Filled(manager, keeper, min_size=1, max_size=1, total_max_size=1) as pool:
        lease = await pool.acquire("a")
        await pool.add("c")
        waiting = await queued(pool, Caller(pool, endpoint="b").call)
        await keeper.tend(pool)
        await lease.release()
        assert (await waiting.result()).endpoint == "b"
        await keeper.tend(pool)
        assert [connection.endpoint for connection in manager.opened] == ["a", "b"]
        assert manager.most_live == 1
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


# -- things that happen meanwhile ---------------------------------------------------------------------


async def test_a_clear_overtakes_a_fill(keeper: Keeper) -> None:
    """What it opened is stale, and never lent; another one is opened."""
    manager, recorder = Manager(), Recorder()
    async with Filled(manager, keeper, min_size=1, event_listeners=[recorder.listener]) as pool:
        gate, call = await filling(keeper, pool, manager)
        await pool.clear("e")
        gate.open()
        await call.result()
        await keeper.tend(pool)
        await is_filled(pool, 1)
        assert recorder.reasons() == [(1, "stale")]
        assert [connection.disposed for connection in manager.opened] == [True, False]
    assert_empty(pool, manager)


async def test_a_clear_of_its_service_overtakes_a_fill(keeper: Keeper) -> None:
    """Which service it reached is known only when it is open."""
    manager = Hooked()
    manager.on["service_id"] = lambda conn: "blue" if conn.number == 1 else "green"
    async with Filled(manager, keeper, min_size=1) as pool:
        gate, call = await filling(keeper, pool, manager)
        await pool.clear("e", service_id="blue")
        gate.open()
        await call.result()
        await keeper.tend(pool)
        await is_filled(pool, 1)
        assert [connection.disposed for connection in manager.opened] == [True, False]
    assert_empty(pool, manager)


async def test_a_close_overtakes_a_fill(keeper: Keeper, caplog: pytest.LogCaptureFixture) -> None:
    """What it opened is closed; nobody is accused of holding it."""
    caplog.set_level(logging.WARNING, "pool.connection")
    manager = Manager()
    pool = Filled(manager, keeper, min_size=1)
    gate, call = await filling(keeper, pool, manager)
    await pool.close()
    assert pool.stats().connecting == 1
    gate.open()
    await call.result()
    await until(lambda: pool.get_size() == 0)
    assert caplog.text == ""
    assert_empty(pool, manager)


async def test_a_remove_overtakes_a_fill(keeper: Keeper) -> None:
    """What it opened is closed, though the endpoint was added again meanwhile."""
    manager = Manager()
    async with Filled(manager, keeper, min_size=1) as pool:
        gate, call = await filling(keeper, pool, manager)
        await pool.remove("e")
        await pool.add("e")
        gate.open()
        await call.result()
        await keeper.tend(pool)
        await is_filled(pool, 1)
        assert [connection.disposed for connection in manager.opened] == [True, False]
    assert_empty(pool, manager)


async def test_a_smaller_maximum_overtakes_a_fill(keeper: Keeper) -> None:
    """What is too much is closed when it is open."""
    manager = Manager()
    pool = Filled(manager, keeper, min_size=1, max_size=1)
    async with pool, pool.connection("e") as connection:
        pool.resize(min_size=1, max_size=2)
        gate = manager.create_gate = Gate()
        pool.resize(min_size=2)
        call: Running[None] = await call_soon(keeper.tend, pool)
        await until(lambda: gate.waiting)
        pool.resize(min_size=1, max_size=1)
        gate.open()
        await call.result()
        await until(lambda: pool.get_size() == 1)
        assert not connection.disposed
    assert_empty(pool, manager)


async def test_a_failed_fill_is_logged_once(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An outage is news only when it begins; the endpoint, the error and the pool's plan are shown."""
    Chance(monkeypatch, 1.0)
    clock, manager = FakeClock(monkeypatch), Manager()
    caplog.set_level(logging.WARNING, "pool.connection")
    manager.errors = [OSError("refused") for _ in range(3)]
    async with Filled(manager, keeper, min_size=1) as pool:
        await pool.add("e")
        for failures in (1, 2, 3):
            await keeper.tend(pool)
            clock.now += 5.0
            assert pool.stats().errors == failures
        assert caplog.text.count("OSError('refused')") == 1
        assert "cannot open a connection to 'e'" in caplog.text
        assert "last connect error 5.000 s ago: OSError('refused')" in pool.explain()
        await keeper.tend(pool)
        await is_filled(pool, 1)
        assert "last connect error" not in pool.explain()
    assert_empty(pool, manager)
