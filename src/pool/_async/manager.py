"""What the user writes: how to open, check, prepare and close one connection of some protocol."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Generic, TypeVar

from pool._runtime.fork import silence

EndpointT = TypeVar("EndpointT", bound=Hashable)
ConnectionT = TypeVar("ConnectionT")


class ConnectionManager(ABC, Generic[EndpointT, ConnectionT]):
    """The one thing a client library writes: its wire protocol's connections, one at a time.

    An *endpoint* is any hashable value and the whole identity of a connection: whatever must not be
    mixed (address, TLS, credentials) belongs into it. A *connection* is any object; the pool neither
    compares it, nor hashes it, nor sets an attribute on it.

    Only ``create`` and ``dispose`` are required. A hook that is not overridden costs nothing. Every hook
    may call methods of the pool, such as ``clear``. ``timeout`` parameters are positional, in seconds,
    ``None`` for no limit.

    Example::

        class LineManager(TcpConnectionManager):
            async def create(self, endpoint, timeout):
                stream = await super().create(endpoint, timeout)
                await stream.send(b"HELLO\\n")
                return stream
    """

    @abstractmethod
    async def create(self, endpoint: EndpointT, timeout: float | None) -> ConnectionT:
        """Open one connection and make it ready for use (handshake, authentication).

        Parameters:
            endpoint: where to.
            timeout: seconds left, ``None`` for no limit. The async pool cancels what takes longer; in the
                sync world the limit must be honoured here.

        Raises:
            Exception: whatever it raises reaches the caller of ``acquire`` as it is.
        """

    @abstractmethod
    async def dispose(self, endpoint: EndpointT, conn: ConnectionT, timeout: float | None) -> None:
        """Close one connection. Errors are logged and never reach a caller.

        Parameters:
            endpoint: where it leads.
            conn: a connection that nobody else uses, in an unknown state.
            timeout: seconds for it (``dispose_timeout``). No cancel interrupts it in the async pool.
        """

    async def check_aliveness(
        self, endpoint: EndpointT, conn: ConnectionT, timeout: float | None
    ) -> bool:
        """Return whether an idle connection is still usable. Raising means no, and is logged.

        Parameters:
            endpoint: where it leads.
            conn: an idle connection that nobody else uses meanwhile.
            timeout: seconds left of the acquire.
        """
        return True

    async def on_acquire(self, endpoint: EndpointT, conn: ConnectionT) -> None:
        """Prepare a connection for the caller who gets it. An error discards it and is raised."""

    async def on_release(self, endpoint: EndpointT, conn: ConnectionT) -> bool | None:
        """Reset a connection that goes back. An error discards it and is raised; ``False`` only discards it.

        Not called for a connection that will be discarded anyway.
        """
        return None

    async def on_connection_dead(self, endpoint: EndpointT, conn: ConnectionT) -> None:
        """Be told that ``check_aliveness`` failed, before ``dispose``. An error is logged."""

    def can_reuse(self, endpoint: EndpointT, conn: ConnectionT, error: BaseException) -> bool:
        """Return whether the connection is at a clean protocol boundary after an error.

        Asked when ``error`` (a cancellation included) left the body of a ``with`` block. Does no I/O. Only
        a true answer brings the connection back into the pool; raising counts as no.
        """
        return False

    def interrupt(self, endpoint: EndpointT, conn: ConnectionT | None) -> None:
        """Break a connection that someone else is using, so that what he waits for fails now.

        Never blocks, and does not close the connection: its holder gives it back. With ``conn=None``,
        break every ``create`` in progress at this endpoint (the async pool also cancels those). Called
        from another thread than the holder's, perhaps just after he gave it back.
        """

    def after_fork(self, endpoint: EndpointT, conn: ConnectionT) -> None:
        """Close a connection of the parent process, in a child, without a word to the other side.

        Called at once for every open connection when a process finds itself forked, also for those that
        were in use. The pool never touches them again. By default a connection that has a ``fileno()`` is
        cut off: its file descriptor leads to nowhere. Must not block, nor take a lock.
        """
        silence(conn)

    def service_id(self, endpoint: EndpointT, conn: ConnectionT) -> Hashable | None:
        """Return which service behind a load balancer this connection reached, or ``None``."""
        return None
