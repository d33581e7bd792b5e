"""Whether a pool's events tell a story that can be true. Serves both worlds."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pool import monitoring

__all__ = ["assert_well_formed"]

# What may happen to one connection, by what happened to it last.
_LIVES: dict[Any, set[str | None]] = {
    monitoring.ConnectionCreatedEvent: {None},
    monitoring.ConnectionReadyEvent: {"created"},
    monitoring.ConnectionCheckedOutEvent: {"ready", "in"},
    monitoring.ConnectionLeakedEvent: {"out"},
    monitoring.ConnectionCheckedInEvent: {"out", "leaked"},
    monitoring.ConnectionClosedEvent: {"created", "ready", "in"},
}
_NAMES: dict[Any, str | None] = {
    monitoring.ConnectionCreatedEvent: "created",
    monitoring.ConnectionReadyEvent: "ready",
    monitoring.ConnectionCheckedOutEvent: "out",
    monitoring.ConnectionLeakedEvent: "leaked",
    monitoring.ConnectionCheckedInEvent: "in",
    monitoring.ConnectionClosedEvent: None,
}


def assert_well_formed(events: Sequence[Any], *, ended: bool = True) -> None:
    """Each connection is created, ready, out and in by turns, and closed once; each check-out has one end.

    While it is out, it may leak, once.

    Parameters:
        events: all events of one pool, in the order in which they were told.
        ended: nothing goes on any more: what was begun must have ended, and what was opened be closed.
    """
    lives: dict[Any, str | None] = {}
    open_checkouts: Counter[Any] = Counter()
    known: set[Any] = set()
    for number, event in enumerate(events):
        kind = type(event)
        if kind is monitoring.PoolCreatedEvent:
            known.add(event.address)
        assert event.address in known, f"before its pool was created: {_story(events, number)}"
        if kind in _LIVES:
            who = event.address, event.connection_id
            last = lives.get(who)
            assert last in _LIVES[kind], f"#{who[1]} was {last}: {_story(events, number)}"
            lives[who] = _NAMES[kind]
        if kind is monitoring.ConnectionCheckOutStartedEvent:
            open_checkouts[event.address] += 1
        if kind in (monitoring.ConnectionCheckedOutEvent, monitoring.ConnectionCheckOutFailedEvent):
            open_checkouts[event.address] -= 1
            assert open_checkouts[event.address] >= 0, f"ended twice: {_story(events, number)}"
    if ended:
        left = [who for who, state in lives.items() if state is not None]
        assert not left, f"not closed: {left} in {_story(events)}"
        assert not +open_checkouts, f"a check-out without an end: {_story(events)}"


def _story(events: Sequence[Any], until: int | None = None) -> str:
    """What was told at this endpoint, the last few dozen events up to one."""
    shown = list(enumerate(events))
    if until is not None:
        address = events[until].address
        shown = [
            (number, event) for number, event in shown[: until + 1] if event.address == address
        ]
    return "".join(f"\n{number:4} {event!r}" for number, event in shown[-60:])
