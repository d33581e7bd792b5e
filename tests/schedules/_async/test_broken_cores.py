"""The scenarios are worth something: a core with a defect fails in one of them.

Each defect is one that pools in the field have, or had. The schedule that shows it can be repeated.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest

from pool._core.home import Home
from pool._core.pool import PoolCore
from pool._core.records import Claim, Effects, Entry
from pool._core.states import CLOSED, IDLE
from pool.testing import ExplorationError, explore

from . import scenarios

pytestmark = pytest.mark.slow


class LifoQueue(PoolCore):
    """Serves the last comer first."""

    __slots__ = ()

    def _next(self, home: Home, now: float, effects: Effects) -> Claim:
        home.queue = OrderedDict(reversed(home.queue.items()))
        try:
            return super()._next(home, now, effects)
        finally:
            home.queue = OrderedDict(reversed(home.queue.items()))


class LosesPermits(PoolCore):
    """Forgets the permit to connect of one who gives up before he connects."""

    __slots__ = ("lost",)

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.lost: list[Entry] = []

    def _pass_permit(self, entry: Entry, now: float, effects: Effects) -> None:
        # What nothing holds would be found by its finalizer.
        self.lost.append(entry)


class GrantsTwice(PoolCore):
    """Hands a connection to the next in the queue, and to whoever comes."""

    __slots__ = ()

    def _put(self, entry: Entry, now: float, effects: Effects, since: float | None = None) -> None:
        handed_on = bool(entry.home.queue)
        super()._put(entry, now, effects, since)
        if handed_on and entry.state == "vetting":
            entry.next = entry.home.top
            entry.home.top = entry
            entry.state = IDLE


class WakesNobodyOnClose(PoolCore):
    """Tells those in the queue that the pool is closed, and lets them sleep."""

    __slots__ = ()

    def _evict(self, home: Home, verdict: str, effects: Effects) -> None:
        before = list(effects.wake)
        super()._evict(home, verdict, effects)
        if verdict is CLOSED:
            effects.wake[:] = before


class ReusesStale(PoolCore):
    """Forgets at a clear what is in use."""

    __slots__ = ()

    def _condemn(self, entry: Entry, reason: str, interrupt: bool, effects: Effects) -> None:
        if entry.state is IDLE:
            super()._condemn(entry, reason, interrupt, effects)


class LeavesTheLateInTheQueue(PoolCore):
    """Serves one who has given up."""

    __slots__ = ()

    def abandon(self, claim: Claim, now: float, timed_out: bool = False) -> Effects:
        home = self._homes.get(claim.endpoint)
        if claim.entry is None and home is not None and claim in home.queue:
            return Effects()
        return super().abandon(claim, now, timed_out)


class CountsOnlyTheOpen(PoolCore):
    """Lets the next one connect while the last one is being closed."""

    __slots__ = ()

    def _close(self, entry: Entry, reason: str, effects: Effects) -> None:
        super()._close(entry, reason, effects)
        home = entry.home
        if home.queue and home.connecting < self._max_connecting:
            self._permit(home, self._next(home, entry.since, effects), entry.since, effects)


DEFECTS: list[tuple[type[PoolCore], Callable[[Any], Any]]] = [
    (LifoQueue, scenarios.in_order),
    (LosesPermits, scenarios.permit_against_timeout),
    (GrantsTwice, scenarios.hand_off_against_timeout),
    (WakesNobodyOnClose, scenarios.close_against_all),
    (ReusesStale, scenarios.clear_against_connect),
    (LeavesTheLateInTheQueue, scenarios.hand_off_against_timeout),
    (CountsOnlyTheOpen, scenarios.closing_counts),
]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """A pool that is broken complains."""
    caplog.set_level("CRITICAL", logger="pool.connection")


@pytest.mark.parametrize(("core", "scenario"), DEFECTS, ids=[core.__name__ for core, _ in DEFECTS])
def test_a_broken_core_is_caught(
    core: type[PoolCore], scenario: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exploration finds the defect, and its schedule shows it again; without it all is well."""
    explore(scenario, preemptions=1, schedules=200)
    monkeypatch.setattr("pool._async.engine.PoolCore", core)
    with pytest.raises(ExplorationError) as found:
        explore(scenario, preemptions=2, schedules=5000)
    with pytest.raises(ExplorationError) as again:
        explore(scenario, replay=found.value.replay)
    assert again.value.replay == found.value.replay
    assert repr(again.value.__cause__) == repr(found.value.__cause__)
