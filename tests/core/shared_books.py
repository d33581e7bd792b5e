"""All callers of one pool of shared connections, and what must be true after each of their steps."""

from collections import Counter
from typing import Any

from core.books import Books, Caller
from hypothesis.stateful import invariant

from pool._core.home import Home
from pool._core.ledger import ERROR
from pool._core.records import Claim, Effects, Entry, Filler
from pool._core.shared import SharedCore
from pool._core.states import (
    CHECKING,
    CLOSING,
    CONNECTING,
    HELD,
    IDLE,
    IN_USE,
    READY,
    RELEASING,
    SHARED,
    VETTING,
    WAITING,
)
from pool._core.trunk import Share, SharedHome, Trunk

__all__ = ["SharedBooks", "WatchedSharedCore"]


class WatchedSharedCore(SharedCore):
    """Asserts, whenever something is given to a claim, that it may be."""

    time = 0.0
    """The time of the present decision."""
    adopting = False
    """Whether the present permit is for what somebody else has opened."""

    def _assign(self, entry: Entry, claim: Claim) -> None:
        home = entry.home
        assert home.state is READY
        assert not self._closed
        assert not entry.doomed, "lent, or permitted, though it is to be closed"
        if isinstance(entry, Share):
            trunk = entry.trunk
            assert trunk.pending <= self._max_pending, "more shares than there may be"
            assert trunk.expires > self.time, "lent though its time is over"
            assert trunk.id not in home.breaking  # type: ignore[attr-defined]
            others = [known for known in trunk.leases() if known is not entry]
            assert not any(map(_is_alone, others)), "somebody is to be alone with it"
        elif not self.adopting:
            assert isinstance(entry, Trunk)
            opening = [other for other in home.every() if not other.ready]
            assert len(opening) <= self._max_connecting, "a permit above max_connecting"
            assert len(home.entries) <= self._max_size, "a permit above the size"
            if isinstance(claim, Filler) is False and claim.verdict is not WAITING:
                assert not home.queue or self.again, "overtook those who wait"
        super()._assign(entry, claim)

    again = False
    """Whether one asks whose turn had come already."""

    def _ask_again(self, *given: Any) -> None:
        self.again = True
        super()._ask_again(*given)
        self.again = False


class SharedBooks(Books):
    """Who is where, and the invariants."""

    core: WatchedSharedCore  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.ended: set[int] = set()
        """The connections whose end was told."""
        self.broken: set[int] = set()
        """Those of them, or in use still, that are known to be broken."""

    @property
    def place(self) -> SharedHome:
        home = self.core._homes["a"]
        assert isinstance(home, SharedHome)
        return home

    def every(self) -> list[Trunk]:
        return self.place.every()

    def time(self) -> float:
        self.core.time = self.now
        return self.now

    early = time

    def apply(self, effects: Effects | None) -> None:
        if effects is None:
            return
        for entry in effects.close:
            assert isinstance(entry, Trunk)
            assert entry.state is CLOSING
            assert entry.doomed, "closed without a reason"
            assert entry not in self.closing, "closed twice"
            again = ("a", entry.id) in self.vanished
            assert again or entry.id not in self.ended, "closed twice"
            self.ended.add(entry.id)
            self.closing.append(entry)
        for entry in effects.lost:
            assert isinstance(entry, Share)
        for waiter in effects.wake:
            waiter.wake()
        for entry in effects.interrupt:
            assert isinstance(entry, Trunk)
            assert entry.state in HELD | {CONNECTING}
        if effects.ring:
            assert self.options.background_collector
            self.awake = self.rung = True

    def is_knotted(self, caller: Caller) -> bool:
        """Whether all who have shares wait, he among them, and no room is about to be free."""
        home: Home = self.place
        if caller.entry is not None or home.closing or len(home.entries) < self.core._max_size:
            return False
        waiting = {claim.owner for claim in home.queue}
        leases = [lease for trunk in self.every() for lease in trunk.leases()]
        owners = {lease.owner for lease in leases}
        at_work = any(lease.state is not IN_USE for lease in leases)
        return not at_work and owners <= waiting and caller.owner in owners

    # -- what must be true ---------------------------------------------------------------------------

    def shares(self) -> list[Share]:
        """All shares, from those who have them."""
        owned = [caller.entry for caller in self.callers]
        owned += self.releasing
        owned += self.left
        owned += self.core._lost
        return [entry for entry in owned if isinstance(entry, Share)]

    @invariant()
    def each_share_is_somebodys(self) -> None:
        shares = self.shares()
        assert len(set(map(id, shares))) == len(shares), "owned twice"
        live = [share for share in shares if share.state in (VETTING, IN_USE, RELEASING)]
        counts = Counter(share.trunk.id for share in live)
        for trunk in self.every():
            assert trunk.pending == counts[trunk.id] == len(trunk.shares)
            assert (trunk.state is SHARED) == (trunk.pending > 0)
            if trunk.pending:
                known = {id(lease) for lease in trunk.leases()}
                assert known == {id(share) for share in live if share.trunk is trunk}
                assert trunk.ready
        assert self.core.members("a").pending == len(live)
        alone = [share.trunk.id for share in live if share.alone]
        assert all(counts[number] == 1 for number in alone), "not alone"

    @invariant()
    def the_loads_are_right(self) -> None:
        loads = self.place.loads
        standing = []
        for load, level in loads._levels.items():
            assert level, "a level of nobody"
            for trunk in level:
                assert trunk.pending == trunk.level == load
                standing.append(trunk)
        may_be_lent = [
            trunk
            for trunk in self.every()
            if trunk.state is IDLE
            or (trunk.state is SHARED and not any(map(_is_alone, trunk.leases())))
        ]
        expected = {trunk.id for trunk in may_be_lent if not trunk.doomed}
        assert {trunk.id for trunk in standing} == expected
        assert len(standing) == len(expected)
        assert all(trunk.level == -1 for trunk in self.every() if trunk.id not in expected)
        least = loads.least()
        fewest = min((trunk.pending for trunk in standing), default=None)
        assert (None if least is None else least.pending) == fewest
        assert bool(standing) == (least is not None)

    @invariant()
    def nothing_is_free_while_somebody_waits(self) -> None:
        core, home = self.core, self.place
        self.see_who_was_served("a")
        if not home.queue:
            return
        assert home.state is READY
        for trunk in self.every():
            if trunk.level != -1:
                assert trunk.pending >= core._max_pending, "somebody waits, and there is a share"
        if core._may_connect(home) and self.options.background_collector:
            # In a pause, which is over at once if nothing works any more.
            works = home.loads.least() is not None
            planned = home.look <= (home.retry if works else 0.0)
            assert planned or home.filling or self.rung, "there is room, and nobody will use it"

    @invariant()
    def the_counts_are_right(self) -> None:
        core, home = self.core, self.place
        entries = self.every()
        states = Counter(entry.state for entry in entries)
        assert list(home.entries) == [entry.id for entry in entries]
        assert set(states) <= {CONNECTING, SHARED, IDLE, CHECKING, CLOSING}
        assert home.connecting == sum(not entry.ready for entry in entries)
        assert home.closing == core._closing == states[CLOSING]
        assert home.filling == sum(entry.fill for entry in entries)
        assert home.marked == sum(entry.marked for entry in entries)
        assert core._size == len(entries)
        assert home.stock == sum(e.ready and e.state is not CLOSING for e in entries)
        assert not any(entry.marked or entry.doomed for entry in entries if entry.state is IDLE)
        assert not any(entry.owner for entry in entries if entry.ready)
        stats = core.stats(None, True)
        assert stats.total == len(entries)
        assert stats.in_use == states[SHARED] + states[CHECKING]
        assert stats.waiting == len(self.queues["a"])
        assert stats.acquired == self.leases
        lasting = sum(share.state is IN_USE for share in self.shares())
        assert stats.acquired - stats.released == lasting
        assert stats.created - stats.closed == sum(entry.ready for entry in entries)

    @invariant()
    def what_is_broken_is_listed(self) -> None:
        home, core = self.place, self.core
        there = {trunk.id: trunk for trunk in self.every()}
        for number in home.breaking:
            assert (there[number].state, there[number].doomed) == (SHARED, ERROR)
        for number in home.gone:
            assert number not in there or there[number].state is CLOSING
        assert not (home.breaking and core.is_closed())
        members = core.members("a")
        works = [t for t in there.values() if t.ready and t.state is not CLOSING]
        works = [trunk for trunk in works if trunk.doomed != ERROR]
        assert members.connected == [trunk.connection for trunk in works]
        assert len(members.broken) == len(home.breaking) + len(home.gone)
        assert len(members.all) == len(members.broken) + len(members.connected)
        fit = any(not trunk.doomed for trunk in works)
        assert isinstance(core.least("a"), str) == fit

    @invariant()
    def what_comes_due_is_on_the_agenda(self) -> None:
        core = self.core
        if core.is_closed():
            return
        for trunk in self.every():
            if trunk.state is IDLE:
                due = min(trunk.expires, trunk.since + core._idle_timeout)
                if self.options.background_collector:
                    due = min(due, max(trunk.since, trunk.checked) + trunk.gap)
                assert trunk.look <= due, "nobody will look at it"
        home = self.place
        lacks = [number for number in home.gone if number not in home.entries]
        waits = self.options.background_collector and len(lacks) > home.connecting
        if waits and core._may_connect(home) and not home.filling:
            assert home.look <= home.retry, "nobody will replace what is broken"


def _is_alone(entry: Entry) -> bool:
    return isinstance(entry, Share) and entry.alone
