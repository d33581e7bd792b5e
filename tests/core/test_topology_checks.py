"""When the servers of a topology are checked, and how their times are averaged."""

import pytest
from core.lookout import Lookout, replica_set
from core.servers import hello


def checked() -> Lookout:
    """A single server, whose last check ended at 100. All was told."""
    desk = Lookout("a")
    desk.answer("a", "STANDALONE", 100.0)
    desk.told()
    return desk


def awaited(began: float, ended: float, kind: str = "STANDALONE") -> Lookout:
    """One that was asked to answer when something changes, and has."""
    desk = checked()
    server = desk.begin("a", began, can_wait=True)
    desk.core.succeeded(server, hello(kind), None, ended)
    desk.told()
    return desk


def pause(desk: Lookout, now: float, address: str = "a") -> float | None:
    return desk.core.pause(desk[address], now)


# -- begin --------------------------------------------------------------------------------------------


def test_the_first_check_begins_at_once() -> None:
    """Whenever that is. It is told that it has begun."""
    desk = Lookout("a")
    server = desk["a"]
    assert desk.core.begin_check(server, False, -5.0) == 0.0
    assert (server.checking, server.awaited) == (-5.0, False)
    assert desk.told() == ["started a"]


def test_the_next_check_begins_after_the_interval() -> None:
    """Counted from the end of the last; until then, it says how long that is, and tells nothing."""
    desk = checked()
    server = desk["a"]
    assert desk.core.begin_check(server, False, 100.0) == 10.0
    assert desk.core.begin_check(server, False, 109.75) == 0.25
    assert (desk.told(), server.checking) == ([], None)
    assert desk.core.begin_check(server, False, 110.0) == 0.0
    assert (desk.told(), server.checking) == (["started a"], 110.0)


def test_a_failure_waits_the_interval_too() -> None:
    """If the server was unknown before: it is not tried again at once."""
    desk = Lookout("a")
    desk.fail("a", 100.0)
    assert desk.core.begin_check(desk["a"], False, 100.0) == 10.0


def test_one_that_has_left_is_not_checked() -> None:
    """Neither now nor later."""
    desk = replica_set()
    gone = desk["b"]
    desk.answer("a", "PRIMARY", 12.0, "a")
    desk.told()
    assert desk.core.begin_check(gone, False, 99.0) is None
    assert desk.core.pause(gone, 0.0) is None
    assert (desk.told(), gone.checking) == ([], None)


def test_a_check_is_awaited_if_that_can_be() -> None:
    """And the server is known: to one that is unknown, everything is a change."""
    desk = Lookout("a")
    server = desk.begin("a", 100.0, can_wait=True)
    assert desk.told() == ["started a"]
    desk.core.succeeded(server, hello("STANDALONE"), 0.1, 100.0)
    desk.told()
    desk.begin("a", 110.0, can_wait=True)
    assert desk.told() == ["started a awaited"]
    desk.core.succeeded(server, hello("STANDALONE"), None, 112.0)
    assert desk.told()[0] == "succeeded a 2.0 s awaited: STANDALONE"
    desk.begin("a", 112.0, can_wait=False)
    assert desk.told() == ["started a"]


def test_a_check_that_is_awaited_fails() -> None:
    """Which is told of it, and waits as any other."""
    desk = checked()
    server = desk.begin("a", 110.0, can_wait=True)
    desk.core.failed(server, OSError("reset"), False, 112.0)
    assert desk.told()[1] == "failed a 2.0 s awaited: OSError('reset')"
    desk.begin("a", 112.0, can_wait=True)
    assert desk.told() == ["started a"]


# -- pause --------------------------------------------------------------------------------------------


def test_how_long_to_pause() -> None:
    """Never less than nothing."""
    desk = checked()
    assert pause(desk, 100.0) == 10.0
    assert pause(desk, 104.0) == 6.0
    assert pause(desk, 110.0) == 0.0
    assert pause(desk, 999.0) == 0.0


def test_who_finds_no_server_has_them_checked_after_a_rest() -> None:
    """As long as anybody finds none; both questions agree."""
    desk = checked()
    desk.core.want()
    desk.core.want()
    desk.core.content()
    assert pause(desk, 100.0) == 0.5
    assert desk.core.begin_check(desk["a"], False, 100.25) == 0.25
    desk.core.content()
    assert pause(desk, 100.0) == 10.0
    assert desk.core.begin_check(desk["a"], False, 100.25) == 9.75


def test_a_request_has_a_server_checked_after_a_rest() -> None:
    """Once."""
    desk = checked()
    assert desk.core.request("a", False) == [desk["a"]]
    assert pause(desk, 100.25) == 0.25
    desk.answer("a", "STANDALONE", 100.75)
    assert pause(desk, 100.75) == 10.0


def test_a_request_during_a_check_has_it_made_once_more() -> None:
    """It may have looked too early."""
    desk = checked()
    server = desk.begin("a", 110.0)
    desk.core.request("a", False)
    desk.core.succeeded(server, hello("STANDALONE"), 0.1, 111.0)
    assert pause(desk, 111.0) == 0.5


def test_a_request_is_for_one_or_for_all() -> None:
    """Those are to be rung; of one that is no member there are none."""
    desk = Lookout("abc")
    assert desk.core.request("b", False) == [desk["b"]]
    assert [desk[each].requested for each in "abc"] == [False, True, False]
    assert desk.core.request("z", False) == []
    assert desk.core.request(None, True) == [desk["a"], desk["b"], desk["c"]]
    assert [desk[each].requested for each in "abc"] == [True, True, True]
    assert Lookout().core.request(None, True) == []


# -- awaited answers ----------------------------------------------------------------------------------


def test_after_an_awaited_answer_the_next_check_begins_at_once() -> None:
    """Something has changed, or the server had nothing to say for a while."""
    assert pause(awaited(110.0, 120.0), 120.0) == 0.0
    assert pause(awaited(110.0, 110.0, "ROUTER"), 110.0) == 0.0


def test_an_awaited_answer_that_says_the_same_too_fast_has_to_rest() -> None:
    """So much from its beginning: a server that does not wait must not keep us busy."""
    assert pause(awaited(110.0, 110.0), 110.0) == 0.5
    assert pause(awaited(110.0, 110.375), 110.375) == 0.125
    assert pause(awaited(110.0, 110.5), 110.5) == 0.0


def test_after_an_answer_that_was_not_awaited_it_is_the_interval_again() -> None:
    """Though the one before was."""
    desk = awaited(110.0, 120.0)
    desk.answer("a", "STANDALONE", 121.0)
    assert pause(desk, 121.0) == 10.0


def test_a_failure_after_an_awaited_answer_is_tried_again_once() -> None:
    """At once, then after the interval."""
    desk = awaited(110.0, 120.0)
    desk.fail("a", 121.0)
    assert pause(desk, 121.0) == 0.0
    desk.fail("a", 122.0)
    assert pause(desk, 122.0) == 10.0


def test_the_first_answer_of_one_that_can_wait_is_followed_by_an_awaited_check() -> None:
    """At once: from then on it tells of changes. If it fails, it is tried again as any other."""
    desk = Lookout("a", waits=True)
    desk.answer("a", "STANDALONE", 100.0)
    assert pause(desk, 100.0) == 0.0
    desk.told()
    server = desk.begin("a", 100.0, can_wait=True)
    assert desk.told() == ["started a awaited"]
    desk.core.failed(server, OSError("reset"), False, 101.0)
    assert pause(desk, 101.0) == 0.0
    desk.fail("a", 101.25)
    assert pause(desk, 101.25) == 10.0


@pytest.mark.parametrize("can_wait", [False, True])
def test_an_answer_that_is_not_believed_is_no_reason_to_hurry(can_wait: bool) -> None:
    """It is unknown, so that it cannot be asked to wait, and would be asked without end."""
    desk = replica_set(term=5, waits=True)
    server = desk.begin("a", 11.0, can_wait=can_wait)
    desk.core.succeeded(server, hello("PRIMARY", term=4), None, 12.0)
    assert pause(desk, 12.0) == 10.0
    desk.answer("a", "PRIMARY", 22.25, term=4)
    assert pause(desk, 22.25) == 10.0


# -- what breaks them off -----------------------------------------------------------------------------


def hurry(desk: Lookout, how: str) -> None:
    """Have a primary, a, checked as soon as may be."""
    if how == "lost":
        desk.core.lost(desk["a"], 0, OSError(), None, 111.5)
    elif how == "demoted":
        desk.core.demoted(desk["a"], 0, OSError(), 111.5)
    else:
        desk.answer("b", "PRIMARY", 111.5, term=9)


@pytest.mark.parametrize("how", ["lost", "demoted", "unseated"])
def test_a_check_that_waits_is_broken_off(how: str) -> None:
    """The server may be another by now; the check that comes next is not."""
    desk = replica_set()
    server = desk.begin("a", 111.0, can_wait=True)
    broken = [server.broken]
    hurry(desk, how)
    broken.append(server.broken)
    desk.core.broken_off(server, OSError(), 112.0)
    desk.begin("a", 112.0, can_wait=True)
    broken.append(server.broken)
    assert broken == [False, True, False]


@pytest.mark.parametrize("how", ["lost", "demoted", "unseated"])
def test_a_check_that_does_not_wait_is_not_broken_off(how: str) -> None:
    """It answers soon, and is made once more."""
    desk = replica_set()
    server = desk.begin("a", 111.0)
    hurry(desk, how)
    assert (server.broken, server.requested) == (False, True)


@pytest.mark.parametrize("how", ["lost", "demoted", "unseated"])
def test_a_check_that_is_over_is_not_broken_off(how: str) -> None:
    """Though it waited."""
    desk = replica_set()
    server = desk.begin("a", 111.0, can_wait=True)
    desk.core.succeeded(server, hello("PRIMARY"), None, 111.25)
    hurry(desk, how)
    assert (server.broken, server.requested) == (False, True)


# -- round-trip times ---------------------------------------------------------------------------------


def test_times_are_averaged() -> None:
    """From heartbeats and probes alike, each counting a fifth."""
    desk = Lookout("a")
    desk.answer("a", "STANDALONE", 100.0, took=1.0)
    desk.answer("a", "STANDALONE", 111.0, took=2.0)
    desk.core.measured(desk["a"], 3.0)
    desk.told()
    assert desk.core.shown.servers["a"].round_trip_time == pytest.approx(1.56)


def test_an_awaited_answer_says_nothing_of_the_time() -> None:
    """The average stays."""
    desk = awaited(110.0, 120.0)
    assert desk.core.shown.servers["a"].round_trip_time == 0.25
    assert desk.core.shown.servers["a"].last_update == 120.0


@pytest.mark.parametrize("how", ["failed", "lost", "demoted"])
def test_what_is_unknown_has_no_time(how: str) -> None:
    """The average begins anew, whichever way the server was lost."""
    desk = checked()
    if how == "failed":
        desk.fail("a", 111.0)
    elif how == "lost":
        desk.core.lost(desk["a"], 0, OSError(), None, 111.0)
    else:
        desk.core.demoted(desk["a"], 0, OSError(), 111.0)
    desk.told()
    assert desk.core.shown.servers["a"].round_trip_time is None
    desk.answer("a", "STANDALONE", 112.0, took=3.0)
    desk.told()
    assert desk.core.shown.servers["a"].round_trip_time == 3.0


def answered() -> Lookout:
    """A single server, which is known. All was told."""
    desk = Lookout("a")
    desk.answer("a", "STANDALONE", 1.0)
    desk.told()
    return desk


def test_a_check_that_never_ended_is_ended_by_the_next_one() -> None:
    """Whoever made it was interrupted: each that began is told to end, once."""
    desk = answered()
    server = desk["a"]
    desk.core.begin_check(server, False, 50.0)
    assert desk.core.begin_check(server, False, 53.0) == 0.0
    started, ended, again = [act.values for act in desk.core._outbox]
    duration, error, *rest = ended
    assert (started, again, rest, duration) == (("a", False), ("a", False), ["a", False], 3.0)
    assert isinstance(error, ConnectionAbortedError)
    assert str(error) == "the check of 'a' was interrupted"
    assert server.checking == 53.0


def test_checks_that_follow_each_other_use_up_their_haste() -> None:
    """Then there is a rest, whatever happens."""
    desk = answered()
    server = desk["a"]
    server.ended, server.haste = 50.0, 5
    for left in (4, 3, 2, 1, 0):
        server.wait = 0.0
        assert desk.core.begin_check(server, False, 50.0) == 0.0
        assert server.haste == left
        server.checking = None
    assert desk.core.begin_check(server, False, 50.0) == desk.core._pulse.rest
