"""What listeners may do, and what nobody pays for who has none."""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from pool import monitoring
from pool.aio import ConnectionPool
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionPoolListener,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)
from support.aio import until

from .fakes import Connection, Manager, Recorder, assert_empty, held

EVENTS: list[type[monitoring.Event]] = [
    PoolCreatedEvent,
    PoolReadyEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionCreatedEvent,
    ConnectionReadyEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckedInEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionClosedEvent,
    PoolClearedEvent,
    PoolClosedEvent,
]


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(monitoring._registry, "_registered", [])


async def life(pool: ConnectionPool[Any, Connection], manager: Manager) -> int:
    """Make every event happen; return how often a ``KeyboardInterrupt`` came out of the pool."""

    async def fails() -> None:
        with suppress(OSError):
            async with pool.connection("e"):
                manager.errors = [OSError("refused")]
                await pool.acquire("e")

    interrupts = 0
    steps: list[Callable[[], Any]] = [
        lambda: held(pool),
        lambda: held(pool),
        fails,
        lambda: held(pool),
        lambda: pool.clear("e"),
        lambda: held(pool),
        pool.close,
        pool.close,
    ]
    for step in steps:
        try:
            await step()
        except KeyboardInterrupt:
            interrupts += 1
        manager.errors = []
    return interrupts


def raising(error: type[BaseException], *event_types: type[monitoring.Event]) -> Any:
    def handle(event: Any) -> None:
        raise error(type(event).__name__)

    return monitoring.on(handle, *event_types)


# -- listeners that fail ------------------------------------------------------------------------------


async def test_a_listener_that_fails_is_contained(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever it is told, nobody notices but the log: the others hear all, the pool goes on."""
    manager, recorder = Manager(), Recorder()
    listeners = [raising(ValueError), recorder.listener]
    pool = ConnectionPool(manager, event_listeners=listeners)
    await life(pool, manager)
    assert recorder.names()[-1] == "PoolClosed"
    failures = [record for record in caplog.records if record.name == "pool.monitoring"]
    assert len(failures) == len(recorder.events) > 20
    assert all(record.levelno == logging.ERROR and record.exc_info for record in failures)
    assert_empty(pool, manager)


@pytest.mark.parametrize("event_type", EVENTS, ids=lambda event_type: event_type.__name__)
async def test_an_interrupt_in_a_listener_leaks_nothing(event_type: type[monitoring.Event]) -> None:
    """It reaches the caller each time, and every connection is back or closed, with its place."""
    manager, recorder = Manager(), Recorder()
    listeners = [raising(KeyboardInterrupt, event_type), recorder.listener]
    pool = ConnectionPool(manager, event_listeners=listeners)
    assert await life(pool, manager) > 0
    await until(lambda: pool.stats().closing == 0)
    names = recorder.names()
    started = names.count("ConnectionCheckOutStarted")
    ended = names.count("ConnectionCheckedOut") + names.count("ConnectionCheckOutFailed")
    assert started == ended
    assert names.count("ConnectionCheckedOut") == names.count("ConnectionCheckedIn")
    assert names.count("ConnectionCreated") == names.count("ConnectionClosed")
    assert_empty(pool, manager)


@pytest.mark.parametrize(
    "event_types",
    [
        (ConnectionCreatedEvent, ConnectionClosedEvent, ConnectionCheckOutFailedEvent),
        (ConnectionReadyEvent, ConnectionClosedEvent, ConnectionCheckOutFailedEvent),
        (ConnectionCheckedOutEvent, ConnectionCheckedInEvent),
        (ConnectionCheckedInEvent, ConnectionClosedEvent),
        (PoolClearedEvent, ConnectionClosedEvent, PoolClosedEvent),
        tuple(EVENTS[3:]),
    ],
    ids=lambda event_types: event_types[0].__name__,
)
async def test_interrupts_upon_interrupts_leak_nothing(
    event_types: tuple[type[monitoring.Event], ...],
) -> None:
    """Not even when the clearing up after one is answered with the next."""
    manager = Manager()
    listeners = [raising(KeyboardInterrupt, *event_types)]
    pool = ConnectionPool(manager, event_listeners=listeners)
    assert await life(pool, manager) > 0
    await until(lambda: pool.stats().closing == 0)
    assert_empty(pool, manager)


@pytest.mark.parametrize("call", ["clear", "close"])
async def test_an_interrupt_in_a_listener_hides_nothing_from_the_others(call: str) -> None:
    """They hear of every connection that closes, and of the end of the pool."""
    manager, recorder = Manager(), Recorder()
    listeners = [raising(KeyboardInterrupt, ConnectionClosedEvent), recorder.listener]
    pool = ConnectionPool(manager, event_listeners=listeners)
    leases = [await pool.acquire("e") for _ in range(3)]
    for lease in leases:
        await lease.release()
    with pytest.raises(KeyboardInterrupt):
        await getattr(pool, call)()
    await until(lambda: pool.stats().closing == 0)
    await pool.close()
    assert len(recorder.reasons()) == 3
    assert recorder.names().count("PoolClosed") == (1 if call == "close" else 0)
    assert_empty(pool, manager)


async def test_after_an_interrupt_in_a_listener_the_connection_is_reused() -> None:
    """Who was interrupted on being given a connection has returned it."""
    manager = Manager()
    listeners = [raising(KeyboardInterrupt, ConnectionCheckedOutEvent)]
    async with ConnectionPool(manager, max_size=1, event_listeners=listeners) as pool:
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                await pool.acquire("e", 1.0)
        assert (pool.stats().idle, manager.started) == (1, 1)
    assert_empty(pool, manager)


# -- listeners that call the pool ---------------------------------------------------------------------


async def test_a_listener_may_ask_the_pool() -> None:
    """At any event; nothing is locked."""
    answers: list[Any] = []

    def ask(event: Any) -> None:
        answers.append((type(event), pool.stats(), pool.explain(), repr(pool), pool.get_size()))

    manager = Manager()
    pool = ConnectionPool(manager, event_listeners=[monitoring.on(ask)])
    await life(pool, manager)
    assert {answer[0] for answer in answers} == set(EVENTS)
    assert_empty(pool, manager)


async def test_a_listener_may_resize_the_pool() -> None:
    """The connection that it hears of is one too many by then, and is closed."""
    manager, recorder = Manager(), Recorder()
    resize = monitoring.on(lambda event: pool.resize(max_size=1), ConnectionCheckedInEvent)
    pool = ConnectionPool(manager, event_listeners=[resize, recorder.listener])
    first, second = await pool.acquire("e"), await pool.acquire("e")
    await first.release()
    await second.release()
    assert recorder.reasons() == [(1, "idle")]
    assert pool.options.max_size == 1
    await pool.close()
    assert_empty(pool, manager)


# -- who is told --------------------------------------------------------------------------------------


async def test_a_registered_listener_hears_of_every_later_pool() -> None:
    """Without being named; of a pool that was made before it hears nothing."""
    recorder = Recorder()
    async with ConnectionPool(Manager()) as before:
        monitoring.register(recorder.listener)
        async with ConnectionPool(Manager()) as after:
            await held(before, "before")
            await held(after, "after")
    assert {event.address for event in recorder.events} == {"after"}
    assert len(recorder.events) == 9


async def test_a_listener_that_is_registered_and_named_hears_once() -> None:
    """One listener, one call for each event."""
    recorder = Recorder()
    monitoring.register(recorder.listener)
    async with ConnectionPool(Manager(), event_listeners=[recorder.listener]) as pool:
        await pool.add("e")
    assert recorder.names() == ["PoolCreated", "PoolReady", "PoolClosed"]


async def test_registered_listeners_come_first() -> None:
    """Then the pool's own, in their order."""
    heard: list[str] = []
    monitoring.register(monitoring.on(lambda event: heard.append("registered")))
    own = [
        monitoring.on(lambda event: heard.append("first")),
        monitoring.on(lambda event: heard.append("second")),
    ]
    async with ConnectionPool(Manager(), paused=True, event_listeners=own) as pool:
        await pool.add("e")
        assert heard == ["registered", "first", "second"]


async def test_a_listener_overrides_what_it_wants() -> None:
    """It is told of that and nothing else."""
    heard: list[Any] = []

    class Ready(ConnectionPoolListener):
        def connection_ready(self, event: ConnectionReadyEvent) -> None:
            heard.append(event)

    async with ConnectionPool(Manager(), event_listeners=(Ready(),)) as pool:
        await held(pool)
        await held(pool)
    assert [type(event) for event in heard] == [ConnectionReadyEvent]


async def test_one_listener_serves_several_pools() -> None:
    """It hears of all of them."""
    recorder = Recorder()
    async with (
        ConnectionPool(Manager(), event_listeners=[recorder.listener]) as one,
        ConnectionPool(Manager(), event_listeners=[recorder.listener]) as other,
    ):
        await one.add("a")
        await other.add("b")
        assert [event.address for event in recorder.events] == ["a", "a", "b", "b"]


@pytest.mark.parametrize("listeners", [None, 1, "abc", [object()], [ConnectionPoolListener]])
async def test_what_is_no_list_of_listeners_is_refused(listeners: Any) -> None:
    """When the pool is made, and by the name of the option."""
    with pytest.raises(TypeError, match="event_listeners"):
        ConnectionPool(Manager(), event_listeners=listeners)


async def test_a_single_listener_is_no_list_of_listeners() -> None:
    """Nor is it taken for one."""
    listener: Any = Recorder().listener
    with pytest.raises(TypeError, match="event_listeners"):
        ConnectionPool(Manager(), event_listeners=listener)


# -- nobody listens -----------------------------------------------------------------------------------


@pytest.fixture
def dear_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """To make an event is an error."""

    def made(self: Any, *args: Any) -> None:
        raise AssertionError(f"{type(self).__name__} was made")

    for event_type in EVENTS:
        monkeypatch.setattr(event_type, "__init__", made)


@pytest.mark.usefixtures("dear_events")
async def test_no_event_is_made_when_nobody_listens() -> None:
    """Not one in the whole life of a pool."""
    manager = Manager()
    pool = ConnectionPool(manager)
    await life(pool, manager)
    assert_empty(pool, manager)


@pytest.mark.usefixtures("dear_events")
async def test_only_events_that_somebody_wants_are_made() -> None:
    """A listener that overrides nothing wants none; one that wants a kind makes that kind dear."""
    manager = Manager()
    wants = monitoring.on(print, PoolReadyEvent)
    async with ConnectionPool(manager, event_listeners=[ConnectionPoolListener()]) as pool:
        await held(pool)
    async with ConnectionPool(manager, paused=True, event_listeners=[wants]) as pool:
        await pool.add("e")
        with pytest.raises(AssertionError, match="PoolReadyEvent was made"):
            await pool.ready("e")
