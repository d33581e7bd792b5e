"""Shared connections under check, at acquire and in the background; and shares that are lost."""

import gc
from typing import Any

import pytest
from core.books import Caller
from core.desk import entry_of
from core.sharing import SharedDesk, share_of

from pool._core.ledger import ERROR, IDLENESS, STALE
from pool._core.states import (
    CHECKING,
    CONNECTING,
    GONE,
    GRANTED,
    IDLE,
    IN_USE,
    SHARED,
    TIMEOUT,
    WAITING,
)

# -- at acquire ----------------------------------------------------------------------------------------


def test_who_gets_a_doubtful_one_is_alone_until_it_is_confirmed() -> None:
    """The others wait, and get their shares then."""
    desk = SharedDesk(1, vet_after=2.0)
    desk.open(1)
    caller, other = desk.want(2.1), desk.want(2.1)
    share = share_of(caller)
    assert (share.alone, share.is_doubtful(2.1, 2.0), other.verdict) == (True, True, WAITING)
    # By the time that whoever checks goes by.
    assert not share.is_doubtful(2.1, 3.0)
    effects = desk.core.confirm(caller, 3.0, True)
    assert effects is not None
    assert effects.wake == [other.waiter]
    assert (share.state, share.alone, desk.held(other)) == (IN_USE, False, [1])
    assert (share_of(other).alone, share_of(other).is_doubtful(100.0, 2.0)) == (False, False)
    assert desk.loads() == [2]
    assert desk.core.confirm(other, 3.0, True) is None


@pytest.mark.parametrize(
    ("vet_after", "now", "alone"), [(2.0, 2.0, False), (2.0, 2.1, True), (-1.0, 0.0, True)]
)
def test_it_is_doubtful_after_some_idleness(vet_after: float, now: float, alone: bool) -> None:
    """As in every pool; one that was just opened is not."""
    desk = SharedDesk(1, vet_after=vet_after)
    caller = desk.want()
    desk.open_up(caller)
    assert not share_of(caller).alone
    desk.apply(desk.core.confirm(caller, 0.0, True))
    desk.back(caller)
    assert share_of(desk.want(now)).alone == alone


def test_idleness_is_reckoned_from_the_last_use() -> None:
    """Not from the beginning of time."""
    desk = SharedDesk(1, vet_after=2.0)
    desk.open(1, 5.0)
    assert not share_of(desk.want(6.0)).alone


def test_a_share_of_one_that_others_use_is_not_alone() -> None:
    """However long ago it was idle, and suspect or not."""
    desk = SharedDesk(1, vet_after=2.0)
    holder = desk.use(0.0)
    desk.core.distrust()
    share = share_of(desk.want(100.0))
    assert (share.alone, share.is_doubtful(100.0, 2.0)) == (False, False)
    desk.back(*holder)


def test_after_a_jump_of_the_clock_it_is_checked_once() -> None:
    """By whoever gets it first."""
    desk = SharedDesk(1, vet_after=50.0)
    (trunk,) = desk.open(1)
    desk.core.distrust()
    caller = desk.want(1.0)
    assert (share_of(caller).suspect, share_of(caller).is_doubtful(1.0, 50.0)) == (True, True)
    desk.apply(desk.core.confirm(caller, 1.0, True))
    assert (trunk.suspect, share_of(caller).suspect) == (False, False)
    desk.back(caller, now=2.0)
    assert desk.held(desk.take("a", 3.0)) == [1]


def test_who_gives_up_the_check_leaves_it_to_the_next() -> None:
    """He has not touched it: the next is alone with it as he was."""
    desk = SharedDesk(1, vet_after=2.0)
    desk.open(1)
    caller, other = desk.want(5.0), desk.want(5.0)
    desk.apply(desk.core.abandon(caller, 6.0))
    assert (other.verdict, share_of(other).alone, desk.trunk(1).uses) == (GRANTED, True, 1)


def test_what_is_found_dead_is_broken() -> None:
    """Whoever has found it asks again before all others."""
    desk = SharedDesk(1, vet_after=2.0, max_waiting=1)
    (trunk,) = desk.open(1)
    caller, other = desk.want(5.0), desk.want(5.0)
    desk.apply(desk.core.dead(caller, 6.0, True))
    assert (caller.verdict, desk.closing, trunk.doomed, trunk.uses) == (WAITING, [trunk], ERROR, 0)
    assert (desk.members.broken, desk.place.errors) == (["connection 1"], 1)
    desk.close(7.0)
    assert (caller.verdict, other.verdict) == (GRANTED, WAITING)
    assert entry_of(caller).state is CONNECTING


def test_a_clear_overtakes_the_check() -> None:
    """What was vetted is not leased; it was not broken either."""
    desk = SharedDesk(1, vet_after=2.0)
    (trunk,) = desk.open(1)
    caller = desk.want(5.0)
    desk.clear("a")
    effects = desk.core.confirm(caller, 6.0, True)
    assert effects is not None
    assert (effects.close, trunk.doomed, desk.members.broken) == ([trunk], STALE, [])
    assert (caller.verdict, caller.entry) == (WAITING, None)
    assert desk.place.loads.least() is None


def test_a_hook_that_fails_breaks_it_for_all() -> None:
    """It was touched: the others keep their shares."""
    desk = SharedDesk(1)
    (holder,) = desk.use(0.0)
    caller = desk.want(1.0)
    share_of(caller).begun = True
    desk.apply(desk.core.abandon(caller, 2.0))
    assert (share_of(holder).doomed, share_of(holder).uses) == (ERROR, 1)
    assert desk.members.broken == ["connection 1"]


# -- in the background ---------------------------------------------------------------------------------


def test_what_is_checked_in_the_background_is_not_lent() -> None:
    """If it is alive it is idle as long as before, and goes to whoever waits."""
    desk = SharedDesk(1, health_check_interval=5.0)
    (trunk,) = desk.open(1, 1.0)
    assert desk.chores(5.9).checks == []
    assert desk.chores(6.0).checks == [trunk]
    assert (trunk.state, desk.place.loads.least()) == (CHECKING, None)
    assert desk.core.take(desk.new("a"), 6.0, None) is None
    waiting = desk.want(6.0)
    desk.apply(desk.core.checked(trunk, True, 7.0))
    assert (waiting.verdict, trunk.state, trunk.since) == (GRANTED, SHARED, 1.0)
    desk.apply(desk.core.abandon(waiting, 8.0))
    assert (trunk.state, trunk.since, trunk.checked) == (IDLE, 1.0, 7.0)
    assert desk.core._agenda.next() == 12.0


def test_what_is_found_alive_is_lent_again() -> None:
    """Nobody waits for it."""
    desk = SharedDesk(1, health_check_interval=5.0)
    (trunk,) = desk.open(1, 1.0)
    desk.chores(6.0)
    desk.apply(desk.core.checked(trunk, True, 7.0))
    assert (trunk.state, desk.place.loads.least(), desk.place.idle()) == (IDLE, trunk, [trunk])
    assert desk.core._agenda.next() == 12.0
    caller = desk.take("a", 7.0)
    assert desk.held(caller) == [1]
    assert desk.place.idle() == []


def test_what_is_in_use_is_not_checked() -> None:
    """It is known to be there; the next check is reckoned from its last use."""
    desk = SharedDesk(1, health_check_interval=5.0)
    holder, other = desk.use(0.0, 2)
    assert desk.chores(6.0).checks == []
    desk.back(holder, now=7.0)
    desk.back(other, now=8.0)
    assert desk.core._agenda.next() == 13.0
    assert len(desk.chores(13.0).checks) == 1


def test_what_is_found_dead_in_the_background_is_broken_and_replaced() -> None:
    """After the pause."""
    desk = SharedDesk(1, health_check_interval=5.0)
    (trunk,) = desk.open(1)
    desk.chores(5.0)
    desk.apply(desk.core.checked(trunk, False, 6.0))
    assert (desk.closing, trunk.doomed) == ([trunk], ERROR)
    desk.close(6.0)
    assert desk.members.broken == ["connection 1"]
    assert len(desk.chores(6.1).fills) == 1


@pytest.mark.parametrize("alive", [True, False])
def test_a_clear_overtakes_a_check_in_the_background(alive: bool) -> None:
    """It is closed whatever the check says, and is not broken."""
    desk = SharedDesk(1, health_check_interval=5.0)
    (trunk,) = desk.open(1)
    desk.chores(5.0)
    desk.clear("a")
    desk.apply(desk.core.checked(trunk, alive, 6.0))
    assert (desk.closing, trunk.doomed, desk.members.broken) == ([trunk], STALE, [])


# -- lost ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cyclic", [False, True])
def test_a_lost_share_breaks_its_connection(cyclic: bool) -> None:
    """Nobody knows what it was doing; the others keep theirs."""
    desk = SharedDesk(1)
    (holder, lost) = desk.use(0.0, 2)
    lose(desk, lost, cyclic)
    (share,) = desk.core._lost
    assert (share.state, share.doomed, share.lost_in, share.warned) == (IN_USE, ERROR, IN_USE, True)
    assert desk.core.stats("a", False).released == 0
    effects = desk.core.reclaim(3.0)
    assert (effects.lost, effects.close) == ([share], [])
    assert (share_of(holder).doomed, desk.members.pending) == (ERROR, 1)
    stats = desk.core.stats("a", False)
    assert (stats.acquired, stats.released, stats.use_time) == (2, 1, 3.0)
    desk.back(holder)
    assert len(desk.closing) == 1
    assert share.state is GONE


@pytest.mark.parametrize("cyclic", [False, True])
def test_a_lost_check_ends_the_connection(cyclic: bool) -> None:
    """The next in the queue may connect."""
    desk = SharedDesk(1, vet_after=-1.0)
    desk.open(1)
    lost, waiting = desk.want(), desk.want()
    lose(desk, lost, cyclic)
    desk.apply(desk.core.reclaim(1.0))
    (trunk,) = desk.closing
    assert (trunk.uses, desk.core.stats("a", False).acquired) == (0, 0)
    desk.close(2.0)
    assert entry_of(waiting).state is CONNECTING


def test_a_lost_share_that_comes_back_was_not_lost() -> None:
    """What was in a cycle with it has given it back."""
    desk = SharedDesk(1)
    (caller,) = desk.use(0.0)
    share = caller.entry
    assert share is not None
    desk.core._lose(share)
    desk.back(caller)
    effects = desk.core.reclaim(1.0)
    assert (effects.lost, effects.close, desk.trunk(1).state) == ([], [], IDLE)


def test_a_lost_filler_leaves_his_permit() -> None:
    """Before the connect, and in it."""
    desk = SharedDesk(2)
    before, within = desk.admit(2) or []
    assert within.entry is not None
    within.entry.begun = True
    for claim in (before, within):
        claim.entry = None
    assert desk.alerts == 2
    desk.apply(desk.core.reclaim(1.0))
    assert len(desk.closing) == 1
    desk.close(1.0)
    assert (len(desk.place.entries), desk.place.connecting) == (0, 0)
    assert len(desk.open(2)) == 2


def test_a_lost_check_in_the_background_is_taken_back() -> None:
    """Nobody knows what came of it, so nothing is to be replaced."""
    desk = SharedDesk(2, health_check_interval=5.0)
    desk.open(2)
    chores = desk.chores(9.0)
    assert len(chores.checks) == 2
    chores.checks.clear()
    assert desk.alerts == 2
    desk.apply(desk.core.reclaim(9.0))
    assert [trunk.doomed for trunk in desk.closing] == [ERROR] * 2
    assert desk.members.broken == []
    desk.close(9.0)
    assert desk.place.entries == {}


def lose(desk: SharedDesk, caller: Caller, cyclic: bool) -> None:
    """Drop what a caller holds, and all that knows of it."""
    if cyclic:
        cycle: list[Any] = [caller.entry]
        cycle.append(cycle)
        caller.entry = None
        assert desk.alerts == 0
        del cycle
        gc.collect()
    caller.entry = None
    assert desk.alerts == 1, "somebody keeps it alive"


@pytest.mark.parametrize("why", ["reduce", "drain"])
def test_what_is_to_be_retired_meanwhile_is_not_broken_by_that(why: str) -> None:
    """Whoever prepares it gets another turn; it is closed for its own reason, and works until then."""
    desk = SharedDesk(2, vet_after=-1.0, max_lifetime=5.0)
    (holder,) = desk.use(0.0)
    desk.open(1, 3.0)
    trunk = share_of(holder).trunk
    spare = desk.lease("a", 4.0)
    preparing, other = desk.want(4.0), desk.want(4.0)
    assert trunk.id in desk.held(preparing, other)
    if desk.held(preparing) != [trunk.id]:
        preparing, other = other, preparing
    if why == "reduce":
        desk.apply(desk.core.reduce("a", 2, True, 5.0)[1])
    else:
        desk.want(5.0)
    assert trunk.doomed == IDLENESS
    uses = trunk.uses
    desk.apply(desk.core.confirm(preparing, 5.0, True))
    assert (trunk.doomed, trunk.pending, trunk.uses) == (IDLENESS, 1, uses - 1)
    assert trunk.connection in desk.members.connected
    assert preparing.verdict is (WAITING if why == "reduce" else GRANTED)
    desk.back(holder, spare, now=6.0)
    assert (trunk.doomed, trunk in desk.closing) == (IDLENESS, True)
    assert desk.members.broken == []


@pytest.mark.parametrize("by", ["caller", "upkeep"])
@pytest.mark.parametrize("alive", [True, False])
def test_whose_connect_fails_waits_for_one_that_is_being_checked(by: str, alive: bool) -> None:
    """It may be all there is. If it is dead, he connects again, and the error is his then."""
    desk = SharedDesk(2, vet_after=1.0, chance=1.0, health_check_interval=10.0)
    (trunk,) = desk.open(1, 0.0)
    checking = desk.new("a")
    if by == "caller":
        desk.apply(desk.core.request(checking, 20.0, True))
        assert share_of(checking).alone
    else:
        assert desk.chores(20.0).checks == [trunk]
    caller = desk.want(20.0)
    assert entry_of(caller).state is CONNECTING
    assert desk.fails(caller, 20.0) is not None
    desk.close(20.0)
    assert caller.verdict is WAITING
    assert desk.want(20.01, patient=False).verdict is TIMEOUT
    if by == "upkeep":
        desk.apply(desk.core.checked(trunk, alive, 20.02))
    elif alive:
        desk.apply(desk.core.confirm(checking, 20.02, True))
    else:
        desk.apply(desk.core.dead(checking, 20.02, True))
    if alive:
        assert desk.held(caller) == [trunk.id]
        return
    desk.close(20.03)
    assert entry_of(caller).state is CONNECTING
    assert desk.fails(caller, 20.03) is None


def test_what_was_lost_is_taken_back_by_the_next() -> None:
    """Even where nobody keeps the pool, and the next one needs nothing but a share."""
    desk = SharedDesk(1, background_collector=False)
    desk.use(0.0)
    (trunk,) = desk.place.every()
    desk.callers.clear()
    gc.collect()
    assert trunk.pending == 1
    caller = desk.new("a")
    assert desk.core.take(caller, 1.0, caller.owner) is None
    desk.apply(desk.core.request(caller, 1.0, True))
    assert (trunk.pending, desk.closing) == (0, [trunk])
    assert caller.verdict is WAITING
