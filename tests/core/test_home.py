"""One endpoint's part: the chain of its idle entries, and those that are hidden in it."""

from math import inf

from pool._core.home import Home, Totals
from pool._core.records import Entry
from pool._core.states import CLOSING, IDLE, OPENING, READY


def make() -> Home:
    return Home("a", lambda entry: None)


def lay(home: Home, states: str) -> list[Entry]:
    """Put entries into the chain, first to last: ``i``dle ones, and ``c``losing ones, which are hidden."""
    entries = []
    for state in states:
        entry = Entry(home, len(home.entries) + 1, 0.0)
        home.entries[entry.id] = entry.ref
        entries.append(entry)
        entry.state = IDLE
        home.push_last(entry)
        if state == "c":
            entry.state = CLOSING
            home.hide(entry)
    return entries


def chain(home: Home) -> list[Entry]:
    """All that stands among the idle."""
    found = []
    entry = home.top
    while entry is not None:
        found.append(entry)
        entry = entry.next
    return found


def test_a_new_one_is_empty() -> None:
    """It opens, and nothing is known of it."""
    home = make()
    assert repr(home) == "<Home 'a' opening waiting=0>"
    assert home.state is OPENING
    assert (home.top, home.bottom, home.listed, home.last_error) == (None, None, None, None)
    assert (home.hidden, home.stock, home.last_id, home.idle(), home.pop()) == (0, 0, 0, [], None)


def test_it_says_how_it_is() -> None:
    """In one line, each state with its number."""
    home = make()
    entries = lay(home, "iic")
    home.state = READY
    assert repr(home) == "<Home 'a' ready waiting=0 closing=1 idle=2>"
    assert home.every() == entries


def test_what_is_popped_is_idle() -> None:
    """What is not is passed, and no longer hidden; nothing keeps the next one alive."""
    home = make()
    entries = lay(home, "ccicci")
    assert home.hidden == 4
    assert home.pop() is entries[2]
    assert (home.hidden, chain(home)) == (2, entries[3:])
    assert home.pop() is entries[5]
    assert home.pop() is None
    assert (home.hidden, home.top) == (0, None)
    assert {entry.next for entry in entries} == {None}
    assert {entry.hidden for entry in entries} == {False}


def test_only_what_is_idle_is_told() -> None:
    """In its order, and the chain stays as it is."""
    home = make()
    entries = lay(home, "icicci")
    assert home.idle() == [entries[0], entries[2], entries[5]]
    assert chain(home) == entries


def test_what_is_added_goes_last() -> None:
    """Also if what went last before is no longer there, or stands there no longer."""
    home = make()
    (first,) = lay(home, "i")
    assert home.pop() is first
    second, third = lay(home, "ii")
    assert chain(home) == [second, third]
    assert home.pop() is second
    home.push_last(second)
    assert chain(home) == [third, second]


def test_hidden_is_hidden_once() -> None:
    """And so it is undone: it is told whether it was."""
    home = make()
    (entry,) = lay(home, "i")
    for _ in range(2):
        home.hide(entry)
        assert (home.hidden, entry.hidden, entry.until) == (1, True, -inf)
    assert home.unhide(entry) is True
    assert (home.hidden, entry.hidden) == (0, False)
    assert home.unhide(entry) is False
    assert home.hidden == 0


def test_a_sweep_leaves_what_is_idle() -> None:
    """In its order; what comes then goes behind that, and the others lead nowhere."""
    home = make()
    entries = lay(home, "cicciic")
    home.sweep()
    idle = [entry for entry in entries if entry.state is IDLE]
    assert (chain(home), home.hidden) == (idle, 0)
    assert {entry.next for entry in entries if entry.state is CLOSING} == {None}
    assert {entry.hidden for entry in entries} == {False}
    more = lay(home, "i")
    assert chain(home) == idle + more


def test_what_is_hidden_takes_little_room() -> None:
    """Of hundreds that ceased to be idle in the middle of the chain, few stay there."""
    home = make()
    (kept,) = lay(home, "i")
    passed = []
    for _ in range(300):
        passed += lay(home, "c")
        del home.entries[passed[-1].id]
        assert len(chain(home)) <= 15
        assert home.hidden == len(chain(home)) - 1
    assert home.idle() == [kept]
    assert kept.hidden is False


def test_totals_are_added_up() -> None:
    """Each with its like."""
    some, more = Totals(), Totals()
    for number, name in enumerate(Totals.__slots__, start=1):
        assert getattr(some, name) == 0
        setattr(some, name, number)
        setattr(more, name, 10 * number)
    some.add(more)
    assert [getattr(some, name) for name in Totals.__slots__] == [11 * n for n in range(1, 8)]
