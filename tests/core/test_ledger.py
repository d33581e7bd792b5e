"""The moves from which decisions are made: what each one writes down, and whom it rings or wakes."""

import pytest
from core.books import Waiter
from core.desk import Desk, entry_of
from core.test_stack import in_the_library

from pool import PoolOptions
from pool._core.records import NOTHING, Entry
from pool._core.states import CLEARED, CLOSED, GONE, PAUSED, REMOVED, WAITING

# -- ringing ------------------------------------------------------------------------------------------


def test_the_worker_is_rung_for_what_is_due_first() -> None:
    """At once when there is something to fill, and not for what is due no earlier."""
    desk = Desk(min_size=1)
    desk.know("a")
    assert desk.rings == 1
    desk = Desk(idle_timeout=5.0)
    desk.lease("a", 0.0)
    desk.lease("a", 0.0)
    assert desk.rings == 1


def test_the_worker_is_rung_to_begin_even_if_nothing_is_due() -> None:
    """Once, and not by the last close of a pool that stays open."""
    desk = Desk(idle_timeout=None)
    desk.discard(desk.lease("a", 0.0), 1.0)
    desk.close(1.0)
    assert desk.rings == 1


def test_without_a_worker_nobody_is_rung() -> None:
    """Though connections are due."""
    desk = Desk(background_collector=False, idle_timeout=1.0)
    desk.stock("a", 0.0, 0.0)
    assert desk.rings == 0


def test_the_next_check_goes_by_the_last_use() -> None:
    """The worker comes back so long after that."""
    desk = Desk(health_check_interval=10.0, idle_timeout=None, max_lifetime=None)
    desk.stock("a", 5.0)
    assert desk.chores(10.0).next == 15.0


@pytest.mark.parametrize(("size", "count"), [(0, 3), (1, 1)])
def test_a_release_retires_so_many(size: int, count: int) -> None:
    """As the batch says, or more where there are more connections."""
    desk = Desk(background_collector=False, idle_timeout=5.0, dispose_batch_size=size)
    holder = desk.lease("a", 0.0)
    desk.stock("a", 0.0, 0.0, 0.0, 0.0)
    desk.give_back(holder, 10.0)
    assert len(desk.closing) == count


# -- filling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("begun", [True, False])
def test_who_failed_to_fill_makes_room_for_the_next_attempt(begun: bool) -> None:
    """Before his place is there again, if he needs one; after a failure there is one at a time."""
    desk = Desk(min_size=1, max_size=4, max_connecting=4)
    desk.know("a")
    desk.fail(desk.chores(0.0), 0.0)
    (claim,) = desk.chores(1.0).fills
    assert claim.entry is not None
    claim.entry.begun = begun
    desk.apply(desk.core.abandon(claim, 1.0))
    assert len(desk.closing) == begun
    assert len(desk.chores(2.0).fills) == 1


@pytest.mark.parametrize("marked", [True, False])
def test_what_is_being_closed_is_replaced_at_once(marked: bool) -> None:
    """If there is room; it does not count for the minimum, nor as marked."""
    desk = Desk(min_size=1, max_size=2)
    holder = desk.lease("a", 0.0)
    desk.chores(0.0)
    if marked:
        desk.clear("a")
    desk.discard(holder, 1.0)
    assert desk.home("a").marked == 0
    chores = desk.chores(1.0)
    assert len(chores.fills) == 1
    desk.fill(chores, 1.0)
    desk.close(1.0)
    assert desk.home("a").marked == 0


def test_what_is_being_closed_takes_room_until_it_is() -> None:
    """At an endpoint that may have no more."""
    desk = Desk(min_size=1, max_size=1)
    holder = desk.lease("a", 0.0)
    desk.discard(holder, 1.0)
    assert desk.chores(1.0).fills == []
    desk.close(2.0)
    assert len(desk.chores(2.0).fills) == 1


def test_a_permit_that_was_cleared_is_replaced_at_once() -> None:
    """When it comes back unused; nothing is marked any more."""
    desk = Desk(min_size=1)
    caller = desk.ask("a", 0.0)
    desk.chores(0.0)
    desk.clear("a")
    desk.apply(desk.core.retreat(caller, 1.0, False))
    assert (desk.home("a").marked, len(desk.chores(1.0).fills)) == (0, 1)


def test_a_full_pool_is_not_filled_any_further() -> None:
    """Until there is room: then it is the turn of who found none, unless he is gone."""
    desk = Desk(min_size=1, max_size=1, total_max_size=1)
    holder = desk.lease("a", 0.0)
    desk.know("b")
    desk.know("c")
    assert desk.chores(0.0).fills == []
    desk.apply(desk.core.shut("b", False))
    assert [home.endpoint for home in desk.core._starved] == ["c"]
    desk.apply(desk.core.shut("a", False))
    desk.discard(holder, 1.0)
    desk.close(1.0)
    assert [claim.endpoint for claim in desk.chores(1.0).fills] == ["c"]


def test_room_goes_to_where_somebody_waits_for_it() -> None:
    """Without a worker nobody else would use it."""
    desk = Desk(background_collector=False, min_size=1, max_size=1, total_max_size=1)
    holder = desk.lease("a", 0.0)
    desk.know("b")
    desk.know("c")
    waiter = Waiter()
    assert desk.core.warm("c", waiter) is WAITING
    desk.chores(0.0, everywhere=True)
    assert waiter.woken == 0
    desk.discard(holder, 1.0)
    desk.close(1.0)
    assert waiter.woken == 1


@pytest.mark.parametrize("background", [True, False])
def test_who_waits_for_a_fill_that_failed_goes_on_himself(background: bool) -> None:
    """If there is no worker to do it."""
    desk = Desk(background_collector=background, min_size=1)
    desk.know("a")
    waiter = Waiter()
    assert desk.core.warm("a", waiter) is WAITING
    desk.fail(desk.chores(0.0, everywhere=True), 0.0)
    assert waiter.woken == (not background)


# -- sizes --------------------------------------------------------------------------------------------


def test_what_is_too_much_is_closed_when_it_comes_back() -> None:
    """After the size was made smaller."""
    desk = Desk(max_size=2)
    holders = [desk.lease("a", 0.0) for _ in range(2)]
    desk.apply(desk.core.resize(PoolOptions(max_size=1), 1.0))
    for holder in holders:
        desk.give_back(holder, 2.0)
    assert len(desk.closing) == 1


def test_what_is_retired_is_not_lent() -> None:
    """Though it stands first among the idle."""
    desk = Desk(max_size=2)
    kept, retired = desk.stock("a", 5.0, 1.0)
    assert desk.home("a").top is retired
    desk.apply(desk.core.resize(PoolOptions(max_size=1), 6.0))
    assert desk.closing == [retired]
    assert desk.core.take(desk.new("a"), 6.0, "me") is None
    assert entry_of(desk.ask("a", 6.0)) is kept


# -- sending away -------------------------------------------------------------------------------------


@pytest.mark.parametrize("interrupt", [True, False])
def test_a_clear_breaks_off_what_is_in_use_if_it_shall(interrupt: bool) -> None:
    """What is idle is closed in any case."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    idle = desk.stock("a", 0.0)
    effects = desk.clear("a", interrupt=interrupt)
    assert effects.interrupt == ([holder.entry] if interrupt else [])
    assert effects.close == idle


@pytest.mark.parametrize("pausing", [True, False])
def test_whoever_waits_is_sent_away(pausing: bool) -> None:
    """By a clear that pauses, and by a close: in order, once, and he is nowhere any more."""
    desk = Desk(max_size=1, total_max_size=1, paused=True)
    desk.know("a")
    assert desk.core.begin("a", 0) is PAUSED
    desk.apply(desk.core.ready("a", 0, PAUSED, 0.0))
    desk.lease("a", 0.0)
    desk.know("b")
    assert desk.core.begin("b", 0) is PAUSED
    desk.apply(desk.core.ready("b", 0, PAUSED, 0.0))
    waiting = [desk.ask("b", 1.0) for _ in range(2)]
    assert desk.core._demand == 1
    if pausing:
        desk.clear("b")
    else:
        desk.apply(desk.core.shut("b", False))
    for caller in waiting:
        assert caller.verdict is (CLEARED if pausing else CLOSED)
        assert caller.waiter.woken == 1
    assert (desk.core._waiting, desk.core._demand) == ({}, 0)


def test_whoever_waits_for_a_fill_is_sent_away() -> None:
    """When the endpoint is closed."""
    desk = Desk(min_size=1)
    desk.know("a")
    home = desk.home("a")
    waiter = Waiter()
    assert desk.core.warm("a", waiter) is WAITING
    desk.apply(desk.core.shut("a", False))
    assert (waiter.woken, home.warmers, len(home.queue)) == (1, (), 0)


# -- the end ------------------------------------------------------------------------------------------


def test_what_is_no_more_holds_nothing() -> None:
    """Its uses have been added up."""
    desk = Desk()
    desk.know("a")
    for _ in range(2):
        holder = desk.lease("a", 0.0)
        entry = entry_of(holder)
        desk.discard(holder, 0.0)
        desk.close(0.0)
        assert (entry.state, entry.connection) == (GONE, NOTHING)
    assert desk.core.stats("a", False).acquired == 2


def test_the_end_of_a_closed_pool_comes_with_its_last_connection() -> None:
    """And not before."""
    desk = Desk()
    holders = [desk.lease("a", 0.0) for _ in range(2)]
    desk.apply(desk.core.shut(None, True))
    waiter = Waiter()
    assert desk.core.drained(waiter) is False
    for holder, woken in zip(holders, (0, 1), strict=True):
        desk.discard(holder, 1.0)
        desk.close(1.0)
        assert waiter.woken == woken


def test_an_endpoint_that_nobody_needs_is_forgotten() -> None:
    """Whoever still knows it sees that it was removed, and nothing leads from it to anything."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    home = desk.home("a")
    desk.discard(holder, 0.0)
    desk.close(0.0)
    assert desk.core.endpoints() == []
    assert home.state is REMOVED
    assert (home.top, home.bottom, home.last_error) == (None, None, None)


def test_an_endpoint_that_is_to_be_filled_is_not_forgotten() -> None:
    """Though it is empty, and nobody has added it."""
    desk = Desk(health_check_interval=1.0)
    desk.stock("a", 0.0)
    (entry,) = desk.chores(5.0).checks
    desk.apply(desk.core.checked(entry, False, 5.0))
    desk.close(5.0)
    assert desk.core.endpoints() == ["a"]
    assert len(desk.chores(5.0).fills) == 1


def test_an_endpoint_that_is_just_told_of_is_not_forgotten() -> None:
    """But when that has ended."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    was = desk.core.begin("a", 0)
    assert isinstance(was, str)
    desk.discard(holder, 0.0)
    desk.close(0.0)
    assert desk.core.endpoints() == ["a"]
    desk.apply(desk.core.ready("a", 0, was, 0.0))
    assert desk.core.endpoints() == []


def test_an_error_is_remembered_until_a_connect_succeeds() -> None:
    """At the same endpoint."""
    desk = Desk()
    desk.know("a")
    failing = desk.ask("a", 0.0)
    desk.core.failed(failing, OSError(), 0.0)
    desk.apply(desk.core.abandon(failing, 0.0))
    desk.lease("b", 1.0)
    assert desk.core.survey(None, True, 1.0).last_error is not None
    desk.lease("a", 1.0)
    assert desk.core.survey(None, True, 1.0).last_error is None


# -- what is lost -------------------------------------------------------------------------------------


def test_a_lost_lease_is_a_warning() -> None:
    """It is told of at once, and is reported as held too long no more."""
    desk = Desk(leak_threshold=1.0)
    alerts: list[Entry] = []
    desk.core._alert = alerts.append
    holder = desk.lease("a", 0.0)
    desk.apply(desk.core.watch(holder))
    assert entry_of(holder).watched is True
    holder.entry = None
    (lost,) = desk.core._lost
    assert alerts == [lost]
    assert (lost.warned, lost.watched) == (True, False)


def test_what_the_library_loses_itself_is_no_warning() -> None:
    """Its own caller is not to blame."""
    desk = Desk()
    holder = desk.lease("a", 0.0)
    box = [holder.entry]
    holder.entry = None
    in_the_library(box.clear)
    (lost,) = desk.core._lost
    assert lost.warned is False


def test_a_permit_that_is_lost_is_no_warning() -> None:
    """It was no lease yet."""
    desk = Desk()
    desk.ask("a", 0.0).entry = None
    (lost,) = desk.core._lost
    assert lost.warned is False
