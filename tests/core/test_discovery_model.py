"""Any sequence of answers, against what must be true of a topology after each."""

from typing import Any

from core.servers import hello
from hypothesis import given, settings
from hypothesis import strategies as st

from pool._core.discovery import begun, reseeded, updated
from pool.descriptions import (
    ServerDescription,
    ServerType,
    TopologyDescription,
    TopologyType,
)

ADDRESSES = "abcd"
SETTINGS = settings(max_examples=400, deadline=None, derandomize=True, database=None)

#: What the servers of a topology of each type may be.
MEMBERS = {"UNKNOWN", "PRIMARY", "SECONDARY", "ARBITER", "OTHER"}
ALLOWED = {
    TopologyType.UNKNOWN: {"UNKNOWN"},
    TopologyType.REPLICA_SET_NO_PRIMARY: MEMBERS - {"PRIMARY"},
    TopologyType.REPLICA_SET_WITH_PRIMARY: MEMBERS,
    TopologyType.SHARDED: {"UNKNOWN", "ROUTER"},
}

#: To which types a topology may turn, but for itself.
TURNS = {
    TopologyType.UNKNOWN: set(TopologyType),
    TopologyType.REPLICA_SET_NO_PRIMARY: {TopologyType.REPLICA_SET_WITH_PRIMARY},
    TopologyType.REPLICA_SET_WITH_PRIMARY: {TopologyType.REPLICA_SET_NO_PRIMARY},
}

hosts = st.lists(st.sampled_from(ADDRESSES), max_size=4, unique=True)
kinds = st.sampled_from(
    [each.name for each in ServerType if each is not ServerType.UNKNOWN]
    + ["PRIMARY", "PRIMARY", "PRIMARY", "SECONDARY", "SECONDARY"]
)
terms = st.sampled_from([None, 1, 2, 3])
names = st.sampled_from([None, "rs", "rs", "rs", "other"])
hellos = st.builds(
    lambda kind, told, term, name: hello(kind, *told, term=term, set_name=name),
    kinds,
    hosts,
    terms,
    names,
)


def described(address: str, said: Any) -> ServerDescription:
    if said is None:
        return ServerDescription(address, error=OSError("gone"))
    return ServerDescription(address, said.server_type, 0.1, said)


answers = st.builds(described, st.sampled_from(ADDRESSES), st.one_of(st.none(), hellos, hellos))
looks = st.lists(st.sampled_from(ADDRESSES), max_size=3)
seeds = st.lists(st.sampled_from(ADDRESSES), min_size=1, max_size=3)


def check(old: TopologyDescription, new: TopologyDescription, told: set[str]) -> None:
    """What must be true after any change."""
    kinds = [each.server_type_name for each in new.servers.values()]
    kind = new.topology_type
    if kind in (TopologyType.SINGLE, TopologyType.LOAD_BALANCED):
        assert len(kinds) == 1
    else:
        assert set(kinds) <= ALLOWED[kind]
        assert kinds.count("PRIMARY") == (kind is TopologyType.REPLICA_SET_WITH_PRIMARY)
    assert kind is old.topology_type or kind in TURNS[old.topology_type]
    assert set(new.servers) <= told
    assert all(address == each.address for address, each in new.servers.items())
    assert all(each.is_known == (each.hello is not None) for each in new.servers.values())
    assert old.max_term is None or (new.max_term is not None and new.max_term >= old.max_term)
    assert old.set_name in (None, new.set_name)
    assert all(
        None in (new.set_name, each.hello.set_name) or each.hello.set_name == new.set_name
        for each in new.servers.values()
        if each.hello is not None and kind not in (TopologyType.SINGLE, TopologyType.LOAD_BALANCED)
        if each.server_type is not ServerType.ROUTER
    )
    assert new.topology_id == "t"


@SETTINGS
@given(seeds, st.lists(st.one_of(answers, answers, answers, looks), max_size=12))
def test_what_is_known_makes_sense_after_any_sequence_of_answers(
    start: list[str], steps: list[Any]
) -> None:
    """One primary at the most; the type agrees with the members; nobody is there whom nobody named."""
    known = begun("t", start)
    told = set(start)
    for step in steps:
        if isinstance(step, list):
            told.update(step)
            new = reseeded(known, step)
        else:
            told.update(() if step.hello is None else step.hello.hosts)
            new = updated(known, step)
        check(known, new, told)
        known = new


@SETTINGS
@given(seeds, st.lists(answers, min_size=1, max_size=8))
def test_the_same_answer_twice_changes_nothing_more(
    start: list[str], steps: list[ServerDescription]
) -> None:
    """So a server that goes on to say the same makes no news, once it is judged as what it has become.

    A primary that says that it is a secondary is heard as one of a set with a primary, and adds nobody; only
    the next time there is none.
    """
    known = begun("t", start)
    for step in steps:
        before = known.topology_type
        known = updated(known, step)
        again = updated(known, step)
        assert again == known or known.topology_type is not before
        assert updated(again, step) == again


@SETTINGS
@given(seeds, st.lists(answers, max_size=8), looks)
def test_the_same_seeds_twice_change_nothing_more(
    start: list[str], steps: list[ServerDescription], look: list[str]
) -> None:
    """Nor does a service that goes on to have the same records."""
    known = begun("t", start)
    for step in steps:
        known = updated(known, step)
    known = reseeded(known, look)
    assert reseeded(known, look) == known


@SETTINGS
@given(seeds, st.lists(answers, max_size=8))
def test_what_was_known_is_left_as_it_was(start: list[str], steps: list[ServerDescription]) -> None:
    """Descriptions are values: others hold them."""
    known = begun("t", start)
    for step in steps:
        before, servers = known, dict(known.servers)
        known = updated(known, step)
        assert before.servers == servers
        assert list(before.servers) == list(servers)
