"""Callers who wait for each other: each holds connections, and all that hold any wait for one more.

A caller who waits is stuck if everybody is who holds a connection that must come back before he can go on:
those of the endpoint where he waits, if that has no room for more, or else those of the whole pool.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from pool._core.home import Home
from pool._core.states import IN_USE

__all__ = ["Knot", "find_knot"]


class Knot(NamedTuple):
    """A deadlock: how many callers wait for each other, and how many connections one of them holds."""

    callers: int
    held: int
    everywhere: bool
    """Whether it is the pool's room that they lack, not the endpoint's."""
    room: int = 0
    """The room in the whole pool that is needed on top of more at the endpoint, 0 if there is enough."""
    limit: str = "max_size"
    """What could be raised at the endpoint."""

    def needed(self) -> int:
        """Return the size with which one of them could go on."""
        return self.callers * self.held + 1

    def __str__(self) -> str:
        options = f"{'total_max_size' if self.everywhere else self.limit} >= {self.needed()}"
        if self.room:
            options += f" and total_max_size >= {self.room}"
        wanted = self.held + 1
        if self.callers == 1:
            who, need = "the caller that holds", f"a caller that needs {wanted} leases"
        else:
            who = f"each of the {self.callers} callers that hold"
            need = f"{self.callers} callers that need {wanted} leases each"
        return (
            f"hold-and-wait deadlock: {who} all the connections waits for one more; "
            f"{need} at the same time can only go on with "
            f"{options} (callers x (leases - 1) + 1)"
        )


def find_knot(
    homes: Collection[Home],
    everywhere: bool,
    waiting: Mapping[Any, Collection[Home]],
    blockers: Callable[[Home], Collection[Home]],
    by: Any = None,
) -> Knot | None:
    """Return the knot in which all holders of these endpoints' connections are, if they are.

    Parameters:
        homes: the endpoints that lack room.
        everywhere: whether they lack it because the whole pool is full.
        waiting: who waits for a connection, and at which endpoints.
        blockers: tells the endpoints where a connection must come back before the callers of one go on.
        by: who must be one of those in it, ``None`` for anybody.
    """
    holders: dict[Home, Counter[Any]] = {}
    asked: set[Home] = set()
    todo = [iter(homes)]
    while todo:
        home = next(todo[-1], None)
        if home is None:
            todo.pop()
            continue
        if home in holders:
            continue
        holders[home] = Counter()
        for known in home.entries.values():
            entry = known()
            if entry is None:
                return None
            for lease in entry.leases():
                # As a rule the first one ends the search: its holder is at work.
                places = waiting.get(lease.owner)
                if lease.state is not IN_USE or not places:
                    return None
                holders[home][lease.owner] += 1
                for place in places:
                    if place not in asked:
                        asked.add(place)
                        nearest = blockers(place)
                        if not nearest:
                            return None
                        todo.append(iter(nearest))
    counts: Counter[Any] = Counter()
    for home in homes:
        counts += holders[home]
    if not counts or (by is not None and not any(by in people for people in holders.values())):
        return None
    return Knot(len(counts), max(counts.values()), everywhere)
