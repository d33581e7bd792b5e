"""In which phase the time was up, and what the error is caused by."""

from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, call_soon, until

from .callers import connecting
from .fakes import FakeClock, Hooked, Manager, assert_empty, held

pytestmark = pytest.mark.concurrency


async def take(pool: ConnectionPool[Any, Any], timeout: float | None) -> None:
    """Hold a connection to "e" for a moment."""
    async with pool.connection("e", timeout):
        pass


async def test_a_timeout_in_the_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cause is what ``create`` raised then, not what failed before."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager) as pool:
        old, new = OSError("refused"), OSError("reset")
        manager.errors = [old]
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        gate = manager.create_gate = Gate()
        manager.errors = [new]
        call = await connecting(pool, take, pool, 5.0)
        clock.now += 6.0
        gate.open()
        with pytest.raises(PoolTimeoutError) as caught:
            await call.result()
        text = str(caught.value)
        assert text.startswith("no connection to 'e' within 5.0 s (phase: connect): 1 connection (")
        assert f"longest: #1 connecting for 6.000 s by {call.who}, from " in text
        assert text.endswith("last connect error 0.000 s ago: OSError('reset')")
        assert caught.value.__cause__ is new
    assert_empty(pool, manager)


async def test_a_connect_that_succeeds_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was raised: there is no cause."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager) as pool:
        gate = manager.create_gate = Gate()
        call = await connecting(pool, take, pool, 5.0)
        clock.now += 6.0
        gate.open()
        with pytest.raises(PoolTimeoutError, match=r"within 5.0 s \(phase: connect\)") as caught:
            await call.result()
        assert caught.value.__cause__ is None
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["check_aliveness", "on_acquire"])
async def test_a_timeout_in_the_check(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cause is what the hook raised."""
    clock, manager, error = FakeClock(monkeypatch), Hooked(), OSError("broken pipe")

    def fail(connection: Any) -> None:
        raise error

    async with ConnectionPool(manager, check_after_idle=0) as pool:
        await held(pool)
        manager.on[hook] = fail
        gate = manager.gates[hook] = Gate()
        call = await call_soon(take, pool, 5.0)
        await until(lambda: gate.waiting == 1)
        clock.now += 6.0
        gate.open()
        with pytest.raises(PoolTimeoutError) as caught:
            await call.result()
        assert str(caught.value).startswith("no connection to 'e' within 5.0 s (phase: check): ")
        assert caught.value.__cause__ is error
        manager.on.clear()
    assert_empty(pool, manager)


async def test_the_cause_is_known_after_the_endpoint_was_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A refused connect to an endpoint that has nothing else leaves the reason."""
    clock, manager, error = FakeClock(monkeypatch), Manager(), OSError("refused")
    async with ConnectionPool(manager) as pool:
        manager.errors = [error]
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        await until(lambda: pool.stats().endpoints == 0)
        clock.now += 2.0
        with pytest.raises(PoolTimeoutError) as caught:
            await pool.acquire("e", 0)
        text = str(caught.value)
        assert "(phase: queue): 0 connections (" in text
        assert text.endswith("last connect error 2.000 s ago: OSError('refused')")
        assert caught.value.__cause__ is error
    assert_empty(pool, manager)


async def test_an_error_at_another_endpoint_is_no_cause() -> None:
    """What failed there says nothing about this one."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        manager.errors = [OSError("refused")]
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("f")
        with pytest.raises(PoolTimeoutError) as caught:
            await pool.acquire("e", 0)
        assert "refused" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert_empty(pool, manager)


async def test_a_connect_that_succeeded_ends_the_story() -> None:
    """What failed before it is no cause any more."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        manager.errors = [OSError("refused")]
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        async with pool.connection("e"):
            with pytest.raises(PoolTimeoutError) as caught:
                await pool.acquire("e", 0)
        assert "refused" not in str(caught.value)
        assert caught.value.__cause__ is None
    assert_empty(pool, manager)
