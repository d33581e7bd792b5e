"""How shared connections end: not opened, closed, cleared, used up, too old."""

import pytest
from core.desk import entry_of
from core.sharing import SharedDesk, share_of

from pool._core.ledger import IDLENESS, POOL_CLOSED, STALE
from pool._core.states import CLOSED, CLOSING, CONNECTING, GRANTED, IDLE, WAITING

# -- a connect that fails ------------------------------------------------------------------------------


def test_whose_connect_fails_shares_what_works() -> None:
    """And nobody connects again before the pause is over, as long as anything works."""
    desk = SharedDesk(3, chance=1.0)
    desk.use(0.0)
    caller = desk.want(1.0)
    failed = entry_of(caller)
    assert desk.fails(caller, 1.0) is not None
    assert desk.held(caller) == [1]
    assert (desk.closing, failed.state, desk.place.errors) == ([failed], CLOSING, 1)
    assert (desk.members.broken, desk.place.retry) == ([], 1.1)
    desk.close(1.0)
    assert desk.held(desk.want(1.05)) == [1]
    assert entry_of(desk.want(1.1)).state is CONNECTING


def test_he_does_not_connect_again_at_once() -> None:
    """Even if there is no pause: what works is good enough."""
    desk = SharedDesk(3, chance=0.0)
    desk.use(0.0)
    caller = desk.want(1.0)
    desk.fails(caller, 1.0)
    assert desk.place.retry == 1.0
    assert desk.held(caller) == [1]


def test_he_waits_before_all_others_if_what_works_is_full() -> None:
    """His turn had come."""
    desk = SharedDesk(2, 1, max_connecting=1)
    (holder,) = desk.use(0.0)
    caller, other = desk.want(1.0), desk.want(1.0)
    assert other.verdict is WAITING
    desk.fails(caller, 1.0)
    assert caller.verdict is WAITING
    desk.back(holder, now=1.5)
    assert (caller.verdict, other.verdict) == (GRANTED, WAITING)
    assert desk.held(caller) == [1]


@pytest.mark.parametrize("most", [None, 1])
def test_who_has_no_time_left_gets_his_error_unless_there_is_a_share(most: int | None) -> None:
    """He does not wait."""
    desk = SharedDesk(2, most)
    desk.use(0.0)
    caller = desk.want()
    permit = entry_of(caller)
    effects = desk.fails(caller, 1.0, patient=False)
    assert (effects is None) == (most == 1)
    assert (caller.entry is permit) == (most == 1)


def test_the_error_is_his_if_nothing_works() -> None:
    """Whether there was anything, or it is broken or cleared, or the pool is closed."""
    desk = SharedDesk(3)
    assert desk.fails(desk.want()) is None
    desk = SharedDesk(3)
    (holder, other) = (*desk.use(0.0), desk.want())
    desk.ruin(holder)
    assert desk.fails(other) is None
    desk = SharedDesk(3)
    (holder, other) = (*desk.use(0.0), desk.want())
    desk.clear("a")
    assert desk.fails(other) is None
    desk.use(1.0)
    desk = SharedDesk(3)
    (holder, other) = (*desk.use(0.0), desk.want())
    desk.apply(desk.core.shut(None, True))
    assert desk.fails(other) is None


def test_who_was_overtaken_by_a_clear_does_not_share_instead() -> None:
    """He retreats, as he always does."""
    desk = SharedDesk(3)
    caller = desk.want()
    desk.clear("a")
    desk.use(1.0)
    assert desk.fails(caller, 1.0) is None
    assert entry_of(caller).state is CONNECTING


# -- the end of the pool, and clears -------------------------------------------------------------------


def test_a_closed_pool_gives_no_shares() -> None:
    """What is in use closes when the last has left; those in the queue fail now."""
    desk = SharedDesk(1, 1)
    (holder,) = desk.use(0.0)
    waiting = desk.want()
    effects = desk.core.shut(None, True)
    assert (waiting.verdict, effects.wake, effects.close) == (CLOSED, [waiting.waiter], [])
    assert desk.core.take(desk.new("a"), 0.0, None) is None
    assert desk.want().verdict is CLOSED
    desk.back(holder)
    assert [trunk.doomed for trunk in desk.closing] == [POOL_CLOSED]


def test_a_clear_of_a_service_leaves_the_others_alone() -> None:
    """As in every pool."""
    desk = SharedDesk(2)
    for claim, service in zip(desk.admit(2) or [], ("s", "t"), strict=True):
        assert claim.entry is not None
        claim.entry.begun = True
        desk.apply(desk.core.filled(claim, service, 0.0))
    effects = desk.clear("a", service="s")
    assert [trunk.id for trunk in effects.close] == [1]
    assert desk.held(desk.take("a", 1.0)) == [2]


def test_its_endpoint_can_be_closed_alone() -> None:
    """It is the only one."""
    desk = SharedDesk(1)
    (trunk,) = desk.open(1)
    effects = desk.core.shut("a", False)
    assert (effects.shut, effects.close) == (["a"], [trunk])


@pytest.mark.parametrize("reason", [STALE, POOL_CLOSED])
def test_a_share_of_what_was_ended_is_its_last(reason: str) -> None:
    """Nobody new gets one, the others keep theirs, and it closes with the last of them."""
    desk = SharedDesk(1)
    first, second = desk.use(0.0, 2)
    effects = desk.clear("a") if reason == STALE else desk.core.shut(None, True)
    assert effects.close == []
    assert (share_of(first).doomed, share_of(first).fate) == (reason, "")
    assert desk.core.take(desk.new("a"), 0.0, None) is None
    waiting = desk.want()
    assert waiting.verdict == (WAITING if reason == STALE else CLOSED)
    desk.back(first)
    assert (desk.closing, desk.loads()) == ([], [1])
    desk.back(second)
    (trunk,) = desk.closing
    assert (trunk.state, trunk.doomed, desk.members.broken) == (CLOSING, reason, [])


def test_a_clear_closes_what_is_idle_and_breaks_off_what_is_not() -> None:
    """Each connection once, however many use it."""
    desk = SharedDesk(3)
    one, two = desk.use(0.0, 2)
    opening, third = desk.want(), desk.want(patient=False)
    idle, used = share_of(one).trunk, share_of(two).trunk
    if share_of(third).trunk is idle:
        idle, used, one = used, idle, two
    desk.back(one)
    assert (idle.state, used.pending) == (IDLE, 2)
    effects = desk.clear("a", interrupt=True)
    assert (effects.close, idle.doomed) == ([idle], STALE)
    assert effects.interrupt == [used, opening.entry]


def test_the_permit_of_a_closed_pool_ends_when_it_is_open() -> None:
    """The caller is told."""
    desk = SharedDesk(1)
    caller = desk.want()
    permit = entry_of(caller)
    desk.apply(desk.core.shut(None, True))
    desk.open_up(caller, 1.0)
    assert (caller.verdict, caller.entry, desk.closing) == (CLOSED, None, [permit])
    assert permit.doomed == POOL_CLOSED


# -- retirement ----------------------------------------------------------------------------------------


def test_what_has_lived_too_long_is_drained() -> None:
    """Nobody new gets it; it closes when its last caller has left."""
    desk = SharedDesk(1, max_lifetime=10.0)
    (holder,) = desk.use(0.0)
    sharing = desk.want(9.9)
    assert desk.held(sharing) == [1]
    waiting = desk.want(10.0)
    assert (waiting.verdict, desk.trunk(1).doomed, desk.closing) == (WAITING, IDLENESS, [])
    desk.back(holder, now=11.0)
    assert desk.closing == []
    desk.apply(desk.core.abandon(sharing, 12.0))
    (trunk,) = desk.closing
    assert (trunk.state, trunk.doomed) == (CLOSING, IDLENESS)
    desk.close(13.0)
    assert entry_of(waiting).state is CONNECTING


def test_what_was_idle_too_long_is_closed_on_the_way() -> None:
    """And another one is opened."""
    desk = SharedDesk(2, idle_timeout=5.0)
    (trunk,) = desk.open(1, 1.0)
    caller = desk.want(6.0)
    assert (desk.closing, trunk.doomed) == ([trunk], IDLENESS)
    assert entry_of(caller).id == 2


@pytest.mark.parametrize("options", [{"max_uses": 1}, {"idle_timeout": 0.0}, {"max_lifetime": 2.0}])
def test_what_is_over_when_it_comes_back_is_closed(options: dict[str, float]) -> None:
    """By uses, by time, by age."""
    desk = SharedDesk(1, **options)  # type: ignore[arg-type]
    (holder,) = desk.use(0.0)
    desk.back(holder, now=2.0)
    (trunk,) = desk.closing
    assert (trunk.doomed, desk.place.loads.least()) == (IDLENESS, None)


def test_who_is_used_up_is_drained() -> None:
    """Where one has no uses left the next has his turn with another."""
    desk = SharedDesk(2, max_uses=2)
    desk.open(2)
    callers = desk.use(0.0, 4)
    assert desk.loads() == [2, 2]
    late = desk.want()
    assert late.verdict is WAITING
    assert [trunk.doomed for trunk in desk.place.every()] == [IDLENESS, IDLENESS]
    desk.back(*callers)
    assert len(desk.close(1.0)) == 2
    assert entry_of(late).state is CONNECTING


def test_the_upkeep_retires_what_is_idle() -> None:
    """When its time has come, and not before."""
    desk = SharedDesk(2, idle_timeout=5.0)
    desk.open(2, 1.0)
    assert desk.chores(5.9).effects.close == []
    assert desk.core._agenda.next() == 6.0
    assert len(desk.chores(6.0).effects.close) == 2
    assert desk.place.loads.least() is None
    desk.close(6.0)
    assert (desk.members.all, desk.chores(7.0).jobs()) == ([], 0)


def test_without_a_collector_what_comes_back_retires_the_others() -> None:
    """On the way."""
    desk = SharedDesk(3, idle_timeout=5.0, background_collector=False)
    first, second, third = desk.open(3, 1.0)
    caller = desk.take("a", 2.0)
    assert desk.held(caller) == [third.id]
    desk.back(caller, now=6.0)
    assert desk.closing == [first, second]
