"""Which servers suit an operation: plain functions, the same for both worlds.

A selector gets the ``TopologyDescription`` and returns those servers that will do; any callable does that
takes and returns the same. Among them the topology keeps those within ``local_threshold`` of the fastest, and
takes the less loaded of two at random. A selector must not block, and is called again whenever the
description changes while an operation waits.

The modes are those of MongoDB's Server Selection specification. The roles of single servers play no part
where the topology has no members to choose by role: a single server, routers and load balancers suit every
operation.
"""

from collections.abc import Callable, Sequence
from typing import Final

from pool.descriptions import ServerDescription, ServerType, TopologyDescription, TopologyType

__all__ = [
    "Selector",
    "nearest",
    "primary",
    "primary_preferred",
    "readable",
    "secondary",
    "secondary_preferred",
    "writable",
]

Selector = Callable[[TopologyDescription], Sequence[ServerDescription]]

_REPLICA_SETS: Final = frozenset(
    {TopologyType.REPLICA_SET_NO_PRIMARY, TopologyType.REPLICA_SET_WITH_PRIMARY}
)


def writable(topology: TopologyDescription) -> list[ServerDescription]:
    """Whatever takes writes: the primary, a single server, routers, load balancers."""
    if topology.topology_type in _REPLICA_SETS:
        return _of_type(topology, ServerType.PRIMARY)
    return _all(topology)


def readable(topology: TopologyDescription) -> list[ServerDescription]:
    """Whatever can be read, primary and secondaries alike."""
    return _all(topology)


def primary(topology: TopologyDescription) -> list[ServerDescription]:
    """The primary of a replica set."""
    return writable(topology)


def secondary(topology: TopologyDescription) -> list[ServerDescription]:
    """The secondaries of a replica set."""
    if topology.topology_type in _REPLICA_SETS:
        return _of_type(topology, ServerType.SECONDARY)
    return _all(topology)


def primary_preferred(topology: TopologyDescription) -> list[ServerDescription]:
    """The primary; while there is none, the secondaries."""
    return primary(topology) or secondary(topology)


def secondary_preferred(topology: TopologyDescription) -> list[ServerDescription]:
    """The secondaries; while there is none, the primary."""
    return secondary(topology) or primary(topology)


def nearest(topology: TopologyDescription) -> list[ServerDescription]:
    """Whatever can be read, so that only the round-trip time counts."""
    return _all(topology)


def _of_type(topology: TopologyDescription, kind: ServerType) -> list[ServerDescription]:
    return [server for server in topology.servers.values() if server.server_type is kind]


def _all(topology: TopologyDescription) -> list[ServerDescription]:
    if topology.topology_type is TopologyType.UNKNOWN:
        return []
    return [server for server in topology.servers.values() if server.is_readable]
