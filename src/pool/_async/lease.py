"""A lease: one checkout, from the demand to the return."""

from typing import Generic

from pool._async.acquire import Attempt
from pool._async.engine import Engine
from pool._async.manager import ConnectionT, EndpointT
from pool._async.release import release
from pool._core.stack import calls
from pool._core.states import FORKED, IN_USE
from pool._runtime.aio import Checkout, clock
from pool.errors import LeaseReleasedError
from pool.options import UNSET, Unset, check_endpoint

__all__ = ["Lease", "SharedLease"]


# In place of a connection's id, while a lease is being acquired the long way.
_ENTERING = -1


class Lease(Checkout[ConnectionT], Generic[EndpointT, ConnectionT]):
    """One connection, held by one caller until ``release``, ``discard`` or the end of its block.

    ``await pool.acquire(endpoint)`` gives one; ``async with`` on it gives the connection and ends it. It
    ends once: whatever comes later does nothing and touches nobody else's connection.

    Attributes:
        endpoint: where the connection leads.
    """

    # Made by the pool, which fills in the slots itself: an __init__ would cost as much again.
    __slots__ = ("_timeout",)

    endpoint: EndpointT
    _engine: Engine[EndpointT, ConnectionT]
    _timeout: float | Unset | None

    @property
    def id(self) -> int:
        """The connection's id, also once the lease has ended; 0 if it was never acquired."""
        entry = self.entry
        return max(self.ended, 0) if entry is None else entry.id

    @property
    def connection(self) -> ConnectionT:
        """The connection: the user's own object.

        Raises:
            LeaseReleasedError: the lease has ended, or was never acquired.
        """
        entry = self.entry
        if entry is None or entry.state is not IN_USE:
            raise self._dead()
        connection: ConnectionT = entry.connection
        return connection

    async def release(self) -> None:
        """Give the connection back. Nothing if the lease has ended.

        Raises:
            Exception: what ``on_release`` raised; the connection is discarded then.
        """
        await self.__aexit__(None, None, None)

    async def discard(self) -> None:
        """End the lease and close the connection. Nothing if the lease has ended."""
        await release(self._engine, self, discard=True)

    async def acquired(self) -> "Lease[EndpointT, ConnectionT]":
        """Acquire, for the pool, and return the lease itself."""
        await self.__aenter__()
        return self

    async def _leave(self, error: BaseException | None) -> None:
        """Leave by the long way."""
        await release(self._engine, self, error)

    async def _enter(self) -> ConnectionT:
        """Enter by the long way."""
        if self.entry is None:
            if self.ended:
                raise self._dead()
            check_endpoint(self.endpoint)
            engine = self._engine
            engine.settle()
            timeout = self._timeout
            if timeout is UNSET:
                timeout = engine.options.acquire_timeout
            self.owner = engine.who()
            self.stack = None if engine.options.leak_threshold is None else calls()
            self.ended = _ENTERING
            try:
                await Attempt(engine, self, timeout).run()
            finally:
                self.ended = 0
                # A task whose result is the lease would be in a cycle with it.
                self.owner = None
        return self.connection

    def __repr__(self) -> str:
        entry = self.entry
        if entry is not None:
            return f"<Lease #{entry.id} of {self.endpoint!r}, {entry.state}>"
        state = (
            f"#{self.ended} of {self.endpoint!r}, ended"
            if self.ended > 0
            else f"of {self.endpoint!r}, new"
        )
        return f"<Lease {state}>"

    def _dead(self) -> LeaseReleasedError:
        if self.entry is not None and self.entry.state is FORKED:
            return LeaseReleasedError(
                f"the lease of connection #{self.id} to {self.endpoint!r} is the parent process's"
            )
        if self.ended == _ENTERING:
            return LeaseReleasedError(
                f"the lease of a connection to {self.endpoint!r} is being acquired"
            )
        if self.ended:
            return LeaseReleasedError(
                f"the lease of connection #{self.ended} to {self.endpoint!r} has ended"
            )
        return LeaseReleasedError(f"the lease of a connection to {self.endpoint!r} is not acquired")


class SharedLease(Lease[EndpointT, ConnectionT]):
    """One caller's share of a connection."""

    __slots__ = ()

    async def __aenter__(self) -> ConnectionT:
        engine = self._engine
        if self.entry is None and not self.ended:
            engine.settle()
            if engine.way_in is not None:
                share = engine.core.take(self, clock(), engine.who())
                if share is not None:
                    connection: ConnectionT = share.connection
                    return connection
        return await self._enter()
