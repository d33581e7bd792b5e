"""Everything the demo prints."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import ceil

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pool import monitoring
from pool._demo.job import Plan
from pool._demo.outcome import Outcome
from pool._demo.tally import POOL_EVENTS, percentile
from pool.monitoring import Event

_EVENT_MEANINGS: dict[type[Event], str] = {
    monitoring.PoolCreatedEvent: "a pool met an address",
    monitoring.PoolReadyEvent: "it may connect now",
    monitoring.ConnectionCheckOutStartedEvent: "a worker asked for one",
    monitoring.ConnectionCreatedEvent: "the pool began to connect",
    monitoring.ConnectionReadyEvent: "... and succeeded",
    monitoring.ConnectionCheckedOutEvent: "a worker got one",
    monitoring.ConnectionCheckOutFailedEvent: "... or got an error",
    monitoring.ConnectionCheckedInEvent: "a worker gave one back",
    monitoring.PoolClearedEvent: "all open ones distrusted",
    monitoring.ConnectionClosedEvent: "one ended, ready or not",
    monitoring.PoolClosedEvent: "the pool ended",
}

_ERROR_MEANINGS = {
    "ConnectionRefusedError": "nobody listens: server away",
    "ConnectionResetError": "broken off by the server",
    "BrokenPipeError": "sent after it was broken off",
    "StreamEndedError": "ended before the reply",
}


class Report:
    """Prints the demo's text; with a progress bar and colours where the console can show them.

    Parameters:
        console: where to.
        plain: lines instead of a bar, ASCII only.
    """

    def __init__(self, console: Console, plain: bool) -> None:
        self._console = console
        self._plain = plain or not console.is_terminal or console.is_dumb_terminal
        self._box = box.ASCII if self._plain else box.ROUNDED

    def opening(self, plan: Plan) -> None:
        """Say what is going to happen."""
        self._say(
            f"{plan.workers} workers share a pool of at most {plan.max_size} connections and make "
            f"{plan.requests:,} requests (PING n)\nto a small server on this machine. Every reply must "
            f"be the PONG n of its own request. Half-way\nthe server dies: it drops all connections "
            f"and is away for {plan.downtime:g} s. Workers see errors and try again.\n"
            "First pool.sync with threads does it, then pool.aio with tasks; one listener hears both."
        )
        self._say("")

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int], object]]:
        """Show how far one world is; give the function to be called with the number done."""
        if self._plain:
            quarters = {ceil(total * quarter / 4): f"{quarter * 25} %" for quarter in (1, 2, 3, 4)}

            def line(done: int) -> None:
                for reached in [quarter for quarter in quarters if quarter <= done]:
                    self._say(f"{title}: {quarters.pop(reached)} of {total:,} replies")

            yield line
            return
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
        )
        with bar:
            task = bar.add_task(title, total=total)
            yield lambda done: bar.update(task, completed=done)

    def results(self, outcomes: Sequence[Outcome]) -> None:
        """Show both worlds side by side, in numbers and in events."""
        table = self._table("The same work in both worlds", outcomes)
        for name, values, meaning in _rows(outcomes):
            table.add_row(name, *values, meaning)
        self._console.print(table)
        table = self._table(
            "What the listener of both pools heard ('one' is a connection)", outcomes
        )
        for event in POOL_EVENTS:
            counts = [f"{outcome.events[event]:,}" for outcome in outcomes]
            table.add_row(event.__name__.removesuffix("Event"), *counts, _EVENT_MEANINGS[event])
        self._console.print(table)

    def verdict(self, problems: Sequence[str]) -> None:
        """Say whether everything added up, and if not, what did not."""
        if problems:
            self._say("NOT everything added up:", style="bold red")
            for problem in problems:
                self._say(f"- {problem}")
        else:
            self._say("Everything added up:", style="bold green")
            self._say(
                "every request got its own reply, no count was left over, every check-out and every\n"
                "connection ended exactly once, and the server never saw more than max_size."
            )

    def _table(self, title: str, outcomes: Sequence[Outcome]) -> Table:
        table = Table(title=title, title_justify="left", box=self._box, pad_edge=False)
        table.add_column("", no_wrap=True)
        for outcome in outcomes:
            heading = f"{outcome.world}\n{outcome.job.plan.workers} {outcome.workers}"
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("which means")
        return table

    def _say(self, text: str, style: str | None = None) -> None:
        # Soft wrap: a pipe or a log has no width to respect.
        self._console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


Row = tuple[str, list[str], str]


def _rows(outcomes: Sequence[Outcome]) -> Iterator[Row]:
    def row(name: str, show: Callable[[Outcome], str], meaning: str) -> Row:
        return name, [show(outcome) for outcome in outcomes], meaning

    yield row("requests", lambda one: f"{one.job.right:,}", "answered, and rightly")
    yield row(
        "errors seen", lambda one: f"{one.job.errors.total():,}", "by workers, who tried again"
    )
    for kind in sorted({kind for outcome in outcomes for kind in outcome.job.errors}):
        counts = [f"{outcome.job.errors[kind]:,}" for outcome in outcomes]
        yield f"  {kind}", counts, _ERROR_MEANINGS.get(kind, "")
    yield row("connections opened", lambda one: f"{one.stats.created:,}", "before and after")
    yield row("reuse ratio", lambda one: f"{one.reuse_ratio:,.1f}", "check-outs per connection")
    yield row("most open at once", _most_at_once, "as the server saw it")
    yield row("wait p50", _wait(0.5), "half waited at most this")
    yield row("wait p99", _wait(0.99), "99 of 100 at most this")
    yield row(
        "requests/s", lambda one: f"{one.job.answered / one.seconds:,.0f}", "the outage included"
    )


def _most_at_once(outcome: Outcome) -> str:
    return f"{outcome.most_live} of {outcome.job.plan.max_size}"


def _wait(share: float) -> Callable[[Outcome], str]:
    return lambda outcome: f"{percentile(outcome.waits, share) * 1000:.2f} ms"
