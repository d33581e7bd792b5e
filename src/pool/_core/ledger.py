"""What is true of one pool, and the elementary moves from which its decisions are made.

A move keeps the books right (counts, owners, queue) and adds what follows from it to the ``Effects`` of the
decision that makes it. The rules of the room are those of the package.
"""

from collections.abc import Callable, Iterable
from math import inf
from sys import maxsize
from typing import Any

from pool._core.records import (
    CLEARED,
    CLOSED,
    CLOSING,
    GRANTED,
    IDLE,
    IN_USE,
    OVERLOADED,
    PAUSED,
    READY,
    RELEASING,
    REMOVED,
    TIMEOUT,
    VETTING,
    WAITING,
    Claim,
    Effects,
    Entry,
    Home,
    Totals,
    Wakeable,
)
from pool.monitoring import ConnectionClosedReason
from pool.options import PoolOptions

__all__ = ["Ledger"]

STALE = ConnectionClosedReason.STALE
IDLENESS = ConnectionClosedReason.IDLE
ERROR = ConnectionClosedReason.ERROR
POOL_CLOSED = ConnectionClosedReason.POOL_CLOSED


class Ledger:
    """The books of one pool.

    Parameters:
        options: the pool's options.
        vet_after: seconds of idleness after which a connection must be vetted before it is leased;
            negative = always, ``inf`` = never.
        new_waiter: makes what a claim in the queue waits on.
    """

    __slots__ = (
        "_always_special",
        "_closed",
        "_closers",
        "_fifo",
        "_homes",
        "_last_error",
        "_max_connecting",
        "_max_size",
        "_max_uses",
        "_max_waiting",
        "_new_waiter",
        "_past",
        "_pauses",
        "_size",
        "_tellers",
        "_vet_after",
        "_vets",
    )

    def __init__(
        self, options: PoolOptions, vet_after: float, new_waiter: Callable[[], Wakeable]
    ) -> None:
        self._new_waiter = new_waiter
        self._homes: dict[Any, Home] = {}
        self._past = Totals()
        self._size = 0
        self._closed = False
        self._tellers: dict[int, int] = {}
        self._closers: list[Wakeable] = []
        self._last_error: tuple[Any, BaseException, float] | None = None
        self._vet_after = vet_after
        self._vets = vet_after < inf
        self._fifo = options.reuse == "fifo"
        self._pauses = options.paused
        self._max_connecting = options.max_connecting
        self._max_uses = options.max_uses or -1
        self._max_waiting = bound(options.max_waiting)
        self._max_size = bound(options.max_size)
        self._always_special = self._fifo or options.max_uses is not None

    def _chosen(self, endpoint: Any, everywhere: bool) -> Iterable[Home]:
        if everywhere:
            return self._homes.values()
        home = self._homes.get(endpoint)
        return () if home is None else (home,)

    def _may_connect(self, home: Home) -> bool:
        return (
            home.state is READY
            and home.connecting < self._max_connecting
            and len(home.entries) < self._max_size
        )

    def _ask(
        self, home: Home, claim: Claim, now: float, patient: bool, first: bool = False
    ) -> None:
        """Give the claim what is free, or a place in the queue (``first``: before all others)."""
        if home.state is PAUSED:
            claim.verdict = CLEARED
        elif home.top is not None:
            self._lend(home.pop(), claim)
        elif not patient:
            claim.verdict = TIMEOUT
        elif (first or not home.queue) and self._may_connect(home):
            self._permit(home, claim, now)
        elif len(home.queue) >= self._max_waiting and not first:
            claim.verdict = OVERLOADED
        else:
            claim.verdict = WAITING
            claim.waiter = self._new_waiter()
            claim.since = now
            home.queue[claim] = None
            home.special = True
            if first:
                home.queue.move_to_end(claim, last=False)

    def _ask_again(self, lost: Entry, claim: Claim, now: float, patient: bool) -> None:
        """The claim lost its entry when its turn had come already: it goes on, unless it is over."""
        home = lost.home
        if home.state is REMOVED or lost.doomed == POOL_CLOSED:
            claim.verdict = CLOSED
        elif lost.evicted:
            claim.verdict = CLEARED
        else:
            self._ask(home, claim, now, patient, first=True)

    def _permit(self, home: Home, claim: Claim, now: float) -> None:
        home.last_id += 1
        home.connecting += 1
        self._size += 1
        entry = home.entries[home.last_id] = Entry(home, home.last_id, now)
        self._assign(entry, claim)

    def _lend(self, entry: Entry, claim: Claim) -> None:
        entry.state = VETTING
        entry.uses += 1
        self._assign(entry, claim)

    def _assign(self, entry: Entry, claim: Claim) -> None:
        entry.code = claim.code
        entry.instruction = claim.instruction
        claim.entry = entry
        claim.verdict = GRANTED

    def _next(self, home: Home, now: float, effects: Effects) -> Claim:
        """The head of the queue, which is being served."""
        claim, _ = home.queue.popitem(last=False)
        self._measure(home)
        home.wait_time += now - claim.since
        effects.wake.append(claim.waiter)
        return claim

    def _serve(self, home: Home, now: float, effects: Effects) -> None:
        while home.queue and self._may_connect(home):
            self._permit(home, self._next(home, now, effects), now)

    def _pass_permit(self, entry: Entry, now: float, effects: Effects) -> None:
        """A permit comes back unused: the same one goes to the next, so that no number is skipped."""
        home = entry.home
        if home.queue and not entry.doomed and len(home.entries) <= self._max_size:
            self._assign(entry, self._next(home, now, effects))
            return
        home.connecting -= 1
        if entry.id == home.last_id:
            home.last_id -= 1
        self._drop(entry, effects)
        self._serve(home, now, effects)
        self._forget(home)

    def _put(self, entry: Entry, now: float, effects: Effects, since: float | None = None) -> None:
        """A connection is free (``since``: and was not used just now): to the next, or idle."""
        home = entry.home
        if entry.doomed:
            self._close(entry, entry.doomed, effects)
        elif self._surplus(entry):
            self._close(entry, IDLENESS, effects)
        else:
            entry.since = now if since is None else since
            if home.queue:
                self._lend(entry, self._next(home, now, effects))
            else:
                entry.state = IDLE
                if self._fifo:
                    home.push_last(entry)
                else:
                    entry.next = home.top
                    home.top = entry

    def _measure(self, home: Home) -> None:
        """Note what a connection that comes back must look at: must be called when any of it changes."""
        home.crowded = len(home.entries) - home.closing > self._max_size
        home.special = self._always_special or home.crowded or bool(home.queue)

    def _surplus(self, entry: Entry) -> bool:
        return entry.home.crowded or entry.uses == self._max_uses

    def _end(self, claim: Claim, entry: Entry, now: float) -> None:
        claim.entry = None
        claim.ended = entry.id
        entry.home.use_time += now - entry.since
        entry.state = RELEASING
        entry.since = now

    def _give_back(self, claim: Claim, entry: Entry, now: float, effects: Effects) -> None:
        """Take from the claim what it holds: to the next if nobody has touched it, else to be closed."""
        if entry.state is IN_USE:
            self._end(claim, entry, now)
            self._put(entry, now, effects)
        elif entry.begun:
            self._take_away(claim, entry, effects)
        elif entry.state is VETTING:
            claim.entry = None
            entry.uses -= 1
            self._put(entry, now, effects, since=entry.since)
        else:
            claim.entry = None
            self._pass_permit(entry, now, effects)

    def _take_away(self, claim: Claim, entry: Entry, effects: Effects) -> None:
        claim.entry = None
        if entry.state is VETTING:
            entry.uses -= 1
        self._close(entry, ERROR, effects)

    def _condemn(self, entry: Entry, reason: str, interrupt: bool, effects: Effects) -> None:
        if entry.state is CLOSING:
            return
        if entry.doomed != POOL_CLOSED:
            entry.doomed = reason
        if entry.state is IDLE:
            self._close(entry, reason, effects)
        elif interrupt:
            effects.interrupt.append(entry)

    def _close(self, entry: Entry, reason: str, effects: Effects) -> None:
        # One that never became ready keeps its permit too until its end was published.
        if not entry.doomed or entry.doomed is IDLENESS:
            entry.doomed = reason
        entry.state = CLOSING
        entry.home.closing += 1
        self._measure(entry.home)
        effects.close.append(entry)

    def _evict(self, home: Home, verdict: str, effects: Effects) -> None:
        for claim in home.queue:
            claim.verdict = verdict
            effects.wake.append(claim.waiter)
        home.queue.clear()
        self._measure(home)

    def _drop(self, entry: Entry, effects: Effects) -> None:
        """The entry is no more; those who wait for the end of a closed pool learn of the last one."""
        home = entry.home
        del home.entries[entry.id]
        home.acquired += entry.uses
        home.closing -= entry.state is CLOSING
        self._measure(home)
        self._size -= 1
        if self._closed and not self._size:
            effects.wake += self._closers
            self._closers = []

    def _forget(self, home: Home) -> None:
        """An endpoint that nobody needs leaves no trace but in the totals."""
        if home.entries or home.queue:
            return
        if home.added or home.turns or self._closed:
            return
        if home.state is READY or home.state is REMOVED:
            del self._homes[home.endpoint]
            self._past.add(home)


def bound(limit: int | None) -> int:
    """An optional limit as a number to compare with."""
    return maxsize if limit is None else limit
