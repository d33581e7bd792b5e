"""Who waits for a server, who chooses one, and how many have."""

from core.books import Waiter
from core.lookout import Lookout, replica_set

from pool.descriptions import ServerDescription


def servers(desk: Lookout) -> list[ServerDescription]:
    return list(desk.core.shown.servers.values())


# -- waiting ------------------------------------------------------------------------------------------


def test_the_first_who_finds_none_rings_all_monitors() -> None:
    """The others need not; once everybody is content the next one is the first again."""
    desk = Lookout("ab")
    assert desk.core.want() == [desk["a"], desk["b"]]
    assert desk.core.want() == []
    desk.core.content()
    assert desk.core.want() == []
    desk.core.content()
    desk.core.content()
    assert desk.core.want() == [desk["a"], desk["b"]]


def test_who_has_not_seen_what_is_shown_need_not_wait() -> None:
    """It is the description itself that counts: one that is equal may differ in its times."""
    desk = Lookout("a")
    desk.answer("a", "STANDALONE", 1.0)
    desk.told()
    seen = desk.core.shown
    desk.answer("a", "STANDALONE", 12.0)
    assert desk.core.linger(Waiter(), seen) is True
    desk.told()
    assert desk.core.shown == seen
    assert desk.core.linger(Waiter(), seen) is False


def test_what_is_decided_does_not_count_until_it_is_shown() -> None:
    """Who waits is told then, and all who do; once."""
    desk = Lookout("a")
    one, other = desk.wait(), desk.wait()
    desk.answer("a", "STANDALONE", 1.0)
    waiters = []
    assert desk.core.begin_speech("me")
    act, _ = desk.core.next_act()
    while act is not None:
        if act.what == "show":
            assert desk.shown == "UNKNOWN a:UNKNOWN"
            waiters += desk.core.show(act.about)
        act, _ = desk.core.next_act()
    assert waiters == [one, other]
    assert desk.shown == "SINGLE a:STANDALONE"
    # They look again.
    assert desk.core.show(desk.core.shown) == []


def test_nobody_waits_for_what_is_closed() -> None:
    """Though the end was not shown yet."""
    desk = Lookout("a")
    seen = desk.core.shown
    desk.core.close(1.0)
    assert desk.core.shown is seen
    assert desk.core.linger(Waiter(), seen) is False
    desk.told()
    assert desk.core.linger(Waiter(), desk.core.shown) is False


def test_who_does_not_wait_any_more_is_not_told() -> None:
    """That he leaves twice, or never waited, is no mistake."""
    desk = Lookout("a")
    waiter = desk.wait()
    desk.core.desert(waiter)
    desk.core.desert(waiter)
    desk.core.desert(Waiter())
    assert desk.core.show(desk.core.shown) == []


def test_who_could_not_wait_is_not_told() -> None:
    """He has looked again instead."""
    desk = Lookout("a")
    assert desk.core.linger(Waiter(), Lookout("a").core.shown) is False
    assert desk.core.show(desk.core.shown) == []


# -- choosing -----------------------------------------------------------------------------------------


def test_an_operation_counts_for_the_server_that_it_has_chosen() -> None:
    """Until it is over."""
    desk = replica_set()
    a, b = servers(desk)
    assert desk.core.choose([a]) == (desk["a"], 0)
    assert desk.core.choose([a]) == (desk["a"], 0)
    assert desk.core.choose([b]) == (desk["b"], 0)
    assert (desk.core.load("a"), desk.core.load("b")) == (2, 1)
    desk.core.finished(desk["a"])
    assert (desk.core.load("a"), desk.core.load("b")) == (1, 1)
    desk.core.finished(desk["a"])
    assert desk.core.load("a") == 0


def test_one_that_is_no_member_has_no_operations() -> None:
    """Nobody can choose it."""
    assert Lookout("a").core.load("z") == 0


def test_the_less_loaded_of_two_is_chosen() -> None:
    """By the numbers that are drawn, and by what goes on."""
    desk = Lookout("abc", lots=[0.0, 0.0, 0.0, 0.0, 0.0, 0.9, 0.9, 0.9])
    for each in "abc":
        desk.answer(each, "ROUTER", 1.0)
    desk.told()
    chosen = []
    for _ in range(4):
        found = desk.core.choose(servers(desk))
        assert found is not None
        chosen.append(found[0].address)
    # Drawn: a and b, a and b, a and c, c and b.
    assert chosen == ["a", "b", "c", "c"]
    assert [desk.core.load(each) for each in "abc"] == [1, 1, 2]


def test_who_chooses_learns_the_generation() -> None:
    """So that what he says later counts for that one."""
    desk = replica_set()
    desk.core.lost(desk["b"], 0, OSError(), None, 5.0)
    assert desk.core.choose([servers(desk)[1]]) == (desk["b"], 1)


def test_one_that_has_left_cannot_be_chosen() -> None:
    """Though it is shown until that was told; nothing is counted."""
    desk = replica_set()
    gone, known = desk["b"], servers(desk)[1]
    desk.answer("a", "PRIMARY", 12.0, "a")
    assert desk.core.choose([known]) is None
    assert gone.operations == 0


def test_an_operation_outlives_its_server() -> None:
    """It is over for that one, and not for the one that came in its place."""
    desk = replica_set()
    assert desk.core.choose([servers(desk)[1]]) is not None
    gone = desk["b"]
    desk.answer("a", "PRIMARY", 12.0, "a")
    desk.answer("a", "PRIMARY", 23.0, "a", "b")
    desk.told()
    desk.core.finished(gone)
    assert (gone.operations, desk.core.load("b")) == (0, 0)
