"""Who holds up whom, found out the slow way: by trying who can go on."""

from typing import Any

from pool._core.home import Home
from pool._core.pool import PoolCore
from pool._core.records import Entry
from pool._core.states import IN_USE

__all__ = ["held_up_by", "is_stuck"]


def waiting_people(core: PoolCore) -> dict[Any, list[Home]]:
    """Who waits, and where."""
    places: dict[Any, list[Home]] = {}
    for home in core._homes.values():
        for claim in home.queue:
            places.setdefault(claim.owner, []).append(home)
    return places


def blocking(core: PoolCore, home: Home) -> list[Entry]:
    """What must come back before those in a queue can go on; nothing if they need not wait for that."""
    if len(home.entries) >= core._max_size:
        return home.every()
    if core._size >= core._total:
        return [entry for place in core._homes.values() for entry in place.every()]
    return []


def is_stuck(core: PoolCore, home: Home) -> bool:
    """Whether nobody will ever give those in a queue what they wait for."""
    places = waiting_people(core)
    stuck = set(places)

    def moves(place: Home) -> bool:
        entries = blocking(core, place)
        return not entries or any(
            entry.state is not IN_USE or entry.owner not in stuck for entry in entries
        )

    while True:
        free = {person for person in stuck if any(moves(place) for place in places[person])}
        if not free:
            return not moves(home)
        stuck -= free


def held_up_by(core: PoolCore, home: Home) -> set[Any]:
    """For whom those in a queue wait, and for whom these wait, and so on."""
    places = waiting_people(core)
    people: set[Any] = set()
    todo = [home]
    for place in todo:
        for entry in blocking(core, place):
            people.add(entry.owner)
            todo += [further for further in places.get(entry.owner, []) if further not in todo]
    return people
