"""Hold-and-wait: when callers wait for each other, and when they only seem to."""

from itertools import pairwise

import pytest
from core.desk import Desk
from core.knots import held_up_by, is_stuck

from pool._core.deadlock import Knot, find_knot
from pool._core.records import Entry
from pool._core.states import GONE, WAITING


def knot(desk: Desk, endpoint: str, by: str | None = None) -> Knot | None:
    """The knot in which those are who hold what an endpoint's callers wait for."""
    core, home = desk.core, desk.home(endpoint)
    everywhere = len(home.entries) < core._max_size
    homes = core._blockers(home)
    found = find_knot(homes, everywhere, core._waiting, core._blockers, by)
    stuck = is_stuck(core, home) and (by is None or by in held_up_by(core, home))
    assert (found is not None) == stuck, "the slow way says otherwise"
    return found


def wait(desk: Desk, endpoint: str, owner: str) -> None:
    assert desk.ask(endpoint, 1.0, owner).verdict is WAITING


def test_one_who_holds_all_waits_for_himself() -> None:
    """He needs one more than there are."""
    desk = Desk(max_size=2)
    desk.lease("a", 0.0, "ann")
    desk.lease("a", 0.0, "ann")
    wait(desk, "a", "ann")
    assert knot(desk, "a", "ann") == Knot(1, 2, False)
    assert Knot(1, 2, False).needed() == 3


def test_each_holds_some_and_waits_for_more() -> None:
    """The knot is drawn by the last of them."""
    desk = Desk(max_size=2)
    desk.lease("a", 0.0, "ann")
    desk.lease("a", 0.0, "bob")
    wait(desk, "a", "ann")
    assert knot(desk, "a") is None
    wait(desk, "a", "bob")
    assert knot(desk, "a") == Knot(2, 1, False)
    assert Knot(2, 1, False).needed() == 3


def test_it_counts_the_one_who_holds_most() -> None:
    """The room that is needed goes by him."""
    desk = Desk(max_size=3)
    desk.lease("a", 0.0, "ann")
    desk.lease("a", 0.0, "bob")
    desk.lease("a", 0.0, "bob")
    wait(desk, "a", "ann")
    wait(desk, "a", "bob")
    assert knot(desk, "a") == Knot(2, 2, False)


def test_a_holder_at_work_unties_it() -> None:
    """He will give back what he holds."""
    desk = Desk(max_size=2)
    desk.lease("a", 0.0, "ann")
    desk.lease("a", 0.0, "bob")
    wait(desk, "a", "ann")
    wait(desk, "a", "carl")
    assert knot(desk, "a") is None


@pytest.mark.parametrize("ring", [("a", "b"), ("a", "b", "c"), tuple("abcdef")])
def test_it_may_go_round_several_endpoints(ring: tuple[str, ...]) -> None:
    """Each holds the one and waits for the next."""
    desk = Desk(max_size=1)
    for endpoint in ring:
        desk.lease(endpoint, 0.0, f"holder of {endpoint}")
    for endpoint, following in pairwise(ring):
        wait(desk, following, f"holder of {endpoint}")
        assert knot(desk, following) is None
    wait(desk, ring[0], f"holder of {ring[-1]}")
    for endpoint in ring:
        assert knot(desk, endpoint) == Knot(1, 1, False)


def test_a_line_that_ends_with_somebody_at_work_is_no_knot() -> None:
    """Though all holders at the endpoint itself wait."""
    desk = Desk(max_size=1)
    desk.lease("a", 0.0, "ann")
    desk.lease("b", 0.0, "bob")
    desk.lease("c", 0.0, "carl")
    wait(desk, "b", "ann")
    wait(desk, "c", "bob")
    wait(desk, "a", "dora")
    assert knot(desk, "a") is None


def test_a_line_that_ends_in_a_knot_is_stuck() -> None:
    """Whoever waits for those who wait for each other waits for ever, but is no part of it."""
    desk = Desk(max_size=1)
    desk.lease("a", 0.0, "ann")
    desk.lease("b", 0.0, "bob")
    wait(desk, "b", "ann")
    wait(desk, "b", "bob")
    wait(desk, "a", "carl")
    assert knot(desk, "a") == Knot(1, 1, False)
    assert knot(desk, "a", "carl") is None
    assert knot(desk, "a", "ann") is not None


def test_who_waits_at_two_endpoints_is_stuck_at_both_or_not_at_all() -> None:
    """If one of them can serve him he goes on."""
    desk = Desk(max_size=1)
    desk.lease("a", 0.0, "ann")
    desk.lease("b", 0.0, "bob")
    wait(desk, "a", "ann")
    wait(desk, "b", "ann")
    assert knot(desk, "a") is None
    wait(desk, "a", "bob")
    assert knot(desk, "a") is not None


def test_where_the_pool_is_full_all_endpoints_count() -> None:
    """Room anywhere would do, so whoever is at work anywhere unties it."""
    desk = Desk(max_size=2, total_max_size=2)
    desk.lease("a", 0.0, "ann")
    desk.lease("b", 0.0, "bob")
    wait(desk, "b", "ann")
    assert knot(desk, "b") is None
    wait(desk, "a", "bob")
    assert knot(desk, "b") == Knot(2, 1, True)
    assert knot(desk, "a") == Knot(2, 1, True)


def test_a_full_endpoint_in_a_full_pool_is_stuck_by_itself() -> None:
    """Room elsewhere would not help those who wait there."""
    desk = Desk(max_size=1, total_max_size=2)
    desk.lease("a", 0.0, "ann")
    desk.lease("b", 0.0, "bob")
    wait(desk, "a", "ann")
    assert knot(desk, "a") == Knot(1, 1, False)


@pytest.mark.parametrize("doing", ["connecting", "closing", "releasing", "checking"])
def test_what_is_not_leased_unties_it(doing: str) -> None:
    """It will be free, or its place will, without anybody's help."""
    desk = Desk(max_size=2, max_connecting=1, health_check_interval=1.0)
    other = desk.lease("a", 0.0, "bob")
    desk.lease("a", 0.0, "ann")
    if doing == "connecting":
        desk.discard(other, 0.0)
        desk.close(0.0)
        desk.ask("a", 0.0, "bob")
    elif doing == "closing":
        desk.discard(other, 0.0)
    elif doing == "releasing":
        released = desk.core.end(other, 0.0)
        assert released is not None
    else:
        desk.give_back(other, 0.0)
        checks = desk.chores(5.0).checks
        assert len(checks) == 1
    wait(desk, "a", "ann")
    assert knot(desk, "a") is None


def test_the_last_to_wait_is_told() -> None:
    """With the decision that draws the knot, and only he whose lease is part of it."""
    desk = Desk(max_size=2)
    desk.lease("a", 0.0, "ann")
    desk.lease("a", 0.0, "bob")
    told = []
    for owner in ("ann", "carl", "bob", "dora"):
        caller = desk.new("a")
        caller.owner = owner
        told.append(desk.core.request(caller, 1.0, True).deadlock)
    assert told == [None, None, Knot(2, 1, False), None]


def test_who_no_longer_waits_is_no_part_of_it() -> None:
    """Who gave up is at work again."""
    desk = Desk(max_size=1)
    desk.lease("a", 0.0, "ann")
    caller = desk.ask("a", 1.0, "ann")
    assert knot(desk, "a") is not None
    desk.apply(desk.core.abandon(caller, 2.0))
    wait(desk, "a", "bob")
    assert knot(desk, "a") is None
    assert list(desk.core._waiting) == ["bob"]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Knot(1, 1, False), ["the caller that holds", "2 leases", "max_size >= 2"]),
        (Knot(3, 2, False), ["each of the 3 callers", "3 leases each", "max_size >= 7"]),
        (Knot(2, 1, True), ["total_max_size >= 3"]),
        (Knot(2, 1, False, 5), ["max_size >= 3", "total_max_size >= 5"]),
    ],
)
def test_it_says_what_is_needed(found: Knot, words: list[str]) -> None:
    """Who holds, what they need, and the options with which one of them could go on."""
    assert all(word in str(found) for word in ["hold-and-wait deadlock", *words])


def test_what_nobody_can_be_asked_about_unties_it() -> None:
    """In the middle of a garbage collection the reference to a lost one is cut: it will come back."""
    desk = Desk(max_size=2)
    holders = [desk.lease("a", 0.0, "ann") for _ in range(2)]
    wait(desk, "a", "ann")
    lost = Entry(desk.home("a"), 99, 0.0)
    cut = lost.ref
    lost.state = GONE
    del lost
    assert cut() is None
    entry = holders[1].entry
    assert entry is not None
    desk.home("a").entries[entry.id] = cut
    core = desk.core
    assert find_knot([desk.home("a")], False, core._waiting, core._blockers) is None
