"""The decisions about a pool of shared connections as a whole: its size, what is broken, what there is."""

from collections.abc import Iterable
from operator import attrgetter
from sys import maxsize
from typing import Any, NamedTuple

from pool._core.ledger import IDLENESS
from pool._core.records import NOTHING, Effects, Entry, Filler, Wakeable
from pool._core.report import Survey
from pool._core.shares import Shares
from pool._core.states import CLOSING, FORKED, GONE, IDLE, READY, SHARED
from pool._core.trunk import Trunk, shared

__all__ = ["Members", "SharedCore"]


class Members(NamedTuple):
    """The user's own connections, the oldest first, and how many shares they have."""

    connected: list[Any]
    broken: list[Any]
    all: list[Any]
    pending: int
    size: int


class SharedCore(Shares):
    """One endpoint's pool of shared connections. ``max_size`` is its size."""

    __slots__ = ()

    # -- sizes --------------------------------------------------------------------------------------

    def admit(
        self,
        endpoint: Any,
        count: int,
        now: float,
        waiter: Wakeable,
        extra: bool,
        effects: Effects,
    ) -> list[Filler] | None:
        """Give permits to connect to whoever fills the pool by hand.

        Parameters:
            endpoint: the endpoint.
            count: how many he wants.
            now: the time.
            waiter: to be woken when he should ask again, if he gets none.
            extra: whether they come on top of what there is, and not in place of what is broken.
            effects: what must be done is added here.

        Returns:
            Some of them; ``None`` if there is no room for one.
        """
        home = self._homes.get(endpoint)
        if (
            home is None
            or home.state is not READY
            or len(home.entries) - home.closing >= self._max_size
        ):
            return None
        fillers: list[Filler] = []
        while len(fillers) < count and self._may_connect(home):
            filler = Filler(endpoint)
            self._permit(home, filler, now, effects)
            assert isinstance(filler.entry, Trunk), "bug: granted nothing"
            filler.entry.extra = extra
            fillers.append(filler)
        if not fillers:
            home.warmers += (waiter,)
        return fillers

    def adopt(self, endpoint: Any, connection: Any, effects: Effects, now: float) -> Filler | None:
        """Give the permit, and room, to a connection that was opened elsewhere; ``None`` if closed.

        Raises:
            ValueError: it is here already.
        """
        home = self._homes.get(endpoint)
        if home is None or home.state is not READY:
            return None
        if any(trunk.connection is connection for trunk in home.every()):
            raise ValueError(f"{connection!r} is in this pool already")
        self._max_size = max(self._max_size, shared(home).places() + 1)
        filler = Filler(endpoint)
        self._permit(home, filler, now, effects)
        assert isinstance(filler.entry, Trunk), "bug: granted nothing"
        filler.entry.extra = filler.entry.begun = True
        filler.entry.connection = connection
        return filler

    def missing(self, endpoint: Any, broken_only: bool) -> int:
        """How many connections can be opened now, or how many broken ones there are to be replaced."""
        home = self._homes.get(endpoint)
        if home is None:
            return 0
        home = shared(home)
        return len(home.gone) if broken_only else self._max_size - len(home.entries) + home.closing

    def enlarge(self, endpoint: Any, count: int, now: float) -> Effects:
        """Have room for ``count`` more than there are; who waits for room gets it first."""
        effects = Effects()
        home = self._homes.get(endpoint)
        places = 0 if home is None else shared(home).places()
        self._max_size = max(self._max_size, places + count)
        if home is not None:
            self._serve(home, now, effects)
        return effects

    def reduce(
        self, endpoint: Any, count: int, include_pending: bool, now: float
    ) -> tuple[int, Effects]:
        """Make the pool smaller: by unused room, then broken connections, then idle ones.

        Parameters:
            endpoint: the endpoint.
            count: by how much.
            include_pending: then also by those in use, the least loaded first: they close when the last
                caller has left.
            now: the time.

        Returns:
            By how much it is smaller, and what must be done.
        """
        effects = Effects()
        count = min(count, self._max_size)
        known = self._homes.get(endpoint)
        if known is None:
            self._max_size -= count
            return count, effects
        home = shared(known)
        # What is to be closed anyway is as good as room. Whoever connects in place of a broken one counts as
        # well as that: the one place is free when both are gone.
        kept = sum(trunk.state is not CLOSING and not trunk.doomed for trunk in home.every())
        left = max(kept + len(home.gone) + len(home.breaking) - (self._max_size - count), 0)
        for listed in (home.gone, home.breaking):
            for number in list(listed)[:left]:
                del listed[number]
                left -= 1
        working = [trunk for trunk in home.working() if not trunk.doomed]
        for trunk in sorted(working, key=attrgetter("since")):
            if left and trunk.state is IDLE:
                self._retire(trunk, effects)
                left -= 1
        for trunk in sorted(working, key=attrgetter("pending")):
            if left and include_pending and trunk.state is SHARED:
                self._doom(trunk, IDLENESS)
                left -= 1
        removed = count - min(count, left)
        self._max_size -= removed
        return removed, effects

    def retract(self, entries: Iterable[Entry]) -> Effects:
        """Close what was just opened, or when the last caller has left it."""
        effects = Effects()
        for entry in entries:
            if entry.ready and entry.state not in (CLOSING, GONE, FORKED):
                self._condemn(entry, IDLENESS, False, effects)
        return effects

    def forget_broken(self, endpoint: Any) -> int:
        """Replace what is broken no more; return how many connections that are."""
        home = self._homes.get(endpoint)
        if home is None:
            return 0
        home = shared(home)
        count = len(home.gone) + len(home.breaking)
        home.gone.clear()
        home.breaking.clear()
        return count

    def distrust(self) -> None:
        """The clock has jumped: what is idle must be checked before it is used."""
        for home in self._homes.values():
            for trunk in home.every():
                trunk.suspect = True

    # -- questions ----------------------------------------------------------------------------------

    def survey(self, endpoint: Any, everywhere: bool, now: float) -> Survey:
        """Say who holds what and who waits, and for how many there is room."""
        pending = self.members(endpoint).pending
        limit = None if self._max_pending == maxsize else self._max_pending
        text = f"size={self._max_size}, max_pending={limit}, {pending} pending"
        return super().survey(endpoint, everywhere, now)._replace(sharing=text)

    def members(self, endpoint: Any) -> Members:
        """The connections, and what can be counted."""
        known = self._homes.get(endpoint)
        if known is None:
            return Members([], [], [], 0, self._max_size)
        home = shared(known)
        working = {trunk.id: trunk.connection for trunk in home.working()}
        broken = dict(sorted((home.gone | home.breaking).items()))
        return Members(
            list(working.values()),
            list(broken.values()),
            # No two have the same number: the user's objects are never compared.
            [connection for _, connection in sorted((working | broken).items())],
            sum(trunk.pending for trunk in home.every()),
            self._max_size,
        )

    def least(self, endpoint: Any) -> Any:
        """The working connection with the fewest shares, ``NOTHING`` if none works."""
        home = self._homes.get(endpoint)
        if home is None:
            return NOTHING
        home = shared(home)
        # Of those that are being checked, one may be all there is.
        working = (trunk for trunk in home.working() if not trunk.doomed)
        least = home.loads.least() or min(working, key=attrgetter("pending"), default=None)
        return NOTHING if least is None else least.connection

    def shut(self, endpoint: Any, everywhere: bool) -> Effects:
        """Close the pool for good: nothing is to be replaced."""
        effects = super().shut(endpoint, everywhere)
        for home in self._homes.values():
            shared(home).gone.clear()
            shared(home).breaking.clear()
        return effects
