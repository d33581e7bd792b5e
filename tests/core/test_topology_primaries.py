"""What a topology tells of primaries that are stale, and of those that are unseated."""

from core.lookout import Lookout, replica_set

from pool._core.discovery import StalePrimaryError


def test_a_stale_primary_is_not_made_ready() -> None:
    """It is told of with the reason, as what it is: unknown. Its connections are stale too."""
    desk = Lookout("ab")
    desk.answer("a", "PRIMARY", 1.0, term=5)
    desk.told()
    desk.answer("b", "PRIMARY", 1.0, term=4)
    after = "REPLICA_SET_WITH_PRIMARY a:PRIMARY/5 b:UNKNOWN"
    reason = "StalePrimaryError('its term is 4, and 5 was seen')"
    assert desk.told() == [
        "started b",
        "succeeded b 0.25 s: PRIMARY",
        f"b UNKNOWN > UNKNOWN {reason}",
        f"{after} > {after}",
        f"show {after}",
        "clear b",
    ]
    server = desk["b"]
    assert (server.ready, server.generation, server.average) == (False, 1, None)
    assert not server.requested


def test_a_primary_that_stays_stale_is_no_news() -> None:
    """Nothing is cleared again, and nothing measured is kept: as long as it is unknown."""
    desk = Lookout("ab")
    desk.answer("a", "PRIMARY", 1.0, term=5)
    for now in (1.0, 12.0):
        desk.told()
        desk.answer("b", "PRIMARY", now, term=4)
    assert desk.told() == [
        "started b",
        "succeeded b 0.25 s: PRIMARY",
        "show REPLICA_SET_WITH_PRIMARY a:PRIMARY/5 b:UNKNOWN",
    ]
    assert (desk["b"].generation, desk["b"].average) == (1, None)


def test_a_primary_that_became_stale_is_cleared() -> None:
    """It was ready; what it has done since it lost its seat is worth nothing."""
    desk = replica_set(term=5)
    desk.answer("a", "PRIMARY", 12.0, term=4)
    after = "REPLICA_SET_NO_PRIMARY a:UNKNOWN b:SECONDARY"
    reason = "StalePrimaryError('its term is 4, and 5 was seen')"
    assert desk.told()[2:] == [
        f"a PRIMARY > UNKNOWN {reason}",
        f"REPLICA_SET_WITH_PRIMARY a:PRIMARY/5 b:SECONDARY > {after}",
        f"show {after}",
        "clear a",
    ]
    assert (desk["a"].ready, desk["a"].average) == (False, None)


def test_a_primary_is_unseated() -> None:
    """The new one is made ready and told of first; the old one is cleared when it is shown, and asked."""
    desk = replica_set("abc", term=1)
    desk.answer("c", "PRIMARY", 2.0, term=2)
    before = "REPLICA_SET_WITH_PRIMARY a:PRIMARY/1 b:SECONDARY c:UNKNOWN"
    after = "REPLICA_SET_WITH_PRIMARY a:UNKNOWN b:SECONDARY c:PRIMARY/2"
    reason = repr(StalePrimaryError("'c' is the primary now, with the term 2"))
    assert desk.told() == [
        "started c",
        "succeeded c 0.25 s: PRIMARY",
        "ready c",
        "c UNKNOWN > PRIMARY",
        f"a PRIMARY > UNKNOWN {reason}",
        f"{before} > {after}",
        f"show {after}",
        "clear a",
        "break a",
    ]
    old = desk["a"]
    assert (old.ready, old.generation, old.average, old.requested) == (False, 1, None, True)
    assert (desk["b"].generation, desk["c"].generation) == (0, 0)
    assert not desk["b"].requested


def test_an_unseated_primary_may_come_back_as_a_secondary() -> None:
    """Its pool is made ready again, and its times are measured anew."""
    desk = replica_set("abc", term=1)
    desk.answer("c", "PRIMARY", 2.0, term=2)
    desk.told()
    desk.answer("a", "SECONDARY", 3.0, took=0.5)
    assert desk.told()[2:4] == ["ready a", "a UNKNOWN > SECONDARY"]
    known = desk.core.shown.servers["a"]
    assert (known.round_trip_time, desk["a"].generation) == (0.5, 1)
