"""Topologies and threads: their names, their ends, and what becomes of them in a child process."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from behaviour._sync.clusters import (
    STANDALONE,
    Cluster,
    ClusterManager,
    Link,
    Server,
    TellingManager,
    known,
    topology_of,
)

from pool import monitoring
from pool.monitoring import ServerDescriptionChangedEvent, TopologyClosedEvent
from support.forks import FORKS, child
from support.sync import Gate, until

PROGRAM = """
import sys, time
sys.path.insert(0, {tests!r})
from behaviour._sync.clusters import STANDALONE, Cluster, Server, TellingManager, topology_of

cluster = Cluster(Server("a", STANDALONE))
topology = topology_of(TellingManager(cluster), heartbeat_interval=0.01)
with topology.connection():
    time.sleep(0.05)
{last}
print(time.monotonic(), flush=True)
"""


def names() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if "pool" in thread.name)


def test_threads_are_named_and_end() -> None:
    """One for each server, one that measures; none is left after closing."""
    before = names()
    cluster = Cluster(Server("a", STANDALONE))
    with topology_of(TellingManager(cluster)) as topology:
        known(topology)
        until(lambda: names() == sorted([*before, "pool monitor", "pool probe"]))
    until(lambda: names() == before)


@pytest.mark.slow
@pytest.mark.parametrize("last", ["", "topology.close()", "cluster['a'].hung = True"])
def test_an_interpreter_that_ends_with_an_open_topology_ends_at_once(last: str) -> None:
    """With status 0 and without a word."""
    tests = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(tests=tests, last=last)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - float(done.stdout) < 5.0


@pytest.mark.concurrency
@pytest.mark.filterwarnings(FORKS)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_process_begins_anew() -> None:
    """It watches by itself, on connections of its own; the parent's are left alone."""
    inherited: list[int] = []

    class Forking(ClusterManager):
        def after_fork(self, endpoint: object, conn: Link) -> None:
            inherited.append(conn.number)

    cluster = Cluster(Server("a", STANDALONE))
    with topology_of(Forking(cluster)) as topology:
        known(topology)
        with topology.connection() as link:
            pass
        monitors = [each.number for each in cluster.links if each is not link]

        def use() -> object:
            seen = topology.description.servers
            with topology.connection() as mine:
                number = mine.number
            topology.close()
            return len(seen), number, sorted(inherited)

        seen, number, left = child(use)
        assert seen == 0
        assert number not in (link.number, *monitors)
        assert left == sorted([link.number, *monitors])
        # The parent's goes on.
        with topology.connection() as again:
            assert again is link
    assert cluster.links == []


def test_a_listener_may_close_the_topology() -> None:
    """In the monitor's own thread, which does not wait for itself."""
    took: list[float] = []

    def close(event: object) -> None:
        started = time.monotonic()
        topology.close()
        took.append(time.monotonic() - started)

    cluster = Cluster(Server("a", STANDALONE))
    listener = monitoring.on(close, ServerDescriptionChangedEvent)
    topology = topology_of(ClusterManager(cluster), event_listeners=[listener])
    topology.open()
    until(lambda: took)
    assert took[0] < 4.0
    until(lambda: not cluster.links)
    assert topology.description.servers == {}


def test_who_closes_while_another_speaks_waits_for_the_end_of_the_speech() -> None:
    """When it returns, everything was told."""
    gate = Gate()
    told: list[object] = []
    listeners = [
        monitoring.on(lambda event: gate.wait(), ServerDescriptionChangedEvent),
        monitoring.on(told.append, TopologyClosedEvent),
    ]
    cluster = Cluster(Server("a", STANDALONE))
    cluster["a"].gate = Gate()
    topology = topology_of(ClusterManager(cluster), event_listeners=listeners)
    topology.open()
    # Only now, or it might be told by this thread.
    cluster["a"].gate.open()
    until(lambda: gate.waiting)
    threading.Timer(0.05, gate.open).start()
    topology.close()
    assert len(told) == 1
    assert cluster.links == []
