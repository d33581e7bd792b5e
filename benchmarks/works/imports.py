"""How long the import takes, in interpreters that were just started."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.peers import GENERIC, OURS, Entry
from benchmarks.results import Effort, Measure, Result, Work

ROUNDS = 15

MS = "ms"

PATIENCE = 60.0

#: Here a place is what is imported.
ENTRIES = (
    Entry("sync", OURS, "twinpool", "pool.sync", "twinpool"),
    Entry("sync", "queue", "the standard library's queue", "queue"),
    Entry("sync", "psycopg", "psycopg_pool", "psycopg_pool", "psycopg-pool"),
    Entry("sync", "pymongo", "PyMongo", "pymongo", "pymongo"),
    Entry("sync", "sqlalchemy", "SQLAlchemy", "sqlalchemy", "sqlalchemy"),
    Entry("sync", "redis", "redis-py", "redis", "redis"),
    Entry("sync", "urllib3", "urllib3", "urllib3", "urllib3"),
    Entry("sync", "dbutils", "DBUtils", "dbutils.pooled_db", "DBUtils"),
    Entry("sync", "generic", GENERIC, "generic_connection_pool.threading", GENERIC),
    Entry("async", OURS, "twinpool", "pool.aio", "twinpool"),
    Entry("async", "psycopg", "psycopg_pool", "psycopg_pool", "psycopg-pool"),
    Entry("async", "pymongo", "PyMongo", "pymongo", "pymongo"),
    Entry("async", "sqlalchemy", "SQLAlchemy", "sqlalchemy.ext.asyncio", "sqlalchemy"),
    Entry("async", "redis", "redis-py", "redis.asyncio", "redis"),
    Entry("async", "asyncpg", "asyncpg", "asyncpg", "asyncpg"),
    Entry("async", "aiohttp", "aiohttp", "aiohttp", "aiohttp"),
    Entry("async", "generic", GENERIC, "generic_connection_pool.asyncio", GENERIC),
)

PROGRAM = """
from time import perf_counter_ns
{before}
started = perf_counter_ns()
import {module}
print(perf_counter_ns() - started)
"""


class Imports(Work):
    key = "imports"
    title = "Import"
    about = (
        "How long the import takes in an interpreter that was just started, byte code being "
        "there: what a program pays at its start. For asyncio, `import asyncio` comes before and "
        "does not count. Most others are whole drivers and have more to load than a pool."
    )
    base = ""
    measures = (Measure(MS, "ms", digits=1),)

    def entries(self, world: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in ENTRIES if entry.world == world)

    async def measure(self, entries: Sequence[Entry], effort: Effort) -> list[Result]:
        results = [Result(entry, code=f"import {entry.place}") for entry in entries]
        # The first one writes the byte code, wherever the environment says that none be written.
        with tempfile.TemporaryDirectory() as cache:
            await self.rounds(results, effort, cache)
        return results

    async def rounds(self, results: list[Result], effort: Effort, cache: str) -> None:
        """Time every import in turn, each in an interpreter of its own."""
        for number in range(effort.of(ROUNDS, quick=0) + 1):
            for result in results:
                if result.missing:
                    continue
                taken = imported(result.entry, cache)
                if taken is None:
                    result.missing = "not installed"
                elif number or effort.quick:
                    result.note(MS, taken)


def imported(entry: Entry, cache: str) -> float | None:
    """Return how many milliseconds an import takes, ``None`` if there is no such module.

    Parameters:
        entry: what to import.
        cache: the folder in which byte code is kept.
    """
    before = "import asyncio" if entry.world == "async" else ""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(before=before, module=entry.place)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=environment,
    )
    if done.returncode and "ModuleNotFoundError" in done.stderr:
        return None
    done.check_returncode()
    return int(done.stdout) / 1e6
