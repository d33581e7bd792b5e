"""The decisions about one pool whose connections many callers use at once.

What is different from the pool where each has his own: a claim gets a *share* of a connection. Whoever asks
gets one of the least loaded connection; if that is busy and there is room, he gets a permit to connect
instead. So the queue is for those who come while every connection has as many shares as it may.

A connection breaks when a share of it comes back unfit, or a check fails: nobody gets a share of it any more,
and when the last one has left, it is closed. It keeps its place until another one has been opened for it.
"""

from collections.abc import Callable
from math import inf
from typing import Any

from pool._core.budget import bound
from pool._core.deadlock import Knot
from pool._core.home import Home
from pool._core.ledger import ERROR, IDLENESS
from pool._core.pool import PoolCore, entry_of
from pool._core.records import PAST, Claim, Effects, Entry, Wakeable
from pool._core.states import (
    CONNECTING,
    FORKED,
    GONE,
    IDLE,
    IN_USE,
    OVERLOADED,
    READY,
    SHARED,
    TIMEOUT,
)
from pool._core.trunk import Share, SharedHome, Trunk, home_of, shared
from pool.options import PoolOptions

__all__ = ["Shares"]

#: Seconds before a broken connection is replaced, unless a caller needs one.
_PAUSE = 0.1


class Shares(PoolCore):
    """Who has a share of what, who waits, who may connect.

    Parameters:
        options, vet_after, new_waiter, chance, alert: as in ``Ledger``.
        max_pending: how many shares of a connection there may be, ``None`` for any number.
    """

    __slots__ = ("_dated", "_hasty", "_max_pending", "_vet_after")

    def __init__(
        self,
        options: PoolOptions,
        vet_after: float,
        new_waiter: Callable[[], Wakeable],
        chance: Callable[[], float],
        alert: Callable[[Entry], None],
        max_pending: int | None,
    ) -> None:
        super().__init__(options, vet_after, new_waiter, chance, alert)
        self._max_pending = bound(max_pending)
        self._vet_after = vet_after
        # Whether what comes back is looked at in any case.
        self._hasty = not options.background_collector or options.idle_timeout == 0
        self._dated = min(self._max_lifetime, self._check_interval, self._idle_timeout) < inf
        # A share never simply goes on top of the idle.
        self._always_special = True

    # -- acquire and release ------------------------------------------------------------------------

    def take(self, claim: Claim, now: float, owner: Any) -> Entry | None:
        """The hot path: a share of the least loaded connection, if nothing else is to be done."""
        home = self._homes.get(claim.endpoint)
        # What was lost is taken back on the long way; there may be nobody else who goes it.
        if home is None or self._vet_after < 0 or self._lost:
            return None
        assert isinstance(home, SharedHome), "bug: a home of another pool"
        trunk = home.loads.least()
        if trunk is None or home.queue or now >= trunk.expires or trunk.uses == self._max_uses:
            return None
        if trunk.pending:
            if trunk.pending >= self._max_pending or self._grows(home, trunk, now):
                return None
        elif trunk.suspect or now - trunk.since > self._fresh_for:
            return None
        share = self._give_share(trunk, now)
        share.state = IN_USE
        share.since = now
        share.owner = owner
        share.code = claim.code
        share.instruction = claim.instruction
        share.stack = None
        claim.entry = share
        return share

    def put(self, entry: Entry, now: float) -> Effects | None:
        """Give a share back that is fit for use: the hot path, if nobody waits and nothing is due."""
        if isinstance(entry, Share) and entry.state is not FORKED:
            trunk = entry.trunk
            over = now >= trunk.expires or trunk.uses == self._max_uses or trunk.doomed
            # It was looked at while it was in use, and stands on the agenda no more.
            unplanned = self._dated and trunk.look == inf
            if not (over or unplanned or self._hasty or trunk.home.queue):
                self._part(entry)
                trunk.since = now
                if not trunk.pending:
                    trunk.state = IDLE
                    self._admit_others(trunk)
                return None
        return super().put(entry, now)

    def opened(self, claim: Claim, service: Any, now: float, patient: bool) -> Effects:
        """``create`` has succeeded: free the permit, and ask again if a clear overtook it."""
        effects = Effects()
        trunk = entry_of(claim)
        self._arrive(trunk, service, now, effects)
        claim.entry = None
        if trunk.doomed:
            self._close(trunk, trunk.doomed, effects)
            self._ask_again(trunk, claim, now, patient, effects)
        else:
            assert isinstance(trunk, Trunk), "bug: a record of another pool"
            # It has only just been opened: there is nothing to check.
            self._assign(self._give_share(trunk, now), claim)
        self._serve(trunk.home, now, effects)
        return effects

    def confirm(self, claim: Claim, now: float, patient: bool) -> Effects | None:
        """The connection was vetted: lease it, or ask again if a clear overtook it."""
        share = entry_of(claim)
        if share.doomed == IDLENESS:
            # Its time is over, and nothing is wrong with it.
            effects = Effects()
            share.begun = False
            self._give_back(claim, share, now, effects)
            self._ask_again(share, claim, now, patient, effects)
            return effects
        overtaken = super().confirm(claim, now, patient)
        if overtaken is None and isinstance(share, Share) and share.alone:
            share.alone = share.trunk.suspect = False
            effects = Effects()
            self._admit_others(share.trunk)
            self._serve(share.home, now, effects)
            return effects
        return overtaken

    def instead(self, claim: Claim, now: float, patient: bool) -> Effects | None:
        """``create`` has failed: ask for a share, if any connection works."""
        trunk = entry_of(claim)
        home = home_of(trunk)
        least = home.loads.least()
        if home.state is not READY or trunk.doomed:
            return None
        if least is None and not (patient and self._works(home)):
            return None
        if least is not None and not patient and least.pending >= self._max_pending:
            return None
        effects = Effects()
        self._take_away(claim, trunk, effects)
        self._beg(home, claim, now, patient, effects, first=True, grow=False)
        return effects

    def closed(self, entry: Entry, now: float) -> Effects:
        """The connection is closed: its place is free, or waits for another one."""
        home = home_of(entry)
        if entry.id in home.gone:
            home.retry = max(home.retry, now + _PAUSE)
        return super().closed(entry, now)

    def clear(
        self, endpoint: Any, teller: int, was: str, service: Any, interrupt: bool, effects: Effects
    ) -> None:
        """Make every connection of now stale, and end the turn."""
        super().clear(endpoint, teller, was, service, interrupt, effects)
        home = self._homes.get(endpoint)
        if home is not None:
            self._hasten(shared(home), effects)

    # -- inside a transaction -----------------------------------------------------------------------

    def _found(self, endpoint: Any) -> Home:
        return SharedHome(endpoint, self._lose, not self._fifo)

    def _record(self, home: Home, now: float) -> Entry:
        return Trunk(shared(home), home.last_id, now)

    def _forget(self, home: Home) -> None:
        """The pool has this one endpoint."""

    def _knot(self, home: Home, by: Any = None) -> Knot | None:
        knot = super()._knot(home, by)
        return None if knot is None else knot._replace(limit="size x max_pending")

    def _ask(
        self,
        home: Home,
        claim: Claim,
        now: float,
        patient: bool,
        effects: Effects,
        first: bool = False,
    ) -> None:
        self._beg(shared(home), claim, now, patient, effects, first, grow=True)

    def _beg(
        self,
        home: SharedHome,
        claim: Claim,
        now: float,
        patient: bool,
        effects: Effects,
        first: bool,
        grow: bool,
    ) -> None:
        """Give the claim a share, a permit to connect (if it may ``grow``) or a place in the queue."""
        if home.queue and not first:
            # A pause may be over, and nobody else may look.
            self._serve(home, now, effects)
        trunk = self._least(home, now, effects)
        turn = first or not home.queue
        if turn and patient and grow and self._grows(home, trunk, now):
            self._permit(home, claim, now, effects)
        elif turn and trunk is not None and trunk.pending < self._max_pending:
            self._lend(trunk, claim, now)
        elif not patient:
            claim.verdict = TIMEOUT
        elif len(home.queue) >= self._max_waiting and not first:
            claim.verdict = OVERLOADED
        else:
            self._join(home, claim, now, effects, first)

    def _serve(self, home: Home, now: float, effects: Effects) -> None:
        home = shared(home)
        while home.queue:
            trunk = self._least(home, now, effects)
            if self._grows(home, trunk, now):
                self._permit(home, self._next(home, now, effects), now, effects)
            elif trunk is not None and trunk.pending < self._max_pending:
                self._lend(trunk, self._next(home, now, effects), now)
            else:
                break
        self._measure(home, effects)

    def _least(self, home: SharedHome, now: float, effects: Effects) -> Trunk | None:
        """The least loaded connection; those whose time is over are retired on the way."""
        while (trunk := home.loads.least()) is not None:
            if not self._surplus(trunk, now):
                return trunk
            if trunk.pending:
                self._doom(trunk, IDLENESS)
            else:
                self._close(trunk, IDLENESS, effects)
        return None

    def _grows(self, home: SharedHome, trunk: Trunk | None, now: float) -> bool:
        """Whether one more is to be opened, where ``trunk`` is the least loaded."""
        if (trunk is not None and not trunk.pending) or not self._may_connect(home):
            return False
        # While there is any that works, a failure is a reason to wait.
        return now >= home.retry or (trunk is None and not self._works(home))

    def _works(self, home: SharedHome) -> bool:
        """Whether any connection works, though it may be about to be checked or prepared."""
        return any(not trunk.doomed for trunk in home.working())

    def _assign(self, entry: Entry, claim: Claim) -> None:
        super()._assign(entry, claim)
        if entry.state is CONNECTING:
            entry.optional = home_of(entry).loads.least() is not None

    def _give_share(self, trunk: Trunk, now: float) -> Share:
        share = Share(trunk, now)
        trunk.state = SHARED
        trunk.uses += 1
        home_of(trunk).loads.settle(trunk)
        return share

    def _lend(self, entry: Entry, claim: Claim, now: float) -> None:
        assert isinstance(entry, Trunk), "bug: a share is not lent on"
        idle = not entry.pending
        share = self._give_share(entry, now)
        if idle and (entry.suspect or now - entry.since > self._vet_after):
            share.alone = True
            entry.home.hide(entry)
        self._assign(share, claim)

    def _admit_others(self, trunk: Trunk) -> None:
        if not trunk.doomed:
            home_of(trunk).loads.settle(trunk)

    def _part(self, share: Share) -> Trunk:
        """A share ends."""
        trunk = share.trunk
        del trunk.shares[share.place]
        trunk.pending -= 1
        share.state = GONE
        if trunk.pending:
            self._admit_others(trunk)
        return trunk

    def _put(self, entry: Entry, now: float, effects: Effects, since: float | None = None) -> None:
        if isinstance(entry, Share):
            trunk = self._part(entry)
            if since is None:
                # Whoever leaves after this one, without having touched it, does not make it older.
                trunk.since = now
            if not trunk.pending:
                self._rest(trunk, now, trunk.since, effects)
        else:
            assert isinstance(entry, Trunk), "bug: a record of another pool"
            self._rest(entry, now, now if since is None else since, effects)
        self._serve(entry.home, now, effects)

    def _rest(self, trunk: Trunk, now: float, since: float, effects: Effects) -> None:
        """Nobody uses a connection any more: it is idle since a time, or closed."""
        trunk.since = since
        trunk.state = IDLE
        if trunk.doomed or self._surplus(trunk, now):
            self._close(trunk, trunk.doomed or IDLENESS, effects)
        else:
            self._admit_others(trunk)
            self._plan(trunk, self._look(trunk), effects)

    def _close(self, entry: Entry, reason: str, effects: Effects) -> None:
        if isinstance(entry, Share):
            # It is unfit: with it, the connection.
            trunk = self._part(entry)
            if not trunk.doomed:
                home_of(trunk).breaking[trunk.id] = trunk.connection
                self._doom(trunk, reason)
                self._hasten(home_of(trunk), effects)
            elif trunk.doomed == IDLENESS:
                trunk.doomed = reason
            if not trunk.pending:
                self._close(trunk, trunk.doomed, effects)
            return
        home = home_of(entry)
        home.hide(entry)
        if entry.ready and not entry.doomed and reason == ERROR:
            home.breaking[entry.id] = entry.connection
        super()._close(entry, reason, effects)
        if entry.id in home.breaking:
            home.gone[entry.id] = home.breaking.pop(entry.id)

    def _hasten(self, home: SharedHome, effects: Effects) -> None:
        """Have the upkeep connect now if nothing works any more: a pause is not for those who wait then."""
        if home.queue and home.loads.least() is None:
            home.retry = PAST
            self._measure(home, effects)

    def _doom(self, entry: Entry, reason: str) -> None:
        super()._doom(entry, reason)
        entry.home.hide(entry)

    def _mark(self, entry: Entry) -> None:
        """Nothing: whatever comes back is looked at in any case."""

    def _surplus(self, entry: Entry, now: float) -> bool:
        # What is too much is chosen when the pool is made smaller.
        if isinstance(entry, Share):
            return False
        return entry.uses == self._max_uses or self._over(entry, now)

    def _over(self, entry: Entry, now: float) -> bool:
        if entry.state is SHARED:
            return now >= entry.expires
        return super()._over(entry, now)

    def _keeps(self, home: Home) -> bool:
        return bool(shared(home).gone or home.queue)

    def _lacks(self, home: Home) -> bool:
        # What is being closed is not to be replaced yet.
        broken = sum(number not in home.entries for number in shared(home).gone)
        return broken > home.connecting or bool(home.queue)

    def _may_fill(self, home: Home, anyway: bool = False) -> bool:
        return self._may_connect(home) and self._lacks(home) and home.filling < home.ramp

    def _arrive(self, entry: Entry, service: Any, now: float, effects: Effects) -> None:
        super()._arrive(entry, service, now, effects)
        # Whoever has opened it has a share like all others: it must not keep alive what he is.
        entry.owner = entry.stack = None
        assert isinstance(entry, Trunk), "bug: a record of another pool"
        gone = home_of(entry).gone
        if (
            gone
            and not entry.doomed
            and not (entry.extra and home_of(entry).places() <= self._max_size)
        ):
            del gone[next(iter(gone))]

    def _drop(self, entry: Entry, effects: Effects) -> None:
        super()._drop(entry, effects)
        # Whoever fills the pool by hand may go on.
        self._call(entry.home, effects)
