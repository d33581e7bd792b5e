"""Redis for threads: connections of redis-py, pooled.

Run it with ``python examples/redis_sync.py HOST PORT``. The same program with asyncio is ``redis_aio.py``.
"""

# mypy: allow-untyped-calls
# redis-py has types for some of its functions.

import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
from redis import Connection

from pool.sync import ConnectionManager, ConnectionPool

Endpoint = tuple[str, int]

SILENCE = 5.0
"""Seconds after which a server that says nothing is given up."""


def ask(conn: Connection, *command: str | bytes | float, timeout: float = SILENCE) -> Any:
    """Send one command and return the reply to it.

    A connection that was lost stays lost. By itself, redis-py would open another, behind the pool's back.
    """
    if not conn.is_connected:
        raise redis.ConnectionError("the connection is lost")
    conn.send_command(*command)
    if not conn.can_read(timeout):
        conn.disconnect()
        raise TimeoutError(f"no answer within {timeout:.3f} s")
    return conn.read_response()


class RedisManager(ConnectionManager[Endpoint, Connection]):
    """Opens connections to Redis, to be used with ``ask``.

    Bodies must end what they begin: MULTI, WATCH, SUBSCRIBE. Otherwise send a RESET in ``on_release``, and
    let ``can_reuse`` say no.
    """

    def create(self, endpoint: Endpoint, timeout: float | None) -> Connection:
        """Connect and wait for a sign of life: the kernel connects even if the server hangs."""
        started = time.monotonic()
        host, port = endpoint
        conn = Connection(
            host,
            port,
            protocol=2,
            driver_info=None,
            socket_connect_timeout=timeout,
            socket_timeout=SILENCE,
        )
        try:
            conn.connect()
            left = SILENCE if timeout is None else timeout - (time.monotonic() - started)
            ask(conn, "PING", timeout=max(left, 0.0))
        except BaseException:
            conn.disconnect()
            raise
        return conn

    def dispose(self, endpoint: Endpoint, conn: Connection, timeout: float | None) -> None:
        conn.disconnect()

    def check_aliveness(self, endpoint: Endpoint, conn: Connection, timeout: float | None) -> bool:
        try:
            reply = ask(conn, "PING", timeout=1.0 if timeout is None else min(timeout, 1.0))
        except (redis.RedisError, TimeoutError):
            return False
        return bool(reply == b"PONG")

    def can_reuse(self, endpoint: Endpoint, conn: Connection, error: BaseException) -> bool:
        """After a reply that says no: it was read to its end."""
        return isinstance(error, redis.ResponseError) and conn.is_connected

    def interrupt(self, endpoint: Endpoint, conn: Connection | None) -> None:
        # redis-py has no other way to its socket.
        sock: socket.socket | None = None if conn is None else conn._sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # It is over already.


# --- The program -------------------------------------------------------------------------------------------


def run(endpoint: Endpoint) -> None:
    with ConnectionPool(RedisManager(), max_size=4) as pool:

        def echo(n: int) -> int:
            with pool.connection(endpoint, timeout=5.0) as conn:
                return int(ask(conn, "ECHO", n))

        with ThreadPoolExecutor(20) as threads:
            echoes = list(threads.map(echo, range(20)))
        print("20 callers:", echoes)
        print("on at most 4 connections:", pool.stats().created <= 4)

        before = pool.stats().created
        try:
            with pool.connection(endpoint) as conn:
                ask(conn, "GET")
        except redis.ResponseError as error:
            print("refused:", error)
        print("opened for that:", pool.stats().created - before)

        try:
            with pool.connection(endpoint) as conn:
                ask(conn, "BLPOP", "twinpool:nothing", 60, timeout=0.1)
        except TimeoutError as error:
            print("given up:", error)
        print("asked again:", echo(21))


def main() -> None:
    if len(sys.argv) == 3:
        run((sys.argv[1], int(sys.argv[2])))
    else:
        print(__doc__)


if __name__ == "__main__":
    main()
