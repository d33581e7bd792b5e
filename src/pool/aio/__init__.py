"""One of the two faces: the same names with the same meaning are in the other."""

from typing import TYPE_CHECKING

from pool._async.lease import Lease
from pool._async.manager import ConnectionManager
from pool._async.pool import ConnectionPool
from pool._later import lazy

if TYPE_CHECKING:
    from pool._async.streams import Stream
    from pool._async.tcp import TcpConnectionManager, UnixConnectionManager
else:
    # Who brings a manager of his own does not pay for sockets.
    __getattr__, __dir__ = lazy(
        __name__,
        Stream="pool._async.streams",
        TcpConnectionManager="pool._async.tcp",
        UnixConnectionManager="pool._async.tcp",
    )

__all__ = [
    "ConnectionManager",
    "ConnectionPool",
    "Lease",
    "Stream",
    "TcpConnectionManager",
    "UnixConnectionManager",
]
