"""The end of a topology: nobody stays behind, and nothing stays open."""

from typing import Any

import pytest

from support.aio import Gate, call_soon, until

from .clusters import STANDALONE, Cluster, ClusterManager, Link, Server, topology_of


class Broken(ConnectionError):
    """What a body raises whose connection broke."""


async def test_closing_waits_for_what_a_clear_has_left() -> None:
    """It is closed when the topology is, though others have begun to do that."""
    manager, gate = ClusterManager(Cluster(Server("a", STANDALONE))), Gate()
    topology = topology_of(manager)
    async with topology:
        async with topology.connection(), topology.connection() as idle:
            pass
        dispose = manager.dispose

        async def dispose_slowly(endpoint: Any, conn: Link, timeout: float | None) -> None:
            if conn is idle:
                await gate.wait()
            await dispose(endpoint, conn, timeout)

        manager.dispose = dispose_slowly  # type: ignore[method-assign]
        with pytest.raises(Broken):
            async with topology.connection():
                raise Broken
        await until(lambda: gate.waiting)
        closing = await call_soon(topology.close)
        # Not for the monitor, then.
        await until(lambda: not topology._watcher._posts)
        await until(lambda: topology._watcher.books._leaving)
        assert not closing.done()
        gate.open()
        await closing.result()
        assert idle.closed
        assert topology.stats().total == 0
