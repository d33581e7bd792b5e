"""The core, driven by random operations, against what must be true after every one of them.

The machine below plays all callers at once. Between two of its steps anything may happen, as between two
calls of the threads of the sync pool; it only keeps to the order in which each caller makes his calls.
"""

from math import inf
from random import Random
from typing import Any

from core.books import Caller, Waiter
from core.calling import Calling
from core.keeping import Keeping
from core.telling import Telling
from core.watched import WatchedCore
from hypothesis import Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from pool import PoolOptions
from pool._core.pool import PoolCore
from pool._core.states import GRANTED, WAITING

#: ``min_size``, ``max_size``, ``total_max_size``.
SIZES = [
    (min_size, max_size, total)
    for total in (None, 1, 2, 3, 4)
    for max_size in (1, 2, 3)
    for min_size in (0, 0, 1, 2)
    if min_size <= max_size <= (total or 3)
]


class Machine(Calling, Keeping, Telling):
    """The operations of all callers, and the dice that choose among them."""

    dice: Random

    @initialize(
        dice=st.randoms(use_true_random=True),
        sizes=st.sampled_from(SIZES),
        max_connecting=st.integers(1, 3),
        max_waiting=st.sampled_from([None, None, None, 0, 2]),
        max_uses=st.sampled_from([None, None, None, None, 1, 2]),
        reuse=st.sampled_from(["lifo", "fifo"]),
        paused=st.sampled_from([False, False, False, True]),
        vet_after=st.sampled_from([-1.0, 0.5, 2.0, inf]),
        idle_timeout=st.sampled_from([None, None, 0.0, 0.3, 2.1, 2.1]),
        max_lifetime=st.sampled_from([None, None, 3.3, 10.0]),
        health_check_interval=st.sampled_from([None, 1.1, 4.0]),
        leak_threshold=st.sampled_from([None, None, 2.3]),
        background_collector=st.booleans(),
        dispose_batch_size=st.integers(0, 2),
        luck=st.sampled_from([0.0, 1.0, None]),
    )
    def make(
        self,
        dice: Random,
        sizes: tuple[int, int, int | None],
        vet_after: float,
        luck: float | None,
        **options: Any,
    ) -> None:
        self.dice = dice
        min_size, max_size, total = sizes
        self.options = PoolOptions(
            min_size=min_size, max_size=max_size, total_max_size=total, **options
        )
        chance = Random(3).random if luck is None else lambda: luck
        self.core = WatchedCore(self.options, vet_after, Waiter, chance, self.alert)

    @rule()
    def step(self) -> None:
        """Anything that can happen now.

        Were each operation a rule, the house would be empty most of the time: they would all be as likely,
        and in most runs some would be left out.
        """
        possible = [
            (share, happens)
            for share, happens, can in self.calling() + self.keeping() + self.telling()
            if can
        ]
        shares = [share for share, _ in possible]
        (chosen,) = self.dice.choices([happens for _, happens in possible], shares)
        note(chosen.__name__)
        chosen(self.dice)


TestCore = Machine.TestCase
TestCore.settings = settings(
    stateful_step_count=60,
    # To make a failure smaller, or to explain it, takes minutes: the steps that led to it are few anyway.
    phases=[Phase.generate],
)


def test_a_permit_above_a_smaller_max_size_is_not_passed_on() -> None:
    """Given back unused after ``resize``, it ends: the next in the queue would be one too many."""
    core, (first, second, _) = two_connect_and_one_waits()
    core.resize(PoolOptions(max_size=1), 0.0)
    core.abandon(second, 0.0)
    stats = core.stats("a", False)
    assert (stats.connecting, stats.waiting) == (1, 1)
    core.abandon(first, 0.0)
    stats = core.stats("a", False)
    assert (stats.connecting, stats.waiting) == (1, 0)


def test_a_permit_beside_one_that_closes_is_not_passed_on_either() -> None:
    """What is being closed counts until it is closed, also against a ``max_size`` that was made smaller."""
    core, (first, second, _) = two_connect_and_one_waits()
    assert first.entry is not None
    first.entry.begun = True
    (closing,) = core.abandon(first, 0.0).close
    core.resize(PoolOptions(max_size=1), 0.0)
    core.abandon(second, 0.0)
    stats = core.stats("a", False)
    assert (stats.closing, stats.connecting, stats.waiting) == (1, 0, 1)
    core.closed(closing, 0.0)
    stats = core.stats("a", False)
    assert (stats.closing, stats.connecting, stats.waiting) == (0, 1, 0)


def two_connect_and_one_waits() -> tuple[PoolCore, list[Caller]]:
    """A core with room for two, and its callers."""
    core = PoolCore(PoolOptions(max_size=2), inf, Waiter, lambda: 0.0, lambda entry: None)
    assert core.introduce("a", True, teller=0) is True
    core.announced("a", 0)
    callers = [Caller(number, "a") for number in range(3)]
    for caller in callers:
        core.request(caller, 0.0, True)
    assert [caller.verdict for caller in callers] == [GRANTED, GRANTED, WAITING]
    return core, callers
