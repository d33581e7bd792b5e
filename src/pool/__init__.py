"""One connection pool for any protocol: ``pool.aio`` for asyncio, ``pool.sync`` for threads.

This package is the shared vocabulary (errors, options, statistics) and imports neither world.
"""

from pool import monitoring
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
from pool.options import PoolOptions
from pool.stats import PoolStats

__all__ = [
    "CommandError",
    "LeaseReleasedError",
    "PoolClearedError",
    "PoolClosedError",
    "PoolError",
    "PoolExhaustedError",
    "PoolOptions",
    "PoolOverloadedError",
    "PoolStats",
    "PoolTimeoutError",
    "ServerSelectionTimeoutError",
    "__version__",
    "monitoring",
]
