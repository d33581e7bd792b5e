"""Who takes part. A peer's module is imported only when the peer is wanted: it may be missing."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from benchmarks.peer import AsyncPeer, SyncPeer

__all__ = [
    "BY_HAND",
    "CHANGED",
    "ENTRIES",
    "FLOOR",
    "MONGO",
    "MONGO_OWN",
    "OURS",
    "OWN",
    "Entry",
    "waiting",
]

FLOOR = "floor"
OURS = "twinpool"
BY_HAND = "by-hand"
MONGO = "pymongo"

# Of those who select a server: with a selector of one's own, and after each change.
OWN = "own-selector"
CHANGED = "changed"
MONGO_OWN = "pymongo-own-selector"


@dataclass(frozen=True)
class Entry:
    """One competitor in one world."""

    world: str
    key: str
    """What ``--only`` calls it."""
    label: str
    place: str
    """Its module in this package, and its class."""
    distribution: str | None = None
    """What has to be installed."""
    waits: bool = True
    """Whether it takes part where callers wait: not every pool lets them, and one of ours is enough."""

    @property
    def ours(self) -> bool:
        return self.distribution == "twinpool"

    def make(self, size: int = 1) -> AsyncPeer | SyncPeer:
        """Return the peer, not set up yet.

        Raises:
            ImportError: it cannot be had here.
        """
        peer = self.find()(size)
        assert isinstance(peer, AsyncPeer | SyncPeer)
        return peer

    def find(self) -> Any:
        """Return the class at its place.

        Raises:
            ImportError: it cannot be had here.
        """
        module, name = self.place.split(".")
        return getattr(import_module(f"{__name__}.{module}"), name)


GENERIC = "generic-connection-pool"

ENTRIES = (
    Entry("sync", FLOOR, "the floor: deque and lock", "floor.Sync", waits=False),
    Entry("sync", OURS, "twinpool", "twinpool.SyncBlock", "twinpool"),
    Entry("sync", BY_HAND, "twinpool, by hand", "twinpool.SyncByHand", "twinpool", waits=False),
    Entry("sync", "queue", "queue.LifoQueue", "lifo.Sync"),
    Entry("sync", "psycopg", "psycopg_pool", "psycopg.Sync", "psycopg-pool"),
    Entry("sync", "pymongo", "PyMongo's Pool", "mongo.Sync", "pymongo"),
    Entry("sync", "sqlalchemy", "SQLAlchemy's QueuePool", "alchemy.Sync", "sqlalchemy"),
    Entry("sync", "redis", "redis-py's pool", "redis_py.Sync", "redis", waits=False),
    Entry("sync", "redis-blocking", "redis-py's blocking pool", "redis_py.Blocking", "redis"),
    Entry("sync", "urllib3", "urllib3's pool", "urllib.Sync", "urllib3"),
    Entry("sync", "dbutils", "DBUtils' PooledDB", "db_utils.Sync", "DBUtils"),
    Entry("sync", "generic", GENERIC, "generic.Sync", GENERIC),
    Entry("async", FLOOR, "the floor: deque", "floor.Aio", waits=False),
    Entry("async", OURS, "twinpool", "twinpool.AioBlock", "twinpool"),
    Entry("async", BY_HAND, "twinpool, by hand", "twinpool.AioByHand", "twinpool", waits=False),
    Entry("async", "queue", "asyncio.LifoQueue", "lifo.Aio"),
    Entry("async", "psycopg", "psycopg_pool", "psycopg.Aio", "psycopg-pool"),
    Entry("async", "pymongo", "PyMongo's Pool", "mongo.Aio", "pymongo"),
    Entry("async", "sqlalchemy", "SQLAlchemy's pool", "alchemy_aio.Aio", "sqlalchemy"),
    Entry("async", "redis", "redis-py's pool", "redis_py.Aio", "redis", waits=False),
    Entry("async", "redis-blocking", "redis-py's blocking pool", "redis_py.AioBlocking", "redis"),
    Entry("async", "asyncpg", "asyncpg's Pool", "pg.Aio", "asyncpg"),
    Entry("async", "aiohttp", "aiohttp's connector", "http.Aio", "aiohttp"),
    Entry("async", "generic", GENERIC, "generic.Aio", GENERIC),
)


def waiting(world: str) -> tuple[Entry, ...]:
    """Return those of a world whose callers can wait for a connection."""
    return tuple(entry for entry in ENTRIES if entry.world == world and entry.waits)
