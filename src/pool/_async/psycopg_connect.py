"""Connecting to PostgreSQL in time.

Not by ``psycopg.connect``, which counts whole seconds, from two upwards, and cannot be interrupted from
another thread. This asks libpq itself what it waits for.
"""

from collections.abc import Sequence
from typing import NamedTuple

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import ConnStatus, PGconn, PollingStatus
from psycopg.pq.abc import PGconn as Connecting

from pool._async.psycopg_session import Session, Settings
from pool._runtime import aio_net as net
from pool._runtime.attempts import Attempt
from pool._runtime.sockets import BorrowedChannel, Want

__all__ = ["Where", "connect"]


class Where(NamedTuple):
    """Where to connect to, and as whom.

    Parameters:
        conninfo: everything but the server.
        host: its name: certificates and password files are about that.
        port: its port.
        addresses: of the host, none for a Unix socket.
    """

    conninfo: str
    host: str
    port: int
    addresses: Sequence[str]


async def connect(
    attempt: Attempt, where: Where, settings: Settings, deadline: float | None
) -> Session:
    """Connect to the first address that accepts; each has its share of the time.

    Raises:
        TimeoutError: the time is up.
        psycopg.OperationalError: none accepts; the error of the last one, the others as its notes.
        ConnectionAbortedError: somebody broke the attempt.
    """
    conninfo = make_conninfo(where.conninfo, host=where.host, port=where.port)
    places = [make_conninfo(conninfo, hostaddr=each) for each in where.addresses] or [conninfo]
    errors: list[Exception] = []
    for position, place in enumerate(places):
        now = net.clock()
        left = len(places) - position
        share = None if deadline is None else now + (deadline - now) / left
        try:
            return await _connect_one(attempt, place, settings, share)
        except (psycopg.Error, TimeoutError) as error:
            attempt.check()
            errors.append(error)
    last = errors.pop()
    for earlier in errors:
        last.add_note(f"before that: {earlier}")
    raise last


async def _connect_one(
    attempt: Attempt, conninfo: str, settings: Settings, deadline: float | None
) -> Session:
    """Connect to one address. Whatever fails leaves nothing open."""
    pgconn = PGconn.connect_start(conninfo.encode())
    try:
        while (status := _poll(pgconn)) != PollingStatus.OK:
            channel = _borrow(attempt, pgconn)
            attempt.check()
            want = Want.READ if status == PollingStatus.READING else Want.WRITE
            ready = await net.Readiness(channel).wait(want, deadline)
            attempt.check()
            if not ready:
                raise attempt.late("no end of the login")
        channel = _borrow(attempt, pgconn)
        pgconn.nonblocking = 1
        return Session(pgconn, channel, settings)
    except BaseException:
        pgconn.finish()
        attempt.give_up()
        raise


def _poll(pgconn: Connecting) -> int:
    """Go on as far as libpq can without waiting, and return what it waits for."""
    if pgconn.status != ConnStatus.BAD:
        status = pgconn.connect_poll()
        if status != PollingStatus.FAILED:
            return status
    raise psycopg.OperationalError(pgconn.get_error_message())


def _borrow(attempt: Attempt, pgconn: Connecting) -> BorrowedChannel:
    """Let the attempt have the socket: libpq may have another one by now, even with the same number."""
    previous = attempt.channel
    channel = attempt.channel = BorrowedChannel(pgconn.socket)
    if previous is not None:
        previous.close()
    return channel
