"""Who keeps the pools under test, and by which clock."""

import pytest

from .fakes import Chance, FakeClock, Keeper


@pytest.fixture(params=[True, False], ids=["worker", "by hand"])
def keeper(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """Who keeps the pool."""
    return Keeper(monkeypatch, request.param)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A clock that the test turns, and no chance: nothing is shortened at random."""
    Chance(monkeypatch)
    return FakeClock(monkeypatch)
