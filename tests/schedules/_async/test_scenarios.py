"""Every scenario holds in every schedule."""

from collections.abc import Callable
from typing import Any

import pytest

from pool.testing import Exploration

from .crowds import CROWDS
from .scenarios import SCENARIOS
from .towers import TOWERS


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of runs log thousands of refused connects."""
    caplog.set_level("CRITICAL", logger="pool.connection")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_scenario(scenario: Callable[[Any], Any], explorer: Callable[..., Exploration]) -> None:
    """No limit is exceeded, nothing has two owners, nobody is forgotten, and nothing is left."""
    result = explorer(scenario, preemptions=3)
    assert result.schedules >= 50


@pytest.mark.parametrize("scenario", TOWERS, ids=lambda scenario: scenario.__name__)
def test_tower(scenario: Callable[[Any], Any], explorer: Callable[..., Exploration]) -> None:
    """What is told is one story, what is shown was told, and nothing is left."""
    # These are longer.
    result = explorer(scenario, preemptions=3, part=4)
    assert result.schedules >= 12


@pytest.mark.parametrize("scenario", CROWDS, ids=lambda scenario: scenario.__name__)
def test_crowd(scenario: Callable[[Any], Any], explorer: Callable[..., Exploration]) -> None:
    """Nobody gets what is broken, nothing is closed under anybody, nobody is forgotten."""
    result = explorer(scenario, preemptions=3, part=2)
    assert result.schedules >= 25
