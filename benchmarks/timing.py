"""Time competitors side by side.

Machines drift: they get warm, and others work on them. So a round is a few short slices of each competitor
in turn, and counts the fastest one of each, which nothing disturbed. A ratio compares times of one round.
"""

import gc
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from math import inf
from time import perf_counter_ns
from typing import Protocol, TypeVar

from benchmarks.peer import AsyncPeer, SyncPeer, Threaded
from benchmarks.peers import Entry
from benchmarks.results import Effort, Result
from benchmarks.validity import check, check_opened, check_quiet

SLICES = 100
"""Slices of each competitor in one round."""

SLICE_NS = 0.5e6
"""Nanoseconds of one slice."""

ROUNDS = 10

TIME = "time"

T = TypeVar("T")


class Runs(Protocol):
    """Whatever can do its work so many times."""

    async def run(self, n: int) -> None: ...


@dataclass
class Runner:
    """A competitor at the start."""

    result: Result
    peer: Runs
    loops: int = 1
    """How often a slice does the work."""

    async def slice(self) -> float:
        """Run one slice; return the nanoseconds that doing it once took."""
        peer, loops = self.peer, self.loops
        started = perf_counter_ns()
        await peer.run(loops)
        return (perf_counter_ns() - started) / loops


async def time_peers(entries: Sequence[Entry], effort: Effort) -> list[Result]:
    """Return how many nanoseconds an uncontended checkout takes with each pool.

    Raises:
        InvalidError: a competitor does not do what it should.
    """
    results = [Result(entry) for entry in entries]
    peers: list[tuple[Result, AsyncPeer]] = []
    async with AsyncExitStack() as stack:
        for result in results:
            peer = load(result)
            if peer is not None:
                peers.append((result, await stack.enter_async_context(opened(face(peer)))))
        check_quiet()
        for result, either in peers:
            await check(result.entry.label, either)
        await race([Runner(result, either) for result, either in peers], effort)
        for result, either in peers:
            check_opened(result.entry.label, either)
    return results


def load(result: Result, size: int = 1) -> AsyncPeer | SyncPeer | None:
    """Return the competitor; if it cannot be had here, note why."""
    peer = had(result, lambda: result.entry.make(size))
    if peer is not None:
        result.code = peer.code
    return peer


def had(result: Result, make: Callable[[], T]) -> T | None:
    """Return what is made; if it cannot be had here, note why."""
    try:
        return make()
    except ModuleNotFoundError as error:
        result.missing = f"not installed (no module {error.name})"
    except ImportError as error:
        result.missing = f"not measurable: {str(error).splitlines()[0]}"
    return None


def face(peer: AsyncPeer | SyncPeer) -> AsyncPeer:
    """Return the peer in the form that both worlds have."""
    return Threaded(peer) if isinstance(peer, SyncPeer) else peer


@asynccontextmanager
async def opened(peer: AsyncPeer) -> AsyncGenerator[AsyncPeer, None]:
    """Set up and, at the end, tear down."""
    try:
        await peer.setup()
        yield peer
    finally:
        await peer.teardown()


@contextmanager
def no_collector() -> Generator[None, None, None]:
    """Keep the garbage collector from working in between."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def race(runners: Sequence[Runner], effort: Effort) -> None:
    """Note the time of each runner in each round."""
    slices = 20 if effort.quick else SLICES
    for runner in runners:
        await calibrate(runner, SLICE_NS / 5 if effort.quick else SLICE_NS)
    for _ in range(effort.of(ROUNDS)):
        with no_collector():
            await one_round(deque(runners), slices)


async def calibrate(runner: Runner, slice_ns: float) -> None:
    """Find how many times a slice does the work, and warm up."""
    runner.loops = 1
    while (each := await runner.slice()) * runner.loops < slice_ns / 4:
        runner.loops *= 2
    runner.loops = max(int(slice_ns / each), 1)
    await runner.slice()


async def one_round(runners: deque[Runner], slices: int) -> None:
    """Note one more time for everybody."""
    best = dict.fromkeys((runner.result.entry.key for runner in runners), inf)
    for _ in range(slices):
        runners.rotate()
        for runner in runners:
            key = runner.result.entry.key
            best[key] = min(best[key], await runner.slice())
    for runner in runners:
        runner.result.note(TIME, best[runner.result.entry.key])
