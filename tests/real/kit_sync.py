"""The examples for threads, as kits."""

import psycopg
import redis
from real.kit import Kit, Tally

from examples import psycopg_sync, redis_sync
from support.real import HOST, PostgresServer, RedisServer


class Redis(redis_sync.RedisManager):
    """Counts its connects."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def create(self, endpoint: redis_sync.Endpoint, timeout: float | None) -> redis.Connection:
        with self.tally.connecting():
            return super().create(endpoint, timeout)


class Postgres(psycopg_sync.PostgresManager):
    """Counts its connects."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally

    def create(self, endpoint: str, timeout: float | None) -> psycopg_sync.Session:
        with self.tally.connecting():
            return super().create(endpoint, timeout)


def redis_echo(conn: redis.Connection, n: int, timeout: float) -> int:
    return int(redis_sync.ask(conn, "ECHO", n, timeout=timeout))


def redis_offend(conn: redis.Connection) -> None:
    redis_sync.ask(conn, "GET")


def redis_hang(conn: redis.Connection, timeout: float) -> None:
    redis_sync.ask(conn, "BLPOP", "nothing", 0, timeout=timeout)


def postgres_echo(conn: psycopg_sync.Session, n: int, timeout: float) -> int:
    with conn.limit(timeout):
        cursor = conn.execute("SELECT %s", [n])
        row = cursor.fetchone()
    assert row
    return int(row[0])


def postgres_offend(conn: psycopg_sync.Session) -> None:
    conn.execute("SELECT nonsense")


def postgres_hang(conn: psycopg_sync.Session, timeout: float) -> None:
    with conn.limit(timeout):
        conn.execute("SELECT pg_sleep(600)")


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
