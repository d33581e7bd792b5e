"""One who hears all that a topology tells, and holds it against what was told before."""

from typing import Any

from pool._core.outbox import ADD, BREAK, CLEAR, PUBLISH, READY, REMOVE, SHOW, Act
from pool._core.pulse import Watched
from pool.descriptions import ServerDescription, TopologyDescription, TopologyType
from pool.monitoring import (
    Event,
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

__all__ = ["Audience"]


class Audience:
    """What is known to one who only listens.

    Parameters:
        shown: what is shown before anything was told.
    """

    def __init__(self, shown: TopologyDescription) -> None:
        self.told = shown
        self.shown = shown
        self.members: dict[Any, ServerDescription] = {}
        self.checks: dict[Any, bool] = {}
        """By the address of a server that is checked, whether that is awaited."""
        self.pools: dict[Any, Watched] = {}
        self.ready: set[Any] = set()
        """Whose pools are ready."""
        self.begun = False
        self.ended = False
        self.last: Any = None
        """What was told last."""

    def hear(self, act: Act) -> None:
        """Something is told, or done."""
        assert not self.ended, "after the end"
        what, about, values = act
        heard: Any = act
        match what:
            case "publish":
                assert what == PUBLISH
                heard = about(*values)
                self.event(heard)
            case "show":
                assert what == SHOW
                self.show(about)
            case "add":
                assert what == ADD
                assert self.last == ServerOpeningEvent(about.address, "t")
                assert about.address not in self.pools, "its pool is another's"
                self.pools[about.address] = about
            case _:
                self.change(act)
        self.last = heard

    def show(self, topology: TopologyDescription) -> None:
        assert topology == self.told, "shown before it was told"
        self.shown = topology
        for address, server in topology.servers.items():
            assert not server.is_known or address in self.ready, "found before it was ready"

    def change(self, act: Act) -> None:
        """A pool, or a monitor."""
        what, server, values = act
        address = server.address
        assert self.pools[address] is server, "it has left"
        if what == READY:
            assert address not in self.ready, "ready twice"
            self.ready.add(address)
        elif what == CLEAR:
            service, _ = values
            if service is None:
                assert not self.shown.servers[address].is_known, "cleared before it was shown"
                self.ready.discard(address)
            else:
                assert self.shown.topology_type is TopologyType.LOAD_BALANCED
        elif what == REMOVE:
            assert address not in self.shown.servers, "it can be chosen"
            del self.pools[address]
            self.ready.discard(address)
        else:
            assert what == BREAK

    def event(self, event: Event) -> None:
        match event:
            case TopologyOpenedEvent():
                assert not self.begun
                self.begun = True
            case TopologyClosedEvent():
                assert self.told == TopologyDescription("t")
                assert (self.members, self.checks, self.pools) == ({}, {}, {})
                self.ended = True
            case TopologyDescriptionChangedEvent():
                assert event.previous_description == self.told
                assert event.new_description != self.told
                assert event.new_description.servers == self.members
                self.told = event.new_description
            case ServerOpeningEvent():
                assert event.server_address not in self.members
                self.members[event.server_address] = ServerDescription(event.server_address)
            case ServerClosedEvent():
                assert event.server_address not in self.checks, "its check goes on"
                del self.members[event.server_address]
            case ServerDescriptionChangedEvent():
                assert event.previous_description == self.members[event.server_address]
                assert event.new_description != event.previous_description
                self.members[event.server_address] = event.new_description
            case ServerHeartbeatStartedEvent():
                assert event.connection_id in self.members
                assert event.connection_id not in self.checks
                self.checks[event.connection_id] = event.awaited
            case ServerHeartbeatSucceededEvent() | ServerHeartbeatFailedEvent():
                assert event.awaited == self.checks.pop(event.connection_id)
                assert event.duration >= 0.0
            case _:
                raise AssertionError(f"what is {event!r}?")
        assert self.begun
