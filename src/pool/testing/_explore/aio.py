"""The scheduler of tasks: an event loop that asks before each step which it is to be.

What could happen next is, in this order: one of the callbacks that are ready, the time of the next timer,
the cancellation of a task. The usual choice is what a loop of asyncio does: first come, first served, and the
time passes when nothing is ready.
"""

import asyncio
import sys
from asyncio.events import _get_running_loop, _set_running_loop
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context
from heapq import heappop, heappush
from pathlib import Path
from typing import Any
from weakref import WeakSet

from pool.testing._explore.run import END, Actor, Run, StuckError
from pool.testing._explore.swap import playing

__all__ = ["Loop", "Stage", "play"]

_ASYNCIO = str(Path(asyncio.__file__).parent)


# It has a great number of methods. Those that are missing here say so.
_EventLoop: Any = asyncio.AbstractEventLoop


class Loop(_EventLoop):  # type: ignore[misc]
    """An event loop without I/O, by a clock of its own."""

    scheduler = None

    def __init__(self, run: Run) -> None:
        self._run = run
        self._ready: list[asyncio.Handle] = []
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._number = 0
        self._closed = False
        self._generators: WeakSet[AsyncGenerator[Any, Any]] = WeakSet()
        self.players: list[_Player] = []
        self.failure: BaseException | None = None
        """What nobody else caught."""

    @property
    def now(self) -> float:
        """The time."""
        return self._run.now

    # -- what tasks and futures need ----------------------------------------------------------------

    def time(self) -> float:
        return self._run.now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._run.now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if self._closed:
            raise RuntimeError("Event loop is closed")
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._number += 1
        heappush(self._timers, (when, self._number, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """One that is cancelled is passed over when its time comes."""

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Any = None
    ) -> "asyncio.Task[Any]":
        return asyncio.Task(coro, loop=self, name=name, context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException) and self.failure is None and not self._run.ending:
            self.failure = error

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return _get_running_loop() is self

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Forget everything."""
        self._closed = True
        self._ready.clear()
        self._timers.clear()

    # -- running ------------------------------------------------------------------------------------

    def play(self, main: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine to its end, then end what is left."""
        hooks = sys.get_asyncgen_hooks()
        outer = _get_running_loop()
        _set_running_loop(None)
        sys.set_asyncgen_hooks(self._generators.add, self._finalize)
        _set_running_loop(self)
        try:
            task = self.create_task(main, name="main")
            try:
                self._until(task)
            finally:
                self._run.ending = True
                self._sweep()
            task.result()
            if self.failure is not None:
                raise self.failure
        finally:
            self.close()
            _set_running_loop(outer)
            sys.set_asyncgen_hooks(*hooks)

    def _finalize(self, generator: AsyncGenerator[Any, Any]) -> None:
        if not self._closed:
            self.create_task(_closed(generator))

    def _until(self, task: "asyncio.Future[Any]") -> None:
        while not task.done():
            self._step()

    def _sweep(self) -> None:
        """End all tasks, then all generators, as ``asyncio.run`` does."""
        left = asyncio.all_tasks(self)
        for task in left:
            task.cancel()
        if left:
            self._until(asyncio.gather(*left, return_exceptions=True))
        for generator in list(self._generators):
            self._until(self.create_task(_closed(generator)))

    def _step(self) -> None:
        run, ready = self._run, self._ready
        run.step()
        while self._timers and self._timers[0][2].cancelled():
            heappop(self._timers)
        timer = bool(self._timers) and self._timers[0][0] < END
        victims = [
            actor
            for actor in self.players
            if actor.cancellable and not (actor.struck or actor.task.done())
        ]
        if not ready and not timer:
            raise self._stuck()
        pick = run.choose(len(ready) + timer + len(victims))
        if pick < len(ready):
            handle = ready.pop(pick)
            if not handle.cancelled():
                self._execute(handle)
        elif timer and pick == len(ready):
            self._pass_time()
        else:
            victim = victims[pick - len(ready) - timer]
            run.tell(victim.name, "is cancelled")
            victim.struck = True
            victim.task.cancel()

    def _pass_time(self) -> None:
        """Let the time pass until the next timer, which strikes at once; others that are due get ready."""
        when, _, timer = heappop(self._timers)
        self._run.now = max(self._run.now, when)
        self._execute(timer)
        while self._timers and self._timers[0][0] <= self._run.now:
            _, _, other = heappop(self._timers)
            self._ready.append(other)

    def _execute(self, handle: asyncio.Handle) -> None:
        if self._run.trace is not None:
            who, what = _story(handle)
            self._run.tell(who, what)
        handle._run()

    def _stuck(self) -> StuckError:
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: task.get_name())
        waiting = "; ".join(f"{task.get_name()} waits {_place(task)}" for task in tasks)
        return StuckError(f"nothing goes on any more: {waiting}")


class _Player(Actor):
    """An actor that is a task."""

    task: "asyncio.Task[Any]"

    def __init__(self, name: str, cancellable: bool) -> None:
        super().__init__(name)
        self.cancellable = cancellable

    @property
    def done(self) -> bool:
        return self.task.done()

    @property
    def cancelled(self) -> bool:
        return self.task.cancelled()

    async def play(
        self, function: Callable[..., Coroutine[Any, Any, Any]], args: tuple[Any, ...]
    ) -> None:
        """Play the part."""
        try:
            self.result = await function(*args)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self.error = error


class Stage:
    """Where a scenario is played: it starts everybody, and says where anything may happen.

    Given to a scenario by ``explore``.
    """

    def __init__(self, run: Run, loop: Loop) -> None:
        self._run = run
        self._loop = loop

    def start(
        self,
        function: Callable[..., Coroutine[Any, Any, Any]],
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
        actor = _Player(name or self._run.name_for(function), cancellable)
        actor.task = self._loop.create_task(actor.play(function, args), name=actor.name)
        self._run.actors.append(actor)
        self._loop.players.append(actor)
        return actor

    async def step(self, label: str = "step") -> None:
        """Do something that takes a while, like I/O: here others may go on."""
        self.note(label)
        await asyncio.sleep(0)

    async def sleep(self, seconds: float) -> None:
        """Wait so many seconds, which pass at once if nobody else has anything to do."""
        await asyncio.sleep(seconds)

    async def join(self, *actors: Actor) -> None:
        """Wait until these actors have come to their ends, or all; raise what one of them raised."""
        chosen = actors or self.actors
        tasks = [actor.task for actor in chosen if isinstance(actor, _Player)]
        if tasks:
            await asyncio.wait(tasks)
        for actor in chosen:
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
        task = asyncio.current_task()
        self._run.tell(task.get_name() if task else "-", text)

    def always(self, check: Callable[[], object]) -> None:
        """Call a check before every step; the schedule fails if it raises. It must not wait."""
        self._run.checks.append(check)


def play(run: Run, scenario: Callable[[Stage], Coroutine[Any, Any, object]]) -> None:
    """Run a scenario once.

    Raises:
        Exception: why it failed.
    """
    loop = Loop(run)
    stage = Stage(run, loop)
    with playing(loop):
        loop.play(_whole(stage, scenario))
    run.chooser.check()


async def _whole(stage: Stage, scenario: Callable[[Stage], Coroutine[Any, Any, object]]) -> None:
    await scenario(stage)
    await stage.join()


async def _closed(generator: AsyncGenerator[Any, Any]) -> None:
    await generator.aclose()


def _story(handle: asyncio.Handle) -> tuple[str, str]:
    callback: Any = handle._callback  # type: ignore[attr-defined]
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Task):
        return owner.get_name(), f"goes on {_place(owner)}"
    name = getattr(callback, "__qualname__", None) or repr(callback)
    timed = isinstance(handle, asyncio.TimerHandle)
    return "(loop)", f"{'timer' if timed else 'callback'} {name}"


def _place(task: "asyncio.Task[Any]") -> str:
    """Say where a task is: in the innermost of its coroutines that is not asyncio's."""
    coroutine: Any = task.get_coro()
    place = "at its end"
    while (frame := getattr(coroutine, "cr_frame", None)) is not None:
        if not frame.f_code.co_filename.startswith(_ASYNCIO):
            place = f"in {coroutine.__qualname__}, line {frame.f_lineno}"
        coroutine = coroutine.cr_await
    return place
