"""Fills: when the pool tries again after a failed connect, and how many at once."""

import pytest
from core.desk import Desk

from pool._core.states import GRANTED

PAUSES = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def outage(desk: Desk, times: int, now: float = 0.0) -> list[float]:
    """Let fills fail whenever one is due; return the pauses."""
    pauses = []
    desk.know("a")
    for _ in range(times):
        chores = desk.chores(now)
        assert len(chores.fills) == 1, "one prober at a time"
        desk.fail(chores, now)
        assert desk.chores(now + (desk.home("a").retry - now) / 2).fills == []
        pauses.append(desk.home("a").retry - now)
        now = desk.home("a").retry
    return pauses


@pytest.mark.parametrize("luck", [1.0, 0.5, 0.25])
def test_each_pause_is_twice_as_long_up_to_five_seconds(luck: float) -> None:
    """From 0.1 s on, times the dice: from nothing to all of it."""
    desk = Desk(luck, min_size=1, max_connecting=1)
    assert outage(desk, 8) == pytest.approx([luck * pause for pause in PAUSES])


def test_the_pause_may_be_none() -> None:
    """Full jitter: with luck the next attempt follows at once."""
    desk = Desk(0.0, min_size=1, max_connecting=1)
    desk.know("a")
    for _ in range(3):
        desk.fail(desk.chores(1.0), 1.0)
        assert desk.home("a").retry == 1.0


def test_many_failures_do_not_overflow() -> None:
    """After a day of outage the pause is what it was after a minute."""
    desk = Desk(1.0, min_size=1, max_connecting=1)
    assert outage(desk, 3000)[-1] == pytest.approx(5.0)


def test_a_success_forgets_all_failures() -> None:
    """The next outage begins with the shortest pause."""
    desk = Desk(1.0, min_size=1, max_connecting=1)
    outage(desk, 5)
    now = desk.home("a").retry
    desk.fill(desk.chores(now), now)
    home = desk.home("a")
    assert (home.failures, len(home.idle())) == (0, 1)
    caller = desk.take("a", now)
    desk.discard(caller, now)
    desk.close(now)
    assert outage(desk, 2, now) == pytest.approx([0.1, 0.2])


def test_a_caller_who_connects_forgets_all_failures_too() -> None:
    """If he could, the pool can."""
    desk = Desk(1.0, min_size=2, max_connecting=2)
    desk.know("a")
    desk.fail(desk.chores(0.0), 0.0)
    desk.lease("a", 0.05)
    assert len(desk.chores(0.05).fills) == 1


def test_a_caller_never_waits_for_a_pause() -> None:
    """However many connects have failed, his own is permitted at once."""
    desk = Desk(1.0, min_size=1, max_connecting=1)
    outage(desk, 8)
    assert desk.chores(15.0).fills == []
    caller = desk.ask("a", 15.0)
    assert caller.verdict is GRANTED


def test_the_worker_wakes_when_the_pause_is_over() -> None:
    """And neither before nor after."""
    desk = Desk(1.0, min_size=1, max_connecting=1)
    desk.know("a")
    desk.fail(desk.chores(0.0), 0.0)
    assert desk.chores(0.0).next == desk.home("a").retry == pytest.approx(0.1)


def test_from_one_success_to_the_next_twice_as_many_are_opened_at_once() -> None:
    """After an outage: one, two, four, as far as ``max_connecting`` and the need go."""
    desk = Desk(1.0, min_size=20, max_size=20, max_connecting=6)
    desk.know("a")
    desk.fail(desk.chores(0.0), 0.0)
    now = desk.home("a").retry
    rounds = []
    while (chores := desk.chores(now)).fills:
        rounds.append(len(chores.fills))
        desk.fill(chores, now)
    assert rounds == [1, 2, 4, 6, 6, 1]


def test_before_any_failure_as_many_are_opened_as_may_be() -> None:
    """There is nothing to be careful about."""
    desk = Desk(min_size=20, max_size=20, max_connecting=6)
    desk.know("a")
    assert len(desk.chores(0.0).fills) == 6


def test_a_failure_on_the_way_up_begins_again_with_one() -> None:
    """What is under way goes on; then there is one prober again."""
    desk = Desk(1.0, min_size=8, max_size=8, max_connecting=8)
    desk.know("a")
    desk.fail(desk.chores(0.0), 0.0)
    now = desk.home("a").retry
    desk.fill(desk.chores(now), now)
    chores = desk.chores(now)
    assert len(chores.fills) == 2
    desk.fail(chores, now)
    now = desk.home("a").retry
    assert len(desk.chores(now).fills) == 1


def test_endpoints_back_off_each_for_itself() -> None:
    """An outage at one does not hold up the fills of another."""
    desk = Desk(1.0, min_size=1, max_connecting=1)
    outage(desk, 5)
    desk.know("b")
    (fill,) = desk.chores(3.0).fills
    assert fill.endpoint == "b"


def test_to_say_that_an_endpoint_is_ready_ends_the_pause() -> None:
    """Whoever says so knows that the server is there."""
    desk = Desk(1.0, min_size=1, max_connecting=1, paused=True)
    desk.know("a")
    for _ in range(2):
        assert desk.core.begin("a", 0) is desk.home("a").state
        desk.apply(desk.core.ready("a", 0, desk.home("a").state, 0.0))
        desk.fail(desk.chores(0.0), 0.0)
        assert desk.core.begin("a", 0) is desk.home("a").state
        effects = type(desk.chores(0.0).effects)()
        desk.core.clear("a", 0, desk.home("a").state, None, False, effects)
        desk.apply(effects)
        assert desk.chores(9.0).fills == []


@pytest.mark.parametrize("everywhere", [False, True])
def test_one_pair_of_hands_opens_one_at_a_time(everywhere: bool) -> None:
    """If more are due, the core wants to be asked again at once."""
    desk = Desk(min_size=3, max_connecting=2)
    desk.know("a")
    chores = desk.chores(1.0, hands=1, everywhere=everywhere)
    assert len(chores.fills) == 1
    assert chores.next is not None
    assert chores.next <= 1.0
    desk.fill(chores, 1.0)
    assert len(desk.chores(1.0, hands=1, everywhere=everywhere).fills) == 1
