"""What happens to a pool and to its connections.

``address`` is the endpoint, as it was given to the pool. ``connection_id`` counts from 1 per
endpoint. ``duration`` is in seconds.
"""

from collections.abc import Hashable, Mapping
from typing import Any, Final

from pool.monitoring._event import Event


class ConnectionClosedReason:
    """The values of ``ConnectionClosedEvent.reason``."""

    STALE: Final = "stale"
    """The pool was cleared after the connection was opened."""

    IDLE: Final = "idle"
    """Retired in good health: idle too long, too old, used too often, or evicted to make room."""

    ERROR: Final = "error"
    """It failed to open or failed a check, was discarded, or came back in an unknown state."""

    POOL_CLOSED: Final = "poolClosed"
    """The pool was closed, or the endpoint was removed from it."""


class ConnectionCheckOutFailedReason:
    """The values of ``ConnectionCheckOutFailedEvent.reason``."""

    TIMEOUT: Final = "timeout"
    """The time allowed was up."""

    POOL_CLOSED: Final = "poolClosed"
    """The pool was closed, or the endpoint was removed from it."""

    CONN_ERROR: Final = "connectionError"
    """Anything else: a failed connect or hook, a cleared pool, a cancelled or surplus caller."""


class _PoolEvent(Event):
    """About one endpoint's part of a pool.

    Parameters:
        address: the endpoint.
    """

    __slots__ = ("_address",)

    def __init__(self, address: Hashable) -> None:
        self._address: Any = address

    @property
    def address(self) -> Any:
        """The endpoint."""
        return self._address


class PoolCreatedEvent(_PoolEvent):
    """The pool has come to know an endpoint.

    Parameters:
        address: the endpoint.
        options: the options that differ from their defaults, by name.
    """

    __slots__ = ("_options",)

    def __init__(self, address: Hashable, options: Mapping[str, Any]) -> None:
        super().__init__(address)
        self._options = options

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the pool that differ from their defaults, by name."""
        return self._options


class PoolReadyEvent(_PoolEvent):
    """The endpoint may be connected to from now on.

    Parameters:
        address: the endpoint.
    """

    __slots__ = ()


class PoolClearedEvent(_PoolEvent):
    """Every connection opened before this event is stale.

    Parameters:
        address: the endpoint.
        service_id: the service whose connections are stale; ``None`` for those of all.
        interrupt_connections: whether connections in use are broken at once.
    """

    __slots__ = ("_interrupt_connections", "_service_id")

    def __init__(
        self,
        address: Hashable,
        service_id: Hashable | None = None,
        interrupt_connections: bool = False,
    ) -> None:
        super().__init__(address)
        self._service_id = service_id
        self._interrupt_connections = interrupt_connections

    @property
    def service_id(self) -> Hashable | None:
        """The service whose connections are stale; ``None`` for those of all."""
        return self._service_id

    @property
    def interrupt_connections(self) -> bool:
        """Whether connections in use are broken at once, not only when they come back."""
        return self._interrupt_connections


class PoolClosedEvent(_PoolEvent):
    """The pool was closed, or this endpoint was removed from it.

    Parameters:
        address: the endpoint.
    """

    __slots__ = ()


class _ConnectionEvent(Event):
    """About one connection, or the attempt to get one.

    Parameters:
        address: the endpoint.
    """

    # Two or three of these events belong to every checkout. So each constructor below sets all its
    # slots itself: a call of super().__init__ would cost as much as the rest of it.
    __slots__ = ("_address",)

    def __init__(self, address: Hashable) -> None:
        self._address: Any = address

    @property
    def address(self) -> Any:
        """The endpoint."""
        return self._address


class _ConnectionIdEvent(_ConnectionEvent):
    """About one connection.

    Parameters:
        address: the endpoint.
        connection_id: the connection's number.
    """

    __slots__ = ("_connection_id",)

    def __init__(self, address: Hashable, connection_id: int) -> None:
        self._address = address
        self._connection_id = connection_id

    @property
    def connection_id(self) -> int:
        """The connection's number; counts from 1 per endpoint."""
        return self._connection_id


class _ConnectionDurationEvent(_ConnectionIdEvent):
    """About something that took one connection some time.

    Parameters:
        address: the endpoint.
        connection_id: the connection's number.
        duration: seconds; ``None`` if not known.
    """

    __slots__ = ("_duration",)

    def __init__(self, address: Hashable, connection_id: int, duration: float | None) -> None:
        self._address = address
        self._connection_id = connection_id
        self._duration = duration

    @property
    def duration(self) -> float | None:
        """How long it took, in seconds; ``None`` if not known."""
        return self._duration


class ConnectionCreatedEvent(_ConnectionIdEvent):
    """A connection is about to be opened; it is not usable yet.

    Parameters:
        address: the endpoint.
        connection_id: the connection's number.
    """

    __slots__ = ()


class ConnectionReadyEvent(_ConnectionDurationEvent):
    """A connection has been opened and is usable.

    Parameters:
        address: the endpoint.
        connection_id: the connection's number.
        duration: seconds it took to open it.
    """

    __slots__ = ()


class ConnectionClosedEvent(_ConnectionIdEvent):
    """A connection is being closed. Each one closes once.

    Parameters:
        address: the endpoint.
        connection_id: the connection's number.
        reason: one of ``ConnectionClosedReason``.
    """

    __slots__ = ("_reason",)

    def __init__(self, address: Hashable, connection_id: int, reason: str) -> None:
        self._address = address
        self._connection_id = connection_id
        self._reason = reason

    @property
    def reason(self) -> str:
        """Why it is closed: one of ``ConnectionClosedReason``."""
        return self._reason


class ConnectionCheckOutStartedEvent(_ConnectionEvent):
    """A caller asks for a connection.

    Parameters:
        address: the endpoint.
    """

    __slots__ = ()


class ConnectionCheckOutFailedEvent(_ConnectionEvent):
    """A caller did not get a connection.

    Parameters:
        address: the endpoint.
        reason: one of ``ConnectionCheckOutFailedReason``.
        duration: seconds since the caller asked; ``None`` if not known.
    """

    __slots__ = ("_duration", "_reason")

    def __init__(self, address: Hashable, reason: str, duration: float | None) -> None:
        self._address = address
        self._reason = reason
        self._duration = duration

    @property
    def connection_id(self) -> int:
        """Always 0: there is no connection to name."""
        return 0

    @property
    def reason(self) -> str:
        """Why there is none: one of ``ConnectionCheckOutFailedReason``."""
        return self._reason

    @property
    def duration(self) -> float | None:
        """Seconds since the caller asked; ``None`` if not known."""
        return self._duration


class ConnectionCheckedOutEvent(_ConnectionDurationEvent):
    """A caller got a connection.

    Parameters:
        address: the endpoint.
        connection_id: the connection's number.
        duration: seconds since the caller asked.
    """

    __slots__ = ()


class ConnectionCheckedInEvent(_ConnectionIdEvent):
    """A caller gave its connection back.

    Parameters:
        address: the endpoint.
        connection_id: the connection's number.
    """

    __slots__ = ()


class ConnectionLeakedEvent(_ConnectionIdEvent):
    """A lease has been held longer than the pool's ``leak_threshold``. PyMongo has no such event.

    It is told once per lease and ends nothing: the lease goes on.

    Parameters:
        address: the endpoint.
        connection_id: the connection's number.
        duration: seconds since the connection was checked out.
        stack: the calls that took the lease, as the ``traceback`` module formats them.
    """

    __slots__ = ("_duration", "_stack")
    # It has many lines.
    _unshown = frozenset({"stack"})

    def __init__(self, address: Hashable, connection_id: int, duration: float, stack: str) -> None:
        self._address = address
        self._connection_id = connection_id
        self._duration = duration
        self._stack = stack

    @property
    def duration(self) -> float:
        """Seconds since the connection was checked out."""
        return self._duration

    @property
    def stack(self) -> str:
        """The calls that took the lease, oldest first; every line ends in a newline."""
        return self._stack
