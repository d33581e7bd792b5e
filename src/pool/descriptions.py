"""What is known of servers and of topologies, as plain data: one vocabulary for both worlds.

A ``Hello`` is what a server says of itself, a ``ServerDescription`` what the last check made of it, and a
``TopologyDescription`` all of them together. They are values: none ever changes, and two that say the same
are equal. What differs from one check to the next (times, the document as it came) does not count for that.

The terms are those of MongoDB's Server Discovery and Monitoring specification, made free of its protocol.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any, Final

__all__ = ["Hello", "ServerDescription", "ServerType", "TopologyDescription", "TopologyType"]


class ServerType(Enum):
    """What a server is, by its own account."""

    UNKNOWN = "unknown"
    """Nobody knows: not asked yet, or the last check failed."""
    STANDALONE = "standalone"
    """The only one of its kind: it takes writes."""
    PRIMARY = "primary"
    """The member of a replica set that takes writes."""
    SECONDARY = "secondary"
    """A member that follows the primary, and can be read."""
    ARBITER = "arbiter"
    """A member that has no data."""
    OTHER = "other"
    """A member that cannot be used now: it starts, recovers or hides."""
    ROUTER = "router"
    """It passes everything on to the servers of a sharded cluster."""
    LOAD_BALANCER = "load balancer"
    """It leads to one of several services, perhaps another one for each connection."""


class TopologyType(Enum):
    """What the servers form together."""

    UNKNOWN = "unknown"
    SINGLE = "single"
    REPLICA_SET_NO_PRIMARY = "replica set without a primary"
    REPLICA_SET_WITH_PRIMARY = "replica set with a primary"
    SHARDED = "sharded"
    LOAD_BALANCED = "load balanced"


@dataclass(frozen=True, slots=True)
class Hello:
    """What a server says of itself.

    Parameters:
        document: the answer as it came, or what was read from it.
        server_type: what the server is.
        hosts: the addresses of all members of its replica set, its own among them; empty if it does not
            tell.
        primary: the address of the primary, as far as the server knows.
        set_name: the name of the replica set, ``None`` if there is none.
        term: which election, epoch or timeline a primary stems from; a later one has a higher term. Any
            type that can be ordered; ``None`` if the protocol has nothing like it.
        connection_id: the server's own number for the connection on which it was asked.
        service_id: the service behind a load balancer that answered.

    Raises:
        TypeError: ``server_type`` is no ``ServerType``, or ``hosts`` no sequence of addresses.
        ValueError: ``server_type`` is ``UNKNOWN``: a server that answered is something.
    """

    document: Mapping[str, Any] = field(compare=False)
    server_type: ServerType
    hosts: tuple[Any, ...] = ()
    primary: Any = None
    set_name: str | None = None
    term: Any = None
    connection_id: int | None = field(default=None, compare=False)
    service_id: Hashable | None = None

    def __post_init__(self) -> None:
        server_type: object = self.server_type
        hosts: object = self.hosts
        if not isinstance(server_type, ServerType):
            raise TypeError(f"server_type must be a ServerType, not {self.server_type!r}")
        if self.server_type is ServerType.UNKNOWN:
            raise ValueError("server_type must not be UNKNOWN: raise an error if a hello fails")
        if isinstance(hosts, (str, bytes)) or not isinstance(hosts, Iterable):
            raise TypeError(f"hosts must be a sequence of addresses, not {hosts!r}")
        object.__setattr__(self, "hosts", tuple(hosts))
        for host in self.hosts:
            try:
                hash(host)
            except TypeError:
                raise TypeError(f"hosts must be hashable addresses, not {host!r}") from None


@dataclass(frozen=True, slots=True)
class ServerDescription:
    """What is known of one server.

    Parameters:
        address: where it is: an endpoint.
        server_type: what it is; ``UNKNOWN`` until a check succeeds, and after one that failed.
        round_trip_time: seconds that a hello takes, an exponentially weighted average; ``None`` if not
            known.
        hello: its last answer, ``None`` while it is unknown.
        error: what failed last, ``None`` while it is well.
        last_update: when the last check ended, on the clock of ``time.monotonic``; ``None`` before the
            first one.
    """

    address: Any
    server_type: ServerType = ServerType.UNKNOWN
    round_trip_time: float | None = field(default=None, compare=False)
    hello: Hello | None = None
    error: BaseException | None = field(default=None, compare=False)
    last_update: float | None = field(default=None, compare=False)
    _complaint: str | None = field(default=None, init=False, repr=False)
    """The error as far as it counts for equality: exceptions are equal to themselves only."""

    def __post_init__(self) -> None:
        if self.error is not None:
            object.__setattr__(self, "_complaint", _complaint(self.error))

    @property
    def server_type_name(self) -> str:
        """The name of its type, such as ``"PRIMARY"``."""
        return self.server_type.name

    @property
    def is_known(self) -> bool:
        """Whether the last check succeeded."""
        return self.server_type is not ServerType.UNKNOWN

    @property
    def is_writable(self) -> bool:
        """Whether it takes writes."""
        return self.server_type in WRITABLE

    @property
    def is_readable(self) -> bool:
        """Whether it has data that can be read."""
        return self.server_type in READABLE

    def __str__(self) -> str:
        text = f"{self.address!r} {self.server_type_name}"
        if self.round_trip_time is not None:
            text += f", round trip {self.round_trip_time * 1000:.1f} ms"
        elif self.last_update is None and self.error is None:
            text += ", not heard of yet"
        if self.error is not None:
            text += f", {type(self.error).__name__}: {self.error}"
        return text


def _complaint(error: BaseException) -> str:
    try:
        return repr(error)
    except Exception:
        # It is somebody else's code.
        return type(error).__name__


WRITABLE: Final = frozenset(
    {ServerType.STANDALONE, ServerType.PRIMARY, ServerType.ROUTER, ServerType.LOAD_BALANCER}
)
READABLE: Final = WRITABLE | {ServerType.SECONDARY}


@dataclass(frozen=True, slots=True)
class TopologyDescription:
    """What is known of all servers together.

    Parameters:
        topology_id: the topology's identity.
        topology_type: what the servers form.
        servers: the description of each server, by its address.
        set_name: the name of the replica set, once it is known.
        max_term: the highest term that a primary ever had, ``None`` if none had any.
        seeds: how many addresses the topology began with.
    """

    topology_id: Hashable
    topology_type: TopologyType = TopologyType.UNKNOWN
    servers: Mapping[Any, ServerDescription] = field(default_factory=dict)
    set_name: str | None = None
    max_term: Any = None
    seeds: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.servers, dict):
            object.__setattr__(self, "servers", MappingProxyType(self.servers))

    @property
    def topology_type_name(self) -> str:
        """The name of its type, such as ``"REPLICA_SET_WITH_PRIMARY"``."""
        return self.topology_type.name

    def server_descriptions(self) -> dict[Any, ServerDescription]:
        """Return the description of each server by its address: a new ``dict``."""
        return dict(self.servers)

    def has_writable_server(self) -> bool:
        """Return whether some server takes writes."""
        return any(server.is_writable for server in self.servers.values())

    def has_readable_server(self) -> bool:
        """Return whether some server can be read."""
        return any(server.is_readable for server in self.servers.values())

    def __hash__(self) -> int:
        return hash((self.topology_id, self.topology_type))

    def __str__(self) -> str:
        servers = "; ".join(map(str, self.servers.values())) or "no servers"
        name = "" if self.set_name is None else f" {self.set_name!r}"
        return f"{self.topology_type_name}{name}: {servers}"
