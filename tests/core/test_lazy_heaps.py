"""What the lazy heaps cost and keep: what is void takes no room, to clean up is rare, and loses nothing."""

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from core.books import Caller
from core.desk import Desk

from pool import PoolOptions
from pool._core import agenda, budget
from pool._core.states import CONNECTING, GRANTED, IDLE, WAITING


class Item:
    """Something that comes due, and counts how often it is looked up."""

    def __init__(self) -> None:
        self.look = inf
        self.asked = 0

    def itself(self) -> "Item":
        self.asked += 1
        return self

    @property
    def ref(self) -> Callable[[], "Item"]:
        return self.itself


def count_calls(monkeypatch: pytest.MonkeyPatch, name: str) -> list[Any]:
    """Record the calls of a function of the budget."""
    calls: list[Any] = []
    function = getattr(budget, name)

    def counted(*args: Any) -> Any:
        calls.append(args)
        return function(*args)

    monkeypatch.setattr(budget, name, counted)
    return calls


def shuffled(number: int) -> list[int]:
    """Numbers in an order that is neither theirs nor its reverse."""
    return [(place * 73) % number for place in range(number)]


# -- the agenda ---------------------------------------------------------------------------------------


def test_the_same_date_is_kept_once() -> None:
    """However often an item is added for the same time."""
    dates = agenda.Agenda()
    item = Item()
    for _ in range(100):
        dates.add(item, 5.0)
    assert len(dates._dates) == 1


def test_an_agenda_is_rarely_cleaned_up() -> None:
    """While it grows, each item is looked up only a few times in all: it is not swept for every date."""
    dates = agenda.Agenda()
    items = [Item() for _ in range(5_000)]
    for number, item in enumerate(items):
        dates.add(item, float(number))
    assert sum(item.asked for item in items) < 3 * len(items)


# -- who hungers --------------------------------------------------------------------------------------


def crowd(desk: Desk, number: int) -> list[Caller]:
    """Callers who wait for room, each at an endpoint of his own."""
    callers = [desk.ask(f"endpoint {place}", 1.0) for place in range(number)]
    assert {caller.verdict for caller in callers} == {WAITING}
    return callers


def test_the_hungry_are_served_in_order_whatever_was_cleaned_up() -> None:
    """Of many who wait at many endpoints, some of whom have left, each gets the room in his turn."""
    desk = Desk(max_size=1, total_max_size=1)
    holder = desk.lease("a", 0.0)
    callers = crowd(desk, 100)
    for caller in callers[::3]:
        desk.apply(desk.core.abandon(caller, 2.0))
    staying = [caller for caller in callers if caller not in callers[::3]]
    staying += [desk.ask(f"later {place}", 3.0) for place in range(100)]
    for caller in staying:
        desk.discard(holder, 4.0)
        desk.close(4.0)
        assert caller.verdict is GRANTED
        desk.proceed(caller, 4.0)
        holder = caller


def test_those_who_hunger_again_keep_their_turn_whatever_was_cleaned_up() -> None:
    """Endpoints that were paused for lack of permits come back among younger ones, each in its place."""
    desk = Desk(max_size=2, total_max_size=200, max_connecting=1)
    connecting = [desk.ask(f"endpoint {place}", 0.0) for place in range(100)]
    older = [desk.ask(f"endpoint {place}", 1.0) for place in range(100)]
    filling = [desk.lease(f"full {place}", 1.0) for place in range(100)]
    younger = [desk.ask(f"younger {place}", 2.0) for place in range(60)]
    # They hunger from now on, in another order than they came.
    for place in shuffled(100):
        desk.proceed(connecting[place], 3.0)
    younger += [desk.ask(f"youngest {place}", 4.0) for place in range(100)]
    for caller, holder in zip([*older, *younger[:100]], filling + connecting, strict=True):
        before = caller.verdict
        desk.discard(holder, 5.0)
        desk.close(5.0)
        assert (before, caller.verdict) == (WAITING, GRANTED)


def test_the_hungry_take_little_room() -> None:
    """Of thousands who came, waited and left, at ever new endpoints, few are remembered."""
    desk = Desk(max_size=1, total_max_size=1)
    desk.lease("a", 0.0)
    first = desk.ask("b", 0.0)
    for number in range(3000):
        caller = desk.ask(f"endpoint {number}", 1.0)
        desk.apply(desk.core.abandon(caller, 1.0))
    assert len(desk.core._hungry) <= 65
    assert first.verdict is WAITING


def test_the_hungry_are_rarely_cleaned_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many who all wait are not swept for every one that joins them."""
    cleanings = count_calls(monkeypatch, "heapify")
    desk = Desk(max_size=1, total_max_size=1)
    desk.lease("a", 0.0)
    crowd(desk, 1000)
    assert 1 <= len(cleanings) <= 6


# -- who was used when --------------------------------------------------------------------------------


def test_the_least_recently_used_goes_first_whatever_was_cleaned_up() -> None:
    """Of many connections, half of which are gone."""
    desk = Desk(max_size=400, total_max_size=400)
    entries = {}
    for time in shuffled(200):
        (entries[time],) = desk.stock(f"endpoint {time}", float(time))
    for time in range(1, 200, 2):
        desk.discard(desk.lease(f"endpoint {time}", 500.0), 500.0)
    desk.close(500.0)
    assert len(desk.core._ranks) <= 200
    for time in shuffled(99):
        (entries[300 + time],) = desk.stock(f"endpoint {300 + time}", 300.0 + time)
    desk.core.resize(PoolOptions(max_size=10, total_max_size=10), 600.0)
    left = [entry for home in desk.core._homes.values() for entry in home.idle()]
    assert sorted(entry.since for entry in left) == [float(300 + time) for time in range(89, 99)]


def test_ranks_are_rarely_cleaned_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many connections that all live are not swept for every one that joins them."""
    cleanings = count_calls(monkeypatch, "heapify")
    desk = Desk(max_size=1000, total_max_size=1000, max_connecting=1000)
    desk.stock("a", *[1.0] * 1000)
    assert 1 <= len(cleanings) <= 6


def test_a_connection_is_ranked_once() -> None:
    """However often it comes back the long way."""
    desk = Desk(max_size=1, total_max_size=1, reuse="fifo")
    desk.stock("a", 1.0)
    for _ in range(100):
        desk.give_back(desk.take("a", 2.0), 3.0)
    assert len(desk.core._ranks) == 1


# -- what comes back ----------------------------------------------------------------------------------


def test_what_is_being_closed_is_not_in_the_way_of_what_comes_back() -> None:
    """Those who wait at its own endpoint have it, though the pool is full and they lack room."""
    desk = Desk(max_size=None, total_max_size=3)
    closing, first, _ = [desk.lease("a", 0.0) for _ in range(3)]
    desk.discard(closing, 1.0)
    waiting = [desk.ask("a", 2.0) for _ in range(3)]
    entry = first.entry
    desk.give_back(first, 3.0)
    assert waiting[0].entry is entry
    assert len(desk.closing) == 1
    desk.close(3.0)
    assert waiting[1].entry is not None
    assert waiting[1].entry.state is CONNECTING


def test_what_comes_back_stays_if_what_is_being_closed_makes_room_enough() -> None:
    """For those who wait elsewhere: it need not go too."""
    desk = Desk(max_size=1, total_max_size=2)
    holder, closing = desk.lease("a", 0.0), desk.lease("b", 0.0)
    entry = holder.entry
    assert entry is not None
    desk.discard(closing, 1.0)
    older = desk.ask("c", 2.0)
    desk.give_back(holder, 3.0)
    assert (len(desk.closing), entry.state) == (1, IDLE)
    desk.close(4.0)
    assert older.verdict is GRANTED
