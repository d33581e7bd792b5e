"""Whether a checkout costs more the more endpoints there are."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace

from benchmarks.peer import AsyncPeer
from benchmarks.peers import FLOOR, GENERIC, OURS, Entry
from benchmarks.results import Effort, Measure, Result, Work
from benchmarks.timing import TIME, Runner, face, load, opened, race
from benchmarks.validity import check_opened, check_quiet

FEW, MANY = 10, 10_000

ENTRIES = (
    Entry("sync", FLOOR, "the floor: a dict of deques", "routes.FloorSync"),
    Entry("sync", OURS, "twinpool", "routes.Sync", "twinpool"),
    Entry("sync", "generic", GENERIC, "generic_routes.Sync", GENERIC),
    Entry("async", FLOOR, "the floor: a dict of deques", "routes.FloorSync"),
    Entry("async", OURS, "twinpool", "routes.Aio", "twinpool"),
    Entry("async", "generic", GENERIC, "generic_routes.Aio", GENERIC),
)

GROWTH, AT_FEW, AT_MANY, MORE = "growth", "few", "many", "more"


class Growth(Work):
    key = "growth"
    title = "From 10 endpoints to 10,000"
    about = (
        "Each endpoint has one idle connection, and checkouts visit the endpoints in random "
        "order. How much more does one cost with 10,000 endpoints than with 10? What grows is how "
        "far away from the processor things are, and a bare dict has that, too: **the floor** is "
        "a dict of deques with the same keys, and neither lock nor block. A factor flatters "
        "whoever does much otherwise; the last columns, in nanoseconds, do not."
    )
    base = FLOOR
    measures = (
        Measure(GROWTH, "growth", "x floor", 2, ranked=False),
        Measure(AT_FEW, "ns at 10", spread=False, ranked=False),
        Measure(AT_MANY, "ns at 10,000", spread=False),
        Measure(MORE, "more ns", ranked=False),
    )

    def entries(self, world: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in ENTRIES if entry.world == world)

    async def measure(self, entries: Sequence[Entry], effort: Effort) -> list[Result]:
        many = MANY // 50 if effort.quick else MANY
        results = [Result(entry) for entry in entries]
        pairs: list[tuple[Result, Runner, Runner]] = []
        peers: list[tuple[str, AsyncPeer]] = []
        async with AsyncExitStack() as stack:
            for result in results:
                runners = []
                for size in (FEW, many):
                    loaded = load(result, size)
                    if loaded is None:
                        break
                    either = await stack.enter_async_context(opened(face(loaded)))
                    await either.run(size)
                    peers.append((result.entry.label, either))
                    # Each is a competitor of its own.
                    entry = replace(result.entry, key=f"{result.entry.key} {size}")
                    runners.append(Runner(Result(entry), either))
                else:
                    few, more = runners
                    pairs.append((result, few, more))
            check_quiet()
            for name, peer in peers:
                check_opened(name, peer)
            await race([runner for _, *both in pairs for runner in both], effort)
            for name, peer in peers:
                check_opened(name, peer)
        for result, few, more in pairs:
            rounds = zip(times(few), times(more), strict=True)
            for at_few, at_many in rounds:
                result.note(GROWTH, at_many / at_few)
                result.note(AT_FEW, at_few)
                result.note(AT_MANY, at_many)
                result.note(MORE, at_many - at_few)
        return results


def times(runner: Runner) -> list[float]:
    return runner.result.figures[TIME].values
