"""What the events of a pool whose connections are shared must be like. The same for both worlds."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionReadyEvent,
    PoolCreatedEvent,
)

__all__ = ["check_shared"]


def check_shared(events: Sequence[Any], *, ended: bool = False) -> None:
    """Each connection is created, ready, used by any number, and closed when nobody uses it any more.

    Parameters:
        events: all events of one pool, in the order in which they were told.
        ended: nothing goes on any more: what was begun must have ended, and what was opened be closed.
    """
    life: dict[int, str] = {}
    users: Counter[int] = Counter()
    going_on = 0
    assert not events or type(events[0]) is PoolCreatedEvent, events[0]
    for number, event in enumerate(events):
        so_far = events[: number + 1]
        id_ = getattr(event, "connection_id", 0)
        match event:
            case ConnectionCreatedEvent():
                assert id_ not in life, so_far
                life[id_] = "created"
            case ConnectionReadyEvent():
                assert life[id_] == "created", so_far
                life[id_] = "ready"
            case ConnectionCheckOutStartedEvent():
                going_on += 1
            case ConnectionCheckedOutEvent():
                assert life[id_] == "ready", so_far
                going_on -= 1
                users[id_] += 1
            case ConnectionCheckOutFailedEvent():
                going_on -= 1
            case ConnectionCheckedInEvent():
                users[id_] -= 1
            case ConnectionClosedEvent():
                assert life[id_] in ("created", "ready"), so_far
                assert not users[id_], so_far
                life[id_] = "closed"
        assert users[id_] >= 0, so_far
        assert going_on >= 0, so_far
    if ended:
        assert set(life.values()) <= {"closed"}, life
        assert not users.total(), users
        assert going_on == 0
