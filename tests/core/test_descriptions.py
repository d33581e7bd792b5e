"""What is known of servers and topologies, as values."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
from core.servers import hello, server, topology

from pool.descriptions import (
    Hello,
    ServerDescription,
    ServerType,
    TopologyDescription,
    TopologyType,
)

WRITABLE = {"STANDALONE", "PRIMARY", "ROUTER", "LOAD_BALANCER"}
READABLE = WRITABLE | {"SECONDARY"}

# -- hello --------------------------------------------------------------------------------------------


def test_a_hello_is_what_it_was_told() -> None:
    """Each value in its place, the hosts as a tuple."""
    said = Hello({"ok": 1}, ServerType.PRIMARY, ["a", "b"], "a", "rs", 3, 7, "s")  # type: ignore[arg-type]
    assert said.document == {"ok": 1}
    assert said.server_type is ServerType.PRIMARY
    assert said.hosts == ("a", "b")
    assert (said.primary, said.set_name, said.term) == ("a", "rs", 3)
    assert (said.connection_id, said.service_id) == (7, "s")


def test_a_hello_need_not_say_more_than_what_the_server_is() -> None:
    """The rest is not known."""
    said = Hello({}, ServerType.STANDALONE)
    assert said.hosts == ()
    left = [getattr(said, each.name) for each in fields(said)[3:]]
    assert left == [None] * 5


@pytest.mark.parametrize("hosts", [["a"], ("a",), {"a": 1}, iter(["a"])])
def test_hosts_may_be_any_iterable(hosts: Any) -> None:
    """It is read once."""
    assert Hello({}, ServerType.PRIMARY, hosts).hosts == ("a",)


@pytest.mark.parametrize("value", ["primary", None, TopologyType.SINGLE])
def test_the_type_must_be_one(value: Any) -> None:
    """The error names what it was instead."""
    with pytest.raises(TypeError) as caught:
        Hello({}, value)
    assert str(caught.value) == f"server_type must be a ServerType, not {value!r}"


def test_a_server_that_answers_is_not_unknown() -> None:
    """The error says what to do instead."""
    with pytest.raises(ValueError, match="UNKNOWN") as caught:
        Hello({}, ServerType.UNKNOWN)
    text = "server_type must not be UNKNOWN: raise an error if a hello fails"
    assert str(caught.value) == text


@pytest.mark.parametrize("value", ["ab", b"ab", None, 5])
def test_hosts_must_be_a_sequence_of_addresses(value: Any) -> None:
    """And not one address, as a text would be."""
    with pytest.raises(TypeError) as caught:
        Hello({}, ServerType.PRIMARY, value)
    assert str(caught.value) == f"hosts must be a sequence of addresses, not {value!r}"


def test_hosts_must_be_hashable() -> None:
    """The error names the one that is not."""
    with pytest.raises(TypeError) as caught:
        Hello({}, ServerType.PRIMARY, ("a", ["b", 1]))
    assert str(caught.value) == "hosts must be hashable addresses, not ['b', 1]"


def test_hellos_that_say_the_same_are_equal() -> None:
    """Whatever the document looked like, and whichever connection was asked."""
    one = Hello({"time": 1}, ServerType.PRIMARY, ("a",), connection_id=1)
    other = Hello({"time": 2}, ServerType.PRIMARY, ("a",), connection_id=2)
    assert one == other
    assert hash(one) == hash(other)


@pytest.mark.parametrize(
    "other",
    [
        {"server_type": ServerType.SECONDARY},
        {"hosts": ("b",)},
        {"primary": "a"},
        {"set_name": "rs"},
        {"term": 1},
        {"service_id": 1},
    ],
    ids=lambda it: next(iter(it)),
)
def test_hellos_that_say_something_else_differ(other: dict[str, Any]) -> None:
    """In any of the rest."""
    same: dict[str, Any] = {"document": {}, "server_type": ServerType.PRIMARY}
    assert Hello(**same) != Hello(**{**same, **other})


# -- servers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(ServerType))
def test_what_a_type_is_good_for(kind: ServerType) -> None:
    """Its name, and whether one of it is known, takes writes, can be read."""
    known = ServerDescription("a", kind)
    assert known.server_type_name == kind.name
    assert known.is_known == (kind.name != "UNKNOWN")
    assert known.is_writable == (kind.name in WRITABLE)
    assert known.is_readable == (kind.name in READABLE)


def test_nothing_is_known_of_a_server_at_first() -> None:
    """But its address."""
    known = ServerDescription("a")
    assert known.server_type is ServerType.UNKNOWN
    assert (known.round_trip_time, known.hello, known.error) == (None, None, None)
    assert known.last_update is None


def test_times_do_not_make_a_difference() -> None:
    """They differ from one check to the next."""
    said = hello("PRIMARY")
    one = ServerDescription("a", ServerType.PRIMARY, 0.1, said, last_update=1.0)
    other = ServerDescription("a", ServerType.PRIMARY, 0.2, said, last_update=2.0)
    assert one == other
    assert hash(one) == hash(other)


def test_errors_are_compared_by_what_they_say() -> None:
    """Two checks that fail alike make no news; another error does, or none."""
    one, other = (ServerDescription("a", error=OSError("refused")) for _ in range(2))
    assert one.error != other.error
    assert one == other
    assert hash(one) == hash(other)
    assert one != ServerDescription("a", error=OSError("reset"))
    assert one != ServerDescription("a", error=ValueError("refused"))
    assert one != ServerDescription("a")


@pytest.mark.parametrize(
    "other",
    [server("b:PRIMARY"), server("a:SECONDARY"), server("a:PRIMARY/1"), server("a:PRIMARY", "a")],
)
def test_servers_of_which_something_else_is_known_differ(other: ServerDescription) -> None:
    """Address, type, and what they said."""
    assert server("a:PRIMARY") != other


def test_a_server_as_text() -> None:
    """On one line: what it is, how far away, what is wrong."""
    assert str(ServerDescription("a")) == "'a' UNKNOWN, not heard of yet"
    known = ServerDescription(("h", 1), ServerType.PRIMARY, 0.01234)
    assert str(known) == "('h', 1) PRIMARY, round trip 12.3 ms"
    failed = ServerDescription("a", error=OSError("refused"))
    assert str(failed) == "'a' UNKNOWN, OSError: refused"
    assert str(ServerDescription("a", round_trip_time=0.0)) == "'a' UNKNOWN, round trip 0.0 ms"


def test_an_error_stands_in_the_repr_once() -> None:
    """Though it is kept as text too, to be compared."""
    assert repr(ServerDescription("a", error=OSError("no"))).count("OSError('no')") == 1


# -- topologies ---------------------------------------------------------------------------------------


def test_nothing_is_known_of_a_topology_at_first() -> None:
    """But its identity."""
    known = TopologyDescription("t")
    assert (known.topology_id, known.topology_type) == ("t", TopologyType.UNKNOWN)
    assert (known.servers, known.set_name, known.max_term, known.seeds) == ({}, None, None, 0)


@pytest.mark.parametrize("kind", list(TopologyType))
def test_a_topologys_type_has_a_name(kind: TopologyType) -> None:
    """That of the constant."""
    assert TopologyDescription("t", kind).topology_type_name == kind.name


@pytest.mark.parametrize("kind", [each.name for each in ServerType])
def test_a_topology_has_what_its_servers_have(kind: str) -> None:
    """One that takes writes, or can be read, is enough; without servers there is none."""
    known = topology(f"REPLICA_SET_NO_PRIMARY a:UNKNOWN b:{kind}")
    assert known.has_writable_server() == (kind in WRITABLE)
    assert known.has_readable_server() == (kind in READABLE)
    nobody = TopologyDescription("t")
    assert (nobody.has_writable_server(), nobody.has_readable_server()) == (False, False)


def test_the_descriptions_are_handed_out_as_a_new_dict() -> None:
    """Whoever changes it changes nobody else's."""
    known = topology("SHARDED a:ROUTER b:ROUTER")
    found = known.server_descriptions()
    assert found == {"a": server("a:ROUTER"), "b": server("b:ROUTER")}
    found.clear()
    assert len(known.servers) == len(known.server_descriptions()) == 2


def test_topologies_of_which_the_same_is_known_are_equal() -> None:
    """By value; their hash agrees, though their servers are a mapping."""
    one, other = (topology("SHARDED a:ROUTER b:UNKNOWN") for _ in range(2))
    assert one == other
    assert hash(one) == hash(other)
    assert {one: 1}[other] == 1


@pytest.mark.parametrize(
    "other",
    [
        TopologyDescription("u"),
        TopologyDescription("t", TopologyType.SINGLE),
        TopologyDescription("t", servers={"a": ServerDescription("a")}),
        TopologyDescription("t", set_name="rs"),
        TopologyDescription("t", max_term=1),
        TopologyDescription("t", seeds=1),
    ],
)
def test_topologies_of_which_something_else_is_known_differ(other: TopologyDescription) -> None:
    """In anything."""
    assert other != TopologyDescription("t")


def test_a_topology_as_text() -> None:
    """What it is, its name, and each server."""
    assert str(TopologyDescription("t")) == "UNKNOWN: no servers"
    known = topology("REPLICA_SET_NO_PRIMARY a:SECONDARY b:UNKNOWN", set_name="rs")
    text = "REPLICA_SET_NO_PRIMARY 'rs': 'a' SECONDARY, round trip 100.0 ms; 'b' UNKNOWN, not heard of yet"
    assert str(known) == text


# -- all of them --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make",
    [lambda: hello("PRIMARY"), lambda: server("a:PRIMARY"), lambda: topology("SINGLE a:PRIMARY")],
)
def test_nothing_can_be_set(make: Callable[[], Any]) -> None:
    """Neither what there is nor what there is not."""
    value = make()
    for each in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, each.name, None)
    # The interpreter's own error for a frozen class with slots is another one in some versions.
    with pytest.raises((AttributeError, TypeError)):
        value.something = 1
