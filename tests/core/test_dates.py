"""When things come due: jitter, the very moment, and what is lost to the agenda."""

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from core.desk import Desk

from pool._core.agenda import Agenda, Dated
from pool._core.records import Entry
from pool._core.states import CHECKING, CLOSING, IDLE

# Sums of these are rounded, now up, now down.
TIMES = [0.0, 0.1, 0.7, 1000.1, 123456.789, 1e7 / 3]
SPANS = [0.1, 0.3, 1.1, 59.9, 3600.1]


class Counting(Agenda):
    """Counts what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def pop(self, now: float) -> Dated | None:
        item = super().pop(now)
        self.count += item is not None
        assert self.count < 100, "looks at the same ones for ever"
        return item


def span(desk: Desk, of: Callable[[Entry], float]) -> float:
    (entry,) = desk.stock("a", 0.0)
    return of(entry)


@pytest.mark.parametrize(("luck", "seconds"), [(0.0, 100.0), (0.5, 95.0), (1.0, 90.0)])
def test_a_lifetime_is_shortened_by_a_tenth_at_most(luck: float, seconds: float) -> None:
    """At random, so that what was opened at once does not end at once."""
    desk = Desk(luck, max_lifetime=100.0)
    assert span(desk, lambda entry: entry.expires) == pytest.approx(seconds)


@pytest.mark.parametrize(("luck", "seconds"), [(0.0, 10.0), (0.5, 9.5), (1.0, 9.0)])
def test_an_interval_is_shortened_by_a_tenth_at_most(luck: float, seconds: float) -> None:
    """Anew before each check, also after the first."""
    desk = Desk(luck, health_check_interval=10.0)
    assert span(desk, lambda entry: entry.gap) == pytest.approx(seconds)
    desk.chance = 1.0 - luck
    (entry,) = desk.chores(20.0).checks
    desk.apply(desk.core.checked(entry, True, 20.0))
    assert entry.gap == pytest.approx(19.0 - seconds)


def test_without_options_nothing_comes_due() -> None:
    """No lifetime, no interval, no timeout: the worker sleeps for ever."""
    desk = Desk(idle_timeout=None, max_lifetime=None)
    desk.stock("a", 0.0)
    assert desk.chores(0.0).next == inf


@pytest.mark.parametrize("start", TIMES)
@pytest.mark.parametrize("seconds", SPANS)
@pytest.mark.parametrize("option", ["idle_timeout", "max_lifetime", "health_check_interval"])
def test_what_is_due_is_done_at_the_very_moment(option: str, seconds: float, start: float) -> None:
    """The worker who wakes exactly when he was told finds it due, and does not look for ever."""
    options: dict[str, Any] = {"idle_timeout": None, "max_lifetime": None, option: seconds}
    desk = Desk(**options)
    desk.core._agenda = agenda = Counting()
    (entry,) = desk.stock("a", start)
    moment = desk.chores(start).next
    assert moment is not None
    desk.chores(moment)
    assert entry.state is (CHECKING if option == "health_check_interval" else CLOSING)
    assert agenda.count == 1


@pytest.mark.parametrize("start", TIMES)
@pytest.mark.parametrize("seconds", SPANS)
def test_a_leak_is_told_at_the_very_moment(seconds: float, start: float) -> None:
    """As soon as the lease has been held so long."""
    desk = Desk(idle_timeout=None, max_lifetime=None, leak_threshold=seconds)
    caller = desk.lease("a", start)
    desk.apply(desk.core.watch(caller))
    moment = desk.chores(start).next
    assert moment is not None
    (entry,) = desk.chores(moment).leaks
    assert desk.core.leaks(entry, moment) is not None
    assert desk.core.leaks(entry, moment) is None


@pytest.mark.parametrize("reuse", ["lifo", "fifo"])
def test_nothing_expired_is_lent_at_the_very_moment(reuse: str) -> None:
    """Neither the short way nor the long one."""
    desk = Desk(max_lifetime=10.0, idle_timeout=None, reuse=reuse)
    desk.stock("a", 0.0)
    assert desk.take("a", 10.0).entry is None
    caller = desk.ask("a", 10.0, patient=False)
    assert caller.entry is None


def test_what_is_in_use_when_it_comes_due_is_looked_at_when_it_comes_back() -> None:
    """It is not cut, and it is not forgotten."""
    desk = Desk(max_lifetime=10.0, idle_timeout=2.0)
    caller = desk.lease("a", 0.0)
    entry = caller.entry
    assert entry is not None
    desk.chores(5.0)
    assert desk.closing == []
    desk.give_back(caller, 6.0)
    assert entry.state is IDLE
    assert desk.chores(6.0).next == 8.0


def test_what_passes_from_hand_to_hand_is_looked_at_when_it_comes_back() -> None:
    """Given straight to the next caller, it must not lose its date either."""
    desk = Desk(max_size=1, max_lifetime=None, idle_timeout=2.0)
    first = desk.lease("a", 0.0)
    second = desk.ask("a", 0.0)
    desk.chores(3.0)
    desk.give_back(first, 4.0)
    desk.proceed(second, 4.0)
    desk.give_back(second, 5.0)
    assert desk.chores(5.0).next == 7.0


def test_what_was_kept_for_the_minimum_is_looked_at_when_more_are_there() -> None:
    """It becomes spare without being touched: the next who connects makes it so."""
    desk = Desk(min_size=1, idle_timeout=2.0, max_lifetime=None)
    (kept,) = desk.stock("a", 0.0)
    desk.chores(3.0)
    assert (kept.state, kept.look) == (IDLE, inf)
    desk.core.distrust()
    caller = desk.ask("a", 4.0)
    other = desk.ask("a", 4.0)
    desk.apply(desk.core.abandon(caller, 4.0))
    desk.proceed(other, 5.0)
    assert kept.state is IDLE
    chores = desk.chores(5.0)
    assert chores.effects.close == [kept]


def test_after_a_check_in_the_background_releases_are_quick_again() -> None:
    """An endpoint is special only as long as something there needs a look."""
    desk = Desk(health_check_interval=1.0, idle_timeout=None, max_lifetime=None)
    (entry,) = desk.stock("a", 0.0)
    assert desk.chores(2.0, everywhere=True).checks == [entry]
    desk.apply(desk.core.checked(entry, True, 2.0))
    assert (entry.state, desk.home("a").special) == (IDLE, False)


def test_what_is_gone_does_not_make_releases_slow() -> None:
    """A frame may refer to it still when its date comes."""
    desk = Desk(idle_timeout=5.0, max_size=2)
    desk.stock("a", 0.0)
    caller, other = desk.take("a", 1.0), desk.lease("a", 1.0)
    gone = caller.entry
    desk.discard(caller, 1.0)
    assert desk.close(1.0) == [gone]
    desk.chores(9.0)
    desk.give_back(other, 9.0)
    desk.chores(9.0)
    assert (desk.home("a").marked, desk.home("a").special) == (0, False)


def test_nothing_is_opened_at_an_endpoint_that_was_forgotten() -> None:
    """Though somebody knows it still, and it was to be filled once."""
    desk = Desk(min_size=0, health_check_interval=1.0)
    desk.stock("a", 0.0)
    home = desk.home("a")
    home.owed = 1
    desk.core._measure(home, desk.chores(0.0).effects)
    assert home.look < inf
    home.owed = 0
    desk.discard(desk.take("a", 0.0), 0.0)
    desk.close(0.0)
    assert desk.core.endpoints() == []
    home.owed = 1
    assert desk.chores(1.0).fills == []


@pytest.mark.parametrize("patient", [True, False])
def test_what_is_suspect_stays_so_until_it_was_checked(patient: bool) -> None:
    """Also if the caller gives up who was to check it: the next one does not get it at sight."""
    desk = Desk(max_lifetime=None, idle_timeout=None)
    (entry,) = desk.stock("a", 0.0)
    desk.core.distrust()
    assert desk.take("a", 0.0).entry is None
    caller = desk.ask("a", 0.0, patient=patient)
    assert caller.entry is entry
    assert entry.suspect
    desk.apply(desk.core.abandon(caller, 0.0))
    assert desk.take("a", 0.0).entry is None
    desk.proceed(desk.ask("a", 0.0), 0.0)
    desk.give_back(desk.callers[-1], 0.0)
    assert desk.take("a", 0.0).entry is entry
