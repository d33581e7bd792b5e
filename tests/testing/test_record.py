"""What recorders say when events are not as expected: the texts, and stories that cannot be true."""

from typing import Any

import pytest

from pool import monitoring
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionLeakedEvent,
    ConnectionReadyEvent,
    Event,
    PoolCreatedEvent,
    PoolReadyEvent,
    TopologyEvent,
)
from pool.monitoring._listeners import HANDLERS, handler_of
from pool.testing import expect
from pool.testing.sync import EventRecorder

KNOWN = [PoolCreatedEvent("e", {}), PoolReadyEvent("e")]
OPENED = [ConnectionCreatedEvent("e", 1), ConnectionReadyEvent("e", 1, 0.5)]
ASKED, GOT = ConnectionCheckOutStartedEvent("e"), ConnectionCheckedOutEvent("e", 1, 0.1)
BACK, CLOSED = ConnectionCheckedInEvent("e", 1), ConnectionClosedEvent("e", 1, "stale")


def told(*events: Event) -> EventRecorder:
    """Return a recorder that was told these events."""
    recorder = EventRecorder()
    for event in events:
        handler = handler_of(recorder, type(event))
        assert handler is not None
        handler(event)
    return recorder


@pytest.mark.parametrize("event_type", HANDLERS, ids=lambda event_type: event_type.__name__)
def test_hears_of_every_event(event_type: type[Event]) -> None:
    """No family is left out."""
    event = event_type.__new__(event_type)
    recorder = EventRecorder()
    handler = handler_of(recorder, event_type)
    assert handler is not None
    handler(event)
    (recorded,) = recorder.events
    assert recorded is event


# --- expect ---


def test_expectations_read_as_events() -> None:
    """With the attributes that were given."""
    assert repr(expect(ConnectionClosedEvent, connection_id=1, reason="stale")) == (
        "ConnectionClosedEvent(connection_id=1, reason='stale')"
    )

    def short(seconds: float) -> bool:
        return seconds < 1

    assert repr(expect(ConnectionReadyEvent, duration=short)) == (
        "ConnectionReadyEvent(duration=<short>)"
    )


@pytest.mark.parametrize(
    ("args", "values", "text"),
    [
        (("ConnectionReadyEvent",), {}, "not an event class: 'ConnectionReadyEvent'"),
        ((int,), {}, "not an event class: <class 'int'>"),
        ((ConnectionReadyEvent,), {"reason": 1}, "a ConnectionReadyEvent has no 'reason'"),
    ],
)
def test_expectations_that_make_no_sense(args: tuple[Any], values: Any, text: str) -> None:
    """They would never be met: they are refused at once."""
    with pytest.raises(TypeError, match=text):
        expect(*args, **values)


def test_expectations_that_are_met() -> None:
    """By class, by base class, by attributes, by a function, or by value."""
    recorder = told(*OPENED, monitoring.TopologyClosedEvent("t"))
    recorder.match(
        [
            expect(ConnectionCreatedEvent, connection_id=1),
            expect(ConnectionReadyEvent, duration=lambda seconds: seconds < 1),
            TopologyEvent,
        ]
    )
    recorder.match(OPENED, exact=False)


# --- match ---


def mismatch(recorder: EventRecorder, expected: list[Any], **options: bool) -> list[str]:
    """Return what is said when events do not match, line by line."""
    with pytest.raises(AssertionError) as caught:
        recorder.match(expected, **options)
    return str(caught.value).splitlines()


def test_the_first_difference_is_shown() -> None:
    """The whole log, with an arrow at the event and its differences above."""
    expected = [*OPENED, expect(ConnectionClosedEvent, connection_id=2, reason="idle"), GOT]
    assert mismatch(told(*OPENED, CLOSED, GOT), expected) == [
        "event 3 was to be ConnectionClosedEvent(connection_id=2, reason='idle'), but "
        "connection_id is 1, reason is 'stale'; recorded:",
        "     1 ConnectionCreatedEvent(address='e', connection_id=1)",
        "     2 ConnectionReadyEvent(address='e', connection_id=1, duration=0.5)",
        ">    3 ConnectionClosedEvent(address='e', connection_id=1, reason='stale')",
        "     4 ConnectionCheckedOutEvent(address='e', connection_id=1, duration=0.1)",
    ]


def test_another_class() -> None:
    """What it is, is said."""
    first, *_ = mismatch(told(BACK), [GOT])
    assert first == (
        "event 1 was to be ConnectionCheckedOutEvent(address='e', connection_id=1, duration=0.1), "
        "but it is ConnectionCheckedInEvent(address='e', connection_id=1); recorded:"
    )
    first, *_ = mismatch(told(BACK), [ConnectionClosedEvent])
    assert first == (
        "event 1 was to be ConnectionClosedEvent(), but it is a ConnectionCheckedInEvent; recorded:"
    )


def test_too_few_and_too_many() -> None:
    """What is missing is named; what is too much has the arrow."""
    first, *log = mismatch(told(BACK), [BACK, ConnectionClosedEvent])
    assert first == "event 2 was to be ConnectionClosedEvent(), but none came; recorded:"
    assert log == ["     1 ConnectionCheckedInEvent(address='e', connection_id=1)"]
    first, *log = mismatch(told(BACK, CLOSED), [BACK])
    assert first == "after event 1 no more was to come; recorded:"
    assert [line[0] for line in log] == [" ", ">"]
    assert mismatch(told(), [BACK])[1:] == ["  (nothing)"]


def test_never_came() -> None:
    """Not exact, and not there at all."""
    first, *_ = mismatch(told(BACK), [ConnectionClosedEvent], exact=False)
    assert first == "expected event 1, ConnectionClosedEvent(), did not come anywhere; recorded:"


# --- check_order ---


def test_stories_that_can_be_true() -> None:
    """A connection that is reused, leaks, fails to open or begins anew after a remove."""
    used = [ASKED, GOT, BACK]
    failed = [ConnectionCreatedEvent("e", 2), ConnectionClosedEvent("e", 2, "error")]
    leaked = [ASKED, GOT, ConnectionLeakedEvent("e", 1, 9.0, ""), BACK]
    life = [*KNOWN, *OPENED, *used, *leaked, *failed, CLOSED]
    story = [*life, monitoring.PoolClosedEvent("e"), *life]
    told(*story, monitoring.TopologyClosedEvent("t")).check_order(ended=True)


@pytest.mark.parametrize(
    ("story", "text"),
    [
        (OPENED[:1], "'e' is not known yet when event 1 came"),
        ([*KNOWN, OPENED[1]], "connection 1 to 'e' was never created when event 3 came"),
        ([*KNOWN, *OPENED, OPENED[0]], "connection 1 to 'e' was ready when event 5 came"),
        (
            [*KNOWN, *OPENED, ASKED, GOT, GOT],
            "connection 1 to 'e' was checked out when event 7 came",
        ),
        ([*KNOWN, *OPENED, BACK], "connection 1 to 'e' was ready when event 5 came"),
        ([*KNOWN, *OPENED, GOT], "no check-out of 'e' was going on when event 5 came"),
        ([*KNOWN, *OPENED, ASKED, GOT, CLOSED], "was checked out when event 7 came"),
        ([*KNOWN, *OPENED, CLOSED, CLOSED], "was closed already when event 6 came"),
        (
            [*KNOWN, ASKED, *[ConnectionCheckOutFailedEvent("e", "timeout", 0.1)] * 2],
            "no check-out of 'e' was going on when event 5 came",
        ),
    ],
)
def test_stories_that_cannot_be_true(story: list[Event], text: str) -> None:
    """The first event that cannot be is named, with an arrow."""
    with pytest.raises(AssertionError, match=text) as caught:
        told(*story).check_order()
    assert str(caught.value).splitlines()[-1].startswith(f">    {len(story)} ")


def test_the_story_is_of_one_endpoint() -> None:
    """What was told of others is left out of the text."""
    with pytest.raises(AssertionError) as caught:
        told(PoolCreatedEvent("other", {}), *KNOWN, BACK).check_order()
    assert "other" not in str(caught.value)


@pytest.mark.parametrize(
    ("story", "text"),
    [
        ([*KNOWN, *OPENED], "connections were never closed: 1 to 'e'; the events:"),
        ([*KNOWN, ASKED], "check-outs never ended: 'e'; the events:"),
    ],
)
def test_stories_without_an_end(story: list[Event], text: str) -> None:
    """While it goes on that is fine."""
    told(*story).check_order()
    with pytest.raises(AssertionError, match=text):
        told(*story).check_order(ended=True)


LEAKED = ConnectionLeakedEvent("e", 1, 9.0, "")


def test_stories_of_shared_connections() -> None:
    """One connection is out several times at once; each time may leak, and it is closed after the last."""
    crowd = [ASKED, ASKED, GOT, GOT, LEAKED, BACK, ASKED, GOT, LEAKED, BACK, BACK]
    story = [*KNOWN, *OPENED, *crowd, ASKED, GOT, BACK, CLOSED]
    told(*story).check_order(ended=True, shared=True)
    with pytest.raises(AssertionError, match="was checked out when event 8 came"):
        told(*story).check_order(ended=True)


@pytest.mark.parametrize(
    ("story", "text"),
    [
        ([*OPENED[:1], ASKED, GOT], "was created when event 5 came"),
        ([*OPENED, ASKED, GOT, BACK, BACK], "was ready when event 8 came"),
        ([*OPENED, ASKED, ASKED, GOT, GOT, BACK, CLOSED], "was checked out when event 10 came"),
        ([*OPENED, LEAKED], "was ready when event 5 came"),
        ([*OPENED, ASKED, GOT, BACK, CLOSED, ASKED, GOT], "was closed already when event 10 came"),
    ],
)
def test_stories_of_shared_connections_that_cannot_be_true(story: list[Event], text: str) -> None:
    """Nobody has what is not ready, nobody gives back what he has not got, nothing is closed in use."""
    with pytest.raises(AssertionError, match=text):
        told(*KNOWN, *story).check_order(shared=True)
