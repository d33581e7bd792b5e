"""Running a scenario in all the ways it can go."""

import gc
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from pool.testing._explore import aio, sync
from pool.testing._explore.choices import (
    NotRepeatableError,
    Plan,
    Search,
    read_plan,
    write_plan,
)
from pool.testing._explore.run import Run
from pool.testing._explore.swap import swapped

__all__ = ["Exploration", "ExplorationError", "explore"]

# So many runs leave their garbage. It is collected in between: a finalizer in the middle of a run would make
# it another one.
_RUNS_PER_COLLECTION = 500

# So much of what happened is printed (lines).
_LINES = 150


@dataclass(frozen=True)
class Exploration:
    """What was explored.

    Attributes:
        schedules: how many different ones were run.
        complete: whether these are all there are, with so few preemptions.
        preemptions: how many a schedule could have.
        steps: how many the longest one took.
    """

    schedules: int
    complete: bool
    preemptions: int
    steps: int


class ExplorationError(AssertionError):
    """A schedule in which the scenario fails. Its text tells what happened in which order.

    Attributes:
        replay: the schedule, for the parameter of ``explore``.
        schedules: how many were run, this one included.
    """

    def __init__(self, text: str, replay: str, schedules: int) -> None:
        super().__init__(text)
        self.replay = replay
        self.schedules = schedules


def explore(
    scenario: Callable[[Any], Any],
    *,
    preemptions: int = 2,
    schedules: int = 10_000,
    steps: int = 10_000,
    seed: int = 0,
    replay: str | None = None,
) -> Exploration:
    """Run a scenario in all the ways it can go, up to a bound.

    An async function is played by tasks of asyncio, any other by threads. It is run again and again
    from its beginning, one step at a time: which ready task goes on, or which thread at each lock, wait and
    step; whether a timeout strikes first; which of those who may be cancelled is, and when. Time passes
    only by these decisions. The first schedule is the usual one; then come all that depart from it once, then
    twice, up to ``preemptions`` times.

    A scenario must be the same each time but for its schedule: it makes its pools itself, uses no network,
    no clock and no chance of its own, and starts everybody by its stage.

    Parameters:
        scenario: gets a ``Stage``. It fails by raising, by waiting for ever and by never ending.
        preemptions: how often a schedule may depart from the usual order; a cancellation and a
            timeout that strikes early count as well.
        schedules: how many to run at most. If there are more, those with the most preemptions are drawn
            by lot.
        steps: how many one schedule may take.
        seed: for the lots.
        replay: run only this schedule, as a failure printed it.

    Raises:
        ExplorationError: it fails. The text has the steps and what to pass as ``replay``.
        ValueError: a parameter out of bounds.

    Example::

        async def scenario(stage):
            pool = ConnectionPool(Manager(stage), max_size=1)

            async def user():
                async with pool.connection("a"):
                    await stage.step()

            stage.start(user, cancellable=True)
            stage.start(user)
            await stage.join()
            assert pool.stats().in_use == 0
            await pool.close()

        explore(scenario, preemptions=3)
    """
    for name, value in (("schedules", schedules), ("steps", steps)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, not {value!r}")
    if preemptions < 0:
        raise ValueError(f"preemptions must be at least 0, not {preemptions!r}")
    player = aio.play if inspect.iscoroutinefunction(scenario) else sync.play
    play = partial(_play, player, scenario, steps)
    if replay is not None:
        plan = read_plan(replay)
        with _undisturbed():
            run, error = play(plan)
            if error is not None:
                raise _failure(scenario, play, plan, error, 1) from error
        return Exploration(1, False, len(plan), run.steps)
    search = Search(preemptions, schedules, seed)
    count = longest = 0
    with _undisturbed():
        for plan in search.plans():
            run, error = play(plan)
            count += 1
            if error is not None:
                raise _failure(scenario, play, plan, error, count) from error
            longest = max(longest, run.steps)
            search.note(plan, bytes(run.chooser.widths))
            if not count % _RUNS_PER_COLLECTION:
                gc.collect()
    return Exploration(count, search.complete, preemptions, longest)


Player = Callable[[Run, Callable[[Any], Any]], None]


def _play(
    player: Player,
    scenario: Callable[[Any], Any],
    steps: int,
    plan: Plan,
    traced: bool = False,
) -> tuple[Run, BaseException | None]:
    run = Run(plan, steps, traced)
    try:
        player(run, scenario)
    except (KeyboardInterrupt, SystemExit, NotRepeatableError):
        raise
    except BaseException as error:
        return run, error
    return run, None


class _undisturbed:  # noqa: N801
    """A block in which time, locks and threads are the exploration's, and garbage waits."""

    def __enter__(self) -> None:
        self._swap = swapped()
        self._collecting = gc.isenabled()
        gc.collect()
        gc.disable()
        self._swap.__enter__()

    def __exit__(self, *_: object) -> None:
        self._swap.__exit__(None, None, None)
        if self._collecting:
            gc.enable()


def _failure(
    scenario: Callable[[Any], Any],
    play: Callable[..., tuple[Run, BaseException | None]],
    plan: Plan,
    error: BaseException,
    count: int,
) -> ExplorationError:
    """Run it again to see what happens, and tell."""
    replay = write_plan(plan)
    name = getattr(scenario, "__qualname__", repr(scenario))
    text = f"{name} fails in schedule {count}: {error!r}\n\n"
    try:
        run, again = play(plan, traced=True)
    except NotRepeatableError as changed:
        return ExplorationError(f"{text}and not again: {changed}", replay, count)
    if type(again) is not type(error):
        text += f"and not again: {again!r}. It depends on more than its schedule.\n\n"
    lines = run.trace or []
    if len(lines) > _LINES:
        text += f"({len(lines) - _LINES} steps before)\n"
    text += "\n".join(lines[-_LINES:])
    text += (
        f"\n\n* = a departure from the usual order. To repeat it: explore(..., replay={replay!r})"
    )
    return ExplorationError(text, replay, count)
