"""The facts of ``pool.monitoring`` as structured log records, at DEBUG.

========================  =========================================  ==================
logger                    facts                                      listener
========================  =========================================  ==================
``pool.connection``       pools and their connections                ``connection_log``
``pool.command``          commands                                   ``command_log``
``pool.topology``         topologies, servers and heartbeats         ``topology_log``
``pool.serverSelection``  the choice of a server, which no event is
========================  =========================================  ==================

A record's message is a fixed text such as ``Connection checked out``, followed by the fields. The
fields are also attributes of the record: ``event``, the name of the event class, and every property
of the event by its own name (``options``, ``reason``, ``duration`` in seconds, ``duration_micros``,
``service_id``, ``request_id``, ``topology_id``, ``reply``, …), except that

- ``address`` is always the endpoint or server, whatever the event calls it;
- ``driver_connection_id`` is the connection's number in its pool, which pool events call
  ``connection_id``.

**When they are written.** A pool finds out *when it is made* whether its logger is enabled for
DEBUG. So configure logging first: a pool made earlier stays silent, and costs nothing. To have a
pool write records as soon as the level allows, whenever that is, give it the listener, as in
``event_listeners=[logger.connection_log]``; that does not make it write twice.
"""

import logging
from collections.abc import Mapping
from typing import Any, Final

from pool.monitoring import (
    CommandFailedEvent,
    CommandStartedEvent,
    CommandSucceededEvent,
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    ConnectionLeakedEvent,
    ConnectionReadyEvent,
    Event,
    EventListener,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
    ServerClosedEvent,
    ServerDescriptionChangedEvent,
    ServerHeartbeatFailedEvent,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
    ServerOpeningEvent,
    TopologyClosedEvent,
    TopologyDescriptionChangedEvent,
    TopologyOpenedEvent,
    on,
)

__all__ = ["command_log", "connection_log", "topology_log"]

CONNECTION: Final = logging.getLogger("pool.connection")
COMMAND: Final = logging.getLogger("pool.command")
TOPOLOGY: Final = logging.getLogger("pool.topology")
SERVER_SELECTION: Final = logging.getLogger("pool.serverSelection")

_LONGEST_VALUE = 1000
"""Characters of one field that the message shows. The record's attribute has the whole value."""


def write(logger: logging.Logger, message: str, fields: Mapping[str, Any]) -> None:
    """Write a structured record at DEBUG.

    Parameters:
        logger: the logger.
        message: the fixed text.
        fields: what becomes of the record's attributes; those that are ``None`` are not shown in
            the message.
    """
    logger.debug("%s%s", message, _Shown(fields), extra=fields)


class _Shown:
    """The fields as text, made only if a handler formats the record."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields

    def __str__(self) -> str:
        shown = []
        for name, value in self._fields.items():
            if value is not None and name != "event":
                text = repr(value)
                if len(text) > _LONGEST_VALUE:
                    text = text[:_LONGEST_VALUE] + "..."
                shown.append(f"{name}={text}")
        return ": " + ", ".join(shown) if shown else ""


class _Log:
    """Writes a record for each event on one logger.

    Parameters:
        logger: the logger.
        messages: the fixed text per event class.
        renamed: the record's names of those properties that it calls otherwise.
    """

    def __init__(
        self,
        logger: logging.Logger,
        messages: Mapping[type[Event], str],
        renamed: Mapping[str, str],
    ) -> None:
        self._logger = logger
        self._messages = messages
        self._names = {
            event_type: tuple((renamed.get(name, name), name) for name in event_type._fields)
            for event_type in messages
        }

    def listener(self) -> EventListener:
        return on(self, *self._messages)

    def __call__(self, event: Event) -> None:
        if self._logger.isEnabledFor(logging.DEBUG):
            event_type = type(event)
            fields = {"event": event_type.__name__}
            for name, attribute in self._names[event_type]:
                fields[name] = getattr(event, attribute)
            write(self._logger, self._messages[event_type], fields)

    def __repr__(self) -> str:
        return f"<structured log {self._logger.name}>"


connection_log: Final = _Log(
    CONNECTION,
    {
        PoolCreatedEvent: "Connection pool created",
        PoolReadyEvent: "Connection pool ready",
        PoolClearedEvent: "Connection pool cleared",
        PoolClosedEvent: "Connection pool closed",
        ConnectionCreatedEvent: "Connection created",
        ConnectionReadyEvent: "Connection ready",
        ConnectionClosedEvent: "Connection closed",
        ConnectionCheckOutStartedEvent: "Connection checkout started",
        ConnectionCheckOutFailedEvent: "Connection checkout failed",
        ConnectionCheckedOutEvent: "Connection checked out",
        ConnectionCheckedInEvent: "Connection checked in",
        ConnectionLeakedEvent: "Connection leaked",
    },
    renamed={"connection_id": "driver_connection_id"},
).listener()
"""Writes what happens to pools and their connections on ``pool.connection``."""

command_log: Final = _Log(
    COMMAND,
    {
        CommandStartedEvent: "Command started",
        CommandSucceededEvent: "Command succeeded",
        CommandFailedEvent: "Command failed",
    },
    renamed={"connection_id": "address"},
).listener()
"""Writes what happens to commands on ``pool.command``."""

topology_log: Final = _Log(
    TOPOLOGY,
    {
        TopologyOpenedEvent: "Starting topology monitoring",
        TopologyDescriptionChangedEvent: "Topology description changed",
        TopologyClosedEvent: "Stopped topology monitoring",
        ServerOpeningEvent: "Starting server monitoring",
        ServerDescriptionChangedEvent: "Server description changed",
        ServerClosedEvent: "Stopped server monitoring",
        ServerHeartbeatStartedEvent: "Server heartbeat started",
        ServerHeartbeatSucceededEvent: "Server heartbeat succeeded",
        ServerHeartbeatFailedEvent: "Server heartbeat failed",
    },
    renamed={"connection_id": "address", "server_address": "address"},
).listener()
"""Writes what becomes known of topologies and servers, and heartbeats, on ``pool.topology``."""


def enabled() -> list[EventListener]:
    """Return the listeners whose loggers are enabled for DEBUG now."""
    logs = ((CONNECTION, connection_log), (COMMAND, command_log), (TOPOLOGY, topology_log))
    return [log for logger, log in logs if logger.isEnabledFor(logging.DEBUG)]
