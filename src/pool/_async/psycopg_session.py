"""A connection of psycopg as a pool needs it: it keeps time limits, can be broken, and forgets its user.

The limits: psycopg waits in ``wait`` for every answer, and there the clock is looked at each time that
psycopg wakes, ten times a second at least. Nothing else keeps them: a server that hangs does not.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final, NamedTuple, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncCursor
from psycopg.abc import PQGen
from psycopg.adapt import AdaptersMap
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.pq.abc import PGconn
from psycopg.rows import tuple_row

from pool._runtime import aio_psycopg as twin
from pool._runtime.clock import clock
from pool._runtime.sockets import BorrowedChannel

__all__ = ["CursorFactory", "Session", "Settings", "watched"]

T = TypeVar("T")

CursorFactory = type[AsyncCursor[Any]]

# Seconds between looks at the clock while nothing comes.
_INTERVAL: Final = 0.1

# Seconds that a server has to take a request to cancel a statement, before the connection is broken instead.
_CANCEL_LIMIT: Final = 1.0

# Seconds that the reset of a connection may take.
_RESET_LIMIT: Final = 5.0

# A transaction is open, and psycopg is not in the middle of a statement.
_OPEN: Final = (TransactionStatus.INTRANS, TransactionStatus.INERROR)


class _Late(Exception):
    """The time is up. Not an ``OSError``: while it waits, psycopg takes those for a socket that is closed."""


class Settings(NamedTuple):
    """What every session of a manager begins with, and has again after each use.

    Parameters:
        autocommit, row_factory, cursor_factory, prepare_threshold, context: those of ``psycopg.connect``.
    """

    autocommit: bool
    row_factory: Any
    cursor_factory: CursorFactory
    prepare_threshold: int | None
    context: Any


class Session(AsyncConnection[Any]):
    """One connection.

    Parameters:
        pgconn: libpq's connection, open.
        channel: another descriptor of its socket; it is the session's from now on.
        settings: how it begins.
    """

    def __init__(self, pgconn: PGconn, channel: BorrowedChannel, settings: Settings) -> None:
        super().__init__(pgconn)
        self.channel = channel
        self.may_identify = True
        self._settings = settings
        self._limit: tuple[float, float] | None = None
        self._waiting: object = None
        self._listened = False
        self._added: list[tuple[Callable[..., None], Callable[[Any], None]]] = []
        context = settings.context
        self._own_adapters = None if context is None else AdaptersMap(context.adapters)

    @property
    def adapters(self) -> AdaptersMap:
        """The types that it knows."""
        return super().adapters if self._own_adapters is None else self._own_adapters

    async def close(self) -> None:
        """Close it without waiting for the server."""
        await super().close()
        self.channel.close()

    # --- Time ---

    @contextmanager
    def limit(self, seconds: float | None) -> Iterator[None]:
        """Let what the block asks of the server take only so long.

        Raises:
            TimeoutError: it took longer. The connection is in the middle of a statement, and of no more use.
        """
        outer = self._limit
        if seconds is not None:
            # The first one that is over counts.
            own = (clock() + seconds, seconds)
            self._limit = own if outer is None else min(own, outer)
        try:
            yield
        finally:
            self._limit = outer

    async def wait(
        self, gen: PQGen[T], interval: float = _INTERVAL, timeout: float | None = None
    ) -> T:
        """Wait for what a generator of psycopg waits for, within the limit."""
        limit = self._limit
        if limit is not None:
            interval = max(0.0, min(interval, limit[0] - clock()))
        self._waiting = twin.current()
        try:
            return await super().wait(self._in_time(gen), interval, timeout)
        except _Late as error:
            raise TimeoutError(str(error)) from None
        finally:
            self._waiting = None
            self._limit = limit

    def _in_time(self, gen: PQGen[T]) -> Generator[Any, Any, T]:
        """Go on as ``gen`` does, but only within the limit."""
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                wanted = gen.send(ready)
                limit = self._limit
                if limit is not None and clock() >= limit[0]:
                    raise _Late(f"no answer within {limit[1]:.3f} s")
        except StopIteration as end:
            result: T = end.value
            return result

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:
        """Cancel the statement that runs.

        psycopg itself asks for that if it is interrupted while it waits. Whoever is interrupted must not have
        to wait long then: if the server does not take the request soon, the connection is broken.
        """
        if self._waiting is None or self._waiting != twin.current():
            await super().cancel_safe(timeout=timeout)
        elif self._limit is not None:
            self.channel.interrupt()
        else:
            try:
                await super().cancel_safe(timeout=min(timeout, _CANCEL_LIMIT))
            except psycopg.Error:
                self.channel.interrupt()
            # The request may have come before the statement: psycopg may still have been at its BEGIN.
            self._limit = (clock() + _CANCEL_LIMIT, _CANCEL_LIMIT)

    # --- Questions of ours ---

    async def ask(self, query: str) -> tuple[Any, ...] | None:
        """Send a statement outside of any transaction, and return the first row. Nothing remains of it."""
        cursor = await self.run(query, None, prepare=False)
        return await cursor.fetchone() if cursor.description is not None else None

    async def run(
        self, query: Any, params: Any, prepare: bool | None = None
    ) -> AsyncCursor[tuple[Any, ...]]:
        """Run a statement as a transaction of its own, and return its cursor.

        Parameters:
            query, params, prepare: as for a cursor of psycopg.

        Raises:
            psycopg.Error: it failed, and is undone.
        """
        self.overhear(query)
        cursor = AsyncCursor(self, row_factory=tuple_row)
        autocommit = self.autocommit
        if not autocommit:
            await self.set_autocommit(True)
        try:
            await cursor.execute(query, params, prepare=prepare)
        finally:
            status = self.pgconn.transaction_status
            if status in _OPEN:
                # The statement itself has begun it.
                await self.rollback()
                status = self.pgconn.transaction_status
            if not autocommit and status == TransactionStatus.IDLE:
                await self.set_autocommit(False)
        return cursor

    # --- What a user does to it, and how that is undone ---

    def overhear(self, query: object) -> None:
        """See whether a query may be a LISTEN. A false alarm costs a round trip at release."""
        text = query if isinstance(query, (str, bytes)) else repr(query)
        if b"listen" in text.lower() if isinstance(text, bytes) else "listen" in text.lower():
            self._listened = True

    def notifies(self, *args: Any, **kwargs: Any) -> Any:
        """Yield notifications, as psycopg does."""
        self._listened = True
        return super().notifies(*args, **kwargs)

    def add_notify_handler(self, callback: Callable[[Any], None]) -> None:
        """Call a function for every notification until the connection goes back."""
        self._listened = True
        super().add_notify_handler(callback)
        self._added.append((AsyncConnection.remove_notify_handler, callback))

    def add_notice_handler(self, callback: Callable[[Any], None]) -> None:
        """Call a function for every notice until the connection goes back."""
        super().add_notice_handler(callback)
        self._added.append((AsyncConnection.remove_notice_handler, callback))

    def is_at_rest(self) -> bool:
        """Return whether nobody uses it and the server waits for a statement, in a transaction or not."""
        pgconn = self.pgconn
        status = pgconn.transaction_status
        return (
            (status == TransactionStatus.IDLE or status in _OPEN)
            and pgconn.pipeline_status == PipelineStatus.OFF
            and not self.lock.locked()
        )

    async def settle(self) -> None:
        """Make it as the settings say. Takes no time."""
        settings = self._settings
        if self.autocommit != settings.autocommit:
            await self.set_autocommit(settings.autocommit)
        self.row_factory = settings.row_factory or tuple_row
        self.cursor_factory = settings.cursor_factory
        self.prepare_threshold = settings.prepare_threshold

    async def reset(self, discard_all: bool) -> None:
        """Make it as good as new for the next user.

        Parameters:
            discard_all: forget everything that the server keeps for this session, too.

        Raises:
            psycopg.Error: it cannot be done.
            TimeoutError: it takes too long.
        """
        if self.lock.locked() and not await twin.becomes_free(self.lock, _RESET_LIMIT):
            raise psycopg.InterfaceError("the connection came back while somebody still uses it")
        if not self.is_at_rest():
            state = "closed" if self.closed else self.info.transaction_status.name
            raise psycopg.InterfaceError(
                f"the connection came back in no state to be used again: {state}, "
                f"pipeline {self.info.pipeline_status.name}"
            )
        with self.limit(_RESET_LIMIT):
            if self.pgconn.transaction_status in _OPEN:
                await self.rollback()
            while self._added:
                remove, callback = self._added.pop()
                # Whoever has removed it already was right.
                with suppress(ValueError):
                    remove(self, callback)
            if self.isolation_level is not None:
                await self.set_isolation_level(None)
            if self.read_only is not None:
                await self.set_read_only(None)
            if self.deferrable is not None:
                await self.set_deferrable(None)
            await self.settle()
            if discard_all:
                await self.ask("DISCARD ALL")
            elif self._listened:
                await self.ask("UNLISTEN *")
            if self._listened:
                await self._forget_notifications()

    async def _forget_notifications(self) -> None:
        """Drop what came before the server knew that nobody listens.

        It sends none after its answer to that, and psycopg has read and kept all that came before.
        """
        async for _ in self.notifies(timeout=0):
            pass
        self._listened = False


def watched(factory: CursorFactory) -> CursorFactory:
    """Return a class of cursors that tell their session which queries they send."""

    class Watched(factory):  # type: ignore[valid-type, misc]
        __slots__ = ()

        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            self._conn.overhear(query)
            return super().execute(query, *args, **kwargs)

        def executemany(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            self._conn.overhear(query)
            return super().executemany(query, *args, **kwargs)

        def stream(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            self._conn.overhear(query)
            return super().stream(query, *args, **kwargs)

    Watched.__name__ = Watched.__qualname__ = factory.__name__
    return Watched
