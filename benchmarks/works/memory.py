"""What a pool keeps in memory beside the connections themselves."""

import asyncio
import gc
import tracemalloc
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import AsyncExitStack

from benchmarks.peer import AsyncPeer, SyncPeer
from benchmarks.peers import BY_HAND, ENTRIES, Entry
from benchmarks.results import Effort, Measure, Result, Work
from benchmarks.timing import face, load, no_collector, opened
from benchmarks.validity import check_opened, check_quiet
from benchmarks.works import growth

MANY, FEW = 10_000, 1_000

TURNS = 3
"""How many turns of the event loop it takes until it has thrown away timers that were cancelled."""

BYTES = "bytes"


class Memory(Work):
    """Bytes that each more of something takes."""

    base = ""
    measures = (Measure(BYTES, "bytes", spread=False),)

    async def measure(self, entries: Sequence[Entry], effort: Effort) -> list[Result]:
        check_quiet()
        scale = 50 if effort.quick else 1
        many, few = MANY // scale, FEW // scale
        results = [Result(entry) for entry in entries]
        with no_collector():
            # What is there already need not be searched again for what is garbage.
            gc.freeze()
            try:
                # One round: every one would give the same but for a few bytes.
                for result in results:
                    at_few = await self.traced(result, few)
                    at_many = await self.traced(result, many)
                    if at_few is not None and at_many is not None:
                        result.note(BYTES, (at_many - at_few) / (many - few))
            finally:
                gc.unfreeze()
        return results

    async def traced(self, result: Result, size: int) -> int | None:
        """Return the bytes that a competitor of this size takes."""
        loaded = load(result, size)
        if loaded is None:
            return None
        loaded.server.prepare(size)
        tracemalloc.start()
        try:
            async with opened(face(loaded)):
                await self.use(loaded)
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                gc.collect()
                taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        check_opened(result.entry.label, loaded)
        return taken

    @abstractmethod
    async def use(self, peer: AsyncPeer | SyncPeer) -> None:
        """Have everything opened, and leave it idle."""


class Idle(Memory):
    key = "memory"
    title = "Memory of an idle connection"
    about = (
        "10,000 connections are taken from one pool and given back. What does the pool have in "
        "memory for each of them then? Measured with `tracemalloc` as the difference of a pool of "
        "10,000 and one of 1,000; the connections were made before, so that they do not count. "
        "PyMongo's pool makes the connection object itself, with all that its protocol needs, and "
        "asyncpg's sets a timer for each connection."
    )

    def entries(self, world: str) -> tuple[Entry, ...]:
        return tuple(e for e in ENTRIES if e.world == world and e.key != BY_HAND)

    async def use(self, peer: AsyncPeer | SyncPeer) -> None:
        async with AsyncExitStack() as stack:
            for _ in range(peer.size):
                if isinstance(peer, SyncPeer):
                    stack.enter_context(peer.checkout())
                else:
                    await stack.enter_async_context(peer.checkout())


class Endpoints(Memory):
    key = "endpoints"
    title = "Memory of an endpoint with one connection"
    about = (
        "The same with 10,000 endpoints that have one idle connection each. The keys, tuples of a "
        "name and a port, were made before. **The floor** is a dict of deques."
    )

    def entries(self, world: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in growth.ENTRIES if entry.world == world)

    async def use(self, peer: AsyncPeer | SyncPeer) -> None:
        await face(peer).run(peer.size)
