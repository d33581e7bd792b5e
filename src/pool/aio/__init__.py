"""One of the two faces: the same names with the same meaning are in the other."""

from pool._async.lease import Lease
from pool._async.manager import ConnectionManager
from pool._async.pool import ConnectionPool
from pool._async.streams import Stream
from pool._async.tcp import TcpConnectionManager, UnixConnectionManager

__all__ = [
    "ConnectionManager",
    "ConnectionPool",
    "Lease",
    "Stream",
    "TcpConnectionManager",
    "UnixConnectionManager",
]
