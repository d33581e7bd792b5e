"""What the tests of the manager for PostgreSQL have in common."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from pool.aio import ConnectionPool
from pool.aio.psycopg import PsycopgManager
from support.real import HOST, PostgresServer

LIMIT = 0.5
"""Seconds given to what a server that hangs never does."""

SLACK = 0.8
"""Seconds that it may take longer than that."""


def make(**options: Any) -> PsycopgManager:
    return PsycopgManager(dbname="postgres", user="postgres", **options)


def at(server: PostgresServer) -> tuple[str, int]:
    return HOST, server.port


def pool_of(manager: PsycopgManager) -> ConnectionPool[Any, Any]:
    return ConnectionPool(manager, max_size=1)


@asynccontextmanager
async def opened(
    server: PostgresServer, manager: PsycopgManager | None = None
) -> AsyncIterator[tuple[PsycopgManager, Any]]:
    """Give a manager and a connection of its."""
    manager = manager or make()
    conn = await manager.create(at(server), 5.0)
    try:
        yield manager, conn
    finally:
        await manager.dispose(at(server), conn, 5.0)


def status(conn: AsyncConnection[Any]) -> TransactionStatus:
    return conn.info.transaction_status
