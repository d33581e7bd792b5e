"""What the pool counts of its WebSockets, for both worlds.

The lock is taken for each message, by whichever thread sends or receives it. A child process gets a new one:
another thread may have had it at the fork.
"""

from threading import Lock

from pool._record import record
from pool._runtime import fork

__all__ = ["Books", "Count", "WebSocketStats"]

# URIs that are counted separately. Of those used longest ago only the totals are kept.
_URIS = 4096


@record(frozen=True, slots=True, kw_only=True)
class WebSocketStats:
    """One moment of a pool of WebSockets, or of one URI in it. The last three only ever grow.

    Attributes:
        total: connections that count against ``max_size``.
        active: those held by a caller, or being prepared for or reset after one.
        idle: those that are open and free.
        waiting: callers in the queue.
        messages_sent: by the connections of now and those that are closed.
        messages_received: likewise.
        reconnects: connections opened in place of lost ones: closed by the server or the network, dead when
            checked, or broken in a body. Not those the pool itself has closed or retired.
    """

    total: int = 0
    active: int = 0
    idle: int = 0
    waiting: int = 0
    messages_sent: int = 0
    messages_received: int = 0
    reconnects: int = 0


class Count:
    """What was counted of one URI, or of all."""

    __slots__ = ("lost", "received", "reconnects", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        self.reconnects = 0
        self.lost = 0
        """Lost connections in place of which none was opened yet."""


class Books:
    """The counts of one manager."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._all = Count()
        self._counts: dict[str, Count] = {}
        fork.watch(self)

    def forked(self) -> None:
        """Get a lock that nobody has."""
        self._lock = Lock()

    def _of(self, uri: str) -> Count:
        count = self._counts.pop(uri, None) or Count()
        self._counts[uri] = count
        if len(self._counts) > _URIS:
            del self._counts[next(iter(self._counts))]
        return count

    def opened(self, uri: str) -> Count:
        """Count a connection that was opened; return the count of its URI."""
        with self._lock:
            count = self._of(uri)
            if count.lost:
                count.lost -= 1
                count.reconnects += 1
                self._all.reconnects += 1
            return count

    def lost(self, uri: str) -> None:
        """Count a connection that was lost."""
        with self._lock:
            self._of(uri).lost += 1

    def sent(self, count: Count, own: Count) -> None:
        """Count a message that a connection has sent."""
        with self._lock:
            count.sent += 1
            own.sent += 1
            self._all.sent += 1

    def received(self, count: Count, own: Count) -> None:
        """Count a message that a connection has received."""
        with self._lock:
            count.received += 1
            own.received += 1
            self._all.received += 1

    def look(self, uri: str | None) -> tuple[int, int, int]:
        """Return the messages sent, those received, and the reconnects: of one URI, or of all."""
        with self._lock:
            count = self._all if uri is None else self._counts.get(uri) or Count()
            return count.sent, count.received, count.reconnects
