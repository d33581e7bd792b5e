"""The scenarios with shared connections are worth something: a defect fails in one of them."""

from collections.abc import Callable
from typing import Any

import pytest

from pool._core.home import Home
from pool._core.ledger import Ledger
from pool._core.records import Claim, Effects, Entry
from pool._core.shared import SharedCore
from pool._core.trunk import Share, Trunk, home_of
from pool.testing import ExplorationError, explore

from . import crowds

pytestmark = pytest.mark.slow


class LendsWhatBroke(SharedCore):
    """Goes on giving shares of a connection that one has left dirty."""

    __slots__ = ()

    def _doom(self, entry: Entry, reason: str) -> None:
        Ledger._doom(self, entry, reason)


class ClosesUnderOthers(SharedCore):
    """Closes a connection that broke while others use it."""

    __slots__ = ()

    def _close(self, entry: Entry, reason: str, effects: Effects) -> None:
        super()._close(entry, reason, effects)
        if isinstance(entry, Share) and entry.trunk.pending and entry.trunk.state == "shared":
            super()._close(entry.trunk, reason, effects)


class LetsOthersPass(SharedCore):
    """Serves whoever comes before those who wait."""

    __slots__ = ()

    def _next(self, home: Home, now: float, effects: Effects) -> Claim:
        home.queue.move_to_end(next(iter(home.queue)))
        return super()._next(home, now, effects)


class ForgetsWhoWaits(SharedCore):
    """Takes a share back, and gives it to nobody."""

    __slots__ = ()

    def _put(self, entry: Entry, now: float, effects: Effects, since: float | None = None) -> None:
        queue, entry.home.queue = entry.home.queue, type(entry.home.queue)()
        super()._put(entry, now, effects, since)
        entry.home.queue = queue


class NeverReplaces(SharedCore):
    """Leaves a broken connection's place empty."""

    __slots__ = ()

    def _lacks(self, home: Home) -> bool:
        return bool(home.queue)


class SharesWhatIsChecked(SharedCore):
    """Gives shares of a connection that one checks just now."""

    __slots__ = ()

    def _lend(self, entry: Entry, claim: Claim, now: float) -> None:
        super()._lend(entry, claim, now)
        assert isinstance(entry, Trunk)
        home_of(entry).loads.settle(entry)


class CrowdsTooMany(SharedCore):
    """Counts one too few of those who use a connection."""

    __slots__ = ()

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._max_pending += 1


DEFECTS: list[tuple[type[SharedCore], Callable[[Any], Any]]] = [
    (LendsWhatBroke, crowds.spoilt_in_use),
    (ClosesUnderOthers, crowds.spoilt_in_use),
    (LetsOthersPass, crowds.in_order),
    (ForgetsWhoWaits, crowds.queue_against_timeout),
    (NeverReplaces, crowds.replaced),
    (SharesWhatIsChecked, crowds.checked_alone),
    (CrowdsTooMany, crowds.queue_against_timeout),
]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """A pool that is broken complains."""
    caplog.set_level("CRITICAL", logger="pool.connection")


@pytest.mark.parametrize(("core", "scenario"), DEFECTS, ids=[core.__name__ for core, _ in DEFECTS])
def test_a_broken_core_is_caught(
    core: type[SharedCore], scenario: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exploration finds the defect, and its schedule shows it again; without it all is well."""
    explore(scenario, preemptions=1, schedules=100)
    monkeypatch.setattr("pool._async.multiplexed.SharedCore", core)
    with pytest.raises(ExplorationError) as found:
        explore(scenario, preemptions=2, schedules=3000)
    with pytest.raises(ExplorationError) as again:
        explore(scenario, replay=found.value.replay)
    assert again.value.replay == found.value.replay
    assert repr(again.value.__cause__) == repr(found.value.__cause__)
