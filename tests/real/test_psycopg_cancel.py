"""The manager for PostgreSQL when tasks are cancelled."""

import asyncio
import time
from typing import Any

import pytest
from psycopg.pq import TransactionStatus

from pool.aio import ConnectionPool
from pool.aio.psycopg import PsycopgManager
from support.aio import until
from support.real import HOST
from support.standby import PostgresPrimary


async def begin(pool: ConnectionPool[Any, Any], endpoint: tuple[str, int]) -> "asyncio.Task[None]":
    """Return a task that runs a statement without an end."""

    async def sleep() -> None:
        async with pool.connection(endpoint) as conn:
            running.set_result(conn)
            await conn.execute("SELECT pg_sleep(61)")

    running: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(sleep())
    conn = await running
    await until(lambda: conn.info.transaction_status == TransactionStatus.ACTIVE)
    return task


@pytest.fixture
def pool() -> ConnectionPool[Any, Any]:
    return ConnectionPool(PsycopgManager(user="postgres", dbname="postgres"), max_size=1)


async def test_cancelled_statement(
    primary: PostgresPrimary, pool: ConnectionPool[Any, Any]
) -> None:
    """It is cancelled in the server too, and its connection serves the next caller."""
    endpoint = HOST, primary.port
    running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(61)'"
    async with pool:
        task = await begin(pool, endpoint)
        await until(lambda: primary.ask(running) == "1")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with pool.connection(endpoint) as conn:
            await conn.execute("SELECT 1")
        assert pool.stats().created == 1
        assert primary.ask(running) == "0"


async def test_cancelled_too_early(
    primary: PostgresPrimary, pool: ConnectionPool[Any, Any]
) -> None:
    """Where the statement has not begun, whoever is cancelled does not wait for it for long either."""
    async with pool:
        started = time.monotonic()
        task = await begin(pool, (HOST, primary.port))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 2.0


async def test_cancelled_while_the_server_hangs(
    primary: PostgresPrimary, pool: ConnectionPool[Any, Any]
) -> None:
    """Whoever is cancelled does not wait for the server for long; the connection is lost."""
    async with pool:
        task = await begin(pool, (HOST, primary.port))
        primary.pause()
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < 2.0
        assert pool.stats().total == 0
