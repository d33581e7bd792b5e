"""How long it takes to select one of many servers that are all known."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from benchmarks.peers import CHANGED, MONGO, MONGO_OWN, OURS, OWN, Entry
from benchmarks.peers.members import AsyncMembers, SyncMembers, Threaded, fit
from benchmarks.results import Effort, Measure, Result, Work
from benchmarks.timing import TIME, Runner, had, race
from benchmarks.validity import check_quiet, demand

SERVERS = 1000

MICROS = "micros"

DRAWS = 100
"""Selections that are looked at before anything is measured."""


def entries(world: str, place: str) -> tuple[Entry, ...]:
    ours, theirs = f"selection.{place}", f"mongo_selection.{place}"
    return (
        Entry(world, OURS, "twinpool, `secondary`", ours, "twinpool"),
        Entry(world, OWN, "twinpool, a selector of one's own", ours, "twinpool"),
        Entry(world, CHANGED, "twinpool, `secondary`, after each change", ours, "twinpool"),
        Entry(world, MONGO, "PyMongo's Topology, `SECONDARY`", theirs, "pymongo"),
        Entry(world, MONGO_OWN, "PyMongo's Topology, a selector of one's own", theirs, "pymongo"),
    )


ENTRIES = {"sync": entries("sync", "Sync"), "async": entries("async", "Aio")}


@dataclass
class Asked:
    """One question that is put to a topology."""

    topology: AsyncMembers
    key: str

    async def run(self, n: int) -> None:
        await self.topology.select(self.key, n)


class Selection(Work):
    key = "selection"
    title = "One of 1,000 servers"
    about = (
        "A topology knows a primary and 999 secondaries, of which about half are within the "
        "latency window: select one that suits, without a checkout. As long as nothing has "
        "changed, what our own selectors leave is kept; a selector of one's own, here a list "
        "comprehension over `server_descriptions()`, is asked each time. After each change (of a "
        "round-trip time, made beforehand and shown just before) everybody is asked anew. **The "
        "base** is the whole selection of PyMongo's topology, from which the rules are taken: "
        "it keeps nothing."
    )
    base = MONGO
    measures = (Measure(MICROS, "µs", "x PyMongo's", 1, related_digits=4),)
    shows_code = True

    def entries(self, world: str) -> tuple[Entry, ...]:
        return ENTRIES[world]

    async def measure(self, entries: Sequence[Entry], effort: Effort) -> list[Result]:
        results = [Result(entry) for entry in entries]
        runners: list[tuple[Result, Runner]] = []
        async with AsyncExitStack() as stack:
            known: dict[str, AsyncMembers] = {}
            for result in results:
                entry = result.entry
                make = had(result, entry.find)
                if make is None:
                    continue
                if entry.place not in known:
                    # Whoever asks the same topology shares it: it may have a thread for each server.
                    count = SERVERS // 20 if effort.quick else SERVERS
                    known[entry.place] = await stack.enter_async_context(opened(make, count))
                topology = known[entry.place]
                result.code = topology.codes[entry.key]
                # The nanoseconds are noted apart.
                runners.append((result, Runner(Result(entry), Asked(topology, entry.key))))
            check_quiet()
            for result, _ in runners:
                await check(result.entry, known[result.entry.place])
            await race([runner for _, runner in runners], effort)
        for result, runner in runners:
            for nanoseconds in runner.result.figures[TIME].values:
                result.note(MICROS, nanoseconds / 1000)
        return results


@asynccontextmanager
async def opened(
    make: Callable[[int], AsyncMembers | SyncMembers], count: int
) -> AsyncGenerator[AsyncMembers, None]:
    """Make a topology of so many servers, and close it at the end."""
    made = make(count)
    topology = Threaded(made) if isinstance(made, SyncMembers) else made
    try:
        await topology.setup()
        yield topology
    finally:
        await topology.teardown()


async def check(entry: Entry, topology: AsyncMembers) -> None:
    """Check that what is measured selects secondaries within the window, and not always the same.

    Raises:
        InvalidError: it does not.
    """
    drawn = {await topology.select(entry.key, 1) for _ in range(DRAWS)}
    demand(drawn <= fit(topology.servers), f"{entry.label} selects who does not suit")
    demand(len(drawn) > 1, f"{entry.label} draws no lots")
