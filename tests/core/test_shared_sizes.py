"""The size of a pool of shared connections: filled by hand, made larger and smaller; and what there is."""

import pytest
from core.books import Waiter
from core.sharing import SharedDesk, share_of

from pool._core.ledger import IDLENESS, STALE
from pool._core.records import Effects
from pool._core.shared import Members
from pool._core.states import CLOSING, CONNECTING, FORKED, GRANTED, IDLE, WAITING
from pool._core.upkeep import disown

# -- filled by hand ------------------------------------------------------------------------------------


def test_permits_are_given_as_far_as_there_is_room() -> None:
    """As many as are wanted, but not more than ``max_connecting`` at once."""
    desk = SharedDesk(3, max_connecting=2)
    claims = desk.admit(3, 1.0)
    assert claims is not None
    assert [claim.entry.id for claim in claims if claim.entry] == [1, 2]
    assert {claim.entry.state for claim in claims if claim.entry} == {CONNECTING}
    assert {(claim.verdict, claim.endpoint) for claim in claims} == {(GRANTED, "a")}
    assert [each.seconds for each in desk.core.survey("a", False, 3.0).homes[0].holders] == [
        2.0,
        2.0,
    ]
    assert (desk.place.filling, desk.place.warmers) == (0, ())
    assert desk.admit(3) == []
    first = desk.filler_waits
    assert first.woken == 0
    desk.fill_one(claims[0], 2.0)
    assert (first.woken, desk.place.warmers) == (1, ())
    third = desk.admit(3)
    assert third is not None
    assert len(third) == 1
    assert desk.admit(1) is None
    desk.fill_one(claims[1])
    desk.fill_one(third[0])
    assert [trunk.state for trunk in desk.place.every()] == [IDLE] * 3
    assert desk.loads() == [0, 0, 0]


def test_no_more_permits_than_are_wanted() -> None:
    """There would be room for others."""
    desk = SharedDesk(5)
    claims = desk.admit(2)
    assert claims is not None
    assert len(claims) == 2


def test_what_is_closing_is_waited_for() -> None:
    """Its place will be free: whoever fills is called then."""
    desk = SharedDesk(1)
    desk.ruin(*desk.use(0.0))
    assert desk.admit(1) == []
    first = desk.filler_waits
    assert desk.admit(1) == []
    second = desk.filler_waits
    assert (first.woken, second.woken) == (0, 0)
    desk.close(1.0)
    assert (first.woken, second.woken) == (1, 1)
    claims = desk.admit(1)
    assert claims is not None
    assert len(claims) == 1


@pytest.mark.parametrize("why", ["unknown", "closed"])
def test_nobody_fills_what_is_not_there(why: str) -> None:
    """It was never known, or is no more."""
    desk = SharedDesk(2)
    if why == "closed":
        desk.core.shut(None, True)
    effects = Effects()
    where = "b" if why == "unknown" else "a"
    assert desk.core.admit(where, 1, 0.0, Waiter(), False, effects) is None
    assert desk.core.adopt(where, object(), effects, 0.0) is None


def test_what_is_filled_goes_to_those_who_wait() -> None:
    """As many of them as there are shares."""
    desk = SharedDesk(2, 2, max_connecting=1)
    (claim,) = desk.admit(1) or []
    waiting = [desk.want() for _ in range(4)]
    assert {caller.verdict for caller in waiting} == {WAITING}
    desk.fill_one(claim)
    # The first shares what is idle, the second connects, and the third shares.
    assert [caller.verdict for caller in waiting] == [GRANTED] * 3 + [WAITING]
    assert desk.loads() == [2, 0]


def test_a_filler_who_gives_up_leaves_room() -> None:
    """Before the connect and after it."""
    desk = SharedDesk(2)
    first, second = desk.admit(2) or []
    desk.apply(desk.core.abandon(second, 0.0))
    assert len(desk.place.entries) == 1
    assert first.entry is not None
    first.entry.begun = True
    desk.apply(desk.core.abandon(first, 0.0))
    assert [trunk.state for trunk in desk.closing] == [CLOSING]


def test_what_was_opened_in_vain_is_closed_again() -> None:
    """Now, or when the last caller has left it; what ends by itself is left alone."""
    desk = SharedDesk(5)
    opened = desk.open(3)
    (caller,) = desk.use(0.0)
    used = share_of(caller).trunk
    idle = [trunk for trunk in opened if trunk is not used]
    (connecting,) = desk.admit(1) or []
    assert connecting.entry is not None
    effects = desk.core.retract([*opened, connecting.entry])
    desk.apply(effects)
    assert effects.interrupt == []
    assert desk.closing == idle
    assert {trunk.doomed for trunk in opened} == {IDLENESS}
    assert connecting.entry.doomed == ""
    assert desk.core.retract(idle).close == []
    desk.back(caller)
    assert desk.closing == [*idle, used]
    other = desk.open(1)
    disown(desk.core)
    assert desk.core.retract(other).close == []
    assert other[0].state is FORKED


# -- what takes whose place ----------------------------------------------------------------------------


def break_one(desk: SharedDesk) -> None:
    """One of its connections is broken, and closed."""
    desk.ruin(*desk.use(0.0))
    desk.close(0.0)


def test_what_is_opened_takes_the_place_of_what_is_broken() -> None:
    """Of the one that broke first."""
    desk = SharedDesk(2)
    break_one(desk)
    break_one(desk)
    # The second connect has replaced the first already.
    assert desk.members.broken == ["connection 2"]
    assert desk.core.missing("a", False) == 2
    assert desk.core.missing("a", True) == 1
    desk.open(1)
    assert desk.members.broken == []


def test_what_comes_on_top_leaves_the_broken_to_be_replaced() -> None:
    """As long as there is room for both."""
    desk = SharedDesk(2)
    break_one(desk)
    desk.open(1, extra=True)
    assert desk.members == Members(
        ["connection 2"], ["connection 1"], ["connection 1", "connection 2"], 0, 2
    )
    assert desk.core.missing("a", True) == 1
    desk.open(1, extra=True)
    assert desk.members.broken == []


def test_what_was_overtaken_by_a_clear_replaces_nothing() -> None:
    """It is closed."""
    desk = SharedDesk(1)
    break_one(desk)
    (claim,) = desk.admit(1) or []
    desk.clear("a")
    desk.fill_one(claim)
    assert desk.members.broken == ["connection 1"]


# -- larger --------------------------------------------------------------------------------------------


def test_there_is_room_for_more() -> None:
    """Than there are, broken ones included; what room there was counts."""
    desk = SharedDesk(5)
    desk.core.enlarge("a", 3, 0.0)
    assert desk.members.size == 5
    desk.open(3)
    desk.core.enlarge("a", 2, 0.0)
    assert desk.members.size == 5
    desk.core.enlarge("a", 4, 0.0)
    assert desk.members.size == 7
    break_one(desk)
    desk.core.enlarge("a", 5, 0.0)
    assert desk.members.size == 8
    desk.core.enlarge("b", 9, 0.0)
    assert desk.members.size == 9
    assert desk.core.missing("b", False) == desk.core.missing("b", True) == 0


def test_what_is_closing_is_not_there() -> None:
    """Its place will be free."""
    desk = SharedDesk(1)
    desk.open(1)
    desk.clear("a")
    assert len(desk.closing) == 1
    desk.core.enlarge("a", 1, 0.0)
    assert desk.members.size == 1
    assert desk.core.missing("a", False) == 1


def test_what_others_have_opened_is_taken_over() -> None:
    """It is idle at once, and on top of what is broken."""
    desk = SharedDesk(2)
    break_one(desk)
    effects = Effects()
    claim = desk.core.adopt("a", "theirs", effects, 3.0)
    assert claim is not None
    entry = claim.entry
    assert entry is not None
    assert (entry.connection, entry.begun, entry.state) == ("theirs", True, CONNECTING)
    assert (claim.endpoint, entry.since) == ("a", 3.0)
    desk.apply(desk.core.filled(claim, "service", 4.0))
    assert (entry.state, entry.since, entry.service) == (IDLE, 4.0, "service")
    assert desk.members.all == ["connection 1", "theirs"]
    assert (desk.members.broken, desk.place.created) == (["connection 1"], 2)
    with pytest.raises(ValueError, match=r"^'theirs' is in this pool already$"):
        desk.core.adopt("a", "theirs", effects, 5.0)
    assert len(desk.place.entries) == 1


# -- smaller -------------------------------------------------------------------------------------------


def reduce(desk: SharedDesk, count: int, include_pending: bool = False) -> int:
    removed, effects = desk.core.reduce("a", count, include_pending, 0.0)
    desk.apply(effects)
    return removed


def test_room_goes_first_then_the_broken_then_the_idle() -> None:
    """Of the broken, first those that nobody has any more; of the idle, those that are idle longest."""
    desk = SharedDesk(6)
    callers = [desk.want() for _ in range(5)]
    for caller in callers:
        desk.proceed(caller, 0.0)
    sharing = desk.want(patient=False)
    desk.proceed(sharing, 0.0)
    both = share_of(sharing).trunk.id
    desk.ruin(sharing)
    single = [caller for caller in callers if share_of(caller).trunk.id != both]
    desk.ruin(single[0])
    gone = desk.close(0.0)[0].id
    desk.back(single[1], now=9.0)
    desk.back(single[2], now=8.0)
    desk.back(single[3], now=7.0)
    assert len(desk.place.entries) == 4
    assert reduce(desk, 1) == 1
    assert (desk.members.size, len(desk.members.broken), desk.closing) == (5, 2, [])
    assert reduce(desk, 1) == 1
    assert (list(desk.place.gone), list(desk.place.breaking)) == ([], [both])
    assert gone not in desk.place.entries
    assert reduce(desk, 1) == 1
    assert (desk.members.broken, desk.members.size) == ([], 3)
    assert reduce(desk, 2) == 2
    assert [trunk.since for trunk in desk.closing] == [7.0, 8.0]
    assert desk.closing[0].doomed == IDLENESS
    assert (desk.members.size, len(desk.members.connected)) == (1, 1)
    assert (reduce(desk, 9), desk.members.size) == (1, 0)
    assert (reduce(desk, 1), desk.members.size) == (0, 0)


def test_what_is_used_is_kept_and_the_size_with_it() -> None:
    """Unless they go too: the least loaded first, when their last callers have left."""
    desk = SharedDesk(4)
    callers = [desk.want() for _ in range(3)]
    for caller in callers:
        desk.proceed(caller, 0.0)
    opening = desk.admit(1)
    assert opening is not None
    more = [desk.take("a", 0.0) for _ in range(2)]
    assert sorted(desk.loads()) == [0, 1, 2, 2]
    assert reduce(desk, 4) == 0
    assert desk.members.size == 4
    assert reduce(desk, 1, include_pending=True) == 1
    (drained,) = [trunk for trunk in desk.place.every() if trunk.doomed]
    assert (drained.pending, drained.doomed, desk.members.size) == (1, IDLENESS, 3)
    assert reduce(desk, 5, include_pending=True) == 2
    # What is being opened cannot be removed, and what is on its way out was removed already.
    assert (desk.members.size, reduce(desk, 1, include_pending=True)) == (1, 0)
    assert desk.closing == []
    desk.back(*callers, *more)
    assert len(desk.close(1.0)) == 3
    assert list(desk.place.entries) == [4]


def test_a_connect_in_place_of_a_broken_one_is_one_place_with_it() -> None:
    """It is not removed twice: the size is never less than what stays."""
    desk = SharedDesk(2)
    callers = [desk.want(), desk.want()]
    for caller in callers:
        desk.proceed(caller, 0.0)
    desk.ruin(callers[0])
    desk.close(0.0)
    connecting = desk.want(1.0)
    assert reduce(desk, 1) == 0
    assert (desk.members.size, desk.members.broken) == (2, [])
    desk.proceed(connecting, 1.0)
    desk.back(callers[1], connecting)
    assert (reduce(desk, 1), desk.members.size) == (1, 1)
    assert (reduce(desk, 5), desk.members.size) == (1, 0)
    assert len(desk.closing) == 2


def test_what_is_on_its_way_out_is_as_good_as_room() -> None:
    """It need not be removed once more."""
    desk = SharedDesk(1)
    (holder,) = desk.use(0.0)
    desk.clear("a")
    assert (reduce(desk, 1), desk.members.size, desk.trunk(1).doomed) == (1, 0, STALE)
    desk.back(holder)
    desk.close(0.0)
    assert desk.want().verdict is WAITING


def test_idle_ones_go_before_those_in_use() -> None:
    """Also where those may go."""
    desk = SharedDesk(2)
    desk.open(2)
    (caller,) = desk.use(0.0)
    assert reduce(desk, 1, include_pending=True) == 1
    assert [trunk.state for trunk in desk.closing] == [CLOSING]
    assert share_of(caller).doomed == ""


def test_a_pool_that_nobody_has_used_has_only_room() -> None:
    """There may be none at the end."""
    desk = SharedDesk(3)
    assert desk.core.reduce("b", 2, False, 0.0)[0] == 2
    assert desk.core.reduce("b", 2, False, 0.0)[0] == 1
    assert desk.core.members("b") == Members([], [], [], 0, 0)


def test_whoever_waits_connects_no_more_after_a_reduction() -> None:
    """There is no room for him now."""
    desk = SharedDesk(2, 1)
    (holder,) = desk.use(0.0)
    assert reduce(desk, 1) == 1
    waiting = desk.want()
    assert waiting.entry is None
    desk.back(holder)
    assert waiting.verdict is GRANTED
