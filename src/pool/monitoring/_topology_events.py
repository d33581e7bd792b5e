"""What becomes known of a topology, of its servers, and the heartbeats that tell.

Descriptions and hellos are those that the topology shows; events only carry them.
"""

from collections.abc import Hashable
from typing import Any

from pool.monitoring._event import Event


class TopologyEvent(Event):
    """About a topology as a whole.

    Parameters:
        topology_id: the topology's identity.
    """

    __slots__ = ("_topology_id",)

    def __init__(self, topology_id: Hashable) -> None:
        self._topology_id = topology_id

    @property
    def topology_id(self) -> Hashable:
        """The topology's identity."""
        return self._topology_id


class TopologyOpenedEvent(TopologyEvent):
    """A topology starts to watch its servers.

    Parameters:
        topology_id: the topology's identity.
    """

    __slots__ = ()


class TopologyDescriptionChangedEvent(TopologyEvent):
    """Something about the topology became known.

    Parameters:
        previous_description: the ``TopologyDescription`` until now.
        new_description: the one from now on.
        args: ``topology_id``.
    """

    __slots__ = ("_new_description", "_previous_description")

    def __init__(self, previous_description: Any, new_description: Any, *args: Any) -> None:
        super().__init__(*args)
        self._previous_description = previous_description
        self._new_description = new_description

    @property
    def previous_description(self) -> Any:
        """The ``TopologyDescription`` until now."""
        return self._previous_description

    @property
    def new_description(self) -> Any:
        """The ``TopologyDescription`` from now on."""
        return self._new_description


class TopologyClosedEvent(TopologyEvent):
    """A topology no longer watches its servers.

    Parameters:
        topology_id: the topology's identity.
    """

    __slots__ = ()


class _ServerEvent(Event):
    """About one server of a topology.

    Parameters:
        server_address: the server's address.
        topology_id: the identity of the topology it belongs to.
    """

    __slots__ = ("_server_address", "_topology_id")

    def __init__(self, server_address: Hashable, topology_id: Hashable) -> None:
        self._server_address: Any = server_address
        self._topology_id = topology_id

    @property
    def server_address(self) -> Any:
        """The server's address."""
        return self._server_address

    @property
    def topology_id(self) -> Hashable:
        """The identity of the topology it belongs to."""
        return self._topology_id


class ServerOpeningEvent(_ServerEvent):
    """A server joins the topology.

    Parameters:
        server_address: the server's address.
        topology_id: the identity of the topology it belongs to.
    """

    __slots__ = ()


class ServerDescriptionChangedEvent(_ServerEvent):
    """Something about a server became known.

    Parameters:
        previous_description: the ``ServerDescription`` until now.
        new_description: the one from now on.
        args: ``server_address`` and ``topology_id``.
    """

    __slots__ = ("_new_description", "_previous_description")

    def __init__(self, previous_description: Any, new_description: Any, *args: Any) -> None:
        super().__init__(*args)
        self._previous_description = previous_description
        self._new_description = new_description

    @property
    def previous_description(self) -> Any:
        """The ``ServerDescription`` until now."""
        return self._previous_description

    @property
    def new_description(self) -> Any:
        """The ``ServerDescription`` from now on."""
        return self._new_description


class ServerClosedEvent(_ServerEvent):
    """A server left the topology.

    Parameters:
        server_address: the server's address.
        topology_id: the identity of the topology it belonged to.
    """

    __slots__ = ()


class _ServerHeartbeatEvent(Event):
    """About one check of a server.

    Parameters:
        connection_id: the server's address.
        awaited: whether the server answers only when something changed.
    """

    __slots__ = ("_awaited", "_connection_id")

    def __init__(self, connection_id: Hashable, awaited: bool = False) -> None:
        self._connection_id: Any = connection_id
        self._awaited = awaited

    @property
    def connection_id(self) -> Any:
        """The server's address."""
        return self._connection_id

    @property
    def awaited(self) -> bool:
        """Whether the server answers only when something changed.

        The duration then includes the time for which the server had nothing to say.
        """
        return self._awaited


class ServerHeartbeatStartedEvent(_ServerHeartbeatEvent):
    """A server is about to be asked.

    Parameters:
        connection_id: the server's address.
        awaited: whether the server answers only when something changed.
    """

    __slots__ = ()


class _ServerHeartbeatEndedEvent(_ServerHeartbeatEvent):
    """About a check that took some time.

    Parameters:
        duration: seconds.
        connection_id: the server's address.
        awaited: whether the server answers only when something changed.
    """

    __slots__ = ("_duration",)

    def __init__(self, duration: float, connection_id: Hashable, awaited: bool) -> None:
        super().__init__(connection_id, awaited)
        self._duration = duration

    @property
    def duration(self) -> float:
        """How long it took, in seconds."""
        return self._duration


class ServerHeartbeatSucceededEvent(_ServerHeartbeatEndedEvent):
    """A server answered.

    Parameters:
        duration: seconds it took.
        reply: the answer, a ``Hello``.
        connection_id: the server's address.
        awaited: whether the server answers only when something changed.
    """

    __slots__ = ("_reply",)

    def __init__(
        self, duration: float, reply: Any, connection_id: Hashable, awaited: bool = False
    ) -> None:
        super().__init__(duration, connection_id, awaited)
        self._reply = reply

    @property
    def reply(self) -> Any:
        """The answer, a ``Hello``."""
        return self._reply


class ServerHeartbeatFailedEvent(_ServerHeartbeatEndedEvent):
    """A server did not answer, or with a failure.

    Parameters:
        duration: seconds it took.
        reply: the error.
        connection_id: the server's address.
        awaited: whether the server answers only when something changed.
    """

    __slots__ = ("_reply",)

    def __init__(
        self, duration: float, reply: Exception, connection_id: Hashable, awaited: bool = False
    ) -> None:
        super().__init__(duration, connection_id, awaited)
        self._reply = reply

    @property
    def reply(self) -> Exception:
        """The error."""
        return self._reply
