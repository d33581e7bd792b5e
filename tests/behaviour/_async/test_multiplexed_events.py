"""What a pool of shared connections tells: the events of any pool, though a connection is out many times."""

from typing import Any

import pytest

from pool import PoolTimeoutError, monitoring
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    PoolCreatedEvent,
)
from pool.testing._order import check_order
from support.aio import Gate, call_soon, until

from .fakes import Hooked, Manager, Recorder, assert_empty
from .meddlers import told
from .sharers import Shared, leave, numbers, spoil, take, use

pytestmark = pytest.mark.concurrency


async def test_the_whole_story() -> None:
    """From the pool to the end; several are out with one connection at once."""
    manager, recorder = Manager(), Recorder()
    pool = Shared(manager, size=1, event_listeners=[recorder.listener])
    assert recorder.events == []
    leases = await take(pool, 2)
    await leave(leases)
    await pool.close()
    assert told(recorder.events) == [
        ("PoolCreated", None),
        ("PoolReady", None),
        ("ConnectionCheckOutStarted", None),
        ("ConnectionCreated", 1),
        ("ConnectionReady", 1),
        ("ConnectionCheckedOut", 1),
        ("ConnectionCheckOutStarted", None),
        ("ConnectionCheckedOut", 1),
        ("ConnectionCheckedIn", 1),
        ("ConnectionCheckedIn", 1),
        ("ConnectionClosed", 1),
        ("PoolClosed", None),
    ]
    assert recorder.reasons() == [(1, "poolClosed")]
    check_order(recorder.events, ended=True, shared=True)
    assert_empty(pool, manager)


async def test_the_options_of_the_pool() -> None:
    """By the names that its user gave them; the size always."""
    for options, shown in (
        ({"size": 1, "background_collector": True}, {"size": 1}),
        (
            {"size": 3, "max_pending": 7, "idle_timeout": 2.0},
            {"size": 3, "max_pending": 7, "idle_timeout": 2.0, "background_collector": False},
        ),
    ):
        recorder = Recorder()
        async with Shared(Manager(), event_listeners=[recorder.listener], **options):
            pass
        (created,) = [event for event in recorder.events if type(event) is PoolCreatedEvent]
        assert created.options == shown
        assert created.address == "e"


async def test_open_is_told() -> None:
    """Nobody is checked out by it."""
    manager, recorder = Manager(), Recorder()
    async with Shared(manager, event_listeners=[recorder.listener]):
        assert recorder.names()[:2] == ["PoolCreated", "PoolReady"]
        assert sorted(recorder.names()[2:]) == ["ConnectionCreated"] * 2 + ["ConnectionReady"] * 2
    check_order(recorder.events, ended=True, shared=True)


async def test_a_broken_one_closes_after_its_last_user() -> None:
    """Checked in, all of them, then closed, for an error."""
    manager, recorder = Manager(), Recorder()
    pool = Shared(manager, size=1, event_listeners=[recorder.listener])
    leases = await take(pool, 3)
    recorder.clear()
    await leases[1].discard()
    await leave(leases)
    assert told(recorder.events) == [("ConnectionCheckedIn", 1)] * 3 + [("ConnectionClosed", 1)]
    assert recorder.reasons() == [(1, "error")]
    await pool.close()
    assert_empty(pool, manager)


async def test_what_was_brought_is_told() -> None:
    """It is created and ready, without a check-out."""
    manager, recorder = Manager(), Recorder()
    async with Shared(manager, size=1, event_listeners=[recorder.listener]) as pool:
        brought = await manager.create("e", None)
        recorder.clear()
        await pool.extend_with([brought])
        assert told(recorder.events) == [("ConnectionCreated", 2), ("ConnectionReady", 2)]
    assert_empty(pool, manager)


@pytest.mark.parametrize(
    ("act", "reasons"),
    [
        ("reduce", ["idle"]),
        ("clear", ["stale", "stale"]),
        ("close", ["poolClosed", "poolClosed"]),
    ],
)
async def test_the_reasons_of_an_end(act: str, reasons: list[str]) -> None:
    """Too many, stale, or the end of the pool."""
    manager, recorder = Manager(), Recorder()
    async with Shared(manager, event_listeners=[recorder.listener]) as pool:
        await getattr(pool, act)(*([1] if act == "reduce" else []))
        assert [reason for _, reason in recorder.reasons()] == reasons
    check_order(recorder.events, ended=True, shared=True)
    assert_empty(pool, manager)


async def test_an_open_that_fails_is_told() -> None:
    """The failed one closes for an error, the rest since they are not needed."""
    manager, recorder = Manager(), Recorder()
    pool = Shared(manager, max_connecting=1, event_listeners=[recorder.listener])
    manager.errors = [None, OSError("refused")]
    with pytest.raises(OSError, match="refused"):
        await pool.open()
    assert recorder.reasons() == [(2, "error"), (1, "idle")]
    await pool.close()
    check_order(recorder.events, ended=True, shared=True)


async def test_each_check_out_has_one_end() -> None:
    """Time-outs, failed connects, hook errors and the end of the pool included."""
    manager, recorder = Hooked(), Recorder()
    pool = Shared(manager, max_pending=1, event_listeners=[recorder.listener])
    manager.errors = [OSError("refused")]
    with pytest.raises(OSError, match="refused"):
        await use(pool)
    leases = await take(pool, 2)
    with pytest.raises(PoolTimeoutError):
        await use(pool, 0)
    waiting = await call_soon(use, pool)
    await until(lambda: pool.stats().waiting == 1)
    await pool.close()
    with pytest.raises(Exception, match="is closed"):
        await waiting.result()
    await leave(leases)
    reasons = [
        event.reason for event in recorder.events if type(event) is ConnectionCheckOutFailedEvent
    ]
    assert reasons == ["connectionError", "timeout", "poolClosed"]
    check_order(recorder.events, ended=True, shared=True)
    assert_empty(pool, manager)


async def test_a_growth_in_vain_is_told_as_what_it_is() -> None:
    """A connection that closes for an error; the caller is checked out with another one."""
    manager, recorder = Manager(), Recorder()
    pool = Shared(manager, event_listeners=[recorder.listener])
    lease = await pool.acquire()
    recorder.clear()
    manager.errors = [OSError("refused")]
    await use(pool)
    assert told(recorder.events) == [
        ("ConnectionCheckOutStarted", None),
        ("ConnectionCreated", 2),
        ("ConnectionClosed", 2),
        ("ConnectionCheckedOut", 1),
        ("ConnectionCheckedIn", 1),
    ]
    await lease.release()
    await pool.close()
    assert_empty(pool, manager)


async def test_listeners_that_fail(caplog: pytest.LogCaptureFixture) -> None:
    """Are nobody's trouble."""
    manager, recorder = Manager(), Recorder()

    def fail(event: Any) -> None:
        raise ValueError(type(event).__name__)

    listeners = [monitoring.on(fail), recorder.listener]
    async with Shared(manager, event_listeners=listeners) as pool:
        await leave(await take(pool, 3))
        await spoil(pool)
    check_order(recorder.events, ended=True, shared=True)
    assert "ConnectionCheckedOutEvent" in caplog.text
    assert_empty(pool, manager)


async def test_what_listeners_see() -> None:
    """An event comes before its effect: who is told to have left is counted still."""
    manager = Manager()
    seen: list[int] = []

    def look(event: Any) -> None:
        seen.append(pool.pending)

    listener = monitoring.on(look, ConnectionCheckedOutEvent, ConnectionCheckedInEvent)
    pool = Shared(manager, size=1, event_listeners=[listener])
    await leave(await take(pool, 2))
    assert seen == [1, 2, 2, 1]
    await pool.close()
    assert_empty(pool, manager)


async def test_a_clear_while_one_connects_is_told() -> None:
    """Cleared, then the ends of the stale ones, that of the connecting one as soon as it is there."""
    manager, recorder = Manager(), Recorder()
    pool = Shared(manager, event_listeners=[recorder.listener])
    await use(pool)
    lease = await pool.acquire()
    manager.create_gate = Gate()
    call = await call_soon(use, pool)
    await until(lambda: manager.creating)
    await pool.clear()
    manager.create_gate.open()
    connection = await call.result()
    await lease.release()
    assert sorted(recorder.reasons()) == [(1, "stale"), (2, "stale")]
    assert numbers(pool.connected) == [connection.number] == [3]
    await pool.close()
    check_order(recorder.events, ended=True, shared=True)
    assert_empty(pool, manager)
