"""What is told of each check-out and each connection: order, ids, durations."""

from collections import Counter
from typing import Any

import pytest

from pool import PoolError
from pool.aio import ConnectionPool
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionLeakedEvent,
    ConnectionReadyEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)
from support.aio import Gate, call_soon, until

from .fakes import Connection, FakeClock, Hooked, Manager, Recorder, assert_empty, held
from .meddlers import Peeking, told


class Slow(Manager):
    """It takes two seconds to open a connection, by a clock of its own."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self.clock = clock

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        self.clock.now += 2.0
        return await super().create(endpoint, timeout)


# -- what events carry --------------------------------------------------------------------------------


async def test_a_connection_that_is_reused() -> None:
    """It is created and ready once, and goes out and in each time."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        await held(pool)
        recorder.clear()
        await held(pool)
        assert told(recorder.events) == [
            ("ConnectionCheckOutStarted", None),
            ("ConnectionCheckedOut", 1),
            ("ConnectionCheckedIn", 1),
        ]
    assert_empty(pool, manager)


async def test_ids_count_from_one_at_each_endpoint() -> None:
    """Two endpoints have each a first connection; the lease tells the id."""
    recorder = Recorder()
    async with ConnectionPool(Manager(), event_listeners=[recorder.listener]) as pool:
        leases = [await pool.acquire(endpoint) for endpoint in ("a", "a", "b")]
        created = [event for event in recorder.events if type(event) is ConnectionCreatedEvent]
        assert [(event.address, event.connection_id) for event in created] == [
            ("a", 1),
            ("a", 2),
            ("b", 1),
        ]
        assert [lease.id for lease in leases] == [1, 2, 1]
        for lease in leases:
            await lease.release()


async def test_who_waits_in_vain_takes_no_id() -> None:
    """Ids are of connections and have no gaps."""
    recorder = Recorder()
    options: dict[str, Any] = {"max_size": 1, "event_listeners": [recorder.listener]}
    async with ConnectionPool(Manager(), **options) as pool:
        await pool.add("e")
        lease = await pool.acquire("e")
        with pytest.raises(PoolError):
            await pool.acquire("e", 0.01)
        await lease.discard()
        await held(pool)
        created = [event for event in recorder.events if type(event) is ConnectionCreatedEvent]
        assert [event.connection_id for event in created] == [1, 2]


async def test_the_options_of_a_created_pool() -> None:
    """Those that differ from their defaults, by our names, and nothing else."""
    recorder = Recorder()
    async with ConnectionPool(
        Manager(),
        name="orders",
        event_listeners=[recorder.listener],
        max_size=3,
        max_connecting=2,
        reuse="fifo",
    ) as pool:
        await pool.add("e")
        assert recorder.events[0] == PoolCreatedEvent("e", {"max_size": 3, "reuse": "fifo"})


async def test_addresses_are_the_endpoints_themselves() -> None:
    """Any hashable value, as it was given."""
    recorder = Recorder()
    endpoint = ("db", 5432, frozenset({"tls"}))
    async with ConnectionPool(Manager(), event_listeners=[recorder.listener]) as pool:
        await held(pool, endpoint)
    assert len(recorder.events) == 9
    assert all(event.address is endpoint for event in recorder.events)


async def test_durations_are_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ready: of the connect. Checked out: since the caller asked."""
    clock, recorder = FakeClock(monkeypatch), Recorder()
    listeners = [recorder.listener]
    async with ConnectionPool(Slow(clock), event_listeners=listeners) as pool:
        await held(pool)
        await held(pool)
    events = [
        event
        for event in recorder.events
        if isinstance(event, ConnectionReadyEvent | ConnectionCheckedOutEvent)
    ]
    assert events == [
        ConnectionReadyEvent("e", 1, 2.0),
        ConnectionCheckedOutEvent("e", 1, 2.0),
        ConnectionCheckedOutEvent("e", 1, 0.0),
    ]
    assert all(type(event.duration) is float for event in events)


async def test_the_duration_of_a_check_out_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds too, since the caller asked; and there is no connection to name."""
    clock, recorder = FakeClock(monkeypatch), Recorder()
    manager = Slow(clock)
    manager.errors = [OSError("refused")]
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        (event,) = [e for e in recorder.events if type(e) is ConnectionCheckOutFailedEvent]
        assert event == ConnectionCheckOutFailedEvent("e", "connectionError", 2.0)
        assert type(event.duration) is float


@pytest.mark.concurrency
async def test_the_duration_of_a_check_out_counts_the_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time in the queue belongs to it."""
    clock, recorder = FakeClock(monkeypatch), Recorder()
    options: dict[str, Any] = {"max_size": 1, "event_listeners": [recorder.listener]}
    async with ConnectionPool(Manager(), **options) as pool:
        lease = await pool.acquire("e")
        caller = await call_soon(pool.acquire, "e", None)
        await until(lambda: pool.stats().waiting == 1)
        clock.now += 7.0
        await lease.release()
        await (await caller.result()).release()
        assert ConnectionCheckedOutEvent("e", 1, 7.0) in recorder.events


# -- told before it can be seen -----------------------------------------------------------------------


async def test_an_endpoint_is_told_before_anything_is_opened() -> None:
    """Created and ready come first."""
    peeking = Peeking()
    async with ConnectionPool(Manager(), event_listeners=[peeking.listener]) as pool:
        peeking.pool = pool
        await held(pool)
        assert (peeking.at(PoolCreatedEvent).total, peeking.at(PoolReadyEvent).total) == (0, 0)


async def test_a_connection_is_told_ready_before_its_permit_is_free() -> None:
    """Nobody else can be connecting in its place, or have the connection, at that moment."""
    peeking = Peeking()
    async with ConnectionPool(Manager(), event_listeners=[peeking.listener]) as pool:
        peeking.pool = pool
        await held(pool)
        for event_type in (ConnectionCreatedEvent, ConnectionReadyEvent):
            stats = peeking.at(event_type)
            assert (stats.connecting, stats.idle, stats.in_use) == (1, 0, 0)
        assert peeking.at(ConnectionCheckedOutEvent).in_use == 1


async def test_a_connection_is_told_checked_in_before_it_is_free() -> None:
    """It is nobody's and not idle yet at that moment."""
    peeking = Peeking()
    async with ConnectionPool(Manager(), event_listeners=[peeking.listener]) as pool:
        peeking.pool = pool
        await held(pool)
        stats = peeking.at(ConnectionCheckedInEvent)
        assert (stats.in_use, stats.idle) == (1, 0)


async def test_a_connection_is_told_closed_before_its_place_is_free() -> None:
    """It counts until it is closed."""
    peeking = Peeking()
    async with ConnectionPool(Manager(), event_listeners=[peeking.listener]) as pool:
        peeking.pool = pool
        await (await pool.acquire("e")).discard()
        stats = peeking.at(ConnectionClosedEvent)
        assert (stats.closing, stats.total) == (1, 1)


@pytest.mark.concurrency
async def test_a_connection_that_is_handed_on_is_checked_in_first() -> None:
    """In, then out, although the next one has been waiting for it."""
    recorder = Recorder()
    options: dict[str, Any] = {"max_size": 1, "event_listeners": [recorder.listener]}
    async with ConnectionPool(Manager(), **options) as pool:
        lease = await pool.acquire("e")
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: pool.stats().waiting == 1)
        recorder.clear()
        await lease.release()
        await (await caller.result()).release()
        assert told(recorder.events) == [
            ("ConnectionCheckedIn", 1),
            ("ConnectionCheckedOut", 1),
            ("ConnectionCheckedIn", 1),
        ]


@pytest.mark.concurrency
async def test_a_connection_is_ready_before_the_next_is_created() -> None:
    """With one permit to connect, the next connect begins after the one before was told ready."""
    manager, recorder = Manager(), Recorder()
    options: dict[str, Any] = {"max_connecting": 1, "event_listeners": [recorder.listener]}
    async with ConnectionPool(manager, **options) as pool:
        gate = manager.create_gate = Gate()
        callers = [await call_soon(pool.acquire, "e") for _ in range(3)]
        await until(lambda: gate.waiting == 1 and pool.stats().waiting == 2)
        gate.open()
        leases = [await caller.result() for caller in callers]
        connects = [
            (name, number)
            for name, number in told(recorder.events)
            if name in ("ConnectionCreated", "ConnectionReady")
        ]
        for lease in leases:
            await lease.release()
    assert connects == [
        (name, number) for number in (1, 2, 3) for name in ("ConnectionCreated", "ConnectionReady")
    ]


# -- the rules, whatever happens ----------------------------------------------------------------------


def check_the_rules(events: list[Any]) -> None:
    """Fail if the events of one endpoint, which is never forgotten, break the rules."""
    callers = 0
    state: dict[int, str] = {}
    steps = {
        ConnectionCreatedEvent: ({""}, "created"),
        ConnectionReadyEvent: ({"created"}, "ready"),
        ConnectionCheckedOutEvent: ({"ready", "in"}, "out"),
        ConnectionLeakedEvent: ({"out"}, "leaked"),
        ConnectionCheckedInEvent: ({"out", "leaked"}, "in"),
        ConnectionClosedEvent: ({"created", "ready", "in"}, "closed"),
    }
    for event, (name, number) in zip(events, told(events), strict=True):
        callers += name == "ConnectionCheckOutStarted"
        callers -= name in ("ConnectionCheckedOut", "ConnectionCheckOutFailed")
        assert callers >= 0, events
        if number and type(event) in steps:
            allowed, after = steps[type(event)]
            assert state.get(number, "") in allowed, (event, events)
            state[number] = after
    assert callers == 0, events
    assert set(state.values()) <= {"closed"}, (state, events)
    assert sorted(state) == list(range(1, len(state) + 1)), state


class Moody(Hooked):
    """Every seventh connect fails, every fifth check finds a connection dead."""

    def __init__(self) -> None:
        super().__init__()
        self.on["check_aliveness"] = lambda conn: len(self.calls) % 5 != 0
        self.on["can_reuse"] = lambda conn, error: len(self.calls) % 2 == 0

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        if self.started % 7 == 6:
            self.errors = [OSError("refused")]
        return await super().create(endpoint, timeout)


@pytest.mark.concurrency
async def test_the_rules_hold_whatever_happens() -> None:
    """Many callers, failures of all kinds, clears and resizes: each check-out and connection ends once."""
    manager, recorder = Moody(), Recorder()
    options: dict[str, Any] = {"max_size": 3, "check_after_idle": 0, "max_uses": 4}
    pool = ConnectionPool(manager, event_listeners=[recorder.listener], **options)
    outcomes: Counter[str] = Counter()

    async def body(turn: int, timeout: float) -> None:
        async with pool.connection("e", timeout):
            if turn % 4 == 1:
                raise KeyError
            if turn % 9 == 2:
                await pool.clear("e", interrupt_connections=turn % 2 == 0)
            if turn % 11 == 3:
                pool.resize(max_size=2 + turn % 3)

    async def caller(place: int) -> None:
        for turn in range(place, place + 12):
            try:
                await body(turn, 0 if turn % 6 == 5 else 20.0)
            except (PoolError, OSError, KeyError) as error:
                outcomes[type(error).__name__] += 1

    await pool.add("e")
    callers = [await call_soon(caller, place) for place in range(6)]
    for each in callers:
        await each.result()
    await pool.close(None)
    check_the_rules(recorder.events)
    assert outcomes["KeyError"] > 0
    assert_empty(pool, manager)
