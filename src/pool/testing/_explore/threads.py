"""The scheduler of threads: real ones, of which one goes on at a time.

Whoever runs has the baton. He hands it on where he has to wait, or where he is told to: before he takes a
lock, before he starts a thread, and at each ``step``. What could happen next is, in this order: he goes on,
another one who can goes on, the time passes until the first of those who wait is late. The usual choice is
the first of these.
"""

import os
import sys
import threading
from collections.abc import Callable
from math import inf

from pool.testing._explore.run import END, Run, StuckError
from pool.testing._explore.swap import playing

__all__ = ["Ended", "Lock", "Scheduler"]


class Ended(BaseException):
    """The run is over: whoever is left leaves."""


class Thread:
    """One thread of a run, which stands in for ``threading.Thread``."""

    def __init__(self, scheduler: "Scheduler", target: Callable[[], object], name: str) -> None:
        self.scheduler = scheduler
        self.target = target
        self.name = name
        self.baton = threading.Lock()
        """Held, unless it is this thread's turn and it has not noticed yet."""
        self.baton.acquire()
        self.awaited: Lock | None = None
        """What it waits for, if it waits."""
        self.until = inf
        """When it stops waiting."""
        self.waiting = False
        self.late = False
        self.done = False

    @property
    def now(self) -> float:
        return self.scheduler.now

    def able(self) -> bool:
        """Whether it could go on."""
        return not self.waiting or (self.awaited is not None and not self.awaited.held)

    def start(self) -> None:
        self.scheduler.begin(self)

    def is_alive(self) -> bool:
        return not self.done


class Lock:
    """A lock that its scheduler knows, which stands in for ``threading.Lock``."""

    __slots__ = ("_new", "_scheduler", "held")

    def __init__(self, scheduler: "Scheduler") -> None:
        self._scheduler = scheduler
        self._new = True
        self.held = False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        scheduler = self._scheduler
        if self._new:
            # Nobody else knows it yet.
            self._new = False
        else:
            scheduler.point("takes a lock")
        if not self.held:
            self.held = True
            return True
        if not blocking or not scheduler.wait(self, inf if timeout < 0 else timeout):
            return False
        self.held = True
        return True

    def release(self) -> None:
        # Nobody else goes on here: it may be a finalizer that calls.
        if not self.held:
            raise RuntimeError("release unlocked lock")
        self.held = False

    def locked(self) -> bool:
        return self.held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Scheduler:
    """Decides which thread goes on."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._threads: list[Thread] = []
        self._current: Thread | None = None
        self._over = threading.Lock()
        self._over.acquire()
        self.failure: BaseException | None = None

    @property
    def now(self) -> float:
        """The time."""
        return self._run.now

    # -- what the library needs ---------------------------------------------------------------------

    def lock(self) -> Lock:
        """Make a lock."""
        return Lock(self)

    def thread(self, target: Callable[[], object], name: str) -> Thread:
        """Make a thread, to be started."""
        return Thread(self, target, name)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.point("sleeps")
        self.wait(None, seconds)

    # -- scheduling ---------------------------------------------------------------------------------

    def begin(self, thread: Thread) -> None:
        """Have a thread go on some time."""
        self._threads.append(thread)
        _work(thread, self._perform)
        self.point(f"starts {thread.name}")

    def point(self, what: str) -> None:
        """The current thread is about to do something that others may see."""
        me = self.me()
        try:
            self._run.step()
        except StuckError as error:
            self.end(error)
            raise Ended from None
        except BaseException as error:
            self.end(error)
        if self._run.ending:
            # Who does not have to wait comes to his end: nothing is left lying about.
            return
        if self._run.trace is not None:
            self._run.tell(me.name, f"{what}{_place()}")
        self._hand_on(me, [me, *self._others(me)])

    def wait(self, lock: Lock | None, seconds: float) -> bool:
        """Have the current thread wait until a lock is free; false if the seconds are over."""
        me = self.me()
        if self._run.ending:
            raise Ended
        me.awaited, me.waiting, me.late = lock, True, False
        me.until = self._run.now + max(seconds, 0.0)
        if self._run.trace is not None:
            limit = "" if seconds == inf else f" {seconds:g} s at most"
            self._run.tell(me.name, f"waits{limit}{_place()}")
        self._hand_on(me, self._others(me))
        me.awaited, me.waiting, me.until = None, False, inf
        if self._run.ending:
            raise Ended
        return not me.late

    def me(self) -> Thread:
        """Return the thread that has the baton."""
        me = self._current
        assert me is not None, "bug: nobody has the baton"
        return me

    def _others(self, me: Thread) -> list[Thread]:
        """Those who could go on but me, beginning with the one after me."""
        place = self._threads.index(me)
        around = self._threads[place + 1 :] + self._threads[:place]
        return [thread for thread in around if thread.able() and not thread.done]

    def _hand_on(self, me: Thread, able: list[Thread]) -> None:
        """Choose who goes on, and come back when it is me."""
        try:
            chosen = self._choose(me, able)
        except BaseException as error:
            self.end(error)
            raise Ended from None
        if chosen is not me:
            self._switch(me, chosen)

    def _choose(self, me: Thread, able: list[Thread]) -> Thread:
        late = min(
            (thread for thread in self._threads if thread.waiting and not thread.able()),
            key=lambda thread: thread.until,
            default=None,
        )
        if late is not None and late.until >= END:
            late = None
        width = len(able) + (late is not None)
        if not width:
            raise self._stuck()
        pick = self._run.choose(width)
        if pick < len(able):
            return able[pick]
        assert late is not None, "bug: nobody is late"
        self._run.now = max(self._run.now, late.until)
        late.late = True
        self._run.tell(late.name, "is late")
        return late

    def _switch(self, me: Thread, other: Thread) -> None:
        self._current = other
        other.baton.release()
        me.baton.acquire()

    def _perform(self, thread: Thread) -> None:
        """Be a thread, from its first turn to its end."""
        thread.baton.acquire()
        with playing(thread):
            try:
                if not self._run.ending:
                    thread.target()
            except Ended:
                pass
            except BaseException as error:
                self.end(error)
            thread.done = True
            self._leave(thread)

    def _leave(self, me: Thread) -> None:
        """Hand the baton on for good."""
        other = None
        if not self._run.ending:
            try:
                other = self._choose(me, self._others(me))
            except BaseException as error:
                self.end(error)
        if self._run.ending:
            other = next((thread for thread in self._threads if not thread.done), None)
        if other is None:
            self._over.release()
        else:
            self._current = other
            other.baton.release()

    def end(self, error: BaseException | None = None) -> None:
        """Have everybody leave."""
        if error is not None and self.failure is None and not self._run.ending:
            self.failure = error
        self._run.ending = True

    def play(self, main: Callable[[], object]) -> None:
        """Run a function to its end, in a thread, then end what is left."""
        thread = self.thread(main, "main")
        self._threads.append(thread)
        self._current = thread
        _work(thread, self._perform)
        thread.baton.release()
        self._over.acquire()
        if self.failure is not None:
            raise self.failure

    def _stuck(self) -> StuckError:
        waiting = "; ".join(f"{thread.name} waits" for thread in self._threads if not thread.done)
        return StuckError(f"nothing goes on any more: {waiting}")


def _place() -> str:
    """Say where the current thread is."""
    frame = sys._getframe(2)
    while frame.f_code.co_filename == __file__ and frame.f_back is not None:
        frame = frame.f_back
    return f" in {frame.f_code.co_qualname}, line {frame.f_lineno}"


# Threads cost more than what they do here, so they are used again.
_hands: list["_Hand"] = []

if hasattr(os, "register_at_fork"):
    # They stay with the parent process.
    os.register_at_fork(after_in_child=_hands.clear)


class _Hand:
    """A thread of the system."""

    def __init__(self) -> None:
        self.parker = threading.Lock()
        self.parker.acquire()
        self.job: tuple[Thread, Callable[[Thread], None]] | None = None
        threading.Thread(target=self._run, name="exploration", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.parker.acquire()
            assert self.job is not None, "bug: woken for nothing"
            thread, perform = self.job
            self.job = None
            perform(thread)
            del thread, perform
            _hands.append(self)


def _work(thread: Thread, perform: Callable[[Thread], None]) -> None:
    try:
        hand = _hands.pop()
    except IndexError:
        hand = _Hand()
    hand.job = thread, perform
    hand.parker.release()
