"""Recording events and comparing them with what was expected. The same for both worlds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, Protocol

from pool.monitoring import (
    CommandListener,
    ConnectionPoolListener,
    Event,
    ServerHeartbeatListener,
    ServerListener,
    TopologyListener,
)
from pool.testing._order import check_order, listing

__all__ = ["Expectation", "Expected", "Recording", "expect"]


class Expected:
    """An event that is expected; made by ``expect``."""

    __slots__ = ("_attributes", "_event_type")

    def __init__(self, event_type: type[Event], attributes: dict[str, Any]) -> None:
        self._event_type = event_type
        self._attributes = attributes

    def differences(self, event: Event) -> list[str]:
        """Return in what an event differs; nothing if it is one of these."""
        if not isinstance(event, self._event_type):
            return [f"it is a {type(event).__name__}"]
        found = []
        for name, wanted in self._attributes.items():
            value = getattr(event, name)
            fits = wanted(value) if callable(wanted) else value == wanted
            if not fits:
                found.append(f"{name} is {value!r}")
        return found

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={_shown(value)}" for name, value in self._attributes.items())
        return f"{self._event_type.__name__}({values})"


def expect(event_type: type[Event], /, **attributes: Any) -> Expected:
    """Describe an event by its class and some of its attributes.

    Parameters:
        event_type: its class, or one that it is derived from.
        attributes: what they must be equal to; or a function that gets the attribute and says whether it
            is as expected.

    Raises:
        TypeError: there is no such event, or it has no such attribute.

    Example::

        expect(ConnectionClosedEvent, connection_id=1, reason="stale")
        expect(ConnectionReadyEvent, duration=lambda seconds: seconds < 0.1)
    """
    if not _is_event_class(event_type):
        raise TypeError(f"not an event class: {event_type!r}")
    for name in attributes:
        if not hasattr(event_type, name):
            raise TypeError(f"a {event_type.__name__} has no {name!r}")
    return Expected(event_type, attributes)


#: What may be expected: any event of a class, one with certain attributes, or exactly this one.
Expectation = type[Event] | Expected | Event


class Rings(Protocol):
    """What is told that an event has come."""

    def set(self) -> None: ...


class Recording(
    CommandListener,
    ConnectionPoolListener,
    ServerHeartbeatListener,
    ServerListener,
    TopologyListener,
):
    """Keeps every event that it is told, in order. One may listen to many pools, of both worlds."""

    def __init__(self) -> None:
        self._history: list[Event] = []
        self._start = 0
        self._bells: list[Rings] = []
        self._lock = Lock()
        """Protects all of these. Nobody calls anything while he has it."""

    def _record(self, event: Any) -> None:
        with self._lock:
            self._history.append(event)
            bells = list(self._bells)
        for bell in bells:
            bell.set()

    started = succeeded = failed = _record
    opened = closed = description_changed = _record
    pool_created = pool_ready = pool_cleared = pool_closed = _record
    connection_created = connection_ready = connection_closed = connection_leaked = _record
    connection_check_out_started = connection_check_out_failed = _record
    connection_checked_out = connection_checked_in = _record

    # --- What was recorded ---

    @property
    def events(self) -> list[Event]:
        """What was recorded since the last ``clear``, in order: a copy."""
        with self._lock:
            return self._history[self._start :]

    def of(self, *expected: Expectation) -> list[Any]:
        """Return those recorded events that are one of these."""
        wanted = [_expected(each) for each in expected]
        return [e for e in self.events if any(not each.differences(e) for each in wanted)]

    def clear(self) -> None:
        """Begin anew. ``check_order`` goes on to know what was before."""
        with self._lock:
            self._start = len(self._history)

    # --- Comparing ---

    def match(self, expected: Iterable[Expectation], *, exact: bool = True) -> list[Any]:
        """Return the events that match a sequence.

        Parameters:
            expected: event classes, what ``expect`` made, or events.
            exact: nothing else was recorded; otherwise there may be more before, after and in between.

        Raises:
            AssertionError: they differ. The text has all events and says where the first difference is.
        """
        wanted = [_expected(each) for each in expected]
        events = self.events
        return _match_all(wanted, events) if exact else _match_some(wanted, events)

    def check_order(self, *, ended: bool = False, shared: bool = False) -> None:
        """Check that all events, from the beginning on, tell a story that can be true.

        Each connection is created, ready, checked out and in by turns, and closed once; each check-out that
        was started has one end. For a recorder that listens to one pool, and from its beginning: the
        numbers of connections mean nothing beyond one pool.

        Parameters:
            ended: the pool is closed and empty: what was begun must have ended.
            shared: it is a ``MultiplexedPool``, whose connections may be checked out several times at once.

        Raises:
            AssertionError: it cannot be true. The text has the events up to the first wrong one.
        """
        with self._lock:
            events = list(self._history)
        check_order(events, ended=ended, shared=shared)

    # --- Waiting, for the two worlds ---

    @contextmanager
    def _bell(self, bell: Rings) -> Iterator[None]:
        """Ring a bell whenever an event has come."""
        with self._lock:
            self._bells.append(bell)
        try:
            yield
        finally:
            with self._lock:
                self._bells.remove(bell)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.events)} events>"


def _is_event_class(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Event)


def _expected(expectation: Expectation) -> Expected:
    if isinstance(expectation, Expected):
        return expectation
    if isinstance(expectation, Event):
        return _Same(expectation)
    return expect(expectation)


class _Same(Expected):
    """Exactly one event."""

    __slots__ = ("_event",)

    def __init__(self, event: Event) -> None:
        super().__init__(type(event), {})
        self._event = event

    def differences(self, event: Event) -> list[str]:
        return [] if event == self._event else [f"it is {event!r}"]

    def __repr__(self) -> str:
        return repr(self._event)


def _match_all(wanted: Sequence[Expected], events: Sequence[Event]) -> list[Event]:
    for number, (expected, event) in enumerate(zip(wanted, events, strict=False), 1):
        if differences := expected.differences(event):
            text = f"event {number} was to be {expected!r}, but {', '.join(differences)}"
            raise _different(text, events, number)
    if len(events) > len(wanted):
        raise _different(f"after event {len(wanted)} no more was to come", events, len(wanted) + 1)
    if len(events) < len(wanted):
        missing = wanted[len(events)]
        raise _different(f"event {len(events) + 1} was to be {missing!r}, but none came", events)
    return list(events)


def _match_some(wanted: Sequence[Expected], events: Sequence[Event]) -> list[Event]:
    found: list[Event] = []
    position = 0
    for number, expected in enumerate(wanted, 1):
        for place in range(position, len(events)):
            if not expected.differences(events[place]):
                break
        else:
            after = f"after event {position}" if position else "anywhere"
            text = f"expected event {number}, {expected!r}, did not come {after}"
            raise _different(text, events, position or None)
        found.append(events[place])
        position = place + 1
    return found


def _different(text: str, events: Sequence[Event], mark: int | None = None) -> AssertionError:
    return AssertionError(f"{text}; recorded:\n{listing(enumerate(events, 1), mark)}")


def _shown(value: object) -> str:
    """Return how an expected attribute is called."""
    return f"<{getattr(value, '__name__', 'function')}>" if callable(value) else repr(value)


def waiting_for(
    expectation: Expectation, count: int, timeout: float | None
) -> tuple[Expected, Callable[[list[Event], int], TimeoutError]]:
    """Return what somebody waits for, and how to make the error for when his time is up.

    Raises:
        ValueError: ``count`` is not at least 1.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count!r}")
    expected = _expected(expectation)

    def late(events: list[Event], seen: int) -> TimeoutError:
        return TimeoutError(
            f"{seen} of {count} {expected!r} came within {timeout:g} s; recorded:\n"
            f"{listing(enumerate(events, 1))}"
        )

    return expected, late
