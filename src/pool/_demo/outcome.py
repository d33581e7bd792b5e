"""What one world's run came to, and whether it adds up."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pool import PoolStats
from pool._demo.job import Job
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    Event,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one world's run came to.

    Attributes:
        world: ``pool.sync`` or ``pool.aio``.
        workers: what they are: threads or tasks.
        job: who asked what, and what came.
        stats: the pool's, after it was closed.
        seconds: how long it took.
        most_live: the most connections the server saw at once.
        left_over: connections the server still had at the end.
        deaths: how often the server died.
        events: how many of each class.
        waits: seconds for each check-out, shortest first.
    """

    world: str
    workers: str
    job: Job
    stats: PoolStats
    seconds: float
    most_live: int
    left_over: int
    deaths: int
    events: Counter[type[Event]]
    waits: list[float]

    @property
    def reuse_ratio(self) -> float:
        """Check-outs per connection opened."""
        return self.stats.acquired / max(1, self.stats.created)


def problems(outcome: Outcome) -> list[str]:
    """Return a sentence for everything that does not add up."""
    return [f"{outcome.world}: {problem}" for problem in _problems(outcome)]


def _problems(outcome: Outcome) -> Iterator[str]:
    job, plan, stats, events = outcome.job, outcome.job.plan, outcome.stats, outcome.events
    if job.answered != plan.requests:
        yield (
            f"{job.answered:,} of {plan.requests:,} requests were answered within {plan.give_up:g} s"
        )
    if job.wrong:
        asked, came = job.wrong[0]
        yield f"{len(job.wrong):,} replies were wrong; the first: asked {asked!r}, got {came!r}"
    if not outcome.deaths:
        yield "the server did not die, so nothing was proven about that"
    for name in ("idle", "in_use", "connecting", "closing", "waiting"):
        if left := getattr(stats, name):
            yield f"the closed pool still counts {left} as {name}"
    if stats.acquired != stats.released:
        yield f"{stats.acquired:,} leases were given, but {stats.released:,} ended"
    if outcome.left_over:
        yield f"the server still had {outcome.left_over} connections after the pool was closed"
    if outcome.most_live > plan.max_size:
        yield f"the server saw {outcome.most_live} connections at once, allowed are {plan.max_size}"
    started = events[ConnectionCheckOutStartedEvent]
    given, failed = events[ConnectionCheckedOutEvent], events[ConnectionCheckOutFailedEvent]
    if started != given + failed:
        yield f"{started:,} check-outs started, but {given:,} succeeded and {failed:,} failed"
    if given != (back := events[ConnectionCheckedInEvent]):
        yield f"{given:,} connections were checked out, but {back:,} checked in"
    if (created := events[ConnectionCreatedEvent]) != (closed := events[ConnectionClosedEvent]):
        yield f"{created:,} connections were created, but {closed:,} closed"
