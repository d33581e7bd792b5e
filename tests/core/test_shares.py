"""Who gets a share of which connection, who may connect, who waits: exact books of every move, by hand."""

from math import inf

import pytest
from core.desk import entry_of
from core.sharing import SharedDesk, share_of

from pool._core.states import (
    CONNECTING,
    GONE,
    GRANTED,
    IDLE,
    IN_USE,
    OVERLOADED,
    SHARED,
    TIMEOUT,
    VETTING,
    WAITING,
)

# -- a share -------------------------------------------------------------------------------------------


def test_a_share_is_what_the_claim_holds() -> None:
    """It knows the connection, whose it is, and since when."""
    desk = SharedDesk()
    (trunk,) = desk.open(1, 1.0)
    caller = desk.want(2.0, owner="ann")
    share = share_of(caller)
    assert (share.trunk, share.home, share.id) == (trunk, desk.place, 1)
    assert (share.connection, share.owner, share.code) == ("connection 1", "ann", caller.code)
    assert (share.state, share.since, share.lent, share.look) == (VETTING, 1.0, 2.0, inf)
    assert (share.doomed, share.alone, share.suspect) == ("", False, False)
    assert (share.begun, share.marked, share.watched, share.aside) == (False, False, False, None)
    assert (trunk.state, trunk.pending, trunk.uses, share.uses) == (SHARED, 1, 1, 1)
    assert trunk.leases() == [share]
    assert desk.core.confirm(caller, 3.0, True) is None
    assert (share.state, share.since) == (IN_USE, 3.0)


def test_the_last_share_that_ends_leaves_the_connection_idle() -> None:
    """Since then; the others leave no trace but in the counts."""
    desk = SharedDesk()
    first, second = desk.use(1.0, 2)
    trunk, share = share_of(first).trunk, share_of(first)
    desk.back(first, now=5.0)
    assert (first.entry, first.ended, share.state) == (None, 1, GONE)
    assert (trunk.state, trunk.pending, list(trunk.shares)) == (SHARED, 1, [2])
    desk.back(second, now=7.0)
    assert (trunk.state, trunk.since, trunk.pending, trunk.shares) == (IDLE, 7.0, 0, {})
    assert desk.core._agenda.next() == trunk.expires == 3601.0
    stats = desk.core.stats("a", False)
    assert (stats.acquired, stats.released, stats.use_time) == (2, 2, 10.0)
    assert desk.closing == []


def test_an_end_by_the_long_way_is_the_same() -> None:
    """While a hook is called the share counts still."""
    desk = SharedDesk()
    (caller,) = desk.use(1.0)
    share = desk.core.end(caller, 4.0)
    assert share is not None
    assert share.doomed == ""
    assert (desk.members.pending, desk.trunk(1).state) == (1, SHARED)
    desk.apply(desk.core.put(share, 5.0))
    assert (desk.members.pending, desk.trunk(1).state, desk.trunk(1).since) == (0, IDLE, 5.0)


def test_who_has_opened_it_has_a_share_since_then() -> None:
    """And the service that was reached is known."""
    desk = SharedDesk()
    caller = desk.want(1.0)
    (connecting,) = desk.core.survey("a", False, 3.0).homes[0].holders
    assert (connecting.doing, connecting.seconds) == (CONNECTING, 2.0)
    entry_of(caller).begun = True
    desk.apply(desk.core.opened(caller, "service", 5.0, True))
    share = share_of(caller)
    assert (share.lent, share.since, share.trunk.service) == (5.0, 5.0, "service")


# -- the least loaded ----------------------------------------------------------------------------------


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize(("reuse", "order"), [("lifo", [3, 2, 1]), ("fifo", [1, 2, 3])])
def test_each_gets_the_least_loaded(reuse: str, order: list[int], short: bool) -> None:
    """Of equals the one that was lent or came back last, or first."""
    desk = SharedDesk(3, reuse=reuse)
    desk.open(3)
    callers = [desk.take("a", 0.0) for _ in range(6)] if short else desk.use(0.0, 6)
    held = desk.held(*callers)
    # The last that was lent is the last of those with one share.
    assert held == order + (order[::-1] if reuse == "lifo" else order)
    assert desk.loads() == [2, 2, 2]


@pytest.mark.parametrize("short", [True, False])
def test_a_share_that_ended_makes_its_connection_the_least_loaded(short: bool) -> None:
    """Though it has others still."""
    desk = SharedDesk(2)
    desk.open(2)
    callers = desk.use(0.0, 4)
    here = [caller for caller in callers if share_of(caller).trunk.id == 1]
    desk.back(here[0])
    assert desk.loads() == [1, 2]
    newcomer = desk.take("a", 0.0) if short else desk.use(0.0)[0]
    assert desk.held(newcomer) == [1]


# -- the short way -------------------------------------------------------------------------------------


def test_the_short_way_leases_at_once() -> None:
    """The same books as the long way leaves."""
    desk = SharedDesk()
    (trunk,) = desk.open(1, 1.0)
    caller = desk.new("a")
    caller.instruction = 7
    share = desk.core.take(caller, 3.0, "ann")
    assert share is not None
    assert share is caller.entry
    assert (share.state, share.since, share.owner, share.lent) == (IN_USE, 3.0, "ann", 3.0)
    assert (share.code, share.instruction, share.stack) == (caller.code, 7, None)
    assert (trunk.state, trunk.pending, trunk.uses) == (SHARED, 1, 1)


def test_the_short_way_knows_only_its_endpoint() -> None:
    """Of any other it knows nothing."""
    desk = SharedDesk()
    desk.open(1)
    assert desk.core.take(desk.new("b"), 0.0, None) is None


@pytest.mark.parametrize(
    ("options", "now", "taken"),
    [
        ({}, 3599.0, True),
        ({"max_lifetime": 5.0}, 4.9, True),
        ({"max_lifetime": 5.0}, 5.0, False),
        ({"idle_timeout": 5.0}, 5.0, True),
        ({"idle_timeout": 5.0}, 5.1, False),
        ({"vet_after": 2.0}, 2.0, True),
        ({"vet_after": 2.0}, 2.1, False),
        ({"vet_after": 0.0}, 0.0, True),
        ({"vet_after": -1.0}, 0.0, False),
    ],
)
def test_what_needs_a_look_is_not_taken_at_sight(
    options: dict[str, float], now: float, taken: bool
) -> None:
    """Its time is over, or it was idle for long, or everything is looked at."""
    desk = SharedDesk(**options)  # type: ignore[arg-type]
    desk.open(1)
    assert (desk.core.take(desk.new("a"), now, None) is not None) == taken


def test_nothing_is_taken_at_sight_where_everything_is_prepared() -> None:
    """Nor a share of one that is in use."""
    desk = SharedDesk(vet_after=-1.0)
    desk.use(0.0)
    assert desk.core.take(desk.new("a"), 0.0, None) is None


def test_what_is_in_use_needs_no_look() -> None:
    """However long ago it was idle, and whether the clock has jumped."""
    desk = SharedDesk(vet_after=1.0)
    holder = desk.use(0.0)
    desk.core.distrust()
    assert desk.held(desk.take("a", 100.0)) == [1]
    desk.back(*holder, now=100.0)


def test_a_suspect_one_is_not_taken_at_sight() -> None:
    """After a jump of the clock, until it was checked."""
    desk = SharedDesk(vet_after=1.0)
    desk.open(1)
    desk.core.distrust()
    assert desk.core.take(desk.new("a"), 0.0, None) is None
    desk.back(*desk.use(0.0))
    desk.take("a", 0.0)


def test_a_used_up_one_is_not_taken_at_sight() -> None:
    """``max_uses`` are callers."""
    desk = SharedDesk(max_uses=2)
    desk.open(1)
    assert desk.held(desk.take("a", 0.0), desk.take("a", 0.0)) == [1, 1]
    assert desk.core.take(desk.new("a"), 0.0, None) is None


def test_nobody_overtakes_the_queue() -> None:
    """By the short way, while somebody waits who must connect first."""
    desk = SharedDesk(2, 1, max_connecting=1)
    desk.use(0.0)
    connecting = desk.want()
    waiting = desk.want()
    assert (entry_of(connecting).state, waiting.verdict) == (CONNECTING, WAITING)
    assert desk.core.take(desk.new("a"), 0.0, None) is None


def test_the_short_way_leaves_a_full_one_and_one_that_should_grow() -> None:
    """Either is for the long way."""
    desk = SharedDesk(2, 2)
    desk.use(0.0)
    assert desk.core.take(desk.new("a"), 0.0, None) is None
    desk.use(0.0)
    desk.use(0.0, 2)
    assert desk.loads() == [2, 2]
    assert desk.core.take(desk.new("a"), 0.0, None) is None


def test_the_short_way_shares_when_there_is_no_room() -> None:
    """As many as may be, the last of them too."""
    desk = SharedDesk(1, 3)
    desk.use(0.0)
    assert desk.held(desk.take("a", 0.0), desk.take("a", 0.0)) == [1, 1]
    assert desk.core.take(desk.new("a"), 0.0, None) is None


# -- growth --------------------------------------------------------------------------------------------


def test_one_more_is_opened_only_while_the_least_loaded_is_busy() -> None:
    """What is idle goes first, and when all places are taken nobody connects."""
    desk = SharedDesk(2)
    first = desk.want()
    assert entry_of(first).state is CONNECTING
    desk.proceed(first, 0.0)
    desk.back(first)
    (second,) = desk.use(0.0)
    assert desk.held(second) == [1]
    third = desk.want()
    assert entry_of(third).state is CONNECTING
    desk.proceed(third, 0.0)
    assert desk.held(*desk.use(0.0, 2)) == [2, 1]
    assert desk.loads() == [2, 2]


def test_who_finds_all_permits_taken_shares() -> None:
    """``max_connecting`` are opening already; what works is good enough."""
    desk = SharedDesk(3, max_connecting=1)
    desk.use(0.0)
    connecting = desk.want()
    sharing = desk.want()
    assert entry_of(connecting).state is CONNECTING
    assert desk.held(sharing) == [1]


def test_who_finds_nothing_open_and_no_permit_waits() -> None:
    """He gets a share as soon as any connection is open; so do all behind him."""
    desk = SharedDesk(3, max_connecting=1)
    connecting, *waiting = [desk.want(1.0) for _ in range(4)]
    assert {caller.verdict for caller in waiting} == {WAITING}
    desk.open_up(connecting, 2.0)
    permit = entry_of(waiting[0])
    assert permit.since == 2.0
    # There is a permit again: the first of them has it, and the others share what is open.
    assert [caller.waiter.woken for caller in waiting] == [1, 1, 1]
    assert [caller.verdict for caller in waiting] == [GRANTED] * 3
    assert entry_of(waiting[0]).state is CONNECTING
    assert desk.held(*waiting[1:]) == [1, 1]
    assert desk.core.stats("a", False).wait_time == 3.0


def test_now_or_never_is_a_share_of_what_is_open() -> None:
    """Busy or not, though there is room for more; nothing if each has as many as it may."""
    desk = SharedDesk(2, 2)
    assert desk.want(patient=False).verdict is TIMEOUT
    desk.use(0.0)
    assert desk.held(desk.want(patient=False)) == [1]
    late = desk.want(patient=False)
    assert (late.verdict, late.entry) == (TIMEOUT, None)
    assert len(desk.place.entries) == 1


# -- the queue -----------------------------------------------------------------------------------------


def test_a_share_that_ends_goes_to_the_first_in_the_queue() -> None:
    """In the same move: nothing is free while anybody waits."""
    desk = SharedDesk(1, 2)
    holders = desk.use(0.0, 2)
    first, second = desk.want(1.0), desk.want(2.0)
    assert (first.verdict, second.verdict) == (WAITING, WAITING)
    desk.back(holders[0], now=5.0)
    assert (first.waiter.woken, second.waiter.woken) == (1, 0)
    assert desk.held(first) == [1]
    assert share_of(first).state is VETTING
    assert desk.loads() == [2]
    desk.ruin(holders[1], now=6.0)
    assert second.verdict is WAITING
    assert desk.core.stats("a", False).wait_time == 4.0


def test_who_gives_up_gives_on() -> None:
    """Before the lease, during it, and in the queue."""
    desk = SharedDesk(1, 1)
    (holder,) = desk.use(0.0)
    first, second, third = [desk.want(1.0) for _ in range(3)]
    desk.apply(desk.core.abandon(second, 2.0))
    desk.apply(desk.core.abandon(holder, 2.0))
    assert (first.verdict, third.verdict) == (GRANTED, WAITING)
    desk.apply(desk.core.abandon(first, 3.0))
    assert desk.held(third) == [1]
    assert (desk.trunk(1).uses, desk.loads(), desk.closing) == (2, [1], [])
    desk.apply(desk.core.abandon(third, 9.0))
    # Nobody has touched it since the holder left it.
    assert (desk.trunk(1).state, desk.trunk(1).since, desk.trunk(1).uses) == (IDLE, 2.0, 1)


def test_a_lease_that_is_abandoned_leaves_the_connection_idle_since_then() -> None:
    """It was in use until then."""
    desk = SharedDesk()
    (holder,) = desk.use(0.0)
    desk.apply(desk.core.abandon(holder, 4.0))
    assert (desk.trunk(1).state, desk.trunk(1).since) == (IDLE, 4.0)


@pytest.mark.parametrize(("most", "verdicts"), [(0, [OVERLOADED] * 2), (1, [WAITING, OVERLOADED])])
def test_more_than_max_waiting_are_sent_away(most: int, verdicts: list[str]) -> None:
    """At once."""
    desk = SharedDesk(1, 1, max_waiting=most)
    desk.use(0.0)
    assert [desk.want().verdict for _ in range(2)] == verdicts
    assert len(desk.place.queue) == most


def test_who_asks_again_is_not_too_many() -> None:
    """His turn had come, and what he had was taken away."""
    desk = SharedDesk(1, 1, max_waiting=0)
    caller = desk.want()
    desk.clear("a")
    desk.apply(desk.core.retreat(caller, 0.0, True))
    assert caller.verdict is GRANTED
    desk.clear("a")
    desk.open_up(caller, 1.0)
    # What was opened is closing still.
    assert (caller.verdict, caller.ticket < 0) == (WAITING, True)
    desk.close(2.0)
    assert caller.verdict is GRANTED
    assert entry_of(caller).state is CONNECTING


def test_who_asks_again_is_not_overtaken_by_the_queue() -> None:
    """Though there is a permit, and they wait already."""
    desk = SharedDesk(3, max_connecting=1)
    caller, other = desk.want(), desk.want()
    desk.clear("a")
    desk.apply(desk.core.retreat(caller, 1.0, True))
    assert (caller.verdict, other.verdict) == (GRANTED, WAITING)


def test_a_permit_that_comes_back_goes_to_the_queue() -> None:
    """With its number."""
    desk = SharedDesk(1)
    first, second = desk.want(), desk.want()
    assert second.verdict is WAITING
    permit = entry_of(first)
    desk.apply(desk.core.abandon(first, 1.0))
    assert (second.entry, second.verdict, permit.id) == (permit, GRANTED, 1)
