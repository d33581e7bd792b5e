"""Whether the events of a pool tell a story that can be true. The same for both worlds."""

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final

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
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)

__all__ = ["check_order", "listing"]

_CREATED, _READY, _OUT, _LEAKED, _IN = "created", "ready", "checked out", "leaked", "checked in"

#: What happens to one connection: what it was before, ``None`` if there was none, and what it is then.
_LIVES: Final[Mapping[type[Event], tuple[set[str | None], str | None]]] = {
    ConnectionCreatedEvent: ({None}, _CREATED),
    ConnectionReadyEvent: ({_CREATED}, _READY),
    ConnectionCheckedOutEvent: ({_READY, _IN}, _OUT),
    ConnectionLeakedEvent: ({_OUT}, _LEAKED),
    ConnectionCheckedInEvent: ({_OUT, _LEAKED}, _IN),
    ConnectionClosedEvent: ({_CREATED, _READY, _IN}, None),
}
#: What it is by turns, or to several at once.
_IN_TURN: Final = {_OUT, _LEAKED, _IN}
_ENDS: Final = (ConnectionCheckedOutEvent, ConnectionCheckOutFailedEvent)
_OF_POOLS: Final = (
    *_LIVES,
    *(ConnectionCheckOutStartedEvent, ConnectionCheckOutFailedEvent),
    *(PoolCreatedEvent, PoolReadyEvent, PoolClearedEvent, PoolClosedEvent),
)


def check_order(events: Sequence[Event], *, ended: bool = False, shared: bool = False) -> None:
    """Each connection is created, ready, out and in by turns, and closed once; each check-out has one end.

    While it is out it may be reported as leaked, once. Events of anything but pools are passed over.
    Where connections are shared, one may be out several times at once.

    Parameters:
        events: all events of one pool from its beginning, in the order in which they were told.
        ended: nothing goes on any more: what was begun must have ended, and what was opened be closed.
        shared: they are those of a ``MultiplexedPool``.

    Raises:
        AssertionError: it is not so. The text has the events of that endpoint up to the first wrong one.
    """
    lives: dict[tuple[Hashable, int], str | None] = {}
    checkouts: Counter[Hashable] = Counter()
    users: Counter[tuple[Hashable, int]] = Counter()
    known: set[Hashable] = set()
    for number, event in enumerate(events):
        kind = type(event)
        if kind not in _OF_POOLS:
            continue
        address = getattr(event, "address", None)
        if kind is PoolCreatedEvent:
            known.add(address)
        if address not in known:
            raise _wrong(f"{address!r} is not known yet", events, number)
        if kind in _LIVES:
            who = address, getattr(event, "connection_id", 0)
            before, after = _LIVES[kind]
            state = lives.get(who)
            if shared:
                if kind is ConnectionCheckedOutEvent:
                    before = before | {_OUT}
                if users[who]:
                    state = _OUT
            if state not in before:
                was = state or ("closed already" if who in lives else "never created")
                raise _wrong(f"connection {who[1]} to {address!r} was {was}", events, number)
            users[who] += (kind is ConnectionCheckedOutEvent) - (kind is ConnectionCheckedInEvent)
            lives[who] = _READY if shared and after in _IN_TURN else after
        checkouts[address] += (kind is ConnectionCheckOutStartedEvent) - (kind in _ENDS)
        if checkouts[address] < 0:
            raise _wrong(f"no check-out of {address!r} was going on", events, number)
    if ended:
        open_ = [f"{id_} to {address!r}" for (address, id_), state in lives.items() if state]
        if open_:
            raise _wrong(f"connections were never closed: {', '.join(open_)}", events)
        pending = [repr(address) for address, count in checkouts.items() if count]
        if pending:
            raise _wrong(f"check-outs never ended: {', '.join(pending)}", events)


def listing(events: Iterable[tuple[int, Event]], mark: int | None = None) -> str:
    """Return numbered events, a line for each, with an arrow at one."""
    lines = [f"{'>' if n == mark else ' '} {n:4} {event!r}" for n, event in events]
    return "\n".join(lines) or "  (nothing)"


def _wrong(what: str, events: Sequence[Event], number: int | None = None) -> AssertionError:
    story = list(enumerate(events, 1))
    if number is None:
        return AssertionError(f"{what}; the events:\n{listing(story)}")
    address = getattr(events[number], "address", None)
    told = [
        (n, event) for n, event in story[: number + 1] if getattr(event, "address", None) == address
    ]
    return AssertionError(f"{what} when event {number + 1} came:\n{listing(told, number + 1)}")
