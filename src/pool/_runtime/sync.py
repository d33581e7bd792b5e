"""The synchronous half of the twin: threads."""

import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from time import sleep
from types import TracebackType
from typing import Annotated, Final, Generic, Self, TypeVar
from weakref import ref

from pool._runtime.clock import clock, elapsed
from pool._runtime.identity import get_ident
from pool._runtime.sync_checkout import Checkout, entrance
from pool._runtime.sync_guard import Guard

__all__ = [
    "HANDS",
    "Checkout",
    "Core",
    "Entrance",
    "Limit",
    "Pending",
    "Waiter",
    "Worker",
    "abandoned",
    "allowance",
    "asked",
    "background",
    "caller",
    "clock",
    "each",
    "elapsed",
    "entrance",
    "guard",
    "here",
    "name",
    "recognizer",
    "shield",
    "spawn",
    "stranded",
    "stray",
]

T = TypeVar("T")

# How long (seconds) a worker rests that was broken off.
_PAUSE = 1.0

#: How many spawned calls go on side by side: whoever spawns them makes them himself.
HANDS: Final = 1

#: What a plain function returns that hands on the result of another one: that result.
Pending = Annotated[T, "at once"]


guard = Guard

#: What ``guard`` and ``entrance`` return.
Core = Guard
Entrance = Guard


def stranded(place: object) -> object:
    """Return where a pool that is bound to ``place`` is bound in a child process: there, too."""
    return place


def recognizer(place: object) -> Callable[[], object]:
    """Return what tells who is calling: the thread. Made of C, since every checkout asks."""
    return get_ident


def name(owner: object) -> str:
    """Return what people call one who was recognized."""
    for thread in threading.enumerate():
        if thread.ident == owner:
            return f"thread {thread.name!r}"
    return f"thread {owner}, which has ended"


def here() -> object:
    """Return the place a pool is bound to: none, any thread may use it."""
    return None


#: Who is calling, so that a listener that calls back can be told from others.
caller: Callable[[], int] = get_ident


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


class Worker(Generic[T]):
    """Works for its owner whenever something is due, and sleeps until then, in a daemon thread.

    Parameters:
        owner: for whom; it is not kept alive, and without it the thread ends.
        work: gets the owner and by how many seconds it is late; returns the seconds until it wants to be
            called again, ``None`` for never.
        title: what its thread is called.
    """

    __slots__ = (
        "__weakref__",
        "_owner",
        "_parker",
        "_starting",
        "_thread",
        "_title",
        "_work",
        "keep",
    )

    def __init__(
        self, owner: T, work: Callable[[T, float], float | None], title: str = "pool upkeep"
    ) -> None:
        self._owner = ref(owner, self._orphaned)
        self._work = work
        self._title = title
        self.keep: object = None
        """What it keeps alive until it is done: it may be all that does."""
        self._parker = threading.Lock()
        self._parker.acquire()
        self._starting = threading.Lock()
        """Protects ``_thread``: one is started, whoever rings first."""
        self._thread: threading.Thread | None = None

    def ring(self) -> bool:
        """Have it look now what is due; false if it cannot."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name=self._title, daemon=True)
                    try:
                        self._thread.start()
                    except RuntimeError:
                        # There are too many threads, or the interpreter is about to end.
                        self._thread = None
                        return False
                    return True
        self.alert()
        return True

    def alert(self) -> None:
        """Have it look soon, if it has begun. May be called by a finalizer: anywhere, at any time."""
        # RuntimeError: it is to look already.
        with suppress(RuntimeError):
            self._parker.release()

    def _orphaned(self, _: object) -> None:
        self.alert()

    def _run(self) -> None:
        late: float | None = 0.0
        try:
            while late is not None:
                late = self._look(late)
        except BaseException:
            # It ends this thread, and must not be the end of the work.
            sleep(_PAUSE)
            self._thread = None
            self.ring()
            raise
        self._thread = None

    def _look(self, late: float) -> float | None:
        """Work, and sleep; return by how many seconds it overslept, ``None`` if there is no more to do."""
        owner = self._owner()
        if owner is None:
            return None
        seconds = self._work(owner, late)
        del owner
        if seconds is None:
            return None
        seconds = min(seconds, threading.TIMEOUT_MAX)
        asleep = elapsed()
        self._parker.acquire(timeout=seconds)
        return max(elapsed() - asleep - seconds, 0.0)


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


def asked(error: BaseException) -> bool:
    """Return whether it is a cancellation that somebody asked for: threads know none."""
    return False


def stray(error: BaseException) -> bool:
    """Return whether it is a cancellation that nobody asked for: threads know none."""
    return False


def abandoned(error: BaseException) -> bool:
    """Return whether nobody drives us any more, so that we cannot wait: a thread drives itself."""
    return False


def allowance(limit: float | None, left: float | None) -> float | None:
    """Return the seconds a spawned call may take whose caller has ``left``: he makes it himself."""
    if limit is None or left is None:
        return left if limit is None else limit
    return min(limit, left)


def spawn(function: Callable[[T], None], argument: T) -> None:
    """Call it."""
    function(argument)


def background(function: Callable[[], None]) -> None:
    """Call it beside everything else, for nobody who waits for it: in a daemon thread."""
    try:
        threading.Thread(target=function, name="pool sweeper", daemon=True).start()
    except RuntimeError:
        # There are too many.
        function()


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
