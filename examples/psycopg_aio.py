"""PostgreSQL with asyncio: connections of psycopg 3, pooled.

Run it with ``python examples/psycopg_aio.py CONNINFO``, say ``"host=localhost dbname=test"``. The same
program with threads is ``psycopg_sync.py``. Most of it is about time: psycopg leaves limits to the server,
and a server that hangs keeps none.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn
from psycopg.rows import TupleRow

from pool.aio import ConnectionManager, ConnectionPool


class Session(psycopg.AsyncConnection[TupleRow]):
    """A connection of psycopg that can be broken."""

    def __init__(self, pgconn: PGconn) -> None:
        super().__init__(pgconn)
        # Another descriptor of the same socket: libpq closes its own when it likes, and the number of
        # that may be reused before somebody else gets to shut it down.
        self._plug = socket.socket(fileno=os.dup(pgconn.socket))

    async def close(self) -> None:
        await super().close()
        self._plug.close()

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Break the connection: psycopg calls this when a task is cancelled, and waits for the server.

        Before psycopg 3.3.9 the task then gets an ``OperationalError`` in place of its cancellation.
        """
        self.break_off()

    def break_off(self) -> None:
        """Make whatever waits for the server fail now. Never blocks."""
        try:
            self._plug.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # It is over already.

    @contextmanager
    def limit(self, seconds: float) -> Iterator[None]:
        """Break the connection if the block takes longer, and raise ``TimeoutError``.

        The server's ``client_connection_check_interval`` says when it notices that nobody waits any more.
        """
        late = False

        def strike() -> None:
            nonlocal late
            late = True
            self.break_off()

        timer = asyncio.get_running_loop().call_later(seconds, strike)
        try:
            yield
        except psycopg.OperationalError:
            if not late:
                raise
        finally:
            timer.cancel()
        if late:
            raise TimeoutError(f"no answer within {seconds:.3f} s")


class PostgresManager(ConnectionManager[str, Session]):
    """Opens connections to PostgreSQL that commit each statement, unless a body begins a transaction.

    An endpoint is a conninfo. It is logged: leave the password to ``PGPASSWORD`` or ``~/.pgpass``.
    """

    async def create(self, endpoint: str, timeout: float | None) -> Session:
        return await Session.connect(endpoint, autocommit=True)

    async def dispose(self, endpoint: str, conn: Session, timeout: float | None) -> None:
        await conn.close()

    async def check_aliveness(self, endpoint: str, conn: Session, timeout: float | None) -> bool:
        try:
            with conn.limit(1.0 if timeout is None else min(timeout, 1.0)):
                await conn.execute("")
        except (psycopg.Error, TimeoutError):
            return False
        return True

    async def on_release(self, endpoint: str, conn: Session) -> None:
        """Undo what a body has begun and not ended."""
        if conn.info.transaction_status != TransactionStatus.IDLE:
            with conn.limit(1.0):
                await conn.rollback()

    def can_reuse(self, endpoint: str, conn: Session, error: BaseException) -> bool:
        """After an error that the server reported, and outside of any transaction."""
        at_rest = conn.info.transaction_status == TransactionStatus.IDLE
        return isinstance(error, psycopg.Error) and at_rest

    def interrupt(self, endpoint: str, conn: Session | None) -> None:
        if conn is not None:
            conn.break_off()


# --- The program -------------------------------------------------------------------------------------------


async def run(conninfo: str) -> None:
    async with ConnectionPool(PostgresManager(), max_size=4) as pool:

        async def double(n: int) -> int:
            async with pool.connection(conninfo, timeout=5.0) as conn:
                with conn.limit(5.0):
                    cursor = await conn.execute("SELECT 2 * %s", [n])
                    (result,) = await cursor.fetchone() or (0,)
                    return int(result)

        doubles = await asyncio.gather(*(double(n) for n in range(20)))
        print("20 callers:", doubles)
        print("on at most 4 connections:", pool.stats().created <= 4)

        before = pool.stats().created
        try:
            async with pool.connection(conninfo) as conn:
                await conn.execute("SELECT nonsense")
        except psycopg.Error as error:
            print("refused:", type(error).__name__)
        async with pool.connection(conninfo) as conn:
            await conn.execute("BEGIN")
        async with pool.connection(conninfo) as conn:
            print("left behind:", conn.info.transaction_status.name)
        print("opened for that:", pool.stats().created - before)

        try:
            async with pool.connection(conninfo) as conn:
                with conn.limit(0.1):
                    await conn.execute("SELECT pg_sleep(60)")
        except TimeoutError as error:
            print("given up:", error)
        print("asked again:", await double(21))


def main() -> None:
    if len(sys.argv) == 2:
        asyncio.run(run(sys.argv[1]))
    else:
        print(__doc__)


if __name__ == "__main__":
    main()
