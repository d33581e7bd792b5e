"""Who takes part. A peer's module is imported only when the peer is wanted: it may be missing."""

from dataclasses import dataclass
from importlib import import_module

from benchmarks.peer import AsyncPeer, SyncPeer, Threaded

__all__ = ["BY_HAND", "ENTRIES", "FLOOR", "OURS", "Entry"]

FLOOR = "floor"
OURS = "twinpool"
BY_HAND = "by-hand"


@dataclass(frozen=True)
class Entry:
    """One competitor in one world."""

    world: str
    key: str
    """What ``--only`` calls it."""
    label: str
    place: str
    """Its module and class."""
    distribution: str | None = None
    """What has to be installed."""

    def make(self) -> AsyncPeer:
        """Return the peer, not set up yet.

        Raises:
            ImportError: it cannot be had here.
        """
        module, name = self.place.split(".")
        peer = getattr(import_module(f"{__name__}.{module}"), name)()
        assert isinstance(peer, AsyncPeer | SyncPeer)
        return Threaded(peer) if isinstance(peer, SyncPeer) else peer


ENTRIES = (
    Entry("sync", FLOOR, "the floor: deque and lock", "floor.Sync"),
    Entry("sync", OURS, "twinpool", "twinpool.SyncBlock", "twinpool"),
    Entry("sync", BY_HAND, "twinpool, by hand", "twinpool.SyncByHand", "twinpool"),
    Entry("sync", "queue", "queue.LifoQueue", "lifo.Sync"),
    Entry("sync", "psycopg", "psycopg_pool", "psycopg.Sync", "psycopg-pool"),
    Entry("sync", "pymongo", "PyMongo's Pool", "mongo.Sync", "pymongo"),
    Entry("sync", "sqlalchemy", "SQLAlchemy's QueuePool", "alchemy.Sync", "sqlalchemy"),
    Entry("sync", "generic", "generic-connection-pool", "generic.Sync", "generic-connection-pool"),
    Entry("async", FLOOR, "the floor: deque", "floor.Aio"),
    Entry("async", OURS, "twinpool", "twinpool.AioBlock", "twinpool"),
    Entry("async", BY_HAND, "twinpool, by hand", "twinpool.AioByHand", "twinpool"),
    Entry("async", "queue", "asyncio.LifoQueue", "lifo.Aio"),
    Entry("async", "psycopg", "psycopg_pool", "psycopg.Aio", "psycopg-pool"),
    Entry("async", "pymongo", "PyMongo's Pool", "mongo.Aio", "pymongo"),
    Entry("async", "sqlalchemy", "SQLAlchemy's pool", "alchemy_aio.Aio", "sqlalchemy"),
    Entry("async", "generic", "generic-connection-pool", "generic.Aio", "generic-connection-pool"),
)
