"""The scenarios with topologies are worth something: a defect fails in one of them, and can be repeated."""

from collections.abc import Callable
from typing import Any

import pytest

from pool._core.pulse import Watched
from pool._core.records import Wakeable
from pool._core.topology import TopologyCore
from pool.descriptions import TopologyDescription
from pool.testing import ExplorationError, explore

from . import towers

pytestmark = pytest.mark.slow


class WakesOneOnly(TopologyCore):
    """Of those who wait for a change, one hears of it."""

    def show(self, topology: TopologyDescription) -> list[Wakeable]:
        return super().show(topology)[:1]


class BelievesTheLast(TopologyCore):
    """Takes whoever says so for the primary, whatever his term."""

    def succeeded(self, server: Watched, hello: Any, sample: float | None, now: float) -> None:
        object.__setattr__(self._decided, "max_term", None)
        super().succeeded(server, hello, sample, now)


class CountsForEver(TopologyCore):
    """Counts an operation still that has lost its server."""

    def finished(self, server: Watched) -> None:
        if server.ready:
            super().finished(server)


class NeverBreaksOff(TopologyCore):
    """Leaves a check alone that waits for a change."""

    def _hurry(self, server: Watched) -> None:
        super()._hurry(server)
        server.broken = False


DEFECTS: list[tuple[type[TopologyCore], Callable[[Any], Any]]] = [
    (WakesOneOnly, towers.close_against_users),
    (BelievesTheLast, towers.stale_primary),
    (CountsForEver, towers.errors_against_checks),
    (NeverBreaksOff, towers.errors_against_long_checks),
]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """A topology that is broken complains."""
    caplog.set_level("CRITICAL", logger="pool.connection")


@pytest.mark.parametrize(("core", "scenario"), DEFECTS, ids=[core.__name__ for core, _ in DEFECTS])
def test_a_broken_core_is_caught(
    core: type[TopologyCore], scenario: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exploration finds the defect, and its schedule shows it again; without it all is well."""
    explore(scenario, preemptions=1, schedules=100)
    monkeypatch.setattr("pool._async.watcher.TopologyCore", core)
    with pytest.raises(ExplorationError) as found:
        explore(scenario, preemptions=2, schedules=3000)
    with pytest.raises(ExplorationError) as again:
        explore(scenario, replay=found.value.replay)
    assert again.value.replay == found.value.replay
    assert repr(again.value.__cause__) == repr(found.value.__cause__)
