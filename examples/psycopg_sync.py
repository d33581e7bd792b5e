"""PostgreSQL for threads: connections of psycopg 3, pooled.

Run it with ``python examples/psycopg_sync.py CONNINFO``, say ``"host=localhost dbname=test"``. The same
program with asyncio is ``psycopg_aio.py``. Most of it is about time: psycopg leaves limits to the server,
and a server that hangs keeps none.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import Self

import psycopg
from psycopg.pq import PGconn, PollingStatus, TransactionStatus
from psycopg.pq.abc import PGconn as AnyPGconn
from psycopg.rows import TupleRow

from pool.sync import ConnectionManager, ConnectionPool


class Session(psycopg.Connection[TupleRow]):
    """A connection of psycopg that opens in time, and that can be broken."""

    def __init__(self, pgconn: AnyPGconn) -> None:
        super().__init__(pgconn)
        # Another descriptor of the same socket: libpq closes its own when it likes, and the number of
        # that may be reused before somebody else gets to shut it down.
        self._plug = socket.socket(fileno=os.dup(pgconn.socket))
        self._plug_lock = threading.Lock()

    @classmethod
    def open(cls, conninfo: str, timeout: float | None) -> Self:
        """Connect in time: ``connect_timeout`` counts in whole seconds, and from two upwards."""
        deadline = None if timeout is None else time.monotonic() + timeout
        pgconn = PGconn.connect_start(conninfo.encode())
        try:
            while (status := pgconn.connect_poll()) != PollingStatus.OK:
                if status == PollingStatus.FAILED:
                    raise psycopg.OperationalError(pgconn.get_error_message())
                event = EVENT_READ if status == PollingStatus.READING else EVENT_WRITE
                left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
                with DefaultSelector() as selector:
                    selector.register(pgconn.socket, event)
                    if not selector.select(left):
                        raise TimeoutError(f"no connection within {timeout:.3f} s")
            pgconn.nonblocking = 1
            conn = cls(pgconn)
            conn.autocommit = True
        except BaseException:
            pgconn.finish()
            raise
        return conn

    def close(self) -> None:
        super().close()
        with self._plug_lock:
            self._plug.close()

    def break_off(self) -> None:
        """Make whatever waits for the server fail now. From any thread; never blocks."""
        with self._plug_lock:
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

        timer = threading.Timer(seconds, strike)
        timer.start()
        try:
            yield
        except psycopg.OperationalError:
            if not late:
                raise
        finally:
            timer.cancel()
            timer.join()
        if late:
            raise TimeoutError(f"no answer within {seconds:.3f} s")


class PostgresManager(ConnectionManager[str, Session]):
    """Opens connections to PostgreSQL that commit each statement, unless a body begins a transaction.

    An endpoint is a conninfo. It is logged: leave the password to ``PGPASSWORD`` or ``~/.pgpass``.
    """

    def create(self, endpoint: str, timeout: float | None) -> Session:
        return Session.open(endpoint, timeout)

    def dispose(self, endpoint: str, conn: Session, timeout: float | None) -> None:
        conn.close()

    def check_aliveness(self, endpoint: str, conn: Session, timeout: float | None) -> bool:
        try:
            with conn.limit(1.0 if timeout is None else min(timeout, 1.0)):
                conn.execute("")
        except (psycopg.Error, TimeoutError):
            return False
        return True

    def on_release(self, endpoint: str, conn: Session) -> None:
        """Undo what a body has begun and not ended."""
        if conn.info.transaction_status != TransactionStatus.IDLE:
            with conn.limit(1.0):
                conn.rollback()

    def can_reuse(self, endpoint: str, conn: Session, error: BaseException) -> bool:
        """After an error that the server reported, and outside of any transaction."""
        at_rest = conn.info.transaction_status == TransactionStatus.IDLE
        return isinstance(error, psycopg.Error) and at_rest

    def interrupt(self, endpoint: str, conn: Session | None) -> None:
        if conn is not None:
            conn.break_off()


# --- The program -------------------------------------------------------------------------------------------


def run(conninfo: str) -> None:
    with ConnectionPool(PostgresManager(), max_size=4) as pool:

        def double(n: int) -> int:
            with pool.connection(conninfo, timeout=5.0) as conn, conn.limit(5.0):
                cursor = conn.execute("SELECT 2 * %s", [n])
                (result,) = cursor.fetchone() or (0,)
                return int(result)

        with ThreadPoolExecutor(20) as threads:
            doubles = list(threads.map(double, range(20)))
        print("20 callers:", doubles)
        print("on at most 4 connections:", pool.stats().created <= 4)

        before = pool.stats().created
        try:
            with pool.connection(conninfo) as conn:
                conn.execute("SELECT nonsense")
        except psycopg.Error as error:
            print("refused:", type(error).__name__)
        with pool.connection(conninfo) as conn:
            conn.execute("BEGIN")
        with pool.connection(conninfo) as conn:
            print("left behind:", conn.info.transaction_status.name)
        print("opened for that:", pool.stats().created - before)

        try:
            with pool.connection(conninfo) as conn, conn.limit(0.1):
                conn.execute("SELECT pg_sleep(60)")
        except TimeoutError as error:
            print("given up:", error)
        print("asked again:", double(21))


def main() -> None:
    if len(sys.argv) == 2:
        run(sys.argv[1])
    else:
        print(__doc__)


if __name__ == "__main__":
    main()
