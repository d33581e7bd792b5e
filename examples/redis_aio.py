"""Redis with asyncio: connections of redis-py, pooled.

Run it with ``python examples/redis_aio.py HOST PORT``. The same program with threads is ``redis_sync.py``.
"""

# mypy: allow-untyped-calls
# redis-py has types for some of its functions.

import asyncio
import socket
import sys
from typing import Any

import redis
from redis.asyncio import Connection

from pool.aio import ConnectionManager, ConnectionPool

Endpoint = tuple[str, int]

SILENCE = 5.0
"""Seconds after which a server that says nothing is given up."""


async def ask(conn: Connection, *command: str | bytes | float, timeout: float = SILENCE) -> Any:
    """Send one command and return the reply to it.

    A connection that was lost stays lost. By itself, redis-py would open another, behind the pool's back.
    """
    if not conn.is_connected:
        raise redis.ConnectionError("the connection is lost")
    try:
        async with asyncio.timeout(timeout):
            await conn.send_command(*command)
            return await conn.read_response()
    except TimeoutError:
        raise TimeoutError(f"no answer within {timeout:.3f} s") from None


class RedisManager(ConnectionManager[Endpoint, Connection]):
    """Opens connections to Redis, to be used with ``ask``.

    Bodies must end what they begin: MULTI, WATCH, SUBSCRIBE. Otherwise send a RESET in ``on_release``, and
    let ``can_reuse`` say no.
    """

    async def create(self, endpoint: Endpoint, timeout: float | None) -> Connection:
        """Connect and wait for a sign of life: the kernel connects even if the server hangs."""
        host, port = endpoint
        conn = Connection(
            host=host,
            port=port,
            protocol=2,
            driver_info=None,
            socket_connect_timeout=None,  # the pool cancels what takes too long
            socket_timeout=None,
        )
        try:
            await conn.connect()
            await ask(conn, "PING")
        except BaseException:
            await conn.disconnect(nowait=True)
            raise
        return conn

    async def dispose(self, endpoint: Endpoint, conn: Connection, timeout: float | None) -> None:
        await conn.disconnect()

    async def check_aliveness(
        self, endpoint: Endpoint, conn: Connection, timeout: float | None
    ) -> bool:
        try:
            reply = await ask(conn, "PING", timeout=1.0 if timeout is None else min(timeout, 1.0))
        except (redis.RedisError, TimeoutError):
            return False
        return bool(reply == b"PONG")

    def can_reuse(self, endpoint: Endpoint, conn: Connection, error: BaseException) -> bool:
        """After a reply that says no: it was read to its end."""
        return isinstance(error, redis.ResponseError) and conn.is_connected

    def interrupt(self, endpoint: Endpoint, conn: Connection | None) -> None:
        # redis-py has no other way to its socket.
        writer = None if conn is None else conn._writer
        if writer is not None:
            try:
                writer.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It is over already.


# --- The program -------------------------------------------------------------------------------------------


async def run(endpoint: Endpoint) -> None:
    async with ConnectionPool(RedisManager(), max_size=4) as pool:

        async def echo(n: int) -> int:
            async with pool.connection(endpoint, timeout=5.0) as conn:
                return int(await ask(conn, "ECHO", n))

        echoes = await asyncio.gather(*(echo(n) for n in range(20)))
        print("20 callers:", echoes)
        print("on at most 4 connections:", pool.stats().created <= 4)

        before = pool.stats().created
        try:
            async with pool.connection(endpoint) as conn:
                await ask(conn, "GET")
        except redis.ResponseError as error:
            print("refused:", error)
        print("opened for that:", pool.stats().created - before)

        try:
            async with pool.connection(endpoint) as conn:
                await ask(conn, "BLPOP", "twinpool:nothing", 60, timeout=0.1)
        except TimeoutError as error:
            print("given up:", error)
        print("asked again:", await echo(21))


def main() -> None:
    if len(sys.argv) == 3:
        asyncio.run(run((sys.argv[1], int(sys.argv[2]))))
    else:
        print(__doc__)


if __name__ == "__main__":
    main()
