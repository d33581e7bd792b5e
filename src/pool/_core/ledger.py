"""What is true of one pool, and the elementary moves from which its decisions are made.

A move keeps the books right (counts, owners, queue) and adds what follows from it to the ``Effects`` of the
decision that makes it. The rules of the room are those of the package.
"""

from collections import deque
from collections.abc import Callable, Iterable
from math import inf
from typing import Any

from pool._core.agenda import Agenda, Dated
from pool._core.budget import Budget, bound
from pool._core.home import Home, Totals
from pool._core.records import NOTHING, Claim, Effects, Entry, Wakeable
from pool._core.stack import at_work
from pool._core.states import (
    CLOSING,
    GONE,
    IDLE,
    IN_USE,
    READY,
    REMOVED,
)
from pool.monitoring import ConnectionClosedReason
from pool.options import PoolOptions

__all__ = ["Ledger"]

STALE = ConnectionClosedReason.STALE
IDLENESS = ConnectionClosedReason.IDLE
ERROR = ConnectionClosedReason.ERROR
POOL_CLOSED = ConnectionClosedReason.POOL_CLOSED


class Ledger(Budget):
    """The books of one pool.

    Parameters:
        options: the pool's options.
        vet_after: seconds of idleness after which a connection must be vetted before it is leased;
            negative = always, ``inf`` = never.
        new_waiter: makes what a claim in the queue waits on.
        chance: gives random numbers from 0 to 1, for what must not happen everywhere at once.
        alert: called when an entry's owner has vanished, by a finalizer: anywhere, at any time.
    """

    __slots__ = (
        "_agenda",
        "_alarm",
        "_alert",
        "_always_special",
        "_background",
        "_batch",
        "_chance",
        "_check_interval",
        "_closed",
        "_closers",
        "_fifo",
        "_fresh_for",
        "_homes",
        "_idle_timeout",
        "_last_error",
        "_leak_threshold",
        "_lost",
        "_max_lifetime",
        "_max_uses",
        "_max_waiting",
        "_min_size",
        "_new_waiter",
        "_past",
        "_pauses",
        "_starved",
        "_tellers",
        "_ticket",
        "_waiting",
        "_watched",
    )

    def __init__(
        self,
        options: PoolOptions,
        vet_after: float,
        new_waiter: Callable[[], Wakeable],
        chance: Callable[[], float],
        alert: Callable[[Entry], None],
    ) -> None:
        super().__init__(options)
        self._new_waiter = new_waiter
        self._chance = chance
        self._alert = alert
        self._homes: dict[Any, Home] = {}
        self._past = Totals()
        self._closed = False
        self._tellers: dict[int, int] = {}
        self._closers: list[Wakeable] = []
        self._last_error: tuple[Any, BaseException, float] | None = None
        self._lost: deque[Entry] = deque()
        """Entries whose owners have vanished. Finalizers add to it, and a deque's ends need no lock."""
        self._ticket = 0
        self._waiting: dict[Any, list[Home]] = {}
        """Who waits in the queues, and where."""
        self._agenda = Agenda()
        self._background = options.background_collector
        self._batch = options.dispose_batch_size
        self._alarm = inf if self._background else -inf
        """When the upkeep will look at the agenda by itself."""
        self._watched = False
        """Whether it has begun to."""
        self._starved: dict[Home, None] = {}
        """Homes to fill that found no room in the pool."""
        self._min_size = options.min_size
        self._idle_timeout = inf if options.idle_timeout is None else options.idle_timeout
        self._max_lifetime = inf if options.max_lifetime is None else options.max_lifetime
        self._check_interval = options.health_check_interval or inf
        self._leak_threshold = options.leak_threshold or inf
        self._fresh_for = min(vet_after, self._idle_timeout)
        self._fifo = options.reuse == "fifo"
        self._pauses = options.paused
        self._max_uses = options.max_uses or -1
        self._max_waiting = bound(options.max_waiting)
        self._always_special = (
            self._fifo
            or options.max_uses is not None
            or options.idle_timeout == 0
            or not options.background_collector
        )

    def _lose(self, entry: Entry) -> None:
        """An entry's owner has vanished. Called by its finalizer: anywhere, at any time."""
        entry.watched = False
        # Once it is in the queue, somebody else may take it. Apart from this call and the finalizer: a
        # garbage collection may strike in the middle of a decision, where no user code must run.
        entry.warned = entry.state is IN_USE and not at_work(2)
        # What is in a cycle with it may still give it back. It is finalized once only: it is not used again.
        entry.doomed = entry.doomed or ERROR
        entry.lost_in = entry.state
        self._lost.append(entry)
        self._alert(entry)

    def _chosen(self, endpoint: Any, everywhere: bool) -> Iterable[Home]:
        if everywhere:
            return self._homes.values()
        home = self._homes.get(endpoint)
        return () if home is None else (home,)

    def _plan(self, item: Dated, when: float, effects: Effects) -> None:
        """Have the upkeep look at an entry or a home at a time, or earlier."""
        if when < inf:
            self._agenda.add(item, when)
        if when < self._alarm:
            self._alarm = when
            effects.ring = self._watched = True

    def _ring_first(self, effects: Effects) -> None:
        """Have the upkeep begin, even if nothing is due ever: leases may be lost."""
        if self._background and not self._watched:
            effects.ring = self._watched = True

    def _may_connect(self, home: Home) -> bool:
        return (
            home.state is READY
            and home.connecting < self._max_connecting
            and len(home.entries) < self._max_size
            and self._size < self._total
        )

    def _leave(self, home: Home, claim: Claim) -> None:
        """The claim is no longer in the queue."""
        places = self._waiting[claim.owner]
        places.remove(home)
        if not places:
            del self._waiting[claim.owner]

    def _end_fill(self, entry: Entry) -> None:
        if entry.fill:
            entry.fill = False
            entry.home.filling -= 1

    def _measure(self, home: Home, effects: Effects) -> None:
        """Note what follows from a home's sizes and queue: must be called when any of them changes."""
        home.crowded = len(home.entries) - home.closing > self._max_size
        home.special = self._always_special or home.crowded or bool(home.queue) or home.marked > 0
        self._weigh(home)
        self._want(home, effects)

    def _want(self, home: Home, effects: Effects) -> None:
        """See to it that the home is filled, as soon as it may be."""
        if not (self._keeps(home) and (self._background or home.warmers)):
            return
        if self._may_fill(home):
            if self._background:
                self._plan(home, home.retry, effects)
            elif not home.failures:
                # Those who wait for it do it themselves; after a failure they know when to try again.
                self._call(home, effects)
        elif self._may_fill(home, anyway=True):
            self._starved[home] = None

    def _call(self, home: Home, effects: Effects) -> None:
        """Wake those who wait for the home to be filled."""
        effects.wake += home.warmers
        home.warmers = ()

    def _may_fill(self, home: Home, anyway: bool = False) -> bool:
        """Whether the upkeep may open a connection (``anyway``: if there were room in the pool)."""
        return (
            home.state is READY
            and (home.owed > 0 or self._lacks(home))
            and not home.queue
            and home.filling < (1 if home.failures else home.ramp)
            and home.connecting < self._max_connecting
            and len(home.entries) < self._max_size
            and (anyway or (self._size < self._total and not self._demand))
        )

    def _keeps(self, home: Home) -> bool:
        """Whether there are connections that the home might have to be filled with."""
        return bool(self._min_size or home.owed)

    def _lacks(self, home: Home) -> bool:
        return len(home.entries) - home.closing < self._min_size

    def _surplus(self, entry: Entry, now: float) -> bool:
        return entry.home.crowded or entry.uses == self._max_uses or self._over(entry, now)

    def _over(self, entry: Entry, now: float) -> bool:
        """Whether its time is over: its lifetime, or that of an idle connection above the minimum."""
        # The sums of ``_look``, and as soon: what is looked at when it is due must not be due again.
        if now >= entry.expires:
            return True
        return now >= entry.since + self._idle_timeout and self._spare(entry.home)

    def _spare(self, home: Home) -> bool:
        """Whether there are more connections than are to be kept."""
        # One that is being opened may fail.
        return home.stock > self._min_size

    def _look(self, entry: Entry) -> float:
        """When the upkeep must look at an idle entry."""
        when = entry.expires
        if self._background:
            when = min(when, max(entry.since, entry.checked) + entry.gap)
        return min(when, entry.since + self._idle_timeout) if self._spare(entry.home) else when

    def _plan_all(self, home: Home, effects: Effects) -> None:
        """Have the upkeep look at all that are open, since how many are to be kept has changed."""
        for entry in home.every():
            if entry.ready and entry.state is not CLOSING:
                self._plan(entry, self._look(entry), effects)

    def _doom(self, entry: Entry, reason: str) -> None:
        """Have an entry closed when it comes back."""
        entry.doomed = reason
        self._mark(entry)

    def _unmark(self, entry: Entry, effects: Effects) -> None:
        if entry.marked:
            entry.marked = False
            entry.home.marked -= 1
            self._measure(entry.home, effects)

    def _condemn(self, entry: Entry, reason: str, interrupt: bool, effects: Effects) -> None:
        if entry.state is CLOSING:
            return
        if entry.doomed not in (POOL_CLOSED, ERROR):
            self._doom(entry, reason)
        if entry.state is IDLE:
            self._close(entry, reason, effects)
        elif interrupt:
            effects.interrupt.append(entry)

    def _retire(self, entry: Entry, effects: Effects) -> None:
        """Close an idle entry, wherever it stands among the idle."""
        self._close(entry, IDLENESS, effects)
        entry.home.hide(entry)

    def _close(self, entry: Entry, reason: str, effects: Effects) -> None:
        # One that never became ready keeps its permit too until its end was published.
        if not entry.doomed or entry.doomed is IDLENESS:
            entry.doomed = reason
        entry.state = CLOSING
        entry.home.closing += 1
        entry.home.stock -= entry.ready
        self._closing += 1
        effects.close.append(entry)
        self._end_fill(entry)
        self._unmark(entry, effects)
        self._measure(entry.home, effects)

    def _evict(self, home: Home, verdict: str, effects: Effects) -> None:
        """Send everybody away who waits at an endpoint."""
        for claim in home.queue:
            self._leave(home, claim)
            claim.verdict = verdict
            effects.wake.append(claim.waiter)
        home.queue.clear()
        self._call(home, effects)
        self._measure(home, effects)

    def _drop(self, entry: Entry, effects: Effects) -> None:
        """The entry is no more; those who wait for the end of a closed pool learn of the last one."""
        home = entry.home
        del home.entries[entry.id]
        home.acquired += entry.uses
        self._end_fill(entry)
        self._size -= 1
        if entry.state is CLOSING:
            home.closing -= 1
            self._closing -= 1
        entry.state = GONE
        entry.connection = NOTHING
        self._unmark(entry, effects)
        if not self._background:
            # If it was to fill the home, somebody else may have to go on.
            self._call(home, effects)
        self._measure(home, effects)
        if self._closed and not self._size:
            effects.wake += self._closers
            self._closers = []
            effects.ring = self._watched

    def _forgive(self, endpoint: Any, everywhere: bool = False) -> None:
        """Remember no longer why a connect failed: the error keeps alive what its frames hold."""
        for home in self._chosen(endpoint, everywhere):
            home.last_error = None
        # The endpoint may have been forgotten since.
        if self._last_error is not None and (everywhere or self._last_error[0] == endpoint):
            self._last_error = None

    def _forget(self, home: Home) -> None:
        """An endpoint that nobody needs leaves no trace but in the totals."""
        if home.entries or home.queue or home.turns or self._closed:
            return
        if home.state is READY:
            if home.added or home.owed or self._min_size:
                return
        elif home.state is not REMOVED:
            return
        del self._homes[home.endpoint]
        self._starved.pop(home, None)
        # Somebody may still know it, the agenda too then: nothing must be opened there.
        home.state = REMOVED
        # Closed entries may still stand there, and the error knows its frames: nothing goes in circles.
        home.top = home.bottom = home.last_error = None
        self._past.add(home)
