"""Listeners that block or call the pool: others must not see an effect before they are told of it.

Only threads can meet in the middle of a listener: on an event loop nobody runs meanwhile.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from behaviour._sync.fakes import Connection, Manager, Recorder, assert_empty, held

from pool import PoolClearedError, PoolError, PoolTimeoutError, monitoring
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)
from pool.sync import ConnectionPool
from support.sync import PATIENCE, call_soon, until

pytestmark = pytest.mark.concurrency

#: Seconds that a call gets to do what it must not do.
CHANCE = 0.02


class Blocker:
    """Stands in the way of the first event of a class, before the recorder, until it is told to go."""

    def __init__(self, event_type: type[monitoring.Event]) -> None:
        self.recorder = Recorder()
        self.entered = threading.Event()
        self.go = threading.Event()
        self.listeners = [monitoring.on(self._block, event_type), self.recorder.listener]

    def _block(self, event: Any) -> None:
        if not self.entered.is_set():
            self.entered.set()
            assert self.go.wait(PATIENCE), "nobody let the listener go"


def chance(condition: Callable[[], bool]) -> bool:
    """Return whether the condition comes true although it should not, within its chance."""
    end = time.monotonic() + CHANCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.0005)
    return condition()


def pool_with(
    blocker: Blocker, manager: Manager, **options: Any
) -> ConnectionPool[Any, Connection]:
    return ConnectionPool(manager, event_listeners=blocker.listeners, **options)


@pytest.mark.parametrize("event_type", [PoolCreatedEvent, PoolReadyEvent])
def test_nobody_connects_to_an_endpoint_that_is_being_told(
    event_type: type[monitoring.Event],
) -> None:
    """Another caller of the same endpoint waits until it was told, and then is served."""
    manager, blocker = Manager(), Blocker(event_type)
    with pool_with(blocker, manager) as pool:
        first = call_soon(held, pool)
        assert blocker.entered.wait(PATIENCE)
        second = call_soon(held, pool)
        assert not chance(lambda: manager.started > 0 or second.done())
        blocker.go.set()
        first.result()
        second.result()
    assert_empty(pool, manager)


def test_ready_is_not_lost_while_the_endpoint_is_being_told() -> None:
    """Who makes an endpoint ready that another thread has just brought in has made it ready."""
    manager, blocker = Manager(), Blocker(PoolCreatedEvent)
    with pool_with(blocker, manager, paused=True) as pool:
        adding = call_soon(pool.add, "e")
        assert blocker.entered.wait(PATIENCE)
        readying = call_soon(pool.ready, "e")
        chance(readying.done)
        blocker.go.set()
        adding.result()
        readying.result()
        held(pool)
        assert blocker.recorder.names()[:2] == ["PoolCreated", "PoolReady"]
    assert_empty(pool, manager)


def test_callers_are_turned_away_until_ready_was_told() -> None:
    """The endpoint is paused while listeners hear that it is ready."""
    manager, blocker = Manager(), Blocker(PoolReadyEvent)
    with pool_with(blocker, manager, paused=True) as pool:
        readying = call_soon(pool.ready, "e")
        assert blocker.entered.wait(PATIENCE)
        with pytest.raises(PoolClearedError):
            pool.acquire("e")
        blocker.go.set()
        readying.result()
        held(pool)
    assert_empty(pool, manager)


def test_a_second_ready_does_not_overtake_the_first() -> None:
    """Nobody connects before the listeners have heard that the endpoint is ready."""
    manager, blocker = Manager(), Blocker(PoolReadyEvent)
    with pool_with(blocker, manager, paused=True) as pool:
        first = call_soon(pool.ready, "e")
        assert blocker.entered.wait(PATIENCE)
        second = call_soon(pool.ready, "e")
        chance(second.done)
        with suppress(PoolClearedError):
            held(pool)
        blocker.go.set()
        first.result()
        second.result()
        names = blocker.recorder.names()
        assert names.count("PoolReady") == 1
        assert "ConnectionCreated" not in names[: names.index("PoolReady")]
    assert_empty(pool, manager)


def test_the_queue_stays_until_the_clear_was_told() -> None:
    """Those who wait are turned away only after every listener has heard of the clear."""
    manager, blocker = Manager(), Blocker(PoolClearedEvent)
    with pool_with(blocker, manager, paused=True, max_size=1) as pool:
        pool.ready("e")
        lease = pool.acquire("e")
        caller = call_soon(pool.acquire, "e")
        until(lambda: pool.stats().waiting == 1)
        clearing = call_soon(pool.clear, "e")
        assert blocker.entered.wait(PATIENCE)
        assert (pool.stats().waiting, caller.done()) == (1, False)
        blocker.go.set()
        clearing.result()
        with pytest.raises(PoolClearedError):
            caller.result()
        lease.release()
    assert_empty(pool, manager)


def test_a_second_clear_does_not_overtake_the_first() -> None:
    """Nor are they turned away by another clear, which is not told itself, before that."""
    manager, blocker = Manager(), Blocker(PoolClearedEvent)
    with pool_with(blocker, manager, paused=True, max_size=1) as pool:
        pool.ready("e")
        lease = pool.acquire("e")
        caller = call_soon(pool.acquire, "e")
        until(lambda: pool.stats().waiting == 1)
        first = call_soon(pool.clear, "e")
        assert blocker.entered.wait(PATIENCE)
        second = call_soon(pool.clear, "e")
        chance(caller.done)
        blocker.go.set()
        first.result()
        second.result()
        with pytest.raises(PoolClearedError):
            caller.result()
        names = blocker.recorder.names()
        assert names.count("PoolCleared") == 1
        assert names.index("PoolCleared") < names.index("ConnectionCheckOutFailed")
        lease.release()
    assert_empty(pool, manager)


def test_a_clear_that_overtakes_a_ready_is_told() -> None:
    """Whatever two threads do to the state at once, it is told as often as it changed."""
    manager, blocker = Manager(), Blocker(PoolReadyEvent)
    with pool_with(blocker, manager, paused=True) as pool:
        readying = call_soon(pool.ready, "e")
        assert blocker.entered.wait(PATIENCE)
        again = call_soon(pool.ready, "e")
        chance(again.done)
        with suppress(PoolClearedError):
            held(pool)
        clearing = call_soon(pool.clear, "e")
        chance(clearing.done)
        blocker.go.set()
        for call in (readying, again, clearing):
            call.result()
        changes = [
            name for name in blocker.recorder.names() if name in ("PoolReady", "PoolCleared")
        ]
        is_ready = "(ready)" in pool.explain()
        assert "PoolCleared" in changes or not blocker.recorder.reasons()
        assert changes[::2] == ["PoolReady"] * len(changes[::2])
        assert changes[1::2] == ["PoolCleared"] * len(changes[1::2])
        assert is_ready == (changes[-1] == "PoolReady")


def test_a_connection_is_not_to_be_had_until_its_return_was_told() -> None:
    """Who needs one now, gets none; who waits, waits."""
    manager, blocker = Manager(), Blocker(ConnectionCheckedInEvent)
    with pool_with(blocker, manager, max_size=1) as pool:
        lease = pool.acquire("e")
        releasing = call_soon(lease.release)
        assert blocker.entered.wait(PATIENCE)
        with pytest.raises(PoolTimeoutError):
            pool.acquire("e", 0)
        waiting = call_soon(pool.acquire, "e")
        until(lambda: pool.stats().waiting == 1)
        blocker.go.set()
        releasing.result()
        waiting.result().release()
    assert_empty(pool, manager)


def test_a_permit_is_not_free_until_the_connection_was_told_ready() -> None:
    """The next connect begins after that."""
    manager, blocker = Manager(), Blocker(ConnectionReadyEvent)
    with pool_with(blocker, manager, max_connecting=1) as pool:
        first = call_soon(pool.acquire, "e")
        assert blocker.entered.wait(PATIENCE)
        second = call_soon(pool.acquire, "e")
        until(lambda: pool.stats().waiting == 1)
        assert (manager.started, pool.stats().connecting) == (1, 1)
        blocker.go.set()
        first.result().release()
        second.result().release()
    assert_empty(pool, manager)


def test_a_place_is_not_free_until_the_close_was_told() -> None:
    """Nothing is opened in its place before that."""
    manager, blocker = Manager(), Blocker(ConnectionClosedEvent)
    with pool_with(blocker, manager, max_size=1) as pool:
        lease = pool.acquire("e")
        discarding = call_soon(lease.discard)
        assert blocker.entered.wait(PATIENCE)
        waiting = call_soon(pool.acquire, "e")
        until(lambda: pool.stats().waiting == 1)
        assert manager.started == 1
        blocker.go.set()
        discarding.result()
        waiting.result().release()
    assert_empty(pool, manager)


@pytest.mark.parametrize("call", ["clear", "ready", "add", "held"])
def test_listeners_may_call_the_pool_crosswise(call: str) -> None:
    """Two threads are told of two endpoints, and each listener turns to the other's: both go on."""
    meet = threading.Barrier(2, timeout=PATIENCE)
    manager = Manager()
    other = {"a": "b", "b": "a"}
    told: list[Any] = []

    def meddle(event: Any) -> None:
        if told.count(event.address) == 0:
            told.append(event.address)
            meet.wait()
            with suppress(PoolError):
                if call == "held":
                    held(pool, other[event.address])
                else:
                    getattr(pool, call)(other[event.address])

    listener = monitoring.on(meddle, PoolClearedEvent)
    pool = ConnectionPool(manager, paused=True, event_listeners=[listener])
    for endpoint in other:
        pool.ready(endpoint)
        held(pool, endpoint)
    for clearing in [call_soon(pool.clear, endpoint) for endpoint in other]:
        clearing.result()
    assert sorted(told) == ["a", "b"]
    pool.close()
    assert_empty(pool, manager)


EVENTS: list[type[monitoring.Event]] = [
    PoolCreatedEvent,
    PoolReadyEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionCreatedEvent,
    ConnectionReadyEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckedInEvent,
    ConnectionClosedEvent,
]


@pytest.mark.parametrize("event_type", EVENTS, ids=lambda event_type: event_type.__name__)
def test_a_blocked_listener_stops_nobody_else(event_type: type[monitoring.Event]) -> None:
    """Nothing is locked meanwhile: the pool answers, and other endpoints are served."""
    manager, blocker = Manager(), Blocker(event_type)

    def life() -> None:
        with pool.connection("e"):
            pass
        pool.clear("e")

    with pool_with(blocker, manager) as pool:
        blocked = call_soon(life)
        assert blocker.entered.wait(PATIENCE)
        assert "'e'" in pool.explain()
        held(pool, "other")
        assert pool.stats("other").idle == 1
        blocker.go.set()
        blocked.result()
    assert_empty(pool, manager)


ALL = [*EVENTS, PoolClearedEvent, PoolClosedEvent]


@pytest.mark.parametrize("event_type", ALL, ids=lambda event_type: event_type.__name__)
@pytest.mark.parametrize("call", ["close", "clear", "remove", "use"])
def test_a_listener_may_call_the_pool(event_type: type[monitoring.Event], call: str) -> None:
    """At any event, from within: nothing hangs, nothing leaks, and closed is the last word."""
    manager, recorder = Manager(), Recorder()
    calls: list[str] = []

    def meddle(event: Any) -> None:
        if type(event) is event_type and not calls:
            calls.append(call)
            with suppress(PoolError):
                if call == "use":
                    held(pool, "other")
                else:
                    getattr(pool, call)(*([] if call == "close" else ["e"]))

    pool = ConnectionPool(manager, event_listeners=[recorder.listener, monitoring.on(meddle)])
    for step in (held, held, lambda pool: pool.clear("e"), held):
        with suppress(PoolError):
            step(pool)
    pool.close()
    assert calls == [call]
    events = [event for event in recorder.events if event.address == "e"]
    last = max(place for place, event in enumerate(events) if type(event) is PoolClosedEvent)
    later = {type(event) for event in events[last + 1 :]}
    assert not later & {PoolReadyEvent, ConnectionCreatedEvent, ConnectionCheckedOutEvent}
    assert_empty(pool, manager)
