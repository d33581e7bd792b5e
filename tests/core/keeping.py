"""The operations by which a pool keeps itself, and what makes that hard: losses, new sizes, the clock."""

from math import inf
from random import Random
from typing import Any

from core.books import SOMEWHERE, USUALLY, Caller, Step, Waiter, pick
from core.truths import Truths

from pool import PoolOptions
from pool._core.records import Claim, Entry
from pool._core.states import (
    CHECKING,
    CLEARED,
    CLOSED,
    CONNECTING,
    GRANTED,
    IDLE,
    IN_USE,
    READY,
    VETTING,
    WAITING,
)
from pool._core.upkeep import Chores

__all__ = ["Keeping"]

HANDS = [1, 1000]


class Keeping(Truths):
    """What the worker does, and what happens to it."""

    def keeping(self) -> list[Step]:
        """What can happen, each with its share."""
        next_date = self.core._agenda.next()
        return [
            (6, self.wait, True),
            (8, self.wait_until_something_is_due, self.now < next_date < inf),
            (10, self.work, bool(self.homes())),
            (3, self.maintain, bool(self.homes())),
            (15, self.fill, bool(self.fillers)),
            (12, self.check, bool(self.checking)),
            (6, self.tell, bool(self.leaking)),
            (6, self.tell_no_more, bool(self.being_told)),
            (3, self.warm, True),
            (1, self.cool, bool(self.warmers)),
            (4, self.lose, bool(self.careless())),
            (3, self.lose_a_job, bool(self.jobs())),
            (3, self.resize, True),
            (2, self.distrust, True),
            (1, self.read_the_clock_early, True),
        ]

    # -- time ----------------------------------------------------------------------------------------

    def wait(self, dice: Random) -> None:
        self.now += dice.choice([0.1, 0.7, 1.0, 5.0])

    def wait_until_something_is_due(self, dice: Random) -> None:
        """To the very moment: not a bit later."""
        self.now = self.core._agenda.next() + self.lag

    # -- the worker ----------------------------------------------------------------------------------

    def work(self, dice: Random) -> None:
        """The worker looks, whether it was rung for or not."""
        hands = dice.choice(HANDS)
        time = self.early()
        self.rung = False
        chores = self.core.chores(time, hands, False)
        self.begin(chores, hands)
        assert (chores.next is None) == (self.core.is_closed() and not self.every())
        self.wakes = float("inf") if chores.next is None else chores.next
        if chores.jobs() < hands and not self.core.is_closed():
            assert self.wakes > time, "wants to look again at once"

    def maintain(self, dice: Random) -> None:
        """A round by hand: it ends when there is nothing left to do."""
        hands = dice.choice(HANDS)
        time = self.early()
        chores = self.core.chores(time, hands, True)
        self.begin(chores, hands)
        if chores.jobs() == hands or self.core.is_closed():
            return
        for home in self.homes():
            assert not self.core._may_fill(home) or time < home.retry
            for entry in home.every():
                if entry.state is IDLE:
                    assert not self.core.is_over(entry, time), "not retired"
                    assert time < max(entry.since, entry.checked) + entry.gap, "not checked"
                if entry.state is IN_USE:
                    due = entry.since + self.core._leak_threshold
                    told = not entry.watched or entry in self.leaking
                    assert told or time < due, "held too long, and nobody will tell"

    def begin(self, chores: Chores, hands: int) -> None:
        """Note what there is to do."""
        assert not self.core._lost
        assert chores.jobs() <= hands
        assert all(entry.state is CHECKING for entry in chores.checks)
        for claim in chores.fills:
            assert claim.entry is not None
            assert claim.entry.state is CONNECTING
        for entry in chores.leaks:
            assert entry.state is IN_USE
            assert entry.watched
        self.leaking += chores.leaks
        self.checking += chores.checks
        self.fillers += chores.fills
        self.apply(chores.effects)

    def fill(self, dice: Random) -> None:
        """One more step of a filler."""
        outcome = dice.choice(["good", "good", "good", "fails", "fails", "cancelled"])
        service = dice.choice([None, "s", "t"])
        claim = pick(dice, self.fillers)
        entry = claim.entry
        if entry.begun and outcome == "good" and not (entry.doomed and dice.choice(USUALLY)):
            entry.connection = object()
            self.apply(self.core.filled(claim, service, self.time()))
        elif outcome == "cancelled" or entry.doomed:
            self.apply(self.core.abandon(claim, self.time()))
        elif not entry.begun:
            entry.begun = True
            return
        elif outcome == "fails":
            failures = entry.home.failures
            assert self.core.failed(claim, OSError(), self.time()) == failures + 1
            self.apply(self.core.abandon(claim, self.time()))
        assert claim.entry is None
        self.fillers.remove(claim)

    def check(self, dice: Random) -> None:
        alive = dice.choice(USUALLY)
        entry = pick(dice, self.checking)
        self.checking.remove(entry)
        if alive:
            self.suspects.discard(entry)
        self.apply(self.core.checked(entry, alive, self.time()))
        assert alive or entry in self.closing

    # -- leaks ---------------------------------------------------------------------------------------

    def tell(self, dice: Random) -> None:
        """One begins to tell of a lease that is held too long, unless it has ended."""
        entry = self.leaking.pop(0)
        due = entry.watched and entry.state is IN_USE
        due = due and self.time() >= entry.since + self.core._leak_threshold
        leak = self.core.leaks(entry, self.time())
        assert (leak is not None) == due
        if leak is not None:
            assert leak.seconds == self.time() - entry.since
            self.being_told.append(entry)

    def tell_no_more(self, dice: Random) -> None:
        """All have heard of it. If its lease has ended meanwhile, the rest is up to the teller."""
        entry = self.being_told.pop(0)
        left = self.core.told(entry)
        assert (left is not None) == (entry in self.left)
        if left is not None:
            self.left.remove(entry)
            fit, failed = left
            self.apply(self.core.put(entry, self.time()) if fit else self.core.doom(entry, failed))

    # -- who waits for it ----------------------------------------------------------------------------

    def warm(self, dice: Random) -> None:
        endpoint = dice.choice(SOMEWHERE)
        waiter = Waiter()
        verdict = self.core.warm(endpoint, waiter)
        home = self.core._homes.get(endpoint)
        if verdict is WAITING:
            self.warmers.append((endpoint, waiter))
        elif verdict is GRANTED:
            assert home is not None
            assert self.core.ready_at(home) >= self.core._min_size
        else:
            assert verdict in (CLEARED, CLOSED)
            assert home is None or home.state is not READY

    def cool(self, dice: Random) -> None:
        endpoint, waiter = pick(dice, self.warmers)
        self.warmers.remove((endpoint, waiter))
        self.core.cool(endpoint, waiter)

    # -- what is lost --------------------------------------------------------------------------------

    def lose(self, dice: Random) -> None:
        """A lease is dropped, or the frame of an acquire, without giving anything back."""
        caller = pick(dice, self.careless())
        self.callers.remove(caller)
        self.vanish(caller)

    def lose_a_job(self, dice: Random) -> None:
        """The frame vanishes that was about to fill, to release or to close."""
        job = pick(dice, self.jobs())
        for place in (self.fillers, self.releasing, self.closing):
            if job in place:
                place.remove(job)
        claim = job if isinstance(job, Claim) else Claim()
        claim.entry = claim.entry if isinstance(job, Claim) else job
        del job
        self.vanish(claim)

    def careless(self) -> list[Caller]:
        """Those who alone have what they hold."""
        return [
            caller
            for caller in self.some(CONNECTING, VETTING, IN_USE)
            if caller.entry is not None and self.can_vanish(caller.entry)
        ]

    def jobs(self) -> list[Any]:
        """Fillers, and entries that are being released or closed."""
        entries = [*self.releasing, *self.closing]
        return [*self.fillers, *(entry for entry in entries if self.can_vanish(entry))]

    def can_vanish(self, entry: Entry) -> bool:
        """Whether nobody else keeps it alive, and it is the first time: Python finalizes once."""
        told = entry in self.leaking or entry in self.being_told
        vanished = (entry.home.endpoint, entry.id) in self.vanished
        return not (told or vanished or entry.hidden)

    def vanish(self, claim: Claim) -> None:
        """Drop what a claim holds."""
        before = len(self.core._lost)
        assert claim.entry is not None
        self.vanished.add((claim.entry.home.endpoint, claim.entry.id))
        claim.entry = None
        assert len(self.core._lost) == before + 1, "somebody keeps it alive"

    # -- the rest ------------------------------------------------------------------------------------

    def resize(self, dice: Random) -> None:
        total = dice.choice([None, 1, 2, 3, 4])
        max_size = min(dice.randint(1, 3), total or 3)
        min_size = min(dice.randint(0, 2), max_size)
        options = PoolOptions(max_size=max_size, min_size=min_size, total_max_size=total)
        self.apply(self.core.resize(options, self.early()))
        for home in self.homes():
            assert not (home.crowded and home.idle()), "surplus is idle"

    def read_the_clock_early(self, dice: Random) -> None:
        self.lag = dice.choice([0.0, 0.0, 0.05])

    def distrust(self, dice: Random) -> None:
        """The clock has jumped."""
        self.core.distrust()
        for home in self.homes():
            for entry in home.idle():
                self.suspects.add(entry)
