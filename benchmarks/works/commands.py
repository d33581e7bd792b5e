"""What a client adds to a command."""

from collections.abc import Sequence

from benchmarks.peers import BY_HAND, OURS, Entry
from benchmarks.results import Effort, Measure, Result, Work
from benchmarks.timing import TIME, time_peers
from benchmarks.works.listeners import HEARD

MICROS, ADDED = "micros", "added"

LABELS = {
    BY_HAND: "a checkout and `execute`, by hand",
    OURS: "twinpool's Client, nobody listens",
    HEARD: "twinpool's Client, a listener",
}


class Commands(Work):
    key = "commands"
    title = "A command"
    about = (
        "A server that is known answers at once: send it a command, with `client.command`, "
        "and with a listener (a `CommandListener`, which hears of two events for each command and "
        "does nothing). The client selects the server, finds its pool, and concludes from errors "
        "that servers are gone. **The base** does none of that: a pool's block for the "
        "endpoint, and in it the same manager's `execute`. Nobody else takes part."
    )
    base = BY_HAND
    measures = (
        Measure(MICROS, "µs", "x by hand", 2),
        Measure(ADDED, "µs more", digits=2, ranked=False),
    )
    shows_code = True

    def entries(self, world: str) -> tuple[Entry, ...]:
        name = "Sync" if world == "sync" else "Aio"
        places = {BY_HAND: f"{name}ByHand", OURS: f"{name}Client", HEARD: f"Heard{name}"}
        return tuple(
            Entry(world, key, LABELS[key], f"commands.{place}", "twinpool")
            for key, place in places.items()
        )

    async def measure(self, entries: Sequence[Entry], effort: Effort) -> list[Result]:
        results = await time_peers(entries, effort)
        times = {result.entry.key: result.figures.pop(TIME).values for result in results}
        for result in results:
            for own, bare in zip(times[result.entry.key], times[self.base], strict=True):
                result.note(MICROS, own / 1000)
                result.note(ADDED, (own - bare) / 1000)
        return results
