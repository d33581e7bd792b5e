"""Which schedules there are, and in which order they are tried.

A schedule is a list of choices, and nearly all of them are the usual ones: number 0. So it is written as its
*deviations*, ``((position, pick), ...)``, and that is also how often it departs from the usual order.
"""

from collections.abc import Iterator, Sequence
from random import Random

__all__ = ["USUAL", "Chooser", "NotRepeatableError", "Plan", "Search", "read_plan", "write_plan"]

Plan = tuple[tuple[int, int], ...]

#: The schedule without deviations.
USUAL: Plan = ()


class NotRepeatableError(Exception):
    """A schedule could not be repeated: the scenario depends on more than its schedule."""


class Chooser:
    """Makes the choices of one run.

    Parameters:
        plan: the deviations; everywhere else the choice is 0.
    """

    __slots__ = ("_next", "_plan", "deviated", "widths")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._next = 0
        self.widths = bytearray()
        """Between how many things each choice was."""
        self.deviated = False
        """Whether the last choice was a deviation."""

    def choose(self, width: int) -> int:
        """Choose between so many things, two at least.

        Raises:
            NotRepeatableError: there are fewer than when the plan was made.
        """
        position = len(self.widths)
        # What goes beyond is not tried: nobody has two hundred tasks that are ready at once.
        self.widths.append(min(width, 255))
        self.deviated = self._next < len(self._plan) and self._plan[self._next][0] == position
        if not self.deviated:
            return 0
        pick = self._plan[self._next][1]
        self._next += 1
        if pick >= width:
            raise NotRepeatableError(
                f"choice {position} is between {width}, not at least {pick + 1}"
            )
        return pick

    def check(self) -> None:
        """Check at the end that the plan was carried out.

        Raises:
            NotRepeatableError: the run was over before.
        """
        if self._next < len(self._plan):
            raise NotRepeatableError(
                f"there are {len(self.widths)} choices, not {self._plan[self._next][0] + 1}"
            )


class Search:
    """All schedules, those with few deviations first.

    Each schedule comes once. If there are more than ``most`` of them, the last level that is reached is not
    tried from its beginning, which would be the beginning of the scenario over and over, but drawn by lot.

    Parameters:
        deviations: how many a schedule may have.
        most: how many schedules to try.
        seed: for the lots.
    """

    def __init__(self, deviations: int, most: int, seed: int) -> None:
        self._deviations = deviations
        self._left = most
        self._random = Random(seed)
        self._level = 0
        self._runs: list[tuple[Plan, bytes]] = []
        self.complete = True
        """Whether all schedules were tried, once the search is over."""

    def plans(self) -> Iterator[Plan]:
        """Yield the schedules. ``note`` each before asking for the next."""
        level: Iterator[Plan] = iter([USUAL])
        while True:
            for plan in level:
                self._left -= 1
                yield plan
            if self._level == self._deviations:
                return
            self._level += 1
            parents, self._runs = self._runs, []
            total = sum(children(plan, widths) for plan, widths in parents)
            if total > self._left:
                self.complete = False
                chosen = sorted(self._random.sample(range(total), self._left))
                level = _pick(parents, chosen)
            else:
                level = _pick(parents, range(total))

    def note(self, plan: Plan, widths: bytes) -> None:
        """Note which choices there were in a schedule."""
        if self._level < self._deviations:
            self._runs.append((plan, widths))


def children(plan: Plan, widths: bytes) -> int:
    """Return how many schedules are like this one and deviate once more, later."""
    begin = plan[-1][0] + 1 if plan else 0
    return sum(widths[begin:]) - (len(widths) - begin)


def _pick(parents: Sequence[tuple[Plan, bytes]], chosen: Sequence[int]) -> Iterator[Plan]:
    """Yield the children with these numbers, which ascend."""
    wanted = iter(chosen)
    number = next(wanted, None)
    first = 0
    for plan, widths in parents:
        count = children(plan, widths)
        if number is None or number >= first + count:
            first += count
            continue
        here = first
        for position in range(plan[-1][0] + 1 if plan else 0, len(widths)):
            more = widths[position] - 1
            while number is not None and number < here + more:
                yield (*plan, (position, number - here + 1))
                number = next(wanted, None)
            here += more
        first += count


def write_plan(plan: Plan) -> str:
    """Return a schedule as text, for ``replay``."""
    return ",".join(f"{position}:{pick}" for position, pick in plan)


def read_plan(text: str) -> Plan:
    """Return the schedule that a text says.

    Raises:
        ValueError: it says none.
    """
    try:
        plan = tuple(
            (int(position), int(pick))
            for position, _, pick in (part.partition(":") for part in text.split(",") if part)
        )
    except ValueError:
        plan = ((-1, -1),)
    places = [position for position, _ in plan]
    if (
        min(places, default=0) < 0
        or any(pick < 1 for _, pick in plan)
        or places != sorted(set(places))
    ):
        raise ValueError(f"replay must be what a failure printed, like '3:1,12:2', not {text!r}")
    return plan
