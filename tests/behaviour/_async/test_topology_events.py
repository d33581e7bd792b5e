"""What a topology tells, and in which order."""

import logging
from itertools import pairwise
from typing import Any

import pytest

from pool import PoolClosedError, monitoring
from pool.aio import secondary, writable
from pool.monitoring import (
    ConnectionPoolListener,
    PoolClearedEvent,
    PoolClosedEvent,
    PoolCreatedEvent,
    PoolReadyEvent,
    ServerClosedEvent,
    ServerDescriptionChangedEvent,
    ServerHeartbeatFailedEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
    ServerListener,
    ServerOpeningEvent,
    TopologyClosedEvent,
    TopologyDescriptionChangedEvent,
    TopologyListener,
    TopologyOpenedEvent,
)
from pool.testing import expect
from pool.testing.aio import EventRecorder
from support.aio import call_soon, until

from .clusters import (
    PRIMARY,
    SECONDARY,
    STANDALONE,
    Cluster,
    ClusterManager,
    Link,
    Server,
    TellingManager,
    known,
    topology_of,
)

#: What a topology tells itself, and what becomes of its pools.
TOLD = (
    *(TopologyOpenedEvent, TopologyClosedEvent, TopologyDescriptionChangedEvent),
    *(ServerOpeningEvent, ServerClosedEvent, ServerDescriptionChangedEvent),
    *(ServerHeartbeatStartedEvent, ServerHeartbeatSucceededEvent, ServerHeartbeatFailedEvent),
    *(PoolCreatedEvent, PoolReadyEvent, PoolClearedEvent, PoolClosedEvent),
)


class Trace:
    """Keeps what a topology tells, without the events of single connections."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.listener = monitoring.on(self.events.append, *TOLD)

    def lines(self) -> list[str]:
        """Return each event as its name and whom it is about; forget them."""
        lines = [
            f"{type(event).__name__.removesuffix('Event')} {about(event)}" for event in self.events
        ]
        self.events.clear()
        return [line.rstrip() for line in lines]


def about(event: Any) -> str:
    for name in ("server_address", "connection_id", "address"):
        if hasattr(event, name):
            return str(getattr(event, name))
    return ""


async def test_opening_and_closing() -> None:
    """As MongoDB's specification has it: each server between the topology's own beginning and end."""
    trace = Trace()
    cluster = Cluster(Server("a", STANDALONE))
    topology = topology_of(ClusterManager(cluster), event_listeners=[trace.listener])
    await topology.open()
    await known(topology)
    assert trace.lines() == [
        "TopologyOpened",
        "ServerOpening a",
        "PoolCreated a",
        "TopologyDescriptionChanged",
        "ServerHeartbeatStarted a",
        "ServerHeartbeatSucceeded a",
        "PoolReady a",
        "ServerDescriptionChanged a",
        "TopologyDescriptionChanged",
    ]
    await topology.close()
    await topology.close()
    assert trace.lines() == [
        "ServerClosed a",
        "TopologyDescriptionChanged",
        "PoolClosed a",
        "TopologyClosed",
    ]


async def test_what_the_events_say() -> None:
    """Their descriptions follow on each other, from nothing to nothing."""
    cluster = Cluster(Server("a", STANDALONE))
    recorder = EventRecorder()
    async with topology_of(ClusterManager(cluster), event_listeners=[recorder]) as topology:
        await known(topology)
    changes = recorder.of(TopologyDescriptionChangedEvent)
    for earlier, later in pairwise(changes):
        assert earlier.new_description is later.previous_description
    assert changes[0].previous_description.servers == {}
    assert changes[0].previous_description.topology_type_name == "UNKNOWN"
    assert changes[-1].new_description.servers == {}
    assert changes[-1].new_description.topology_type_name == "UNKNOWN"
    (change,) = recorder.of(ServerDescriptionChangedEvent)
    assert change.previous_description.server_type_name == "UNKNOWN"
    assert change.new_description.server_type_name == "STANDALONE"
    for event in recorder.of(*TOLD[:6]):
        assert event.topology_id is topology.topology_id
    recorder.match(
        [
            expect(ServerHeartbeatStartedEvent, connection_id="a", awaited=False),
            expect(
                ServerHeartbeatSucceededEvent,
                connection_id="a",
                awaited=False,
                duration=lambda seconds: 0 <= seconds < 5,
                reply=lambda hello: (
                    hello.server_type_name == "STANDALONE"
                    if hasattr(hello, "server_type_name")
                    else hello.server_type.name == "STANDALONE"
                ),
            ),
        ],
        exact=False,
    )


async def test_equal_answers_tell_nothing_new() -> None:
    """Only the heartbeats are told."""
    trace = Trace()
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster), event_listeners=[trace.listener]) as topology:
        await known(topology)
        trace.lines()
        said = cluster["a"].said
        topology.request_check()
        await until(lambda: cluster["a"].said > said and len(trace.events) == 2)
        assert trace.lines() == ["ServerHeartbeatStarted a", "ServerHeartbeatSucceeded a"]


async def test_a_server_that_fails_is_unknown_before_its_pool_is_cleared() -> None:
    """And, since it was well, it is checked again at once; that it fails still is no news."""
    trace = Trace()
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster), event_listeners=[trace.listener]) as topology:
        await known(topology)
        trace.lines()
        cluster["a"].up = False
        topology.request_check()
        await until(lambda: sum(type(e) is ServerHeartbeatFailedEvent for e in trace.events) == 2)
        failed = [e for e in trace.events if type(e) is ServerHeartbeatFailedEvent]
        assert [type(event.reply) for event in failed] == [
            ConnectionResetError,
            ConnectionRefusedError,
        ]
        cluster["a"].up = True
        topology.request_check()
        await until(lambda: topology.description.has_writable_server())
        assert trace.lines() == [
            "ServerHeartbeatStarted a",
            "ServerHeartbeatFailed a",
            "ServerDescriptionChanged a",
            "TopologyDescriptionChanged",
            "PoolCleared a",
            "ServerHeartbeatStarted a",
            "ServerHeartbeatFailed a",
            "ServerDescriptionChanged a",
            "TopologyDescriptionChanged",
            "ServerHeartbeatStarted a",
            "ServerHeartbeatSucceeded a",
            "PoolReady a",
            "ServerDescriptionChanged a",
            "TopologyDescriptionChanged",
        ]


async def test_members_join_and_leave_between_the_two_changes() -> None:
    """The server that told of it is described first, the whole at last."""
    trace = Trace()
    cluster = Cluster(
        Server("a", PRIMARY, hosts=("a", "c")), Server("b", SECONDARY), Server("c", SECONDARY)
    )
    cluster["b"].hung = True
    cluster["c"].hung = True
    listeners = [trace.listener]
    async with topology_of(ClusterManager(cluster), "b", event_listeners=listeners) as topology:
        await until(lambda: cluster["b"].hellos)
        trace.lines()
        topology._watcher.core.reseeded(["a", "b"], 0.0)
        topology._watcher.speak()
        await until(lambda: cluster["c"].hellos)
        lines = trace.lines()
        start = lines.index("PoolReady a")
        assert lines[start : start + 8] == [
            "PoolReady a",
            "ServerDescriptionChanged a",
            "ServerOpening c",
            "PoolCreated c",
            "ServerHeartbeatFailed b",
            "ServerClosed b",
            "TopologyDescriptionChanged",
            "PoolClosed b",
        ]


async def test_a_check_that_goes_on_when_a_server_leaves_ends_with_a_failure() -> None:
    """Each that started is told to end, once, before the server's own end."""
    cluster = Cluster(Server("a", STANDALONE))
    cluster["a"].hung = True
    trace = Trace()
    topology = topology_of(ClusterManager(cluster), event_listeners=[trace.listener])
    await topology.open()
    await until(lambda: cluster["a"].hellos)
    trace.lines()
    await topology.close()
    (failed,) = [e for e in trace.events if type(e) is ServerHeartbeatFailedEvent]
    assert isinstance(failed.reply, PoolClosedError)
    assert trace.lines()[:2] == ["ServerHeartbeatFailed a", "ServerClosed a"]


async def test_awaited_heartbeats_say_so() -> None:
    """The first one is not; those that wait for a change are, and a change is told at once."""
    cluster = Cluster(Server("a", STANDALONE))
    recorder = EventRecorder()
    async with topology_of(TellingManager(cluster), event_listeners=[recorder]) as topology:
        await known(topology)
        await until(lambda: len(recorder.of(ServerHeartbeatStartedEvent)) == 2)
        cluster["a"].become(STANDALONE, set_name="changed")
        await until(lambda: len(recorder.of(ServerHeartbeatSucceededEvent)) == 2)
    started = recorder.of(ServerHeartbeatStartedEvent)
    assert [event.awaited for event in started[:2]] == [False, True]
    ended = recorder.of(ServerHeartbeatSucceededEvent)
    assert [event.awaited for event in ended] == [False, True]
    assert len(recorder.of(ServerDescriptionChangedEvent)) == 2


async def test_listeners_of_all_families_are_told_and_may_call_back() -> None:
    """What they cause is told after what they hear."""
    heard: list[str] = []

    class OfTopologies(TopologyListener):
        def opened(self, event: Any) -> None:
            heard.append(type(event).__name__)

        def description_changed(self, event: Any) -> None:
            heard.append(type(event).__name__)

    class OfServers(ServerListener):
        def opened(self, event: Any) -> None:
            heard.append(type(event).__name__)

        def description_changed(self, event: Any) -> None:
            heard.append(type(event).__name__)
            topology.request_check()
            heard.append("called back")

    class OfTheRest(ServerHeartbeatListener, ConnectionPoolListener):
        def pool_ready(self, event: Any) -> None:
            heard.append("ready")

        def started(self, event: Any) -> None:
            heard.append("heartbeat")

    cluster = Cluster(Server("a", STANDALONE))
    listeners = [OfTopologies(), OfServers(), OfTheRest()]
    topology = topology_of(ClusterManager(cluster), event_listeners=listeners)
    async with topology:
        await known(topology)
        await until(lambda: cluster["a"].said == 2)
    assert heard[:9] == [
        "TopologyOpenedEvent",
        "ServerOpeningEvent",
        "TopologyDescriptionChangedEvent",
        "heartbeat",
        "ready",
        "ServerDescriptionChangedEvent",
        "called back",
        "TopologyDescriptionChangedEvent",
        "heartbeat",
    ]


async def test_what_is_told_is_shown_afterwards_only() -> None:
    """While a listener hears of a server, nobody can choose it yet."""
    seen: list[bool] = []

    def look(event: Any) -> None:
        seen.append(topology.description.has_readable_server())

    cluster = Cluster(Server("a", STANDALONE))
    listener = monitoring.on(look, ServerDescriptionChangedEvent)
    topology = topology_of(ClusterManager(cluster), event_listeners=[listener])
    async with topology:
        await known(topology)
    assert seen == [False]


async def test_a_listener_that_is_interrupted_does_not_keep_the_rest_from_being_told() -> None:
    """``BaseException`` goes through; what was decided is done."""

    class Stop(BaseException):
        pass

    def stop(event: Any) -> None:
        raise Stop

    trace = Trace()
    cluster = Cluster(Server("a", STANDALONE))
    listeners = [monitoring.on(stop, TopologyOpenedEvent), trace.listener]
    topology = topology_of(ClusterManager(cluster), event_listeners=listeners)
    with pytest.raises(Stop):
        await topology.open()
    assert (await topology.select_server(writable)).address == "a"
    await topology.close()
    assert trace.lines()[:4] == [
        "TopologyOpened",
        "ServerOpening a",
        "PoolCreated a",
        "TopologyDescriptionChanged",
    ]


async def test_structured_records(caplog: pytest.LogCaptureFixture) -> None:
    """The facts stand on ``pool.topology``, the choice of a server on ``pool.serverSelection``."""
    caplog.set_level(logging.DEBUG, "pool")
    cluster = Cluster(Server("a", SECONDARY))
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        numbers = []

        async def choose() -> None:
            with monitoring.operation_id() as number:
                numbers.append(number)
                with pytest.raises(TimeoutError):
                    await topology.select_server(writable, timeout=0)
                await topology.select_server(writable)

        waiting = await call_soon(choose)
        await until(lambda: topology._watcher.books._wanting)
        cluster["a"].become(PRIMARY)
        await waiting.result()
    records = [r for r in caplog.records if r.name == "pool.serverSelection"]
    assert [record.getMessage().partition(":")[0] for record in records] == [
        "Server selection started",
        "Server selection failed",
        "Server selection started",
        "Waiting for suitable server to become available",
        "Server selection succeeded",
    ]
    for record in records:
        fields = vars(record)
        assert fields["selector"] == "writable"
        assert fields["topology_id"] is topology.topology_id
        assert [fields["operation_id"]] == numbers
        assert "'a'" in fields["topology_description"]
    assert "no server that is writable" in vars(records[1])["failure"]
    assert vars(records[3])["remaining_time"] > 0
    assert vars(records[4])["address"] == "a"
    told = {vars(r)["event"] for r in caplog.records if r.name == "pool.topology"}
    # A check may be under way when the topology is closed, which makes it fail.
    failed = {"ServerHeartbeatFailedEvent"}
    assert told - failed == {event_type.__name__ for event_type in TOLD[:9]} - failed


async def test_a_selection_is_not_logged_where_nobody_reads_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Found out when the topology is made."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster)) as topology:
        caplog.set_level(logging.DEBUG, "pool")
        await topology.select_server(secondary)
    assert not [r for r in caplog.records if r.name in ("pool.serverSelection", "pool.topology")]


def test_links_say_who_they_are() -> None:
    """For the texts of failed tests."""
    assert repr(Link(Server("a", STANDALONE), 1)) == "<Link 1 to 'a'>"
