"""How the answer of one server changes what is known of the topology: pure rules, tested as a table.

They are those of MongoDB's Server Discovery and Monitoring specification ("TopologyType table" and the
actions that it names). Where they differ:

- ``term`` stands in the place of election id and set version. A primary with a lower term than one before is
  stale. Of two with equal terms the one that is known stays, or they would unseat each other for ever;
  without terms the one that answered last is believed.
- ``hosts`` may be empty: such a server does not tell who the members are, and nobody joins or leaves for it.
- ``set_name`` may be missing: that is no mismatch.
- A load balancer is known by its answer, as a router is.
"""

from collections.abc import Hashable, Iterable
from dataclasses import replace
from typing import Any, Final

from pool.descriptions import ServerDescription, ServerType, TopologyDescription, TopologyType

__all__ = ["StalePrimaryError", "begun", "reseeded", "updated"]

_MEMBERS: Final = frozenset(
    {ServerType.PRIMARY, ServerType.SECONDARY, ServerType.ARBITER, ServerType.OTHER}
)
_TELL_HOSTS: Final = frozenset(
    {TopologyType.REPLICA_SET_NO_PRIMARY, TopologyType.REPLICA_SET_WITH_PRIMARY}
)


def begun(topology_id: Hashable, addresses: Iterable[Any]) -> TopologyDescription:
    """Return what is known at the beginning: where servers may be."""
    servers = {address: ServerDescription(address) for address in addresses}
    return TopologyDescription(topology_id, servers=servers, seeds=len(servers))


def updated(topology: TopologyDescription, server: ServerDescription) -> TopologyDescription:
    """Return what is known after one more check of a server.

    Parameters:
        topology: what was known.
        server: the outcome of the check. Nothing changes if it is no member (any more).
    """
    if server.address not in topology.servers:
        return topology
    topology = _with(topology, server)
    kind = server.server_type
    match topology.topology_type:
        case TopologyType.UNKNOWN:
            return _first(topology, server)
        case TopologyType.SINGLE | TopologyType.LOAD_BALANCED:
            return topology
        case TopologyType.SHARDED:
            if kind is ServerType.UNKNOWN or kind is ServerType.ROUTER:
                return topology
            return _without(topology, server.address)
    if kind is ServerType.UNKNOWN:
        return _judged(topology)
    if kind in _MEMBERS:
        return _member(topology, server)
    return _judged(_without(topology, server.address))


def reseeded(topology: TopologyDescription, addresses: Iterable[Any]) -> TopologyDescription:
    """Return what is known after the seeds were looked up again.

    Members that tell each other's addresses know better: then nothing changes, nor for an empty answer. (The
    specification of polling SRV records for routers, extended to members that do not tell.)
    """
    wanted = dict.fromkeys(addresses)
    if not wanted or topology.topology_type in (TopologyType.SINGLE, TopologyType.LOAD_BALANCED):
        return topology
    if topology.topology_type in _TELL_HOSTS and any(
        server.hello is not None and server.hello.hosts for server in topology.servers.values()
    ):
        return topology
    if topology.topology_type is TopologyType.UNKNOWN:
        topology = replace(topology, seeds=len(wanted))
    return _judged(_populated(topology, wanted))


def _first(topology: TopologyDescription, server: ServerDescription) -> TopologyDescription:
    """The first answer tells what the topology is."""
    alone = topology.seeds == 1
    match server.server_type:
        case ServerType.UNKNOWN:
            return topology
        case ServerType.ROUTER:
            return replace(topology, topology_type=TopologyType.SHARDED)
        case ServerType.STANDALONE if alone:
            return replace(topology, topology_type=TopologyType.SINGLE)
        case ServerType.LOAD_BALANCER if alone:
            return replace(topology, topology_type=TopologyType.LOAD_BALANCED)
        case ServerType.STANDALONE | ServerType.LOAD_BALANCER:
            # One of several: it does not belong to the others.
            return _without(topology, server.address)
    topology = replace(topology, topology_type=TopologyType.REPLICA_SET_NO_PRIMARY)
    return _member(topology, server)


def _member(topology: TopologyDescription, server: ServerDescription) -> TopologyDescription:
    """A member of a replica set has answered."""
    hello = server.hello
    assert hello is not None, "bug: a server is known that has said nothing"
    if topology.set_name is None:
        topology = replace(topology, set_name=hello.set_name)
    elif hello.set_name is not None and hello.set_name != topology.set_name:
        return _judged(_without(topology, server.address))
    if server.server_type is ServerType.PRIMARY:
        return _judged(_crowned(topology, server))
    if topology.topology_type is TopologyType.REPLICA_SET_NO_PRIMARY:
        # Only a primary knows who has left.
        topology = _populated(topology, {**topology.servers, **dict.fromkeys(hello.hosts)})
    return _judged(topology)


def _crowned(topology: TopologyDescription, server: ServerDescription) -> TopologyDescription:
    """A server says that it is the primary."""
    hello = server.hello
    assert hello is not None, "bug: a primary has said nothing"
    rivals = [
        other
        for other in topology.servers.values()
        if other.server_type is ServerType.PRIMARY and other.address != server.address
    ]
    doubt = _doubt(topology, server, rivals)
    if doubt is not None:
        return _with(topology, _forgotten(server, doubt))
    if hello.term is not None:
        topology = replace(topology, max_term=hello.term)
    for other in rivals:
        stale = StalePrimaryError(
            f"{server.address!r} is the primary now, with the term {hello.term!r}"
        )
        topology = _with(topology, _forgotten(other, stale))
    if hello.hosts:
        topology = _populated(topology, dict.fromkeys(hello.hosts))
    return topology


def _doubt(
    topology: TopologyDescription, server: ServerDescription, rivals: list[ServerDescription]
) -> Exception | None:
    """Return why a server that says that it is the primary is not believed."""
    assert server.hello is not None, "bug: a primary has said nothing"
    term, highest = server.hello.term, topology.max_term
    if term is None or highest is None:
        return None
    try:
        if term < highest:
            return StalePrimaryError(f"its term is {term!r}, and {highest!r} was seen")
    except Exception as error:
        return TypeError(f"the term {term!r} cannot be compared with {highest!r}: {error}")
    for other in rivals:
        if other.hello is not None and other.hello.term == term:
            return StalePrimaryError(
                f"{other.address!r} is the primary already, with the same term {term!r}"
            )
    return None


class StalePrimaryError(Exception):
    """A server says that it is the primary, and is not believed."""


def _forgotten(server: ServerDescription, error: Exception) -> ServerDescription:
    return ServerDescription(server.address, error=error, last_update=server.last_update)


def _with(topology: TopologyDescription, server: ServerDescription) -> TopologyDescription:
    return replace(topology, servers={**topology.servers, server.address: server})


def _without(topology: TopologyDescription, address: Any) -> TopologyDescription:
    servers = {key: server for key, server in topology.servers.items() if key != address}
    return replace(topology, servers=servers)


def _populated(topology: TopologyDescription, members: Iterable[Any]) -> TopologyDescription:
    """Let exactly these be the members: who is new is unknown, who is not named leaves."""
    servers = {
        address: topology.servers.get(address) or ServerDescription(address) for address in members
    }
    return replace(topology, servers=servers)


def _judged(topology: TopologyDescription) -> TopologyDescription:
    """Say whether a replica set has a primary now."""
    if topology.topology_type not in _TELL_HOSTS:
        return topology
    reigns = any(each.server_type is ServerType.PRIMARY for each in topology.servers.values())
    kind = TopologyType.REPLICA_SET_NO_PRIMARY
    if reigns:
        kind = TopologyType.REPLICA_SET_WITH_PRIMARY
    return replace(topology, topology_type=kind)
