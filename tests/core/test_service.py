"""How callers are served: exact books of every move, by hand."""

import pytest
from core.books import CODE, Waiter
from core.desk import Desk, entry_of

from pool._core.deadlock import Knot
from pool._core.ledger import IDLENESS
from pool._core.records import Effects
from pool._core.states import (
    CLEARED,
    CLOSED,
    CLOSING,
    CONNECTING,
    GRANTED,
    IDLE,
    IN_USE,
    READY,
    RELEASING,
    VETTING,
    WAITING,
)
from pool._core.upkeep import disown

# -- the queue ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("total", [None, 50])
def test_permits_go_to_the_head_of_the_queue(total: int | None) -> None:
    """With and without a limit on the whole pool: in order, woken once, each wait added up."""
    desk = Desk(max_size=2, total_max_size=total, max_connecting=1)
    first = desk.ask("a", 1.0)
    second, third = desk.ask("a", 2.0), desk.ask("a", 3.0)
    assert (first.verdict, second.verdict, third.verdict) == (GRANTED, WAITING, WAITING)
    desk.proceed(first, 10.0)
    assert (second.verdict, second.waiter.woken, third.waiter.woken) == (GRANTED, 1, 0)
    permit = entry_of(second)
    assert (permit.state, permit.since, permit.home) == (CONNECTING, 10.0, desk.home("a"))
    assert (permit.id, permit.owner) == (2, second.owner)
    assert desk.core.stats("a", False).wait_time == 8.0
    assert desk.core._waiting == {third.owner: [desk.home("a")]}
    desk.proceed(second, 11.0)
    assert third.verdict is WAITING
    desk.give_back(first, 20.0)
    assert (third.entry, third.waiter.woken) == (entry_of(third), 1)
    assert entry_of(third).state is VETTING
    assert desk.core.stats("a", False).wait_time == 25.0
    assert desk.core._waiting == {}


def test_who_loses_what_he_got_comes_before_all_others() -> None:
    """His turn had come: he also has the next room before those who wait elsewhere."""
    desk = Desk(vet_after=-1.0, max_size=1, total_max_size=1)
    desk.stock("a", 0.0)
    unlucky = desk.ask("a", 1.0)
    older = desk.ask("b", 2.0)
    younger = desk.ask("a", 3.0)
    assert entry_of(unlucky).state is VETTING
    entry_of(unlucky).begun = True
    desk.apply(desk.core.dead(unlucky, 4.0, True))
    assert unlucky.verdict is WAITING
    assert list(desk.home("a").queue) == [unlucky, younger]
    desk.close(5.0)
    assert (unlucky.verdict, older.verdict, younger.verdict) == (GRANTED, WAITING, WAITING)
    assert desk.core.stats("a", False).wait_time == 1.0


def test_of_two_who_lose_what_they_got_the_later_comes_first() -> None:
    """As if either went back to the head of the queue."""
    desk = Desk(vet_after=-1.0, max_size=2, total_max_size=2)
    desk.stock("a", 0.0, 0.0)
    callers = [desk.ask("a", 1.0), desk.ask("a", 1.0)]
    for caller in callers:
        entry_of(caller).begun = True
    for caller in callers:
        desk.apply(desk.core.dead(caller, 2.0, True))
    # The room of what is closed is not there yet, so that both wait.
    assert list(desk.home("a").queue) == callers[::-1]
    assert callers[1].ticket < callers[0].ticket < 0


def test_what_a_caller_was_is_known_of_what_he_holds() -> None:
    """Who took it and where, for what is opened as for what was idle."""
    desk = Desk(vet_after=-1.0)
    for _ in range(2):
        desk.know("a")
        caller = desk.new("a")
        caller.code, caller.instruction, caller.stack = CODE, 7, "calls"
        desk.apply(desk.core.request(caller, 0.0, True))
        entry = desk.proceed(caller, 0.0)
        assert (entry.code, entry.instruction, entry.stack) == (CODE, 7, "calls")
        assert entry.owner == caller.owner
        desk.give_back(caller, 1.0)
        entry.code, entry.stack = None, None


def test_a_caller_at_a_paused_endpoint_is_told() -> None:
    """He gets nothing and waits for nothing."""
    desk = Desk(paused=True)
    desk.know("a")
    caller = desk.ask("a", 0.0)
    assert (caller.verdict, caller.entry) == (CLEARED, None)


def test_a_connection_whose_time_is_over_is_closed_on_the_way() -> None:
    """The caller gets the next one, or opens one."""
    desk = Desk(idle_timeout=10.0, max_size=3)
    old, fresh = desk.stock("a", 1.0, 5.0)
    desk.home("a").top, fresh.next, old.next = old, None, fresh
    caller = desk.ask("a", 12.0)
    assert (desk.closing, old.doomed, old.state) == ([old], IDLENESS, CLOSING)
    assert caller.entry is fresh
    assert (fresh.state, fresh.lent, fresh.uses) == (VETTING, 12.0, 2)


@pytest.mark.parametrize("everywhere", [True, False])
def test_who_loses_what_he_got_to_a_close_is_told(everywhere: bool) -> None:
    """Whether the endpoint was removed or the pool closed, he does not ask again."""
    desk = Desk(max_size=2)
    connecting = desk.ask("a", 0.0)
    entry = entry_of(connecting)
    entry.begun = True
    desk.apply(desk.core.shut("a", everywhere))
    desk.apply(desk.core.opened(connecting, None, 1.0, True))
    assert (connecting.verdict, connecting.entry) == (CLOSED, None)
    assert desk.closing == [entry]


def test_who_loses_what_he_got_to_a_close_is_told_though_the_endpoint_is_back() -> None:
    """It was added again meanwhile: that is another one, and he asked for the old."""
    desk = Desk(max_size=2)
    connecting = desk.ask("a", 0.0)
    entry_of(connecting).begun = True
    desk.apply(desk.core.shut("a", False))
    desk.know("a")
    desk.apply(desk.core.opened(connecting, None, 1.0, True))
    assert (connecting.verdict, connecting.entry) == (CLOSED, None)


# -- what comes back ----------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["abandon", "end"])
def test_the_end_of_a_lease_is_written_down(way: str) -> None:
    """How long it was, which connection it was, and that it is over; the sum grows with each."""
    desk = Desk()
    for number in (1, 2):
        caller = desk.lease("a", 10.0 * number)
        entry = entry_of(caller)
        if way == "abandon":
            desk.apply(desk.core.abandon(caller, 10.0 * number + 3.0))
        else:
            assert desk.core.end(caller, 10.0 * number + 3.0) is entry
            assert entry.state is RELEASING
            desk.apply(desk.core.put(entry, 10.0 * number + 3.0))
        assert (caller.entry, caller.ended) == (None, entry.id)
        assert (entry.state, entry.since) == (IDLE, 10.0 * number + 3.0)
        stats = desk.core.stats("a", False)
        assert (stats.use_time, stats.released) == (3.0 * number, number)
    assert desk.closing == []


def test_a_lease_that_is_abandoned_goes_to_the_next() -> None:
    """Nobody has touched the connection since it was lent."""
    desk = Desk(max_size=1)
    holder = desk.lease("a", 0.0)
    entry = entry_of(holder)
    waiting = desk.ask("a", 1.0)
    desk.apply(desk.core.abandon(holder, 2.0))
    assert (waiting.entry, waiting.verdict, waiting.waiter.woken) == (entry, GRANTED, 1)
    assert entry.lent == 2.0


def test_what_was_vetted_in_vain_was_not_acquired() -> None:
    """Whether it goes back untouched or is closed, the checkout does not count."""
    desk = Desk(vet_after=-1.0)
    desk.stock("a", 0.0)
    for _ in range(3):
        desk.give_back(desk.lease("a", 1.0), 2.0)
    untouched = desk.ask("a", 3.0)
    desk.apply(desk.core.abandon(untouched, 4.0))
    touched = desk.ask("a", 5.0)
    entry = entry_of(touched)
    assert entry.uses == 5
    entry.begun = True
    desk.apply(desk.core.abandon(touched, 6.0))
    assert (entry.uses, touched.entry, desk.closing) == (4, None, [entry])
    desk.close(7.0)
    assert desk.core.stats("a", True).acquired == 4


@pytest.mark.parametrize("reuse", ["lifo", "fifo"])
def test_what_is_put_back_lies_where_it_belongs(reuse: str) -> None:
    """On top of the others or below them, and none is lost; nobody owns it."""
    desk = Desk(reuse=reuse)
    callers = [desk.lease("a", 0.0) for _ in range(3)]
    entries = [entry_of(caller) for caller in callers]
    for caller in callers:
        entry = desk.core.end(caller, 1.0)
        assert entry is not None
        desk.apply(desk.core.put(entry, 1.0))
        assert entry.owner is None
    order = entries if reuse == "fifo" else entries[::-1]
    assert [entry_of(desk.take("a", 2.0)) for _ in range(3)] == order
    assert {entry.state for entry in entries} == {IN_USE}


def test_a_connection_too_many_is_closed_as_idle() -> None:
    """Its uses are up: that is the reason which is published."""
    desk = Desk(max_uses=1)
    holder = desk.lease("a", 0.0)
    entry = entry_of(holder)
    desk.give_back(holder, 1.0)
    assert (desk.closing, entry.doomed) == ([entry], IDLENESS)


# -- permits that come back ---------------------------------------------------------------------------


def test_a_permit_that_comes_back_goes_on_as_it_is() -> None:
    """To the head of the queue, with its number, though there is no room to spare."""
    desk = Desk(max_size=2, total_max_size=2)
    first, _, waiting = [desk.ask("a", 0.0) for _ in range(3)]
    entry = entry_of(first)
    desk.apply(desk.core.abandon(first, 1.0))
    assert (first.entry, waiting.entry, waiting.verdict) == (None, entry, GRANTED)
    assert (entry.id, entry.state, desk.home("a").last_id) == (1, CONNECTING, 2)


def test_a_permit_that_nobody_wants_is_free_again() -> None:
    """It is one, and the number of the last one is given again."""
    desk = Desk(max_size=9, max_connecting=3)
    callers = [desk.ask("a", 0.0) for _ in range(3)]
    desk.apply(desk.core.abandon(callers.pop(), 1.0))
    assert (desk.home("a").last_id, desk.home("a").connecting) == (2, 2)
    again, waiting = desk.ask("a", 2.0), desk.ask("a", 2.0)
    assert (entry_of(again).id, waiting.verdict) == (3, WAITING)


def test_a_permit_of_the_upkeep_that_comes_back_serves_a_caller() -> None:
    """It no longer counts among what is opened for stock."""
    desk = Desk(min_size=1, max_size=1)
    desk.know("a")
    (filler,) = desk.chores(0.0).fills
    entry = entry_of(filler)
    waiting = desk.ask("a", 1.0)
    assert (waiting.verdict, desk.home("a").filling) == (WAITING, 1)
    desk.apply(desk.core.abandon(filler, 2.0))
    assert (waiting.entry, entry.fill, desk.home("a").filling) == (entry, False, 0)


@pytest.mark.parametrize("forked", [True, False])
@pytest.mark.parametrize("vetting", [True, False])
def test_who_gives_up_holds_nothing(forked: bool, vetting: bool) -> None:
    """Whatever he held, be it the parent process's."""
    desk = Desk(vet_after=-1.0)
    if vetting:
        desk.stock("a", 0.0)
    caller = desk.ask("a", 1.0)
    assert entry_of(caller).state == (VETTING if vetting else CONNECTING)
    if forked:
        disown(desk.core)
    desk.apply(desk.core.abandon(caller, 2.0))
    assert caller.entry is None


def test_who_loses_what_he_got_to_a_pause_is_told() -> None:
    """The endpoint was cleared, and is paused: he does not ask again, even if it is ready by then."""
    desk = Desk(paused=True)
    desk.know("a")
    was = desk.core.begin("a", 0)
    assert isinstance(was, str)
    desk.apply(desk.core.ready("a", 0, was, 0.0))
    connecting = desk.ask("a", 1.0)
    entry_of(connecting).begun = True
    for _ in range(2):
        was = desk.core.begin("a", 0)
        assert isinstance(was, str)
        if was is READY:
            desk.core.clear("a", 0, was, None, False, Effects())
        else:
            desk.apply(desk.core.ready("a", 0, was, 2.0))
    desk.apply(desk.core.opened(connecting, None, 3.0, True))
    assert (connecting.verdict, connecting.entry) == (CLEARED, None)


# -- the stock, and deadlocks -------------------------------------------------------------------------


def test_whoever_waits_for_the_stock_is_called_when_a_caller_connects() -> None:
    """Without a worker he does himself what is left to do."""
    desk = Desk(background_collector=False, min_size=3, max_size=5)
    desk.know("a")
    waiter = Waiter()
    desk.core.warm("a", waiter)
    assert waiter.woken == 0
    desk.ask("a", 0.0)
    assert waiter.woken == 1


def test_a_deadlock_is_told_though_a_connection_is_being_closed_elsewhere() -> None:
    """What helps nobody of those who wait does not hide it."""
    desk = Desk(max_size=1, total_max_size=None)
    desk.lease("a", 0.0, owner="one")
    desk.lease("b", 0.0, owner="two")
    desk.discard(desk.lease("c", 0.0, owner="three"), 1.0)
    desk.ask("b", 2.0, owner="one")
    last = desk.new("a")
    last.owner = "two"
    knot = desk.core.request(last, 3.0, True).deadlock
    assert knot == Knot(1, 1, False)


@pytest.mark.parametrize(("total", "room"), [(2, 0), (1, 2)])
def test_a_deadlock_names_the_room_in_the_pool_if_there_is_too_little(
    total: int, room: int
) -> None:
    """Where just enough is there, it is not the pool's limit that has to grow."""
    desk = Desk(max_size=1, total_max_size=total)
    desk.lease("a", 0.0, owner="one")
    again = desk.new("a")
    again.owner = "one"
    knot = desk.core.request(again, 1.0, True).deadlock
    assert knot == Knot(1, 1, False, room)
