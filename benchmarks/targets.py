"""What we want to reach, and whether a run reached it."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.peers import BY_HAND, CHANGED, OURS, OWN
from benchmarks.results import Figure, Result
from benchmarks.timing import TIME
from benchmarks.works.commands import ADDED
from benchmarks.works.contended import DONE, FAIRNESS, LEAST, LONGEST
from benchmarks.works.growth import GROWTH
from benchmarks.works.handoff import P50
from benchmarks.works.imports import MS
from benchmarks.works.listeners import FUNCTION, HEARD
from benchmarks.works.memory import BYTES
from benchmarks.works.selection import MICROS

__all__ = ["MISSED", "TARGETS", "UNMEASURED", "Findings", "Target", "Verdict", "judge"]

MISSED, UNMEASURED = "**no**", "not measured"
"""What people say of a target; if it was met, something with "yes"."""

Findings = dict[tuple[str, str], Sequence[Result]]
"""The results by work and world."""


@dataclass(frozen=True)
class Target:
    """A bound for one number of ours."""

    what: str
    work: str
    world: str
    measure: str
    limit: float
    unit: str
    key: str = OURS
    related: bool = False
    """Whether it bounds the ratio to the work's base."""
    at_least: bool = False
    always: bool = False
    """Whether it holds for every round; if not, for their median."""
    strict: bool = False
    """Whether to be equal is not enough."""
    stretch: float | None = None
    """What would be better still: less than this."""

    @property
    def bound(self) -> str:
        sign = "≥" if self.at_least else "<" if self.strict else "≤"
        text = f"{sign} {self.limit:,g}{self.unit}"
        return text if self.stretch is None else f"{text} (stretch: < {self.stretch:g})"


@dataclass(frozen=True)
class Verdict:
    """How a target fared; a value that was not measured is ``None``."""

    target: Target
    value: float | None = None
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool | None:
        if self.value is None:
            return None
        limit = self.target.limit
        if self.target.at_least:
            return self.value >= limit
        return self.value < limit if self.target.strict else self.value <= limit

    @property
    def word(self) -> str:
        """Whether it was met, as people say it."""
        if self.met is None:
            return UNMEASURED
        stretch = self.target.stretch
        if stretch is not None and self.value is not None and self.value < stretch:
            return "yes, and the stretch"
        return "yes" if self.met else MISSED


X = " x"

TARGETS = (
    Target("uncontended, block", "uncontended", "sync", TIME, 1.15, X, related=True, stretch=1.0),
    Target("uncontended, block", "uncontended", "async", TIME, 1.25, X, related=True, stretch=1.0),
    Target("uncontended, by hand", "uncontended", "sync", TIME, 1.75, X, BY_HAND, related=True),
    Target("uncontended, by hand", "uncontended", "async", TIME, 3.0, X, BY_HAND, related=True),
    Target("hand-off, p50", "handoff", "sync", P50, 1.5, X, related=True),
    Target("hand-off, p50", "handoff", "async", P50, 1.3, X, related=True),
    Target("contended, longest wait", "contended", "sync", LONGEST, 1.5, X, related=True),
    Target("contended, most/least served", "contended", "sync", FAIRNESS, 1.05, ""),
    Target(
        "contended, throughput", "contended", "async", DONE, 0.75, X, related=True, at_least=True
    ),
    Target(
        "contended, least served", "contended", "async", LEAST, 1, "", at_least=True, always=True
    ),
    Target("10 to 10,000 endpoints, growth", "growth", "sync", GROWTH, 1.0, X, related=True),
    Target("10 to 10,000 endpoints, growth", "growth", "async", GROWTH, 1.0, X, related=True),
    Target("memory per idle connection", "memory", "sync", BYTES, 200, " B"),
    Target("memory per idle connection", "memory", "async", BYTES, 200, " B"),
    Target("memory per one-connection endpoint", "endpoints", "sync", BYTES, 600, " B"),
    Target("memory per one-connection endpoint", "endpoints", "async", BYTES, 600, " B"),
    Target("import", "imports", "sync", MS, 10, " ms"),
    Target("import, beside asyncio", "imports", "async", MS, 10, " ms"),
    Target("with a listener", "listeners", "sync", TIME, 1.0, X, HEARD, related=True, strict=True),
    Target("with a listener", "listeners", "async", TIME, 1.0, X, HEARD, related=True, strict=True),
    Target(
        "with `monitoring.on`",
        "listeners",
        "sync",
        TIME,
        1.0,
        X,
        FUNCTION,
        related=True,
        strict=True,
    ),
    Target(
        "with `monitoring.on`",
        "listeners",
        "async",
        TIME,
        1.0,
        X,
        FUNCTION,
        related=True,
        strict=True,
    ),
    *(
        Target(what, "selection", world, MICROS, 1000, " µs", key, strict=True)
        for what, key in (
            ("1 of 1,000 servers", OURS),
            ("1 of 1,000, a selector of one's own", OWN),
            ("1 of 1,000, after each change", CHANGED),
        )
        for world in ("sync", "async")
    ),
    Target("a command, added", "commands", "sync", ADDED, 10, " µs"),
    Target("a command, added", "commands", "async", ADDED, 10, " µs"),
)


def judge(findings: Findings) -> list[Verdict]:
    """Return how every target fared."""
    return [verdict(target, findings) for target in TARGETS]


def verdict(target: Target, findings: Findings) -> Verdict:
    results = findings.get((target.work, target.world), ())
    figure = next(
        (r.figures.get(target.measure) for r in results if r.entry.key == target.key), None
    )
    numbers = bounded(target, figure) if figure else []
    if not figure or not numbers:
        return Verdict(target)
    value = figure.ratio if target.related else figure.value
    if target.always:
        value = min(numbers) if target.at_least else max(numbers)
    return Verdict(target, value, min(numbers), max(numbers))


def bounded(target: Target, figure: Figure) -> list[float]:
    return figure.ratios if target.related else figure.values
