"""A connection that broke while it was leased: why it is closed, and when that says nothing of now."""

from typing import Any

import pytest
from core.desk import Desk, entry_of

from pool import PoolOptions
from pool._core.ledger import ERROR, IDLENESS, POOL_CLOSED, STALE
from pool._core.states import CLOSING, IDLE, IN_USE, RELEASING


def test_a_connection_that_broke_is_closed_when_it_comes_back() -> None:
    """And not before: its lease goes on. The reason is the error, by the short way back too."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    entry = entry_of(holder)
    assert desk.core.broke(holder) is True
    assert (entry.state, entry.doomed, desk.closing) == (IN_USE, ERROR, [])
    desk.give_back(holder, 1.0)
    assert (desk.closing, entry.state, entry.doomed) == ([entry], CLOSING, ERROR)


def test_a_connection_that_broke_is_closed_by_the_long_way_back() -> None:
    """Though whoever gives it back says that it is fit for use."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    desk.core.broke(holder)
    entry = desk.core.end(holder, 1.0)
    assert entry is not None
    assert (entry.state, entry.doomed) == (RELEASING, ERROR)
    desk.apply(desk.core.put(entry, 1.0))
    assert (desk.closing, entry.doomed) == ([entry], ERROR)


def test_the_others_are_as_they_were() -> None:
    """Who else uses one, and what lies idle: that is for a clear."""
    desk = Desk()
    (idle,) = desk.stock("a", 0.0)
    holder = desk.lease("a", 0.0)
    entry = entry_of(holder)
    assert entry is idle
    other = desk.lease("a", 0.0)
    desk.core.broke(holder)
    assert entry_of(other).doomed == ""
    desk.give_back(other, 1.0)
    assert [each.state for each in desk.home("a").every()] == [IN_USE, IDLE]


@pytest.mark.parametrize("interrupt", [False, True])
def test_a_clear_that_came_first_says_that_it_is_of_before(interrupt: bool) -> None:
    """What broke then says nothing of now; its reason is the clear."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    desk.clear("a", interrupt=interrupt)
    assert desk.core.broke(holder) is False
    assert entry_of(holder).doomed is STALE


def test_a_clear_of_its_service_counts_and_of_another_does_not() -> None:
    """As far as it is known."""
    desk = Desk()
    caller = desk.ask("a", 0.0)
    entry = entry_of(caller)
    entry.begun = True
    entry.connection = object()
    desk.apply(desk.core.opened(caller, "s", 0.0, True))
    desk.apply(desk.core.confirm(caller, 0.0, True))
    desk.clear("a", service="t")
    assert desk.core.broke(caller) is True
    assert entry.doomed is ERROR
    entry.doomed = ""
    desk.clear("a", service="s")
    assert desk.core.broke(caller) is False


@pytest.mark.parametrize("everywhere", [False, True])
def test_the_end_of_the_pool_came_first(everywhere: bool) -> None:
    """Of the endpoint's part, or of all: then that is the reason."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    desk.apply(desk.core.shut("a", everywhere))
    assert desk.core.broke(holder) is False
    assert entry_of(holder).doomed is POOL_CLOSED


def test_one_that_was_to_be_retired_broke_first() -> None:
    """It is of now: that it broke is the reason."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    entry = entry_of(holder)
    entry.doomed = IDLENESS
    assert desk.core.broke(holder) is True
    assert entry.doomed is ERROR


def end(desk: Desk, holder: Any) -> None:
    assert desk.core.end(holder, 1.0) is not None


@pytest.mark.parametrize(
    "over", [lambda desk, holder: desk.give_back(holder, 1.0), end], ids=["given back", "ended"]
)
def test_a_lease_that_has_ended_says_nothing(over: Any) -> None:
    """Its connection is another's, or nobody's."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    entry = entry_of(holder)
    over(desk, holder)
    assert desk.core.broke(holder) is False
    assert entry.doomed == ""


def test_a_connect_says_nothing() -> None:
    """There is no lease yet: whoever connects says how that failed."""
    desk = Desk()
    caller = desk.ask("a", 0.0)
    assert desk.core.broke(caller) is False
    assert entry_of(caller).doomed == ""
    nobody = desk.new("a")
    assert desk.core.broke(nobody) is False


# -- what comes later ---------------------------------------------------------------------------------


@pytest.mark.parametrize("interrupt", [False, True])
def test_a_clear_that_comes_later_does_not_change_the_reason(interrupt: bool) -> None:
    """It follows from the error: but the connection is broken off like all others."""
    desk = Desk()
    holder, other = desk.lease("a", 0.0), desk.lease("a", 0.0)
    broken = entry_of(holder)
    desk.core.broke(holder)
    effects = desk.clear("a", interrupt=interrupt)
    assert (broken.doomed, entry_of(other).doomed) == (ERROR, STALE)
    assert (broken in effects.interrupt) == interrupt
    desk.give_back(holder, 1.0)
    assert (desk.closing, broken.doomed) == ([broken], ERROR)


def test_the_end_of_the_pool_does_not_change_the_reason_either() -> None:
    """It broke before that."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    broken = entry_of(holder)
    desk.core.broke(holder)
    desk.apply(desk.core.shut(None, True))
    desk.give_back(holder, 1.0)
    assert (desk.closing, broken.doomed) == ([broken], ERROR)


def test_a_clear_becomes_the_end_of_the_pool() -> None:
    """Of those that did not break the last reason stands, and after that no clear counts."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    desk.clear("a")
    assert entry_of(holder).doomed is STALE
    desk.apply(desk.core.shut(None, True))
    assert entry_of(holder).doomed is POOL_CLOSED


def test_its_place_is_the_next_callers() -> None:
    """As soon as it is closed."""
    desk = Desk(max_size=1)
    holder = desk.lease("a", 0.0)
    waiting = desk.ask("a", 0.0)
    desk.core.broke(holder)
    desk.give_back(holder, 1.0)
    assert waiting.entry is None
    desk.close(1.0)
    assert desk.proceed(waiting, 1.0).doomed == ""
    assert desk.core.stats("a", False).closed == 1


def test_it_counts_against_the_size_until_it_is_closed() -> None:
    """A pool that was made smaller meanwhile closes no other for it."""
    desk = Desk(max_size=2)
    holder, other = desk.lease("a", 0.0), desk.lease("a", 0.0)
    desk.core.broke(holder)
    desk.apply(desk.core.resize(PoolOptions(max_size=1), 0.5))
    desk.give_back(holder, 1.0)
    desk.close(1.0)
    desk.give_back(other, 2.0)
    assert (desk.closing, desk.core.stats("a", False).idle) == ([], 1)
