"""What works have in common: how they are described, and what they find out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.peers import Entry

__all__ = ["Effort", "Figure", "Measure", "Result", "Work", "relate"]


@dataclass(frozen=True)
class Measure:
    """One thing that a work measures of everybody."""

    key: str
    title: str
    """What stands above its column, the unit included."""
    related: str = ""
    """What stands above the column of the ratios to the base; empty if there is none."""
    digits: int = 0
    """How many of them after the point."""
    related_digits: int = 2
    """How many of the ratios'."""
    more: bool = False
    """Whether more is better."""
    spread: bool = True
    """Whether its smallest and largest round are shown."""
    ranked: bool = True
    """Whether who has a better one is better."""


@dataclass
class Figure:
    """One measure of one competitor, by round."""

    values: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    """The same as multiples of the base's in that round."""

    @property
    def value(self) -> float:
        return median(self.values)

    @property
    def ratio(self) -> float:
        return median(self.ratios)


@dataclass
class Result:
    """What was found out about one competitor."""

    entry: Entry
    code: str = ""
    """How its users take and return a connection, or whatever else is measured."""
    missing: str = ""
    """Why it was not measured."""
    figures: dict[str, Figure] = field(default_factory=dict)

    def note(self, measure: str, value: float) -> None:
        """Add a round's value."""
        self.figures.setdefault(measure, Figure()).values.append(value)


@dataclass(frozen=True)
class Effort:
    """How much is done."""

    quick: bool = False
    """Only to see whether it works: the numbers mean nothing."""
    rounds: int | None = None
    """How many rounds, if not as many as the work thinks right."""

    def of(self, rounds: int, quick: int = 2) -> int:
        """Return how many rounds, where so many are right, and so many enough if it must be quick."""
        return quick if self.quick else self.rounds or rounds


class Work(ABC):
    """One kind of work that all competitors do."""

    key: str
    """What ``--work`` calls it."""
    title: str
    about: str
    """What is measured, in Markdown."""
    base: str
    """The key of the competitor that the others are compared with; empty if with nobody."""
    measures: tuple[Measure, ...]
    """The first one that is ranked puts the competitors in order."""
    shows_code = False
    """Whether the tables show what is measured."""

    @property
    def leading(self) -> Measure:
        """What puts the competitors in order."""
        return next(measure for measure in self.measures if measure.ranked)

    @abstractmethod
    def entries(self, world: str) -> tuple[Entry, ...]:
        """Return who takes part."""

    @abstractmethod
    async def measure(self, entries: Sequence[Entry], effort: Effort) -> list[Result]:
        """Measure everybody of one world, the base among them, in turn.

        Raises:
            InvalidError: a competitor does not do what it should.
        """

    async def run(self, entries: Sequence[Entry], effort: Effort) -> list[Result]:
        """Measure, and compare with the base."""
        results = await self.measure(entries, effort)
        relate(results, self.base)
        return results


def relate(results: Sequence[Result], base: str) -> None:
    """Fill in the ratios: they compare values of one round."""
    floor = next((r for r in results if r.entry.key == base and not r.missing), None)
    if floor is None:
        return
    for result in results:
        for key, figure in result.figures.items():
            below = floor.figures[key].values
            # To nothing at all there is no ratio.
            if all(below):
                figure.ratios = [v / b for v, b in zip(figure.values, below, strict=True)]
