"""``WebSocket``: what a caller gets from the pool, over a connection of the library."""

from collections.abc import AsyncIterator
from typing import Any

from websockets.exceptions import ConnectionClosedOK

from pool._runtime.aio_websockets import Line, clock
from pool._runtime.websocket_books import Books, Count
from pool._runtime.websocket_words import decoded, encoded
from pool.options import check_seconds

__all__ = ["WebSocket"]


class WebSocket:
    """One open WebSocket. Messages may be sent while another caller waits for one.

    When the connection ends, ``send``, ``recv`` and ``ping`` raise the library's
    ``websockets.exceptions.ConnectionClosed``, with the codes and reasons of both sides: a
    ``ConnectionClosedOK`` if it ended normally (1000, 1001), else a ``ConnectionClosedError``.

    Attributes:
        uri: where it leads, as the pool spells it.
        subscriptions: for the caller's use: what he has subscribed to and not unsubscribed. A connection on
            which some are left is not given to the next caller.

    Example::

        async with pool.connection("/quotes") as ws:
            await ws.send({"subscribe": "ACME"})
            ws.subscriptions.add("ACME")
            async for quote in ws:
                print(quote)
    """

    def __init__(self, line: Line, uri: str, json: bool, books: Books, count: Count) -> None:
        self.uri = uri
        self.subscriptions: set[Any] = set()
        self._line = line
        self._json = json
        self._books = books
        self._count = count
        self._own = Count()
        self._latency: float | None = None
        self._lost = False
        self._rested = clock()

    async def send(self, message: Any) -> None:
        """Send one message: a ``str`` as text, bytes as binary, anything else as compact JSON.

        Raises:
            UnsendableError: neither JSON nor Unicode can express it. Nothing was sent.
            ConnectionClosed: the connection has ended.
        """
        data, text = encoded(message)
        await self._line.send(data, text)
        self._books.sent(self._count, self._own)

    async def recv(self, timeout: float | None = None) -> Any:
        """Return the next message: text as ``str``, binary as ``bytes``.

        For a pool made with ``json=True`` text is decoded: what it means is returned.

        Parameters:
            timeout: seconds, ``None`` for no limit, 0 for what is there already.

        Raises:
            TimeoutError: none came in time. None is lost, also if the call is cancelled.
            UndecodableError: the text is no JSON, and is in the error. The next call gets the next message.
            ConnectionClosed: the connection has ended.
        """
        check_seconds("timeout", timeout)
        message = await self._line.recv(timeout)
        self._books.received(self._count, self._own)
        return decoded(message) if self._json and isinstance(message, str) else message

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Yield messages as ``recv`` returns them, until the connection is closed normally."""
        while True:
            try:
                message = await self.recv()
            except ConnectionClosedOK:
                return
            yield message

    async def ping(self, timeout: float | None = None) -> float:
        """Send a ping, wait for the answer, and return the seconds it took.

        The answer is behind what the server has sent before: with ``max_queue`` messages unread it is
        not seen until some are read.

        Parameters:
            timeout: seconds, ``None`` for no limit.

        Raises:
            TimeoutError: there was no answer in time.
            ConnectionClosed: the connection has ended.
        """
        check_seconds("timeout", timeout)
        self._latency = await self._line.ping(timeout)
        return self._latency

    @property
    def latency(self) -> float | None:
        """The seconds the last ping took, ``None`` before the first. The pool pings, too."""
        return self._latency

    @property
    def messages_sent(self) -> int:
        """How many messages were sent, by all who have had this connection."""
        return self._own.sent

    @property
    def messages_received(self) -> int:
        """How many messages were received, by all who have had this connection."""
        return self._own.received

    @property
    def subprotocol(self) -> str | None:
        """What was agreed upon, ``None`` if nothing was."""
        return self._line.conn.subprotocol

    @property
    def close_code(self) -> int | None:
        """The code with which it was closed, ``None`` while it is open; 1006 if the server only vanished."""
        return self._line.conn.close_code

    @property
    def close_reason(self) -> str | None:
        """What was said when it was closed, ``None`` while it is open."""
        return self._line.conn.close_reason

    def __repr__(self) -> str:
        state = "open" if self._line.is_open else f"closed ({self.close_code})"
        return f"<WebSocket {self.uri!r} {state}>"
