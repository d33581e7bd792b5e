"""A share comes back the short way if nothing else is to be done, and leaves the same as the long one."""

from math import inf
from typing import Any

import pytest
from core.books import Caller
from core.desk import entry_of
from core.sharing import SharedDesk, share_of

from pool._core.ledger import STALE
from pool._core.records import Claim
from pool._core.states import CLOSING, CONNECTING, GONE, IDLE, IN_USE, SHARED, WAITING


def returned(desk: SharedDesk, claim: Claim, now: float) -> bool:
    """Give a share back; return whether that had any effects to be thought of."""
    effects = desk.core.check_in(claim, now)
    desk.apply(effects)
    return effects is not None


def test_nothing_follows_if_nobody_waits() -> None:
    """Neither while others use the connection nor when it becomes idle; the time of its use is kept."""
    desk = SharedDesk()
    first, second = desk.use(1.0, 2)
    trunk, share = share_of(first).trunk, share_of(first)
    assert not returned(desk, first, 4.0)
    assert (share.state, trunk.state, trunk.since, trunk.level) == (GONE, SHARED, 4.0, 1)
    assert not returned(desk, second, 6.0)
    assert (trunk.state, trunk.since, trunk.level, trunk.pending) == (IDLE, 6.0, 0, 0)
    assert desk.place.loads.least() is trunk


@pytest.mark.parametrize(
    ("options", "now"),
    [
        ({"max_uses": 1}, 2.0),
        ({"idle_timeout": 0.0}, 2.0),
        ({"max_lifetime": 3.0}, 3.0),
    ],
)
def test_what_is_over_goes_the_long_way(options: dict[str, Any], now: float) -> None:
    """It is closed."""
    desk = SharedDesk(**options)
    (holder,) = desk.use(0.0)
    trunk = share_of(holder).trunk
    assert returned(desk, holder, now)
    assert trunk.state is CLOSING


def test_what_is_not_over_yet_goes_the_short_way() -> None:
    """Up to the very moment."""
    desk = SharedDesk(max_lifetime=3.0, max_uses=2)
    (holder,) = desk.use(0.0)
    assert not returned(desk, holder, 2.9)


def test_what_is_to_be_closed_goes_the_long_way() -> None:
    """A clear has overtaken it."""
    desk = SharedDesk()
    (holder,) = desk.use(0.0)
    trunk = share_of(holder).trunk
    desk.clear("a")
    assert returned(desk, holder, 1.0)
    assert (trunk.state, trunk.doomed) == (CLOSING, STALE)


def test_whoever_waits_is_served() -> None:
    """He gets what comes back."""
    desk = SharedDesk(max_pending=1)
    (holder,) = desk.use(0.0)
    waiting = desk.want(1.0)
    assert returned(desk, holder, 2.0)
    assert share_of(waiting).trunk.pending == 1


def test_what_the_worker_has_looked_at_in_use_is_put_on_the_agenda_again() -> None:
    """Else nobody would ever look at it again."""
    desk = SharedDesk(idle_timeout=5.0)
    (holder,) = desk.use(0.0)
    desk.chores(6.0)
    assert share_of(holder).trunk.look == inf
    assert returned(desk, holder, 7.0)
    assert desk.core._agenda.next() == 12.0


def test_where_nothing_ever_comes_due_there_is_no_agenda() -> None:
    """Then nothing is missing on it."""
    desk = SharedDesk(idle_timeout=None, max_lifetime=None)
    (holder,) = desk.use(0.0)
    assert share_of(holder).trunk.look == inf
    assert not returned(desk, holder, 7.0)


@pytest.mark.parametrize("name", ["max_lifetime", "health_check_interval", "idle_timeout"])
def test_each_date_counts(name: str) -> None:
    """Of the three that there are."""
    options: dict[str, Any] = {"max_lifetime": None, "idle_timeout": None, name: 50.0}
    desk = SharedDesk(**options)
    (holder,) = desk.use(0.0)
    share_of(holder).trunk.look = inf
    assert returned(desk, holder, 7.0)
    assert desk.core._agenda.next() < inf


def test_without_a_worker_each_return_looks_what_is_due() -> None:
    """There is nobody else."""
    desk = SharedDesk(2, idle_timeout=5.0, background_collector=False)
    desk.open(1, 0.0)
    (holder,) = desk.use(0.0)
    assert returned(desk, holder, 1.0)


def test_a_share_of_the_parent_process_goes_nowhere() -> None:
    """What a child gives back is not its own."""
    desk = SharedDesk()
    (holder,) = desk.use(0.0)
    share = share_of(holder)
    share.state = "forked"
    assert desk.core.put(share, 1.0) is None
    assert (share.trunk.pending, share.state) == (1, "forked")


# -- who could do without the connection that he opens ---------------------------------------------------


def test_whoever_has_nothing_else_needs_what_he_opens() -> None:
    """The first, and those who come while he connects."""
    desk = SharedDesk(3)
    first, second = desk.want(), desk.want()
    assert not entry_of(first).optional
    assert not entry_of(second).optional


def test_whoever_could_share_can_do_without() -> None:
    """There is one that he could share."""
    desk = SharedDesk(2)
    desk.use(0.0)
    assert entry_of(desk.want(1.0)).optional


def test_a_permit_that_is_passed_on_is_judged_anew() -> None:
    """What worked when it was given may have gone."""
    desk = SharedDesk(2, 1, max_connecting=1)
    (holder,) = desk.use(0.0)
    growing, waiting = desk.want(1.0), desk.want(1.0)
    assert entry_of(growing).optional
    desk.ruin(holder, now=2.0)
    desk.apply(desk.core.abandon(growing, 3.0))
    assert waiting.entry is not None
    assert not waiting.entry.optional


def test_a_share_is_not_in_use_before_it_is_confirmed() -> None:
    """So that nobody gives it back who has not got it."""
    desk = SharedDesk()
    desk.open(1, 0.0)
    caller = desk.want(1.0)
    assert desk.core.check_in(caller, 2.0) is None
    assert share_of(caller).state is not IN_USE


# -- while the pool recovers -----------------------------------------------------------------------------


def recovering(desk: SharedDesk, now: float) -> Caller:
    """Have somebody's connect fail at a time, so that there is a pause; return him."""
    claim = desk.want(now)
    assert entry_of(claim).state is CONNECTING
    desk.fails(claim, now)
    assert desk.place.retry > now
    return claim


def test_what_comes_back_is_shared_rather_than_one_more_opened() -> None:
    """Though the pause is over, so that there would be room for one more."""
    desk = SharedDesk(2, 1, chance=1.0)
    (holder,) = desk.use(0.0)
    waiting = recovering(desk, 1.0)
    desk.close(1.05)
    assert (waiting.verdict, len(desk.place.entries)) == (WAITING, 1)
    desk.back(holder, now=9.0)
    assert share_of(waiting).trunk.id == 1


def test_what_is_being_checked_works_as_far_as_is_known() -> None:
    """Whose connect fails meanwhile waits for it, and so does a newcomer: the pause holds for both."""
    desk = SharedDesk(2, chance=1.0, vet_after=0.5)
    desk.open(1, 0.0)
    checking = desk.want(1.0)
    assert share_of(checking).alone
    failing = recovering(desk, 1.0)
    desk.close(1.01)
    assert failing.verdict is WAITING
    desk.apply(desk.core.abandon(failing, 1.02))
    newcomer = desk.want(1.03)
    assert newcomer.verdict is WAITING
    desk.apply(desk.core.confirm(checking, 1.04, True))
    assert share_of(newcomer).trunk is share_of(checking).trunk


def test_what_is_being_checked_but_stale_does_not_work() -> None:
    """Whose connect fails meanwhile is told so."""
    desk = SharedDesk(2, chance=1.0, vet_after=0.5)
    desk.open(1, 0.0)
    desk.want(1.0)
    desk.clear("a")
    failing = desk.want(1.0)
    assert entry_of(failing).state is CONNECTING
    assert desk.fails(failing, 1.0) is None
