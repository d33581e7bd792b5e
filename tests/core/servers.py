"""Topologies as one line of text, such as ``SINGLE a:STANDALONE``: to write them down, and to compare them.

A server is its address and its type, a primary's term after a stroke: ``b:PRIMARY/3``.
"""

from typing import Any

from pool.descriptions import (
    Hello,
    ServerDescription,
    ServerType,
    TopologyDescription,
    TopologyType,
)

__all__ = ["drawn", "hello", "server", "topology"]


def hello(kind: str, *hosts: str, **more: Any) -> Hello:
    """What a server of some type says."""
    return Hello({"says": kind}, ServerType[kind], hosts, **more)


def server(text: str, *hosts: str, **more: Any) -> ServerDescription:
    """A server as it is known after a check, such as ``a:SECONDARY``."""
    address, _, what = text.partition(":")
    kind, _, term = what.partition("/")
    if kind == "UNKNOWN":
        return ServerDescription(address, **more)
    said = hello(kind, *hosts, term=int(term) if term else None, **more)
    return ServerDescription(address, said.server_type, 0.1, said, last_update=1.0)


def topology(text: str, **more: Any) -> TopologyDescription:
    """What is known of several servers, which have told no hosts."""
    kind, *texts = text.split()
    servers = {each.address: each for each in map(server, texts)}
    fields: dict[str, Any] = {"seeds": len(servers), **more}
    return TopologyDescription("t", TopologyType[kind], servers, **fields)


def drawn(known: TopologyDescription) -> str:
    """The line for a topology."""
    return " ".join([known.topology_type_name, *map(_drawn, known.servers.values())])


def _drawn(known: ServerDescription) -> str:
    term = "" if known.hello is None or known.hello.term is None else f"/{known.hello.term}"
    return f"{known.address}:{known.server_type_name}{term}"
