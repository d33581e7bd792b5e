"""Monitors: when a server is checked, by what, and who gives the connection back."""

import gc
from typing import Any
from weakref import ref

import pytest

from pool import Hello
from pool.aio import Topology
from pool.monitoring import (
    ServerHeartbeatFailedEvent,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
)
from pool.testing.aio import EventRecorder
from support.aio import Gate, call_soon, until

from .clusters import (
    STANDALONE,
    TIMES,
    Cluster,
    ClusterManager,
    Link,
    Server,
    TellingManager,
    known,
    topology_of,
)


async def test_a_monitor_has_a_connection_of_its_own() -> None:
    """It is kept from check to check, and is none of the pool's."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        (link,) = cluster.links
        assert topology.stats().total == 0
        for _ in range(3):
            said = cluster["a"].said
            topology.request_check()
            await until(lambda said=said: cluster["a"].said > said)  # type: ignore[misc]
        assert cluster.links == [link]
    assert link.closed


async def test_checks_follow_at_the_interval() -> None:
    """From the end of one to the next, without anybody asking."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    options: Any = {"heartbeat_interval": 0.05, "min_heartbeat_interval": 0.01}
    async with topology_of(ClusterManager(cluster), event_listeners=[recorder], **options):
        await until(lambda: len(recorder.of(ServerHeartbeatSucceededEvent)) >= 3)
    assert recorder.of(ServerHeartbeatFailedEvent) == []


async def test_a_check_that_is_asked_for_waits_for_the_least_interval() -> None:
    """However often it is asked for."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster), min_heartbeat_interval=50.0) as topology:
        await known(topology)
        for _ in range(5):
            topology.request_check()
        server = topology._watcher.books._servers["a"]
        left = topology._watcher.core.pause(server, server.ended)
        assert left == 50.0
        assert cluster["a"].said == 1


async def test_the_least_interval_is_never_more_than_the_interval() -> None:
    """Whoever wants checks to follow quickly need not set both."""
    topology = Topology(ClusterManager(Cluster()), ["a"], heartbeat_interval=0.1)
    assert topology._watcher.pulse.rest == 0.1


async def test_a_failed_check_drops_the_connection() -> None:
    """The next one connects anew."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        (first,) = cluster.links
        first.broken = True
        topology.request_check()
        await until(lambda: first.closed)
        await until(lambda: cluster["a"].said == 2)
        (second,) = cluster.links
        assert second is not first


async def test_what_waits_for_a_change_is_not_answered_without_one() -> None:
    """Heartbeats are as many as changes; a check that is asked for changes nothing."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with topology_of(TellingManager(cluster), event_listeners=[recorder]) as topology:
        await known(topology)
        await until(lambda: len(recorder.of(ServerHeartbeatStartedEvent)) == 2)
        topology.request_check()
        for name in "xyz":
            cluster["a"].become(STANDALONE, set_name=name)
            await until(lambda name=name: _name_of(topology) == name)  # type: ignore[misc]
    assert [each.awaited for each in recorder.of(ServerHeartbeatSucceededEvent)] == [
        False,
        True,
        True,
        True,
    ]


def _name_of(topology: Topology[Any, Link]) -> str | None:
    hello = topology.description.servers["a"].hello
    return None if hello is None else hello.set_name


async def test_round_trips_are_measured_beside_it() -> None:
    """On a connection of their own, since an awaited answer tells nothing of the way."""
    cluster = Cluster(Server("a", STANDALONE))
    manager = TellingManager(cluster)
    async with topology_of(manager, heartbeat_interval=0.02) as topology:
        await known(topology)
        first = topology.description.servers["a"].round_trip_time
        assert first is not None
        await until(lambda: len(cluster.links) == 2)
        await until(lambda: topology.description.servers["a"].round_trip_time != first)
        server = topology._watcher.books._servers["a"]
        probe = server.monitor.probe
        # It fails: that is none of the topology's business, and it connects again.
        probe.connection.broken = True
        broken = probe.connection
        await until(lambda: broken.closed)
        await until(lambda: len(cluster.links) == 2)
        assert topology.description.servers["a"].is_known
    assert cluster.links == []


async def test_a_change_is_found_by_what_waits_for_it() -> None:
    """A crash too: the connection that waits is lost at once."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(TellingManager(cluster)) as topology:
        await known(topology)
        await until(lambda: topology._watcher.books._servers["a"].awaited)
        cluster["a"].crash()
        await until(lambda: not topology.description.servers["a"].is_known)
        cluster["a"].up = True
        topology.request_check()
        await until(lambda: topology.description.servers["a"].is_known)


async def test_a_topology_that_is_dropped_stops_to_watch() -> None:
    """Without a word; a check that goes on gives its connection back."""
    cluster = Cluster(Server("a", STANDALONE))
    cluster["a"].gate = Gate()
    topology = topology_of(ClusterManager(cluster))
    await topology.open()
    await until(lambda: cluster["a"].gate.waiting)
    watcher = ref(topology._watcher)
    del topology
    gc.collect()
    assert watcher() is None
    cluster["a"].gate.open()
    await until(lambda: cluster.links == [])


async def test_a_dispose_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Whether a monitor's, or that of a connection whose server did not answer the hello."""

    class Clumsy(ClusterManager):
        async def dispose(self, endpoint: Any, conn: Link, timeout: float | None) -> None:
            await super().dispose(endpoint, conn, timeout)
            raise ValueError("it fell")

    cluster = Cluster(Server("a", STANDALONE))
    topology = topology_of(Clumsy(cluster))
    async with topology:
        await known(topology)
    assert "dispose of the monitor's connection to 'a' failed" in caplog.text
    assert cluster.links == []


async def test_a_connection_whose_hello_fails_is_closed() -> None:
    """The pool's as well as the monitor's: nothing leaks."""

    class Shy(ClusterManager):
        def __init__(self, cluster: Cluster) -> None:
            super().__init__(cluster)
            self.asked = 0

        async def hello(self, endpoint: Any, conn: Link, timeout: float | None) -> Any:
            self.asked += 1
            if self.asked == 2:
                raise ValueError("not now")
            return await super().hello(endpoint, conn, timeout)

    cluster = Cluster(Server("a", STANDALONE))
    async with Topology(Shy(cluster), ["a"], **TIMES) as topology:
        await known(topology)
        with pytest.raises(ValueError, match="not now"):
            async with topology.connection():
                pass
        assert len(cluster.links) == 1
        async with topology.connection():
            assert len(cluster.links) == 2
    assert cluster.links == []


class Refusing(TellingManager):
    """Says that it can wait for a change, and cannot."""

    async def await_hello(
        self, endpoint: Any, conn: Link, previous: Hello, timeout: float | None
    ) -> Hello:
        raise ValueError("not supported")


class Flickering(TellingManager):
    """Always tells of a change."""

    async def await_hello(
        self, endpoint: Any, conn: Link, previous: Hello, timeout: float | None
    ) -> Hello:
        conn.server.hello["term"] = conn.server.said
        return conn.server.document(conn)


@pytest.mark.parametrize("kind", [Refusing, Flickering])
async def test_a_server_that_is_never_quiet_does_not_keep_us_busy(kind: Any) -> None:
    """A few checks may follow each other at once, and then there is a rest."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    options: Any = {"min_heartbeat_interval": 50.0, "event_listeners": [recorder]}
    async with topology_of(kind(cluster), **options) as topology:
        server = topology._watcher.books._servers["a"]
        await until(lambda: server.haste == 0 and server.checking is None)
        left = topology._watcher.core.pause(server, server.ended)
        assert left == 50.0
        assert 5 <= len(recorder.of(ServerHeartbeatStartedEvent)) <= 6


async def test_a_sleeping_monitor_of_a_dropped_topology_closes_its_connection() -> None:
    """Not only one whose check goes on."""
    cluster = Cluster(Server("a", STANDALONE))
    topology = topology_of(ClusterManager(cluster))
    await topology.open()
    await known(topology)
    assert len(cluster.links) == 1
    del topology
    gc.collect()
    await until(lambda: cluster.links == [])


async def test_a_hello_of_the_pool_counts_as_a_part_of_the_connect() -> None:
    """It is interrupted with the others, and its connection is closed before its place is free."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster), max_size=1) as topology:
        await known(topology)
        cluster["a"].hung = True

        async def use() -> None:
            async with topology.connection(timeout=5.0):
                pass

        first = await call_soon(use)
        await until(lambda: topology.stats().connecting == 1 and cluster["a"].hellos == 2)
        (link,) = [each for each in cluster.links if each.number == 2]
        effects = topology._watcher.core.request("a", False)
        server = effects[0]
        topology._watcher.core.lost(server, server.generation, OSError("gone"), None, 0.0)
        cluster["a"].hung = False
        topology._watcher.speak()
        topology._watcher.manager.interrupt("a", link)
        await first.result()
        assert link.closed
    assert cluster.links == []
