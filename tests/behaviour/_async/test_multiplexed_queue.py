"""Who waits for a share: first come, first served, whichever connection comes free."""

import logging
from typing import Any

import pytest

from pool import PoolExhaustedError, PoolOverloadedError, PoolTimeoutError
from support.aio import Gate, call_soon, until

from .callers import line, queued, queued_late
from .fakes import Hooked, Manager, assert_empty
from .sharers import Shared, Visitor, leave, reached, take, use

pytestmark = pytest.mark.concurrency


async def test_in_the_order_of_their_coming() -> None:
    """Whatever connection is given back, the first gets it."""
    manager = Manager()
    async with Shared(manager, max_pending=2) as pool:
        log: list[Any] = []
        leases = await take(pool, 4)
        visitors = [Visitor(pool, number, log, holds=True) for number in range(5)]
        calls = [await queued(pool, visitor.call) for visitor in visitors]
        for served, lease in enumerate([leases[3], leases[0], leases[2], leases[1]], 1):
            await lease.release()
            await until(reached(log, served))
            assert (pool.pending, pool.stats().waiting) == (4, 5 - served)
        for visitor in visitors:
            visitor.gate.open()
        for call in calls:
            await call.result()
        assert log == [0, 1, 2, 3, 4]
    assert_empty(pool, manager)


async def test_nobody_overtakes() -> None:
    """Who has no time gets nothing while another one waits, nor does he get more than there may be."""
    manager = Manager()
    async with Shared(manager, size=1, max_pending=2) as pool:
        leases = await take(pool, 2)
        with pytest.raises(PoolTimeoutError):
            await pool.acquire(0)
        visitor = Visitor(pool, holds=True)
        call = await queued(pool, visitor.call)
        with pytest.raises(PoolTimeoutError):
            await pool.acquire(0)
        await leases.pop().release()
        await until(lambda: visitor.log)
        await leases.pop().release()
        assert (await use(pool, 0)).number == 1
        visitor.gate.open()
        await call.result()
    assert_empty(pool, manager)


async def test_one_who_gives_up_leaves_his_place() -> None:
    """Those behind him move up; a share that crossed the end of his time goes to the next."""
    manager = Manager()
    async with Shared(manager, size=1, max_pending=1) as pool:
        (lease,) = await take(pool, 1)
        hasty = await queued(pool, use, pool, 0.02)
        patient = await queued(pool, use, pool)
        with pytest.raises(PoolTimeoutError):
            await hasty.result()
        await lease.release()
        assert (await patient.result()).number == 1
        assert pool.stats().timeouts == 1
    assert_empty(pool, manager)


async def test_a_share_that_crosses_the_end_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes to the next."""
    manager = Manager()
    async with Shared(manager, size=1, max_pending=1) as pool:
        (lease,) = await take(pool, 1)
        late = await queued_late(pool, monkeypatch, Visitor(pool).call)
        behind = await queued(pool, use, pool)
        await lease.release()
        with pytest.raises(PoolTimeoutError):
            await late.result()
        assert (await behind.result()).number == 1
        assert pool.pending == 0
    assert_empty(pool, manager)


async def test_what_the_error_says() -> None:
    """The phase, the counts, and who has had his share longest, with the line of his own code."""
    manager = Manager()
    async with Shared(manager, size=1, max_pending=4) as pool:
        first = line() + 1
        lease = await pool.acquire()
        second = line() + 1
        async with pool.connection():
            leases = await take(pool, 2)
            with pytest.raises(PoolTimeoutError) as caught:
                await use(pool, 0)
        text = str(caught.value)
        assert text.startswith(
            "no connection to 'e' within 0 s (phase: queue): 1 connection (1 in use"
        )
        assert "; size=1, max_pending=4, 4 pending; longest: " in text
        function = "test_what_the_error_says"
        assert "longest: #1 in use for " in text
        assert f"from {__file__}:{first} in {function}; #1 in use" in text
        assert f"from {__file__}:{second} in {function}; #1 in use by 2 callers for up to " in text
        assert isinstance(caught.value, PoolExhaustedError)
        assert isinstance(caught.value, TimeoutError)
        await leave([lease, *leases])
    assert_empty(pool, manager)


async def test_too_many_wait() -> None:
    """One more is refused at once, with the reasons."""
    manager = Manager()
    async with Shared(manager, size=1, max_pending=1, max_waiting=1) as pool:
        (lease,) = await take(pool, 1)
        call = await queued(pool, use, pool)
        with pytest.raises(
            PoolOverloadedError, match=r"max_waiting=1.*longest: #1 in use"
        ) as caught:
            await pool.acquire()
        assert __file__ in str(caught.value) or "sharers" in str(caught.value)
        assert "first in the queue for" in str(caught.value)
        await lease.release()
        await call.result()
    assert_empty(pool, manager)


async def test_a_check_keeps_others_waiting_only_for_itself() -> None:
    """While the only one is checked all wait; then they share it at once."""
    manager = Hooked()
    async with Shared(manager, size=1, check_after_idle=0) as pool:
        manager.gates["check_aliveness"] = gate = Gate()
        first = await call_soon(use, pool)
        await until(lambda: gate.waiting)
        assert pool.is_working()
        assert pool.least_loaded() is manager.opened[0]
        others = [await queued(pool, use, pool) for _ in range(3)]
        with pytest.raises(PoolTimeoutError):
            await pool.acquire(0)
        gate.open()
        for call in (first, *others):
            assert (await call.result()).number == 1
        assert manager.calls.count("check_aliveness") <= 4
    assert_empty(pool, manager)


async def test_a_deadlock_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Those who hold all shares and wait for one more learn how many would be enough."""
    manager = Manager()
    async with Shared(manager, size=1, max_pending=1) as pool:
        async with pool.connection():
            with pytest.raises(PoolTimeoutError, match="size x max_pending >= 2"):
                await pool.acquire(0.02)
        warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
        assert ["size x max_pending >= 2" in each.getMessage() for each in warnings] == [True]
    assert_empty(pool, manager)
