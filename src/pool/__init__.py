"""One connection pool for any protocol: ``pool.aio`` for asyncio, ``pool.sync`` for threads.

This package is the shared vocabulary (errors, options, statistics, descriptions of servers) and imports
neither world.
"""

from typing import TYPE_CHECKING

from pool import monitoring
from pool._later import lazy
from pool._version import __version__
from pool.errors import (
    CommandError,
    LeaseReleasedError,
    PoolClearedError,
    PoolClosedError,
    PoolError,
    PoolExhaustedError,
    PoolOverloadedError,
    PoolTimeoutError,
    ServerSelectionTimeoutError,
)
from pool.options import MultiplexedOptions, PoolOptions
from pool.stats import PoolStats

if TYPE_CHECKING:
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
    # Who has a pool only does not pay for topologies.
    __getattr__, __dir__ = lazy(
        __name__,
        Hello="pool.descriptions",
        ServerDescription="pool.descriptions",
        ServerType="pool.descriptions",
        TopologyDescription="pool.descriptions",
        TopologyType="pool.descriptions",
        nearest="pool.selectors",
        primary="pool.selectors",
        primary_preferred="pool.selectors",
        readable="pool.selectors",
        secondary="pool.selectors",
        secondary_preferred="pool.selectors",
        writable="pool.selectors",
    )

__all__ = [
    "CommandError",
    "Hello",
    "LeaseReleasedError",
    "MultiplexedOptions",
    "PoolClearedError",
    "PoolClosedError",
    "PoolError",
    "PoolExhaustedError",
    "PoolOptions",
    "PoolOverloadedError",
    "PoolStats",
    "PoolTimeoutError",
    "ServerDescription",
    "ServerSelectionTimeoutError",
    "ServerType",
    "TopologyDescription",
    "TopologyType",
    "__version__",
    "monitoring",
    "nearest",
    "primary",
    "primary_preferred",
    "readable",
    "secondary",
    "secondary_preferred",
    "writable",
]
