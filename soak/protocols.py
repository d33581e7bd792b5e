"""The two protocols, as the tests speak them, and how an endpoint of each leads through a proxy."""

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import psycopg
import redis
from real import kit_aio, kit_sync
from real.kit import Kit, Tally

from pool import PoolError
from support.real import PostgresServer, RealServer, RedisServer

__all__ = ["PROTOCOLS", "TOLERATED", "Protocol", "Refusal", "is_late", "within"]


class Refusal(Exception):
    """What a body raises by itself."""


#: What may come on such a day; everything else is a violation.
TOLERATED = (PoolError, OSError, redis.RedisError, psycopg.Error, Refusal, UnicodeDecodeError)


def is_late(error: BaseException) -> bool:
    """Return whether a driver's time was up: on a busy machine that says nothing. A pool's would."""
    return isinstance(error, TimeoutError | redis.TimeoutError) and not isinstance(error, PoolError)


def within(conn: Any, seconds: float) -> AbstractContextManager[Any]:
    """Limit a block, if the connection needs that: one to Redis limits what it is asked by itself."""
    limit = getattr(conn, "limit", None)
    found: AbstractContextManager[Any] = nullcontext() if limit is None else limit(seconds)
    return found


@dataclass(frozen=True)
class Protocol:
    """One protocol.

    Parameters:
        name: of the server.
        server: makes one.
        missing: says why there is none here, ``None`` if there is.
        endpoint: makes the endpoint of an address.
    """

    name: str
    server: Callable[[], RealServer]
    missing: Callable[[], str | None]
    endpoint: Callable[[str, int], Hashable]

    def kit(self, world: str) -> Kit:
        """Return how it is spoken in a world."""
        kits = {"sync": kit_sync.KITS, "aio": kit_aio.KITS}
        return kits[world][self.name]

    def manager(self, world: str) -> Any:
        """Return the manager of the example."""
        return self.kit(world).manager(Tally())


def _conninfo(host: str, port: int) -> str:
    return f"host={host} port={port} dbname=postgres user=postgres application_name=soak"


PROTOCOLS = [
    Protocol("redis", RedisServer, RedisServer.missing, lambda host, port: (host, port)),
    Protocol(
        "postgres",
        lambda: PostgresServer(max_connections=150),
        PostgresServer.missing,
        _conninfo,
    ),
]
