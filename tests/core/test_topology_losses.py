"""What a topology tells when a server fails, changes or is lost, and which generation counts."""

from core.lookout import SET, Lookout, replica_set
from core.servers import hello

ALONE = "SINGLE a:STANDALONE"


def alone() -> Lookout:
    """A single server, which is known. All was told."""
    desk = Lookout("a")
    desk.answer("a", "STANDALONE", 1.0)
    desk.told()
    return desk


def balanced() -> Lookout:
    """A load balancer, which is known. All was told."""
    desk = Lookout("a")
    desk.answer("a", "LOAD_BALANCER", 1.0, service_id="s")
    desk.told()
    return desk


# -- a bad heartbeat ----------------------------------------------------------------------------------


def test_a_server_that_was_known_fails() -> None:
    """It is unknown and shown so before its pool is cleared; it is tried again at once, for once."""
    desk = alone()
    server = desk.fail("a", 12.0)
    assert desk.told() == [
        "started a",
        "failed a 0.25 s: OSError('refused')",
        "a STANDALONE > UNKNOWN OSError('refused')",
        f"{ALONE} > SINGLE a:UNKNOWN",
        "show SINGLE a:UNKNOWN",
        "clear a",
    ]
    assert (server.ready, server.generation, server.average) == (False, 1, None)
    known = desk.core.shown.servers["a"]
    assert (known.last_update, known.round_trip_time, known.hello) == (12.0, None, None)
    assert desk.core.pause(server, 12.0) == 0.0
    desk.fail("a", 12.25)
    assert desk.core.pause(server, 12.25) == 10.0


def test_a_server_that_was_unknown_fails() -> None:
    """The error is news, and its pool is cleared, but there is no hurry."""
    desk = Lookout("a")
    server = desk.fail("a", 1.0)
    assert desk.told() == [
        "started a",
        "failed a 0.25 s: OSError('refused')",
        "a UNKNOWN > UNKNOWN OSError('refused')",
        "UNKNOWN a:UNKNOWN > UNKNOWN a:UNKNOWN",
        "show UNKNOWN a:UNKNOWN",
        "clear a",
    ]
    assert (server.ready, server.generation) == (False, 1)
    assert desk.core.pause(server, 1.0) == 10.0


def test_the_same_failure_again_is_no_news() -> None:
    """But another one is."""
    desk = Lookout("a")
    desk.fail("a", 1.0)
    desk.told()
    desk.fail("a", 12.0)
    assert desk.told() == [
        "started a",
        "failed a 0.25 s: OSError('refused')",
        "show UNKNOWN a:UNKNOWN",
        "clear a",
    ]
    desk.fail("a", 23.0, error="reset")
    assert desk.told()[2] == "a UNKNOWN > UNKNOWN OSError('reset')"


def test_a_failure_may_break_what_is_in_use() -> None:
    """If nothing comes from there any more."""
    desk = alone()
    desk.fail("a", 12.0, interrupt=True)
    assert desk.told()[-1] == "clear a and interrupt"


def test_a_primary_that_fails_is_missing() -> None:
    """Then there is none; the others are as they were."""
    desk = replica_set()
    desk.fail("a", 12.0)
    after = "REPLICA_SET_NO_PRIMARY a:UNKNOWN b:SECONDARY"
    assert desk.told()[2:] == [
        "a PRIMARY > UNKNOWN OSError('refused')",
        f"{SET} > {after}",
        f"show {after}",
        "clear a",
    ]
    assert desk["b"].generation == 0


def test_one_that_answers_again_is_made_ready_again() -> None:
    """Once for each time that it was cleared; its times are measured anew."""
    desk = alone()
    desk.fail("a", 12.0)
    desk.told()
    desk.answer("a", "STANDALONE", 12.25, took=0.5)
    assert desk.told() == [
        "started a",
        "succeeded a 0.25 s: STANDALONE",
        "ready a",
        "a UNKNOWN > STANDALONE",
        "SINGLE a:UNKNOWN > SINGLE a:STANDALONE",
        "show SINGLE a:STANDALONE",
    ]
    assert desk.core.shown.servers["a"].round_trip_time == 0.5


def test_an_answer_without_a_check_means_nothing() -> None:
    """The check has ended, in one way or another."""
    desk = alone()
    server = desk["a"]
    desk.core.succeeded(server, hello("ROUTER"), 0.1, 2.0)
    desk.core.failed(server, OSError(), False, 2.0)
    desk.core.broken_off(server, OSError(), 2.0)
    assert desk.told() == []
    assert (server.ended, server.generation, server.retry) == (1.0, 0, False)
    assert server.average == 0.25


# -- a check that was broken off ----------------------------------------------------------------------


def test_a_check_that_was_broken_off_says_nothing_of_the_server() -> None:
    """It has failed, and is made again at once; nothing is cleared."""
    desk = alone()
    server = desk.begin("a", 12.0, can_wait=True)
    desk.core.broken_off(server, OSError("broken off"), 14.0)
    assert desk.told() == [
        "started a awaited",
        "failed a 2.0 s awaited: OSError('broken off')",
    ]
    assert (server.checking, server.ended, server.generation) == (None, 14.0, 0)
    assert (server.ready, server.average) == (True, 0.25)
    assert desk.core.pause(server, 14.0) == 0.0
    desk.begin("a", 14.0)
    assert not server.retry


# -- a connection that broke --------------------------------------------------------------------------


def lose(desk: Lookout, address: str, generation: int, service: object = None) -> bool:
    return desk.core.lost(desk[address], generation, OSError("reset"), service, 5.0)


def test_a_connection_broke() -> None:
    """Its server is unknown and shown so, then cleared, then asked as soon as may be."""
    desk = alone()
    assert lose(desk, "a", 0) is True
    assert desk.told() == [
        "a STANDALONE > UNKNOWN OSError('reset')",
        f"{ALONE} > SINGLE a:UNKNOWN",
        "show SINGLE a:UNKNOWN",
        "clear a",
        "break a",
    ]
    server = desk["a"]
    assert (server.ready, server.generation, server.average) == (False, 1, None)
    assert (server.requested, server.retry) == (True, False)
    known = desk.core.shown.servers["a"]
    assert (repr(known.error), known.last_update) == ("OSError('reset')", 5.0)


def test_a_connection_of_before_a_clear_says_nothing_of_now() -> None:
    """Though it broke; the next one that is of now does."""
    desk = alone()
    assert lose(desk, "a", 0) is True
    desk.told()
    assert lose(desk, "a", 0) is False
    assert desk.told() == []
    assert desk["a"].generation == 1
    assert lose(desk, "a", 1) is True
    assert desk["a"].generation == 2


def test_to_lose_one_that_is_lost_is_no_news() -> None:
    """Its pool is cleared again all the same: its connections are of now."""
    desk = alone()
    lose(desk, "a", 0)
    desk.told()
    assert lose(desk, "a", 1) is True
    assert desk.told() == ["show SINGLE a:UNKNOWN", "clear a", "break a"]


def test_a_connection_to_one_that_has_left_says_nothing() -> None:
    """Even if it is of its last generation."""
    desk = replica_set()
    gone = desk["b"]
    desk.answer("a", "PRIMARY", 12.0, "a")
    desk.told()
    assert desk.core.lost(gone, 0, OSError(), None, 13.0) is False
    assert desk.core.demoted(gone, 0, OSError(), 13.0) is False
    assert desk.told() == []
    assert (gone.generation, gone.requested) == (0, False)


def test_a_connection_behind_a_load_balancer_broke() -> None:
    """The balancer is well, and so are the other services: only that one's connections are cleared."""
    desk = balanced()
    assert lose(desk, "a", 0, "s") is True
    assert desk.told() == ["clear a service s"]
    server = desk["a"]
    assert (server.ready, server.generation, server.requested) == (True, 0, False)
    assert desk.decided == "LOAD_BALANCED a:LOAD_BALANCER"


def test_a_service_that_is_not_known_cannot_be_cleared() -> None:
    """What broke behind a load balancer before it said where it led to."""
    desk = balanced()
    assert lose(desk, "a", 0, None) is True
    assert desk.told() == []
    assert lose(desk, "a", 1, "s") is False
    assert desk.told() == []


def test_a_service_means_nothing_without_a_load_balancer() -> None:
    """The whole server is cleared."""
    desk = alone()
    assert lose(desk, "a", 0, "s") is True
    assert desk.told()[-2:] == ["clear a", "break a"]


# -- a server that is no longer what it was -----------------------------------------------------------


def demote(desk: Lookout, address: str, generation: int = 0) -> bool:
    return desk.core.demoted(desk[address], generation, OSError("not primary"), 5.0)


def test_a_primary_says_that_it_is_none() -> None:
    """It is unknown and asked as soon as may be; its connections are well, and its pool stays ready."""
    desk = replica_set()
    assert demote(desk, "a") is True
    after = "REPLICA_SET_NO_PRIMARY a:UNKNOWN b:SECONDARY"
    assert desk.told() == [
        "a PRIMARY > UNKNOWN OSError('not primary')",
        f"{SET} > {after}",
        f"show {after}",
        "break a",
    ]
    server = desk["a"]
    assert (server.ready, server.generation, server.requested) == (True, 0, True)
    assert server.average is None
    assert desk.core.shown.servers["a"].last_update == 5.0
    desk.answer("a", "SECONDARY", 6.0)
    assert "ready a" not in desk.told()


def test_what_it_said_before_a_clear_does_not_count() -> None:
    """It may be the primary again."""
    desk = replica_set()
    lose(desk, "a", 0)
    desk.told()
    assert demote(desk, "a", 0) is False
    assert desk.told() == []
    assert demote(desk, "a", 1) is True


def test_a_service_behind_a_load_balancer_says_that_it_is_not_what_it_was() -> None:
    """The balancer is what it was; it is asked."""
    desk = balanced()
    assert demote(desk, "a") is True
    assert desk.told() == ["break a"]
    assert desk["a"].requested
    assert desk.decided == "LOAD_BALANCED a:LOAD_BALANCER"


# -- what a probe has measured ------------------------------------------------------------------------


def test_what_was_measured_is_shown() -> None:
    """As a part of the average; nothing else changes, and there are no events."""
    desk = alone()
    before = desk.core.shown
    desk.core.measured(desk["a"], 1.5)
    assert desk.told() == [f"show {ALONE}"]
    assert desk.core.shown == before
    known, old = desk.core.shown.servers["a"], before.servers["a"]
    assert (known.round_trip_time, desk["a"].average) == (0.5, 0.5)
    assert (known.hello, known.last_update) == (old.hello, old.last_update)
    assert old.round_trip_time == 0.25


def test_nothing_is_measured_of_one_that_is_unknown() -> None:
    """Its times begin with its next answer."""
    desk = alone()
    lose(desk, "a", 0)
    desk.told()
    desk.core.measured(desk["a"], 1.5)
    assert (desk.told(), desk["a"].average) == ([], None)


def test_nothing_is_measured_of_one_that_has_left() -> None:
    """Nor added to the topology again."""
    desk = replica_set()
    gone = desk["b"]
    desk.answer("a", "PRIMARY", 12.0, "a")
    desk.told()
    desk.core.measured(gone, 1.5)
    assert (desk.told(), gone.average) == ([], 0.25)


def test_to_measure_a_primary_brings_nobody_back() -> None:
    """It has named one of another set, which has left since: what it said is not said once more."""
    desk = replica_set("ab", "a", "b")
    desk.answer("b", "STANDALONE", 12.0)
    desk.told()
    desk.core.measured(desk["a"], 1.5)
    assert desk.told() == ["show REPLICA_SET_WITH_PRIMARY a:PRIMARY"]
    assert desk.decided == "REPLICA_SET_WITH_PRIMARY a:PRIMARY"


def test_to_measure_a_secondary_brings_nobody_back() -> None:
    """It has named one that its primary did not name, before that failed."""
    desk = Lookout("ab")
    desk.answer("b", "SECONDARY", 1.0, "a", "b", "c")
    desk.answer("a", "PRIMARY", 1.0, "a", "b")
    desk.fail("a", 12.0)
    desk.told()
    desk.core.measured(desk["b"], 1.5)
    assert desk.told() == ["show REPLICA_SET_NO_PRIMARY a:UNKNOWN b:SECONDARY"]
