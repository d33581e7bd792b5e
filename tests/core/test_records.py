"""What the records say of what has not happened yet."""

from math import inf

import pytest
from core.desk import Desk

from pool._core.deadlock import Knot
from pool._core.records import NOTHING, PAST, Aside, Effects, Entry, Filler
from pool._core.states import CONNECTING


def entry_at(now: float) -> Entry:
    """A permit, as it is when it is given."""
    desk = Desk()
    desk.know("a")
    return Entry(desk.home("a"), 3, now)


def test_what_is_aside_has_its_default_until_it_is_set() -> None:
    """Each by itself, and nothing is kept for a default."""

    class Odd(Entry):
        number = Aside(7)
        word = Aside("none")

    desk = Desk()
    desk.know("a")
    odd = Odd(desk.home("a"), 1, 0.0)
    assert (odd.number, odd.word, odd.aside) == (7, "none", None)
    odd.word = "said"
    assert (odd.number, odd.word) == (7, "said")
    odd.number = 8
    assert (odd.number, odd.word) == (8, "said")
    odd.word = "none"
    assert odd.aside == {"number": 8}
    odd.number = 7
    assert odd.aside is None


def test_a_permit_knows_nothing_yet() -> None:
    """No connection and no end; its times are that of the permit, or never."""
    entry = entry_at(5.0)
    assert (entry.id, entry.state, entry.uses, entry.doomed) == (3, CONNECTING, 0, "")
    assert entry.connection is NOTHING
    assert (entry.since, entry.checked, entry.lent) == (5.0, 5.0, 5.0)
    assert (entry.expires, entry.gap, entry.look, entry.until) == (inf, inf, inf, PAST)
    assert (entry.next, entry.service, entry.owner) == (None, None, None)
    assert (entry.code, entry.instruction, entry.stack) == (None, 0, None)
    no = (entry.hidden, entry.suspect, entry.marked, entry.begun, entry.ready, entry.watched)
    assert no == (False,) * 6
    assert entry.ranked is True


def test_a_filler_is_nobody() -> None:
    """It was called by no code, and held nothing."""
    filler = Filler("a")
    assert (filler.endpoint, filler.entry, filler.ended) == ("a", None, 0)
    assert (filler.code, filler.instruction, filler.stack) == (None, 0, None)
    assert filler.owner is None


def test_no_connection_says_so() -> None:
    """Where the value that stands for none is shown."""
    assert repr(NOTHING) == "<no connection>"


@pytest.mark.parametrize("name", ["close", "lost", "shut", "wake", "interrupt", "ring", "deadlock"])
def test_effects_are_true_if_there_is_anything_to_do(name: str) -> None:
    """Any one thing is enough."""
    effects = Effects()
    lists = (effects.close, effects.lost, effects.shut, effects.wake, effects.interrupt)
    assert lists == ([], [], [], [], [])
    assert (effects.ring, effects.deadlock, bool(effects)) == (False, None, False)
    things = {"ring": True, "deadlock": Knot(1, 1, False)}
    setattr(effects, name, things.get(name, [object()]))
    assert bool(effects) is True


@pytest.mark.parametrize(
    ("now", "after", "suspect", "doubtful"),
    [
        (12.0, 2.0, False, False),
        (12.1, 2.0, False, True),
        (10.0, 0.0, False, True),
        (10.0, 2.0, True, True),
    ],
)
def test_what_was_idle_for_long_is_doubtful(
    now: float, after: float, suspect: bool, doubtful: bool
) -> None:
    """Longer than so many seconds since its last use, or always."""
    entry = entry_at(10.0)
    entry.suspect = suspect
    assert entry.is_doubtful(now, after) == doubtful
