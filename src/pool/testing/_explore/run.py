"""One run of a scenario: its time, its choices, what happened, and why it failed."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from pool.testing._explore.choices import Chooser, Plan

__all__ = ["END", "Actor", "Run", "StuckError"]

# The time at which every run begins (seconds): not 0, which a pool might take for something special.
_BEGIN: Final = 1000.0

#: The time that never comes (seconds): who only looks at the clock now and then would do so for ever.
END: Final = _BEGIN + 10 * 86_400.0


class StuckError(AssertionError):
    """Nothing goes on any more, or everything goes on for ever."""


class Actor(ABC):
    """Somebody who plays a part in a scenario: a task or a thread.

    Attributes:
        name: for the reports.
        struck: whether the exploration has cancelled him.
        error: what he raised, but for a cancellation.
        result: what he returned.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.struck = False
        self.error: BaseException | None = None
        self.result: Any = None

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether he has come to his end."""

    @property
    @abstractmethod
    def cancelled(self) -> bool:
        """Whether a cancellation was his end."""

    def __repr__(self) -> str:
        state = "cancelled" if self.cancelled else "done" if self.done else "at work"
        return f"<Actor {self.name!r} {state}>"


class Run:
    """What is the same for tasks and threads.

    Parameters:
        plan: the schedule.
        most: how many steps it may take.
        traced: whether to write down what happens.
    """

    def __init__(self, plan: Plan, most: int, traced: bool) -> None:
        self.chooser = Chooser(plan)
        self.now = _BEGIN
        self.ending = False
        """Whether the scenario is over: what is left is only swept up."""
        self.steps = 0
        self.actors: list[Actor] = []
        self.checks: list[Callable[[], object]] = []
        self.trace: list[str] | None = [] if traced else None
        self._most = most

    def choose(self, width: int) -> int:
        """Choose what happens next, between so many things."""
        if width == 1 or self.ending:
            self.chooser.deviated = False
            return 0
        return self.chooser.choose(width)

    def step(self) -> None:
        """Something is about to happen.

        Raises:
            StuckError: too much has happened already.
            Exception: what one of the checks says.
        """
        self.steps += 1
        if self.steps > self._most:
            # What is swept up has as many again.
            self._most *= 2
            raise StuckError(f"no end after {self.steps - 1} steps")
        if not self.ending:
            for check in self.checks:
                check()

    def name_for(self, function: Callable[..., object]) -> str:
        """Return a name for somebody who was given none."""
        return f"{getattr(function, '__name__', 'actor')} {len(self.actors) + 1}"

    def tell(self, who: str, what: str) -> None:
        """Write down what happens."""
        if self.trace is not None and not self.ending:
            mark = "*" if self.chooser.deviated else " "
            self.chooser.deviated = False
            self.trace.append(f"{mark} {self.now - _BEGIN:9.3f}  {who:<16} {what}")
