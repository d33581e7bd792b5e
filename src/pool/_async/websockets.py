"""The pool of WebSockets: a face over a pool of connections, for which an endpoint is a whole URI."""

try:
    import websockets  # noqa: F401  # the modules below need it
except ModuleNotFoundError as error:
    if error.name != "websockets":
        raise
    raise ImportError(
        "pool.aio.websockets needs websockets, which is not installed: pip install 'twinpool[websockets]'"
    ) from error

from collections.abc import Iterable, Mapping, Sequence
from sys import _getframe
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from pool._async.lease import Lease
from pool._async.pool import ConnectionPool
from pool._async.websocket import WebSocket
from pool._async.websocket_manager import Reset, WebSocketManager
from pool._runtime.aio import Pending
from pool._runtime.websocket_books import WebSocketStats
from pool._runtime.websocket_uris import normal, whole
from pool._runtime.websocket_words import UndecodableError, UnsendableError
from pool.monitoring._listeners import EventListener
from pool.options import UNSET, PoolOptions, PoolOptionsDict, Unset, check_known

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = [
    "UndecodableError",
    "UnsendableError",
    "WebSocket",
    "WebSocketManager",
    "WebSocketPool",
    "WebSocketStats",
]

# Of the time between two checks in the background, what must have passed for the check to ping: the time
# is shortened at random.
_SHARE = 0.5


class WebSocketPool:
    """A pool of WebSockets to any number of URIs.

    An endpoint is a whole URI: scheme, host, path and query. Wherever one is asked for, a path will do if
    there is a ``base_uri``; it is joined with that as ``urllib.parse.urljoin`` does. A path and its whole
    URI are one endpoint.

    A connection goes to the next caller only if it is open, nothing that came is unread, its
    ``subscriptions`` are empty and no error has left the body, other than ``UnsendableError``. One that is
    not is closed when it is released, which is no error. So is one on which something comes while it is idle,
    at the next acquire at the latest.

    Parameters:
        base_uri: what paths are joined with.
        headers: more of them for the handshake, a mapping or pairs.
        subprotocols: what to offer to the server, the best first.
        json: decode text that is received.
        reset: called with each connection that goes back, if it is open and no error has left the body:
            ``await reset(ws)`` may send and receive, say to unsubscribe. Only if it returns ``True``, and
            nothing is unread then, does the next caller get the connection; its ``subscriptions`` are empty
            again. An error is logged and counts as no.
        reset_timeout: seconds for it. Then the connection is closed.
        ping_after: seconds of idleness after which an acquire also pings.
        ssl: how to trust servers of ``wss``: an ``ssl.SSLContext``, or ``None`` for the system's authorities.
        max_message_size: bytes of a message, after decompression; a larger one ends the connection (1009).
        max_queue: frames that wait to be received. At more of them nothing is read, so that the server has
            to wait.
        compression: ``"deflate"`` to offer it, ``None`` not to.
        event_listeners: listeners of ``pool.monitoring``; the registered ones come on top.
        name: for logs and ``repr``.
        options: the fields of ``pool.PoolOptions``. ``max_size`` is connections per URI;
            ``health_check_interval`` seconds between pings of an idle connection, nobody else pings.
            ``check_after_idle`` is 0, and cannot be anything else.

    Raises:
        TypeError: a value of the wrong type, or an unknown option.
        ValueError: a value out of bounds.

    Example::

        async with WebSocketPool("wss://example.org/v1/", json=True, max_size=4) as pool:
            async with pool.connection("quotes", timeout=2.0) as ws:
                await ws.send({"quote": "ACME"})
                print(await ws.recv(timeout=1.0))
    """

    def __init__(
        self,
        base_uri: str | None = None,
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
        event_listeners: Sequence[EventListener] = (),
        name: str | None = None,
        **options: Unpack[PoolOptionsDict],
    ) -> None:
        self._base = None if base_uri is None else normal(base_uri)
        own = WebSocketPool.__init__.__kwdefaults__ or ()
        check_known(options, "a pool of WebSockets", own)
        if options.setdefault("check_after_idle", 0) != 0:
            raise ValueError(
                "check_after_idle must be 0: every acquire looks for messages that came meanwhile; "
                "ping_after says when it also pings"
            )
        self._manager = WebSocketManager(
            headers=headers,
            subprotocols=subprotocols,
            json=json,
            reset=reset,
            reset_timeout=reset_timeout,
            ping_after=ping_after,
            ssl=ssl,
            max_message_size=max_message_size,
            max_queue=max_queue,
            compression=compression,
        )
        self._pool: ConnectionPool[str, WebSocket] = ConnectionPool(
            self._manager, event_listeners=event_listeners, name=name, **options
        )
        interval = self._pool.options.health_check_interval
        if interval is not None:
            self._manager._ping_after = min(ping_after, interval * _SHARE)

    @property
    def name(self) -> str | None:
        """The name it was given."""
        return self._pool.name

    @property
    def options(self) -> PoolOptions:
        """The options in force."""
        return self._pool.options

    @property
    def base_uri(self) -> str | None:
        """What paths are joined with."""
        return self._base

    # -- connections --------------------------------------------------------------------------------

    def connection(self, uri: str, timeout: float | Unset | None = UNSET) -> Lease[str, WebSocket]:
        """Return a block that holds a ``WebSocket``: the normal way.

        Parameters:
            uri: a path or a whole URI.
            timeout: seconds for all of the acquire; left out, it is ``acquire_timeout``; ``None`` = no limit,
                0 = now or never.

        Raises:
            TypeError: the URI is no ``str``, at once.
            ValueError: it is no URI of a WebSocket, or a path without a ``base_uri``; at once.
            PoolTimeoutError: the time is up, on entering as all that follow.
            PoolClosedError: the pool is closed, or was before the connection was there.
            PoolClearedError: the URI is paused.
            PoolOverloadedError: ``max_waiting`` callers queue already.
            OSError: the connection failed.
            websockets.exceptions.InvalidHandshake: the server refused it, in the library's words.
        """
        lease = self._pool.connection(whole(self._base, uri), timeout)
        frame = _getframe(1)
        lease.code = frame.f_code
        lease.instruction = frame.f_lasti
        return lease

    def acquire(
        self, uri: str, timeout: float | Unset | None = UNSET
    ) -> Pending[Lease[str, WebSocket]]:
        """Acquire a lease, to be released by the caller: for when no block fits.

        Parameters and errors are those of ``connection``.
        """
        lease = self._pool.connection(whole(self._base, uri), timeout)
        frame = _getframe(1)
        lease.code = frame.f_code
        lease.instruction = frame.f_lasti
        return lease.acquired()

    # -- the pool's life ----------------------------------------------------------------------------

    async def add(self, uri: str) -> None:
        """Make a URI known before its first use, as ``ConnectionPool.add``."""
        await self._pool.add(whole(self._base, uri))

    async def warm_up(self, uri: str, timeout: float | None = None) -> None:
        """Make a URI known, and wait until ``min_size`` are open, as ``ConnectionPool.warm_up``."""
        await self._pool.warm_up(whole(self._base, uri), timeout)

    async def maintain(self) -> None:
        """Do one round of upkeep by hand, as ``ConnectionPool.maintain``."""
        await self._pool.maintain()

    async def ready(self, uri: str) -> None:
        """Let callers in to a paused URI, as ``ConnectionPool.ready``."""
        await self._pool.ready(whole(self._base, uri))

    async def clear(self, uri: str | None = None, *, interrupt_connections: bool = False) -> None:
        """Begin a new generation, of one URI or (``None``) all, as ``ConnectionPool.clear``."""
        endpoint = None if uri is None else whole(self._base, uri)
        await self._pool.clear(endpoint, interrupt_connections=interrupt_connections)

    async def remove(self, uri: str) -> None:
        """Close one URI's part, as ``ConnectionPool.remove``."""
        await self._pool.remove(whole(self._base, uri))

    def resize(
        self,
        *,
        max_size: int | None = None,
        min_size: int | None = None,
        total_max_size: int | None = None,
    ) -> None:
        """Change sizes at run time, as ``ConnectionPool.resize``."""
        self._pool.resize(max_size=max_size, min_size=min_size, total_max_size=total_max_size)

    async def close(
        self, timeout: float | None = 0.0, *, interrupt_connections: bool = False
    ) -> None:
        """Close the pool for good, as ``ConnectionPool.close``.

        Each connection says goodbye and waits for the answer, for ``dispose_timeout`` seconds at most.
        """
        await self._pool.close(timeout, interrupt_connections=interrupt_connections)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # -- questions ----------------------------------------------------------------------------------

    def stats(self, uri: str | None = None) -> WebSocketStats:
        """Count, for one URI or (``None``) all; works on a closed pool too.

        Messages and reconnects of a single URI are remembered for the 4096 used last.
        """
        endpoint = None if uri is None else whole(self._base, uri)
        stats = self._pool.stats(endpoint)
        sent, received, reconnects = self._manager._books.look(endpoint)
        return WebSocketStats(
            total=stats.total,
            active=stats.in_use,
            idle=stats.idle,
            waiting=stats.waiting,
            messages_sent=sent,
            messages_received=received,
            reconnects=reconnects,
        )

    def explain(self) -> str:
        """Say in words who holds what, since when and from where, who waits, and what failed last."""
        return self._pool.explain()

    def __repr__(self) -> str:
        return repr(self._pool).replace("ConnectionPool", type(self).__name__, 1)
