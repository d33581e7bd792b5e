"""The price of one checkout when a connection is idle and nobody waits."""

from collections.abc import Sequence

from benchmarks.peers import ENTRIES, FLOOR, Entry
from benchmarks.results import Effort, Measure, Result, Work
from benchmarks.timing import TIME, time_peers


class Uncontended(Work):
    key = "uncontended"
    title = "A checkout that need not wait"
    about = (
        "A connection is idle and nobody else wants it: take it and give it back, with nothing in "
        "between. **The floor** is the least that a pool with a `with` block can be: a "
        "class-based context manager, one small object for each checkout, around a "
        "`collections.deque`, and for threads a `threading.Lock`. It cannot open, wait, time out, "
        "check, count or close."
    )
    base = FLOOR
    measures = (Measure(TIME, "ns", "x floor"),)
    shows_code = True

    def entries(self, world: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in ENTRIES if entry.world == world)

    async def measure(self, entries: Sequence[Entry], effort: Effort) -> list[Result]:
        return await time_peers(entries, effort)
