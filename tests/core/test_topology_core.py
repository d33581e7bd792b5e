"""What a topology tells, in which order: its life, its checks, who joins and who leaves."""

import pytest
from core.lookout import SET, Lookout, replica_set
from core.servers import drawn, hello

from pool.descriptions import TopologyDescription
from pool.errors import PoolClosedError

# -- open ---------------------------------------------------------------------------------------------


def test_it_opens_with_its_seeds() -> None:
    """The topology, then each server, which is added at once; then what is known, and it is shown."""
    desk = Lookout()
    assert desk.core.open(iter("ab")) is True
    assert desk.told() == [
        "opened",
        "opening a",
        "add a",
        "opening b",
        "add b",
        "UNKNOWN > UNKNOWN a:UNKNOWN b:UNKNOWN",
        "show UNKNOWN a:UNKNOWN b:UNKNOWN",
    ]


def test_it_is_known_as_open_at_once() -> None:
    """But nothing is shown until it was told."""
    desk = Lookout()
    assert (desk.core.is_open, desk.core.is_closed) == (False, False)
    desk.core.open("a")
    assert (desk.core.is_open, desk.core.is_closed) == (True, False)
    assert (desk.decided, desk.shown) == ("UNKNOWN a:UNKNOWN", "UNKNOWN")
    assert desk.core.shown.topology_id == "t"
    desk.told()
    assert desk.shown == "UNKNOWN a:UNKNOWN"
    assert desk.core.shown is desk.core._decided


def test_it_opens_once() -> None:
    """Whoever comes later changes nothing."""
    desk = Lookout("a")
    assert desk.core.open("xyz") is False
    assert desk.told() == []
    assert desk.decided == "UNKNOWN a:UNKNOWN"


def test_it_opens_without_seeds() -> None:
    """They are looked up: there is nothing to tell but that it is open."""
    desk = Lookout()
    desk.core.open("")
    assert desk.told() == ["opened", "show UNKNOWN"]


# -- close --------------------------------------------------------------------------------------------


def test_it_closes_with_its_servers() -> None:
    """Each leaves; then nothing is known any more, and nothing comes after the topology's end."""
    desk = replica_set()
    assert desk.core.close(5.0) is True
    assert desk.told() == [
        "closed a",
        "closed b",
        f"{SET} > UNKNOWN",
        "show UNKNOWN",
        "remove a",
        "remove b",
        "closed",
    ]
    assert (desk.core.is_open, desk.core.is_closed) == (True, True)
    assert desk.core.shown == TopologyDescription("t")


def test_it_closes_once() -> None:
    """Whether it was open or not."""
    for desk in (Lookout("a"), Lookout()):
        assert desk.core.close(5.0) is True
        desk.told()
        assert desk.core.close(6.0) is False
        assert desk.told() == []


def test_one_that_was_never_open_closes_without_events() -> None:
    """It is only shown, for those who wait for a server; and it never opens."""
    desk = Lookout()
    waiter = desk.wait()
    desk.core.close(5.0)
    assert desk.core.begin_speech("me")
    act, _ = desk.core.next_act()
    assert act is not None
    assert (act.what, act.values) == ("show", ())
    assert act.about is desk.core.shown
    assert desk.core.show(act.about) == [waiter]
    assert desk.core.next_act() == (None, [])
    assert desk.core.open("a") is False
    assert (desk.told(), desk.core.is_open) == ([], False)


def test_one_without_servers_closes() -> None:
    """There is nothing new to know, but who waits must see the end."""
    desk = Lookout()
    desk.core.open("")
    desk.told()
    desk.core.close(5.0)
    assert desk.told() == ["show UNKNOWN", "closed"]


def test_a_check_that_goes_on_fails_before_its_server_leaves_with_the_topology() -> None:
    """What has started ends, in every log."""
    desk = Lookout("a")
    desk.begin("a", 1.0)
    desk.core.close(3.0)
    assert desk.told() == [
        "started a",
        "failed a 2.0 s: PoolClosedError('the topology was closed')",
        "closed a",
        "UNKNOWN a:UNKNOWN > UNKNOWN",
        "show UNKNOWN",
        "remove a",
        "closed",
    ]


def test_the_error_of_a_check_that_was_cut_short_is_the_pools() -> None:
    """As operations get it."""
    desk = Lookout("a")
    desk.begin("a", 1.0)
    desk.core.close(3.0)
    desk.core.begin_speech("me")
    errors = []
    act, _ = desk.core.next_act()
    while act is not None:
        errors += [each for each in act.values if isinstance(each, Exception)]
        act, _ = desk.core.next_act()
    assert [type(each) for each in errors] == [PoolClosedError]
    assert drawn(desk.core._decided) == "UNKNOWN"


def test_nothing_is_told_after_the_end() -> None:
    """Whoever comes late, with whatever."""
    desk = replica_set()
    server = desk.begin("a", 20.0)
    other = desk["b"]
    desk.core.close(21.0)
    desk.told()
    desk.core.succeeded(server, hello("PRIMARY"), 0.1, 22.0)
    desk.core.failed(server, OSError(), True, 22.0)
    desk.core.broken_off(server, OSError(), 22.0)
    desk.core.measured(other, 0.1)
    desk.core.reseeded("xyz", 22.0)
    assert desk.core.lost(other, 0, OSError(), None, 22.0) is False
    assert desk.core.demoted(other, 0, OSError(), 22.0) is False
    assert desk.core.begin_check(other, False, 22.0) is None
    assert desk.core.pause(other, 22.0) is None
    assert desk.core.request(None, True) == []
    assert desk.told() == []


# -- a good heartbeat ---------------------------------------------------------------------------------


def test_the_first_answer_makes_its_pool_ready_before_anybody_finds_it() -> None:
    """Then what is known of the server, what is known of all, and that is shown."""
    desk = Lookout("a")
    said = desk.answer("a", "STANDALONE", 1.0)
    assert desk.told() == [
        "started a",
        "succeeded a 0.25 s: STANDALONE",
        "ready a",
        "a UNKNOWN > STANDALONE",
        "UNKNOWN a:UNKNOWN > SINGLE a:STANDALONE",
        "show SINGLE a:STANDALONE",
    ]
    known = desk.core.shown.servers["a"]
    assert known.hello is said
    assert (known.round_trip_time, known.error, known.last_update) == (0.25, None, 1.0)


def test_an_answer_that_is_no_news_is_no_event() -> None:
    """The heartbeat is, and the round-trip time is shown; the pool is ready already."""
    desk = Lookout("a")
    desk.answer("a", "STANDALONE", 1.0, took=1.0)
    desk.told()
    before = desk.core.shown
    desk.answer("a", "STANDALONE", 12.0, took=2.0)
    assert desk.told() == [
        "started a",
        "succeeded a 0.25 s: STANDALONE",
        "show SINGLE a:STANDALONE",
    ]
    assert desk.core.shown == before
    known = desk.core.shown.servers["a"]
    assert known.round_trip_time == pytest.approx(1.2)
    assert known.last_update == 12.0


def test_an_answer_of_another_kind_is_news() -> None:
    """Of the server and the topology; a pool that is ready stays so."""
    desk = replica_set()
    desk.answer("b", "ARBITER", 12.0)
    assert desk.told() == [
        "started b",
        "succeeded b 0.25 s: ARBITER",
        "b SECONDARY > ARBITER",
        f"{SET} > REPLICA_SET_WITH_PRIMARY a:PRIMARY b:ARBITER",
        "show REPLICA_SET_WITH_PRIMARY a:PRIMARY b:ARBITER",
    ]


# -- discovery and removal ----------------------------------------------------------------------------


def test_servers_are_discovered() -> None:
    """The one that tells of them comes first, then each that joins."""
    desk = Lookout("a")
    desk.answer("a", "PRIMARY", 1.0, "a", "b", "c")
    after = "REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN c:UNKNOWN"
    assert desk.told()[2:] == [
        "ready a",
        "a UNKNOWN > PRIMARY",
        "opening b",
        "add b",
        "opening c",
        "add c",
        f"UNKNOWN a:UNKNOWN > {after}",
        f"show {after}",
    ]
    assert desk["b"].generation == 0


def test_servers_that_are_not_named_leave() -> None:
    """After the server that says so; a check that goes on fails. Their pools go when nobody finds them."""
    desk = replica_set()
    gone = desk.begin("b", 11.0)
    desk.answer("a", "PRIMARY", 12.0, "a", "c")
    assert desk.told() == [
        "started b",
        "started a",
        "succeeded a 0.25 s: PRIMARY",
        "a PRIMARY > PRIMARY",
        "opening c",
        "add c",
        "failed b 1.0 s: PoolClosedError('the topology no longer has this server')",
        "closed b",
        f"{SET} > REPLICA_SET_WITH_PRIMARY a:PRIMARY c:UNKNOWN",
        "show REPLICA_SET_WITH_PRIMARY a:PRIMARY c:UNKNOWN",
        "remove b",
    ]
    assert gone.gone
    assert list(desk.core._servers) == ["a", "c"]


def test_one_that_left_without_a_check_has_nothing_that_could_fail() -> None:
    """Its end is told alone."""
    desk = replica_set()
    desk.answer("a", "PRIMARY", 12.0, "a")
    assert desk.told()[2:] == [
        "a PRIMARY > PRIMARY",
        "closed b",
        f"{SET} > REPLICA_SET_WITH_PRIMARY a:PRIMARY",
        "show REPLICA_SET_WITH_PRIMARY a:PRIMARY",
        "remove b",
    ]


def test_one_that_leaves_by_its_own_answer_is_told_of_first() -> None:
    """What it said, then that it goes; its pool was never ready."""
    desk = Lookout("ab")
    server = desk["b"]
    desk.answer("b", "STANDALONE", 1.0)
    assert desk.told() == [
        "started b",
        "succeeded b 0.25 s: STANDALONE",
        "b UNKNOWN > STANDALONE",
        "closed b",
        "UNKNOWN a:UNKNOWN b:UNKNOWN > UNKNOWN a:UNKNOWN",
        "show UNKNOWN a:UNKNOWN",
        "remove b",
    ]
    assert (server.gone, server.ready) == (True, False)


def test_one_that_comes_back_is_another() -> None:
    """What is said of the one before does not count for it."""
    desk = replica_set()
    old = desk["b"]
    desk.answer("a", "PRIMARY", 12.0, "a")
    desk.answer("a", "PRIMARY", 23.0, "a", "b")
    desk.told()
    new = desk["b"]
    assert new is not old
    assert desk.core.lost(old, 0, OSError(), None, 24.0) is False
    assert desk.core.begin_check(old, False, 24.0) is None
    assert desk.core.begin_check(new, False, 24.0) == 0.0


def test_the_seeds_are_looked_up_again() -> None:
    """Who is new joins and who is not named leaves, as by an answer."""
    desk = Lookout("ab")
    desk.begin("a", 1.0)
    desk.core.reseeded(iter("bc"), 2.5)
    assert desk.told() == [
        "started a",
        "opening c",
        "add c",
        "failed a 1.5 s: PoolClosedError('the topology no longer has this server')",
        "closed a",
        "UNKNOWN a:UNKNOWN b:UNKNOWN > UNKNOWN b:UNKNOWN c:UNKNOWN",
        "show UNKNOWN b:UNKNOWN c:UNKNOWN",
        "remove a",
    ]


def test_seeds_that_are_the_same_are_no_news() -> None:
    """Nothing is told of."""
    desk = Lookout("ab")
    desk.core.reseeded("ab", 2.0)
    assert desk.told() == ["show UNKNOWN a:UNKNOWN b:UNKNOWN"]


def test_seeds_mean_nothing_before_it_is_open() -> None:
    """Nor later, when it is closed."""
    desk = Lookout()
    desk.core.reseeded("ab", 2.0)
    assert (desk.told(), desk.decided) == ([], "UNKNOWN")
    desk = Lookout("a")
    desk.core.close(1.0)
    desk.told()
    desk.core.reseeded("ab", 2.0)
    assert (desk.told(), desk.decided) == ([], "UNKNOWN")
