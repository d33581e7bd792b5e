"""The core of shared connections, driven by random operations, against what must be true after each."""

from math import inf
from random import Random
from typing import Any

from core.books import SELDOM, USUALLY, Caller, Step, Waiter, pick
from core.shared_books import WatchedSharedCore
from core.shared_calling import SharedCalling
from hypothesis import Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from pool import PoolOptions
from pool._core.records import Claim, Effects, Entry
from pool._core.states import (
    CHECKING,
    CONNECTING,
    IN_USE,
    VETTING,
)
from pool._core.trunk import Share


class Machine(SharedCalling):
    """The operations of all callers and of the worker, and the dice that choose among them."""

    dice: Random

    @initialize(
        dice=st.randoms(use_true_random=True),
        size=st.integers(1, 3),
        max_pending=st.sampled_from([None, 1, 2, 2, 3]),
        max_connecting=st.integers(1, 3),
        max_waiting=st.sampled_from([None, None, None, 0, 2]),
        max_uses=st.sampled_from([None, None, None, 1, 3]),
        reuse=st.sampled_from(["lifo", "fifo"]),
        vet_after=st.sampled_from([-1.0, 0.5, 2.0, inf]),
        idle_timeout=st.sampled_from([None, None, None, 0.0, 2.1]),
        max_lifetime=st.sampled_from([None, None, 3.3, 10.0]),
        health_check_interval=st.sampled_from([None, 1.1, 4.0]),
        background_collector=st.booleans(),
        luck=st.sampled_from([0.0, 1.0, None]),
    )
    def make(
        self,
        dice: Random,
        size: int,
        max_pending: int | None,
        vet_after: float,
        luck: float | None,
        **options: Any,
    ) -> None:
        self.dice = dice
        self.options = PoolOptions(max_size=size, total_max_size=None, **options)
        chance = Random(3).random if luck is None else lambda: luck
        self.core = WatchedSharedCore(
            self.options, vet_after, Waiter, chance, self.alert, max_pending
        )
        assert self.core.introduce("a", True, teller=0) is True
        self.apply(self.core.announced("a", 0))
        self.by_hand: list[Waiter] = []
        """Those who fill the pool by hand, and wait."""
        self.opened: list[Entry] = []
        """What they have opened."""

    @rule()
    def step(self) -> None:
        """Anything that can happen now."""
        possible = [(share, happens) for share, happens, can in self.steps() if can]
        (chosen,) = self.dice.choices(
            [happens for _, happens in possible], [share for share, _ in possible]
        )
        note(chosen.__name__)
        before = len(self.place.entries)
        chosen(self.dice)
        after = len(self.place.entries)
        assert after <= max(before, self.core._max_size) or chosen == self.adopt, "too many"

    def steps(self) -> list[Step]:
        """What can happen, each with its share."""
        return [
            (25, self.request, True),
            (14, self.take, True),
            (12, self.wake_up, bool(self.woken())),
            (20, self.connect, bool(self.some(CONNECTING))),
            (14, self.vet, bool(self.some(VETTING))),
            (10, self.hurry, bool(self.some(CONNECTING, VETTING) or self.woken())),
            (20, self.release, bool(self.some(IN_USE))),
            (10, self.released, bool(self.releasing)),
            (14, self.closed, bool(self.closing)),
            (6, self.give_up, bool(self.callers)),
            (5, self.wait, True),
            (6, self.wait_until_something_is_due, self.now < self.core._agenda.next() < inf),
            (10, self.work, True),
            (12, self.fill, bool(self.fillers)),
            (10, self.check, bool(self.checking)),
            (4, self.lose, bool(self.careless())),
            (2, self.lose_a_filler, bool(self.fillers)),
            (4, self.admit, True),
            (2, self.adopt, True),
            (2, self.reduce, True),
            (1, self.extend, True),
            (1, self.retract, bool(self.opened)),
            (1, self.forget_broken, True),
            (3, self.clear, True),
            (1, self.distrust, True),
        ]

    # -- the worker, and time ------------------------------------------------------------------------

    def wait(self, dice: Random) -> None:
        self.now += dice.choice([0.05, 0.1, 0.7, 5.0])

    def wait_until_something_is_due(self, dice: Random) -> None:
        self.now = self.core._agenda.next()

    def work(self, dice: Random) -> None:
        """The worker looks, or somebody has him look at everything."""
        hands = dice.choice([1, 1000])
        self.rung = False
        chores = self.core.chores(self.time(), hands, dice.choice(SELDOM))
        assert not self.core._lost
        assert chores.jobs() <= hands
        assert all(entry.state is CHECKING for entry in chores.checks)
        assert not chores.fills or self.now >= self.place.retry, "a fill in a pause"
        self.checking += chores.checks
        self.fillers += chores.fills
        self.apply(chores.effects)
        if self.options.background_collector and chores.jobs() < hands:
            assert chores.next is not None
            assert chores.next > self.now, "wants to look again at once"

    def fill(self, dice: Random) -> None:
        outcome = dice.choice(["good", "good", "good", "fails", "cancelled"])
        claim = pick(dice, self.fillers)
        entry = claim.entry
        if entry.begun and outcome == "good":
            entry.connection = f"connection {entry.id}"
            self.apply(self.core.filled(claim, None, self.time()))
            self.opened = [entry]
        elif outcome == "cancelled" or entry.doomed:
            self.apply(self.core.abandon(claim, self.time()))
        elif not entry.begun:
            entry.begun = True
            return
        elif outcome == "fails":
            self.core.failed(claim, OSError(), self.time())
            self.apply(self.core.abandon(claim, self.time()))
        assert claim.entry is None
        self.fillers.remove(claim)

    def check(self, dice: Random) -> None:
        alive = dice.choice(USUALLY)
        entry = pick(dice, self.checking)
        self.checking.remove(entry)
        self.apply(self.core.checked(entry, alive, self.time()))
        assert alive or entry in self.closing

    # -- what is lost --------------------------------------------------------------------------------

    def careless(self) -> list[Caller]:
        return [caller for caller in self.some(CONNECTING, VETTING, IN_USE) if caller.entry]

    def lose(self, dice: Random) -> None:
        """A lease is dropped, or the frame of an acquire."""
        caller = pick(dice, self.careless())
        self.callers.remove(caller)
        self.vanish(caller)

    def lose_a_filler(self, dice: Random) -> None:
        claim = pick(dice, self.fillers)
        self.fillers.remove(claim)
        self.vanish(claim)

    def vanish(self, claim: Claim) -> None:
        before = len(self.core._lost)
        assert claim.entry is not None
        if not isinstance(claim.entry, Share):
            self.vanished.add(("a", claim.entry.id))
        claim.entry = None
        assert len(self.core._lost) == before + 1, "somebody keeps it alive"

    # -- by hand -------------------------------------------------------------------------------------

    def admit(self, dice: Random) -> None:
        waiter, effects = Waiter(), Effects()
        count = dice.randint(1, 3)
        claims = self.core.admit("a", count, self.time(), waiter, dice.choice(SELDOM), effects)
        self.apply(effects)
        assert claims is None or len(claims) <= count
        if claims:
            self.fillers += claims
        elif claims is not None:
            assert self.place.connecting or self.place.closing, "waits for nothing"

    def adopt(self, dice: Random) -> None:
        effects = Effects()
        self.core.adopting = True
        self.numbers += 1
        claim = self.core.adopt("a", f"adopted {self.numbers}", effects, self.time())
        self.core.adopting = False
        self.apply(effects)
        assert claim is not None
        self.apply(self.core.filled(claim, None, self.time()))

    def reduce(self, dice: Random) -> None:
        size, count = self.core._max_size, dice.randint(1, 2)
        removed, effects = self.core.reduce("a", count, dice.choice([True, False]), self.time())
        self.apply(effects)
        assert 0 <= removed <= min(count, size)
        assert self.core._max_size == size - removed

    def extend(self, dice: Random) -> None:
        """Make room, and fill it."""
        self.apply(self.core.enlarge("a", 1, self.time()))
        assert self.place.places() <= self.core._max_size
        self.admit(dice)

    def retract(self, dice: Random) -> None:
        self.apply(self.core.retract(self.opened))
        self.opened = []

    def forget_broken(self, dice: Random) -> None:
        before = len(self.core.members("a").broken)
        assert self.core.forget_broken("a") == before
        assert self.core.members("a").broken == []

    def clear(self, dice: Random) -> None:
        was = self.core.begin("a", 0)
        assert isinstance(was, str)
        effects = Effects()
        self.core.clear("a", 0, was, None, dice.choice([True, False]), effects)
        self.apply(effects)
        assert not self.place.loads._levels
        assert all(trunk.doomed for trunk in self.every())

    def distrust(self, dice: Random) -> None:
        self.core.distrust()

    # -- the end -------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Everybody ends what he is at: nothing is left."""
        if not hasattr(self, "core"):
            return
        core = self.core
        self.apply(core.shut(None, True))
        while self.callers:
            self.leave(self.callers[0])
        while self.fillers:
            self.apply(core.abandon(self.fillers.pop(), self.time()))
        self.apply(core.reclaim(self.time()))
        while self.releasing:
            self.apply(core.put(self.releasing.pop(), self.time()))
        while self.checking:
            self.apply(core.checked(self.checking.pop(), True, self.time()))
        while self.closing:
            self.apply(core.closed(self.closing.pop(), self.time()))
        stats = core.stats(None, True)
        assert (stats.total, stats.waiting) == (0, 0)
        assert stats.acquired == stats.released == self.leases
        assert stats.created == stats.closed
        home = self.place
        assert not any((home.queue, home.gone, home.breaking, home.loads._levels, home.entries))
        assert (home.closing, home.connecting, home.filling, home.marked) == (0, 0, 0, 0)
        assert not any((core._lost, core._waiting, core._closers))


TestSharedCore = Machine.TestCase
TestSharedCore.settings = settings(
    max_examples=300,
    stateful_step_count=60,
    deadline=None,
    derandomize=True,
    database=None,
    # To make a failure smaller takes minutes: the steps that led to it are few anyway.
    phases=[Phase.generate],
)
