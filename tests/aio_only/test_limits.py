"""Time limits of the async pool: it cuts short what does not care for its timeout."""

import asyncio
from typing import Any

import pytest
from behaviour._async.fakes import Hooked, Manager, Recorder, assert_empty, held

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, until

#: Seconds that really pass: enough to get from the call to what hangs, however crowded the machine is.
AMPLE = 0.25


async def test_a_create_that_hangs_is_cut_at_the_connect_timeout() -> None:
    """The error is a ``TimeoutError`` that says where to and how long; the slot is free."""
    manager = Manager()
    manager.create_gate = Gate()
    async with ConnectionPool(manager, max_size=1, connect_timeout=0.02) as pool:
        with pytest.raises(
            TimeoutError, match=r"connect to 'e' took longer than 0.020 s"
        ) as caught:
            await pool.acquire("e", 10.0)
        assert not isinstance(caught.value, PoolTimeoutError)
        assert manager.creating == 0
        manager.create_gate.open()
        await held(pool)
        assert (pool.stats().errors, pool.stats().timeouts) == (1, 0)
    assert_empty(pool, manager)


async def test_a_create_that_hangs_is_cut_at_the_deadline() -> None:
    """Then it is the acquire that took too long."""
    manager = Manager()
    manager.create_gate = Gate()
    async with ConnectionPool(manager, max_size=1) as pool:
        with pytest.raises(PoolTimeoutError, match="phase: connect") as caught:
            await pool.acquire("e", AMPLE)
        assert type(caught.value.__cause__) is TimeoutError
        assert manager.creating == 0
        manager.create_gate.open()
        await held(pool)
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["check_aliveness", "on_acquire"])
async def test_a_hook_that_hangs_is_cut_at_the_deadline(hook: str) -> None:
    """Its connection is closed; whatever state the hook left it in, nobody sees it."""
    manager, recorder = Hooked(), Recorder()
    async with ConnectionPool(
        manager, max_size=1, check_after_idle=0, event_listeners=[recorder.listener]
    ) as pool:
        await held(pool)
        manager.gates[hook] = Gate()
        with pytest.raises(PoolTimeoutError, match="phase: check") as caught:
            await pool.acquire("e", AMPLE)
        assert type(caught.value.__cause__) is TimeoutError
        assert manager.gates.pop(hook).waiting == 0
        assert recorder.reasons() == [(1, "error")]
        assert (await held(pool)).number == 2
    assert_empty(pool, manager)


async def test_a_hook_for_the_dead_that_hangs_is_cut_at_the_deadline() -> None:
    """The dead connection is disposed of all the same."""
    manager = Hooked()
    gate = manager.gates["on_connection_dead"] = Gate()
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        dead = await held(pool)
        dead.alive = False
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", AMPLE)
        assert gate.waiting == 0
        await until(lambda: pool.stats().total == 0)
        assert dead.disposed
    assert_empty(pool, manager)


async def test_a_timeout_of_the_manager_s_own_is_not_taken_for_the_pool_s() -> None:
    """While there is time left, it is an error like any other: the very object."""
    manager, error = Manager(), TimeoutError()
    manager.errors = [error]
    async with ConnectionPool(manager) as pool:
        with pytest.raises(TimeoutError) as caught:
            await pool.acquire("e", 10.0)
        assert caught.value is error


async def test_a_create_that_ignores_its_cancellation_is_kept_for_others() -> None:
    """It was cut, but came back with a connection: that is idle now, and its caller has no time."""

    class Stubborn(Manager):
        async def create(self, endpoint: Any, timeout: float | None) -> Any:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                return await super().create(endpoint, timeout)

    manager = Stubborn()
    async with ConnectionPool(manager) as pool:
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", AMPLE)
        async with pool.connection("e", 0) as connection:
            assert connection is manager.opened[0]
    assert_empty(pool, manager)
