"""The end of shared connections: a clear, and the close of their pool."""

import re

import pytest

from pool import LeaseReleasedError, PoolClosedError
from support.aio import Gate, call_soon, until

from .callers import line, queued
from .fakes import Manager, Recorder, assert_empty
from .meddlers import Breakable
from .sharers import Shared, Visitor, leave, numbers, spoil, take, use

pytestmark = pytest.mark.concurrency


# -- clear ------------------------------------------------------------------------------------------


async def test_a_clear() -> None:
    """Idle ones are closed, those in use when the last caller has left; they are not broken."""
    manager, recorder = Manager(), Recorder()
    async with Shared(manager, event_listeners=[recorder.listener]) as pool:
        leases = await take(pool, 3)
        rare = next(lease for lease in leases if [each.id for each in leases].count(lease.id) == 1)
        await rare.release()
        await pool.clear()
        assert len(manager.disposed) == 1
        assert (pool.broken, pool.is_working()) == ([], False)
        connection = await use(pool)
        assert connection.number == 3
        await leave(leases)
        assert len(manager.disposed) == 2
        assert [reason for _, reason in recorder.reasons()] == ["stale", "stale"]
        assert "PoolCleared" in recorder.names()
        assert "PoolReady" not in recorder.names()[2:]
    assert_empty(pool, manager)


async def test_a_clear_that_interrupts() -> None:
    """Every connection in use once, whoever shares it."""
    manager = Manager()
    async with Shared(manager) as pool:
        leases = await take(pool, 4)
        await pool.clear(interrupt_connections=True)
        assert sorted(numbers(each for each in manager.interrupted if each)) == [1, 2]
        assert manager.disposed == []
        await leave(leases)
    assert_empty(pool, manager)


async def test_a_clear_of_nothing() -> None:
    """It is nothing, and is not told."""
    manager, recorder = Manager(), Recorder()
    pool = Shared(manager, event_listeners=[recorder.listener])
    await pool.clear()
    assert recorder.events == []
    await pool.close()


async def test_those_who_wait_are_served_by_new_ones() -> None:
    """After a clear, as soon as there is room."""
    manager = Manager()
    async with Shared(manager, size=1, max_pending=1) as pool:
        (lease,) = await take(pool, 1)
        call = await queued(pool, use, pool)
        await pool.clear()
        assert pool.stats().waiting == 1
        await lease.release()
        assert (await call.result()).number == 2
    assert_empty(pool, manager)


async def test_a_stale_one_that_breaks() -> None:
    """It is not to be replaced."""
    manager = Manager()
    async with Shared(manager, size=1) as pool:
        leases = await take(pool, 2)
        await pool.clear()
        await leases[0].discard()
        await leases[1].release()
        assert (pool.broken, pool.is_empty()) == ([], True)
        await pool.maintain()
        assert manager.started == 1
    assert_empty(pool, manager)


async def test_what_was_broken_stays_listed() -> None:
    """A clear does not replace it."""
    manager = Manager()
    async with Shared(manager) as pool:
        await spoil(pool)
        await pool.clear()
        assert (len(pool.broken), pool.connected) == (1, [])
        assert await pool.reconnect() == 1
        assert (pool.broken, numbers(pool.connected)) == ([], [3])
    assert_empty(pool, manager)


# -- close ------------------------------------------------------------------------------------------


async def test_a_close_with_callers(caplog: pytest.LogCaptureFixture) -> None:
    """Who waits is refused, who has a share keeps it, and is named in the log with his own line."""
    manager = Manager()
    pool = Shared(manager, size=1, max_pending=2, name="main")
    first = line() + 1
    lease = await pool.acquire()
    other = await pool.acquire()
    waiting = await queued(pool, use, pool)
    await pool.close()
    with pytest.raises(PoolClosedError, match="to 'e' is closed"):
        await waiting.result()
    with pytest.raises(PoolClosedError):
        await use(pool)
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "<Shared 'main' to 'e', closed: 1 connected, 0 broken, 2 "
    )
    assert "#1 in use for " in record.getMessage()
    assert f"{__file__}:{first} in test_a_close_with_callers" in record.getMessage()
    assert f"{__file__}:{first + 1} in test_a_close_with_callers" in record.getMessage()
    assert lease.connection.number == 1
    await lease.release()
    assert manager.live == 1
    await other.release()
    assert (manager.live, pool.is_empty(), pool.pending) == (0, True, 0)
    await pool.close()
    with pytest.raises(LeaseReleasedError):
        _ = other.connection
    assert_empty(pool, manager)


async def test_a_close_that_waits() -> None:
    """Until all have left."""
    manager = Manager()
    pool = Shared(manager, max_pending=2)
    visitors = [Visitor(pool, holds=True) for _ in range(4)]
    calls = [await call_soon(visitor.call) for visitor in visitors]
    await until(lambda: pool.pending == 4)
    closing = await call_soon(pool.close, None)
    await until(lambda: pool._engine.core.is_closed())
    for visitor, call in zip(visitors, calls, strict=True):
        assert not closing.done()
        visitor.gate.open()
        await call.result()
    await closing.result()
    assert_empty(pool, manager)


async def test_a_close_that_interrupts() -> None:
    """At the end of the wait, each connection once."""
    manager = Manager()
    pool = Shared(manager)
    leases = await take(pool, 4)
    await pool.close(0.01, interrupt_connections=True)
    assert sorted(numbers(each for each in manager.interrupted if each)) == [1, 2]
    await leave(leases)
    assert_empty(pool, manager)


async def test_a_close_while_one_connects() -> None:
    """He is refused; what he opened is closed."""
    manager = Manager()
    manager.create_gate = Gate()
    pool = Shared(manager)
    call = await call_soon(use, pool)
    await until(lambda: manager.creating)
    await pool.close()
    manager.create_gate.open()
    with pytest.raises(PoolClosedError):
        await call.result()
    await until(lambda: pool.stats().total == 0)
    assert_empty(pool, manager)


async def test_an_interrupted_growth() -> None:
    """A clear that breaks off a connect: the caller tries again, and gets what is new."""
    manager = Breakable()
    pool = Shared(manager, size=1)
    call = await call_soon(use, pool)
    await until(lambda: manager.creating)
    await pool.clear(interrupt_connections=True)
    assert (await call.result()).number == 1
    assert manager.where == [("e", None)]
    await pool.close()
    assert_empty(pool, manager)


async def test_a_broken_one_at_the_end() -> None:
    """It is closed as the rest, and forgotten."""
    manager = Manager()
    pool = Shared(manager)
    leases = await take(pool, 3)
    await leases[2].discard()
    await pool.close()
    assert (pool.broken, pool.is_working()) == ([], False)
    await leave(leases)
    assert (pool.connections, pool.size) == ([], 2)
    assert_empty(pool, manager)


async def test_what_can_be_asked_at_the_end() -> None:
    """All of it; what changes a closed pool does nothing or says that it is closed."""
    manager = Manager()
    async with Shared(manager) as pool:
        await use(pool)
    assert pool.stats().released == 1
    assert pool.explain().startswith(
        "0 of size=2 connections work, 0 broken, 0 pending (max_pending="
    )
    assert await pool.drop_broken() == 0
    await pool.clear()
    await pool.maintain()
    assert await pool.reduce(1) == 1
    await pool.close(interrupt_connections=True)
    assert_empty(pool, manager)


# -- words ------------------------------------------------------------------------------------------


async def test_explain() -> None:
    """Who uses what, with his own line, who waits, and what failed last."""
    manager = Manager()
    pool = Shared(manager, max_pending=1)
    manager.errors = [OSError("refused")]
    with pytest.raises(OSError, match="refused"):
        await use(pool)
    first = line() + 1
    leases = [await pool.acquire()]
    async with pool.connection():
        second = line() - 1
        call = await queued(pool, use, pool)
        lines = pool.explain().splitlines()
    assert lines[0] == "2 of size=2 connections work, 0 broken, 2 pending (max_pending=1)"
    assert lines[1] == (
        "'e' (ready): 2 connections (2 in use, 0 idle, 0 connecting, 0 closing), 1 waiting"
    )
    assert re.fullmatch(
        rf"  #2 in use for \d+\.\d+ s by .*, from {re.escape(__file__)}:{first} in test_explain",
        lines[2],
    )
    assert re.fullmatch(
        rf"  #3 in use for \d+\.\d+ s by .*, from {re.escape(__file__)}:{second} in test_explain",
        lines[3],
    )
    assert lines[4].startswith("  waiting as no. 1 for ")
    assert len(lines) == 5
    await call.result()
    await leave(leases)
    await pool.close()
    assert_empty(pool, manager)
