"""EventRecorder in front of real pools: recording, matching, waiting, and the order of events."""

import threading
from typing import Any

import pytest

from pool.aio import ConnectionPool
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionReadyEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)
from pool.testing.aio import EventRecorder, expect
from support.aio import call_soon, until

from .fakes import Connection, Manager, held

BEGINNING = [PoolCreatedEvent, PoolReadyEvent]
CHECK_OUT = [ConnectionCheckOutStartedEvent, ConnectionCheckedOutEvent]
CONNECT = [ConnectionCreatedEvent, ConnectionReadyEvent]


def recorded(recorder: EventRecorder) -> ConnectionPool[Any, Connection]:
    return ConnectionPool(Manager(), event_listeners=[recorder])


async def test_records_everything_in_order() -> None:
    """All events of a pool, each one once."""
    recorder = EventRecorder()
    async with recorded(recorder) as pool:
        await held(pool)
    expected: list[Any] = [
        *BEGINNING,
        CHECK_OUT[0],
        *CONNECT,
        CHECK_OUT[1],
        expect(ConnectionCheckedInEvent, connection_id=1),
        expect(ConnectionClosedEvent, address="e", connection_id=1, reason="poolClosed"),
        PoolClosedEvent("e"),
    ]
    assert recorder.match(expected) == recorder.events
    assert repr(recorder) == "<EventRecorder: 9 events>"
    recorder.check_order(ended=True)


async def test_of_and_clear() -> None:
    """What was recorded can be chosen from and forgotten, except by ``check_order``."""
    recorder = EventRecorder()
    async with recorded(recorder) as pool:
        await held(pool)
        assert [type(event) for event in recorder.of(*CONNECT)] == CONNECT
        assert recorder.of(expect(ConnectionReadyEvent, connection_id=2)) == []
        recorder.clear()
        assert recorder.events == []
        await held(pool)
        recorder.match([*CHECK_OUT, ConnectionCheckedInEvent])
    recorder.check_order(ended=True)


async def test_match_in_part() -> None:
    """Without ``exact`` there may be more, but the order counts; what matched is returned."""
    recorder = EventRecorder()
    async with recorded(recorder) as pool:
        await held(pool)
    in_part = [ConnectionReadyEvent, ConnectionClosedEvent]
    ready, closed = recorder.match(in_part, exact=False)
    assert (ready.connection_id, closed.reason) == (1, "poolClosed")
    with pytest.raises(AssertionError) as caught:
        recorder.match(reversed(in_part), exact=False)
    lines = str(caught.value).splitlines()
    assert lines[0] == (
        "expected event 2, ConnectionReadyEvent(), did not come after event 8; recorded:"
    )
    assert lines[8].startswith(">    8 ConnectionClosedEvent(address='e', connection_id=1")


async def test_waits_for_what_is_there() -> None:
    """What has come already need not come again."""
    recorder = EventRecorder()
    async with recorded(recorder) as pool:
        await held(pool)
        assert (await recorder.wait_for(ConnectionReadyEvent, timeout=0)).connection_id == 1


@pytest.mark.concurrency
async def test_waits_for_what_comes() -> None:
    """Whoever waits goes on when the last one has come, and not before."""
    recorder = EventRecorder()
    async with recorded(recorder) as pool:
        call = await call_soon(recorder.wait_for, expect(ConnectionCheckedInEvent), 3)
        for _ in range(2):
            await held(pool)
        assert not call.done()
        await held(pool)
        event = await call.result()
        assert event == ConnectionCheckedInEvent("e", 1)
        assert len(recorder.of(ConnectionCheckedInEvent)) == 3


@pytest.mark.concurrency
async def test_waits_for_another_thread() -> None:
    """The event may be told anywhere."""
    recorder = EventRecorder()
    call = await call_soon(recorder.wait_for, PoolClosedEvent)
    await until(lambda: recorder._bells)
    thread = threading.Thread(target=recorder.pool_closed, args=(PoolClosedEvent("far away"),))
    thread.start()
    assert await call.result() == PoolClosedEvent("far away")
    thread.join()


async def test_waits_in_vain() -> None:
    """When the time is up the error says what came instead."""
    recorder = EventRecorder()
    async with recorded(recorder) as pool:
        await held(pool)
        with pytest.raises(TimeoutError) as caught:
            await recorder.wait_for(expect(ConnectionReadyEvent, address="e"), 2, timeout=0.01)
    lines = str(caught.value).splitlines()
    assert lines[0] == "1 of 2 ConnectionReadyEvent(address='e') came within 0.01 s; recorded:"
    assert lines[1] == "     1 PoolCreatedEvent(address='e', options={})"
    assert len(lines) == 8
    with pytest.raises(ValueError, match="count must be at least 1, not 0"):
        await recorder.wait_for(ConnectionReadyEvent, 0)


async def test_a_pool_that_is_not_closed() -> None:
    """``check_order`` can be asked at any time, and whether all has ended at the end."""
    recorder = EventRecorder()
    async with recorded(recorder) as pool, pool.connection("e"):
        recorder.check_order()
        with pytest.raises(AssertionError, match="connections were never closed: 1 to 'e'"):
            recorder.check_order(ended=True)
    recorder.check_order(ended=True)
