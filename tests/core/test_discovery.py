"""What the answer of one server makes of what is known: the table of the specification, cell by cell."""

import pytest
from core.servers import drawn, hello, server, topology

from pool._core.discovery import StalePrimaryError, begun, updated
from pool.descriptions import ServerDescription, ServerType, TopologyDescription, TopologyType

#: Before, the answer, and after. Nobody tells hosts.
CELLS = """
UNKNOWN a:UNKNOWN | a:UNKNOWN | UNKNOWN a:UNKNOWN
UNKNOWN a:UNKNOWN | a:STANDALONE | SINGLE a:STANDALONE
UNKNOWN a:UNKNOWN | a:PRIMARY | REPLICA_SET_WITH_PRIMARY a:PRIMARY
UNKNOWN a:UNKNOWN | a:SECONDARY | REPLICA_SET_NO_PRIMARY a:SECONDARY
UNKNOWN a:UNKNOWN | a:ARBITER | REPLICA_SET_NO_PRIMARY a:ARBITER
UNKNOWN a:UNKNOWN | a:OTHER | REPLICA_SET_NO_PRIMARY a:OTHER
UNKNOWN a:UNKNOWN | a:ROUTER | SHARDED a:ROUTER
UNKNOWN a:UNKNOWN | a:LOAD_BALANCER | LOAD_BALANCED a:LOAD_BALANCER

UNKNOWN a:UNKNOWN b:UNKNOWN | b:UNKNOWN | UNKNOWN a:UNKNOWN b:UNKNOWN
UNKNOWN a:UNKNOWN b:UNKNOWN | b:STANDALONE | UNKNOWN a:UNKNOWN
UNKNOWN a:UNKNOWN b:UNKNOWN | b:PRIMARY | REPLICA_SET_WITH_PRIMARY a:UNKNOWN b:PRIMARY
UNKNOWN a:UNKNOWN b:UNKNOWN | b:SECONDARY | REPLICA_SET_NO_PRIMARY a:UNKNOWN b:SECONDARY
UNKNOWN a:UNKNOWN b:UNKNOWN | b:ARBITER | REPLICA_SET_NO_PRIMARY a:UNKNOWN b:ARBITER
UNKNOWN a:UNKNOWN b:UNKNOWN | b:OTHER | REPLICA_SET_NO_PRIMARY a:UNKNOWN b:OTHER
UNKNOWN a:UNKNOWN b:UNKNOWN | b:ROUTER | SHARDED a:UNKNOWN b:ROUTER
UNKNOWN a:UNKNOWN b:UNKNOWN | b:LOAD_BALANCER | UNKNOWN a:UNKNOWN

SINGLE a:STANDALONE | a:UNKNOWN | SINGLE a:UNKNOWN
SINGLE a:STANDALONE | a:STANDALONE | SINGLE a:STANDALONE
SINGLE a:STANDALONE | a:PRIMARY | SINGLE a:PRIMARY
SINGLE a:STANDALONE | a:SECONDARY | SINGLE a:SECONDARY
SINGLE a:STANDALONE | a:ARBITER | SINGLE a:ARBITER
SINGLE a:STANDALONE | a:OTHER | SINGLE a:OTHER
SINGLE a:STANDALONE | a:ROUTER | SINGLE a:ROUTER
SINGLE a:STANDALONE | a:LOAD_BALANCER | SINGLE a:LOAD_BALANCER

REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN | a:UNKNOWN | REPLICA_SET_NO_PRIMARY a:UNKNOWN b:UNKNOWN
REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN | b:STANDALONE | REPLICA_SET_NO_PRIMARY a:SECONDARY
REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN | b:PRIMARY | REPLICA_SET_WITH_PRIMARY a:SECONDARY b:PRIMARY
REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN | b:SECONDARY | REPLICA_SET_NO_PRIMARY a:SECONDARY b:SECONDARY
REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN | b:ARBITER | REPLICA_SET_NO_PRIMARY a:SECONDARY b:ARBITER
REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN | b:OTHER | REPLICA_SET_NO_PRIMARY a:SECONDARY b:OTHER
REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN | b:ROUTER | REPLICA_SET_NO_PRIMARY a:SECONDARY
REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN | b:LOAD_BALANCER | REPLICA_SET_NO_PRIMARY a:SECONDARY

REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | b:UNKNOWN | REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | b:STANDALONE | REPLICA_SET_WITH_PRIMARY a:PRIMARY
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | b:PRIMARY | REPLICA_SET_WITH_PRIMARY a:UNKNOWN b:PRIMARY
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | b:SECONDARY | REPLICA_SET_WITH_PRIMARY a:PRIMARY b:SECONDARY
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | b:ARBITER | REPLICA_SET_WITH_PRIMARY a:PRIMARY b:ARBITER
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | b:OTHER | REPLICA_SET_WITH_PRIMARY a:PRIMARY b:OTHER
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | b:ROUTER | REPLICA_SET_WITH_PRIMARY a:PRIMARY
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | b:LOAD_BALANCER | REPLICA_SET_WITH_PRIMARY a:PRIMARY

REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | a:UNKNOWN | REPLICA_SET_NO_PRIMARY a:UNKNOWN b:UNKNOWN
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | a:STANDALONE | REPLICA_SET_NO_PRIMARY b:UNKNOWN
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | a:PRIMARY | REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | a:SECONDARY | REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | a:ARBITER | REPLICA_SET_NO_PRIMARY a:ARBITER b:UNKNOWN
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | a:OTHER | REPLICA_SET_NO_PRIMARY a:OTHER b:UNKNOWN
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | a:ROUTER | REPLICA_SET_NO_PRIMARY b:UNKNOWN
REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN | a:LOAD_BALANCER | REPLICA_SET_NO_PRIMARY b:UNKNOWN

SHARDED a:ROUTER b:ROUTER | b:UNKNOWN | SHARDED a:ROUTER b:UNKNOWN
SHARDED a:ROUTER b:ROUTER | b:STANDALONE | SHARDED a:ROUTER
SHARDED a:ROUTER b:ROUTER | b:PRIMARY | SHARDED a:ROUTER
SHARDED a:ROUTER b:ROUTER | b:SECONDARY | SHARDED a:ROUTER
SHARDED a:ROUTER b:ROUTER | b:ARBITER | SHARDED a:ROUTER
SHARDED a:ROUTER b:ROUTER | b:OTHER | SHARDED a:ROUTER
SHARDED a:ROUTER b:ROUTER | b:ROUTER | SHARDED a:ROUTER b:ROUTER
SHARDED a:ROUTER b:ROUTER | b:LOAD_BALANCER | SHARDED a:ROUTER

LOAD_BALANCED a:LOAD_BALANCER | a:UNKNOWN | LOAD_BALANCED a:UNKNOWN
LOAD_BALANCED a:LOAD_BALANCER | a:STANDALONE | LOAD_BALANCED a:STANDALONE
LOAD_BALANCED a:LOAD_BALANCER | a:PRIMARY | LOAD_BALANCED a:PRIMARY
LOAD_BALANCED a:LOAD_BALANCER | a:SECONDARY | LOAD_BALANCED a:SECONDARY
LOAD_BALANCED a:LOAD_BALANCER | a:ARBITER | LOAD_BALANCED a:ARBITER
LOAD_BALANCED a:LOAD_BALANCER | a:OTHER | LOAD_BALANCED a:OTHER
LOAD_BALANCED a:LOAD_BALANCER | a:ROUTER | LOAD_BALANCED a:ROUTER
LOAD_BALANCED a:LOAD_BALANCER | a:LOAD_BALANCER | LOAD_BALANCED a:LOAD_BALANCER
"""
TABLE = [[cell.strip() for cell in line.split("|")] for line in CELLS.split("\n") if line]


@pytest.mark.parametrize(("before", "answer", "after"), TABLE)
def test_the_table(before: str, answer: str, after: str) -> None:
    """Each type of topology, asked about each type of server, becomes what the table says."""
    known = server(answer)
    new = updated(topology(before), known)
    assert drawn(new) == after
    assert new.servers.get(known.address, known) is known


def test_the_table_has_every_cell() -> None:
    """Each type of topology meets each type of server."""
    cells = {(before.split()[0], answer.split(":")[1]) for before, answer, _ in TABLE}
    assert cells == {(one.name, other.name) for one in TopologyType for other in ServerType}


@pytest.mark.parametrize("kind", [each.name for each in ServerType])
def test_one_that_is_no_member_changes_nothing(kind: str) -> None:
    """It has left while it was asked."""
    before = topology("REPLICA_SET_NO_PRIMARY a:SECONDARY")
    assert updated(before, server(f"b:{kind}")) is before


def test_the_beginning() -> None:
    """Seeds are unknown servers, counted once each; their number is kept."""
    known = begun("t", iter(["a", "b", "a"]))
    assert known == TopologyDescription(
        "t", servers={"a": ServerDescription("a"), "b": ServerDescription("b")}, seeds=2
    )
    assert drawn(known) == "UNKNOWN a:UNKNOWN b:UNKNOWN"


def test_one_that_stayed_of_several_seeds_is_not_alone() -> None:
    """What counts is how many there were: a standalone that is left does not belong to the others."""
    known = updated(begun("t", "ab"), server("b:STANDALONE"))
    assert drawn(known) == "UNKNOWN a:UNKNOWN"
    assert known.seeds == 2
    assert drawn(updated(known, server("a:STANDALONE"))) == "UNKNOWN"


# -- hosts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["SECONDARY", "ARBITER", "OTHER"])
def test_members_add_hosts_while_there_is_no_primary(kind: str) -> None:
    """They come after those that are known, as unknown ones; nobody leaves, who is not named either."""
    known = updated(begun("t", "ab"), server(f"b:{kind}", "c", "b", "d"))
    assert drawn(known) == f"REPLICA_SET_NO_PRIMARY a:UNKNOWN b:{kind} c:UNKNOWN d:UNKNOWN"
    assert known.servers["c"] == ServerDescription("c")


@pytest.mark.parametrize("kind", ["SECONDARY", "ARBITER", "OTHER"])
def test_members_add_no_hosts_beside_a_primary(kind: str) -> None:
    """The primary knows better."""
    known = updated(
        topology("REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN"), server(f"b:{kind}", "b", "c")
    )
    assert drawn(known) == f"REPLICA_SET_WITH_PRIMARY a:PRIMARY b:{kind}"


def test_a_primary_that_steps_down_adds_no_hosts_with_that_answer() -> None:
    """It had a primary until now, which has told the hosts."""
    known = updated(
        topology("REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN"), server("a:SECONDARY", "a", "c")
    )
    assert drawn(known) == "REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN"


def test_a_primary_says_who_the_members_are() -> None:
    """Exactly those it names, in its order: others join, and leave; who stays is known as before."""
    before = topology("REPLICA_SET_NO_PRIMARY a:SECONDARY b:SECONDARY c:UNKNOWN")
    known = updated(before, server("c:PRIMARY", "c", "d", "a"))
    assert drawn(known) == "REPLICA_SET_WITH_PRIMARY c:PRIMARY d:UNKNOWN a:SECONDARY"
    assert known.servers["a"] is before.servers["a"]


def test_a_primary_that_does_not_name_itself_leaves() -> None:
    """It was asked at an address that is not its own; the others it named stay."""
    known = updated(begun("t", "ab"), server("b:PRIMARY/3", "c"))
    assert drawn(known) == "REPLICA_SET_NO_PRIMARY c:UNKNOWN"
    assert known.max_term == 3


def test_a_member_is_not_added_twice() -> None:
    """A secondary that names those who are known changes none of them."""
    before = topology("REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN")
    known = updated(before, server("b:OTHER", "b", "a"))
    assert drawn(known) == "REPLICA_SET_NO_PRIMARY a:SECONDARY b:OTHER"
    assert known.servers["a"] is before.servers["a"]


# -- the name of the set ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PRIMARY", "SECONDARY", "ARBITER", "OTHER"])
def test_the_first_name_that_is_told_is_the_sets(kind: str) -> None:
    """By a member of any type; until then there is none."""
    known = updated(begun("t", "ab"), server("a:SECONDARY"))
    assert known.set_name is None
    known = updated(known, server(f"b:{kind}", set_name="rs"))
    assert known.set_name == "rs"
    assert set(known.servers) == {"a", "b"}


@pytest.mark.parametrize("kind", ["PRIMARY", "SECONDARY", "ARBITER", "OTHER"])
def test_a_member_of_another_set_leaves(kind: str) -> None:
    """Its hosts and its term mean nothing; the name stays."""
    before = topology("REPLICA_SET_WITH_PRIMARY a:PRIMARY/1 b:UNKNOWN", set_name="rs", max_term=1)
    known = updated(before, server(f"b:{kind}/7", "b", "c", set_name="other"))
    assert drawn(known) == "REPLICA_SET_WITH_PRIMARY a:PRIMARY/1"
    assert (known.set_name, known.max_term) == ("rs", 1)


@pytest.mark.parametrize("kind", ["PRIMARY", "SECONDARY"])
def test_a_primary_that_is_of_another_set_now_is_missing(kind: str) -> None:
    """Then there is none."""
    before = topology("REPLICA_SET_WITH_PRIMARY a:PRIMARY b:SECONDARY", set_name="rs")
    known = updated(before, server(f"a:{kind}", set_name="other"))
    assert drawn(known) == "REPLICA_SET_NO_PRIMARY b:SECONDARY"


@pytest.mark.parametrize("kind", ["PRIMARY", "SECONDARY", "ARBITER", "OTHER"])
def test_one_that_tells_no_name_is_of_any_set(kind: str) -> None:
    """A missing name is no mismatch, and does not make the set forget its own."""
    before = topology("REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN", set_name="rs")
    known = updated(before, server(f"b:{kind}"))
    assert known.servers["b"].server_type_name == kind
    assert known.set_name == "rs"


# -- terms --------------------------------------------------------------------------------------------


def test_a_higher_term_unseats() -> None:
    """The one before is unknown until it is asked again: it says why."""
    before = topology("REPLICA_SET_WITH_PRIMARY a:PRIMARY/1 b:UNKNOWN", max_term=1)
    known = updated(before, server("b:PRIMARY/2"))
    assert drawn(known) == "REPLICA_SET_WITH_PRIMARY a:UNKNOWN b:PRIMARY/2"
    assert known.max_term == 2
    old = known.servers["a"]
    assert isinstance(old.error, StalePrimaryError)
    assert str(old.error) == "'b' is the primary now, with the term 2"
    assert (old.hello, old.round_trip_time, old.last_update) == (None, None, 1.0)


def test_a_lower_term_is_stale() -> None:
    """It is unknown, but stays, and so does the highest term; what it says of others is not believed."""
    before = topology("REPLICA_SET_WITH_PRIMARY a:PRIMARY/5 b:SECONDARY", max_term=5)
    known = updated(before, server("b:PRIMARY/4", "b", "c"))
    assert drawn(known) == "REPLICA_SET_WITH_PRIMARY a:PRIMARY/5 b:UNKNOWN"
    assert known.max_term == 5
    stale = known.servers["b"]
    assert repr(stale.error) == "StalePrimaryError('its term is 4, and 5 was seen')"
    assert (stale.hello, stale.round_trip_time, stale.last_update) == (None, None, 1.0)


def test_a_lower_term_is_stale_even_if_nobody_else_is_primary() -> None:
    """The highest term is remembered when its primary is gone."""
    before = topology("REPLICA_SET_NO_PRIMARY a:UNKNOWN b:UNKNOWN", max_term=5)
    assert drawn(updated(before, server("b:PRIMARY/4"))) == drawn(before)


def test_a_primary_whose_own_term_falls_is_stale() -> None:
    """Then there is none."""
    before = topology("REPLICA_SET_WITH_PRIMARY a:PRIMARY/5", max_term=5)
    known = updated(before, server("a:PRIMARY/4"))
    assert drawn(known) == "REPLICA_SET_NO_PRIMARY a:UNKNOWN"


def test_of_two_with_the_same_term_the_one_that_is_known_stays() -> None:
    """Or they would unseat each other for ever."""
    before = topology("REPLICA_SET_WITH_PRIMARY a:PRIMARY/5 b:UNKNOWN", max_term=5)
    known = updated(before, server("b:PRIMARY/5"))
    assert drawn(known) == drawn(before)
    text = "'a' is the primary already, with the same term 5"
    assert str(known.servers["b"].error) == text
    assert drawn(updated(known, server("a:PRIMARY/5"))) == drawn(before)


def test_the_highest_term_is_believed_if_nobody_else_has_it() -> None:
    """The primary is back, or was elected again."""
    before = topology("REPLICA_SET_NO_PRIMARY a:UNKNOWN b:UNKNOWN", max_term=5)
    known = updated(before, server("b:PRIMARY/5"))
    assert drawn(known) == "REPLICA_SET_WITH_PRIMARY a:UNKNOWN b:PRIMARY/5"


def test_a_higher_term_of_the_primary_itself_is_kept() -> None:
    """It was elected once more."""
    before = topology("REPLICA_SET_WITH_PRIMARY a:PRIMARY/5", max_term=5)
    known = updated(before, server("a:PRIMARY/6"))
    assert (drawn(known), known.max_term) == ("REPLICA_SET_WITH_PRIMARY a:PRIMARY/6", 6)


@pytest.mark.parametrize("terms", [("", ""), ("", "/3"), ("/3", "")])
def test_without_terms_the_one_that_answered_last_is_believed(terms: tuple[str, str]) -> None:
    """Whichever of the two has none; the highest term that was seen stays."""
    mine, theirs = terms
    before = topology(
        f"REPLICA_SET_WITH_PRIMARY a:PRIMARY{theirs} b:UNKNOWN", max_term=3 if theirs else None
    )
    known = updated(before, server(f"b:PRIMARY{mine}"))
    assert drawn(known) == f"REPLICA_SET_WITH_PRIMARY a:UNKNOWN b:PRIMARY{mine}"
    assert known.max_term == (3 if mine or theirs else None)


def test_a_rival_without_a_term_does_not_stand_against_the_highest() -> None:
    """Of whom nothing is known but that he answered."""
    before = topology("REPLICA_SET_WITH_PRIMARY a:PRIMARY b:UNKNOWN", max_term=5)
    known = updated(before, server("b:PRIMARY/5"))
    assert drawn(known) == "REPLICA_SET_WITH_PRIMARY a:UNKNOWN b:PRIMARY/5"


def test_terms_that_cannot_be_compared_are_not_believed() -> None:
    """The error names both."""
    before = topology("REPLICA_SET_WITH_PRIMARY a:PRIMARY/5 b:SECONDARY", max_term=5)
    said = hello("PRIMARY", term="x")
    known = updated(before, ServerDescription("b", ServerType.PRIMARY, 0.1, said))
    assert drawn(known) == "REPLICA_SET_WITH_PRIMARY a:PRIMARY/5 b:UNKNOWN"
    error = known.servers["b"].error
    assert type(error) is TypeError
    assert str(error) == (
        "the term 'x' cannot be compared with 5: "
        "'<' not supported between instances of 'str' and 'int'"
    )
    assert known.max_term == 5


def test_only_primaries_have_terms_that_count() -> None:
    """A secondary's says nothing."""
    known = updated(begun("t", "ab"), server("a:SECONDARY/9"))
    assert known.max_term is None
