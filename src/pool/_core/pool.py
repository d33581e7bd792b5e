"""The decisions about one pool. The rules of the room are those of the package.

Fairness by construction: whoever frees a connection or a permit to connect gives it to the head of the
queue in the same transaction, so that nothing is ever free while somebody who could use it waits.
"""

from typing import Any

from pool._core.ledger import ERROR, IDLENESS, STALE
from pool._core.lifecycle import Lifecycle
from pool._core.records import (
    CLOSED,
    CONNECTING,
    IDLE,
    IN_USE,
    OPENING,
    PAUSED,
    READY,
    REMOVED,
    TIMEOUT,
    UNKNOWN,
    VETTING,
    Claim,
    Effects,
    Entry,
    Totals,
)
from pool._core.report import Survey, count, survey
from pool.stats import PoolStats

__all__ = ["PoolCore"]


class PoolCore(Lifecycle):
    """Who holds what, who waits, who may connect."""

    __slots__ = ()

    # -- acquire ------------------------------------------------------------------------------------

    def take(self, claim: Claim, now: float) -> Entry | None:
        """The hot path: lease an idle connection that needs no vetting, if there is one on top."""
        try:
            home = self._homes[claim.endpoint]
        except KeyError:
            return None
        entry = home.top
        if entry is None or (self._vets and now - entry.since > self._vet_after):
            return None
        home.top = entry.next
        entry.state = IN_USE
        entry.since = now
        entry.uses += 1
        entry.code = claim.code
        entry.instruction = claim.instruction
        claim.entry = entry
        return entry

    def request(self, claim: Claim, now: float, patient: bool) -> str:
        """Give the claim a connection to vet, a permit to connect or a place in the queue.

        Parameters:
            claim: it holds nothing.
            now: the time.
            patient: whether it has time for anything but an idle connection.

        Returns:
            ``GRANTED`` (``claim.entry`` is set), ``WAITING`` (``claim.waiter`` is), or why it gets nothing:
            ``TIMEOUT``, ``OVERLOADED``, ``CLEARED``, ``CLOSED``. ``UNKNOWN`` asks to ``introduce`` the
            endpoint first.
        """
        home = self._homes.get(claim.endpoint)
        if self._closed:
            claim.verdict = CLOSED
        elif home is None or home.state is REMOVED:
            claim.verdict = UNKNOWN
        elif home.state is OPENING:
            claim.verdict = UNKNOWN if patient else TIMEOUT
        else:
            self._ask(home, claim, now, patient)
        return claim.verdict

    # Each of the next four may take from the claim what it holds. It asks again in the same transaction and
    # before all others, since its turn had come: ``claim.entry`` and ``claim.verdict`` say what it got.

    def opened(self, claim: Claim, service: Any, now: float, patient: bool) -> Effects:
        """``create`` has succeeded: free the permit, and ask again if a clear overtook it."""
        effects = Effects()
        entry = _entry_of(claim)
        home = entry.home
        entry.service = service
        entry.ready = True
        entry.begun = False
        entry.limit = None
        entry.state = VETTING
        entry.since = now
        entry.uses += 1
        home.connecting -= 1
        home.created += 1
        home.last_error = None
        if self._last_error is not None and self._last_error[0] == home.endpoint:
            self._last_error = None
        if entry.services is not None and service in entry.services:
            entry.doomed = entry.doomed or STALE
        if entry.doomed:
            self._take_away(claim, entry, effects)
            self._ask_again(entry, claim, now, patient)
        self._serve(home, now, effects)
        return effects

    def confirm(self, claim: Claim, now: float, patient: bool) -> Effects | None:
        """The connection was vetted: lease it, or ask again if a clear overtook it."""
        entry = _entry_of(claim)
        if not entry.doomed:
            entry.state = IN_USE
            entry.since = now
            entry.begun = False
            return None
        effects = Effects()
        self._take_away(claim, entry, effects)
        self._ask_again(entry, claim, now, patient)
        return effects

    def dead(self, claim: Claim, now: float, patient: bool) -> Effects:
        """The connection failed its check: close it and ask again."""
        effects = Effects()
        entry = _entry_of(claim)
        entry.home.errors += 1
        self._take_away(claim, entry, effects)
        self._ask_again(entry, claim, now, patient)
        return effects

    def retreat(self, claim: Claim, now: float, patient: bool) -> Effects:
        """A clear overtook the connect before it was opened: give the permit up and ask again."""
        effects = Effects()
        entry = _entry_of(claim)
        home = entry.home
        if entry.begun:
            self._take_away(claim, entry, effects)
        else:
            claim.entry = None
            home.connecting -= 1
            self._drop(entry, effects)
        self._ask_again(entry, claim, now, patient)
        self._serve(home, now, effects)
        self._forget(home)
        return effects

    def failed(self, claim: Claim, error: BaseException, now: float) -> None:
        """Note that ``create`` or a hook raised; the claim keeps what it holds until ``abandon``."""
        entry = _entry_of(claim)
        entry.home.errors += 1
        if entry.state is CONNECTING:
            entry.home.last_error = (error, now)
            self._last_error = (entry.home.endpoint, error, now)

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
            home.queue.pop(claim, None)
            self._measure(home)
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
        if entry.doomed or home.special:
            effects = Effects()
            self._put(entry, now, effects)
            return effects if effects.close or effects.wake else None
        entry.state = IDLE
        entry.since = now
        entry.next = home.top
        home.top = entry
        return None

    def end(self, claim: Claim, now: float) -> Entry | None:
        """End the lease; its entry is the caller's now, for ``put`` or ``doom``.

        Nothing if the lease has ended, or has not begun: the connection is not there yet, or not prepared.
        """
        entry = claim.entry
        if entry is None or entry.state is not IN_USE:
            return None
        self._end(claim, entry, now)
        if not entry.doomed and self._surplus(entry):
            entry.doomed = IDLENESS
        return entry

    def put(self, entry: Entry, now: float) -> Effects:
        """Give a connection back that is fit for use."""
        effects = Effects()
        self._put(entry, now, effects)
        return effects

    def doom(self, entry: Entry, failed: bool = False) -> Effects:
        """Give a connection back that is not fit for use (``failed``: because a hook failed)."""
        effects = Effects()
        if failed:
            entry.home.errors += 1
        self._close(entry, ERROR, effects)
        return effects

    def closed(self, entry: Entry, now: float) -> Effects:
        """The connection is closed: its place is free."""
        effects = Effects()
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
        return survey(self._chosen(endpoint, everywhere), self._last_error, now)


def _entry_of(claim: Claim) -> Entry:
    entry = claim.entry
    assert entry is not None, "bug: the claim holds nothing"
    return entry
