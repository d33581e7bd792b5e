"""The pool that users see: a thin face over the engine."""

from collections.abc import Sequence
from sys import _getframe
from types import TracebackType
from typing import Generic, Unpack

from pool._async.closing import close
from pool._async.engine import Engine
from pool._async.lease import Lease
from pool._async.manager import ConnectionManager, ConnectionT, EndpointT
from pool._async.turns import begin, introduce, make_ready, make_stale
from pool._async.upkeep import keep, maintain
from pool._core.records import Effects
from pool._core.report import cause_of, explain, shortage
from pool._core.states import CLEARED, CLOSED, WAITING
from pool._runtime.aio import Pending, Waiter, clock, name
from pool.errors import PoolClearedError, PoolClosedError, PoolTimeoutError
from pool.monitoring import ConnectionPoolListener
from pool.monitoring._listeners import EventListener
from pool.monitoring._publisher import publisher_for
from pool.options import (
    UNSET,
    PoolOptions,
    PoolOptionsDict,
    Unset,
    check_endpoint,
    check_instance,
    check_seconds,
    make_options,
    replaced,
)
from pool.stats import PoolStats

__all__ = ["ConnectionPool"]


class ConnectionPool(Generic[EndpointT, ConnectionT]):
    """A pool of connections to any number of endpoints.

    Made anywhere: the constructor touches no event loop, starts nothing and opens no connection.

    Parameters:
        manager: how to open, check and close a connection.
        event_listeners: listeners of ``pool.monitoring``; the registered ones come on top.
        name: for logs and ``repr``.
        options: the fields of ``pool.PoolOptions``.

    Raises:
        TypeError: a value of the wrong type, or an unknown option.
        ValueError: a value out of bounds.

    Example::

        async with ConnectionPool(TcpConnectionManager(), max_size=4) as pool:
            async with pool.connection(("localhost", 7000), timeout=2.0) as stream:
                await stream.send(b"hello")
    """

    def __init__(
        self,
        manager: ConnectionManager[EndpointT, ConnectionT],
        *,
        event_listeners: Sequence[EventListener] = (),
        name: str | None = None,
        **options: Unpack[PoolOptionsDict],
    ) -> None:
        check_instance(
            "manager", manager, ConnectionManager, "an instance of pool.aio.ConnectionManager"
        )
        check_instance("name", name, str | None, "a str or None")
        publisher = publisher_for(event_listeners, ConnectionPoolListener)
        publish = None if publisher is None else publisher.publish
        self._engine = Engine(manager, make_options({**options}), publish, keep)
        self._name = name

    @property
    def name(self) -> str | None:
        """The name it was given."""
        return self._name

    @property
    def options(self) -> PoolOptions:
        """The options in force."""
        return self._engine.options

    # -- connections --------------------------------------------------------------------------------

    def connection(
        self, endpoint: EndpointT, timeout: float | Unset | None = UNSET
    ) -> Lease[EndpointT, ConnectionT]:
        """Return a block that holds a connection: the normal way.

        A body that is left by an exception gives its connection back only if the manager's
        ``can_reuse`` says so; otherwise the connection is closed.

        Parameters:
            endpoint: where to.
            timeout: seconds for all of the acquire; left out, it is ``acquire_timeout``; ``None`` = no limit,
                0 = now or never.

        Raises:
            PoolTimeoutError: the time is up, on entering as all that follow.
            PoolClosedError: the pool is closed, or was before the connection was there.
            PoolClearedError: the endpoint is paused.
            PoolOverloadedError: ``max_waiting`` callers queue already.
            Exception: what the manager's ``create`` or ``on_acquire`` raised.
        """
        if timeout is not UNSET:
            check_seconds("timeout", timeout)
        lease: Lease[EndpointT, ConnectionT] = Lease()
        lease._engine = self._engine
        lease._timeout = timeout
        lease.endpoint = endpoint
        lease.entry = None
        lease.ended = 0
        # Not the frame itself: it would keep the caller's variables alive.
        frame = _getframe(1)
        lease.code = frame.f_code
        lease.instruction = frame.f_lasti
        return lease

    def acquire(
        self, endpoint: EndpointT, timeout: float | Unset | None = UNSET
    ) -> Pending[Lease[EndpointT, ConnectionT]]:
        """Acquire a lease, to be released by the caller: for when no block fits.

        Parameters and errors are those of ``connection``.
        """
        # A plain function: it is called by the user himself, whoever runs what it returns.
        lease = self.connection(endpoint, timeout)
        frame = _getframe(1)
        lease.code = frame.f_code
        lease.instruction = frame.f_lasti
        return lease.acquired()

    # -- the pool's life ----------------------------------------------------------------------------

    async def add(self, endpoint: EndpointT) -> None:
        """Make an endpoint known before its first use; it stays known when it is empty.

        Raises:
            PoolClosedError: the pool is closed.
        """
        self._enter(endpoint)
        if self._engine.core.is_closed():
            raise PoolClosedError(f"the pool is closed: cannot add {endpoint!r}")
        await introduce(self._engine, endpoint, keep=True)

    async def warm_up(self, endpoint: EndpointT, timeout: float | None = None) -> None:
        """Make an endpoint known, and wait until ``min_size`` connections are there.

        Failed connects are tried again meanwhile, with growing pauses.

        Parameters:
            endpoint: the endpoint.
            timeout: seconds to wait, ``None`` = as long as it takes.

        Raises:
            PoolTimeoutError: the time is up; the pool goes on trying.
            PoolClosedError: the pool is closed, or the endpoint was removed.
            PoolClearedError: the endpoint is paused.
        """
        check_seconds("timeout", timeout)
        started = clock()
        await self.add(endpoint)
        engine = self._engine
        retry: float | None = None
        while True:
            waiter = Waiter()
            verdict = engine.core.warm(endpoint, waiter)
            if verdict is not WAITING:
                break
            try:
                if not engine.options.background_collector:
                    retry = await maintain(engine)
                left = None if timeout is None else max(timeout - (clock() - started), 0.0)
                patience = left if retry is None or (left is not None and left < retry) else retry
                woken = await waiter.wait(patience)
            finally:
                engine.core.cool(endpoint, waiter)
            if not woken and patience is left:
                raise self._not_warm(endpoint, timeout)
        if verdict is CLOSED:
            raise PoolClosedError(f"the pool of connections to {endpoint!r} is closed")
        if verdict is CLEARED:
            raise PoolClearedError(f"connections to {endpoint!r} are paused")

    def _not_warm(self, endpoint: EndpointT, timeout: float | None) -> PoolTimeoutError:
        survey = self._engine.core.survey(endpoint, False, clock())
        error = PoolTimeoutError(
            f"min_size={self.options.min_size} connections to {endpoint!r} not open within {timeout} s "
            f"(phase: fill): {shortage(survey, name)}"
        )
        error.__cause__ = cause_of(survey)
        return error

    async def maintain(self) -> None:
        """Do one round of upkeep by hand: retire, check and fill whatever is due now."""
        self._engine.settle()
        await maintain(self._engine)

    async def ready(self, endpoint: EndpointT) -> None:
        """Let callers in to a paused endpoint; adds it if need be; nothing if it is ready.

        Raises:
            PoolClosedError: the pool is closed.
        """
        await self.add(endpoint)
        engine = self._engine
        state = await begin(engine, endpoint)
        await engine.perform(make_ready(engine, endpoint, state))

    async def clear(
        self,
        endpoint: EndpointT | None = None,
        *,
        service_id: object = None,
        interrupt_connections: bool = False,
    ) -> None:
        """Begin a new generation: every connection of now is stale.

        Idle ones are closed before this returns, those in use when they come back. A pool made with
        ``paused=True`` also pauses: callers in the queue and newcomers get ``PoolClearedError`` until
        ``ready``. Otherwise the queue is served by new connections.

        Parameters:
            endpoint: which one, ``None`` for all.
            service_id: only the connections that reached this service; then nothing pauses.
            interrupt_connections: break off what is in use or connecting now.
        """
        check_instance("interrupt_connections", interrupt_connections, bool, "True or False")
        self._enter(endpoint)
        engine = self._engine
        effects = Effects()
        try:
            for each in engine.core.endpoints() if endpoint is None else [endpoint]:
                state = await begin(engine, each)
                make_stale(engine, each, state, service_id, interrupt_connections, effects)
        finally:
            await engine.perform(effects)

    async def remove(self, endpoint: EndpointT) -> None:
        """Close one endpoint's part: its idle connections now, those in use when their leases end.

        Its callers in the queue get ``PoolClosedError``. Used again, it starts afresh.
        """
        self._enter(endpoint)
        await self._engine.perform(self._engine.core.shut(endpoint, False))

    def resize(
        self,
        *,
        max_size: int | None = None,
        min_size: int | None = None,
        total_max_size: int | None = None,
    ) -> None:
        """Change sizes at run time; what is not named stays.

        Idle surplus is closed at once, the rest as it comes back.

        Parameters:
            max_size: connections per endpoint.
            min_size: connections that are kept per endpoint.
            total_max_size: connections over all endpoints.

        Raises:
            TypeError: not a whole number.
            ValueError: out of bounds, or out of order with the other sizes.
        """
        engine = self._engine
        old = engine.options
        options = replaced(
            old,
            max_size=old.max_size if max_size is None else max_size,
            min_size=old.min_size if min_size is None else min_size,
            total_max_size=old.total_max_size if total_max_size is None else total_max_size,
        )
        if options == old:
            return
        if not engine.unsettled():
            engine.settle()
        engine.options = engine.shown = options
        engine.dismiss(engine.core.resize(options, clock()))

    async def close(
        self, timeout: float | None = 0.0, *, interrupt_connections: bool = False
    ) -> None:
        """Close the pool for good. Idempotent.

        Idle connections close and callers in the queue fail now; a connection in use is closed when its
        lease ends. Who still holds one at the end of the wait is logged.

        Parameters:
            timeout: seconds to wait for the leases to end, ``None`` = as long as it takes.
            interrupt_connections: break off what is left then.
        """
        check_seconds("timeout", timeout)
        check_instance("interrupt_connections", interrupt_connections, bool, "True or False")
        await close(self._engine, self, timeout, interrupt_connections)

    async def __aenter__(self) -> "ConnectionPool[EndpointT, ConnectionT]":
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # -- questions ----------------------------------------------------------------------------------

    def stats(self, endpoint: EndpointT | None = None) -> PoolStats:
        """Count, for one endpoint or (``None``) all; works on a closed pool too."""
        check_endpoint(endpoint)
        return self._engine.core.stats(endpoint, endpoint is None)

    def get_size(self) -> int:
        """Return how many connections there are, over all endpoints."""
        return self.stats().total

    def get_endpoint_pool_size(self, endpoint: EndpointT, acquired: bool | None = None) -> int:
        """Return how many connections an endpoint has.

        Parameters:
            endpoint: the endpoint.
            acquired: ``True`` for those in use only, ``False`` for the idle ones, ``None`` for all.
        """
        stats = self.stats(endpoint)
        if acquired is None:
            return stats.total
        return stats.in_use if acquired else stats.idle

    def explain(self) -> str:
        """Say in words who holds what, since when and from where, who waits, and what failed last."""
        return explain(self._engine.core.survey(None, True, clock()), name)

    def __repr__(self) -> str:
        stats = self.stats()
        state = "closed" if self._engine.core.is_closed() else "open"
        name = "" if self._name is None else f" {self._name!r}"
        return (
            f"<{type(self).__name__}{name} {state}: {stats.endpoints} endpoints, "
            f"{stats.in_use} in use, {stats.idle} idle, {stats.connecting} connecting, "
            f"{stats.closing} closing, {stats.waiting} waiting>"
        )

    def _enter(self, endpoint: EndpointT | None) -> None:
        check_endpoint(endpoint)
        self._engine.settle()
