"""Connections that break: who keeps them, how they are listed, and when another one takes their place."""

import pytest
from core.desk import entry_of
from core.sharing import SharedDesk, share_of

from pool._core.ledger import ERROR, IDLENESS, STALE
from pool._core.states import CLOSING, CONNECTING, GRANTED, IN_USE, SHARED, WAITING


def broken(count: int, now: float = 0.0, **options: object) -> SharedDesk:
    """A pool where some connections broke and were closed at a time, beside one that works."""
    desk = SharedDesk(count + 1, **options)  # type: ignore[arg-type]
    callers = [desk.want(now) for _ in range(count + 1)]
    for caller in callers:
        desk.proceed(caller, now)
    desk.ruin(*callers[:-1], now=now)
    desk.close(now)
    assert len(desk.members.connected) == 1
    return desk


# -- breaking ------------------------------------------------------------------------------------------


def test_a_share_that_comes_back_unfit_breaks_the_connection() -> None:
    """Nobody new gets it, the others keep theirs, and it closes when the last has left."""
    desk = SharedDesk(2)
    first, second, third = desk.use(0.0), desk.use(0.0), desk.use(0.0)
    trunk = share_of(third[0]).trunk
    (other,) = first if share_of(first[0]).trunk is trunk else second
    desk.ruin(other, now=1.0)
    assert (trunk.state, trunk.pending, trunk.doomed, desk.closing) == (SHARED, 1, ERROR, [])
    assert (share_of(third[0]).state, share_of(third[0]).doomed) == (IN_USE, ERROR)
    assert desk.members.broken == [trunk.connection]
    assert len(desk.members.connected) == 1
    assert trunk.connection not in desk.members.connected
    assert (desk.place.breaking, desk.place.gone) == ({trunk.id: trunk.connection}, {})
    assert not desk.held(*desk.use(1.0, 3)).count(trunk.id)
    desk.back(*third, now=2.0)
    assert (trunk.state, desk.closing, trunk.doomed) == (CLOSING, [trunk], ERROR)
    assert (desk.place.breaking, desk.place.gone) == ({}, {trunk.id: trunk.connection})
    connection = trunk.connection
    desk.close(3.0)
    assert desk.members.broken == [connection]


def test_the_last_share_breaks_it_too() -> None:
    """It is closed at once; what breaks twice is broken once."""
    desk = SharedDesk(1)
    first, second = desk.use(0.0, 2)
    (trunk,) = desk.place.every()
    desk.ruin(first, second)
    assert (desk.closing, list(desk.place.gone), desk.place.breaking) == ([trunk], [1], {})
    assert len(desk.place.loads._levels) == 0


def test_a_hook_that_failed_is_an_error() -> None:
    """It counts; a discard does not."""
    desk = SharedDesk(1)
    for failed in (True, False):
        (caller,) = desk.use(0.0)
        entry = desk.core.end(caller, 0.0)
        assert entry is not None
        desk.apply(desk.core.doom(entry, failed))
        desk.close(0.0)
    assert desk.place.errors == 1


@pytest.mark.parametrize("why", ["clear", "drain"])
def test_what_was_to_be_closed_anyway_is_not_broken(why: str) -> None:
    """Nothing takes its place. Only where it was to be retired it is closed for the error."""
    desk = SharedDesk(1, max_lifetime=5.0)
    first, second = desk.use(0.0, 2)
    if why == "clear":
        desk.clear("a")
    else:
        assert desk.want(5.0).verdict is WAITING
    (trunk,) = desk.place.every()
    desk.ruin(first, now=6.0)
    assert desk.members.broken == []
    desk.back(second, now=6.0)
    assert (desk.closing, trunk.doomed) == ([trunk], STALE if why == "clear" else ERROR)
    assert desk.place.gone == {}


def test_what_was_drained_and_came_back_well_is_idle() -> None:
    """It is closed for that reason."""
    desk = SharedDesk(1, max_lifetime=5.0)
    (holder,) = desk.use(0.0)
    desk.want(5.0)
    desk.back(holder, now=6.0)
    assert [trunk.doomed for trunk in desk.closing] == [IDLENESS]


def test_a_broken_one_stays_broken_through_a_clear() -> None:
    """It was no good before; another one takes its place."""
    desk = SharedDesk(1)
    first, second = desk.use(0.0, 2)
    desk.ruin(first)
    desk.clear("a")
    desk.back(second)
    assert [trunk.doomed for trunk in desk.closing] == [ERROR]
    assert list(desk.place.gone) == [1]


def test_a_connect_that_fails_breaks_nothing() -> None:
    """There was no connection."""
    desk = SharedDesk(1)
    caller = desk.want()
    desk.fails(caller)
    desk.apply(desk.core.abandon(caller, 0.0))
    desk.close(0.0)
    assert (desk.members.broken, desk.place.retry) == ([], 0.0)


# -- replaced by the upkeep ----------------------------------------------------------------------------


def test_the_upkeep_replaces_it_after_a_tenth_of_a_second() -> None:
    """Since it was closed, not before."""
    desk = SharedDesk(1)
    (holder,) = desk.use(0.0)
    desk.ruin(holder, now=1.0)
    assert desk.chores(1.5).fills == []
    rings = desk.rings
    desk.close(2.0)
    assert desk.rings == rings + 1
    assert desk.core._agenda.next() == desk.place.retry == 2.1
    assert desk.chores(2.05).fills == []
    assert desk.members.broken == ["connection 1"]
    chores = desk.chores(2.1)
    assert len(chores.fills) == 1
    assert desk.members.broken == ["connection 1"]
    desk.fill(chores, 2.2)
    assert (desk.members.broken, len(desk.members.connected)) == ([], 1)
    assert desk.core._agenda.pop(1e9) is not None
    assert desk.chores(9.0).fills == []


def test_it_waits_longer_after_each_failure() -> None:
    """Twice as long, and tries one at a time."""
    desk = broken(3, chance=1.0)
    chores = desk.chores(0.1)
    assert len(chores.fills) == 3
    desk.fail(chores, 1.0)
    # Three in a row have failed.
    assert desk.place.retry == 1.4
    assert desk.chores(1.3).fills == []
    chores = desk.chores(1.4)
    assert len(chores.fills) == 1
    assert desk.chores(1.4).fills == []
    desk.fail(chores, 2.0)
    assert desk.place.retry == 2.8
    chores = desk.chores(2.8)
    desk.fill(chores, 3.0)
    assert len(desk.members.broken) == 2
    assert len(desk.chores(3.0).fills) == 2
    assert len(desk.members.broken) == 2


def test_the_pause_after_a_failure_is_not_cut_short_by_another_break() -> None:
    """Nor does a break cut it."""
    desk = broken(1, chance=1.0)
    now = 0.0
    for _ in range(3):
        now = desk.place.retry
        desk.fail(desk.chores(now), now)
    later = desk.place.retry
    (caller,) = [caller for caller in desk.callers if caller.entry is not None]
    desk.ruin(caller, now=now)
    desk.close(now)
    assert desk.place.retry == later > now + 0.1


def test_without_a_collector_nothing_is_replaced_by_itself() -> None:
    """A round by hand does it, when the pause is over."""
    desk = broken(1, background_collector=False)
    assert desk.core._agenda.next() == 3600.0
    assert desk.chores(0.05, everywhere=True).fills == []
    desk.fill(desk.chores(0.1, everywhere=True), 0.1)
    assert desk.members.broken == []


# -- replaced by callers -------------------------------------------------------------------------------


def test_a_caller_replaces_it_at_once_if_nothing_works() -> None:
    """He need not wait for the pause; but what is closing keeps its place."""
    desk = SharedDesk(1)
    (holder,) = desk.use(0.0)
    desk.ruin(holder)
    waiting = desk.want()
    assert waiting.entry is None
    desk.close(1.0)
    assert waiting.verdict is GRANTED
    assert entry_of(waiting).state is CONNECTING
    assert desk.chores(2.0).fills == []
    desk.open_up(waiting, 2.0)
    assert (desk.members.broken, desk.members.all) == ([], ["connection 2"])


def test_a_caller_shares_what_works_until_the_pause_is_over() -> None:
    """Then he connects."""
    desk = broken(1)
    assert desk.held(desk.want(0.05)) == [2]
    assert desk.held(desk.take("a", 0.05)) == [2]
    assert entry_of(desk.want(0.1)).state is CONNECTING


def test_who_connects_for_himself_leaves_less_to_replace() -> None:
    """One for each that is missing."""
    desk = broken(2)
    connecting = desk.want(0.1)
    assert entry_of(connecting).state is CONNECTING
    assert len(desk.chores(0.1).fills) == 1
    desk.open_up(connecting, 0.2)
    # The first one is the first to be replaced.
    assert desk.members.broken == ["connection 2"]


def test_the_upkeep_connects_for_those_who_wait_in_a_pause() -> None:
    """They could not when they came, and all that works is full."""
    desk = broken(1, max_pending=1)
    waiting = desk.want(0.05)
    assert waiting.entry is None
    chores = desk.chores(0.1)
    assert len(chores.fills) == 1
    desk.fill(chores, 0.2)
    assert waiting.verdict is GRANTED
    assert desk.held(waiting) == [3]


def test_who_waits_after_a_failure_is_served_by_the_upkeep() -> None:
    """Nothing is broken, there is room, and the pause is over."""
    desk = SharedDesk(2, 1, chance=1.0)
    desk.use(0.0)
    caller = desk.want(1.0)
    desk.fails(caller, 1.0)
    desk.close(1.0)
    assert caller.entry is None
    assert desk.core._agenda.next() == 1.1
    desk.fill(desk.chores(1.1), 1.2)
    assert caller.verdict is GRANTED


@pytest.mark.parametrize("cleared", [False, True])
def test_who_waits_in_a_pause_does_not_if_nothing_works_any_more(cleared: bool) -> None:
    """The upkeep connects at once, though what broke, or is stale, is in use still."""
    desk = SharedDesk(2, 2, chance=1.0)
    (holder,) = desk.use(0.0)
    caller, other = desk.want(1.0), desk.want(1.0, patient=False)
    desk.proceed(other, 1.0)
    desk.fails(caller, 1.0)
    desk.close(1.0)
    assert (desk.loads(), desk.place.retry, caller.entry) == ([2], 1.1, None)
    assert desk.chores(1.05).fills == []
    rings = desk.rings
    if cleared:
        desk.clear("a")
    else:
        desk.ruin(other, now=1.05)
    assert desk.rings == rings + 1
    chores = desk.chores(1.05)
    assert len(chores.fills) == 1
    desk.fill(chores, 1.06)
    assert caller.verdict is GRANTED
    assert share_of(holder).doomed


def test_a_pause_goes_on_while_anything_works() -> None:
    """Or while nobody waits for its end."""
    desk = SharedDesk(3, 1, chance=1.0)
    first, second = desk.want(), desk.want()
    for each in (first, second):
        desk.proceed(each, 0.0)
    caller = desk.want(1.0)
    desk.fails(caller, 1.0)
    desk.close(1.0)
    desk.ruin(first, now=1.0)
    assert (caller.entry, desk.place.retry) == (None, 1.1)
    desk.apply(desk.core.abandon(caller, 1.0))
    desk.ruin(second, now=1.0)
    assert desk.place.retry == 1.1


def test_without_a_collector_whoever_comes_serves_those_who_wait() -> None:
    """The pause is over: the first of them connects, and nobody overtakes him."""
    desk = SharedDesk(2, 1, chance=1.0, background_collector=False)
    desk.use(0.0)
    caller = desk.want(1.0)
    desk.fails(caller, 1.0)
    desk.close(1.0)
    early = desk.want(1.05)
    assert (caller.verdict, early.verdict) == (WAITING, WAITING)
    late = desk.want(1.1)
    assert (caller.verdict, caller.waiter.woken) == (GRANTED, 1)
    assert entry_of(caller).state is CONNECTING
    assert (early.verdict, late.verdict) == (WAITING, WAITING)


# -- given up ------------------------------------------------------------------------------------------


def test_what_was_given_up_is_not_replaced() -> None:
    """Nor is it listed, though callers may have it still; it does not work for all that."""
    desk = broken(1)
    (holder,) = [caller for caller in desk.callers if caller.entry is not None]
    sharing = desk.want(0.0)
    desk.ruin(holder)
    assert len(desk.members.broken) == 2
    assert desk.core.forget_broken("a") == 2
    assert desk.core.forget_broken("a") == 0
    assert (desk.members.broken, desk.members.connected, desk.members.all) == ([], [], [])
    assert desk.members.pending == 1
    desk.apply(desk.core.abandon(sharing, 0.0))
    desk.close(0.0)
    assert desk.chores(9.0).fills == []
    assert desk.core.forget_broken("b") == 0


def test_a_closed_pool_has_nothing_to_replace() -> None:
    """Nor does it list what is broken; what others have still works as little as before."""
    desk = broken(1)
    (holder,) = [caller for caller in desk.callers if caller.entry is not None]
    sharing = desk.want(0.0)
    desk.ruin(holder)
    desk.apply(desk.core.shut(None, True))
    assert (desk.members.broken, desk.members.connected, desk.members.pending) == ([], [], 1)
    assert desk.chores(9.0).fills == []
    desk.apply(desk.core.abandon(sharing, 9.0))
    desk.close(9.0)
    assert desk.chores(10.0).next is None
