"""The agenda: dates in order, none twice, none kept alive."""

from collections.abc import Callable
from math import inf
from weakref import ref

from pool._core.agenda import Agenda


class Item:
    """Something that comes due."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.look = inf
        self.ref: Callable[[], Item | None] = ref(self)

    def __repr__(self) -> str:
        return f"<Item {self.name}>"


def popped(agenda: Agenda, now: float) -> list[object]:
    """All that is due."""
    items: list[object] = []
    while (item := agenda.pop(now)) is not None:
        items.append(item)
    return items


def test_what_is_due_comes_in_the_order_of_time() -> None:
    """Whatever the order in which it was added; what is due at the same time in the order of that."""
    agenda = Agenda()
    late, early, also_early = Item("late"), Item("early"), Item("also early")
    agenda.add(late, 3.0)
    agenda.add(early, 1.0)
    agenda.add(also_early, 1.0)
    assert popped(agenda, 5.0) == [early, also_early, late]


def test_nothing_comes_before_its_time() -> None:
    """An item is due at its time and not before, and ``next`` tells when that is."""
    agenda = Agenda()
    item = Item()
    assert agenda.next() == inf
    agenda.add(item, 2.0)
    assert agenda.next() == 2.0
    assert agenda.pop(1.9) is None
    assert agenda.pop(2.0) is item
    assert agenda.next() == inf


def test_a_later_date_does_not_postpone() -> None:
    """Whoever adds an item wants it looked at by then: an earlier date stands."""
    agenda = Agenda()
    item = Item()
    agenda.add(item, 2.0)
    agenda.add(item, 3.0)
    assert item.look == 2.0
    assert popped(agenda, 9.0) == [item]


def test_an_item_with_an_earlier_date_comes_once() -> None:
    """The date it had before is void."""
    agenda = Agenda()
    item = Item()
    agenda.add(item, 3.0)
    agenda.add(item, 2.0)
    assert popped(agenda, 2.0) == [item]
    assert popped(agenda, 9.0) == []


def test_what_has_come_can_be_added_again() -> None:
    """Even to a time for which it stood there before, and it comes once then."""
    agenda = Agenda()
    item = Item()
    agenda.add(item, 3.0)
    agenda.add(item, 2.0)
    assert agenda.pop(2.0) is item
    assert item.look == inf
    agenda.add(item, 3.0)
    assert popped(agenda, 9.0) == [item]


def test_it_keeps_nothing_alive() -> None:
    """What is gone does not come."""
    agenda = Agenda()
    item, other = Item(), Item()
    agenda.add(item, 1.0)
    agenda.add(other, 2.0)
    gone = item.ref
    del item
    assert gone() is None
    assert popped(agenda, 9.0) == [other]


def test_what_is_gone_takes_no_room() -> None:
    """Of many items that came and went before they were due only a few dates are left."""
    agenda = Agenda()
    for _ in range(10_000):
        agenda.add(Item(), 1.0)
    assert len(agenda._dates) <= 64


def test_void_dates_take_no_room() -> None:
    """Of an item that was moved many times only a few dates are left."""
    agenda = Agenda()
    item = Item()
    for number in range(10_000):
        agenda.add(item, -float(number))
    assert len(agenda._dates) <= 64
    assert popped(agenda, 9.0) == [item]


def test_what_is_alive_stays_when_it_makes_room() -> None:
    """Of a thousand items each still comes, once and in order, whatever went meanwhile."""
    agenda = Agenda()
    items = [Item(str(number)) for number in range(1000)]
    for number, item in enumerate(items):
        agenda.add(item, float(1000 - number))
        agenda.add(Item(), float(number))
    assert popped(agenda, 2000.0) == items[::-1]


def test_a_cleared_agenda_is_empty() -> None:
    """Nothing of before comes."""
    agenda = Agenda()
    item = Item()
    agenda.add(item, 1.0)
    agenda.clear()
    assert agenda.next() == inf
    assert popped(agenda, 9.0) == []
