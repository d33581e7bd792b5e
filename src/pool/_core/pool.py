"""The decisions about one pool. The rules of the room are those of the package.

Fairness by construction: whoever frees a connection or a permit to connect gives it to the head of the
queue in the same transaction, so that nothing is ever free while somebody who could use it waits.
"""

from typing import Any

from pool._core.home import Totals
from pool._core.ledger import ERROR, IDLENESS, POOL_CLOSED, STALE
from pool._core.records import Claim, Effects, Entry
from pool._core.report import Survey, count, crowd, survey
from pool._core.states import (
    CLOSED,
    CONNECTING,
    FORKED,
    IDLE,
    IN_USE,
    OPENING,
    PAUSED,
    READY,
    REMOVED,
    TIMEOUT,
    UNKNOWN,
)
from pool._core.upkeep import Upkeep
from pool.errors import LeaseReleasedError
from pool.stats import PoolStats

__all__ = ["PoolCore", "entry_of"]


class PoolCore(Upkeep):
    """Who holds what, who waits, who may connect."""

    __slots__ = ()

    # -- acquire ------------------------------------------------------------------------------------

    def take(self, claim: Claim, now: float, owner: Any) -> Entry | None:
        """The hot path: lease an idle connection that needs no vetting, if there is one on top."""
        home = self._homes.get(claim.endpoint)
        if home is not None:
            entry = home.top
            if entry is not None and (now < entry.until or self.is_fresh(entry, now)):
                home.top = entry.next
                # It must not keep the next one alive, whose lease may be lost.
                entry.next = None
                entry.state = IN_USE
                entry.since = now
                entry.uses += 1
                entry.owner = owner
                entry.code = claim.code
                entry.instruction = claim.instruction
                claim.entry = entry
                return entry
        return None

    def is_fresh(self, entry: Entry, now: float) -> bool:
        """Whether an idle entry may be lent at sight; notes until when that is certain."""
        if entry.hidden or now - entry.since > self._fresh_for or now >= entry.expires:
            return False
        entry.until = min(entry.since + self._fresh_for, entry.expires)
        return True

    def request(self, claim: Claim, now: float, patient: bool) -> Effects:
        """Give the claim a connection to vet, a permit to connect or a place in the queue.

        Parameters:
            claim: it holds nothing.
            now: the time.
            patient: whether it has time for anything but an idle connection.

        Returns:
            What must be done. ``claim.verdict`` is ``GRANTED`` (``claim.entry`` is set), ``WAITING``
            (``claim.waiter`` is), or why it gets nothing: ``TIMEOUT``, ``OVERLOADED``, ``CLEARED``,
            ``CLOSED``. ``UNKNOWN`` asks to ``introduce`` the endpoint first.
        """
        effects = Effects()
        self._reclaim(now, effects)
        home = self._homes.get(claim.endpoint)
        if self._closed:
            claim.verdict = CLOSED
        elif home is None or home.state is REMOVED:
            claim.verdict = UNKNOWN
        elif home.state is OPENING:
            claim.verdict = UNKNOWN if patient else TIMEOUT
        else:
            self._ask(home, claim, now, patient, effects)
        return effects

    # Each of the next four may take from the claim what it holds. It asks again in the same transaction and
    # before all others, since its turn had come: ``claim.entry`` and ``claim.verdict`` say what it got.

    def opened(self, claim: Claim, service: Any, now: float, patient: bool) -> Effects:
        """``create`` has succeeded: free the permit, and ask again if a clear overtook it."""
        effects = Effects()
        entry = entry_of(claim)
        home = entry.home
        entry.uses += 1
        self._arrive(entry, service, now, effects)
        if entry.doomed:
            self._take_away(claim, entry, effects)
            self._ask_again(entry, claim, now, patient, effects)
        self._serve(home, now, effects)
        return effects

    def confirm(self, claim: Claim, now: float, patient: bool) -> Effects | None:
        """The connection was vetted: lease it, or ask again if a clear overtook it."""
        entry = entry_of(claim)
        if not entry.doomed:
            entry.state = IN_USE
            entry.since = now
            entry.begun = entry.suspect = entry.watched = False
            return None
        effects = Effects()
        self._take_away(claim, entry, effects)
        self._ask_again(entry, claim, now, patient, effects)
        return effects

    def dead(self, claim: Claim, now: float, patient: bool) -> Effects:
        """The connection failed its check: close it and ask again."""
        effects = Effects()
        entry = entry_of(claim)
        entry.home.errors += 1
        self._take_away(claim, entry, effects)
        self._ask_again(entry, claim, now, patient, effects)
        return effects

    def retreat(self, claim: Claim, now: float, patient: bool) -> Effects:
        """A clear overtook the connect before it was opened: give the permit up and ask again."""
        effects = Effects()
        entry = entry_of(claim)
        home = entry.home
        if entry.begun:
            self._take_away(claim, entry, effects)
        else:
            claim.entry = None
            home.connecting -= 1
            self._drop(entry, effects)
        self._ask_again(entry, claim, now, patient, effects)
        self._serve(home, now, effects)
        self._forget(home)
        return effects

    def failed(self, claim: Claim, error: BaseException, now: float) -> int:
        """Note that ``create`` or a hook raised; the claim keeps what it holds until ``abandon``.

        Returns:
            How many connects to this endpoint have failed in a row.
        """
        entry = claim.entry
        assert entry is not None, "bug: the claim holds nothing"
        home = entry.home
        home.errors += 1
        if entry.state is CONNECTING and home.state is not REMOVED:
            home.last_error = (error, now)
            self._last_error = (home.endpoint, error, now)
            self._pause(home, now)
        return home.failures

    def instead(self, claim: Claim, now: float, patient: bool) -> Effects | None:
        """``create`` has failed: ask for another connection, if there are any that would do.

        Returns:
            What must be done; ``None`` if the error is to reach the caller.
        """
        return None

    def abandon(self, claim: Claim, now: float, timed_out: bool = False) -> Effects:
        """The caller gives up, wherever he is: whatever the claim holds goes to the next or is closed."""
        effects = Effects()
        entry = claim.entry
        home = entry.home if entry is not None else self._homes.get(claim.endpoint)
        if timed_out:
            (home or self._past).timeouts += 1
        if entry is not None:
            self._give_back(claim, entry, now, effects)
        elif home is not None:
            if claim in home.queue:
                del home.queue[claim]
                self._leave(home, claim)
                self._measure(home, effects)
            self._forget(home)
        return effects

    # -- release ------------------------------------------------------------------------------------

    def check_in(self, claim: Claim, now: float) -> Effects | None:
        """End the lease and give its connection to the next caller, or keep it idle."""
        entry = claim.entry
        if entry is None or entry.state is not IN_USE:
            return None
        claim.entry = None
        claim.ended = entry.id
        home = entry.home
        home.use_time += now - entry.since
        if home.special or self._pressed:
            return self.put(entry, now)
        entry.state = IDLE
        entry.since = now
        entry.owner = None
        entry.next = home.top
        home.top = entry
        return None

    def broke(self, claim: Claim) -> bool:
        """The connection of a lease broke: it is closed when it comes back, for that reason.

        Returns:
            False: a clear came first, so that it says nothing of now; or the lease has ended.
        """
        entry = claim.entry
        if entry is None or entry.state is not IN_USE or entry.doomed in (STALE, POOL_CLOSED):
            return False
        self._doom(entry, ERROR)
        return True

    def end(self, claim: Claim, now: float) -> Entry | None:
        """End the lease; its entry is the caller's now, for ``put`` or ``doom``.

        Nothing if the lease has ended, or has not begun: the connection is not there yet, or not prepared.
        """
        entry = claim.entry
        if entry is None or entry.state is not IN_USE:
            return None
        self._end(claim, entry, now)
        if not entry.doomed and (self._surplus(entry, now) or self._owes(entry.home)):
            entry.doomed = IDLENESS
        return entry

    def put(self, entry: Entry, now: float) -> Effects | None:
        """Give a connection back that is fit for use."""
        if entry.state is FORKED:
            return None
        if not (entry.doomed or entry.home.special or self._pressed):
            entry.since = now
            self._lay_down(entry)
            return None
        effects = Effects()
        self._put(entry, now, effects)
        self._collect(now, effects)
        return effects

    def doom(self, entry: Entry, failed: bool = False) -> Effects:
        """Give a connection back that is not fit for use (``failed``: because a hook failed)."""
        effects = Effects()
        if entry.state is not FORKED:
            entry.home.errors += failed
            self._close(entry, ERROR, effects)
        return effects

    def closed(self, entry: Entry, now: float) -> Effects:
        """The connection is closed: its place is free."""
        effects = Effects()
        if entry.state is FORKED:
            return effects
        home = entry.home
        if entry.ready:
            home.closed += 1
        else:
            home.connecting -= 1
        self._drop(entry, effects)
        self._serve(home, now, effects)
        self._forget(home)
        return effects

    # -- questions ----------------------------------------------------------------------------------

    def is_closed(self) -> bool:
        """Whether the pool was closed."""
        return self._closed

    def knows(self, endpoint: Any) -> bool:
        """Whether nobody need ``introduce`` the endpoint, since its creation was published."""
        home = self._homes.get(endpoint)
        return self._closed or (home is not None and home.state in (READY, PAUSED))

    def is_shut(self, endpoint: Any) -> bool:
        """Whether the endpoint was removed, or the pool closed."""
        home = self._homes.get(endpoint)
        return self._closed or home is None or home.state is REMOVED

    def endpoints(self) -> list[Any]:
        """The endpoints that are known."""
        return list(self._homes)

    def stats(self, endpoint: Any, everywhere: bool) -> PoolStats:
        """Count."""
        return count(self._chosen(endpoint, everywhere), self._past if everywhere else Totals())

    def survey(self, endpoint: Any, everywhere: bool, now: float) -> Survey:
        """Say who holds what and who waits."""
        homes = self._chosen(endpoint, everywhere)
        knots = {home: knot for home in homes if (knot := self._knot(home)) is not None}
        last = self._last_error
        if last is not None and not everywhere and last[0] != endpoint:
            last = None
        result = survey(homes, knots, last, now)
        if self._size < self._total or everywhere:
            return result
        return result._replace(crowd=crowd(self._homes.values(), self._total, now))


def entry_of(claim: Claim) -> Entry:
    entry = claim.entry
    assert entry is not None, "bug: the claim holds nothing"
    if entry.state is FORKED:
        raise LeaseReleasedError(
            f"the lease of connection #{entry.id} to {entry.home.endpoint!r} is the parent process's"
        )
    return entry
