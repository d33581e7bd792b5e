"""``warm_up``: waiting until ``min_size`` connections are there. With a worker, and by hand."""

from typing import Any

import pytest

from pool import PoolClearedError, PoolClosedError, PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, until

from .callers import Caller
from .fakes import (
    Chance,
    Keeper,
    Manager,
    assert_empty,
)
from .kept import Filled, is_filled

pytestmark = pytest.mark.concurrency


async def test_warming_up_waits_for_the_minimum(keeper: Keeper) -> None:
    """All of it is there then."""
    manager = Manager()
    async with Filled(manager, keeper, min_size=3) as pool:
        gate = manager.create_gate = Gate()
        call: Running[None] = await call_soon(pool.warm_up, "e")
        await until(lambda: gate.waiting)
        assert not call.done()
        gate.open()
        await call.result()
        assert pool.stats().idle == len(manager.opened) == 3
    assert_empty(pool, manager)


async def test_where_nothing_is_kept_it_is_warm(keeper: Keeper) -> None:
    """The endpoint is known then, and stays so."""
    manager = Manager()
    async with Filled(manager, keeper, min_size=0) as pool:
        await pool.warm_up("e", 0)
        assert pool.stats().endpoints == 1
        assert manager.started == 0
    assert_empty(pool, manager)


async def test_what_is_warm_is_warm(keeper: Keeper) -> None:
    """It does not matter what the connections do; even now or never is in time."""
    manager = Manager()
    async with Filled(manager, keeper) as pool:
        await pool.warm_up("e")
        async with pool.connection("e"):
            await pool.warm_up("e", 0)
        assert len(manager.opened) == 2
    assert_empty(pool, manager)


async def test_several_may_wait_for_the_minimum(keeper: Keeper) -> None:
    """All of them go on; it is opened once."""
    manager = Manager()
    async with Filled(manager, keeper) as pool:
        calls: list[Running[None]] = [await call_soon(pool.warm_up, "e") for _ in range(4)]
        for call in calls:
            await call.result()
        assert len(manager.opened) == 2
    assert_empty(pool, manager)


async def test_the_time_to_warm_up_may_be_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says so; the pool goes on trying."""
    manager = Manager()
    async with Filled(manager, Keeper(monkeypatch)) as pool:
        gate = manager.create_gate = Gate()
        with pytest.raises(PoolTimeoutError) as caught:
            await pool.warm_up("e", 0.02)
        text = "min_size=2 connections to 'e' not open within 0.02 s (phase: fill): "
        assert text in str(caught.value)
        assert "connecting for" in str(caught.value)
        gate.open()
        await is_filled(pool)
    assert_empty(pool, manager)


async def test_what_failed_is_the_cause(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last failed connect, named too."""
    Chance(monkeypatch, 1.0)
    manager, error = Manager(), OSError("refused")
    manager.errors = [error] * 2
    async with Filled(manager, keeper) as pool:
        with pytest.raises(PoolTimeoutError, match=r"OSError\('refused'\)") as caught:
            await pool.warm_up("e", 0.05)
        assert caught.value.__cause__ is error
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_failures_are_survived(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    """It tries again after a while, until the minimum is there."""
    Chance(monkeypatch, 0.02)
    manager = Manager()
    manager.errors = [OSError("refused") for _ in range(5)]
    async with Filled(manager, keeper) as pool:
        await pool.warm_up("e")
        assert pool.stats().idle == 2
        assert manager.started == 7
    assert_empty(pool, manager)


async def test_a_closed_pool_cannot_be_warmed_up(keeper: Keeper) -> None:
    """It is an error at once."""
    manager = Manager()
    async with Filled(manager, keeper) as pool:
        pass
    with pytest.raises(PoolClosedError):
        await pool.warm_up("e")
    assert manager.started == 0


@pytest.mark.parametrize("how", ["close", "remove"])
async def test_it_may_be_closed_meanwhile(keeper: Keeper, how: str) -> None:
    """The pool or the endpoint: who waits learns of it."""
    manager = Manager()
    async with Filled(manager, keeper) as pool:
        gate = manager.create_gate = Gate()
        call: Running[None] = await call_soon(pool.warm_up, "e")
        await until(lambda: gate.waiting)
        await (pool.close() if how == "close" else pool.remove("e"))
        gate.open()
        with pytest.raises(PoolClosedError, match="'e' is closed"):
            await call.result()
        await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_a_paused_endpoint_cannot_be_warmed_up(keeper: Keeper) -> None:
    """It is an error at once; when it is ready it can."""
    manager = Manager()
    async with Filled(manager, keeper, paused=True) as pool:
        with pytest.raises(PoolClearedError, match="'e' are paused"):
            await pool.warm_up("e")
        await pool.ready("e")
        await pool.warm_up("e")
        assert pool.stats().idle == 2
    assert_empty(pool, manager)


async def test_it_may_be_paused_meanwhile(keeper: Keeper) -> None:
    """Who waits learns of it."""
    manager = Manager()
    async with Filled(manager, keeper, paused=True) as pool:
        await pool.ready("e")
        await until(lambda: pool.stats().idle == 2 or not keeper.worker)
        async with pool.connection("e"), pool.connection("e"):
            pool.resize(min_size=3)
            gate = manager.create_gate = Gate()
            call: Running[None] = await call_soon(pool.warm_up, "e")
            await until(lambda: gate.waiting)
            await pool.clear("e")
            gate.open()
            with pytest.raises(PoolClearedError, match="'e' are paused"):
                await call.result()
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_a_clear_that_does_not_pause_makes_it_wait_for_new_ones(keeper: Keeper) -> None:
    """What was there does not count."""
    manager = Manager()
    async with Filled(manager, keeper) as pool:
        gate = manager.create_gate = Gate()
        call: Running[None] = await call_soon(pool.warm_up, "e")
        await until(lambda: gate.waiting)
        await pool.clear("e")
        gate.open()
        await call.result()
        assert pool.stats().idle == 2
        stale, fresh = manager.opened[:-2], manager.opened[-2:]
        assert stale
        assert all(connection.disposed for connection in stale)
        assert not any(connection.disposed for connection in fresh)
    assert_empty(pool, manager)


async def test_a_smaller_minimum_ends_the_wait(keeper: Keeper) -> None:
    """It is there already, or nothing need be there."""
    manager = Manager()
    async with Filled(manager, keeper) as pool:
        gate = manager.create_gate = Gate()
        call: Running[None] = await call_soon(pool.warm_up, "e")
        await until(lambda: gate.waiting)
        pool.resize(min_size=0)
        if keeper.worker:
            await call.result()
        gate.open()
        await call.result()
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_the_minimum_may_be_in_use(keeper: Keeper) -> None:
    """It is warm all the same: the connections are there."""
    manager = Manager()
    async with Filled(manager, keeper) as pool:
        gate = manager.create_gate = Gate()
        warming: Running[None] = await call_soon(pool.warm_up, "e")
        await until(lambda: gate.waiting)
        caller = Caller(pool, holds=True)
        call = await call_soon(caller.call)
        gate.open()
        await until(lambda: caller.log)
        await warming.result()
        caller.gate.open()
        await call.result()
    assert_empty(pool, manager)


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), "5", True])
async def test_a_time_to_warm_up_that_makes_no_sense(timeout: Any) -> None:
    """It is an error that names it, before anything is begun."""
    manager = Manager()
    async with ConnectionPool(manager, min_size=1) as pool:
        with pytest.raises((ValueError, TypeError), match="timeout"):
            await pool.warm_up("e", timeout)
        assert pool.stats().endpoints == 0
    assert_empty(pool, manager)
