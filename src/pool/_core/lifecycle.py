"""The decisions about what an endpoint, or the whole pool, is: known, ready, paused, cleared, closed.

What is told of an endpoint (created, ready, cleared) takes effect only when every listener has heard of it.
To that end these changes happen one after the other: whoever has the endpoint's *turn* publishes and then
calls the method that makes the change and ends the turn. Others wait for it, except those who have a turn
themselves, there or at another endpoint: they are listeners that call back, and two of them would wait for
each other for ever. Closing waits for nobody.
"""

from operator import attrgetter
from sys import maxsize
from typing import Any

from pool._core.budget import bound
from pool._core.home import Home
from pool._core.ledger import POOL_CLOSED, STALE
from pool._core.records import Effects, Wakeable
from pool._core.service import Service
from pool._core.states import (
    CLEARED,
    CLOSED,
    CONNECTING,
    HELD,
    OPENING,
    PAUSED,
    READY,
    REMOVED,
    UNKNOWN,
)
from pool.options import PoolOptions

__all__ = ["Lifecycle"]


class Lifecycle(Service):
    """The states of a pool and its endpoints."""

    __slots__ = ()

    # -- in turn ------------------------------------------------------------------------------------

    def introduce(self, endpoint: Any, keep: bool, teller: int) -> Wakeable | bool:
        """Make an endpoint known.

        Parameters:
            endpoint: the endpoint.
            keep: do not forget it when it is empty.
            teller: who asks.

        Returns:
            True: he has the turn and must publish its creation, then call ``announced``. False: there is
            nothing to do. A waiter: to be asked again when that was woken.
        """
        if self._closed:
            return False
        home = self._homes.get(endpoint)
        if home is None:
            home = self._homes[endpoint] = self._found(endpoint)
            self._measure(home, Effects())
        elif home.state is READY or home.state is PAUSED:
            home.added = home.added or keep
            return False
        elif home.turns and teller not in self._tellers:
            return self._line_up(home)
        home.added = home.added or keep
        if home.state is OPENING and home.turns:
            # A listener uses what it is just told of.
            self._open(home)
            return False
        home.state = OPENING
        self._begin(home, teller)
        return True

    def announced(self, endpoint: Any, teller: int) -> Effects:
        """The endpoint's creation was published: open it to its callers."""
        effects = Effects()
        home = self._in_turn(endpoint, teller)
        if home is None:
            return effects
        self._open(home)
        self._measure(home, effects)
        self._finish(home, teller, effects)
        if home.state is REMOVED:
            self._forget(home)
        return effects

    def begin(self, endpoint: Any, teller: int) -> Wakeable | str:
        """Take the turn for ``ready`` or ``clear``.

        Returns:
            The state of the endpoint, which tells whether there is anything to publish. ``UNKNOWN``: there
            is nothing to do. A waiter: to be asked again when that was woken.
        """
        home = self._homes.get(endpoint)
        if home is None or home.state is REMOVED:
            return UNKNOWN
        if home.turns and teller not in self._tellers:
            return self._line_up(home)
        self._open(home)
        self._begin(home, teller)
        return home.state

    def ready(self, endpoint: Any, teller: int, was: str, now: float) -> Effects:
        """Make the endpoint ready if it was paused, and end the turn (``was``: what ``begin`` said)."""
        effects = Effects()
        home = self._in_turn(endpoint, teller)
        if home is None:
            return effects
        if home.state is PAUSED and was is PAUSED:
            home.state = READY
            # Whoever says so knows that the server is there.
            home.failures = 0
            home.retry = 0.0
            self._serve(home, now, effects)
        self._finish(home, teller, effects)
        self._forget(home)
        return effects

    def clear(
        self, endpoint: Any, teller: int, was: str, service: Any, interrupt: bool, effects: Effects
    ) -> None:
        """Make every connection of now stale, and end the turn.

        Parameters:
            endpoint: the endpoint.
            teller: who has the turn.
            was: what ``begin`` said; what nobody was told is not paused.
            service: only what reached this service, unless ``None``; that never pauses.
            interrupt: break off what is in use or connecting.
            effects: what must be done is added here.
        """
        home = self._in_turn(endpoint, teller)
        if home is None:
            return
        pausing = self._pauses and service is None
        if pausing and home.state is READY:
            pausing = was is READY
        if pausing:
            if home.state is READY:
                home.state = PAUSED
            self._evict(home, CLEARED, effects)
        if service is None:
            home.owed = 0
        for entry in home.every():
            if service is not None and entry.service != service:
                if entry.state is CONNECTING:
                    entry.services = (entry.services or set()) | {service}
                continue
            entry.evicted = entry.evicted or pausing
            self._condemn(entry, STALE, interrupt, effects)
        home.sweep()
        self._finish(home, teller, effects)
        self._forget(home)

    # -- at any time --------------------------------------------------------------------------------

    def shut(self, endpoint: Any, everywhere: bool) -> Effects:
        """Close one endpoint's part, or the pool for good: nobody waits, nothing is idle."""
        effects = Effects()
        self._forgive(endpoint, everywhere)
        if everywhere:
            effects.ring = self._watched and not self._closed
            self._closed = True
        for home in list(self._chosen(endpoint, everywhere)):
            if home.state is REMOVED:
                continue
            home.state = REMOVED
            home.added = False
            home.owed = home.failures = 0
            home.retry = 0.0
            self._evict(home, CLOSED, effects)
            for entry in home.every():
                self._condemn(entry, POOL_CLOSED, False, effects)
            home.sweep()
            effects.shut.append(home.endpoint)
            self._forget(home)
        return effects

    def break_all(self) -> Effects:
        """What is still in use or connecting, to be interrupted."""
        effects = Effects()
        for home in self._homes.values():
            for entry in home.every():
                if entry.state in HELD or entry.state is CONNECTING:
                    effects.interrupt.append(entry)
        return effects

    def drained(self, waiter: Wakeable) -> bool:
        """Whether a closed pool has no connection left; if not, ``waiter`` is woken then."""
        if not self._size:
            return True
        self._closers.append(waiter)
        return False

    def resize(self, options: PoolOptions, now: float) -> Effects:
        """Take over new sizes: idle surplus is closed now, the longest idle first, the rest later."""
        effects = Effects()
        limited = self._total < maxsize
        if not limited:
            # What was ranked before there was no limit is ranked again.
            self._ranks.clear()
        self._min_size = options.min_size
        self._max_size = bound(options.max_size)
        self._total = bound(options.total_max_size)
        for home in list(self._homes.values()):
            idle = sorted(home.idle(), key=attrgetter("since"))
            surplus = len(home.entries) - home.closing - self._max_size
            for entry in idle[: max(surplus, 0)]:
                self._retire(entry, effects)
            self._plan_all(home, effects)
            if not limited:
                for entry in home.every():
                    self._rank(entry, entry.since)
            self._call(home, effects)
            self._measure(home, effects)
        while self._size - self._closing > self._total and (idlest := self._idlest()):
            self._retire(idlest, effects)
        for home in list(self._homes.values()):
            self._serve(home, now, effects)
            self._forget(home)
        return effects

    # -- inside a transaction -----------------------------------------------------------------------

    def _found(self, endpoint: Any) -> Home:
        """Make an endpoint's part of the pool."""
        return Home(endpoint, self._lose)

    def _open(self, home: Home) -> None:
        if home.state is OPENING:
            home.state = PAUSED if self._pauses else READY

    def _begin(self, home: Home, teller: int) -> None:
        self._tellers[teller] = self._tellers.get(teller, 0) + 1
        home.turns += 1

    def _in_turn(self, endpoint: Any, teller: int) -> Home | None:
        """Where somebody has the turn; nowhere if a listener has forked, and this is the child."""
        return self._homes[endpoint] if teller in self._tellers else None

    def _line_up(self, home: Home) -> Wakeable:
        waiter = self._new_waiter()
        home.audience += (waiter,)
        return waiter

    def _finish(self, home: Home, teller: int, effects: Effects) -> None:
        self._tellers[teller] -= 1
        if not self._tellers[teller]:
            del self._tellers[teller]
        home.turns -= 1
        if not home.turns:
            effects.wake += home.audience
            home.audience = ()
