"""The synchronous half of the twin: threads."""

import threading
from collections.abc import Callable, Iterable
from itertools import repeat
from time import monotonic as clock
from types import TracebackType
from typing import Annotated, Any, Self, TypeVar

from pool._core.pool import PoolCore
from pool._core.records import Claim, Effects, Entry, Wakeable
from pool._core.report import Survey
from pool.options import PoolOptions
from pool.stats import PoolStats

__all__ = [
    "Limit",
    "Pending",
    "Waiter",
    "allowance",
    "caller",
    "clock",
    "each",
    "guard",
    "here",
    "shield",
    "spawn",
    "stray",
]

T = TypeVar("T")

#: What a plain function returns that hands on the result of another one: that result.
Pending = Annotated[T, "at once"]


class Guard:
    """The core behind one lock, which protects all of its state.

    Nothing may block, wait, do I/O or call user code while it is held. Every method of the core stands here
    once, written out: a ``*args`` wrapper would double the cost.

    The two methods of the hot path use ``acquire`` and ``release``, at half the price of ``with``. What they
    give up: a ``KeyboardInterrupt`` in the main thread may strike between the lock and the ``try``, a window
    of a few instructions. All others use ``with``, where it cannot.
    """

    __slots__ = ("_core", "_lock")

    def __init__(self, core: PoolCore) -> None:
        self._core = core
        self._lock = threading.Lock()

    def take(self, claim: Claim, now: float) -> Entry | None:
        lock = self._lock
        lock.acquire()
        try:
            return self._core.take(claim, now)
        finally:
            lock.release()

    def introduce(self, endpoint: Any, keep: bool, teller: int) -> Wakeable | bool:
        with self._lock:
            return self._core.introduce(endpoint, keep, teller)

    def announced(self, endpoint: Any, teller: int) -> Effects:
        with self._lock:
            return self._core.announced(endpoint, teller)

    def begin(self, endpoint: Any, teller: int) -> Wakeable | str:
        with self._lock:
            return self._core.begin(endpoint, teller)

    def ready(self, endpoint: Any, teller: int, was: str, now: float) -> Effects:
        with self._lock:
            return self._core.ready(endpoint, teller, was, now)

    def clear(
        self, endpoint: Any, teller: int, was: str, service: Any, interrupt: bool, effects: Effects
    ) -> None:
        with self._lock:
            return self._core.clear(endpoint, teller, was, service, interrupt, effects)

    def request(self, claim: Claim, now: float, patient: bool) -> str:
        with self._lock:
            return self._core.request(claim, now, patient)

    def opened(self, claim: Claim, service: Any, now: float, patient: bool) -> Effects:
        with self._lock:
            return self._core.opened(claim, service, now, patient)

    def confirm(self, claim: Claim, now: float, patient: bool) -> Effects | None:
        with self._lock:
            return self._core.confirm(claim, now, patient)

    def dead(self, claim: Claim, now: float, patient: bool) -> Effects:
        with self._lock:
            return self._core.dead(claim, now, patient)

    def failed(self, claim: Claim, error: BaseException, now: float) -> None:
        with self._lock:
            return self._core.failed(claim, error, now)

    def retreat(self, claim: Claim, now: float, patient: bool) -> Effects:
        with self._lock:
            return self._core.retreat(claim, now, patient)

    def abandon(self, claim: Claim, now: float, timed_out: bool = False) -> Effects:
        with self._lock:
            return self._core.abandon(claim, now, timed_out)

    def check_in(self, claim: Claim, now: float) -> Effects | None:
        lock = self._lock
        lock.acquire()
        try:
            return self._core.check_in(claim, now)
        finally:
            lock.release()

    def end(self, claim: Claim, now: float) -> Entry | None:
        with self._lock:
            return self._core.end(claim, now)

    def put(self, entry: Entry, now: float) -> Effects:
        with self._lock:
            return self._core.put(entry, now)

    def doom(self, entry: Entry, failed: bool = False) -> Effects:
        with self._lock:
            return self._core.doom(entry, failed)

    def closed(self, entry: Entry, now: float) -> Effects:
        with self._lock:
            return self._core.closed(entry, now)

    def shut(self, endpoint: Any, everywhere: bool) -> Effects:
        with self._lock:
            return self._core.shut(endpoint, everywhere)

    def break_all(self) -> Effects:
        with self._lock:
            return self._core.break_all()

    def drained(self, waiter: Wakeable) -> bool:
        with self._lock:
            return self._core.drained(waiter)

    def resize(self, options: PoolOptions, now: float) -> Effects:
        with self._lock:
            return self._core.resize(options, now)

    def is_closed(self) -> bool:
        with self._lock:
            return self._core.is_closed()

    def knows(self, endpoint: Any) -> bool:
        with self._lock:
            return self._core.knows(endpoint)

    def is_shut(self, endpoint: Any) -> bool:
        with self._lock:
            return self._core.is_shut(endpoint)

    def endpoints(self) -> list[Any]:
        with self._lock:
            return self._core.endpoints()

    def stats(self, endpoint: Any, everywhere: bool) -> PoolStats:
        with self._lock:
            return self._core.stats(endpoint, everywhere)

    def survey(self, endpoint: Any, everywhere: bool, now: float) -> Survey:
        with self._lock:
            return self._core.survey(endpoint, everywhere, now)


guard = Guard


#: The place a pool is bound to: none, any thread may use it. Made of C, since every checkout asks.
here: Callable[[], object] = repeat(None).__next__


#: Who is calling, so that a listener that calls back can be told from others.
caller: Callable[[], int] = threading.get_ident


class Waiter:
    """A place to wait until somebody wakes it; ``wake`` may come before ``wait``.

    A raw lock as a parker: several times cheaper than an ``Event``.
    """

    __slots__ = ("_parker",)

    def __init__(self) -> None:
        self._parker = threading.Lock()
        self._parker.acquire()

    def wake(self) -> None:
        """End the wait. Once."""
        self._parker.release()

    def wait(self, seconds: float | None) -> bool:
        """Return true when woken, false when ``seconds`` have passed first."""
        if seconds is None:
            return self._parker.acquire()
        return self._parker.acquire(timeout=min(max(seconds, 0.0), threading.TIMEOUT_MAX))


class Limit:
    """A block that should take at most ``seconds``: a thread cannot be cut short, only told."""

    __slots__ = ("broken",)

    expired = False
    """Whether it ended the block, for whatever reason."""

    def __init__(self, seconds: float | None) -> None:
        self.broken = False
        """Whether somebody ended it before its time."""

    def break_off(self) -> None:
        """Note that the block is to end; it is the manager's ``interrupt`` that ends it."""
        self.broken = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


def stray(error: BaseException) -> bool:
    """Return whether it is a cancellation that nobody asked for: threads know none."""
    return False


def allowance(limit: float | None, left: float | None) -> float | None:
    """Return the seconds a spawned call may take whose caller has ``left``: he makes it himself."""
    if limit is None or left is None:
        return left if limit is None else limit
    return min(limit, left)


def spawn(function: Callable[[T], None], argument: T) -> None:
    """Call it."""
    function(argument)


def shield(function: Callable[[T], None], argument: T, seconds: float | None) -> None:
    """Call it."""
    function(argument)


def each(function: Callable[[T], None], items: Iterable[T]) -> None:
    """Call it for every item, even if one of the calls is interrupted."""
    rest = iter(items)
    for item in rest:
        try:
            function(item)
        except BaseException:
            each(function, rest)
            raise
