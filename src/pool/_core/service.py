"""The moves by which callers are served: what they ask for, what is lent to them, what comes back.

Whoever frees something gives it on in the same move, so that nothing is free while somebody who could use it
waits: to the oldest at its endpoint or, where room in the whole pool is short, to the oldest of all.
"""

from collections.abc import Collection
from sys import maxsize
from typing import Any

from pool._core.deadlock import Knot, find_knot
from pool._core.home import Home
from pool._core.ledger import ERROR, IDLENESS, POOL_CLOSED, Ledger
from pool._core.records import Claim, Effects, Entry
from pool._core.states import (
    CLEARED,
    CLOSED,
    FORKED,
    GRANTED,
    IDLE,
    IN_USE,
    OVERLOADED,
    PAUSED,
    RELEASING,
    REMOVED,
    TIMEOUT,
    VETTING,
    WAITING,
)

__all__ = ["Service"]


class Service(Ledger):
    """Who is served with what."""

    __slots__ = ()

    def _ask(
        self,
        home: Home,
        claim: Claim,
        now: float,
        patient: bool,
        effects: Effects,
        first: bool = False,
    ) -> None:
        """Give the claim what is free, or a place in the queue (``first``: before all others)."""
        if home.state is PAUSED:
            claim.verdict = CLEARED
            return
        entry = self._pick(home, now, effects)
        if entry is not None:
            self._lend(entry, claim, now)
        elif not patient:
            claim.verdict = TIMEOUT
        elif (first or not home.queue) and self._may_connect(home):
            self._permit(home, claim, now, effects)
        elif len(home.queue) >= self._max_waiting and not first:
            claim.verdict = OVERLOADED
        else:
            self._join(home, claim, now, effects, first)

    def _join(self, home: Home, claim: Claim, now: float, effects: Effects, first: bool) -> None:
        claim.verdict = WAITING
        claim.waiter = self._new_waiter()
        claim.since = now
        self._ticket += 1
        claim.ticket = -self._ticket if first else self._ticket
        home.join(claim, first)
        self._waiting.setdefault(claim.owner, []).append(home)
        self._measure(home, effects)
        self._share(now, effects)
        if claim.entry is None:
            effects.deadlock = effects.deadlock or self._knot(home, claim.owner)

    def _ask_again(
        self, lost: Entry, claim: Claim, now: float, patient: bool, effects: Effects
    ) -> None:
        """The claim lost its entry when its turn had come already: it goes on, unless it is over."""
        home = lost.home
        if home.state is REMOVED or lost.doomed == POOL_CLOSED:
            claim.verdict = CLOSED
        elif lost.evicted:
            claim.verdict = CLEARED
        else:
            self._ask(home, claim, now, patient, effects, first=True)

    def _pick(self, home: Home, now: float, effects: Effects) -> Entry | None:
        """Take the idle entry that goes first; those whose time is over are closed on the way."""
        while (entry := home.pop()) is not None:
            if not self._over(entry, now):
                return entry
            self._close(entry, IDLENESS, effects)
        return None

    def _permit(self, home: Home, claim: Claim, now: float, effects: Effects) -> None:
        home.last_id += 1
        home.connecting += 1
        self._size += 1
        entry = self._record(home, now)
        home.entries[entry.id] = entry.ref
        self._assign(entry, claim)
        self._measure(home, effects)

    def _record(self, home: Home, now: float) -> Entry:
        """Make the record of a connection to be."""
        return Entry(home, home.last_id, now)

    def _lend(self, entry: Entry, claim: Claim, now: float) -> None:
        entry.state = VETTING
        entry.lent = now
        entry.uses += 1
        self._assign(entry, claim)

    def _assign(self, entry: Entry, claim: Claim) -> None:
        entry.owner = claim.owner
        entry.code = claim.code
        entry.instruction = claim.instruction
        entry.stack = claim.stack
        claim.entry = entry
        claim.verdict = GRANTED

    def _next(self, home: Home, now: float, effects: Effects) -> Claim:
        """The head of the queue, which is being served."""
        claim, _ = home.queue.popitem(last=False)
        self._leave(home, claim)
        self._measure(home, effects)
        home.wait_time += now - claim.since
        effects.wake.append(claim.waiter)
        return claim

    def _blockers(self, home: Home) -> Collection[Home]:
        """Where a connection must come back before those in the queue of an endpoint can go on."""
        if len(home.entries) >= self._max_size:
            return (home,)
        return self._homes.values() if self._size >= self._total else ()

    def _knot(self, home: Home, by: Any = None) -> Knot | None:
        """Whether all who hold what an endpoint's callers wait for wait for each other (``by``: he too)."""
        homes = self._blockers(home)
        everywhere = len(home.entries) < self._max_size
        if self._closing if everywhere else home.closing:
            # There will be room.
            return None
        knot = find_knot(homes, everywhere, self._waiting, self._blockers, by)
        if knot is None or everywhere:
            return knot
        room = knot.needed()
        if self._size >= self._total:
            every = self._homes.values()
            whole = find_knot(every, True, self._waiting, self._blockers)
            room = max(room, whole.needed()) if whole is not None else room
        return knot._replace(room=room) if room > self._total else knot

    def _serve(self, home: Home, now: float, effects: Effects) -> None:
        """Give what has become free at an endpoint to those who can use it, there or anywhere."""
        if self._total == maxsize:
            while home.queue and self._may_connect(home):
                self._permit(home, self._next(home, now, effects), now, effects)
        self._measure(home, effects)
        self._share(now, effects)

    def _share(self, now: float, effects: Effects) -> None:
        """Give room in the pool to the oldest who can use it; make room if there is too little."""
        while self._demand and self._size < self._total:
            hungry = self._hungriest()
            assert hungry is not None, "bug: nobody stands for the demand"
            self._permit(hungry, self._next(hungry, now, effects), now, effects)
        while self._demand > self._closing and not self._barren:
            entry = self._idlest()
            if entry is not None:
                self._retire(entry, effects)
        self._feed(now, effects)

    def _feed(self, now: float, effects: Effects) -> None:
        """Give what room is left to a home that is to be filled, if one lacks it."""
        while self._starved and self._size < self._total:
            home = next(iter(self._starved))
            del self._starved[home]
            self._measure(home, effects)
            if self._may_fill(home) and home.retry <= now:
                # One is enough: the next follows when this one has got its share.
                break

    def _pass_permit(self, entry: Entry, now: float, effects: Effects) -> None:
        """A permit comes back unused: the same one goes to the next, so that no number is skipped."""
        home = entry.home
        fits = len(home.entries) <= self._max_size and self._size <= self._total
        if home.queue and not entry.doomed and fits and not self._defers(home):
            self._end_fill(entry)
            self._assign(entry, self._next(home, now, effects))
        else:
            self._return_permit(entry, now, effects)

    def _return_permit(self, entry: Entry, now: float, effects: Effects) -> None:
        home = entry.home
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
            return
        entry.since = now if since is None else since
        if self._surplus(entry, now) or self._owes(home):
            self._close(entry, IDLENESS, effects)
        elif home.queue:
            self._lend(entry, self._next(home, now, effects), now)
        else:
            self._lay_down(entry)
            self._unmark(entry, effects)
            if not entry.ranked:
                self._rank(entry, entry.since)
            self._plan(entry, self._look(entry), effects)

    def _lay_down(self, entry: Entry) -> None:
        """Make an entry idle."""
        home = entry.home
        entry.state = IDLE
        entry.owner = None
        if self._fifo:
            home.push_last(entry)
        else:
            entry.next = home.top
            home.top = entry
        if entry.suspect:
            # Whoever was to check it has given up.
            home.hide(entry)

    def _end(self, claim: Claim, entry: Entry, now: float) -> None:
        claim.entry = None
        claim.ended = entry.id
        entry.home.use_time += now - entry.since
        entry.state = RELEASING
        entry.since = now

    def _give_back(self, claim: Claim, entry: Entry, now: float, effects: Effects) -> None:
        """Take from the claim what it holds: to the next if nobody has touched it, else to be closed."""
        if entry.state is FORKED:
            claim.entry = None
        elif entry.state is IN_USE:
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
