"""What stands between the pool of a topology and the user's manager: each new connection says hello.

So the number that the server has for the connection is known, and the service behind a load balancer.
"""

from collections.abc import Hashable
from functools import partial
from typing import Any

from pool._async.driver import ServerManager
from pool._async.engine import log
from pool._async.manager import ConnectionManager, ConnectionT, EndpointT
from pool._runtime.aio import Limit, clock, shield
from pool.descriptions import Hello

__all__ = ["Greeter", "checked_hello"]

#: The hooks that are the user's own. One that he has not overridden still costs nothing.
_HIS = (
    "after_fork",
    "can_reuse",
    "check_aliveness",
    "on_acquire",
    "on_connection_dead",
    "on_release",
)


class Greeter(ConnectionManager[EndpointT, ConnectionT]):
    """The manager of a topology's pool.

    Parameters:
        manager: the user's.
        patience: seconds to close a connection whose server did not answer.
    """

    def __init__(
        self, manager: ServerManager[EndpointT, ConnectionT], patience: float | None
    ) -> None:
        self._manager = manager
        self._patience = patience
        self._known: dict[int, tuple[int | None, Hashable | None]] = {}
        """What the servers said of the connections that are open, by their identities."""
        self._greeting: dict[int, tuple[EndpointT, ConnectionT]] = {}
        """The connections whose servers have not answered yet."""
        for name in _HIS:
            setattr(self, name, getattr(manager, name))

    async def create(self, endpoint: EndpointT, timeout: float | None) -> ConnectionT:
        """Open a connection and ask the server what it is."""
        started = clock()
        conn = await self._manager.create(endpoint, timeout)
        key = id(conn)
        self._greeting[key] = endpoint, conn
        try:
            left = None if timeout is None else max(timeout - (clock() - started), 0.0)
            hello = checked_hello(await self._manager.hello(endpoint, conn, left), endpoint)
        except BaseException:
            await shield(partial(self._dismiss, endpoint), conn, None)
            raise
        finally:
            del self._greeting[key]
        if hello.connection_id is not None or hello.service_id is not None:
            self._known[key] = hello.connection_id, hello.service_id
        return conn

    async def dispose(self, endpoint: EndpointT, conn: ConnectionT, timeout: float | None) -> None:
        """Close a connection."""
        self._known.pop(id(conn), None)
        await self._manager.dispose(endpoint, conn, timeout)

    def interrupt(self, endpoint: EndpointT, conn: ConnectionT | None) -> None:
        """Break a connection, or all that are being opened: for those that wait for the hello, too."""
        if conn is None:
            for where, greeting in list(self._greeting.values()):
                if where == endpoint:
                    self._manager.interrupt(endpoint, greeting)
        self._manager.interrupt(endpoint, conn)

    def service_id(self, endpoint: EndpointT, conn: ConnectionT) -> Hashable | None:
        """Return the service that a connection has reached."""
        service = self._known.get(id(conn), _NOTHING)[1]
        return self._manager.service_id(endpoint, conn) if service is None else service

    def connection_id(self, conn: Any) -> int | None:
        """Return the number that the server has for a connection."""
        return self._known.get(id(conn), _NOTHING)[0]

    async def _dismiss(self, endpoint: EndpointT, conn: ConnectionT) -> None:
        try:
            async with Limit(self._patience):
                await self._manager.dispose(endpoint, conn, self._patience)
        except Exception:
            log.warning("dispose of a connection to %r failed", endpoint, exc_info=True)


_NOTHING: tuple[int | None, Hashable | None] = (None, None)


def checked_hello(hello: object, endpoint: object) -> Hello:
    """Return what a manager's hello returned, if it is one."""
    if not isinstance(hello, Hello):
        raise TypeError(f"hello of {endpoint!r} must return a pool.Hello, not {hello!r}")
    return hello
