"""What the user writes for a service of several servers: how one says what it is, and how it is commanded."""

import errno
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from pool._async.manager import ConnectionManager, ConnectionT, EndpointT
from pool.descriptions import Hello
from pool.errors import PoolError

__all__ = ["CommandManager", "ServerManager", "checked_hello"]

# What the operating system says when a connection, or the way to the other side, is gone. Other errors of
# its, such as a file that is not there, may come from the body of a block and say nothing of the server.
_LOST: Final = frozenset(
    {
        errno.ECONNABORTED,
        errno.ECONNREFUSED,
        errno.ECONNRESET,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETRESET,
        errno.ENETUNREACH,
        errno.ENOTCONN,
        errno.EPIPE,
        errno.ESHUTDOWN,
        errno.ETIMEDOUT,
    }
)


class ServerManager(ConnectionManager[EndpointT, ConnectionT]):
    """A manager for a ``Topology``: it can also ask a server what it is."""

    @abstractmethod
    async def hello(self, endpoint: EndpointT, conn: ConnectionT, timeout: float | None) -> Hello:
        """Ask a server what it is. Called for heartbeats, and once for each new connection of the pool.

        Parameters:
            endpoint: the server.
            conn: a connection that nobody else uses meanwhile.
            timeout: seconds left. ``pool.aio`` cancels what takes longer; in ``pool.sync`` the limit must be
                honoured here, by an error.

        Raises:
            Exception: the server is not well; it counts as unknown then.
        """

    async def await_hello(
        self, endpoint: EndpointT, conn: ConnectionT, previous: Hello, timeout: float | None
    ) -> Hello:
        """Wait until a server is something else than it was: overridden, it makes heartbeats ``awaited``.

        Parameters:
            endpoint: the server.
            conn: the connection on which it said what it was; nobody else uses it.
            previous: what it said last.
            timeout: seconds after which it should answer though nothing has changed: the
                ``heartbeat_interval``.

        Returns:
            What the server is by now.
        """
        raise NotImplementedError("this server cannot tell when something changes")

    def is_connection_error(self, endpoint: EndpointT, error: BaseException) -> bool:
        """Return whether an error means that the connection broke, so that the server may be gone.

        Asked when ``error`` has left the body of ``topology.connection``, a ``create`` or an ``execute``. (In
        the latter two every ``OSError`` and ``EOFError`` counts anyway, but for an ``execute`` that took too
        long.) A true answer marks the server unknown, clears its pool
        and asks for a check at once. By default the network errors of the operating system and ``EOFError``;
        a time limit that is over says nothing of the server. Plain, without I/O; raising counts as no.
        """
        if isinstance(error, PoolError):
            return False
        if isinstance(error, (ConnectionError, EOFError)):
            return True
        if not isinstance(error, OSError):
            return False
        if error.errno is None:
            # In somebody's own words. A limit's TimeoutError has none either.
            return type(error) is OSError
        return error.errno in _LOST or type(error).__module__ == "ssl"

    def is_state_change(self, endpoint: EndpointT, error: BaseException) -> bool:
        """Return whether an error says that the server is no longer what it was: not the primary, say.

        Asked when ``error`` has left the body of ``topology.connection``, and for the ``CommandError`` of a
        command. A true answer marks the server unknown and asks for a check at once; its connections stay.
        Plain, without I/O; raising counts as no.
        """
        return False


class CommandManager(ServerManager[EndpointT, ConnectionT]):
    """A manager for a ``Client``: it can also send a command and read the reply to it."""

    sensitive_commands: ClassVar[frozenset[str]] = frozenset()
    """Names of commands that nobody may read: they and their replies are published as ``{}``. Case does not
    matter."""

    @abstractmethod
    async def execute(
        self,
        endpoint: EndpointT,
        conn: ConnectionT,
        command: Mapping[str, Any],
        database_name: str,
        timeout: float | None,
    ) -> Mapping[str, Any]:
        """Send a command and return the reply.

        Parameters:
            endpoint: the server.
            conn: a connection that nobody else uses meanwhile.
            command: its first key is the command's name.
            database_name: the database it is for, ``""`` if none.
            timeout: seconds left, as for ``hello``.

        Raises:
            CommandError: the server says that it failed. Its reply was read to the end: the connection is
                fit for the next command.
            Exception: anything else; the connection is closed, unless ``can_reuse`` says that it is fit.
        """

    def check_command(self, command: Mapping[str, Any], database_name: str) -> None:
        """Refuse a command that cannot be sent, before a server is looked for and anybody is told of it.

        Plain, without I/O.

        Raises:
            Exception: what is wrong with it; a ``ValueError``, say.
        """


def checked_hello(hello: object, endpoint: object) -> Hello:
    """Return what a manager's hello returned, if it is one."""
    if not isinstance(hello, Hello):
        raise TypeError(f"hello of {endpoint!r} must return a pool.Hello, not {hello!r}")
    return hello
