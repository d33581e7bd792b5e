"""How many schedules are run, and what came of it."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from pool.testing import Exploration, explore

Explorer = Callable[..., Exploration]

_found = pytest.StashKey[Counter[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_found] = Counter()


@pytest.fixture
def explorer(request: pytest.FixtureRequest) -> Explorer:
    """Explore as much as is asked for, and count."""
    wanted = request.config.getoption("--schedules")

    def run(scenario: Callable[[Any], Any], part: int = 1, **bounds: Any) -> Exploration:
        result = explore(scenario, **({"schedules": wanted // part} | bounds))
        world = "threads" if "_sync" in scenario.__module__ else "tasks"
        request.config.stash[_found][world] += result.schedules
        return result

    return run


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for world, count in sorted(config.stash[_found].items()):
        terminalreporter.write_line(f"explored {count:,} different schedules of {world}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    least = session.config.getoption("--at-least")
    found = session.config.stash[_found]
    if least and min(found["tasks"], found["threads"]) < least:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
