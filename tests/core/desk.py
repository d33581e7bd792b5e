"""One who plays the callers and the worker of a core by hand, in the order a test says."""

from math import inf
from typing import Any

from core.books import Caller, Waiter

from pool import PoolOptions
from pool._core.home import Home
from pool._core.pool import PoolCore
from pool._core.records import Claim, Effects, Entry
from pool._core.states import CONNECTING, GRANTED, IDLE, VETTING
from pool._core.upkeep import Chores

__all__ = ["Desk", "entry_of"]


def entry_of(claim: Claim) -> Entry:
    """What he holds."""
    assert claim.entry is not None
    return claim.entry


class Desk:
    """A core and what there is to do for it.

    Parameters:
        chance: what its dice show, from 0 to 1.
        vet_after: as for the core.
        options: of the pool.
    """

    def __init__(self, chance: float = 0.0, vet_after: float = inf, **options: Any) -> None:
        self.chance = chance
        self.core = PoolCore(
            PoolOptions(**options), vet_after, Waiter, lambda: self.chance, self._alert
        )
        self.callers: list[Caller] = []
        """All of them: whoever is forgotten loses what he holds."""
        self.closing: list[Entry] = []
        self.rings = 0
        self.alerts = 0

    def _alert(self, entry: Entry) -> None:
        self.alerts += 1

    def home(self, endpoint: str) -> Home:
        home: Home = self.core._homes[endpoint]
        return home

    def apply(self, effects: Effects | None) -> None:
        if effects is not None:
            self.closing += effects.close
            self.rings += effects.ring
            for waiter in effects.wake:
                waiter.wake()

    # -- callers -------------------------------------------------------------------------------------

    def ask(self, endpoint: str, now: float, owner: Any = None, patient: bool = True) -> Caller:
        """Request a connection."""
        self.know(endpoint, keep=False)
        caller = self.new(endpoint)
        caller.owner = owner or caller.owner
        self.apply(self.core.request(caller, now, patient))
        return caller

    def know(self, endpoint: str, keep: bool = True) -> None:
        """Make an endpoint known."""
        if not self.core.knows(endpoint):
            assert self.core.introduce(endpoint, keep, teller=0) is True
            self.apply(self.core.announced(endpoint, 0))

    def proceed(self, caller: Caller, now: float) -> Entry:
        """Connect, if need be, and use what the caller was granted."""
        assert caller.verdict is GRANTED
        entry = caller.entry
        assert entry is not None
        if entry.state is CONNECTING:
            entry.begun = True
            entry.connection = object()
            self.apply(self.core.opened(caller, None, now, True))
        if entry.state is VETTING:
            self.apply(self.core.confirm(caller, now, True))
        return entry

    def lease(self, endpoint: str, now: float, owner: Any = None) -> Caller:
        """Request a connection and get it."""
        caller = self.ask(endpoint, now, owner)
        self.proceed(caller, now)
        return caller

    def take(self, endpoint: str, now: float) -> Caller:
        """Get a connection the short way."""
        caller = self.new(endpoint)
        assert self.core.take(caller, now, caller.owner) is caller.entry
        return caller

    def new(self, endpoint: str) -> Caller:
        """A caller who has asked for nothing yet; nobody else is he."""
        caller = Caller(len(self.callers), endpoint)
        caller.owner = f"caller {caller.number}"
        self.callers.append(caller)
        return caller

    def give_back(self, caller: Caller, now: float) -> None:
        self.apply(self.core.check_in(caller, now))

    def discard(self, caller: Caller, now: float) -> None:
        """End a lease, and close its connection."""
        entry = self.core.end(caller, now)
        assert entry is not None
        self.apply(self.core.doom(entry))

    def stock(self, endpoint: str, *times: float) -> list[Entry]:
        """Have connections lie idle, last used at these times."""
        callers = [self.lease(endpoint, min(times)) for _ in times]
        entries = [caller.entry for caller in callers]
        for caller, time in zip(callers, times, strict=True):
            self.give_back(caller, time)
        return [entry for entry in entries if entry is not None and entry.state is IDLE]

    def clear(self, endpoint: str, service: Any = None, interrupt: bool = False) -> Effects:
        """Make every connection of now stale, or those to a service."""
        was = self.core.begin(endpoint, 0)
        assert isinstance(was, str)
        effects = Effects()
        self.core.clear(endpoint, 0, was, service, interrupt, effects)
        self.apply(effects)
        return effects

    # -- the rest ------------------------------------------------------------------------------------

    def close(self, now: float) -> list[Entry]:
        """Close what is to be closed; return that."""
        closing, self.closing = self.closing, []
        for entry in closing:
            self.apply(self.core.closed(entry, now))
        return closing

    def chores(self, now: float, hands: int = 1000, everywhere: bool = False) -> Chores:
        """Look what is due."""
        chores = self.core.chores(now, hands, everywhere)
        self.apply(chores.effects)
        return chores

    def fill(self, chores: Chores, now: float) -> None:
        """Open all that is to be filled."""
        for claim in chores.fills:
            entry = claim.entry
            assert entry is not None
            entry.begun = True
            entry.connection = object()
            self.apply(self.core.filled(claim, None, now))

    def fail(self, chores: Chores, now: float) -> None:
        """Fail to open what is to be filled."""
        for claim in chores.fills:
            assert claim.entry is not None
            claim.entry.begun = True
            self.core.failed(claim, OSError(), now)
            self.apply(self.core.abandon(claim, now))
        self.close(now)
