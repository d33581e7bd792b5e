"""What a second look at the seeds makes of what is known."""

import pytest
from core.servers import drawn, server, topology

from pool._core.discovery import begun, reseeded, updated

#: Before, the addresses, and after; nobody tells hosts.
TABLE = [
    ("UNKNOWN a:UNKNOWN b:UNKNOWN", "bc", "UNKNOWN b:UNKNOWN c:UNKNOWN"),
    ("UNKNOWN", "ab", "UNKNOWN a:UNKNOWN b:UNKNOWN"),
    ("SINGLE a:STANDALONE", "bc", "SINGLE a:STANDALONE"),
    ("LOAD_BALANCED a:LOAD_BALANCER", "bc", "LOAD_BALANCED a:LOAD_BALANCER"),
    ("SHARDED a:ROUTER b:ROUTER", "bc", "SHARDED b:ROUTER c:UNKNOWN"),
    ("SHARDED a:ROUTER b:UNKNOWN", "bc", "SHARDED b:UNKNOWN c:UNKNOWN"),
    (
        "REPLICA_SET_NO_PRIMARY a:SECONDARY b:SECONDARY",
        "bc",
        "REPLICA_SET_NO_PRIMARY b:SECONDARY c:UNKNOWN",
    ),
    (
        "REPLICA_SET_WITH_PRIMARY a:PRIMARY b:SECONDARY",
        "cba",
        "REPLICA_SET_WITH_PRIMARY c:UNKNOWN b:SECONDARY a:PRIMARY",
    ),
    (
        "REPLICA_SET_WITH_PRIMARY a:PRIMARY b:SECONDARY",
        "bc",
        "REPLICA_SET_NO_PRIMARY b:SECONDARY c:UNKNOWN",
    ),
]


@pytest.mark.parametrize(("before", "addresses", "after"), TABLE)
def test_the_seeds_are_the_members_as_far_as_nobody_knows_better(
    before: str, addresses: str, after: str
) -> None:
    """Whoever stays is known as before; a single server and a load balancer are what was asked for."""
    old = topology(before)
    new = reseeded(old, iter(addresses))
    assert drawn(new) == after
    for address, known in new.servers.items():
        assert address not in old.servers or known is old.servers[address]


@pytest.mark.parametrize("before", sorted({before for before, _, _ in TABLE}))
def test_an_empty_answer_changes_nothing(before: str) -> None:
    """Better old servers than none."""
    known = topology(before)
    assert reseeded(known, []) is known


@pytest.mark.parametrize("kind", ["PRIMARY", "SECONDARY", "ARBITER", "OTHER"])
def test_members_that_tell_hosts_know_better(kind: str) -> None:
    """Then nothing changes, whoever it is that tells."""
    known = updated(begun("t", "ab"), server(f"b:{kind}", "a", "b"))
    assert reseeded(known, "xyz") is known


def test_routers_that_tell_hosts_do_not_know_better() -> None:
    """Those are not the members of the topology."""
    known = updated(begun("t", "a"), server("a:ROUTER", "x"))
    assert drawn(reseeded(known, "ab")) == "SHARDED a:ROUTER b:UNKNOWN"


def test_one_address_that_is_named_twice_is_one() -> None:
    """As at the beginning."""
    known = reseeded(begun("t", "a"), "bbc")
    assert (drawn(known), known.seeds) == ("UNKNOWN b:UNKNOWN c:UNKNOWN", 2)


def test_the_number_of_seeds_is_that_of_the_last_look_until_the_first_answer() -> None:
    """Whether a standalone is alone depends on that."""
    known = reseeded(begun("t", "abc"), "a")
    assert known.seeds == 1
    known = updated(known, server("a:STANDALONE"))
    assert drawn(known) == "SINGLE a:STANDALONE"
    known = reseeded(updated(begun("t", "ab"), server("a:ROUTER")), "abc")
    assert known.seeds == 2


def test_reseeding_keeps_name_and_term() -> None:
    """It is the same set."""
    before = topology("REPLICA_SET_NO_PRIMARY a:SECONDARY", set_name="rs", max_term=7)
    known = reseeded(before, "ab")
    assert (known.topology_id, known.set_name, known.max_term) == ("t", "rs", 7)
