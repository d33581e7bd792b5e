"""Opening, checking and closing WebSockets; and when one may go to the next caller.

A message must never reach another caller than the one it was meant for. So a connection goes back only if
nothing is unread, and every acquire looks whether something has come since: at the library's queue, and at
what it has not read from the kernel yet.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from websockets.exceptions import ConnectionClosed
from websockets.uri import parse_uri

from pool._async.engine import log
from pool._async.manager import ConnectionManager
from pool._async.tcp import TcpConnectionManager
from pool._async.websocket import WebSocket
from pool._runtime import aio_net as net
from pool._runtime import aio_websockets as twin
from pool._runtime import sockets
from pool._runtime.aio import Pending
from pool._runtime.aio_hooks import misfit
from pool._runtime.attempts import Attempts
from pool._runtime.websocket_books import Books
from pool._runtime.websocket_uris import normal
from pool._runtime.websocket_words import UnsendableError, is_context, make_wishes
from pool.options import check_seconds

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["Reset", "WebSocketManager"]

#: Makes a connection clean for the next caller, and says whether it is.
Reset = Callable[[WebSocket], Pending[bool]]

# Seconds that an idle connection has for the answer to a ping.
_PATIENCE: Final = 2.0


class WebSocketManager(ConnectionManager[str, WebSocket]):
    """Opens WebSockets; an endpoint is a whole URI. ``WebSocketPool`` is a pool with such a manager.

    Used in another pool, that must have ``check_after_idle=0``: each acquire must look for what has come
    meanwhile. No proxy is used, and no redirect followed.

    Parameters:
        headers: more of them for the handshake, a mapping or pairs.
        subprotocols: what to offer to the server, the best first.
        json: decode text that is received.
        reset: called with each connection that goes back, if it is open and no error has left the body.
            Only if it returns ``True``, and nothing is unread then, does the next caller get the connection;
            its ``subscriptions`` are empty again. An error is logged and counts as no.
        reset_timeout: seconds for it. Then the connection is closed.
        ping_after: seconds of idleness after which a check also pings.
        ssl: how to trust servers of ``wss``: an ``ssl.SSLContext``, or ``None`` for the system's authorities.
        max_message_size: bytes of a message, after decompression; a larger one ends the connection (1009).
        max_queue: frames that wait to be received. At more of them nothing is read, so that the server has
            to wait.
        compression: ``"deflate"`` to offer it, ``None`` not to.

    Raises:
        TypeError: an option has a wrong type.
        ValueError: an option has a wrong value.
    """

    def __init__(
        self,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
        subprotocols: Sequence[str] | None = None,
        json: bool = False,
        reset: Reset | None = None,
        reset_timeout: float = 5.0,
        ping_after: float = 1.0,
        ssl: "SSLContext | None" = None,
        max_message_size: int = 2**20,
        max_queue: int = 16,
        compression: str | None = "deflate",
    ) -> None:
        self._wishes = make_wishes(headers, subprotocols, max_message_size, max_queue, compression)
        if not isinstance(json, bool):
            raise TypeError(f"json must be True or False, not {json!r}")
        if reset is not None and not callable(reset):
            raise TypeError(f"reset must be a function or None, not {reset!r}")
        if reset is not None and (fault := misfit(reset, True)):
            raise TypeError(f"reset {fault}: {reset!r}")
        for name, seconds, zero in (
            ("reset_timeout", reset_timeout, False),
            ("ping_after", ping_after, True),
        ):
            if seconds is None:
                raise TypeError(f"{name} must be a number of seconds, not None")
            check_seconds(name, seconds, zero=zero)
        if ssl is not None and not is_context(ssl):
            raise TypeError(f"ssl must be an ssl.SSLContext or None, not {ssl!r}")
        self._context = ssl
        self._json = json
        self._reset = reset
        self._reset_timeout = reset_timeout
        self._ping_after = ping_after
        self._tcp = TcpConnectionManager()
        self._attempts = Attempts()
        self._books = Books()

    async def create(self, endpoint: str, timeout: float | None) -> WebSocket:
        """Connect and shake hands, all within ``timeout`` seconds.

        Raises:
            TimeoutError: the time is up.
            ValueError: the endpoint is no URI of a WebSocket.
            OSError: no address of the host accepts the connection, or the TLS handshake failed.
            ConnectionAbortedError: it was interrupted.
            websockets.exceptions.InvalidHandshake: the server refuses, in the library's words.
        """
        where = parse_uri(normal(endpoint))
        deadline = None if timeout is None else net.clock() + timeout
        line: twin.Line | None = None
        try:
            with self._attempts.begin(endpoint, endpoint, timeout) as attempt:
                addresses = sockets.numeric(where.host, where.port) or await net.resolve(
                    where.host, where.port, deadline, attempt
                )
                if addresses is None:
                    raise attempt.late("the host name is still being looked up")
                _, channel = await self._tcp._connect_any(attempt, addresses, deadline)
                context = self._trust() if where.secure else None
                line = await twin.open_line(
                    attempt, channel, where, self._wishes, context, deadline
                )
        except BaseException:
            # It may have been broken at the last moment.
            if line is not None:
                line.cut()
            raise
        count = self._books.opened(endpoint)
        return WebSocket(line, endpoint, self._json, self._books, count)

    def _trust(self) -> "SSLContext":
        if self._context is None:
            from pool._runtime.tls import context_for

            self._context = context_for(True)
            assert self._context is not None
        return self._context

    async def dispose(self, endpoint: str, conn: WebSocket, timeout: float | None) -> None:
        """Close the connection: with the closing handshake as far as the time allows."""
        self._look_after(conn)
        await conn._line.close(timeout)

    async def check_aliveness(self, endpoint: str, conn: WebSocket, timeout: float | None) -> bool:
        """Return whether it is open and nothing has come; after some idleness also whether it answers.

        That costs a round trip, of 2 seconds at most. The rest costs no I/O.
        """
        if not await conn._line.is_silent():
            return False
        if twin.clock() - conn._rested < self._ping_after:
            return True
        try:
            await conn.ping(_PATIENCE if timeout is None else min(timeout, _PATIENCE))
        except (TimeoutError, ConnectionClosed):
            return False
        conn._rested = twin.clock()
        return await conn._line.is_silent()

    async def on_connection_dead(self, endpoint: str, conn: WebSocket) -> None:
        """Count it as lost."""
        self._lose(conn)

    async def on_release(self, endpoint: str, conn: WebSocket) -> bool:
        """Return whether the connection is clean, after a reset if there is one."""
        self._look_after(conn)
        if not conn._line.is_open:
            return False
        if self._reset is not None:
            if not await self._is_reset(self._reset, conn):
                return False
            conn.subscriptions.clear()
        if conn.subscriptions or not await conn._line.is_silent():
            self._look_after(conn)
            return False
        conn._rested = twin.clock()
        return True

    async def _is_reset(self, reset: Reset, conn: WebSocket) -> bool:
        try:
            async with twin.time_limit(conn._line, self._reset_timeout):
                clean: object = await reset(conn)
        except Exception as error:
            log.warning("reset of %r failed: it is closed: %r", conn, error, exc_info=True)
            return False
        if not isinstance(clean, bool):
            log.warning("reset of %r returned %r, not True or False: it is closed", conn, clean)
        return clean is True

    def can_reuse(self, endpoint: str, conn: WebSocket, error: BaseException) -> bool:
        """Return whether the error is about a message that was not sent at all."""
        if isinstance(error, UnsendableError) and conn._line.is_open:
            return True
        self._lose(conn)
        return False

    def interrupt(self, endpoint: str, conn: WebSocket | None) -> None:
        """Break a connection, or every ``create`` in progress at this endpoint."""
        if conn is None:
            self._attempts.interrupt(endpoint)
            return
        # It is not lost: the pool itself ends it.
        conn._lost = True
        conn._line.interrupt()

    def after_fork(self, endpoint: str, conn: WebSocket) -> None:
        """Leave the connection to the parent."""
        conn._line.silence()

    def _look_after(self, conn: WebSocket) -> None:
        """Count it as lost if the other side has ended it."""
        if not conn._line.is_open:
            self._lose(conn)

    def _lose(self, conn: WebSocket) -> None:
        if not conn._lost:
            conn._lost = True
            self._books.lost(conn.uri)
