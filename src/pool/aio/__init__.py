"""One of the two faces: the same names with the same meaning are in the other."""

from typing import TYPE_CHECKING

from pool._async.lease import Lease
from pool._async.manager import ConnectionManager
from pool._async.pool import ConnectionPool
from pool._later import lazy

if TYPE_CHECKING:
    from pool._async.client import Client
    from pool._async.driver import CommandManager, ServerManager
    from pool._async.multiplexed import MultiplexedPool
    from pool._async.streams import Stream
    from pool._async.tcp import TcpConnectionManager, UnixConnectionManager
    from pool._async.topology import Topology
    from pool.descriptions import (
        Hello,
        ServerDescription,
        ServerType,
        TopologyDescription,
        TopologyType,
    )
    from pool.selectors import (
        nearest,
        primary,
        primary_preferred,
        readable,
        secondary,
        secondary_preferred,
        writable,
    )
else:
    # Who brings a manager of his own does not pay for sockets, nor who has one server for topologies.
    __getattr__, __dir__ = lazy(
        __name__,
        Client="pool._async.client",
        CommandManager="pool._async.driver",
        Hello="pool.descriptions",
        MultiplexedPool="pool._async.multiplexed",
        ServerDescription="pool.descriptions",
        ServerManager="pool._async.driver",
        ServerType="pool.descriptions",
        Stream="pool._async.streams",
        TcpConnectionManager="pool._async.tcp",
        Topology="pool._async.topology",
        TopologyDescription="pool.descriptions",
        TopologyType="pool.descriptions",
        UnixConnectionManager="pool._async.tcp",
        nearest="pool.selectors",
        primary="pool.selectors",
        primary_preferred="pool.selectors",
        readable="pool.selectors",
        secondary="pool.selectors",
        secondary_preferred="pool.selectors",
        writable="pool.selectors",
    )

__all__ = [
    "Client",
    "CommandManager",
    "ConnectionManager",
    "ConnectionPool",
    "Hello",
    "Lease",
    "MultiplexedPool",
    "ServerDescription",
    "ServerManager",
    "ServerType",
    "Stream",
    "TcpConnectionManager",
    "Topology",
    "TopologyDescription",
    "TopologyType",
    "UnixConnectionManager",
    "nearest",
    "primary",
    "primary_preferred",
    "readable",
    "secondary",
    "secondary_preferred",
    "writable",
]
