"""Many callers and few connections to a real server: each shared by all, or lent to one at a time."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median
from threading import Barrier
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from benchmarks.peers import OURS, Entry
from benchmarks.results import Effort, Measure, Result, Work
from benchmarks.timing import had, no_collector
from benchmarks.validity import check_quiet, demand
from benchmarks.works.contended import DONE, FAIRNESS, LEAST, LONGEST, Crowd
from support.real import HOST, RedisServer

if TYPE_CHECKING:
    from benchmarks.peers.askers import AsyncAsker, SyncAsker

ROUNDS = 9
CONNECTIONS = 4
CALLERS = {"sync": 64, "async": 1000}
TURNS = {"sync": 100, "async": 10}
"""How many commands there are for each caller in one round, if they are dealt out fairly."""

QUICK_CALLERS = {"sync": 16, "async": 100}
QUICK_TURNS = 3

ALONE = "alone"
LONELY_SLICES, LONELY = 10, 20
"""How often in a round somebody asks alone, and how many commands in a row."""

EXCLUSIVE, BOUNDED = "exclusive", "max-pending"

ENTRIES = (
    Entry("sync", OURS, "twinpool, shared", "askers.SyncShared", "twinpool"),
    Entry("sync", EXCLUSIVE, "twinpool, exclusive", "askers.SyncExclusive", "twinpool"),
    Entry("sync", "redis-blocking", "redis-py's blocking pool", "askers.SyncRedisPy", "redis"),
    Entry("async", OURS, "twinpool, shared", "askers.AioShared", "twinpool"),
    Entry("async", BOUNDED, "twinpool, `max_pending=64`", "askers.AioBounded", "twinpool"),
    Entry("async", EXCLUSIVE, "twinpool, exclusive", "askers.AioExclusive", "twinpool"),
    Entry("async", "redis-blocking", "redis-py's blocking pool", "askers.AioRedisPy", "redis"),
)

Connections = Callable[[str], set[str]]
"""Tells the server's numbers of the connections with a name."""


@dataclass
class Askers(Crowd):
    """A crowd that checks what it is told."""

    wrong: list[str] = field(default_factory=list)
    """The replies that were another's."""

    def hear(self, key: str, reply: Any, value: bytes) -> None:
        if reply != value:
            self.wrong.append(f"{key} was told {reply!r}")


class Shared(Work):
    key = "shared"
    title = "A thousand callers and four connections"
    about = (
        "A real Redis, and four connections to it. asyncio: 1,000 tasks; threads: 64, since a "
        "thousand threads are nothing that one would have. Each asks for a small value of its own "
        "(`GET`), again and again. *Shared* is a `MultiplexedPool` with a `PipelinedRedisManager`: "
        "all ask at the same time, and what they ask goes out together. For asyncio there is one "
        "with at most 64 callers on each connection, too; the others queue in the pool. **The "
        "base** is *exclusive*: a `ConnectionPool` with a `RedisManager`, which lends a "
        "connection to one caller at a time. redis-py has a `BlockingConnectionPool` of four. How "
        "many commands were there per second, how long did the slowest take from its caller's "
        "point of view, the wait for a connection included, and how much oftener was the most "
        "served caller served than the least? And what does a command take if only one caller "
        "asks, one command after the other?"
    )
    base = EXCLUSIVE
    measures = (
        Measure(DONE, "commands/s", "x exclusive", more=True),
        Measure(LONGEST, "longest, ms", digits=1),
        Measure(FAIRNESS, "most/least served", digits=2, spread=False),
        Measure(LEAST, "least served", more=True, spread=False, ranked=False),
        Measure(ALONE, "alone, µs", "x exclusive", 1),
    )

    def entries(self, world: str) -> tuple[Entry, ...]:
        return tuple(entry for entry in ENTRIES if entry.world == world)

    async def measure(self, entries: Sequence[Entry], effort: Effort) -> list[Result]:
        results = [Result(entry) for entry in entries]
        if reason := RedisServer.missing():
            for result in results:
                result.missing = f"not measurable: {reason}"
            return results
        world = results[0].entry.world
        callers = QUICK_CALLERS[world] if effort.quick else CALLERS[world]
        total = callers * (QUICK_TURNS if effort.quick else TURNS[world])
        values = {f"caller:{i}": b"the value of caller %d" % i for i in range(callers)}
        async with AsyncExitStack() as stack:
            endpoint = HOST, stack.enter_context(RedisServer()).port
            teams: deque[tuple[Result, AsyncAsker | SyncAsker]] = deque()
            for result in results:
                make = had(result, result.entry.find)
                if make is not None:
                    asker = make(endpoint, CONNECTIONS, result.entry.key)
                    teams.append((result, await stack.enter_async_context(opened(asker))))
            check_quiet()
            connections = stocked(stack, endpoint, values) if teams else None
            for number in range(-1, effort.of(ROUNDS, quick=1)):
                teams.rotate()
                with no_collector():
                    for result, asker in teams:
                        assert connections
                        before = connections(result.entry.key)
                        # The first round only warms up.
                        crowd = Askers(total if number >= 0 else callers)
                        if world == "sync":
                            threads(asker, crowd, values)
                        else:
                            await tasks(asker, crowd, values)
                        check(result.entry.label, crowd, before, connections(result.entry.key))
                        if number >= 0:
                            crowd.note(result)
                    if number >= 0:
                        await lonely(teams, 1 if effort.quick else LONELY_SLICES)
        return results


@asynccontextmanager
async def opened(asker: "AsyncAsker | SyncAsker") -> "AsyncGenerator[AsyncAsker | SyncAsker, None]":
    """Set up and, at the end, tear down."""
    try:
        await finished(asker.setup())
        yield asker
    finally:
        await finished(asker.teardown())


async def finished(outcome: Any) -> Any:
    """Return what came of a call, in either world."""
    return await outcome if asyncio.iscoroutine(outcome) else outcome


def stocked(
    stack: AsyncExitStack, endpoint: tuple[str, int], values: Mapping[str, bytes]
) -> Connections:
    """Give the server everybody's value, and return what tells of its connections."""
    import redis  # It may be missing; then nobody takes part.

    host, port = endpoint
    observer = redis.Redis(host=host, port=port)
    stack.callback(observer.close)
    observer.mset(dict(values))

    def connections(name: str) -> set[str]:
        return {each["id"] for each in observer.client_list() if each["name"] == name}

    return connections


def check(name: str, crowd: Askers, before: set[str], after: set[str]) -> None:
    """Check that everybody got what is his, over the same four connections as ever.

    Raises:
        InvalidError: not so.
    """
    demand(not crowd.wrong, f"{name} mixes up replies: {', '.join(crowd.wrong[:3])}")
    demand(len(after) == CONNECTIONS, f"{name} has {len(after)} connections")
    demand(before == after, f"{name} has connected again")


# --- Callers -----------------------------------------------------------------------------------------------


def threads(asker: Any, crowd: Askers, values: Mapping[str, bytes]) -> None:
    """Let so many threads ask until the round is over."""
    barrier = Barrier(len(values), crowd.start)
    with ThreadPoolExecutor(len(values)) as workers:
        callers = [
            workers.submit(thread, asker, crowd, barrier, key, value)
            for key, value in values.items()
        ]
    for caller in callers:
        caller.result()


async def tasks(asker: Any, crowd: Askers, values: Mapping[str, bytes]) -> None:
    """Let so many tasks ask until the round is over."""
    crowd.start()
    async with asyncio.TaskGroup() as group:
        for key, value in values.items():
            group.create_task(task(asker, crowd, key, value))


async def task(asker: Any, crowd: Askers, key: str, value: bytes) -> None:
    served = longest = 0
    while True:
        asked = perf_counter_ns()
        reply = await asker.ask(key)
        longest = max(longest, perf_counter_ns() - asked)
        crowd.hear(key, reply, value)
        if crowd.over():
            break
        served += 1
    crowd.served.append(served)
    crowd.longest.append(longest)


def thread(asker: Any, crowd: Askers, barrier: Barrier, key: str, value: bytes) -> None:
    served = longest = 0
    barrier.wait()
    while True:
        asked = perf_counter_ns()
        reply = asker.ask(key)
        longest = max(longest, perf_counter_ns() - asked)
        crowd.hear(key, reply, value)
        if crowd.over():
            break
        served += 1
    crowd.served.append(served)
    crowd.longest.append(longest)


async def lonely(teams: "deque[tuple[Result, AsyncAsker | SyncAsker]]", slices: int) -> None:
    """Note what a command takes if nobody else asks: the median of a round."""
    times: dict[str, list[int]] = {result.entry.key: [] for result, _ in teams}
    for _ in range(slices):
        teams.rotate()
        for result, asker in teams:
            times[result.entry.key] += await alone(asker, LONELY)
    for result, _ in teams:
        result.note(ALONE, median(times[result.entry.key]) / 1000)


async def alone(asker: Any, n: int) -> list[int]:
    """Return the nanoseconds of each command of one caller, who asks so often."""
    times = []
    for _ in range(n):
        asked = perf_counter_ns()
        await finished(asker.ask("caller:0"))
        times.append(perf_counter_ns() - asked)
    return times
