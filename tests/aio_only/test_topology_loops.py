"""Topologies and event loops: each has one, and ends with it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from behaviour._async.clusters import STANDALONE, Cluster, ClusterManager, Server, topology_of

PROGRAM = """
import asyncio, logging, sys
# In debug mode it tells of whatever takes long, as everything may on a busy machine.
logging.getLogger("asyncio").setLevel(logging.ERROR)
sys.path.insert(0, {tests!r})
from behaviour._async.clusters import STANDALONE, Cluster, Server, TellingManager, topology_of

async def main():
    cluster = Cluster(Server("a", STANDALONE))
    topology = topology_of(TellingManager(cluster), heartbeat_interval=0.01)
    async with topology.connection():
        await asyncio.sleep(0.05)

asyncio.run(main(), debug=True)
print("the end")
"""


def test_a_second_loop_is_told_so() -> None:
    """With an error, whatever is asked of the topology."""
    topology = topology_of(ClusterManager(Cluster(Server("a", STANDALONE))))

    async def first() -> None:
        await topology.select_server()

    async def second() -> None:
        with pytest.raises(RuntimeError, match="another event loop"):
            await topology.select_server()
        with pytest.raises(RuntimeError, match="another event loop"):
            async with topology.connection():
                pass
        with pytest.raises(RuntimeError, match="another event loop"):
            topology.request_check()

    asyncio.run(first())
    asyncio.run(second())


@pytest.mark.slow
def test_a_loop_that_ends_with_an_open_topology_ends_without_a_word() -> None:
    """Its monitors and probes end with it, in the middle of whatever they do."""
    tests = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM.format(tests=tests)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "the end\n", "")


async def test_who_is_cancelled_while_he_closes_leaves_a_closed_topology() -> None:
    """The rest is done by whoever has it; a second close waits for it."""
    cluster = Cluster(Server("a", STANDALONE))
    topology = topology_of(ClusterManager(cluster))
    await topology.select_server()
    task = asyncio.ensure_future(topology.close())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await topology.close()
    assert cluster.links == []
