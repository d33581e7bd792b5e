"""The hello of a pool's new connection, overtaken: it is cut short, even if the manager can break nothing."""

from typing import Any

from behaviour._async.clusters import (
    STANDALONE,
    Cluster,
    ClusterManager,
    Link,
    Server,
    known,
    topology_of,
)

from pool._core.records import Effects
from support.aio import Gate, call_soon, until


class Helpless(ClusterManager):
    def interrupt(self, endpoint: Any, conn: Link | None) -> None:
        """Break nothing."""


async def test_a_clear_that_interrupts_cuts_a_hello_short() -> None:
    """Its caller connects anew, and what was opened is closed."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(Helpless(cluster)) as topology:
        await known(topology)
        cluster["a"].gate = Gate()

        async def use() -> int:
            async with topology.connection() as link:
                return link.number

        call = await call_soon(use)
        await until(lambda: cluster["a"].gate.waiting)
        (first,) = [link for link in cluster.links if link.number == 2]
        cluster["a"].gate = Gate(is_open=True)
        core, engine = topology._watcher.engine.core, topology._watcher.engine
        state: Any = core.begin("a", 0)
        effects = Effects()
        # It reached no service: with one named, nothing pauses.
        core.clear("a", 0, state, None, True, effects)
        await engine.perform(effects)
        engine.dismiss(core.ready("a", 0, core.begin("a", 0), 0.0))  # type: ignore[arg-type]
        # Who clears has learnt something, of which the caller waits to be shown.
        cluster["a"].hello = {"term": 1}
        topology.request_check()
        assert await call.result() == 3
        assert first.closed
    assert cluster.links == []
