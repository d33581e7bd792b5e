"""Which servers the built-in selectors leave, in each type of topology."""

import pytest
from core.servers import topology

from pool import selectors
from pool.descriptions import ServerType, TopologyType

SETS = {
    "full": "REPLICA_SET_WITH_PRIMARY p:PRIMARY s:SECONDARY t:SECONDARY a:ARBITER o:OTHER u:UNKNOWN",
    "lonely primary": "REPLICA_SET_WITH_PRIMARY p:PRIMARY a:ARBITER o:OTHER u:UNKNOWN",
    "headless": "REPLICA_SET_NO_PRIMARY s:SECONDARY t:SECONDARY a:ARBITER o:OTHER u:UNKNOWN",
    "useless": "REPLICA_SET_NO_PRIMARY a:ARBITER o:OTHER u:UNKNOWN",
    "unknown": "UNKNOWN u:UNKNOWN v:UNKNOWN",
    "single": "SINGLE a:STANDALONE",
    "single gone": "SINGLE a:UNKNOWN",
    "sharded": "SHARDED a:ROUTER b:UNKNOWN c:ROUTER",
    "sharded gone": "SHARDED a:UNKNOWN b:UNKNOWN",
    "balanced": "LOAD_BALANCED a:LOAD_BALANCER",
    "balanced gone": "LOAD_BALANCED a:UNKNOWN",
}

#: The servers that each one leaves of a set, in the order of ``SETS`` up to "useless".
OF_SETS = {
    "writable": ["p", "p", "", ""],
    "readable": ["pst", "p", "st", ""],
    "primary": ["p", "p", "", ""],
    "secondary": ["st", "", "st", ""],
    "primary_preferred": ["p", "p", "st", ""],
    "secondary_preferred": ["st", "p", "st", ""],
    "nearest": ["pst", "p", "st", ""],
}

#: Where there are no roles every selector leaves the same.
ELSEWHERE = {
    "unknown": "",
    "single": "a",
    "single gone": "",
    "sharded": "ac",
    "sharded gone": "",
    "balanced": "a",
    "balanced gone": "",
}
TABLE = [
    (name, where, expected)
    for name, row in OF_SETS.items()
    for where, expected in [
        *zip(["full", "lonely primary", "headless", "useless"], row, strict=True),
        *ELSEWHERE.items(),
    ]
]


@pytest.mark.parametrize(("name", "where", "expected"), TABLE)
def test_the_table(name: str, where: str, expected: str) -> None:
    """The servers in the order in which they are known, and as they are known."""
    known = topology(SETS[where])
    found = getattr(selectors, name)(known)
    assert isinstance(found, list)
    assert [each.address for each in found] == list(expected)
    assert all(each is known.servers[each.address] for each in found)


def test_the_table_has_every_selector_and_every_type() -> None:
    """None is left out."""
    assert set(OF_SETS) == set(selectors.__all__) - {"Selector"}
    assert {text.split()[0] for text in SETS.values()} == {each.name for each in TopologyType}


@pytest.mark.parametrize("name", sorted(OF_SETS))
def test_a_single_server_may_be_anything_that_has_data(name: str) -> None:
    """A member of a set that was asked for alone: its role plays no part."""
    for kind in ServerType:
        known = topology(f"SINGLE a:{kind.name}")
        assert bool(getattr(selectors, name)(known)) == known.has_readable_server()


def test_nothing_suits_while_nobody_knows_what_the_topology_is() -> None:
    """Not even a server that takes writes, if there could be one."""
    known = topology("UNKNOWN a:STANDALONE b:ROUTER")
    for name in OF_SETS:
        assert getattr(selectors, name)(known) == []
