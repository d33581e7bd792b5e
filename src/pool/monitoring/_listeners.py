"""The five families of listeners, listeners made of a plain function, and who handles what."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from pool.monitoring._command_events import (
    CommandFailedEvent,
    CommandStartedEvent,
    CommandSucceededEvent,
)
from pool.monitoring._event import Event
from pool.monitoring._pool_events import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionLeakedEvent,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
)
from pool.monitoring._topology_events import (
    ServerClosedEvent,
    ServerDescriptionChangedEvent,
    ServerHeartbeatFailedEvent,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
    ServerOpeningEvent,
    TopologyClosedEvent,
    TopologyDescriptionChangedEvent,
    TopologyOpenedEvent,
)

Handler = Callable[[Any], object]


class EventListener:
    """The root of the five families. Subclass a family, or several; this one hears nothing.

    Families may share a method's name: ``started`` of a listener that is both a ``CommandListener``
    and a ``ServerHeartbeatListener`` is called with the events of both.
    """


class CommandListener(EventListener):
    """Hears of commands. Override what you want to hear."""

    def started(self, event: CommandStartedEvent) -> None:
        """A command is about to be sent."""

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """A command was answered with success."""

    def failed(self, event: CommandFailedEvent) -> None:
        """A command failed."""


class ConnectionPoolListener(EventListener):
    """Hears of pools and their connections. Override what you want to hear."""

    def pool_created(self, event: PoolCreatedEvent) -> None:
        """The pool has come to know an endpoint."""

    def pool_ready(self, event: PoolReadyEvent) -> None:
        """The endpoint may be connected to from now on."""

    def pool_cleared(self, event: PoolClearedEvent) -> None:
        """Every connection opened before is stale."""

    def pool_closed(self, event: PoolClosedEvent) -> None:
        """The pool was closed, or the endpoint was removed from it."""

    def connection_created(self, event: ConnectionCreatedEvent) -> None:
        """A connection is about to be opened."""

    def connection_ready(self, event: ConnectionReadyEvent) -> None:
        """A connection has been opened and is usable."""

    def connection_closed(self, event: ConnectionClosedEvent) -> None:
        """A connection is being closed."""

    def connection_check_out_started(self, event: ConnectionCheckOutStartedEvent) -> None:
        """A caller asks for a connection."""

    def connection_check_out_failed(self, event: ConnectionCheckOutFailedEvent) -> None:
        """A caller did not get a connection."""

    def connection_checked_out(self, event: ConnectionCheckedOutEvent) -> None:
        """A caller got a connection."""

    def connection_checked_in(self, event: ConnectionCheckedInEvent) -> None:
        """A caller gave its connection back."""

    def connection_leaked(self, event: ConnectionLeakedEvent) -> None:
        """A caller has held its connection too long; told once per lease."""


class ServerHeartbeatListener(EventListener):
    """Hears of the checks of servers. Override what you want to hear."""

    def started(self, event: ServerHeartbeatStartedEvent) -> None:
        """A server is about to be asked."""

    def succeeded(self, event: ServerHeartbeatSucceededEvent) -> None:
        """A server answered."""

    def failed(self, event: ServerHeartbeatFailedEvent) -> None:
        """A server did not answer, or with a failure."""


class ServerListener(EventListener):
    """Hears of the servers of topologies. Override what you want to hear."""

    def opened(self, event: ServerOpeningEvent) -> None:
        """A server joins the topology."""

    def description_changed(self, event: ServerDescriptionChangedEvent) -> None:
        """Something about a server became known."""

    def closed(self, event: ServerClosedEvent) -> None:
        """A server left the topology."""


class TopologyListener(EventListener):
    """Hears of topologies as a whole. Override what you want to hear."""

    def opened(self, event: TopologyOpenedEvent) -> None:
        """A topology starts to watch its servers."""

    def description_changed(self, event: TopologyDescriptionChangedEvent) -> None:
        """Something about the topology became known."""

    def closed(self, event: TopologyClosedEvent) -> None:
        """A topology no longer watches its servers."""


HANDLERS: Final[Mapping[type[Event], tuple[type[EventListener], str]]] = {
    CommandStartedEvent: (CommandListener, "started"),
    CommandSucceededEvent: (CommandListener, "succeeded"),
    CommandFailedEvent: (CommandListener, "failed"),
    PoolCreatedEvent: (ConnectionPoolListener, "pool_created"),
    PoolReadyEvent: (ConnectionPoolListener, "pool_ready"),
    PoolClearedEvent: (ConnectionPoolListener, "pool_cleared"),
    PoolClosedEvent: (ConnectionPoolListener, "pool_closed"),
    ConnectionCreatedEvent: (ConnectionPoolListener, "connection_created"),
    ConnectionReadyEvent: (ConnectionPoolListener, "connection_ready"),
    ConnectionClosedEvent: (ConnectionPoolListener, "connection_closed"),
    ConnectionCheckOutStartedEvent: (ConnectionPoolListener, "connection_check_out_started"),
    ConnectionCheckOutFailedEvent: (ConnectionPoolListener, "connection_check_out_failed"),
    ConnectionCheckedOutEvent: (ConnectionPoolListener, "connection_checked_out"),
    ConnectionCheckedInEvent: (ConnectionPoolListener, "connection_checked_in"),
    ConnectionLeakedEvent: (ConnectionPoolListener, "connection_leaked"),
    ServerHeartbeatStartedEvent: (ServerHeartbeatListener, "started"),
    ServerHeartbeatSucceededEvent: (ServerHeartbeatListener, "succeeded"),
    ServerHeartbeatFailedEvent: (ServerHeartbeatListener, "failed"),
    ServerOpeningEvent: (ServerListener, "opened"),
    ServerDescriptionChangedEvent: (ServerListener, "description_changed"),
    ServerClosedEvent: (ServerListener, "closed"),
    TopologyOpenedEvent: (TopologyListener, "opened"),
    TopologyDescriptionChangedEvent: (TopologyListener, "description_changed"),
    TopologyClosedEvent: (TopologyListener, "closed"),
}
"""Every event class that is ever published, with the family and the method that hear of it."""

_NOT_OVERRIDDEN = frozenset(vars(family)[method] for family, method in HANDLERS.values())


class _FunctionListener(EventListener):
    def __init__(self, handler: Handler, event_types: tuple[type[Event], ...]) -> None:
        self._handler = handler
        self._event_types = event_types

    def handler_of(self, event_type: type[Event]) -> Handler | None:
        return self._handler if issubclass(event_type, self._event_types) else None

    def __repr__(self) -> str:
        names = ", ".join(event_type.__name__ for event_type in self._event_types)
        return f"on({self._handler!r}, {names})"


def on(handler: Handler, *event_types: type[Event]) -> EventListener:
    """Make a listener of a plain function.

    Parameters:
        handler: called with each event, synchronously; what it returns is ignored.
        event_types: the event classes to hear of; a base class such as ``TopologyEvent`` stands for
            all classes derived from it. All events if none is named.

    Raises:
        TypeError: ``handler`` cannot be called, or is a coroutine function; or something else than
            an event class is among ``event_types``.
    """
    _check_handler("handler", handler)
    for event_type in event_types:
        if not _is_event_class(event_type):
            raise TypeError(f"not an event class: {event_type!r}")
    return _FunctionListener(handler, event_types or (Event,))


def handler_of(listener: EventListener, event_type: type[Event]) -> Handler | None:
    """Return what of a listener is to be called with events of a class; ``None`` if nothing is.

    A method that a listener does not override is nothing.

    Raises:
        TypeError: what stands in the method's place cannot be called, or is a coroutine function.
    """
    if isinstance(listener, _FunctionListener):
        return listener.handler_of(event_type)
    family, method = HANDLERS[event_type]
    if not isinstance(listener, family):
        return None
    handler: Handler = getattr(listener, method)
    # One listener of two families may inherit the empty method of either.
    if getattr(handler, "__func__", None) in _NOT_OVERRIDDEN:
        return None
    _check_handler(f"{listener!r}.{method}", handler)
    return handler


def _is_event_class(value: object) -> bool:
    # A class derived from a published one is never published itself: nobody would be called.
    return (
        isinstance(value, type)
        and issubclass(value, Event)
        and any(issubclass(published, value) for published in HANDLERS)
    )


def _check_handler(name: str, handler: object) -> None:
    if not callable(handler):
        raise TypeError(f"{name} must be callable, not {handler!r}")
    # Who has no listener does not pay for it.
    from inspect import iscoroutinefunction

    if iscoroutinefunction(handler):
        raise TypeError(f"{name} must not be a coroutine function: nobody would await {handler!r}")
