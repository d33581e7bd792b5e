"""Many callers for few connections: how long the unluckiest waits, how much gets done, and how fairly."""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import count
from math import inf
from threading import Barrier, Thread
from time import perf_counter_ns, sleep
from types import MappingProxyType

from benchmarks.peer import AsyncPeer, SyncPeer
from benchmarks.peers import FLOOR, Entry, waiting
from benchmarks.results import Effort, Measure, Result, Work
from benchmarks.timing import face, load, no_collector, opened
from benchmarks.validity import check_opened, check_quiet, demand

ROUNDS = {"sync": 9, "async": 5}
TURNS = {"sync": 80, "async": 5}
"""How many checkouts there are for each caller in one round, if they are dealt out fairly."""

HOLD = 0.0005
"""Seconds for which a caller keeps his connection."""

CALLERS = {"sync": 16, "async": 1000}
CONNECTIONS = {"sync": 4, "async": 10}

LONGEST, DONE, FAIRNESS, LEAST = "longest", "done", "fairness", "least"


@dataclass
class Crowd:
    """What the callers of one competitor found in one round.

    It is over after so many checkouts, not after so many seconds: a slow machine is not unfair.
    """

    total: int
    """How many checkouts it has. Who waits when it is over is still served, but does not count as served."""
    started: int = 0
    ended: int = 0
    longest: list[int] = field(default_factory=list)
    """Nanoseconds of the longest wait of each caller."""
    served: list[int] = field(default_factory=list)
    """How often each caller had a connection."""
    tickets: Iterator[int] = field(default_factory=count)
    """One for each checkout; to take one is atomic."""

    def start(self) -> None:
        self.started = perf_counter_ns()

    def over(self) -> bool:
        """Count a checkout; return whether the round was over before it."""
        number = next(self.tickets) + 1
        if number == self.total:
            self.ended = perf_counter_ns()
        return number > self.total

    def note(self, result: Result) -> None:
        most, least = max(self.served), min(self.served)
        result.note(LONGEST, max(self.longest) / 1e6)
        result.note(DONE, self.total / (self.ended - self.started) * 1e9)
        result.note(FAIRNESS, most / least if least else inf)
        result.note(LEAST, least)


class Contended(Work):
    title = "More callers than connections"
    about = (
        "Threads: 16 for 4 connections; asyncio: 1000 tasks for 10. Each takes a connection, "
        "keeps it for 0.5 ms (which asyncio's timer makes 1 to 1.5), gives it back and asks "
        "again. How long did the unluckiest wait, how many checkouts were there per second, and "
        "how much oftener was the most served caller served than the least? **The floor** is "
        "fair: callers stand in a `deque`, each with a raw lock or a future, and whoever gives "
        "back hands over to the first. It knows no timeouts and no cancellation. Only pools whose "
        "callers can wait take part."
    )
    key = "contended"
    base = FLOOR
    measures = (
        Measure(LONGEST, "longest wait, ms", "x floor", 2),
        Measure(DONE, "checkouts/s", "x floor", more=True),
        Measure(FAIRNESS, "most/least served", digits=2),
        Measure(LEAST, "least served", more=True, spread=False, ranked=False),
    )
    hold: float = HOLD
    turns: Mapping[str, int] = TURNS

    def entries(self, world: str) -> tuple[Entry, ...]:
        place = "fair.Sync" if world == "sync" else "fair.Aio"
        return (Entry(world, FLOOR, "the fair floor", place), *waiting(world))

    async def measure(self, entries: Sequence[Entry], effort: Effort) -> list[Result]:
        results = [Result(entry) for entry in entries]
        world = results[0].entry.world
        turns, callers = self.turns[world], CALLERS[world]
        if effort.quick:
            turns, callers = 5, max(callers // 10, 2 * CONNECTIONS[world])
        async with AsyncExitStack() as stack:
            teams: deque[tuple[Result, AsyncPeer | SyncPeer]] = deque()
            for result in results:
                peer = load(result, CONNECTIONS[world])
                if peer is not None:
                    await stack.enter_async_context(opened(face(peer)))
                    await fill(result.entry.label, face(peer))
                    check_opened(result.entry.label, peer)
                    teams.append((result, peer))
            check_quiet()
            for _ in range(effort.of(ROUNDS[world], quick=1)):
                teams.rotate()
                with no_collector():
                    for result, peer in teams:
                        crowd = Crowd(turns * callers)
                        # Since the last round some may have been idle for too long.
                        await fill(result.entry.label, face(peer))
                        opened_before = peer.server.opened
                        if isinstance(peer, SyncPeer):
                            threads(peer, crowd, callers, self.hold)
                        else:
                            await tasks(peer, crowd, callers, self.hold)
                        more = peer.server.opened - opened_before
                        demand(not more, f"{result.entry.label} opened {more} more")
                        crowd.note(result)
        return results


class Turned(Contended):
    key = "turns"
    title = "More callers than connections, held for one turn"
    about = (
        "The same for asyncio with connections that are kept only for one turn of the event loop "
        "(`sleep(0)`): nobody sleeps, so what is measured is only how fast the pool hands over."
    )
    hold = 0.0
    turns = MappingProxyType({"async": 10})

    def entries(self, world: str) -> tuple[Entry, ...]:
        return super().entries(world) if world == "async" else ()


async def fill(name: str, peer: AsyncPeer) -> None:
    """Have all its connections opened.

    Raises:
        InvalidError: it lends one of them to two callers.
    """
    async with AsyncExitStack() as stack:
        lent = [
            peer.bare(await stack.enter_async_context(peer.checkout())) for _ in range(peer.size)
        ]
        demand(len({id(one) for one in lent}) == peer.size, f"{name} lends one twice")


def threads(peer: SyncPeer, crowd: Crowd, n: int, hold: float) -> None:
    """Let so many threads use the pool."""
    barrier = Barrier(n, crowd.start)
    callers = [Thread(target=thread, args=(peer, crowd, barrier, hold)) for _ in range(n)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()


def thread(peer: SyncPeer, crowd: Crowd, barrier: Barrier, hold: float) -> None:
    served = longest = 0
    barrier.wait()
    while True:
        asked = perf_counter_ns()
        with peer.checkout():
            longest = max(longest, perf_counter_ns() - asked)
            sleep(hold)
        if crowd.over():
            break
        served += 1
    crowd.served.append(served)
    crowd.longest.append(longest)


async def tasks(peer: AsyncPeer, crowd: Crowd, n: int, hold: float) -> None:
    """Let so many tasks use the pool."""
    crowd.start()
    async with asyncio.TaskGroup() as group:
        for _ in range(n):
            group.create_task(task(peer, crowd, hold))


async def task(peer: AsyncPeer, crowd: Crowd, hold: float) -> None:
    served = longest = 0
    while True:
        asked = perf_counter_ns()
        async with peer.checkout():
            longest = max(longest, perf_counter_ns() - asked)
            await asyncio.sleep(hold)
        if crowd.over():
            break
        served += 1
    crowd.served.append(served)
    crowd.longest.append(longest)
