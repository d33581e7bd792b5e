"""The client that users see: commands to the servers of a topology."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import timedelta
from sys import _getframe
from types import TracebackType
from typing import Any, Generic, Unpack

from pool._async.driver import CommandManager
from pool._async.manager import ConnectionT, EndpointT
from pool._async.operation import Operation
from pool._async.topology import Topology
from pool._runtime.aio import Limit, Pending, clock
from pool.errors import CommandError
from pool.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)
from pool.monitoring._command_events import REDACTED, Redacted
from pool.monitoring._listeners import EventListener
from pool.monitoring._operations import current_operation, next_request
from pool.monitoring._publisher import Publish, publisher_for
from pool.options import UNSET, PoolOptionsDict, check_seconds
from pool.selectors import Selector, writable

__all__ = ["Client"]


class Client(Generic[EndpointT, ConnectionT]):
    """Sends commands to the servers of a topology, and tells of them.

    Parameters:
        manager: how to connect, what a server is, how to command it.
        seeds: as for ``Topology``, like all that follow.
        options: those of ``Topology``, which are its pools' too.

    Raises:
        TypeError: a value of the wrong type, or an unknown option.
        ValueError: a value out of bounds.

    Example::

        async with Client(RedisManager(), [("redis1", 6379), ("redis2", 6379)]) as client:
            reply = await client.command({"GET": "key"}, timeout=1.0)
    """

    def __init__(
        self,
        manager: CommandManager[EndpointT, ConnectionT],
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
        if not isinstance(manager, CommandManager):
            raise TypeError(
                f"manager must be an instance of pool.aio.CommandManager, not {manager!r}"
            )
        self._manager = manager
        self._topology: Topology[EndpointT, ConnectionT] = Topology(
            manager,
            seeds,
            heartbeat_interval=heartbeat_interval,
            min_heartbeat_interval=min_heartbeat_interval,
            heartbeat_timeout=heartbeat_timeout,
            local_threshold=local_threshold,
            server_selection_timeout=server_selection_timeout,
            event_listeners=event_listeners,
            name=name,
            resolver=resolver,
            **options,
        )
        publisher = publisher_for(event_listeners, CommandListener)
        self._publish: Publish | None = None if publisher is None else publisher.publish
        self._sensitive = _names(manager.sensitive_commands)
        check = manager.check_command
        plain = getattr(check, "__func__", None) is CommandManager.check_command
        self._check = None if plain else check

    @property
    def topology(self) -> Topology[EndpointT, ConnectionT]:
        """The topology: its servers, and connections for what is no command."""
        return self._topology

    def command(
        self,
        command: Mapping[str, Any],
        database_name: str = "",
        selector: Selector = writable,
        timeout: float | None = None,
    ) -> Pending[Mapping[str, Any]]:
        """Send a command to a server that suits, and return the reply.

        Nothing is sent twice: once it is under way, an error is raised, since nobody knows what the server
        has done. Before that, a server that cannot be connected to is replaced by another one.

        Parameters:
            command: its first key is the command's name.
            database_name: the database it is for.
            selector: which servers suit.
            timeout: seconds for all of it; ``None``: ``server_selection_timeout`` and ``acquire_timeout``
                hold, and the server may take any time.

        Raises:
            CommandError: the server says that it failed.
            ServerSelectionTimeoutError: no server suits in time.
            PoolTimeoutError: there was no connection in time.
            TimeoutError: there was no reply in time.
            Exception: what the manager raised.
        """
        if not isinstance(command, Mapping):
            raise TypeError(f"command must be a mapping, not {command!r}")
        if not command:
            raise ValueError("command must have a name as its first key, but is empty")
        if not isinstance(next(iter(command)), str):
            raise TypeError(
                f"command must have a str as its first key, not {next(iter(command))!r}"
            )
        check_seconds("timeout", timeout, zero=False)
        if self._check is not None:
            self._check(command, database_name)
        operation = self._topology.connection(selector, UNSET if timeout is None else timeout)
        # A plain function: it is called by the user himself, whoever runs what it returns.
        frame = _getframe(1)
        operation.call = frame.f_code, frame.f_lasti
        operation.managed = True
        return self._command(operation, command, database_name, timeout)

    async def _command(
        self,
        operation: Operation[EndpointT, ConnectionT],
        command: Mapping[str, Any],
        database_name: str,
        timeout: float | None,
    ) -> Mapping[str, Any]:
        refusal: CommandError | None = None
        reply: Mapping[str, Any] = {}
        deadline = None if timeout is None else clock() + timeout
        async with operation as conn:
            left = None if deadline is None else max(deadline - clock(), 0.0)
            try:
                if self._publish is None:
                    reply = await self._execute(operation, conn, command, database_name, left)
                else:
                    reply = await self._told(
                        self._publish, operation, conn, command, database_name, left
                    )
            except CommandError as error:
                # It was answered: the connection is fit for the next one.
                refusal = error
            if refusal is not None and operation.is_state_change(refusal):
                # What is known of a server is told to everybody.
                operation.demoted(CommandError({}) if self._is_sensitive(command) else refusal)
        if refusal is not None:
            raise refusal
        return reply

    async def _execute(
        self,
        operation: Operation[EndpointT, ConnectionT],
        conn: ConnectionT,
        command: Mapping[str, Any],
        database_name: str,
        left: float | None,
    ) -> Mapping[str, Any]:
        manager = self._manager
        endpoint = operation.endpoint
        if left is None:
            return _checked(await manager.execute(endpoint, conn, command, database_name, None))
        limit = Limit(left)
        try:
            async with limit:
                reply = await manager.execute(endpoint, conn, command, database_name, left)
            return _checked(reply)
        except TimeoutError as error:
            if limit.expired and not error.args:
                name = next(iter(command))
                raise TimeoutError(
                    f"no reply of {endpoint!r} to {name!r} within {left:.3f} s"
                ) from error
            raise

    async def _told(
        self,
        publish: Publish,
        operation: Operation[EndpointT, ConnectionT],
        conn: ConnectionT,
        command: Mapping[str, Any],
        database_name: str,
        left: float | None,
    ) -> Mapping[str, Any]:
        """Execute, and say so."""
        endpoint = operation.endpoint
        name = next(iter(command))
        sensitive = self._is_sensitive(command)
        if sensitive:
            # Whatever follows the name may be what nobody may read.
            name = name.strip() if _plain(name) in self._sensitive else name.split()[0]
        request = next_request()
        group = current_operation()
        group = request if group is None else group
        service = number = None
        if operation.lease is not None and (entry := operation.lease.entry) is not None:
            service, number = entry.service, entry.number
        shown = Redacted(name) if sensitive else command
        publish(
            CommandStartedEvent, shown, database_name, request, endpoint, group, service, number
        )
        started = clock()
        try:
            reply = await self._execute(operation, conn, command, database_name, left)
        except BaseException as error:
            failure: Mapping[str, Any] = REDACTED
            if not sensitive:
                failure = _failure(error)
            publish(
                CommandFailedEvent,
                timedelta(seconds=clock() - started),
                failure,
                name,
                request,
                endpoint,
                group,
                service,
                database_name,
                number,
            )
            raise
        publish(
            CommandSucceededEvent,
            timedelta(seconds=clock() - started),
            REDACTED if sensitive else reply,
            name,
            request,
            endpoint,
            group,
            service,
            database_name,
            number,
        )
        return reply

    def _is_sensitive(self, command: Mapping[str, Any]) -> bool:
        name = _plain(next(iter(command)))
        return name in self._sensitive or name.partition(" ")[0] in self._sensitive

    async def open(self) -> None:
        """Begin to watch the servers, without waiting for an answer: see ``Topology.open``."""
        await self._topology.open()

    async def close(
        self, timeout: float | None = 0.0, *, interrupt_connections: bool = False
    ) -> None:
        """Close the topology and its pools for good: see ``Topology.close``."""
        await self._topology.close(timeout, interrupt_connections=interrupt_connections)

    async def __aenter__(self) -> "Client[EndpointT, ConnectionT]":
        await self._topology.open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._topology!r}>"


def _plain(name: str) -> str:
    """Return a command's name as names are compared."""
    return " ".join(name.split()).lower()


def _names(names: object) -> frozenset[str]:
    """Return the names of sensitive commands as they are compared, if they are any."""
    if isinstance(names, AbstractSet) and all(isinstance(name, str) for name in names):
        return frozenset(map(_plain, names))
    raise TypeError(f"sensitive_commands must be a set of names, not {names!r}")


def _checked(reply: object) -> Mapping[str, Any]:
    """Return what a manager's execute returned, if it is a reply."""
    if isinstance(reply, Mapping):
        return reply
    raise TypeError(f"execute must return a mapping, not {reply!r}")


def _failure(error: BaseException) -> Mapping[str, Any]:
    """Return the document that tells of an error."""
    if isinstance(error, CommandError) and isinstance(error.document, Mapping):
        return error.document
    return {"errmsg": str(error), "errtype": type(error).__name__}
