"""The records of connections that many callers use at once.

A ``Trunk`` is the record of such a connection; each caller's part of it is a ``Share``, which is to its claim
what an entry is elsewhere. So whatever holds, gives back or tells of an entry does so with a share.

Shares are owned as entries are: by their claims alone. A trunk that may be lent belongs to the ``Loads`` of
its home; one that may not, to its shares, or to whoever connects, checks or closes it.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from math import inf
from typing import Any
from weakref import ref

from pool._core.home import Home
from pool._core.ledger import ERROR
from pool._core.records import Aside, Entry
from pool._core.states import CLOSING, CONNECTING, IDLE, IN_USE, OWED, SHARED, VETTING

__all__ = ["Loads", "Share", "SharedHome", "Trunk", "home_of", "shared"]

#: The level of a trunk that may not be lent.
_OUT = -1


class Trunk(Entry):
    """The record of a connection that many use at once: ``SHARED`` while anybody does."""

    __slots__ = ("last", "level", "pending", "shares")

    extra = Aside(False)
    """Whether it comes on top of what there is, and not in place of a broken one."""

    def __init__(self, home: "SharedHome", number: int, now: float) -> None:
        super().__init__(home, number, now)
        self.shares: dict[int, ref[Share]] = {}
        self.last = 0
        """The number of its last share."""
        self.pending = 0
        """How many shares it has."""
        self.level = _OUT
        """Where it stands among those that may be lent."""

    def leases(self) -> Sequence[Entry]:
        if self.state is not SHARED:
            return (self,)
        return [share for known in self.shares.values() if (share := known()) is not None]

    def tally(self) -> tuple[int, int]:
        states = [share.state for share in self.leases()]
        return self.uses - states.count(VETTING), states.count(IN_USE)


class Share(Entry):
    """One caller's part of a connection."""

    __slots__ = ("alone", "fate", "place", "trunk")

    # Made for each lease: only what is asked of a share is set.
    def __init__(self, trunk: Trunk, now: float) -> None:
        trunk.last += 1
        trunk.pending += 1
        self.trunk = trunk
        self.place = trunk.last
        self.alone = False
        """Whether nobody else gets the connection before it is confirmed."""
        self.fate = ""
        self.home = trunk.home
        self.id = trunk.id
        self.connection = trunk.connection
        self.aside = None
        self.state = VETTING
        self.since = trunk.since
        self.lent = now
        self.look = inf
        self.suspect = trunk.suspect
        self.begun = self.marked = self.watched = False
        trunk.shares[self.place] = ref(self)

    @property
    def doomed(self) -> str:
        """Why its connection will be closed, or must be when the share comes back."""
        return self.fate or self.trunk.doomed

    @doomed.setter
    def doomed(self, reason: str) -> None:
        self.fate = reason

    @property
    def uses(self) -> int:
        """The checkouts of its connection."""
        return self.trunk.uses

    @uses.setter
    def uses(self, count: int) -> None:
        self.trunk.uses = count

    def is_doubtful(self, now: float, after: float) -> bool:
        # If others use the connection, it is known to be there.
        return self.alone and super().is_doubtful(now, after)

    def __del__(self) -> None:
        if self.state in OWED:
            # A garbage collection may have cut the references already: also that to the connection, if only
            # lost shares have it.
            self.trunk.shares[self.place] = ref(self)
            self.home.entries[self.id] = self.trunk.ref
            self.home.lost(self)


class Loads:
    """The trunks that may be lent, by how many shares each has.

    To find the least loaded one, to lend it and to take a share back take the same time however many there
    are: a load changes by one only. To take a trunk out may take time for each different load.

    Parameters:
        last_first: of equally loaded ones the one that was lent or came back last goes first.
    """

    __slots__ = ("_last_first", "_least", "_levels")

    def __init__(self, last_first: bool) -> None:
        self._last_first = last_first
        self._levels: dict[int, OrderedDict[Trunk, None]] = {}
        self._least = 0

    def least(self) -> Trunk | None:
        """Return the least loaded one, if there is any."""
        if not self._levels:
            return None
        level = self._levels[self._least]
        return next(reversed(level) if self._last_first else iter(level))

    def settle(self, trunk: Trunk) -> None:
        """Have it stand where its load belongs; it may be new."""
        load = trunk.pending
        before = trunk.level
        if load == before:
            return
        if not self._levels or load < self._least:
            self._least = load
        level = self._levels.get(load)
        if level is None:
            level = self._levels[load] = OrderedDict()
        level[trunk] = None
        trunk.level = load
        if before is not _OUT:
            self._clear(trunk, before)

    def remove(self, trunk: Trunk) -> None:
        """Have it lent no more; nothing if it is not."""
        before = trunk.level
        if before is not _OUT:
            trunk.level = _OUT
            self._clear(trunk, before)

    def _clear(self, trunk: Trunk, load: int) -> None:
        level = self._levels[load]
        del level[trunk]
        if not level:
            del self._levels[load]
            if load == self._least and self._levels:
                # As a rule it has gone up by one.
                self._least = load + 1 if load + 1 in self._levels else min(self._levels)


class SharedHome(Home):
    """One endpoint's part of a pool whose connections are shared.

    A connection that is broken keeps its place, and is listed, until another one has been opened for it.
    """

    __slots__ = ("breaking", "gone", "loads")

    def __init__(self, endpoint: Any, lost: Callable[[Entry], None], last_first: bool) -> None:
        super().__init__(endpoint, lost)
        self.loads = Loads(last_first)
        self.breaking: dict[int, Any] = {}
        """Broken connections that callers still hold, by their numbers."""
        self.gone: dict[int, Any] = {}
        """Broken ones that nobody holds any more."""

    def every(self) -> "list[Trunk]":  # type: ignore[override]
        return super().every()  # type: ignore[return-value]

    def places(self) -> int:
        """How many places are taken; what is opened in place of a broken one takes that one's."""
        every = self.every()
        replacing = sum(trunk.state is CONNECTING and not trunk.extra for trunk in every)
        return len(self.entries) - self.closing + max(len(self.gone) - replacing, 0)

    def working(self) -> list[Trunk]:
        """The connections that are open and not broken, the oldest first."""
        open_ones = [trunk for trunk in self.every() if trunk.ready and trunk.state is not CLOSING]
        # A broken one may be listed no more while callers have it still.
        return [trunk for trunk in open_ones if trunk.doomed != ERROR]

    def hide(self, entry: Entry) -> None:
        if isinstance(entry, Trunk):
            self.loads.remove(entry)

    def unhide(self, entry: Entry) -> bool:
        return False

    def sweep(self) -> None:
        pass

    def idle(self) -> list[Entry]:
        return [trunk for trunk in self.every() if trunk.state is IDLE]


def shared(home: Home) -> SharedHome:
    """Return a home of a pool of shared connections as what it is."""
    assert isinstance(home, SharedHome), "bug: a home of another pool"
    return home


def home_of(entry: Entry) -> SharedHome:
    """Return where an entry belongs."""
    return shared(entry.home)
