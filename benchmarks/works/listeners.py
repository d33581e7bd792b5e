"""What it costs that somebody listens to every event of a pool."""

from collections.abc import Sequence

from benchmarks.peers import MONGO, OURS, Entry
from benchmarks.results import Effort, Measure, Result, Work
from benchmarks.timing import TIME, time_peers

HEARD = "listener"
FUNCTION = "function"

ENTRIES = (
    Entry("sync", OURS, "twinpool, nobody listens", "twinpool.SyncBlock", "twinpool"),
    Entry("sync", HEARD, "twinpool, a listener", "twinpool.HeardSync", "twinpool"),
    Entry("sync", FUNCTION, "twinpool, `monitoring.on`", "twinpool.FunctionSync", "twinpool"),
    Entry("sync", MONGO, "PyMongo's Pool, nobody listens", "mongo.Sync", "pymongo"),
    Entry("sync", "pymongo-heard", "PyMongo's Pool, a listener", "mongo.HeardSync", "pymongo"),
    Entry("async", OURS, "twinpool, nobody listens", "twinpool.AioBlock", "twinpool"),
    Entry("async", HEARD, "twinpool, a listener", "twinpool.HeardAio", "twinpool"),
    Entry("async", FUNCTION, "twinpool, `monitoring.on`", "twinpool.FunctionAio", "twinpool"),
    Entry("async", MONGO, "PyMongo's Pool, nobody listens", "mongo.Aio", "pymongo"),
    Entry("async", "pymongo-heard", "PyMongo's Pool, a listener", "mongo.HeardAio", "pymongo"),
)


class Listeners(Work):
    key = "listeners"
    title = "A checkout that is listened to"
    about = (
        "The same checkout while a listener hears of every event of the pool and does nothing: a "
        "listener object with all its methods, and a plain function (`monitoring.on`). **The "
        "base** is PyMongo's pool, from which the events are taken, without any listener."
    )
    base = MONGO
    measures = (Measure(TIME, "ns", "x PyMongo's"),)

    def entries(self, world: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in ENTRIES if entry.world == world)

    async def measure(self, entries: Sequence[Entry], effort: Effort) -> list[Result]:
        return await time_peers(entries, effort)
