"""What a pool's state looks like to people: every count, and every word."""

from math import inf
from types import CodeType
from typing import Any

import pytest
from core.books import Caller
from core.desk import Desk

from pool._core.deadlock import Knot
from pool._core.home import Home, Totals
from pool._core.records import Entry
from pool._core.report import (
    HomeSurvey,
    Person,
    Survey,
    cause_of,
    count,
    crowd,
    explain,
    place_of,
    shortage,
    stack_text,
    survey,
)
from pool._core.states import (
    CHECKING,
    CLOSING,
    CONNECTING,
    IDLE,
    IN_USE,
    READY,
    RELEASING,
    VETTING,
)
from pool.stats import PoolStats

ERROR = OSError("refused")


def here() -> str:
    return ""


CODE: CodeType = here.__code__
LINE = CODE.co_firstlineno
PLACE = f"from {__file__}:{LINE} in here"


def make(endpoint: str, *states: str) -> tuple[Home, list[Entry]]:
    """One endpoint's part with entries in these states, and who keeps them alive."""
    home = Home(endpoint, lambda entry: None)
    home.state = READY
    entries = []
    for number, state in enumerate(states, 1):
        entry = Entry(home, number, 0.0)
        home.entries[number] = entry.ref
        entry.state = state
        entries.append(entry)
    return home, entries


def wait(home: Home, number: int, since: float) -> Caller:
    caller = Caller(number, "a")
    caller.since = since
    caller.code, caller.instruction = CODE, 0
    caller.owner = f"caller {number}"
    home.join(caller, False)
    return caller


def name(owner: Any) -> str:
    return f"<{owner}>"


def forget(entries: list[Entry]) -> None:
    """They end as they should: nobody has lost them."""
    for entry in entries:
        entry.state = IDLE


# -- counts -------------------------------------------------------------------------------------------


def test_every_state_counts_once() -> None:
    """What is vetted was used already but is not leased; what is in use is leased and not released."""
    one, kept = make(
        "a", IDLE, IDLE, VETTING, IN_USE, RELEASING, CHECKING, CONNECTING, CLOSING, CLOSING
    )
    two, more = make("b", IDLE, VETTING, IN_USE, IN_USE, CLOSING)
    for entry in (*kept, *more):
        entry.uses = 10
    one.created, one.closed, one.acquired, one.timeouts, one.errors = 1, 2, 3, 4, 5
    one.wait_time, one.use_time = 0.5, 0.25
    callers = [wait(one, number, 0.0) for number in range(3)]
    past = Totals()
    past.created, past.acquired, past.wait_time = 100, 1000, 2.0
    assert count([one, two], past) == PoolStats(
        total=14,
        idle=3,
        in_use=7,
        connecting=1,
        closing=3,
        waiting=3,
        endpoints=2,
        created=101,
        closed=2,
        acquired=1000 + 3 + 140 - 2,
        released=1000 + 3 + 140 - 2 - 3,
        timeouts=4,
        errors=5,
        wait_time=2.5,
        use_time=0.25,
    )
    assert (past.acquired, len(callers)) == (1000, 3)
    forget(kept + more)


# -- copies -------------------------------------------------------------------------------------------


def test_a_survey_says_who_has_what_the_longest_first() -> None:
    """What is vetted since it was lent, what is checked since its check began, the rest since its state."""
    home, kept = make("a", IDLE, CONNECTING, VETTING, IN_USE, RELEASING, CHECKING, CLOSING)
    for entry in kept:
        entry.since, entry.lent, entry.checked = 10.0 + entry.id, 5.0, 6.0
        entry.owner, entry.code, entry.instruction = f"owner {entry.id}", CODE, entry.id
    callers = [wait(home, 0, 3.0), wait(home, 1, 4.0)]
    callers[1].instruction = 2
    home.last_error = (ERROR, 7.0)
    home.failures, home.retry, home.look = 2, 25.0, 25.0
    knot = Knot(2, 1, False)
    assert survey([home], {home: knot}, ("b", ERROR, 8.0), 20.0) == Survey(
        [
            HomeSurvey(
                "a",
                "ready",
                count([home], Totals()),
                [
                    Person(3, "vetting", 15.0, "owner 3", CODE, 3),
                    Person(6, "checking", 14.0, "owner 6", CODE, 6),
                    Person(2, "connecting", 8.0, "owner 2", CODE, 2),
                    Person(4, "in use", 6.0, "owner 4", CODE, 4),
                    Person(5, "releasing", 5.0, "owner 5", CODE, 5),
                ],
                [
                    Person(0, "waiting", 17.0, "caller 0", CODE, 0),
                    Person(0, "waiting", 16.0, "caller 1", CODE, 2),
                ],
                (ERROR, 13.0),
                knot,
                (2, 5.0),
            )
        ],
        ("b", ERROR, 12.0),
    )
    forget(kept)


@pytest.mark.parametrize(
    ("failures", "look", "retry"), [(0, 9.0, None), (3, inf, None), (3, 9.0, (3, 4.0))]
)
def test_a_survey_says_when_the_pool_tries_again(
    failures: int, look: float, retry: tuple[int, float] | None
) -> None:
    """Only after a failure, and if it wants to; where nothing is wrong there is nothing else either."""
    home, _ = make("a")
    home.failures, home.retry, home.look = failures, 9.0, look
    stats = PoolStats(endpoints=1)
    expected = HomeSurvey("a", "ready", stats, [], [], None, None, retry)
    assert survey([home], {}, None, 5.0) == Survey([expected], None)


def test_a_crowd_is_those_who_have_held_longest_anywhere() -> None:
    """Three of them, each with the endpoint; it counts all endpoints, once."""
    one, kept = make("a", IN_USE, IN_USE, IDLE)
    two, more = make("b", IN_USE, IN_USE)
    for entry, since in zip([*kept, *more], [3.0, 1.0, 0.0, 2.0, 4.0], strict=True):
        entry.since = since
    found = crowd(iter([one, two]), 5, 10.0)
    assert (found.limit, found.stats) == (5, count([one, two], Totals()))
    assert found.holders == [
        ("a", Person(2, "in use", 9.0, None, None, 0)),
        ("b", Person(1, "in use", 8.0, None, None, 0)),
        ("a", Person(1, "in use", 7.0, None, None, 0)),
    ]
    forget(kept + more)


# -- words --------------------------------------------------------------------------------------------

HOLDERS = [
    Person(4, "in use", 2.0, "ann", CODE, 0),
    Person(5, "checking", 1.5, None, None, 0),
    Person(6, "vetting", 1.0, "bob", CODE, 0),
    Person(7, "in use", 0.5, "eve", CODE, 0),
]
WAITING = [Person(0, "waiting", 0.25, "tom", CODE, 0), Person(0, "waiting", 0.125, None, None, 0)]
STATS = PoolStats(total=7, idle=1, in_use=4, connecting=2, closing=3, waiting=2, endpoints=6)
COUNTS = "7 connections (4 in use, 1 idle, 2 connecting, 3 closing), 2 waiting"
LONGEST = (
    f"longest: #4 in use for 2.000 s by <ann>, {PLACE}; "
    "#5 checking for 1.500 s, by the pool itself; "
    f"#6 vetting for 1.000 s by <bob>, {PLACE}"
)
FAILURE = "last connect error 3.000 s ago: OSError('refused')"
KNOT = Knot(2, 1, False)


def surveyed(**changes: Any) -> HomeSurvey:
    quiet = HomeSurvey("a", "ready", PoolStats(total=1, idle=1), [], [], None, None, None)
    return quiet._replace(**changes)


def test_everything_is_explained_in_lines() -> None:
    """Each endpoint, who holds and who waits, what is wrong there, and the last error if it is another."""
    busy = surveyed(
        endpoint="b",
        state="paused",
        stats=STATS,
        holders=HOLDERS[:2],
        waiting=WAITING,
        last_error=(ERROR, 3.0),
        knot=KNOT,
        retry=(2, 0.75),
    )
    other = ValueError("other")
    assert explain(Survey([surveyed(), busy], ("c", other, 9.0)), name).splitlines() == [
        "'a' (ready): 1 connection (0 in use, 1 idle, 0 connecting, 0 closing), 0 waiting",
        f"'b' (paused): {COUNTS}",
        f"  #4 in use for 2.000 s by <ann>, {PLACE}",
        "  #5 checking for 1.500 s, by the pool itself",
        f"  waiting as no. 1 for 0.250 s by <tom>, {PLACE}",
        "  waiting as no. 2 for 0.125 s, by the pool itself",
        f"  {KNOT}",
        f"  {FAILURE}",
        "  2 failed connects in a row, the pool itself tries again in 0.750 s",
        "last connect error 9.000 s ago: ValueError('other') (to 'c')",
    ]


def test_an_error_is_explained_once() -> None:
    """Not again as the last one of all, if an endpoint has told it."""
    home = surveyed(last_error=(ERROR, 3.0))
    text = explain(Survey([surveyed(), home], ("a", ERROR, 3.0)), name)
    assert text.splitlines()[2:] == [f"  {FAILURE}"]


@pytest.mark.parametrize(
    ("retry", "line"),
    [
        ((1, 1.5), "1 failed connect in a row, the pool itself tries again in 1.500 s"),
        ((2, -1.0), "2 failed connects in a row, the pool itself tries again in 0.000 s"),
    ],
)
def test_the_next_attempt_is_explained(retry: tuple[int, float], line: str) -> None:
    """One failure is no plural, and what is overdue comes at once."""
    assert explain(Survey([surveyed(retry=retry)], None), name).splitlines()[1:] == [f"  {line}"]


def test_nothing_is_explained_too() -> None:
    """There is a line for it."""
    assert explain(Survey([], None), name) == "no endpoint in use"


def test_a_shortage_is_told_in_one_line() -> None:
    """Counts, three of the holders, the first in the queue, the pool, the deadlock, the error."""
    home = surveyed(
        stats=STATS, holders=HOLDERS, waiting=WAITING, last_error=(ERROR, 3.0), knot=KNOT
    )
    one, kept = make("b", IN_USE, IN_USE)
    kept[0].owner, kept[0].code = "ann", CODE
    full = crowd([one], 2, 1.5)
    forget(kept)
    assert shortage(Survey([home], ("a", ValueError(), 9.0), full), name).split("; ") == [
        COUNTS,
        *LONGEST.split("; "),
        "and 1 more",
        f"first in the queue for 0.250 s by <tom>, {PLACE}",
        "total_max_size=2 is reached, with 2 connections "
        "(2 in use, 0 idle, 0 connecting, 0 closing), 0 waiting at 1 endpoints",
        f"longest: #1 in use for 1.500 s by <ann>, {PLACE} to 'b'",
        "#2 in use for 1.500 s, by the pool itself to 'b'",
        *str(KNOT).split("; "),
        FAILURE,
    ]


def test_a_shortage_names_three_and_no_more() -> None:
    """Where there are just so many, there are no others."""
    home = surveyed(stats=STATS, holders=HOLDERS[:3])
    assert shortage(Survey([home], None), name) == f"{COUNTS}; {LONGEST}"


def test_a_pool_full_of_idle_connections_has_no_holders() -> None:
    """And names none."""
    home, _ = make("b", IDLE)
    text = shortage(Survey([surveyed(stats=STATS)], None, crowd([home], 1, 0.0)), name)
    assert text == (
        f"{COUNTS}; total_max_size=1 is reached, with 1 connection "
        "(0 in use, 1 idle, 0 connecting, 0 closing), 0 waiting at 1 endpoints"
    )


@pytest.mark.parametrize("known", [True, False])
def test_a_shortage_tells_an_error_that_was_forgotten(known: bool) -> None:
    """The endpoint may have been forgotten since: the pool still knows."""
    homes = [surveyed(stats=PoolStats())] if known else []
    found = Survey(homes, ("a", ERROR, 3.0))
    empty = "0 connections (0 in use, 0 idle, 0 connecting, 0 closing), 0 waiting"
    assert shortage(found, name) == f"{empty}; {FAILURE}"
    assert shortage(Survey(homes, None), name) == empty
    assert cause_of(found) is ERROR
    assert cause_of(Survey(homes, None)) is None


def test_the_cause_is_the_endpoints_own_error() -> None:
    """Before what the pool knows of another."""
    assert cause_of(Survey([surveyed(last_error=(ERROR, 3.0))], ("c", ValueError(), 1.0))) is ERROR


# -- places -------------------------------------------------------------------------------------------


def twice() -> None:
    here()
    here()


def test_a_place_is_that_of_the_instruction() -> None:
    """Its offset counts bytes; the name is the qualified one."""
    code = twice.__code__
    lines = [line for line, *_ in code.co_positions()]
    first = code.co_firstlineno
    assert {place_of(code, 2 * number)[1] - first for number in range(len(lines))} == {0, 1, 2}
    for number, line in enumerate(lines):
        assert place_of(code, 2 * number) == (__file__, line, "twice")
    method = Desk.ask.__code__
    assert place_of(method, 0) == (method.co_filename, method.co_firstlineno, "Desk.ask")


def test_a_place_without_a_line_is_where_the_function_begins() -> None:
    """Some instructions have none, and stripped code has none at all."""

    class Stripped:
        co_filename, co_firstlineno, co_qualname = "file.py", 12, "name"

        def __init__(self, *positions: tuple[int | None, None, None, None]) -> None:
            self.positions = positions

        def co_positions(self) -> Any:
            return iter(self.positions)

    bare: Any = Stripped()
    assert place_of(bare, 6) == ("file.py", 12, "name")
    partly: Any = Stripped((None, None, None, None), (14, None, None, None))
    assert [place_of(partly, offset)[1] for offset in (0, 2)] == [12, 14]


def test_a_stack_is_shown_as_a_traceback_shows_it() -> None:
    """A line for each call, the oldest first."""
    assert stack_text([(CODE, 0), (twice.__code__, 0)]) == (
        f'  File "{__file__}", line {LINE}, in here\n'
        f'  File "{__file__}", line {twice.__code__.co_firstlineno}, in twice\n'
    )
    assert stack_text([]) == ""
