"""The examples with asyncio, as kits."""

import psycopg
import redis
from real.kit import Kit, Tally
from redis.asyncio import Connection

from examples import psycopg_aio, redis_aio
from support.real import HOST, PostgresServer, RedisServer


class Redis(redis_aio.RedisManager):
    """Counts its connects."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    async def create(self, endpoint: redis_aio.Endpoint, timeout: float | None) -> Connection:
        with self.tally.connecting():
            return await super().create(endpoint, timeout)


class Postgres(psycopg_aio.PostgresManager):
    """Counts its connects."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    async def create(self, endpoint: str, timeout: float | None) -> psycopg_aio.Session:
        with self.tally.connecting():
            return await super().create(endpoint, timeout)


async def redis_echo(conn: Connection, n: int, timeout: float) -> int:
    return int(await redis_aio.ask(conn, "ECHO", n, timeout=timeout))


async def redis_offend(conn: Connection) -> None:
    await redis_aio.ask(conn, "GET")


async def redis_hang(conn: Connection, timeout: float) -> None:
    await redis_aio.ask(conn, "BLPOP", "nothing", 0, timeout=timeout)


async def postgres_echo(conn: psycopg_aio.Session, n: int, timeout: float) -> int:
    with conn.limit(timeout):
        cursor = await conn.execute("SELECT %s", [n])
        row = await cursor.fetchone()
    assert row
    return int(row[0])


async def postgres_offend(conn: psycopg_aio.Session) -> None:
    await conn.execute("SELECT nonsense")


async def postgres_hang(conn: psycopg_aio.Session, timeout: float) -> None:
    with conn.limit(timeout):
        await conn.execute("SELECT pg_sleep(600)")


KITS = {
    "redis": Kit(
        server=RedisServer,
        endpoint=lambda server: (HOST, server.port),
        manager=Redis,
        echo=redis_echo,
        offend=redis_offend,
        hang=redis_hang,
        offence=redis.ResponseError,
        failures=(redis.ConnectionError, redis.TimeoutError, TimeoutError),
    ),
    "postgres": Kit(
        server=PostgresServer,
        endpoint=lambda server: server.conninfo(),
        manager=Postgres,
        echo=postgres_echo,
        offend=postgres_offend,
        hang=postgres_hang,
        offence=psycopg.errors.UndefinedColumn,
        failures=(psycopg.OperationalError, TimeoutError),
    ),
}
