"""What an endpoint or the whole pool is: who has the turn, and what each change does, exactly."""

from typing import Any

import pytest
from core.books import Caller, Waiter
from core.desk import Desk, entry_of

from pool import PoolOptions
from pool._core.ledger import POOL_CLOSED, STALE
from pool._core.records import Effects, Entry
from pool._core.states import (
    CLEARED,
    CLOSED,
    CLOSING,
    CONNECTING,
    GRANTED,
    IDLE,
    IN_USE,
    OPENING,
    PAUSED,
    READY,
    REMOVED,
    UNKNOWN,
    WAITING,
)


def begin(desk: Desk, teller: int = 0) -> str:
    """Take the turn at once."""
    was = desk.core.begin("a", teller)
    assert isinstance(was, str)
    return was


def make_ready(desk: Desk, now: float = 0.0) -> Effects:
    effects = desk.core.ready("a", 0, begin(desk), now)
    desk.apply(effects)
    return effects


def line_up(answer: object) -> Waiter:
    assert isinstance(answer, Waiter)
    return answer


def arrive(desk: Desk, caller: Caller, service: str) -> Entry:
    """Connect to a service."""
    entry = entry_of(caller)
    entry.begun = True
    entry.connection = object()
    desk.apply(desk.core.opened(caller, service, 0.0, True))
    return entry


# -- turns --------------------------------------------------------------------------------------------


def test_an_endpoint_is_introduced_by_one() -> None:
    """The others wait, and are woken once, when everybody has heard of it."""
    desk = Desk()
    assert desk.core.introduce("a", False, 1) is True
    assert (desk.home("a").state, desk.core.knows("a")) == (OPENING, False)
    others = [line_up(desk.core.introduce("a", False, teller)) for teller in (2, 3)]
    others.append(line_up(desk.core.begin("a", 4)))
    effects = desk.core.announced("a", 1)
    assert effects.wake == others
    assert (desk.home("a").state, desk.core.knows("a")) == (READY, True)
    assert desk.core.introduce("a", False, 2) is False
    assert make_ready(desk).wake == []
    assert desk.core._tellers == {}


@pytest.mark.parametrize("paused", [True, False])
def test_a_known_endpoint_is_only_to_be_kept(paused: bool) -> None:
    """Once somebody has asked for that, it stays so."""
    desk = Desk(paused=paused)
    desk.know("a", keep=False)
    assert desk.core.introduce("a", False, 0) is False
    assert desk.home("a").added is False
    for keep in (True, False):
        assert desk.core.introduce("a", keep, 0) is False
        assert desk.home("a").added is True
    assert (desk.home("a").turns, desk.core._tellers) == (0, {})


@pytest.mark.parametrize("keep", [True, False])
def test_who_introduces_says_whether_to_keep(keep: bool) -> None:
    """From the beginning."""
    desk = Desk()
    desk.know("a", keep)
    assert desk.home("a").added is keep
    desk.apply(desk.core.abandon(desk.new("a"), 0.0))
    assert desk.core.endpoints() == (["a"] if keep else [])


@pytest.mark.parametrize(("paused", "state"), [(True, PAUSED), (False, READY)])
def test_a_listener_uses_what_it_is_told_of(paused: bool, state: str) -> None:
    """It does not wait for its own turn: the endpoint opens at once, and the turn goes on."""
    desk = Desk(paused=paused)
    assert desk.core.introduce("a", False, 0) is True
    assert desk.core.introduce("a", True, 0) is False
    home = desk.home("a")
    assert (home.state, home.added, home.turns) == (state, True, 1)
    desk.apply(desk.core.announced("a", 0))
    assert (home.state, home.turns, desk.core._tellers) == (state, 0, {})


@pytest.mark.parametrize(("paused", "state"), [(True, PAUSED), (False, READY)])
def test_a_listener_changes_what_it_is_told_of(paused: bool, state: str) -> None:
    """The same for its own changes."""
    desk = Desk(paused=paused)
    assert desk.core.introduce("a", False, 0) is True
    assert begin(desk) is state
    assert (desk.home("a").state, desk.home("a").turns) == (state, 2)


def test_a_listener_of_another_endpoint_waits_for_nobody() -> None:
    """Two of them would wait for each other for ever: both have the turn, and the last one wakes."""
    desk = Desk()
    desk.know("a")
    assert desk.core.introduce("b", False, 1) is True
    assert (begin(desk, 0), begin(desk, 1)) == (READY, READY)
    other = line_up(desk.core.begin("a", 2))
    assert desk.core.ready("a", 1, READY, 0.0).wake == []
    assert desk.core._tellers == {0: 1, 1: 1}
    assert desk.core.ready("a", 0, READY, 0.0).wake == [other]
    assert desk.core._tellers == {1: 1}


def test_a_teller_has_a_turn_as_long_as_he_has_one() -> None:
    """The end of an inner one does not end the outer."""
    desk = Desk()
    desk.know("a")
    for _ in range(3):
        begin(desk)
    assert desk.core._tellers == {0: 3}
    for left in (2, 1):
        desk.apply(desk.core.ready("a", 0, READY, 0.0))
        assert (desk.home("a").turns, desk.core._tellers) == (left, {0: left})
    desk.apply(desk.core.ready("a", 0, READY, 0.0))
    assert (desk.home("a").turns, desk.core._tellers) == (0, {})


def test_without_a_turn_nothing_happens() -> None:
    """A listener has forked, and this is the child."""
    desk = Desk(paused=True)
    assert desk.core.introduce("a", False, 0) is True
    assert not desk.core.announced("a", 1)
    assert (desk.home("a").state, desk.home("a").turns) == (OPENING, 1)
    desk.apply(desk.core.announced("a", 0))
    assert not desk.core.ready("a", 1, PAUSED, 0.0)
    assert desk.home("a").state is PAUSED
    make_ready(desk)
    desk.know("a")
    make_ready(desk)
    effects = Effects()
    desk.core.clear("a", 1, READY, None, False, effects)
    assert (desk.home("a").state, desk.home("a").turns, bool(effects)) == (READY, 0, False)


def test_nothing_begins_where_nothing_is() -> None:
    """At an endpoint that was never known, or only waits for its last leases."""
    desk = Desk()
    assert desk.core.begin("a", 0) is UNKNOWN
    desk.lease("a", 0.0)
    desk.apply(desk.core.shut("a", False))
    assert desk.home("a").state is REMOVED
    assert desk.core.begin("a", 0) is UNKNOWN
    assert (desk.home("a").turns, desk.core._tellers) == (0, {})


def test_a_closed_pool_gets_no_endpoints() -> None:
    """Nobody has a turn there."""
    desk = Desk()
    desk.apply(desk.core.shut(None, True))
    assert desk.core.introduce("a", True, 0) is False
    assert (desk.core.endpoints(), desk.core._tellers) == ([], {})


def test_a_removed_endpoint_is_introduced_again() -> None:
    """Though its last leases have not ended; whoever has a turn at it is waited for."""
    desk = Desk()
    desk.lease("a", 0.0)
    home = desk.home("a")
    begin(desk)
    desk.apply(desk.core.shut("a", False))
    other = line_up(desk.core.introduce("a", True, 1))
    assert (home.state, home.added) == (REMOVED, False)
    assert desk.core.ready("a", 0, READY, 0.0).wake == [other]
    assert desk.core.introduce("a", True, 1) is True
    assert (home.state, home.added, home.turns) == (OPENING, True, 1)
    desk.apply(desk.core.announced("a", 1))
    assert (desk.home("a"), home.state) == (home, READY)


def test_a_listener_introduces_again_what_it_has_removed() -> None:
    """In the turn in which it did: that is another creation to publish."""
    desk = Desk()
    desk.lease("a", 0.0)
    begin(desk)
    desk.apply(desk.core.shut("a", False))
    assert desk.core.introduce("a", False, 0) is True
    assert (desk.home("a").state, desk.home("a").turns) == (OPENING, 2)


def test_an_endpoint_stays_when_it_was_told() -> None:
    """Whoever made it known is to find it; unless it was removed meanwhile."""
    desk = Desk()
    desk.know("a", keep=False)
    assert desk.core.endpoints() == ["a"]
    assert desk.core.introduce("b", False, 0) is True
    desk.apply(desk.core.shut("b", False))
    assert desk.core.endpoints() == ["a", "b"]
    desk.apply(desk.core.announced("b", 0))
    assert desk.core.endpoints() == ["a"]


def test_an_endpoint_that_was_told_is_to_be_filled() -> None:
    """The upkeep is rung, and due."""
    desk = Desk(min_size=2)
    assert desk.core.introduce("a", True, 0) is True
    assert desk.core.announced("a", 0).ring is True
    assert len(desk.chores(0.0).fills) == 2


# -- ready --------------------------------------------------------------------------------------------


def test_whoever_says_ready_knows_that_the_server_is_there() -> None:
    """The failures are forgotten, and the upkeep fills at once."""
    desk = Desk(paused=True, min_size=1)
    desk.know("a")
    home = desk.home("a")
    home.failures, home.retry = 3, 100.0
    assert make_ready(desk, 5.0).ring is True
    assert (home.state, home.failures, home.retry) == (READY, 0, 0.0)
    assert len(desk.chores(5.0).fills) == 1


def test_ready_changes_nothing_that_is_ready() -> None:
    """Neither what was so before, nor what a listener made ready meanwhile."""
    desk = Desk(paused=True)
    desk.know("a")
    outer = begin(desk)
    make_ready(desk)
    home = desk.home("a")
    home.failures, home.retry = 3, 100.0
    desk.apply(desk.core.ready("a", 0, outer, 0.0))
    make_ready(desk)
    assert (home.state, home.failures, home.retry) == (READY, 3, 100.0)


def test_ready_does_not_undo_a_clear_that_came_after_it() -> None:
    """It was published of a ready endpoint, that is: not at all."""
    desk = Desk(paused=True)
    desk.know("a")
    make_ready(desk)
    outer = begin(desk)
    desk.clear("a")
    desk.apply(desk.core.ready("a", 0, outer, 0.0))
    assert (outer, desk.home("a").state) == (READY, PAUSED)


@pytest.mark.parametrize("change", [make_ready, lambda desk: desk.clear("a")])
def test_nothing_is_left_where_nothing_is_needed(change: Any) -> None:
    """An endpoint that nobody wants kept is forgotten at the end of the turn."""
    desk = Desk()
    desk.know("a", keep=False)
    change(desk)
    assert desk.core.endpoints() == []


def test_ready_lets_the_next_be_filled() -> None:
    """Room that was not taken is given on, whichever endpoint has become ready."""
    desk = Desk(paused=True, min_size=1, max_size=1, total_max_size=1)
    for endpoint in "bcd":
        desk.know(endpoint)
        assert desk.core.begin(endpoint, 0) is PAUSED
        desk.apply(desk.core.ready(endpoint, 0, PAUSED, 0.0))
        desk.fill(desk.chores(0.0), 0.0)
    desk.apply(desk.core.shut("b", False))
    desk.close(1.0)
    assert list(desk.core._starved) == [desk.home("d")]
    desk.know("a")
    make_ready(desk, 2.0)
    assert desk.core._starved == {}


# -- clear --------------------------------------------------------------------------------------------


def waiting_room(**options: Any) -> tuple[Desk, Caller, Caller, Caller]:
    """Somebody holds a connection, somebody connects, and somebody waits."""
    desk = Desk(max_size=2, **options)
    desk.know("a")
    make_ready(desk)
    return desk, desk.lease("a", 0.0), desk.ask("a", 0.0), desk.ask("a", 0.0)


def test_a_clear_pauses_where_pools_begin_paused() -> None:
    """Who waits is sent away, all are evicted, and it stays so at the next clear."""
    desk, holder, connecting, waiting = waiting_room(paused=True)
    effects = desk.clear("a")
    assert desk.home("a").state is PAUSED
    assert (waiting.verdict, waiting.waiter.woken, len(desk.home("a").queue)) == (CLEARED, 1, 0)
    for caller in (holder, connecting):
        assert (entry_of(caller).evicted, entry_of(caller).doomed) == (True, STALE)
    assert effects.interrupt == []
    make_ready(desk)
    desk.clear("a", service="s")
    desk.core._pauses = False
    desk.clear("a")
    assert entry_of(holder).evicted is True


@pytest.mark.parametrize(("paused", "service"), [(False, None), (True, "s"), (False, "s")])
def test_other_clears_do_not_pause(paused: bool, service: str | None) -> None:
    """Nor those of a single service: who waits goes on waiting, nobody is evicted."""
    desk, holder, connecting, waiting = waiting_room(paused=paused)
    effects = desk.clear("a", service)
    assert (desk.home("a").state, waiting.verdict, effects.wake) == (READY, WAITING, [])
    for caller in (holder, connecting):
        assert (entry_of(caller).evicted, entry_of(caller).doomed) == (
            False,
            "" if service else STALE,
        )


def test_a_clear_that_told_nobody_does_not_pause() -> None:
    """It was paused when that was asked, and a listener has made it ready: that stays."""
    desk = Desk(paused=True)
    desk.know("a")
    outer = begin(desk)
    make_ready(desk)
    waiting = [desk.ask("a", 0.0) for _ in range(101)][-1]
    desk.core.clear("a", 0, outer, None, False, Effects())
    assert (desk.home("a").state, waiting.verdict) == (READY, WAITING)


def test_a_clear_of_what_was_removed_meanwhile_leaves_it_removed() -> None:
    """A listener has done so; what is still in use is closed for that reason."""
    desk = Desk(paused=True)
    desk.know("a")
    make_ready(desk)
    holder = desk.lease("a", 0.0)
    outer = begin(desk)
    desk.apply(desk.core.shut("a", False))
    desk.core.clear("a", 0, outer, None, False, Effects())
    assert (desk.home("a").state, entry_of(holder).doomed) == (REMOVED, POOL_CLOSED)


def test_a_clear_of_what_is_paused_makes_it_stale_again() -> None:
    """What is in use was, and is, evicted."""
    desk = Desk(paused=True)
    desk.know("a")
    make_ready(desk)
    holder = desk.lease("a", 0.0)
    desk.home("a").state = PAUSED
    desk.clear("a")
    assert (desk.home("a").state, entry_of(holder).evicted) == (PAUSED, True)


def test_a_clear_closes_what_is_idle_and_dooms_the_rest() -> None:
    """Nothing that was closed stands among the idle."""
    desk = Desk(max_size=4)
    idle = desk.stock("a", 1.0, 2.0)
    holder = desk.take("a", 3.0)
    desk.home("a").owed = 2
    effects = desk.clear("a")
    held = entry_of(holder)
    (left,) = [entry for entry in idle if entry is not held]
    assert effects.close == [left]
    assert [(entry.state, entry.doomed) for entry in (left, held)] == [
        (CLOSING, STALE),
        (IN_USE, STALE),
    ]
    assert (desk.home("a").top, desk.home("a").owed) == (None, 0)


def test_a_clear_that_interrupts_breaks_off_what_is_in_use_or_connecting() -> None:
    """But not what is being closed already."""
    desk = Desk(max_size=4)
    desk.stock("a", 0.0, 0.0)
    holder = desk.lease("a", 0.0)
    desk.discard(desk.lease("a", 0.0), 0.0)
    connecting = desk.ask("a", 0.0)
    effects = desk.clear("a", interrupt=True)
    assert effects.interrupt == [entry_of(holder), entry_of(connecting)]


def test_a_clear_of_a_service_is_for_its_connections() -> None:
    """What is connecting may reach it: it remembers all that were cleared. What is owed stays owed."""
    desk = Desk(max_size=9)
    desk.know("a")
    early, second = desk.ask("a", 0.0), desk.ask("a", 0.0)
    other = arrive(desk, second, "t")
    mine = arrive(desk, desk.ask("a", 0.0), "s")
    desk.home("a").owed = 2
    desk.clear("a", service="s")
    desk.clear("a", service="u")
    assert (other.doomed, mine.doomed, entry_of(early).doomed) == ("", STALE, "")
    assert entry_of(early).services == {"s", "u"}
    assert (other.services, mine.services, desk.home("a").owed) == (None, None, 2)
    assert arrive(desk, early, "u").state is CLOSING


# -- close --------------------------------------------------------------------------------------------


def test_no_failure_is_remembered_of_what_is_closed() -> None:
    """Neither at the endpoints, nor of one that is forgotten; of another endpoint it stays."""
    desk = Desk()
    core: Any = desk.core
    error: Any = (OSError(), 1.0)
    for endpoint in "ab":
        desk.know(endpoint)
        desk.home(endpoint).last_error = error
    homes = [desk.home("a"), desk.home("b")]
    core._last_error = ("forgotten", *error)
    desk.apply(desk.core.shut("a", False))
    assert ([home.last_error for home in homes], core._last_error) == (
        [None, error],
        ("forgotten", *error),
    )
    desk.apply(desk.core.shut("forgotten", False))
    assert core._last_error is None
    core._last_error = ("forgotten", *error)
    desk.apply(desk.core.shut(None, True))
    assert ([home.last_error for home in homes], core._last_error) == ([None, None], None)


def test_a_removed_endpoint_is_as_if_it_had_never_been() -> None:
    """Nobody waits, nothing is idle, and no failure is remembered; it is gone with its last lease."""
    desk, holder, connecting, waiting = waiting_room()
    home: Any = desk.home("a")
    home.owed = home.failures = 3
    home.retry = 100.0
    error = OSError()
    home.last_error, desk.core._last_error = (error, 1.0), ("a", error, 1.0)
    effects = desk.core.shut("a", False)
    desk.apply(effects)
    assert (effects.shut, effects.interrupt, effects.ring) == (["a"], [], False)
    assert (waiting.verdict, waiting.waiter.woken, len(home.queue)) == (CLOSED, 1, 0)
    assert (home.state, home.added, home.owed, home.failures) == (REMOVED, False, 0, 0)
    assert (home.retry, home.last_error) == (0.0, None)
    assert desk.core.survey(None, True, 0.0).last_error is None
    for caller in (holder, connecting):
        assert entry_of(caller).doomed == POOL_CLOSED
    assert not desk.core.shut("a", False)
    desk.apply(desk.core.abandon(connecting, 1.0))
    desk.discard(holder, 1.0)
    desk.close(2.0)
    assert desk.core.endpoints() == []


def test_what_is_idle_is_closed_with_its_endpoint() -> None:
    """And stands nowhere; the other endpoints stay as they are."""
    desk = Desk()
    first, second = desk.stock("a", 0.0)[0], desk.stock("b", 0.0)[0]
    effects = desk.core.shut("a", False)
    assert effects.close == [first]
    assert (first.state, first.doomed, desk.home("a").top) == (CLOSING, POOL_CLOSED, None)
    assert (second.state, desk.home("b").state, desk.core.is_closed()) == (IDLE, READY, False)


def test_an_endpoint_where_nothing_is_open_is_gone_at_once() -> None:
    """Though somebody wanted it kept."""
    desk = Desk()
    desk.know("a")
    desk.apply(desk.core.shut("a", False))
    assert desk.core.endpoints() == []
    assert not desk.core.shut("a", False)


def test_a_pool_is_closed_everywhere() -> None:
    """Each endpoint is told once, also behind one that was removed before."""
    desk = Desk()
    for endpoint in "abc":
        desk.lease(endpoint, 0.0)
    desk.apply(desk.core.shut("a", False))
    effects = desk.core.shut(None, True)
    assert (effects.shut, desk.core.is_closed()) == (["b", "c"], True)
    assert desk.core.shut(None, True).shut == []


def test_a_close_rings_the_upkeep_once() -> None:
    """If it has begun: it is to wait for what is still open."""
    desk = Desk()
    desk.know("a")
    assert desk.core.shut(None, True).ring is False
    desk = Desk()
    desk.lease("a", 0.0)
    assert desk.rings == 1
    assert desk.core.shut(None, True).ring is True
    assert desk.core.shut(None, True).ring is False


def test_whoever_closes_waits_for_the_last_connection() -> None:
    """He is woken when it is gone; where nothing is open he need not wait."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    desk.apply(desk.core.shut(None, True))
    waiters = [Waiter(), Waiter()]
    assert [desk.core.drained(waiter) for waiter in waiters] == [False, False]
    desk.discard(holder, 1.0)
    assert [waiter.woken for waiter in waiters] == [0, 0]
    desk.close(2.0)
    assert [waiter.woken for waiter in waiters] == [1, 1]
    assert desk.core.drained(Waiter()) is True


def test_what_is_broken_off_is_in_use_or_connecting() -> None:
    """At every endpoint, whatever is idle or being closed."""
    desk = Desk(vet_after=-1.0, max_size=5)
    desk.stock("a", 0.0)
    vetting = desk.ask("a", 1.0)
    connecting, holder = desk.ask("a", 1.0), desk.lease("b", 0.0)
    desk.stock("c", 0.0)
    desk.discard(desk.lease("d", 0.0), 0.0)
    assert desk.core.break_all().interrupt == [
        entry_of(caller) for caller in (vetting, connecting, holder)
    ]


# -- resize -------------------------------------------------------------------------------------------


def test_of_a_surplus_the_longest_idle_go() -> None:
    """As many as are too many, not counting what is being closed; the rest stays."""
    desk = Desk(max_size=6, reuse="fifo")
    holder, doomed = desk.lease("a", 0.0), desk.lease("a", 0.0)
    entries = desk.stock("a", 4.0, 1.0, 3.0, 2.0)
    desk.discard(doomed, 5.0)
    desk.closing.clear()
    effects = desk.core.resize(PoolOptions(max_size=3), 5.0)
    assert effects.close == [entries[1], entries[3]]
    assert [entry.doomed for entry in effects.close] == ["idle", "idle"]
    assert desk.home("a").idle() == [entries[0], entries[2]]
    assert desk.core.resize(PoolOptions(max_size=9), 5.0).close == []
    assert entry_of(holder).state is IN_USE


def test_what_is_in_use_and_too_much_goes_when_it_comes_back() -> None:
    """A pool made smaller lets go at the end of the lease."""
    desk = Desk(max_size=2)
    holders = [desk.lease("a", 0.0) for _ in range(2)]
    entry = entry_of(holders[0])
    desk.apply(desk.core.resize(PoolOptions(max_size=1), 1.0))
    assert desk.closing == []
    for holder in holders:
        desk.give_back(holder, 2.0)
    assert desk.closing == [entry]


def test_a_larger_pool_serves_those_who_wait() -> None:
    """At every endpoint, at once: their waits end now."""
    desk = Desk(max_size=1)
    waiting = []
    for endpoint in "ab":
        desk.lease(endpoint, 0.0)
        waiting.append(desk.ask(endpoint, 1.0))
    desk.apply(desk.core.resize(PoolOptions(max_size=2), 5.0))
    for caller in waiting:
        assert (caller.verdict, entry_of(caller).state) == (GRANTED, CONNECTING)
    assert desk.core.stats(None, True).wait_time == 8.0


def test_the_room_of_a_larger_pool_goes_to_the_oldest() -> None:
    """Wherever he waits: what is free is not given out before all are known who could use it."""
    desk = Desk(max_size=1, total_max_size=3)
    desk.lease("a", 0.0)
    desk.lease("b", 0.0)
    older, younger = desk.ask("b", 1.0), desk.ask("a", 2.0)
    desk.apply(desk.core.resize(PoolOptions(max_size=2, total_max_size=3), 5.0))
    assert (older.verdict, younger.verdict) == (GRANTED, WAITING)


@pytest.mark.parametrize("before", [None, 9])
def test_a_new_limit_on_the_pool_closes_the_longest_idle_of_all(before: int | None) -> None:
    """Wherever they are, and though there was no limit before."""
    desk = Desk(max_size=2, total_max_size=before)
    (first,), second, (third,) = (
        desk.stock("a", 2.0),
        desk.stock("b", 1.0, 4.0),
        desk.stock("c", 3.0),
    )
    effects = desk.core.resize(PoolOptions(max_size=2, total_max_size=2), 5.0)
    assert effects.close == [second[0], first]
    assert third.state is IDLE
    assert desk.core.resize(PoolOptions(max_size=2, total_max_size=2), 5.0).close == []


def test_what_was_ranked_before_there_was_no_limit_is_forgotten() -> None:
    """A limit, none, and one again: each connection is ranked once, by its last use."""
    desk = Desk(max_size=1, total_max_size=5)
    (first,), (second,) = desk.stock("a", 1.0), desk.stock("b", 2.0)
    for total in (None, 5, None, 5, 5):
        desk.apply(desk.core.resize(PoolOptions(max_size=1, total_max_size=total), 3.0))
    assert len(desk.core._ranks) == 2
    assert desk.core.resize(PoolOptions(max_size=1, total_max_size=1), 3.0).close == [first]
    assert second.state is IDLE


def test_a_new_minimum_is_filled_and_calls_those_who_wait_for_it() -> None:
    """They ask again; the upkeep is due."""
    desk = Desk(min_size=2, max_size=5)
    desk.know("a")
    waiter = Waiter()
    assert desk.core.warm("a", waiter) is WAITING
    effects = desk.core.resize(PoolOptions(min_size=3, max_size=5), 1.0)
    assert effects.wake == [waiter]
    assert len(desk.chores(1.0).fills) == 2
    assert desk.core._min_size == 3


def test_a_minimum_is_rung_for() -> None:
    """Where there was none, the upkeep learns of it."""
    desk = Desk()
    desk.know("a")
    assert desk.core.resize(PoolOptions(min_size=1), 1.0).ring is True
    assert len(desk.chores(1.0).fills) == 1


def test_a_smaller_minimum_makes_what_is_idle_spare() -> None:
    """The upkeep looks at it when its time is over."""
    desk = Desk(min_size=1, idle_timeout=10.0, max_lifetime=None, health_check_interval=None)
    (entry,) = desk.stock("a", 1.0)
    assert desk.chores(50.0).effects.close == []
    desk.apply(desk.core.resize(PoolOptions(min_size=0), 51.0))
    desk.closing.clear()
    assert desk.chores(51.0).effects.close == [entry]


def test_what_a_minimum_alone_has_kept_is_forgotten() -> None:
    """Endpoints where nothing is open and that nobody wants kept."""
    desk = Desk(min_size=1)
    desk.know("a", keep=False)
    desk.know("b", keep=True)
    desk.apply(desk.core.resize(PoolOptions(min_size=0), 1.0))
    assert desk.core.endpoints() == ["b"]
