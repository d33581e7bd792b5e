"""How long a connection takes from one who gives it back to one who waits for it."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from statistics import median
from threading import Lock, Thread
from time import perf_counter_ns, sleep

from benchmarks.peer import AsyncPeer, SyncPeer
from benchmarks.peers import FLOOR, Entry, waiting
from benchmarks.results import Effort, Measure, Result, Work
from benchmarks.timing import face, load, no_collector, opened
from benchmarks.validity import InvalidError, check, check_opened, check_quiet

ROUNDS = 10
TURNS = 20
"""How often everybody's turn comes in one round."""

IN_A_ROW = 10
"""Hand-offs in one turn: the first finds cold caches, as it would not in a pool that is busy."""

REST = 0.0003
"""Seconds in which a thread that asks for a connection falls asleep."""

STEPS = 10
"""How many turns of the event loop a task is given to get as far as it can without a connection."""

PATIENCE = 10.0

P50 = "p50"


class Pair(ABC):
    """One who holds the connection, and one who waits for it."""

    result: Result

    @abstractmethod
    async def once(self) -> int:
        """Hand over, and return how many nanoseconds it took."""

    def close(self) -> None:
        """End what goes on in the background."""
        return


class Threads(Pair):
    """The holder is this thread, the waiter another one."""

    def __init__(self, result: Result, peer: SyncPeer) -> None:
        self.result = result
        self.peer = peer
        self.ask, self.done = Lock(), Lock()
        self.ask.acquire()
        self.done.acquire()
        self.ended = 0
        self.over = False
        self.thread = Thread(target=self.waiter, daemon=True)
        self.thread.start()

    def waiter(self) -> None:
        while self.ask.acquire() and not self.over:
            with self.peer.checkout():
                self.ended = perf_counter_ns()
            self.done.release()

    async def once(self) -> int:
        with self.peer.checkout():
            self.ask.release()
            # Nobody else is on this event loop: what is measured are threads.
            sleep(REST)  # noqa: ASYNC251
            started = perf_counter_ns()
        if not self.done.acquire(timeout=PATIENCE):
            raise InvalidError(f"{self.result.entry.label} hands nothing over")
        return self.ended - started

    def close(self) -> None:
        self.over = True
        self.ask.release()
        self.thread.join(PATIENCE)


class Tasks(Pair):
    """Both are tasks."""

    def __init__(self, result: Result, peer: AsyncPeer) -> None:
        self.result = result
        self.peer = peer

    async def waiter(self) -> int:
        async with self.peer.checkout():
            return perf_counter_ns()

    async def once(self) -> int:
        async with self.peer.checkout():
            task = asyncio.create_task(self.waiter())
            for _ in range(STEPS):
                await asyncio.sleep(0)
            started = perf_counter_ns()
        return await task - started


class Futures(Pair):
    """The floor of asyncio: a task waits for a bare future."""

    def __init__(self, result: Result) -> None:
        self.result = result
        result.code = "future.set_result(None)"

    async def waiter(self, future: "asyncio.Future[None]") -> int:
        await future
        return perf_counter_ns()

    async def once(self) -> int:
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self.waiter(future))
        for _ in range(STEPS):
            await asyncio.sleep(0)
        started = perf_counter_ns()
        future.set_result(None)
        return await task - started


class Handoff(Work):
    key = "handoff"
    title = "A hand-off to a caller who waits"
    about = (
        "One holds the only connection, another waits for it: how long from the end of the one's "
        "block until the other is in his? The median of a round. **The floor** is what wakes a "
        "waiter and nothing else: for threads a raw lock that one releases and the other "
        "acquires, for asyncio a bare future that one resolves and the other awaits."
    )
    base = FLOOR
    measures = (Measure(P50, "p50 ns", "x floor"),)

    def entries(self, world: str) -> tuple[Entry, ...]:
        floor = (
            Entry(world, FLOOR, "the floor: a bare lock", "bare.Sync")
            if world == "sync"
            else Entry(world, FLOOR, "the floor: a bare future", "")
        )
        return (floor, *waiting(world))

    async def measure(self, entries: Sequence[Entry], effort: Effort) -> list[Result]:
        results = [Result(entry) for entry in entries]
        pairs: deque[Pair] = deque()
        peers: list[tuple[str, AsyncPeer]] = []
        async with AsyncExitStack() as stack:
            for result in results:
                if not result.entry.place:
                    pairs.append(Futures(result))
                elif (peer := load(result)) is not None:
                    either = await stack.enter_async_context(opened(face(peer)))
                    await check(result.entry.label, either)
                    peers.append((result.entry.label, either))
                    pairs.append(
                        Threads(result, peer) if isinstance(peer, SyncPeer) else Tasks(result, peer)
                    )
                    stack.callback(pairs[-1].close)
            check_quiet()
            for _ in range(effort.of(ROUNDS)):
                await one_round(pairs, 2 if effort.quick else TURNS)
            for name, either in peers:
                check_opened(name, either)
        return results


async def one_round(pairs: deque[Pair], turns: int) -> None:
    """Note the median of everybody's hand-offs."""
    times: dict[Pair, list[int]] = {pair: [] for pair in pairs}
    with no_collector():
        for _ in range(turns):
            pairs.rotate()
            for pair in pairs:
                async with asyncio.timeout(PATIENCE):
                    times[pair] += [await pair.once() for _ in range(IN_A_ROW)]
    for pair, taken in times.items():
        pair.result.note(P50, median(taken))
