"""A stage for threads."""

from collections.abc import Callable
from functools import partial
from inspect import iscoroutine
from typing import Any

from pool.testing._explore.run import Actor, Run
from pool.testing._explore.threads import Ended, Lock, Scheduler

__all__ = ["Stage", "play"]


class _Player(Actor):
    """An actor that is a thread. None of them is ever cancelled."""

    cancelled = False

    def __init__(self, name: str, over: Lock) -> None:
        super().__init__(name)
        self.over = over
        """Held until he has come to his end."""

    @property
    def done(self) -> bool:
        return not self.over.held

    def play(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Play the part."""
        try:
            self.result = function(*args)
        except Ended:
            raise
        except BaseException as error:
            self.error = error
        finally:
            self.over.held = False


class Stage:
    """Where a scenario is played: it starts everybody, and says where anything may happen.

    Given to a scenario by ``explore``.
    """

    def __init__(self, run: Run, scheduler: Scheduler) -> None:
        self._run = run
        self._scheduler = scheduler

    def start(
        self,
        function: Callable[..., Any],
        *args: Any,
        name: str | None = None,
        cancellable: bool = False,
    ) -> Actor:
        """Have somebody play a part, at the same time as all others.

        Parameters:
            function: what he does.
            args: what it gets.
            name: for the reports; by default the function's.
            cancellable: whether the exploration may cancel him, wherever he is. A thread never is.
        """
        over = self._scheduler.lock()
        over.held = True
        actor = _Player(name or self._run.name_for(function), over)
        self._run.actors.append(actor)
        self._scheduler.thread(partial(actor.play, function, args), actor.name).start()
        return actor

    def step(self, label: str = "step") -> None:
        """Do something that takes a while, like I/O: here others may go on."""
        self._scheduler.point(label)

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds, which pass at once if nobody else has anything to do."""
        self._scheduler.sleep(seconds)

    def join(self, *actors: Actor) -> None:
        """Wait until these actors have come to their ends, or all; raise what one of them raised."""
        for actor in actors or self.actors:
            if isinstance(actor, _Player):
                with actor.over:
                    pass
            if actor.error is not None:
                raise actor.error

    @property
    def actors(self) -> tuple[Actor, ...]:
        """Everybody who was started, in order."""
        return tuple(self._run.actors)

    def now(self) -> float:
        """Return the time in seconds, which passes only by waiting."""
        return self._run.now

    def note(self, text: str) -> None:
        """Write a line into the report of a schedule that fails."""
        self._run.tell(self._scheduler.me().name, text)

    def always(self, check: Callable[[], object]) -> None:
        """Call a check before every step; the schedule fails if it raises. It must not wait."""
        self._run.checks.append(check)


def play(run: Run, scenario: Callable[[Stage], object]) -> None:
    """Run a scenario once.

    Raises:
        Exception: why it failed.
    """
    scheduler = Scheduler(run)
    stage = Stage(run, scheduler)

    def whole() -> None:
        result = scenario(stage)
        if iscoroutine(result):
            # Nobody would await it, and all would seem well.
            result.close()
            raise TypeError("the scenario is no async function, but returned a coroutine")
        stage.join()
        scheduler.end()

    scheduler.play(whole)
    run.chooser.check()
