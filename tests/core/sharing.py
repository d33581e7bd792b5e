"""One who plays the callers and the worker of a pool of shared connections."""

from math import inf
from typing import Any

from core.books import Caller, Waiter
from core.desk import Desk, entry_of

from pool import PoolOptions
from pool._core.records import Effects, Entry, Filler
from pool._core.shared import Members, SharedCore
from pool._core.states import CONNECTING, GRANTED, VETTING
from pool._core.trunk import Share, SharedHome, Trunk

__all__ = ["SharedDesk", "share_of"]


def share_of(caller: Caller) -> Share:
    """The share he holds."""
    share = caller.entry
    assert isinstance(share, Share)
    return share


class SharedDesk(Desk):
    """A core of shared connections and what there is to do for it; its endpoint is ``"a"``.

    Parameters:
        size: connections there may be.
        max_pending: shares of one.
        chance, vet_after, options: as for ``Desk``.
    """

    core: SharedCore

    def __init__(
        self,
        size: int = 1,
        max_pending: int | None = None,
        chance: float = 0.0,
        vet_after: float = inf,
        **options: Any,
    ) -> None:
        super().__init__(chance, vet_after)
        defaults = {"max_connecting": 9, "idle_timeout": None, "total_max_size": None}
        given = PoolOptions(**{**defaults, **options, "max_size": size})
        self.core = SharedCore(
            given, vet_after, Waiter, lambda: self.chance, self._alert, max_pending
        )
        self.know("a")

    @property
    def place(self) -> SharedHome:
        """The endpoint's part of the pool."""
        home = self.home("a")
        assert isinstance(home, SharedHome)
        return home

    @property
    def members(self) -> Members:
        return self.core.members("a")

    def trunk(self, number: int) -> Trunk:
        """The record of a connection."""
        (trunk,) = [trunk for trunk in self.place.every() if trunk.id == number]
        return trunk

    # -- callers -------------------------------------------------------------------------------------

    def want(self, now: float = 0.0, patient: bool = True, owner: Any = None) -> Caller:
        """Ask for a share."""
        return self.ask("a", now, owner, patient)

    def proceed(self, caller: Caller, now: float) -> Entry:
        assert caller.verdict is GRANTED
        entry = entry_of(caller)
        if entry.state is CONNECTING:
            self.open_up(caller, now)
            entry = entry_of(caller)
        if entry.state is VETTING:
            self.apply(self.core.confirm(caller, now, True))
        return entry

    def open_up(self, caller: Caller, now: float = 0.0, patient: bool = True) -> None:
        """His connect succeeds."""
        entry = entry_of(caller)
        entry.begun = True
        entry.connection = f"connection {entry.id}"
        self.apply(self.core.opened(caller, None, now, patient))

    def fails(self, caller: Caller, now: float = 0.0, patient: bool = True) -> Effects | None:
        """His connect fails: what comes of it if anything else will do."""
        entry_of(caller).begun = True
        self.core.failed(caller, OSError("refused"), now)
        effects = self.core.instead(caller, now, patient)
        self.apply(effects)
        return effects

    def use(self, now: float = 0.0, count: int = 1, owner: Any = None) -> list[Caller]:
        """Get shares."""
        return [self.lease("a", now, owner) for _ in range(count)]

    def back(self, *callers: Caller, now: float = 0.0) -> None:
        """They give their shares back."""
        for caller in callers:
            self.give_back(caller, now)

    def ruin(self, *callers: Caller, now: float = 0.0) -> None:
        """They find their connection broken."""
        for caller in callers:
            self.discard(caller, now)

    def held(self, *callers: Caller) -> list[int]:
        """The connections they have shares of."""
        return [share_of(caller).trunk.id for caller in callers]

    # -- the stock -----------------------------------------------------------------------------------

    def admit(self, count: int, now: float = 0.0, extra: bool = False) -> list[Filler] | None:
        """Ask for permits to fill the pool by hand."""
        effects = Effects()
        self.filler_waits = Waiter()
        claims = self.core.admit("a", count, now, self.filler_waits, extra, effects)
        self.apply(effects)
        return claims

    def fill_one(self, claim: Filler, now: float = 0.0) -> Entry:
        """A connection that nobody asked for is open."""
        entry = claim.entry
        assert entry is not None
        entry.begun = True
        entry.connection = f"connection {entry.id}"
        self.apply(self.core.filled(claim, None, now))
        return entry

    def open(self, count: int, now: float = 0.0, extra: bool = False) -> list[Trunk]:
        """Have some more connections idle."""
        claims = self.admit(count, now, extra)
        assert claims is not None
        assert len(claims) == count
        entries = [self.fill_one(claim, now) for claim in claims]
        return [entry for entry in entries if isinstance(entry, Trunk)]

    def loads(self) -> list[int]:
        """How many shares each connection has, the oldest first."""
        return [trunk.pending for trunk in self.place.every()]
