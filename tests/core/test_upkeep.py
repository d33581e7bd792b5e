"""What a pool does by itself: when it looks at what, and what comes of it, exactly."""

from math import inf, isclose
from typing import Any

import pytest
from core.books import CODE, Waiter
from core.desk import Desk, entry_of

from pool._core.ledger import ERROR, IDLENESS, STALE
from pool._core.records import Effects, Entry
from pool._core.states import (
    CHECKING,
    CLEARED,
    CLOSED,
    CLOSING,
    CONNECTING,
    FORKED,
    GRANTED,
    IDLE,
    IN_USE,
    PAUSED,
    VETTING,
    WAITING,
)
from pool._core.upkeep import Leak, disown


def make(**options: Any) -> Desk:
    """A pool in which nothing comes due but what a test asks for."""
    quiet = {"idle_timeout": None, "max_lifetime": None, "health_check_interval": None}
    return Desk(**{"chance": 0.0, "max_size": 9, **quiet, **options})


def check(desk: Desk, now: float, number: int = 1) -> list[Entry]:
    """Have checks begin."""
    checks = desk.chores(now).checks
    assert [entry.state for entry in checks] == [CHECKING] * number
    return checks


# -- what is due --------------------------------------------------------------------------------------


def test_a_closed_pool_is_looked_after_until_its_last_connection_is_gone() -> None:
    """Whenever that is; then never again."""
    desk = make(min_size=1, health_check_interval=10.0)
    holder = desk.lease("a", 0.0)
    desk.apply(desk.core.shut(None, True))
    chores = desk.chores(100.0)
    assert (chores.next, chores.checks, chores.fills) == (inf, [], [])
    desk.discard(holder, 101.0)
    desk.close(102.0)
    assert desk.chores(103.0).next is None


@pytest.mark.parametrize("everywhere", [True, False])
def test_no_more_checks_begin_than_there_are_hands(everywhere: bool) -> None:
    """The others are due at once when these have ended."""
    desk = make(health_check_interval=10.0)
    entries = desk.stock("a", 1.0, 1.0, 1.0)
    chores = desk.chores(11.0, 2, everywhere)
    assert (len(chores.checks), chores.jobs()) == (2, 2)
    assert chores.next is not None
    assert chores.next <= 11.0
    last = desk.chores(11.0, 2, everywhere).checks
    assert {*chores.checks, *last} == set(entries)


def test_everything_is_looked_at_on_demand() -> None:
    """Also where nobody keeps an agenda: what is to be filled, and what is idle or in use."""
    desk = make(background_collector=False, min_size=3, health_check_interval=10.0)
    (entry,) = desk.stock("a", 0.0)
    desk.give_back(desk.take("a", 1.0), 5.0)
    holder = desk.lease("b", 5.0)
    desk.chores(10.0)
    idle = desk.chores(15.0)
    assert (idle.checks, idle.fills) == ([], [])
    chores = desk.chores(15.0, everywhere=True)
    assert chores.checks == [entry]
    assert [filler.endpoint for filler in chores.fills] == ["a", "a", "b", "b"]
    assert entry_of(holder).marked is True


def test_what_is_neither_idle_nor_in_use_is_not_looked_at() -> None:
    """It is looked at when it has become so."""
    desk = Desk(vet_after=-1.0)
    desk.stock("a", 0.0)
    entry = entry_of(desk.ask("a", 1.0))
    desk.chores(1.0, everywhere=True)
    assert (entry.state, entry.marked) == (VETTING, False)


def test_the_upkeep_is_rung_for_what_comes_earlier_than_it_knows() -> None:
    """And not for what comes later."""
    desk = make(health_check_interval=100.0)
    desk.stock("a", 50.0)
    assert desk.chores(50.0).next == 150.0
    rings = desk.rings
    desk.stock("b", 60.0)
    assert desk.rings == rings
    desk.stock("c", 40.0)
    assert desk.rings == rings + 1


# -- fillers ------------------------------------------------------------------------------------------


def test_what_was_filled_lies_idle() -> None:
    """Its filler has it no longer, and it does not count as being opened."""
    desk = make(min_size=2)
    desk.know("a")
    chores = desk.chores(5.0)
    home = desk.home("a")
    entries = [entry_of(filler) for filler in chores.fills]
    assert (home.filling, home.connecting, home.stock) == (2, 2, 0)
    assert [entry.fill for entry in entries] == [True, True]
    desk.fill(chores, 7.0)
    assert (home.filling, home.connecting, home.stock, home.created) == (0, 0, 2, 2)
    assert [filler.entry for filler in chores.fills] == [None, None]
    for entry in entries:
        assert (entry.state, entry.since, entry.checked, entry.fill) == (IDLE, 7.0, 7.0, False)
        assert (entry.ready, entry.begun, entry.uses) == (True, False, 0)


def test_what_was_filled_serves_whoever_waits() -> None:
    """He came meanwhile."""
    desk = make(min_size=1, max_size=1)
    desk.know("a")
    chores = desk.chores(0.0)
    (entry,) = [entry_of(filler) for filler in chores.fills]
    caller = desk.ask("a", 1.0)
    desk.fill(chores, 3.0)
    assert (caller.verdict, caller.entry, entry.lent) == (GRANTED, entry, 3.0)
    assert desk.core.stats("a", False).wait_time == 2.0


def test_after_one_failure_two_are_opened_then_four() -> None:
    """One success is no reason for three."""
    desk = make(min_size=9, max_connecting=9)
    desk.know("a")
    desk.home("a").failures = 1
    opened = []
    for _ in range(4):
        chores = desk.chores(10.0)
        opened.append(len(chores.fills))
        desk.fill(chores, 10.0)
    assert opened == [1, 2, 4, 2]


def test_what_is_owed_is_opened_above_the_minimum() -> None:
    """Each once, and only what is missing beyond that is owed."""
    desk = make(min_size=2, max_connecting=9)
    desk.know("a")
    home = desk.home("a")
    home.owed = 2
    chores = desk.chores(0.0)
    assert (len(chores.fills), home.owed) == (4, 0)


def test_a_fill_that_must_wait_says_until_when() -> None:
    """The first of all; and no more are opened than there are hands."""
    desk = make(background_collector=False, min_size=3)
    for endpoint, retry in (("a", 20.0), ("b", 10.0), ("c", 30.0), ("d", 5.0)):
        desk.know(endpoint)
        desk.home(endpoint).retry = retry
    chores = desk.chores(5.0, hands=2, everywhere=True)
    assert [filler.endpoint for filler in chores.fills] == ["d", "d"]
    assert chores.retry == 10.0
    assert desk.chores(5.0, hands=0, everywhere=True).retry is None


def test_what_a_forked_child_has_is_not_filled_or_checked() -> None:
    """It is the parent process's: nothing is written down, nothing follows."""
    desk = make(min_size=1, health_check_interval=10.0)
    (idle,) = desk.stock("a", 0.0)
    check(desk, 10.0)
    desk.know("b")
    (filler,) = desk.chores(11.0).fills
    filling = entry_of(filler)
    disown(desk.core)
    assert (idle.state, filling.state) == (FORKED, FORKED)
    assert not desk.core.filled(filler, None, 12.0)
    assert not desk.core.checked(idle, False, 12.0)
    assert (filler.entry, filling.ready, idle.checked) == (None, False, 10.0)
    assert desk.core.stats("a", False).errors == 0


def test_all_that_was_opened_is_inherited() -> None:
    """With its endpoint, and though nothing of it is usable; what was not opened yet is not."""
    desk = make()
    first, second = desk.lease("a", 0.0), desk.lease("b", 0.0)
    connecting = desk.ask("b", 0.0)
    entries = [entry_of(caller) for caller in (first, second)]
    assert disown(desk.core) == [
        ("a", entries[0].connection),
        ("b", entries[1].connection),
    ]
    assert {entry.state for entry in (*entries, entry_of(connecting))} == {FORKED}


def test_to_say_that_an_endpoint_is_ready_is_no_success() -> None:
    """The pause after a failure is over, but one is opened at a time until one has succeeded."""
    desk = make(paused=True, min_size=9, max_connecting=9)
    desk.know("a")
    for opened in (9, 1):
        if desk.home("a").failures:
            desk.core.clear("a", 0, str(desk.core.begin("a", 0)), None, False, Effects())
        assert desk.core.begin("a", 0) is PAUSED
        desk.apply(desk.core.ready("a", 0, PAUSED, 0.0))
        chores = desk.chores(0.0)
        assert len(chores.fills) == opened
        desk.fail(chores, 0.0)


def test_room_that_is_not_taken_is_filled_elsewhere() -> None:
    """Whoever was to be filled there is cleared and paused: the next one follows, and is rung for."""
    desk = make(paused=True, min_size=1, max_size=1, total_max_size=1)
    for endpoint in "bcd":
        desk.know(endpoint)
        assert desk.core.begin(endpoint, 0) is PAUSED
        desk.apply(desk.core.ready(endpoint, 0, PAUSED, 0.0))
        desk.fill(desk.chores(0.0), 0.0)
    desk.apply(desk.core.shut("b", False))
    desk.close(1.0)
    desk.core.clear("c", 0, str(desk.core.begin("c", 0)), None, False, Effects())
    desk.core.unheard()
    chores = desk.chores(2.0)
    assert [filler.endpoint for filler in chores.fills] == ["d"]
    assert chores.effects.ring is True


def test_room_kept_for_what_is_no_more_is_filled_elsewhere() -> None:
    """Whoever was to be filled there is removed before the worker comes: the next one follows."""
    desk = make(min_size=1, max_size=1, total_max_size=1)
    for endpoint in "bcd":
        desk.know(endpoint)
        desk.fill(desk.chores(0.0), 0.0)
    for endpoint in "bc":
        desk.apply(desk.core.shut(endpoint, False))
        desk.close(1.0)
    assert [filler.endpoint for filler in desk.chores(2.0).fills] == ["d"]


# -- what arrives -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chance", "share"), [(0.0, 1.0), (0.5, 0.95), (1.0, 0.9)])
def test_lifetimes_and_intervals_are_shortened_at_random(chance: float, share: float) -> None:
    """By a tenth at most, so that not all are due at once."""
    desk = make(chance=chance, max_lifetime=1000.0, health_check_interval=100.0)
    (entry,) = desk.stock("a", 50.0)
    assert isclose(entry.expires, 50.0 + 1000.0 * share)
    assert isclose(entry.gap, 100.0 * share)
    assert isclose(desk.chores(50.0).next or 0.0, 50.0 + 100.0 * share)


@pytest.mark.parametrize(
    ("options", "due"),
    [
        ({"max_lifetime": 30.0, "idle_timeout": 40.0, "health_check_interval": 50.0}, 30.0),
        ({"max_lifetime": 50.0, "idle_timeout": 30.0, "health_check_interval": 40.0}, 30.0),
        ({"max_lifetime": 50.0, "idle_timeout": 40.0, "health_check_interval": 30.0}, 30.0),
        ({"idle_timeout": 40.0}, 40.0),
        ({}, inf),
    ],
)
def test_what_arrives_is_looked_at_when_anything_may_be_due(
    options: dict[str, float], due: float
) -> None:
    """The earliest of its dates, counted from then."""
    desk = make(**options)
    desk.lease("a", 7.0)
    assert desk.core._agenda.next() == 7.0 + due


def test_what_arrives_is_written_down() -> None:
    """What it reached, since when, and that its permit is free."""
    desk = make()
    caller = desk.ask("a", 1.0)
    entry = entry_of(caller)
    entry.begun, entry.limit = True, object()
    home: Any = desk.home("a")
    core: Any = desk.core
    home.last_error, core._last_error = (OSError(), 0.0), ("a", OSError(), 0.0)
    home.failures, home.retry, home.ramp = 5, 100.0, 1
    desk.apply(desk.core.opened(caller, "s", 4.0, True))
    assert (entry.service, entry.ready, entry.begun, entry.limit) == ("s", True, False, None)
    assert (entry.state, entry.since, entry.checked, entry.lent) == (VETTING, 4.0, 4.0, 4.0)
    assert (home.connecting, home.stock, home.created) == (0, 1, 1)
    assert (home.failures, home.retry, home.ramp) == (0, 0.0, 2)
    assert (home.last_error, core._last_error) == (None, None)


@pytest.mark.parametrize(("cleared", "doomed"), [("s", STALE), ("t", ""), (None, "")])
def test_what_arrives_at_a_service_that_was_cleared_is_stale(
    cleared: str | None, doomed: str
) -> None:
    """That of another is not."""
    desk = make()
    caller = desk.ask("a", 1.0)
    entry = entry_of(caller)
    entry.begun = True
    entry.services = None if cleared is None else {cleared}
    desk.apply(desk.core.opened(caller, "s", 4.0, True))
    assert entry.doomed == doomed


def test_the_first_above_the_minimum_makes_the_others_spare() -> None:
    """They are looked at as soon as their time is over."""
    desk = make(min_size=2, idle_timeout=10.0)
    for _ in range(2):
        desk.lease("a", 0.0)
    desk.chores(50.0)
    assert desk.core._agenda.next() == inf
    desk.lease("a", 60.0)
    assert desk.core._agenda.next() == 10.0


def test_whoever_waits_for_the_minimum_is_called_when_it_is_reached() -> None:
    """Not before, and once."""
    desk = make(min_size=2)
    desk.know("a")
    waiter = Waiter()
    assert desk.core.warm("a", waiter) is WAITING
    desk.lease("a", 0.0)
    assert waiter.woken == 0
    for _ in range(2):
        desk.lease("a", 0.0)
        assert waiter.woken == 1
    assert desk.core.warm("a", waiter) is GRANTED


# -- checks -------------------------------------------------------------------------------------------


def test_a_check_is_due_an_interval_after_the_last_use_or_check() -> None:
    """Not a moment before; what is checked is lent to nobody, and keeps the time of its last use."""
    desk = make(health_check_interval=10.0)
    entry: Any
    (entry,) = desk.stock("a", 5.0)
    entry.code = CODE
    assert (desk.chores(14.5).checks, desk.core._agenda.next()) == ([], 15.0)
    assert check(desk, 15.0) == [entry]
    assert (entry.checked, entry.since, entry.code, entry.hidden) == (15.0, 5.0, None, True)
    desk.apply(desk.core.checked(entry, True, 16.0))
    assert (entry.state, entry.checked, entry.since) == (IDLE, 16.0, 5.0)
    assert (entry.hidden, desk.home("a").hidden, desk.home("a").idle()) == (False, 0, [entry])
    assert (desk.chores(25.5).checks, desk.core._agenda.next()) == ([], 26.0)
    assert check(desk, 26.0) == [entry]


def test_what_was_checked_lies_where_it_lay() -> None:
    """Below what was used later; it is no longer suspect, and its next interval is another."""
    desk = make(health_check_interval=10.0)
    first, second = desk.stock("a", 1.0, 2.0)
    desk.core.distrust()
    (entry,) = check(desk, 11.0)
    desk.chance = 1.0
    desk.apply(desk.core.checked(entry, True, 11.5))
    assert (entry, entry.suspect, entry.gap) == (first, False, 9.0)
    assert desk.home("a").idle() == [second, first]
    assert second.suspect is True


def test_a_mark_is_gone_after_a_check() -> None:
    """What comes back then goes the short way again."""
    desk = make(health_check_interval=10.0)
    (entry,) = desk.stock("a", 0.0)
    check(desk, 10.0)
    desk.core._mark(entry)
    desk.apply(desk.core.checked(entry, True, 11.0))
    assert (entry.marked, desk.home("a").marked, desk.home("a").special) == (False, 0, False)


def test_the_end_of_a_check_rings_for_what_is_to_be_filled() -> None:
    """Nobody was heard when it was noticed that one is missing."""
    desk = make(health_check_interval=10.0, min_size=2)
    desk.stock("a", 0.0)
    chores = desk.chores(10.0)
    (entry,), (filler,) = chores.checks, chores.fills
    desk.apply(desk.core.abandon(filler, 10.5))
    desk.core._mark(entry)
    desk.core.unheard()
    assert desk.core.checked(entry, True, 11.0).ring is True


def test_whoever_waits_gets_what_was_checked() -> None:
    """Where it lay it is not."""
    desk = make(health_check_interval=10.0, max_size=1)
    desk.stock("a", 0.0)
    (entry,) = check(desk, 10.0)
    caller = desk.ask("a", 11.0)
    desk.apply(desk.core.checked(entry, True, 13.0))
    assert (caller.entry, entry.state, entry.lent, entry.since) == (entry, VETTING, 13.0, 0.0)
    assert (desk.home("a").top, desk.home("a").hidden) == (None, 0)


@pytest.mark.parametrize("why", ["cleared", "expired", "crowded", "owed"])
def test_what_was_checked_may_be_too_much(why: str) -> None:
    """It was cleared meanwhile, its time is over, or its room is somebody else's."""
    lifetime = 11.5 if why == "expired" else None
    desk = make(health_check_interval=10.0, max_lifetime=lifetime, max_size=2, total_max_size=2)
    holder = desk.lease("a", 0.0)
    desk.stock("a", 0.0)
    (entry,) = check(desk, 10.0)
    if why == "cleared":
        entry.doomed = STALE
    elif why == "crowded":
        desk.core._max_size = 1
        desk.core._measure(desk.home("a"), Effects())
    elif why == "owed":
        assert desk.ask("b", 10.5).verdict is WAITING
    desk.apply(desk.core.checked(entry, True, 11.5))
    assert desk.closing == [entry]
    assert (entry.state, entry.doomed) == (CLOSING, STALE if why == "cleared" else IDLENESS)
    assert (desk.home("a").top, entry_of(holder).state) == (None, IN_USE)


def test_what_was_found_dead_is_replaced() -> None:
    """One for each, and each is an error."""
    desk = make(health_check_interval=10.0)
    desk.stock("a", 0.0, 0.0, 0.0)
    entries = check(desk, 10.0, 3)
    for number, entry in enumerate(entries[:2], 1):
        desk.apply(desk.core.checked(entry, False, 11.0))
        assert (entry.state, entry.doomed, entry.checked) == (CLOSING, ERROR, 11.0)
        assert (desk.home("a").owed, desk.home("a").errors) == (number, number)
    assert desk.closing == entries[:2]


def test_what_was_found_dead_is_not_replaced_twice() -> None:
    """Below the minimum another one comes in any case; what is being closed does not count."""
    desk = make(health_check_interval=10.0, min_size=2)
    desk.stock("a", 0.0, 0.0, 0.0)
    first, second, _ = check(desk, 10.0, 3)
    desk.apply(desk.core.checked(first, False, 11.0))
    assert desk.home("a").owed == 1
    desk.apply(desk.core.checked(second, False, 11.0))
    assert desk.home("a").owed == 1


def test_what_was_cleared_and_found_dead_is_not_replaced() -> None:
    """It would have been closed anyway."""
    desk = make(health_check_interval=10.0)
    desk.stock("a", 0.0)
    (entry,) = check(desk, 10.0)
    entry.doomed = STALE
    desk.apply(desk.core.checked(entry, False, 11.0))
    assert (desk.home("a").owed, desk.home("a").errors, entry.doomed) == (0, 1, STALE)


# -- retirement ---------------------------------------------------------------------------------------


def test_what_is_idle_too_long_is_retired() -> None:
    """When its time is over, not before."""
    desk = make(idle_timeout=10.0)
    (entry,) = desk.stock("a", 5.0)
    assert desk.chores(14.5).effects.close == []
    assert desk.core._agenda.next() == 15.0
    assert desk.chores(15.0).effects.close == [entry]
    assert (entry.doomed, entry.state, entry.hidden) == (IDLENESS, CLOSING, True)


@pytest.mark.parametrize(("batch", "number"), [(0, 4), (2, 2), (1, 1)])
def test_without_a_worker_a_few_are_retired_on_the_way(batch: int, number: int) -> None:
    """As many as are asked for, or as the number of connections has binary digits."""
    desk = make(background_collector=False, idle_timeout=10.0, dispose_batch_size=batch)
    holder = desk.lease("b", 0.0)
    entries = desk.stock("a", *[1.0] * 8)
    desk.give_back(holder, 100.0)
    assert desk.closing == entries[:number]
    assert {entry.doomed for entry in desk.closing} == {IDLENESS}


def test_what_is_not_due_yet_is_looked_at_later() -> None:
    """Though it was on the way; what is in use is looked at when it comes back."""
    desk = make(background_collector=False, idle_timeout=10.0, dispose_batch_size=9)
    holder, other = desk.lease("b", 50.0), desk.lease("b", 50.0)
    early, late = desk.stock("c", 55.0, 58.0)
    desk.give_back(holder, 66.0)
    assert desk.closing == [early]
    assert (late.state, desk.core._agenda.next()) == (IDLE, 68.0)
    assert entry_of(other).marked is True


def test_with_a_worker_nothing_is_retired_on_the_way() -> None:
    """That is the worker's."""
    desk = make(idle_timeout=10.0, max_uses=99)
    holder = desk.lease("b", 0.0)
    desk.stock("a", 1.0)
    desk.give_back(holder, 100.0)
    assert desk.closing == []


# -- leaks --------------------------------------------------------------------------------------------


def test_a_lease_held_too_long_is_told_once() -> None:
    """Since how long, and where it was acquired."""
    desk = make(leak_threshold=10.0)
    holder = desk.lease("a", 1.0)
    entry = entry_of(holder)
    entry.code, entry.instruction, entry.stack = CODE, 3, "calls"
    desk.apply(desk.core.watch(holder))
    assert (entry.watched, desk.core._agenda.next()) == (True, 11.0)
    assert desk.core.leaks(entry, 10.5) is None
    assert desk.chores(10.5).leaks == []
    assert desk.chores(11.0).leaks == [entry]
    assert desk.core.leaks(entry, 11.0) == Leak(10.0, CODE, 3, "calls")
    assert (entry.watched, entry.telling) == (False, True)
    assert desk.core.leaks(entry, 12.0) is None


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_lease_is_looked_at_again_when_it_is_held_too_long(everywhere: bool) -> None:
    """The earlier look, for whatever reason, was not the last."""
    desk = make(leak_threshold=10.0, idle_timeout=5.0)
    holder = desk.lease("a", 1.0)
    assert desk.core.watch(holder).ring is False
    assert desk.chores(6.0, everywhere=everywhere).leaks == []
    assert entry_of(holder).marked is True
    assert desk.chores(11.0).leaks == [entry_of(holder)]


def test_what_nobody_watches_is_no_leak() -> None:
    """Nor is what has ended."""
    desk = make(leak_threshold=10.0)
    holder = desk.lease("a", 1.0)
    entry = entry_of(holder)
    assert desk.chores(50.0, everywhere=True).leaks == []
    assert desk.core.leaks(entry, 50.0) is None
    desk.apply(desk.core.watch(holder))
    desk.give_back(holder, 51.0)
    assert desk.core.leaks(entry, 61.0) is None
    assert not desk.core.watch(holder)
    connecting = desk.ask("b", 60.0)
    assert not desk.core.watch(connecting)
    assert entry_of(connecting).watched is False


def test_the_end_of_a_lease_is_left_to_whoever_tells_of_it() -> None:
    """He learns what became of it, once."""
    desk = make(leak_threshold=10.0)
    holder = desk.lease("a", 0.0)
    entry = entry_of(holder)
    assert (desk.core.leave(entry, True, False), entry.left) == (False, None)
    desk.apply(desk.core.watch(holder))
    assert desk.core.leaks(entry, 10.0) is not None
    assert desk.core.leave(entry, False, True) is True
    assert desk.core.told(entry) == (False, True)
    assert (entry.telling, entry.left) == (False, None)
    assert desk.core.told(entry) is None


# -- who waits for the stock --------------------------------------------------------------------------


def test_whoever_asks_whether_an_endpoint_is_filled_is_answered() -> None:
    """In every state."""
    desk = make(paused=True, min_size=1)
    assert desk.core.warm("a", Waiter()) is CLOSED
    assert desk.core.introduce("a", True, 0) is True
    early = Waiter()
    assert desk.core.warm("a", early) is WAITING
    desk.apply(desk.core.announced("a", 0))
    assert (early.woken, desk.core.warm("a", early)) == (1, CLEARED)
    desk.core._homes["a"].state = "ready"
    late = Waiter()
    assert (desk.core.warm("a", late), desk.home("a").warmers) == (WAITING, (late,))
    holder = desk.lease("a", 0.0)
    assert (late.woken, desk.core.warm("a", late)) == (1, GRANTED)
    desk.apply(desk.core.shut("a", False))
    assert (entry_of(holder).state, desk.core.warm("a", late)) == (IN_USE, CLOSED)


def test_in_a_closed_pool_nothing_is_filled() -> None:
    """Though the endpoint is known until its last connection is gone."""
    desk = make()
    holder = desk.lease("a", 0.0)
    desk.apply(desk.core.shut(None, True))
    desk.home("a").state = "ready"
    assert (desk.core.warm("a", Waiter()), entry_of(holder).state) == (CLOSED, IN_USE)


@pytest.mark.parametrize("opening", [True, False])
def test_who_waits_no_longer_is_not_woken(opening: bool) -> None:
    """The others are."""
    desk = make(min_size=1)
    assert desk.core.introduce("a", True, 0) is True
    if not opening:
        desk.apply(desk.core.announced("a", 0))
    waiters = [Waiter() for _ in range(3)]
    for waiter in waiters:
        assert desk.core.warm("a", waiter) is WAITING
    desk.core.cool("a", waiters[1])
    desk.core.cool("b", waiters[0])
    if opening:
        desk.apply(desk.core.announced("a", 0))
    else:
        desk.lease("a", 0.0)
    assert [waiter.woken for waiter in waiters] == [1, 0, 1]


# -- the rest -----------------------------------------------------------------------------------------


def test_who_was_not_heard_is_rung_again() -> None:
    """For the next thing that is due, and for the next connection."""
    desk = make(idle_timeout=10.0)
    desk.stock("a", 0.0)
    rings = desk.rings
    desk.stock("b", 1.0)
    assert desk.rings == rings
    desk.core.unheard()
    desk.stock("c", 2.0)
    assert desk.rings == rings + 1
    quiet = make()
    for times in (1, 2):
        quiet.lease("a", 0.0)
        quiet.lease("a", 0.0)
        assert quiet.rings == times
        quiet.core.unheard()


@pytest.mark.parametrize("what", ["leased", "idle", "missing"])
def test_to_look_at_everything_rings_for_what_is_due_later(what: str) -> None:
    """If nobody was heard before."""
    desk = make(idle_timeout=10.0, leak_threshold=10.0, min_size=int(what == "missing"))
    if what == "leased":
        desk.apply(desk.core.watch(desk.lease("a", 0.0)))
    elif what == "idle":
        desk.stock("a", 0.0)
    else:
        desk.know("a")
        desk.home("a").retry = 10.0
    desk.core.unheard()
    assert desk.chores(5.0, everywhere=True).effects.ring is True


def test_what_is_idle_when_the_clock_jumps_is_suspect() -> None:
    """Everywhere, and lent at sight no longer; what is in use is not."""
    desk = make(vet_after=inf)
    idle = [desk.stock("a", 0.0, 0.0)[0], *desk.stock("b", 0.0)]
    held = entry_of(desk.take("a", 1.0))
    desk.core.distrust()
    for entry in idle:
        if entry is not held:
            assert (entry.suspect, entry.hidden, entry.until) == (True, True, -inf)
    assert (held.suspect, held.hidden) == (False, False)


def test_what_was_lost_is_taken_back() -> None:
    """How long it was held is added up; whatever nobody has is closed, or free."""
    desk = make(vet_after=-1.0, max_size=9)
    lost = {}
    for state in (CLOSING, CONNECTING, IN_USE, VETTING):
        desk.know(state)
        if state is VETTING:
            desk.stock(state, 1.0)
        caller = desk.ask(state, 2.0) if state in (VETTING, CONNECTING) else desk.lease(state, 2.0)
        lost[state] = entry_of(caller)
        if state is CLOSING:
            desk.discard(caller, 3.0)
    desk.closing.clear()
    lost[VETTING].uses = 5
    desk.home(IN_USE).use_time = 10.0
    for entry in lost.values():
        desk.core._lose(entry)
    effects = desk.core.reclaim(5.0)
    assert effects.close == [lost[CLOSING], lost[IN_USE], lost[VETTING]]
    assert effects.lost == [lost[IN_USE]]
    assert (lost[VETTING].uses, desk.home(IN_USE).use_time) == (4, 13.0)
    assert (lost[IN_USE].doomed, lost[VETTING].doomed) == (ERROR, ERROR)
    assert desk.home(CONNECTING).connecting == 0
    assert len(desk.core._lost) == 0


def test_what_was_lost_while_it_is_told_is_left_to_him_who_tells() -> None:
    """It is taken back as soon as he has; the others at once."""
    desk = make()
    first, second = desk.lease("a", 0.0), desk.lease("a", 0.0)
    one, other = entry_of(first), entry_of(second)
    one.telling = True
    for entry in (one, other):
        desk.core._lose(entry)
    assert desk.core.reclaim(1.0).close == [other]
    assert list(desk.core._lost) == [one]
    one.telling = False
    assert desk.core.reclaim(2.0).lost == [one]


def test_what_was_given_back_after_all_is_not_taken() -> None:
    """Its owner was finalized, and ended the lease then; whoever comes after it in the list is."""
    desk = make()
    first, second = desk.lease("a", 0.0), desk.lease("a", 0.0)
    one, other = entry_of(first), entry_of(second)
    for entry in (one, other):
        desk.core._lose(entry)
    desk.discard(first, 1.0)
    desk.closing.clear()
    assert desk.core.reclaim(2.0).lost == [other]


def test_what_was_lost_is_not_used_again() -> None:
    """Nobody would see it lost another time; a reason that it has already stays."""
    desk = make()
    first, second = desk.lease("a", 0.0), desk.lease("a", 0.0)
    one, other = entry_of(first), entry_of(second)
    other.doomed = STALE
    for entry in (one, other):
        desk.core._lose(entry)
    assert (one.doomed, other.doomed) == (ERROR, STALE)
