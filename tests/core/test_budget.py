"""Room in the whole pool: who has to go, and who gets it."""

from core.desk import Desk

from pool import PoolOptions
from pool._core.records import Entry
from pool._core.states import CHECKING, CLOSING, CONNECTING, GRANTED, IDLE, WAITING


def evicted(desk: Desk, number: int, now: float) -> list[Entry]:
    """Who has to go, one after the other, for callers at endpoints that are new."""
    gone = []
    for name in range(number):
        desk.ask(f"new {name}", now)
        gone += desk.close(now)
    return gone


# -- who has to go ------------------------------------------------------------------------------------


def test_the_least_recently_used_goes_first() -> None:
    """Over all endpoints, one after the other, whatever the order in which they were opened."""
    desk = Desk(max_size=2, total_max_size=4)
    (a,) = desk.stock("a", 3.0)
    (b,) = desk.stock("b", 1.0)
    c, d = desk.stock("c", 2.0, 4.0)
    assert evicted(desk, 4, 5.0) == [b, c, a, d]


def test_use_makes_it_recent() -> None:
    """By the long way in as by the short one: then another has to go."""
    desk = Desk(max_size=1, total_max_size=3)
    (a,), (b,), (c,) = desk.stock("a", 1.0), desk.stock("b", 2.0), desk.stock("c", 3.0)
    desk.give_back(desk.lease("a", 4.0), 5.0)
    desk.give_back(desk.take("b", 6.0), 7.0)
    assert evicted(desk, 3, 8.0) == [c, a, b]


def test_use_makes_it_recent_even_if_others_looked_for_room_meanwhile() -> None:
    """While it was in use, somebody looked in vain for the least recently used."""
    desk = Desk(max_size=1, total_max_size=2)
    (a,), (b,) = desk.stock("a", 1.0), desk.stock("b", 2.0)
    first, second = desk.take("a", 3.0), desk.take("b", 3.0)
    caller = desk.ask("c", 4.0)
    assert caller.verdict is WAITING
    desk.core.abandon(caller, 4.0)
    desk.give_back(second, 5.0)
    desk.give_back(first, 6.0)
    assert evicted(desk, 2, 7.0) == [b, a]


def test_a_check_does_not_make_it_recent() -> None:
    """To be checked in the background is not to be used, also if somebody looks for room meanwhile."""
    desk = Desk(max_size=1, total_max_size=2, health_check_interval=5.0)
    (a,), (b,) = desk.stock("a", 1.0), desk.stock("b", 2.0)
    (checked,) = desk.chores(6.5).checks
    assert (checked, a.state) == (a, CHECKING)
    caller = desk.ask("c", 6.5)
    assert desk.closing == [b]
    desk.apply(desk.core.abandon(caller, 6.5))
    desk.close(6.5)
    desk.apply(desk.core.checked(a, True, 6.5))
    (d,) = desk.stock("d", 6.0)
    assert evicted(desk, 2, 7.0) == [a, d]


def test_to_be_taken_for_a_check_and_given_back_does_not_make_it_recent() -> None:
    """A caller who gives up before the check has not used it."""
    desk = Desk(vet_after=-1.0, max_size=1, total_max_size=2)
    (a,), (b,) = desk.stock("a", 1.0), desk.stock("b", 2.0)
    caller = desk.ask("a", 5.0)
    assert caller.entry is a
    desk.apply(desk.core.abandon(caller, 6.0))
    assert evicted(desk, 2, 7.0) == [a, b]


def test_nothing_that_is_held_has_to_go() -> None:
    """If nothing is idle the newcomer waits, and nothing is closed."""
    desk = Desk(max_size=1, total_max_size=2, health_check_interval=1.0)
    desk.lease("a", 0.0)
    desk.stock("b", 0.0)
    assert desk.chores(1.0).checks
    assert desk.ask("c", 1.0).verdict is WAITING
    assert desk.closing == []


def test_one_goes_for_each_caller_who_can_connect() -> None:
    """Not for one who could not connect anyway: his endpoint is full, or opens as many as it may."""
    desk = Desk(max_size=2, total_max_size=4, max_connecting=1)
    desk.stock("a", 1.0, 1.0)
    desk.stock("b", 2.0, 2.0)
    for _ in range(5):
        assert desk.ask("c", 3.0).verdict is WAITING
    assert len(desk.closing) == 1


def test_eviction_goes_below_the_minimum() -> None:
    """A caller who waits comes before a connection that is kept in stock."""
    desk = Desk(min_size=1, max_size=1, total_max_size=1)
    (a,) = desk.stock("a", 1.0)
    caller = desk.ask("b", 2.0)
    assert desk.close(2.0) == [a]
    assert caller.verdict is GRANTED


def test_a_smaller_total_evicts_the_least_recently_used() -> None:
    """As many as are too many, and from wherever they are."""
    desk = Desk(max_size=2, total_max_size=None)
    (a,) = desk.stock("a", 3.0)
    b, c = desk.stock("b", 1.0, 4.0)
    (d,) = desk.stock("d", 2.0)
    desk.apply(desk.core.resize(PoolOptions(max_size=2, total_max_size=2), 5.0))
    assert desk.closing == [b, d]
    assert (a.state, c.state) == (IDLE, IDLE)


# -- who gets the room --------------------------------------------------------------------------------


def test_the_oldest_of_all_has_the_free_place() -> None:
    """Whatever the endpoint at which room was made, and whatever theirs."""
    desk = Desk(max_size=2, total_max_size=2)
    holders = [desk.lease("a", 0.0), desk.lease("b", 0.0)]
    waiting = [desk.ask(endpoint, 1.0) for endpoint in ("c", "a", "d", "b")]
    served = []
    for number, caller in enumerate(waiting):
        desk.discard(holders[number], 2.0)
        desk.close(2.0)
        served += [
            caller for caller in waiting if caller.entry is not None and caller not in served
        ]
        desk.proceed(caller, 2.0)
        holders.append(caller)
    assert served == waiting


def test_one_whose_endpoint_is_full_does_not_hold_up_others() -> None:
    """The oldest has the place who can use it."""
    desk = Desk(max_size=1, total_max_size=2)
    desk.lease("a", 0.0)
    other = desk.lease("b", 0.0)
    stuck, free = desk.ask("a", 1.0), desk.ask("c", 2.0)
    desk.discard(other, 2.0)
    desk.close(2.0)
    assert (stuck.verdict, free.verdict) == (WAITING, GRANTED)


def test_what_comes_back_makes_room_for_one_who_has_waited_longer_elsewhere() -> None:
    """It is closed, though somebody waits for it who came later."""
    desk = Desk(max_size=1, total_max_size=1)
    holder = desk.lease("a", 0.0)
    older, younger = desk.ask("b", 1.0), desk.ask("a", 2.0)
    entry = holder.entry
    desk.give_back(holder, 3.0)
    assert desk.closing == [entry]
    desk.close(3.0)
    assert (older.verdict, younger.verdict) == (GRANTED, WAITING)


def test_what_comes_back_stays_for_one_who_has_waited_longer_there() -> None:
    """He gets the connection as it is."""
    desk = Desk(max_size=1, total_max_size=1)
    holder = desk.lease("a", 0.0)
    entry = holder.entry
    older, younger = desk.ask("a", 1.0), desk.ask("b", 2.0)
    desk.give_back(holder, 3.0)
    assert older.entry is entry
    assert (desk.closing, younger.verdict) == ([], WAITING)


def test_nothing_is_evicted_for_one_who_gets_the_room_of_a_closing_one() -> None:
    """What is being closed will make room: no further connection has to go for that."""
    desk = Desk(max_size=1, total_max_size=2)
    holder = desk.lease("a", 0.0)
    (b,) = desk.stock("b", 0.0)
    desk.discard(holder, 1.0)
    desk.ask("c", 1.0)
    assert (len(desk.closing), b.state) == (1, IDLE)


def test_a_permit_goes_to_one_who_has_waited_longer_elsewhere() -> None:
    """Given back unused, it is a free place like any other, even if another is about to be free."""
    desk = Desk(max_size=2, total_max_size=2, max_connecting=1)
    connecting = desk.ask("a", 0.0)
    (b,) = desk.stock("b", 0.0)
    older = desk.ask("c", 1.0)
    younger = desk.ask("a", 2.0)
    assert b.state is CLOSING
    desk.apply(desk.core.abandon(connecting, 3.0))
    assert (older.verdict, younger.verdict) == (GRANTED, WAITING)
    desk.close(3.0)
    assert younger.verdict is GRANTED


def test_a_permit_above_a_smaller_total_is_not_passed_on() -> None:
    """Given back unused after ``resize`` it ends, what is being closed counts until it is closed."""
    desk = Desk(max_size=2, total_max_size=2, max_connecting=1)
    connecting = desk.ask("a", 0.0)
    desk.stock("b", 0.0)
    waiting = desk.ask("a", 1.0)
    desk.apply(desk.core.resize(PoolOptions(max_size=1, total_max_size=1), 2.0))
    assert len(desk.closing) == 1
    desk.apply(desk.core.abandon(connecting, 3.0))
    assert [waiting.verdict] == [WAITING]
    desk.close(3.0)
    assert waiting.verdict is GRANTED
    assert waiting.entry is not None
    assert waiting.entry.state is CONNECTING


# -- what it costs ------------------------------------------------------------------------------------


def test_ranks_take_little_room() -> None:
    """Of two thousand connections that came and went, only a few are remembered."""
    desk = Desk(max_size=1, total_max_size=1)
    for number in range(2000):
        caller = desk.ask(f"endpoint {number}", 0.0)
        desk.close(0.0)
        desk.proceed(caller, 0.0)
        desk.give_back(caller, 0.0)
    core = desk.core
    assert len(core._ranks) <= 64
    assert len(core._hungry) <= 64
    assert len(core._agenda._dates) <= 64
    assert len(core._homes) <= 2


def test_what_is_in_use_is_looked_at_once() -> None:
    """However many are in use for long: whoever needs room later does not meet them again."""
    desk = Desk(max_size=50, total_max_size=51, max_connecting=50)
    desk.stock("busy", *[1.0] * 50)
    held = [desk.take("busy", 2.0) for _ in range(50)]
    desk.stock("idle", 3.0)
    assert len(evicted(desk, 1, 4.0)) == 1
    assert desk.core._ranks == []
    desk.give_back(held.pop(), 5.0)
    assert len(desk.core._ranks) == 1


def test_a_limit_that_comes_and_goes_takes_no_more_room_each_time() -> None:
    """Each connection is ranked once, however often ``resize`` sets and lifts the limit."""
    desk = Desk(max_size=10, total_max_size=None)
    desk.stock("a", *[1.0] * 10)
    for _ in range(1000):
        desk.core.resize(PoolOptions(max_size=10, total_max_size=10), 2.0)
        desk.core.resize(PoolOptions(max_size=10, total_max_size=None), 2.0)
    assert len(desk.core._ranks) <= 64


def test_without_a_limit_nothing_is_ranked() -> None:
    """Where there is no limit nothing is spent on it."""
    desk = Desk(max_size=10, total_max_size=None)
    desk.stock("a", *[1.0] * 10)
    assert desk.core._ranks == []
