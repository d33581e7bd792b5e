"""What is told of shares: leaks, counts, names, deadlocks; and what a fork makes of them."""

import pytest
from core.desk import entry_of
from core.sharing import SharedDesk, share_of

from pool._core.deadlock import Knot
from pool._core.report import explain
from pool._core.states import (
    FORKED,
    IN_USE,
    VETTING,
    WAITING,
)
from pool._core.upkeep import disown
from pool.errors import LeaseReleasedError

# -- leaks ---------------------------------------------------------------------------------------------


def test_each_share_is_told_of_that_is_held_too_long() -> None:
    """Since its own beginning, once, and not after its end."""
    desk = SharedDesk(1, leak_threshold=5.0)
    first, second, third = desk.lease("a", 0.0), desk.lease("a", 1.0), desk.lease("a", 2.0)
    for caller in (first, second, third):
        desk.apply(desk.core.watch(caller))
    assert desk.chores(4.9).leaks == []
    leaks = desk.chores(6.0).leaks
    assert leaks == [first.entry, second.entry]
    desk.back(second, now=6.0)
    assert desk.core.leaks(leaks[1], 6.0) is None
    leak = desk.core.leaks(leaks[0], 6.0)
    assert leak is not None
    assert (leak.seconds, leak.code) == (6.0, first.code)
    assert desk.core.leave(leaks[0], True, False)
    assert desk.core.told(leaks[0]) == (True, False)
    assert not desk.core.leave(leaks[0], True, False)
    assert set(desk.chores(7.0, everywhere=True).leaks) == {third.entry}
    assert desk.place.marked == 0


def test_without_a_collector_a_share_is_not_looked_at_by_the_way() -> None:
    """It does not become idle: nothing is marked."""
    desk = SharedDesk(1, leak_threshold=5.0, background_collector=False)
    first, second = desk.use(0.0, 2)
    desk.apply(desk.core.watch(first))
    desk.back(second, now=9.0)
    assert (share_of(first).marked, desk.place.marked) == (False, 0)


# -- forks, and words ----------------------------------------------------------------------------------


def test_after_a_fork_all_shares_are_the_parents() -> None:
    """Nothing that the child does with them changes anything."""
    desk = SharedDesk(3, vet_after=-1.0)
    desk.open(1)
    vetting = desk.want()
    connecting, holder = desk.want(), desk.lease("a", 0.0)
    inherited = disown(desk.core)
    assert sorted(inherited) == [("a", "connection 1"), ("a", "connection 3")]
    states = [entry_of(caller).state for caller in (vetting, connecting, holder)]
    assert states == [FORKED] * 3
    assert desk.core.check_in(holder, 0.0) is None
    assert desk.core.end(holder, 0.0) is None
    assert desk.core.put(entry_of(holder), 0.0) is None
    assert not desk.core.doom(entry_of(holder))
    assert not desk.core.closed(desk.trunk(1), 0.0)
    for call in (desk.core.confirm, desk.core.instead, desk.core.retreat):
        with pytest.raises(LeaseReleasedError):
            call(connecting, 0.0, True)
    for caller in (vetting, connecting, holder):
        assert not desk.core.abandon(caller, 1.0)
        assert caller.entry is None
    assert desk.alerts == 0


def test_counts_are_of_connections_and_of_callers() -> None:
    """``in_use`` are connections, ``acquired`` and ``released`` callers; who prepares is neither yet."""
    desk = SharedDesk(2, max_connecting=1)
    desk.open(1)
    callers = desk.use(0.0)
    desk.want()
    callers += desk.use(0.0, 3)
    desk.back(callers[0])
    preparing = desk.want()
    stats = desk.core.stats("a", False)
    assert (stats.total, stats.in_use, stats.idle, stats.connecting) == (2, 1, 0, 1)
    assert (stats.acquired, stats.released) == (4, 1)
    desk.apply(desk.core.confirm(preparing, 0.0, True))
    assert desk.core.stats("a", False).acquired == 5


def test_everybody_who_holds_a_share_is_named() -> None:
    """The longest first, with his own time and name."""
    desk = SharedDesk(1)
    desk.lease("a", 1.0, "ann")
    desk.lease("a", 3.0, "bob")
    desk.want(4.0, owner="cid")
    (home,) = desk.core.survey("a", False, 9.0).homes
    people = [(each.id, each.doing, each.seconds, each.owner) for each in home.holders]
    assert people == [(1, IN_USE, 8.0, "ann"), (1, IN_USE, 6.0, "bob"), (1, VETTING, 5.0, "cid")]
    text = explain(desk.core.survey("a", False, 9.0), str)
    assert "#1 in use by 2 callers for up to 8.000 s, from " in text
    assert "#1 vetting for 5.000 s by cid, from " in text
    assert "1 connection (1 in use" in text


@pytest.mark.parametrize("size", [1, 2])
def test_a_deadlock_names_what_could_be_raised(size: int) -> None:
    """Each of the shares must come back, of all connections; by one who waits himself."""
    desk = SharedDesk(size, 2)
    callers = [desk.want(owner="ann") for _ in range(size)]
    for caller in callers:
        desk.proceed(caller, 0.0)
    others = [desk.lease("a", 0.0, "bob") for _ in range(size)]
    assert desk.want(owner="ann").verdict is WAITING
    last = desk.new("a")
    last.owner = "bob"
    knot = desk.core.request(last, 1.0, True).deadlock
    assert knot == Knot(2, size, False, limit="size x max_pending")
    assert f"size x max_pending >= {2 * size + 1}" in str(knot)
    desk.back(others[0])
    assert desk.core.survey("a", False, 1.0).homes[0].knot is None


def test_a_deadlock_is_told_to_those_who_are_in_it() -> None:
    """Whoever comes later, and holds nothing, only waits."""
    desk = SharedDesk(1, 1)
    desk.lease("a", 0.0, "ann")
    desk.want(owner="ann")
    stranger = desk.new("a")
    assert desk.core.request(stranger, 1.0, True).deadlock is None
    assert desk.core.survey("a", False, 1.0).homes[0].knot is not None


def test_there_is_no_deadlock_while_anybody_works() -> None:
    """He may give his share back."""
    desk = SharedDesk(1, 2)
    desk.lease("a", 0.0, "ann")
    desk.lease("a", 0.0, "bob")
    waiting = desk.new("a")
    waiting.owner = "ann"
    assert desk.core.request(waiting, 1.0, True).deadlock is None
    assert waiting.verdict is WAITING
    assert desk.core.survey("a", False, 1.0).homes[0].knot is None
