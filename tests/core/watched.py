"""A core that looks at each of its own moves, where the state after a whole decision tells too little."""

from collections.abc import Callable

from pool import PoolOptions
from pool._core.home import Home
from pool._core.pool import PoolCore
from pool._core.records import Claim, Effects, Entry, Filler, Wakeable
from pool._core.states import (
    CHECKING,
    CLOSING,
    CONNECTING,
    IDLE,
    IN_USE,
    READY,
    RELEASING,
    VETTING,
    WAITING,
)
from pool._core.upkeep import Chores

__all__ = ["WatchedCore"]


class WatchedCore(PoolCore):
    """Asserts, at each move, that it is allowed. Counts again instead of using the core's own counts."""

    def __init__(
        self,
        options: PoolOptions,
        vet_after: float,
        new_waiter: Callable[[], Wakeable],
        chance: Callable[[], float],
        alert: Callable[[Entry], None],
    ) -> None:
        super().__init__(options, vet_after, new_waiter, chance, alert)
        self.time = 0.0
        """The time of the present decision."""
        self.again = False
        """Whether one asks whose turn had come already."""
        self.visits = 0
        self.owed = 0
        """How many the present fill may replace."""

    # -- counted again -------------------------------------------------------------------------------

    def every(self) -> list[Entry]:
        return [entry for home in self._homes.values() for entry in home.every()]

    def open_at(self, home: Home) -> int:
        """How many are there that are not being closed."""
        return sum(entry.state is not CLOSING for entry in home.every())

    def ready_at(self, home: Home) -> int:
        """How many are open there, and not being closed."""
        return sum(entry.ready and entry.state is not CLOSING for entry in home.every())

    def is_over(self, entry: Entry, now: float) -> bool:
        """Whether the time of an entry that nobody uses is over."""
        if entry.expires <= now:
            return True
        spare = self.ready_at(entry.home) > self._min_size
        return spare and entry.since + self._idle_timeout <= now

    def hunger_at(self, home: Home) -> int:
        """How many there could connect if only there were room in the pool."""
        if home.state is not READY or self._total > 1000:
            return 0
        places = self._max_size - len(home.entries)
        permits = self._max_connecting - sum(not entry.ready for entry in home.every())
        return max(min(len(home.queue), places, permits), 0)

    def hungry(self) -> list[Home]:
        return [home for home in self._homes.values() if self.hunger_at(home)]

    def demand(self) -> int:
        return sum(self.hunger_at(home) for home in self._homes.values())

    def is_pressed(self) -> bool:
        """Whether what comes back must make room."""
        closing = sum(entry.state is CLOSING for entry in self.every())
        return self.demand() > closing or len(self.every()) - closing > self._total

    # -- moves ---------------------------------------------------------------------------------------

    def _ask_again(
        self, lost: Entry, claim: Claim, now: float, patient: bool, effects: Effects
    ) -> None:
        self.again = True
        super()._ask_again(lost, claim, now, patient, effects)
        self.again = False

    def _assign(self, entry: Entry, claim: Claim) -> None:
        assert not entry.doomed, "lent, or permitted, though it is to be closed"
        if entry.state is CONNECTING:
            self.may_be_permitted(entry.home, claim)
        else:
            assert not self.is_over(entry, self.time), "lent though its time is over"
            if claim.verdict is WAITING:
                self.may_be_kept(claim)
        super()._assign(entry, claim)

    def may_be_permitted(self, home: Home, claim: Claim) -> None:
        """A permit is about to be given, its entry is there already."""
        assert home.state is READY
        assert not self._closed
        opening = [entry for entry in home.every() if not entry.ready]
        assert len(opening) <= self._max_connecting, "a permit above max_connecting"
        assert len(home.entries) <= self._max_size, "a permit above max_size"
        assert len(self.every()) <= self._total, "a permit above total_max_size"
        if isinstance(claim, Filler):
            assert not home.queue, "a fill while somebody queues there"
            assert not self.demand(), "a fill while somebody waits for room"
            fills = sum(entry.fill for entry in opening)
            assert fills < (1 if home.failures else home.ramp), "too many fills at once"
            assert home.retry <= self.time, "a fill too early after a failure"
            if self.open_at(home) > self._min_size:
                self.owed -= 1
                assert self.owed >= 0, "a fill without need"
        elif claim.verdict is WAITING:
            self.has_its_turn(claim)
        else:
            assert self.again or not (home.queue or self.hungry()), "overtook those who wait"

    def has_its_turn(self, claim: Claim) -> None:
        """It gets room in the pool: it must be the oldest who can use that."""
        assert not self.older(claim), "served before one who has waited longer"

    def may_be_kept(self, claim: Claim) -> None:
        """It gets a connection: nobody who has waited longer must need the room of it."""
        closing = sum(entry.state is CLOSING for entry in self.every())
        assert len(self.every()) - closing <= self._total, "kept, though there are too many"
        assert len(self.older(claim)) <= closing, "served before one who has waited longer"

    def older(self, claim: Claim) -> list[Claim]:
        """Those who have waited longer for room in the pool."""
        hungry = [
            other
            for home in self._homes.values()
            for other in list(home.queue)[: self.hunger_at(home)]
        ]
        return [other for other in hungry if other.ticket < claim.ticket]

    def _close(self, entry: Entry, reason: str, effects: Effects) -> None:
        allowed = (CONNECTING, VETTING, IDLE, CHECKING, RELEASING, IN_USE)
        assert entry.state in allowed, f"closed while {entry.state}"
        super()._close(entry, reason, effects)

    def _retire(self, entry: Entry, effects: Effects) -> None:
        assert entry.state is IDLE, f"retired while {entry.state}"
        super()._retire(entry, effects)

    def _idlest(self) -> Entry | None:
        idle = [entry.since for entry in self.every() if entry.state is IDLE]
        found = super()._idlest()
        if found is None:
            assert not idle, "finds nothing idle though there is"
        else:
            assert found.since == min(idle), "evicts one that was used after another"
        return found

    # -- upkeep --------------------------------------------------------------------------------------

    def _fill(self, home: Home, now: float, hands: int, chores: Chores) -> None:
        self.owed = home.owed
        super()._fill(home, now, hands, chores)

    def chores(self, now: float, hands: int, everywhere: bool) -> Chores:
        self.visits = 0
        return super().chores(now, hands, everywhere)

    def _visit(self, entry: Entry, now: float, chores: Chores) -> None:
        self.visits += 1
        assert self.visits < 1000, "looks at the same ones for ever"
        idle, over = entry.state is IDLE, self.is_over(entry, now)
        super()._visit(entry, now, chores)
        if idle:
            assert (entry.state is CLOSING) == over, "retired too early, or kept too long"
