"""The decisions about what a pool does by itself: retire, check, fill, take back what was lost.

The agenda says when to look at what. An entry that becomes ready is put on it for the earliest time at which
anything could be due, and looked at then: if it is idle, for the next such time; if it is in use it is
marked, and comes on the agenda again when it comes back. So lending and releasing cost nothing.

After a failed connect the upkeep waits, twice as long after each, and tries one connection at a time; when
one succeeds, two at once, then four, as far as ``max_connecting`` allows. A caller's own connect never waits.
"""

from math import inf
from sys import maxsize
from types import CodeType
from typing import Any, NamedTuple

from pool._core.home import Home
from pool._core.ledger import ERROR, STALE
from pool._core.lifecycle import Lifecycle
from pool._core.records import NOTHING, Claim, Effects, Entry, Filler, Wakeable
from pool._core.states import (
    CHECKING,
    CLEARED,
    CLOSED,
    CLOSING,
    CONNECTING,
    FORKED,
    GRANTED,
    HELD,
    IDLE,
    IN_USE,
    OPENING,
    PAUSED,
    REMOVED,
    VETTING,
    WAITING,
)

__all__ = ["Chores", "Leak", "Upkeep", "disown", "inherit"]

#: Seconds before the first and the longest before any other attempt to connect after a failed one.
_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

#: By how much of it, at most, a lifetime or an interval is shortened at random.
_JITTER = 0.1


class Leak(NamedTuple):
    """A lease held too long: since how many seconds, and where it was acquired."""

    seconds: float
    code: CodeType | None
    instruction: int
    stack: Any


class Chores:
    """What is due now."""

    __slots__ = ("checks", "effects", "fills", "leaks", "next", "retry")

    def __init__(self) -> None:
        self.effects = Effects()
        self.checks: list[Entry] = []
        """Now ``CHECKING``: check each one, then call ``checked``."""
        self.fills: list[Filler] = []
        """Each has a permit to connect; then call ``filled``, or ``abandon``."""
        self.leaks: list[Entry] = []
        """Of leases held too long: call ``leaks`` for each."""
        self.next: float | None = inf
        """When to ask again at the latest; ``None`` for never."""
        self.retry: float | None = None
        """When the first of the fills that have failed may be tried again."""

    def jobs(self) -> int:
        """How many connections there are to be worked on."""
        return len(self.checks) + len(self.fills)


class Upkeep(Lifecycle):
    """What is due, and what came of it."""

    __slots__ = ()

    def chores(self, now: float, hands: int, everywhere: bool) -> Chores:
        """Say what is due now.

        Parameters:
            now: the time.
            hands: how many connections can be worked on at once. If more are due, ``next`` is not later
                than now.
            everywhere: look at everything, not only at what is on the agenda.
        """
        chores = Chores()
        self._reclaim(now, chores.effects)
        if self._closed:
            self._agenda.clear()
            chores.next = inf if self._size else None
            return chores
        for home in list(self._homes.values()) if everywhere else ():
            for entry in home.every():
                for lease in entry.leases():
                    if chores.jobs() < hands and lease.state in (IDLE, IN_USE):
                        self._visit(lease, now, chores)
            self._fill(home, now, hands, chores)
        while chores.jobs() < hands:
            # One home at a time is given what room is left; the one before may need it no more.
            self._feed(now, chores.effects)
            item = self._agenda.pop(now)
            if isinstance(item, Home):
                self._fill(item, now, hands, chores)
            elif isinstance(item, Entry):
                self._visit(item, now, chores)
            else:
                break
        chores.next = self._agenda.next()
        if self._background:
            self._alarm = chores.next
        return chores

    def filled(self, claim: Claim, service: Any, now: float) -> Effects:
        """A connection that nobody asked for is open: give it to whoever waits, or keep it idle."""
        effects = Effects()
        entry = claim.entry
        assert entry is not None, "bug: the claim holds nothing"
        claim.entry = None
        if entry.state is FORKED:
            return effects
        home = entry.home
        recovering = home.failures > 0
        self._arrive(entry, service, now, effects)
        self._end_fill(entry)
        if not recovering:
            # One more for each: from round to round twice as many.
            home.ramp = min(home.ramp + 1, maxsize)
        self._put(entry, now, effects)
        self._serve(home, now, effects)
        return effects

    def checked(self, entry: Entry, alive: bool, now: float) -> Effects:
        """An idle connection was checked in the background: keep it where it was, or replace it."""
        effects = Effects()
        if entry.state is FORKED:
            return effects
        home = entry.home
        entry.checked = now
        entry.gap = self._shortened(self._check_interval)
        if not alive:
            home.errors += 1
            # Below the minimum one more is opened in any case.
            if not entry.doomed and len(home.entries) - home.closing > self._min_size:
                home.owed += 1
            self._close(entry, ERROR, effects)
            return effects
        entry.suspect = False
        idle = not (home.queue or entry.doomed or self._surplus(entry, now) or self._owes(home))
        if idle and home.unhide(entry):
            entry.state = IDLE
            self._unmark(entry, effects)
            self._plan(entry, self._look(entry), effects)
        else:
            if entry.hidden:
                home.sweep()
            self._put(entry, now, effects, since=entry.since)
        return effects

    # A leak must not be told after the end of its lease. Whoever ends it meanwhile does not wait for the
    # listeners of another thread, but leaves it to that thread to tell of the end and to give back.

    def watch(self, claim: Claim) -> Effects:
        """A lease was told: see to it that it is reported if it is held too long."""
        effects = Effects()
        entry = claim.entry
        if entry is not None and entry.state is IN_USE:
            entry.watched = True
            self._plan(entry, self._leaks_at(entry), effects)
        return effects

    def leaks(self, entry: Entry, now: float) -> Leak | None:
        """Begin to tell that a lease is held too long, unless it has ended; then call ``told``."""
        if not entry.watched or entry.state is not IN_USE or now < self._leaks_at(entry):
            return None
        entry.watched = False
        entry.telling = True
        return Leak(now - entry.since, entry.code, entry.instruction, entry.stack)

    def leave(self, entry: Entry, fit: bool, failed: bool) -> bool:
        """Leave the end of a lease to whoever tells of it just now; false if nobody does."""
        if entry.telling:
            entry.left = (fit, failed)
        return entry.telling

    def told(self, entry: Entry) -> tuple[bool, bool] | None:
        """A leak was told. Return what ``leave`` was given meanwhile."""
        left = entry.left
        entry.telling = False
        entry.left = None
        return left

    def warm(self, endpoint: Any, waiter: Wakeable) -> str:
        """Say whether an endpoint is filled; if not, ``waiter`` is woken when it is, or cannot be.

        Returns:
            ``GRANTED``, ``WAITING``, ``CLEARED`` (it is paused) or ``CLOSED``.
        """
        home = self._homes.get(endpoint)
        if self._closed or home is None or home.state is REMOVED:
            return CLOSED
        if home.state is PAUSED:
            return CLEARED
        if self._is_warm(home):
            return GRANTED
        # One that is not open yet may begin paused.
        if home.state is OPENING:
            home.audience += (waiter,)
        else:
            home.warmers += (waiter,)
        return WAITING

    def cool(self, endpoint: Any, waiter: Wakeable) -> None:
        """Somebody waits no longer for an endpoint to be filled."""
        home = self._homes.get(endpoint)
        if home is not None:
            home.warmers = tuple(each for each in home.warmers if each is not waiter)
            home.audience = tuple(each for each in home.audience if each is not waiter)

    def unheard(self) -> None:
        """Nobody could be rung: ring again at the next occasion."""
        self._watched = False
        self._alarm = inf

    def reclaim(self, now: float) -> Effects:
        """Take back what nobody has any more."""
        effects = Effects()
        self._reclaim(now, effects)
        return effects

    def distrust(self) -> None:
        """The clock has jumped: what is idle must be checked before it is used."""
        for home in self._homes.values():
            for entry in home.idle():
                entry.suspect = True
                home.hide(entry)

    # -- inside a transaction -----------------------------------------------------------------------

    def _arrive(self, entry: Entry, service: Any, now: float, effects: Effects) -> None:
        """``create`` has succeeded: the permit is free."""
        home = entry.home
        entry.service = service
        entry.ready = True
        entry.begun = False
        entry.limit = None
        entry.state = VETTING
        entry.since = entry.checked = entry.lent = now
        entry.gap = self._shortened(self._check_interval)
        entry.expires = now + self._shortened(self._max_lifetime)
        if entry.services is not None and service in entry.services:
            entry.doomed = entry.doomed or STALE
        home.connecting -= 1
        home.stock += 1
        home.created += 1
        self._forgive(home.endpoint)
        if home.failures:
            home.failures = 0
            home.ramp = 2
        home.retry = 0.0
        self._rank(entry, now)
        self._plan(entry, min(entry.expires, now + min(entry.gap, self._idle_timeout)), effects)
        self._ring_first(effects)
        if self._min_size and home.stock == self._min_size + 1:
            # The others count as spare now, too.
            self._plan_all(home, effects)
        if home.warmers and self._is_warm(home):
            self._call(home, effects)

    def _is_warm(self, home: Home) -> bool:
        return home.stock >= self._min_size

    def _shortened(self, seconds: float) -> float:
        return seconds if seconds == inf else seconds * (1.0 - _JITTER * self._chance())

    def _pause(self, home: Home, now: float) -> None:
        """A connect has failed: the upkeep tries again later, and with one at a time."""
        doublings = min(home.failures, 16)
        home.failures += 1
        home.ramp = 1
        home.owed = 0
        longest = min(_FIRST_PAUSE * 2.0**doublings, _LONGEST_PAUSE)
        home.retry = now + longest * self._chance()

    def _leaks_at(self, entry: Entry) -> float:
        """When its lease will have been held too long."""
        return entry.since + self._leak_threshold

    def _visit(self, entry: Entry, now: float, chores: Chores) -> None:
        """See what is due with an entry."""
        effects = chores.effects
        if entry.state is IDLE:
            if self._over(entry, now):
                self._retire(entry, effects)
            elif now >= max(entry.since, entry.checked) + entry.gap:
                entry.state = CHECKING
                entry.checked = now
                entry.code = None
                entry.home.hide(entry)
                chores.checks.append(entry)
            else:
                self._plan(entry, self._look(entry), effects)
        elif entry.state in HELD:
            self._mark(entry)
            if entry.state is IN_USE and entry.watched:
                if now < self._leaks_at(entry):
                    self._plan(entry, self._leaks_at(entry), effects)
                else:
                    chores.leaks.append(entry)

    def _collect(self, now: float, effects: Effects) -> None:
        """Where nobody keeps the pool: retire some of those that are due, on the way."""
        if self._background:
            return
        left = self._batch or max(self._size.bit_length(), 1)
        while left and (entry := self._agenda.pop(now)) is not None:
            assert isinstance(entry, Entry), "bug: nobody fills by the way"
            if entry.state in HELD:
                self._mark(entry)
            elif entry.state is IDLE and self._over(entry, now):
                self._retire(entry, effects)
                left -= 1
            elif entry.state is IDLE:
                self._plan(entry, self._look(entry), effects)

    def _fill(self, home: Home, now: float, hands: int, chores: Chores) -> None:
        """Open what is missing, as far as that is possible now."""
        while self._may_fill(home) and chores.jobs() < hands:
            if now < home.retry:
                chores.retry = min(chores.retry or inf, home.retry)
                break
            if not self._lacks(home):
                home.owed -= 1
            claim = Filler(home.endpoint)
            self._permit(home, claim, now, chores.effects)
            assert claim.entry is not None, "bug: granted nothing"
            claim.entry.fill = True
            home.filling += 1
            chores.fills.append(claim)
        self._measure(home, chores.effects)

    def _reclaim(self, now: float, effects: Effects) -> None:
        """Take back what nobody has any more."""
        told = []
        while self._lost:
            entry = self._lost.popleft()
            if entry.telling:
                told.append(entry)
                continue
            if entry.state is not entry.lost_in:
                # It was given back all the same.
                continue
            if entry.state is CLOSING:
                effects.close.append(entry)
                continue
            if entry.state is CONNECTING and not entry.begun:
                self._return_permit(entry, now, effects)
                continue
            if entry.state is IN_USE:
                entry.home.use_time += now - entry.since
                effects.lost.append(entry)
            elif entry.state is VETTING:
                entry.uses -= 1
            self._close(entry, ERROR, effects)
        # Whoever tells of them just now takes them back himself.
        self._lost.extend(told)


def disown(core: Upkeep) -> list[tuple[Any, Any]]:
    """End all leases of a pool's parent process; return endpoint and connection of every entry.

    No decision, and under no lock: whoever had it at the fork is not in this process.
    """
    inherited = []
    for home in list(core._homes.values()):
        for entry in home.every():
            if entry.connection is not NOTHING:
                inherited.append((home.endpoint, entry.connection))
            for lease in entry.leases():
                lease.state = FORKED
            entry.state = FORKED
    return inherited


def inherit(core: Upkeep, parents: Upkeep) -> None:
    """Give a child's core the size that its parent's has by now. No decision, as above."""
    core._max_size = parents._max_size
