"""Ready-made listeners that write a log message for every event, at INFO.

Give one to a pool, as in ``event_listeners=[ConnectionPoolLogger()]``, or to
``monitoring.register``. They write on the loggers that ``pool.logger`` uses too:
``pool.connection``, ``pool.command`` and ``pool.topology``. What an operator should look at is a
WARNING: a server that was removed, a heartbeat that failed, a topology without a server to write to
or to read from, a connection that is held too long.
"""

from pool import monitoring
from pool.logger import COMMAND, CONNECTION, TOPOLOGY

__all__ = [
    "CommandLogger",
    "ConnectionPoolLogger",
    "HeartbeatLogger",
    "ServerLogger",
    "TopologyLogger",
]


class CommandLogger(monitoring.CommandListener):
    """Logs commands on ``pool.command``; never their documents."""

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        COMMAND.info(
            "command %s, request %d, started on server %s",
            event.command_name,
            event.request_id,
            event.connection_id,
        )

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        self._ended("succeeded", event)

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        self._ended("failed", event)

    def _ended(
        self, how: str, event: monitoring.CommandSucceededEvent | monitoring.CommandFailedEvent
    ) -> None:
        COMMAND.info(
            "command %s, request %d, %s on server %s after %d microseconds",
            event.command_name,
            event.request_id,
            how,
            event.connection_id,
            event.duration_micros,
        )


class ServerLogger(monitoring.ServerListener):
    """Logs servers that join, change their type, or leave, on ``pool.topology``."""

    def opened(self, event: monitoring.ServerOpeningEvent) -> None:
        TOPOLOGY.info("topology %s: server %s joined", event.topology_id, event.server_address)

    def description_changed(self, event: monitoring.ServerDescriptionChangedEvent) -> None:
        before, now = event.previous_description, event.new_description
        if now.server_type != before.server_type:
            TOPOLOGY.info(
                "topology %s: server %s was %s and is now %s",
                event.topology_id,
                event.server_address,
                before.server_type_name,
                now.server_type_name,
            )

    def closed(self, event: monitoring.ServerClosedEvent) -> None:
        TOPOLOGY.warning("topology %s: server %s left", event.topology_id, event.server_address)


class HeartbeatLogger(monitoring.ServerHeartbeatListener):
    """Logs heartbeats on ``pool.topology``."""

    def started(self, event: monitoring.ServerHeartbeatStartedEvent) -> None:
        TOPOLOGY.info("heartbeat to server %s started", event.connection_id)

    def succeeded(self, event: monitoring.ServerHeartbeatSucceededEvent) -> None:
        TOPOLOGY.info(
            "heartbeat to server %s answered after %.3f s: %s",
            event.connection_id,
            event.duration,
            event.reply.document,
        )

    def failed(self, event: monitoring.ServerHeartbeatFailedEvent) -> None:
        TOPOLOGY.warning(
            "heartbeat to server %s failed after %.3f s: %r",
            event.connection_id,
            event.duration,
            event.reply,
        )


class TopologyLogger(monitoring.TopologyListener):
    """Logs what becomes of a topology on ``pool.topology``."""

    def opened(self, event: monitoring.TopologyOpenedEvent) -> None:
        TOPOLOGY.info("topology %s opened", event.topology_id)

    def description_changed(self, event: monitoring.TopologyDescriptionChangedEvent) -> None:
        before, now = event.previous_description, event.new_description
        TOPOLOGY.info("topology %s: description updated", event.topology_id)
        if now.topology_type != before.topology_type:
            TOPOLOGY.info(
                "topology %s was %s and is now %s",
                event.topology_id,
                before.topology_type_name,
                now.topology_type_name,
            )
        if not now.has_writable_server():
            TOPOLOGY.warning("topology %s has no server to write to", event.topology_id)
        if not now.has_readable_server():
            TOPOLOGY.warning("topology %s has no server to read from", event.topology_id)

    def closed(self, event: monitoring.TopologyClosedEvent) -> None:
        TOPOLOGY.info("topology %s closed", event.topology_id)


class ConnectionPoolLogger(monitoring.ConnectionPoolListener):
    """Logs pools and their connections on ``pool.connection``."""

    def pool_created(self, event: monitoring.PoolCreatedEvent) -> None:
        CONNECTION.info("pool %s: created with %s", event.address, dict(event.options))

    def pool_ready(self, event: monitoring.PoolReadyEvent) -> None:
        CONNECTION.info("pool %s: ready", event.address)

    def pool_cleared(self, event: monitoring.PoolClearedEvent) -> None:
        CONNECTION.info("pool %s: cleared", event.address)

    def pool_closed(self, event: monitoring.PoolClosedEvent) -> None:
        CONNECTION.info("pool %s: closed", event.address)

    def connection_created(self, event: monitoring.ConnectionCreatedEvent) -> None:
        CONNECTION.info("pool %s: connection %d created", event.address, event.connection_id)

    def connection_ready(self, event: monitoring.ConnectionReadyEvent) -> None:
        CONNECTION.info("pool %s: connection %d ready", event.address, event.connection_id)

    def connection_closed(self, event: monitoring.ConnectionClosedEvent) -> None:
        CONNECTION.info(
            "pool %s: connection %d closed, reason: %s",
            event.address,
            event.connection_id,
            event.reason,
        )

    def connection_check_out_started(
        self, event: monitoring.ConnectionCheckOutStartedEvent
    ) -> None:
        CONNECTION.info("pool %s: check-out started", event.address)

    def connection_check_out_failed(self, event: monitoring.ConnectionCheckOutFailedEvent) -> None:
        CONNECTION.info("pool %s: check-out failed, reason: %s", event.address, event.reason)

    def connection_checked_out(self, event: monitoring.ConnectionCheckedOutEvent) -> None:
        CONNECTION.info("pool %s: connection %d checked out", event.address, event.connection_id)

    def connection_checked_in(self, event: monitoring.ConnectionCheckedInEvent) -> None:
        CONNECTION.info("pool %s: connection %d checked in", event.address, event.connection_id)

    def connection_leaked(self, event: monitoring.ConnectionLeakedEvent) -> None:
        CONNECTION.warning(
            "pool %s: connection %d leaked, held for %.3f s",
            event.address,
            event.connection_id,
            event.duration,
        )
