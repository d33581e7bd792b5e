"""The topology that users see: a thin face over the watcher."""

from collections.abc import Mapping, Sequence
from sys import _getframe
from types import TracebackType
from typing import Any, Generic, Unpack

from pool._async.driver import ServerManager
from pool._async.manager import ConnectionT, EndpointT
from pool._async.operation import Operation, Tell, select
from pool._async.pool import ConnectionPool
from pool._async.srv import load, srv_name
from pool._async.watcher import Seeds, Watcher
from pool._core.pulse import Pulse
from pool._core.selection import chosen
from pool._runtime.aio import clock
from pool._runtime.chance import lots
from pool.descriptions import ServerDescription, TopologyDescription
from pool.errors import PoolClosedError
from pool.monitoring import (
    ServerHeartbeatListener,
    ServerListener,
    TopologyListener,
)
from pool.monitoring._listeners import EventListener
from pool.monitoring._operations import current_operation
from pool.monitoring._publisher import publisher_for
from pool.options import (
    UNSET,
    PoolOptions,
    PoolOptionsDict,
    Unset,
    check_endpoint,
    check_seconds,
)
from pool.selectors import Selector, writable
from pool.stats import PoolStats

__all__ = ["Topology"]


class Topology(Generic[EndpointT, ConnectionT]):
    """The servers of one service: watched, and each with a pool of connections.

    Made anywhere: the constructor touches no event loop, starts nothing and opens no connection. It begins
    to watch at its first use, ``async with`` for one.

    Parameters:
        manager: how to connect to a server, and how to ask what it is.
        seeds: endpoints where servers may be; those they tell of are found by themselves. Or the name of
            SRV records that tell, ``"srv://_redis._tcp.example"`` (``twinpool[srv]``); they are looked up
            again and again, and count as long as no server tells of the others.
        heartbeat_interval: seconds from the end of one check of a server to the next.
        min_heartbeat_interval: the least of that, if somebody waits or asks for a check. 0 = as often as
            the servers answer: that is for tests.
        heartbeat_timeout: seconds for one check: to connect, and to answer a hello.
        local_threshold: of the servers that suit, those are used whose round-trip time is at most so many
            seconds longer than the shortest.
        server_selection_timeout: seconds to wait for a server that suits; ``None`` = no limit.
        event_listeners: listeners of ``pool.monitoring``; the registered ones come on top.
        name: for logs and ``repr``.
        resolver: for SRV records: whatever has the ``resolve`` of a resolver of dnspython; ``None`` = the
            system's name servers.
        options: the fields of ``pool.PoolOptions``, for its pools, but ``paused``.

    Raises:
        TypeError: a value of the wrong type, or an unknown option.
        ValueError: a value out of bounds.
        ImportError: SRV seeds without dnspython.

    Example::

        async with Topology(manager, [("db1", 5432), ("db2", 5432)]) as topology:
            async with topology.connection(readable, timeout=2.0) as conn:
                ...
    """

    def __init__(
        self,
        manager: ServerManager[EndpointT, ConnectionT],
        seeds: Sequence[EndpointT] | str,
        *,
        heartbeat_interval: float = 10.0,
        min_heartbeat_interval: float = 0.5,
        heartbeat_timeout: float = 10.0,
        local_threshold: float = 0.015,
        server_selection_timeout: float | None = 30.0,
        event_listeners: Sequence[EventListener] = (),
        name: str | None = None,
        resolver: object | None = None,
        **options: Unpack[PoolOptionsDict],
    ) -> None:
        if not isinstance(manager, ServerManager):
            raise TypeError(
                f"manager must be an instance of pool.aio.ServerManager, not {manager!r}"
            )
        _check_names(options)
        for key, value, zero in (
            ("heartbeat_interval", heartbeat_interval, False),
            ("min_heartbeat_interval", min_heartbeat_interval, True),
            ("heartbeat_timeout", heartbeat_timeout, False),
            ("local_threshold", local_threshold, True),
        ):
            if not isinstance(value, (int, float)):
                raise TypeError(f"{key} must be a number of seconds, not {value!r}")
            check_seconds(key, value, zero=zero)
        check_seconds("server_selection_timeout", server_selection_timeout)
        where = _seeds(seeds, resolver)
        self._topology_id = _TopologyId()
        # The families of the topology's own events; the pool asks for its own.
        publisher = publisher_for(
            event_listeners, TopologyListener, ServerListener, ServerHeartbeatListener
        )
        own: PoolOptionsDict = {**options, "paused": True}
        pool: ConnectionPool[EndpointT, ConnectionT] = ConnectionPool(
            manager, event_listeners=event_listeners, name=name, **own
        )
        rest = min(min_heartbeat_interval, heartbeat_interval)
        self._watcher = Watcher(
            self._topology_id,
            manager,
            pool,
            where,
            Pulse(heartbeat_interval, rest, heartbeat_timeout),
            local_threshold,
            None if publisher is None else publisher.publish,
        )
        self._patience = server_selection_timeout
        self._name = name
        self._teller = _teller(self._topology_id)
        self._lot = lots()

    # -- its life -----------------------------------------------------------------------------------

    async def open(self) -> None:
        """Begin to watch, without waiting for an answer. Nothing if that was done before.

        Raises:
            PoolClosedError: it is closed.
        """
        if self._watcher.is_over():
            raise PoolClosedError("the topology is closed")
        self._watcher.begin()

    async def close(
        self, timeout: float | None = 0.0, *, interrupt_connections: bool = False
    ) -> None:
        """Stop to watch and close all pools for good. Idempotent.

        The monitors' connections are closed when it returns, unless that takes longer than
        ``dispose_timeout``; operations that wait for a server get ``PoolClosedError``.

        Parameters:
            timeout: seconds to wait until connections in use have come back, ``None`` = as long as it takes.
            interrupt_connections: break off what is left then.
        """
        check_seconds("timeout", timeout)
        pool = self._watcher.pool
        try:
            await self._watcher.end()
        except BaseException:
            # Who is cancelled meanwhile does not wait for the rest either.
            await pool.close(0.0, interrupt_connections=interrupt_connections)
            raise
        await pool.close(timeout, interrupt_connections=interrupt_connections)

    async def __aenter__(self) -> "Topology[EndpointT, ConnectionT]":
        await self.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    # -- servers ------------------------------------------------------------------------------------

    async def select_server(
        self, selector: Selector = writable, timeout: float | Unset | None = UNSET
    ) -> ServerDescription:
        """Wait until some server suits, and return it: the less loaded of two at random.

        Parameters:
            selector: which servers suit.
            timeout: seconds; left out, it is ``server_selection_timeout``; ``None`` = no limit, 0 = now or
                never.

        Raises:
            ServerSelectionTimeoutError: the time is up; its text tells what is known of the servers.
            PoolClosedError: the topology is closed.
        """
        seconds = self._seconds(selector, timeout)
        deadline = _INF if seconds is None else clock() + seconds
        tell = None if self._teller is None else self._teller.of(selector)
        watcher = self._watcher
        _, found = await select(watcher, selector, deadline, seconds, None, tell)
        server = chosen(found, watcher.books.load, self._lot)
        if tell is not None:
            tell("Server selection succeeded", watcher.books.shown, address=server.address)
        return server

    def connection(
        self, selector: Selector = writable, timeout: float | Unset | None = UNSET
    ) -> Operation[EndpointT, ConnectionT]:
        """Return a block that holds a connection to a server that suits.

        A server that cannot be connected to is marked unknown, and another one is chosen as long as there is
        time: nothing was sent. An error that leaves the body and means that the connection broke (the
        manager's ``is_connection_error``) marks the server unknown, clears its pool and asks for a check at
        once; it is raised, since nobody knows what the server has done.

        Parameters:
            selector: which servers suit.
            timeout: seconds for the choice of a server and the acquire together; left out, they are
                ``server_selection_timeout`` for the one and ``acquire_timeout`` for the other; ``None`` = no
                limit, 0 = now or never.

        Raises:
            ServerSelectionTimeoutError: no server suits in time, on entering as all that follow.
            PoolTimeoutError: the time is up.
            PoolClosedError: the topology is closed.
            Exception: as ``ConnectionPool.connection``.
        """
        seconds = self._seconds(selector, timeout)
        frame = _getframe(1)
        tell = None if self._teller is None else self._teller.of(selector)
        return Operation(
            self._watcher, selector, seconds, timeout, (frame.f_code, frame.f_lasti), tell
        )

    def request_check(self) -> None:
        """Have every server checked now, or ``min_heartbeat_interval`` after its last check.

        One whose heartbeats are awaited tells by itself.
        """
        watcher = self._watcher
        watcher.begin()
        watcher.ring(watcher.core.request(None, True))

    # -- questions ----------------------------------------------------------------------------------

    @property
    def topology_id(self) -> object:
        """Its identity, in events and descriptions."""
        return self._topology_id

    @property
    def name(self) -> str | None:
        """The name it was given."""
        return self._name

    @property
    def description(self) -> TopologyDescription:
        """What is known of the servers now."""
        return self._watcher.books.shown

    @property
    def options(self) -> PoolOptions:
        """The options of its pools."""
        return self._watcher.pool.options

    def stats(self, endpoint: EndpointT | None = None) -> PoolStats:
        """Count the connections of operations, to one server or (``None``) to all; not the monitors'."""
        return self._watcher.pool.stats(endpoint)

    def explain(self) -> str:
        """Say in words what is known of the servers, who holds what, who waits, and what failed last."""
        return f"{self.description}\n{self._watcher.pool.explain()}"

    def __repr__(self) -> str:
        name = "" if self._name is None else f" {self._name!r}"
        state = "closed" if self._watcher.is_over() else self.description.topology_type_name
        return f"<{type(self).__name__}{name} {state}: {len(self.description.servers)} servers>"

    def _seconds(self, selector: object, timeout: float | Unset | None) -> float | None:
        """Return the seconds for the choice of a server."""
        if not callable(selector):
            raise TypeError(f"selector must be callable, not {selector!r}")
        if isinstance(timeout, Unset):
            return self._patience
        check_seconds("timeout", timeout)
        return timeout


_INF = float("inf")

#: What may be given by name.
_OPTIONS = (
    "heartbeat_interval",
    "min_heartbeat_interval",
    "heartbeat_timeout",
    "local_threshold",
    "server_selection_timeout",
    "event_listeners",
    "name",
    "resolver",
    *(option for option in PoolOptionsDict.__annotations__ if option != "paused"),
)


def _check_names(options: Mapping[str, object]) -> None:
    for key in options:
        if key == "paused":
            raise TypeError("paused is no option of a topology: it decides itself when to pause")
        if key not in _OPTIONS:
            raise TypeError(f"unknown option {key!r}: a topology has {', '.join(_OPTIONS)}")


class _TopologyId:
    """The identity of a topology: equal to itself only."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<topology {id(self):x}>"


class _Teller:
    """Writes the structured log of server selection."""

    __slots__ = ("_topology_id",)

    def __init__(self, topology_id: object) -> None:
        self._topology_id = topology_id

    def of(self, selector: Selector) -> Tell:
        """Return what tells of one selection."""
        from pool.logger import SERVER_SELECTION, write

        operation = current_operation()

        def tell(message: str, shown: TopologyDescription, **fields: Any) -> None:
            write(
                SERVER_SELECTION,
                message,
                {
                    "selector": getattr(selector, "__name__", repr(selector)),
                    "operation_id": operation,
                    "topology_id": self._topology_id,
                    **fields,
                    "topology_description": str(shown),
                },
            )

        return tell


def _teller(topology_id: object) -> _Teller | None:
    from logging import DEBUG

    from pool.logger import SERVER_SELECTION

    return _Teller(topology_id) if SERVER_SELECTION.isEnabledFor(DEBUG) else None


def _seeds(seeds: object, resolver: object) -> Seeds:
    """Return the seeds as the user gave them, if they are any."""
    if isinstance(seeds, str):
        name = srv_name(seeds)
        load()
        return Seeds((), name, resolver)
    if not isinstance(seeds, Sequence) or isinstance(seeds, bytes):
        raise TypeError(f"seeds must be a sequence of endpoints, not {seeds!r}")
    if isinstance(seeds, tuple) and [type(part) for part in seeds] == [str, int]:
        raise TypeError(f"seeds must be a sequence of endpoints, such as [{seeds!r}], not one")
    if not seeds:
        raise ValueError("seeds must have at least one endpoint")
    for seed in seeds:
        check_endpoint(seed)
    return Seeds(tuple(dict.fromkeys(seeds)), None, None)
