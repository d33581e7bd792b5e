"""Measure competitors side by side.

Machines drift: they get warm, and others work on them. So a round is a few short slices of each competitor
in turn, and counts the fastest one of each, which nothing disturbed. A ratio compares times of one round.
"""

import gc
from collections import deque
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from math import inf
from statistics import median
from time import perf_counter_ns

from benchmarks.peer import AsyncPeer
from benchmarks.peers import FLOOR, Entry
from benchmarks.validity import check, check_opened, check_quiet

SLICES = 100
"""Slices of each competitor in one round."""


@dataclass
class Result:
    """What was found out about one competitor."""

    entry: Entry
    code: str = ""
    missing: str = ""
    """Why it was not measured."""
    times: list[float] = field(default_factory=list)
    """Nanoseconds for one checkout, by round."""
    ratios: list[float] = field(default_factory=list)
    """The same as multiples of the floor in that round."""

    @property
    def ns(self) -> float:
        """The nanoseconds of the best round."""
        return min(self.times)

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return median(self.ratios)


@dataclass
class Runner:
    """A competitor at the start."""

    result: Result
    peer: AsyncPeer
    loops: int = 1
    """How many checkouts a slice has."""

    async def slice(self) -> float:
        """Run one slice; return the nanoseconds that a checkout took."""
        peer, loops = self.peer, self.loops
        started = perf_counter_ns()
        await peer.run(loops)
        return (perf_counter_ns() - started) / loops


async def measure(entries: Iterable[Entry], rounds: int, slice_ms: float) -> list[Result]:
    """Return the results of competitors that meet each other.

    Parameters:
        entries: the competitors, the floor among them.
        rounds: how many rounds.
        slice_ms: how many milliseconds a slice of each competitor takes.

    Raises:
        InvalidError: a competitor does not do what it should.
    """
    results = [Result(entry) for entry in entries]
    async with AsyncExitStack() as stack:
        runners = []
        for result in results:
            peer = load(result)
            if peer is not None:
                stack.push_async_callback(peer.teardown)
                await peer.setup()
                runners.append(Runner(result, peer))
        check_quiet()
        for runner in runners:
            await check(runner.result.entry.label, runner.peer)
            await calibrate(runner, slice_ms * 1e6)
        gc.disable()
        try:
            for _ in range(rounds):
                gc.collect()
                await one_round(deque(runners))
        finally:
            gc.enable()
        for runner in runners:
            check_opened(runner.result.entry.label, runner.peer)
    return results


def load(result: Result) -> AsyncPeer | None:
    """Return the competitor; if it cannot be had here, note why."""
    try:
        peer = result.entry.make()
    except ModuleNotFoundError as error:
        result.missing = f"not installed (no module {error.name})"
        return None
    except ImportError as error:
        result.missing = f"not measurable: {str(error).splitlines()[0]}"
        return None
    result.code = peer.code
    return peer


async def calibrate(runner: Runner, slice_ns: float) -> None:
    """Find how many checkouts a slice has, and warm up."""
    runner.loops = 1
    while (each := await runner.slice()) * runner.loops < slice_ns / 4:
        runner.loops *= 2
    runner.loops = max(int(slice_ns / each), 1)
    await runner.slice()


async def one_round(runners: deque[Runner]) -> None:
    """Note one more time and one more ratio for everybody."""
    for runner in runners:
        runner.result.times.append(inf)
    for _ in range(SLICES):
        runners.rotate()
        for runner in runners:
            times = runner.result.times
            times[-1] = min(times[-1], await runner.slice())
    (floor,) = (r.result.times[-1] for r in runners if r.result.entry.key == FLOOR)
    for runner in runners:
        runner.result.ratios.append(runner.result.times[-1] / floor)
