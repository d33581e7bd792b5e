"""The pool whose connections many callers use at once: a face over an engine with a core of its own."""

from collections.abc import Iterable, Sequence
from functools import partial
from sys import _getframe
from types import TracebackType
from typing import Generic, Unpack

from pool._async.closing import close
from pool._async.engine import Engine
from pool._async.lease import Lease, SharedLease
from pool._async.manager import ConnectionManager, ConnectionT, EndpointT
from pool._async.places import adopt, core_of, extend, least_loaded, open_missing, replace
from pool._async.turns import begin, introduce, make_stale
from pool._async.upkeep import keep, maintain
from pool._core.records import NOTHING, Effects
from pool._core.report import explain
from pool._core.shared import Members, SharedCore
from pool._runtime.aio import Pending, clock, name
from pool._runtime.aio_shared import shared_guard
from pool.errors import PoolClosedError
from pool.monitoring import ConnectionPoolListener
from pool.monitoring._listeners import EventListener
from pool.monitoring._publisher import publisher_for
from pool.options import (
    UNSET,
    MultiplexedOptions,
    MultiplexedOptionsDict,
    Unset,
    check_count,
    check_endpoint,
    check_instance,
    check_seconds,
    make_multiplexed_options,
    resized,
)
from pool.stats import PoolStats

__all__ = ["MultiplexedPool"]


class MultiplexedPool(Generic[EndpointT, ConnectionT]):
    """A pool of connections to one endpoint, each used by many callers at once.

    For protocols that carry several requests on one connection and match the replies themselves. A caller
    gets the connection that the fewest others use. While the least loaded one is busy and there are fewer
    than ``size``, he opens one more, as in a ``ConnectionPool``; if that fails, or takes half of his time, he
    shares one that works.

    A connection is broken once the error of a body was refused by ``can_reuse``, or a lease was discarded, or
    a check or another hook failed. Nobody new gets it, and when its last caller has left, it is closed. The
    pool replaces it, after 0.1 seconds and with growing pauses while that fails.

    ``check_aliveness`` is asked while nobody uses a connection, but ``on_acquire`` and ``on_release`` are
    called for each caller, while others use it. The constructor touches no event loop, starts nothing and
    opens no connection; a block of the pool's opens them all.

    Parameters:
        manager: how to open, check and close a connection.
        endpoint: where to.
        size: connections there may be.
        max_pending: callers that may use one connection at once; more of them queue, first come, first
            served. ``None`` = any number.
        event_listeners: listeners of ``pool.monitoring``; the registered ones come on top.
        name: for logs and ``repr``.
        options: the further fields of ``pool.options.MultiplexedOptions``.

    Raises:
        TypeError: a value of the wrong type, or an unknown option.
        ValueError: a value out of bounds.

    Example::

        async with MultiplexedPool(manager, ("localhost", 6379), size=4) as pool:
            async with pool.connection(timeout=2.0) as conn:
                print(await conn.ask("GET", "key"))
    """

    def __init__(
        self,
        manager: ConnectionManager[EndpointT, ConnectionT],
        endpoint: EndpointT,
        *,
        size: int,
        max_pending: int | None = None,
        event_listeners: Sequence[EventListener] = (),
        name: str | None = None,
        **options: Unpack[MultiplexedOptionsDict],
    ) -> None:
        check_instance(
            "manager", manager, ConnectionManager, "an instance of pool.aio.ConnectionManager"
        )
        check_instance("name", name, str | None, "a str or None")
        check_endpoint(endpoint)
        given = make_multiplexed_options(size, {"max_pending": max_pending, **options})
        publisher = publisher_for(event_listeners, ConnectionPoolListener)
        publish = None if publisher is None else publisher.publish
        self._endpoint = endpoint
        self._name = name
        self._options = given
        books = partial(SharedCore, max_pending=max_pending)
        self._engine = Engine(manager, given.of_pool(), publish, keep, books, shared_guard)
        self._engine.shown = given

    @property
    def endpoint(self) -> EndpointT:
        """Where its connections lead."""
        return self._endpoint

    @property
    def name(self) -> str | None:
        """The name it was given."""
        return self._name

    @property
    def options(self) -> MultiplexedOptions:
        """The options in force; ``size`` is the present one."""
        return resized(self._options, self.size)

    # -- connections --------------------------------------------------------------------------------

    def connection(self, timeout: float | Unset | None = UNSET) -> Lease[EndpointT, ConnectionT]:
        """Return a block that uses a connection, together with others: the normal way.

        A body that is left by an exception breaks the connection, unless the manager's ``can_reuse`` says
        that it is as good as before.

        Parameters:
            timeout: seconds for all of the acquire; left out, it is ``acquire_timeout``; ``None`` = no limit,
                0 = now or never.

        Raises:
            PoolTimeoutError: the time is up, on entering as all that follow.
            PoolClosedError: the pool is closed, or was before the connection was there.
            PoolOverloadedError: ``max_waiting`` callers queue already.
            Exception: what the manager's ``create`` or ``on_acquire`` raised.
        """
        if timeout is not UNSET:
            check_seconds("timeout", timeout)
        lease: SharedLease[EndpointT, ConnectionT] = SharedLease()
        lease._engine = self._engine
        lease._timeout = timeout
        lease.endpoint = self._endpoint
        lease.entry = None
        lease.ended = 0
        # Not the frame itself: it would keep the caller's variables alive.
        frame = _getframe(1)
        lease.code = frame.f_code
        lease.instruction = frame.f_lasti
        return lease

    def acquire(
        self, timeout: float | Unset | None = UNSET
    ) -> Pending[Lease[EndpointT, ConnectionT]]:
        """Acquire a lease, to be released by the caller: for when no block fits.

        Parameters and errors are those of ``connection``.
        """
        # A plain function: it is called by the user himself, whoever runs what it returns.
        lease = self.connection(timeout)
        frame = _getframe(1)
        lease.code = frame.f_code
        lease.instruction = frame.f_lasti
        return lease.acquired()

    def least_loaded(self) -> ConnectionT:
        """Return the working connection that the fewest callers use; it does not count as used.

        Raises:
            PoolExhaustedError: none works.
        """
        connection: ConnectionT = least_loaded(self._engine, self._endpoint)
        return connection

    # -- sizes --------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open connections until there are ``size``. If one fails, close the others again.

        Nobody must call it: callers open what they need.

        Raises:
            PoolClosedError: the pool is closed.
            Exception: what the manager's ``create`` raised first.
        """
        await self._introduce()
        await open_missing(self._engine, self._endpoint)
        self._check_open()

    async def extend(self, n: int) -> None:
        """Open ``n`` more connections, and raise the size if there is no room for them.

        Parameters:
            n: at least 1.

        Raises:
            PoolClosedError: the pool is closed.
            Exception: what the manager's ``create`` raised first. What was opened stays, as does the size.
        """
        check_count("n", n)
        await self._introduce()
        await extend(self._engine, self._endpoint, n)
        self._check_open()

    async def extend_with(self, connections: Iterable[ConnectionT]) -> None:
        """Take over open connections, and raise the size if there is no room for them.

        Parameters:
            connections: to the pool's endpoint, made as its manager makes them.

        Raises:
            PoolClosedError: the pool is closed; what it has not taken over yet is the caller's.
            ValueError: one is in the pool already.
        """
        given = list(connections)
        await self._introduce()
        await adopt(self._engine, self._endpoint, given)

    async def reduce(self, n: int, include_pending: bool = False) -> int:
        """Make the pool smaller: by unused room first, then by broken connections, then by idle ones.

        What cannot be removed stays, and with it the size.

        Parameters:
            n: by how much, at least 1.
            include_pending: if that is not enough, also by connections in use, the least loaded first. Nobody
                new gets them, and they are closed when their last caller has left.

        Returns:
            By how much it is smaller.
        """
        check_count("n", n)
        check_instance("include_pending", include_pending, bool, "True or False")
        self._engine.settle()
        core = core_of(self._engine)
        removed, effects = core.reduce(self._endpoint, n, include_pending, clock())
        await self._engine.perform(effects)
        return removed

    async def reconnect(self, only_broken: bool = True) -> int:
        """Replace connections now.

        A connection that callers use is not cut off: it is closed when the last one has left. If it is broken
        the pool replaces it then, if not, whoever needs one more. A connect that fails is logged and ends it.

        Parameters:
            only_broken: only the broken ones. If not, all: a new generation, as ``clear`` begins it.

        Returns:
            How many were opened.
        """
        check_instance("only_broken", only_broken, bool, "True or False")
        await self._introduce()
        working = 0
        if not only_broken:
            working = len(self.connected) + self.stats().connecting
            await self.clear()
        return await replace(self._engine, self._endpoint, working)

    async def drop_broken(self) -> int:
        """Give up broken connections: their places are room for others, once nobody uses them.

        Returns:
            How many there were.
        """
        self._engine.settle()
        return core_of(self._engine).forget_broken(self._endpoint)

    # -- the pool's life ----------------------------------------------------------------------------

    async def clear(self, *, interrupt_connections: bool = False) -> None:
        """Begin a new generation: every connection of now is stale.

        Idle ones are closed before this returns, those in use when their last callers have left them.

        Parameters:
            interrupt_connections: break off what is in use or connecting now.
        """
        check_instance("interrupt_connections", interrupt_connections, bool, "True or False")
        engine = self._engine
        engine.settle()
        effects = Effects()
        try:
            state = await begin(engine, self._endpoint)
            make_stale(engine, self._endpoint, state, None, interrupt_connections, effects)
        finally:
            await engine.perform(effects)

    async def maintain(self) -> None:
        """Do one round of upkeep by hand: retire, check and replace whatever is due now."""
        self._engine.settle()
        await maintain(self._engine)

    async def close(
        self, timeout: float | None = 0.0, *, interrupt_connections: bool = False
    ) -> None:
        """Close the pool for good. Idempotent.

        Idle connections close and callers in the queue fail now; a connection in use is closed when its
        last caller has left. Who still uses one at the end of the wait is logged.

        Parameters:
            timeout: seconds to wait for the leases to end, ``None`` = as long as it takes.
            interrupt_connections: break off what is left then.
        """
        check_seconds("timeout", timeout)
        check_instance("interrupt_connections", interrupt_connections, bool, "True or False")
        await close(self._engine, self, timeout, interrupt_connections)

    async def __aenter__(self) -> "MultiplexedPool[EndpointT, ConnectionT]":
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _introduce(self) -> None:
        self._engine.settle()
        self._check_open()
        await introduce(self._engine, self._endpoint, keep=True)

    def _check_open(self) -> None:
        if self._engine.core.is_closed():
            raise PoolClosedError(f"the pool of connections to {self._endpoint!r} is closed")

    # -- questions ----------------------------------------------------------------------------------

    @property
    def connections(self) -> list[ConnectionT]:
        """The connections there are, the oldest first: those that work and the broken ones."""
        return self._members().all

    @property
    def connected(self) -> list[ConnectionT]:
        """The connections that are open and not broken."""
        return self._members().connected

    @property
    def broken(self) -> list[ConnectionT]:
        """The broken connections that were not replaced yet; one that nobody uses is closed."""
        return self._members().broken

    @property
    def size(self) -> int:
        """How many connections there may be."""
        return self._members().size

    @property
    def pending(self) -> int:
        """How many callers use a connection now."""
        return self._members().pending

    def is_empty(self) -> bool:
        """Return whether there is no connection."""
        return not self._members().all

    def is_full(self) -> bool:
        """Return whether there are as many connections as may be, broken ones included."""
        members = self._members()
        return len(members.all) >= members.size

    def is_working(self) -> bool:
        """Return whether any connection works, so that a caller may get it."""
        return core_of(self._engine).least(self._endpoint) is not NOTHING

    def stats(self) -> PoolStats:
        """Count; works on a closed pool too.

        ``in_use`` are connections that anybody uses; ``acquired`` and ``released`` count callers.
        """
        return self._engine.core.stats(None, True)

    def explain(self) -> str:
        """Say in words who uses what, since when and from where, who waits, and what failed last."""
        members = self._members()
        return (
            f"{len(members.connected)} of size={members.size} connections work, "
            f"{len(members.broken)} broken, {members.pending} pending "
            f"(max_pending={self._options.max_pending})\n"
            f"{explain(self._engine.core.survey(None, True, clock()), name)}"
        )

    def _members(self) -> Members:
        return core_of(self._engine).members(self._endpoint)

    def __repr__(self) -> str:
        members = self._members()
        state = "closed" if self._engine.core.is_closed() else "open"
        name = "" if self._name is None else f" {self._name!r}"
        return (
            f"<{type(self).__name__}{name} to {self._endpoint!r}, {state}: "
            f"{len(members.connected)} connected, {len(members.broken)} broken, "
            f"{members.pending} pending, size={members.size}>"
        )
