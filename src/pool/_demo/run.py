"""Runs the demo: a server and a job for each world, then the report."""

import asyncio
import time
from collections.abc import Callable

from rich.console import Console

from pool import PoolStats
from pool._demo import tasks, threads
from pool._demo.job import Job, Plan
from pool._demo.outcome import Outcome, problems
from pool._demo.report import Report
from pool._demo.server import Answer, LineServer, pong
from pool._demo.tally import Tally

Drive = Callable[[Job], PoolStats]

WORLDS: tuple[tuple[str, str, Drive], ...] = (
    ("pool.sync", "threads", threads.drive),
    ("pool.aio", "tasks", lambda job: asyncio.run(tasks.drive(job))),
)


def run(
    plan: Plan, *, plain: bool = False, console: Console | None = None, answer: Answer = pong
) -> int:
    """Run the whole demo.

    Parameters:
        plan: how much of everything.
        plain: no progress bar, no colours, ASCII only.
        console: where to print; standard output if not given.
        answer: how the server answers a line.

    Returns:
        0 if everything added up, else 1.
    """
    report = Report(console or (Console(force_terminal=False) if plain else Console()), plain)
    report.opening(plan)
    tally = Tally()
    outcomes = []
    # Both servers live until the end, so that their addresses, by which events are told apart, differ.
    with _server(plan, answer) as first, _server(plan, answer) as second:
        for (world, workers, drive), server in zip(WORLDS, (first, second), strict=True):
            with report.progress(f"{world} with {workers}", plan.requests) as progress:
                job = Job(plan, server.address, tally.listener, progress)
                began = time.perf_counter()
                stats = drive(job)
                seconds = time.perf_counter() - began
            server.wait_until_empty(timeout=2.0)
            outcomes.append(
                Outcome(
                    world=world,
                    workers=workers,
                    job=job,
                    stats=stats,
                    seconds=seconds,
                    most_live=server.most_live,
                    left_over=server.live,
                    deaths=server.deaths,
                    events=tally.counts(server.address),
                    waits=tally.waits(server.address),
                )
            )
    report.results(outcomes)
    found = [problem for outcome in outcomes for problem in problems(outcome)]
    report.verdict(found)
    return 1 if found else 0


def _server(plan: Plan, answer: Answer) -> LineServer:
    return LineServer(answer, dies_after=max(1, plan.requests // 2), downtime=plan.downtime)
