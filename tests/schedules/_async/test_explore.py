"""What ``explore`` finds, and how it tells."""

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from pool.aio import ConnectionManager, ConnectionPool
from pool.testing import Exploration, ExplorationError, explore
from pool.testing.aio import Stage


async def lost_update(stage: Stage) -> None:
    """Two count to one together, if nobody comes in between."""
    count = 0

    async def add() -> None:
        nonlocal count
        before = count
        await stage.step("counts")
        count = before + 1

    await stage.join(stage.start(add, name="one"))
    two = stage.start(add, name="two")
    three = stage.start(add, name="three")
    await stage.join(two, three)
    assert count in (2, 3)
    if expected is not None:
        assert count == expected, f"counted to {count}"


expected: int | None = None


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Demand that the two count to a number."""
    return lambda number: monkeypatch.setattr(f"{__name__}.expected", number)


@pytest.mark.parametrize("number", [2, 3])
def test_a_race_is_found(number: int, exact: Callable[[int], None]) -> None:
    """Of the two ways in which two can count, neither is always the one."""
    exact(number)
    with pytest.raises(ExplorationError, match=f"counted to {5 - number}"):
        explore(lost_update)


def test_all_is_well(exact: Callable[[int], None]) -> None:
    """What holds in every schedule is explored to the end."""
    result = explore(lost_update)
    assert result.complete
    assert result.schedules > 5
    assert result.preemptions == 2


def test_the_bound_is_kept() -> None:
    """Each preemption more finds more schedules; without any there is one."""
    counts = [explore(lost_update, preemptions=number).schedules for number in range(4)]
    assert counts[0] == 1
    assert counts == sorted(counts)
    assert counts[1] < counts[2]


def test_a_failure_can_be_repeated(exact: Callable[[int], None]) -> None:
    """The schedule that a failure prints fails again, and in the same way."""
    exact(3)
    explored = failing(lost_update, preemptions=3)
    again = failing(lost_update, replay=explored.replay)
    assert again.replay == explored.replay
    assert str(again.__cause__) == str(explored.__cause__)
    assert again.schedules == 1
    assert story(again) == story(explored)
    assert f"replay={explored.replay!r}" in str(explored)
    assert "lost_update fails in schedule" in str(explored)
    for who in ("two", "three", "counts"):
        assert who in str(explored)


def failing(scenario: Callable[[Stage], Any], **bounds: Any) -> ExplorationError:
    with pytest.raises(ExplorationError) as found:
        explore(scenario, **bounds)
    return found.value


def story(failure: ExplorationError) -> list[str]:
    return [line for line in str(failure).splitlines() if line.startswith((" ", "*"))]


def test_a_deadlock_is_found() -> None:
    """Two who wait for each other wait for ever, and that is told."""

    async def scenario(stage: Stage) -> None:
        pool = timeless_pool(stage)

        async def both(first: str, second: str) -> None:
            async with pool.connection(first), pool.connection(second):
                await stage.step("works")

        stage.start(both, "a", "b", name="forth")
        stage.start(both, "b", "a", name="back")
        await stage.join()
        await pool.close()

    found = failing(scenario, preemptions=1)
    assert "nothing goes on any more" in str(found.__cause__)
    assert "forth waits" in str(found.__cause__)
    assert "back waits" in str(found.__cause__)


class Plain(ConnectionManager[str, object]):
    """Connects in one step."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    async def create(self, endpoint: str, timeout: float | None) -> object:
        await self.stage.step(f"connects to {endpoint}")
        return object()

    async def dispose(self, endpoint: str, conn: object, timeout: float | None) -> None:
        await self.stage.step("closes")


def timeless_pool(stage: Stage) -> ConnectionPool[str, object]:
    """A pool of one connection, in which nothing is ever late by itself."""
    return ConnectionPool(
        Plain(stage),
        max_size=1,
        acquire_timeout=None,
        connect_timeout=None,
        dispose_timeout=None,
        idle_timeout=None,
        max_lifetime=None,
    )


def test_what_never_ends_is_ended() -> None:
    """A scenario that goes on for ever fails."""

    async def scenario(stage: Stage) -> None:
        async def spin() -> None:
            while True:
                await stage.step("spins")

        await stage.join(stage.start(spin))

    assert "no end after 100 steps" in str(failing(scenario, steps=100))


def test_time_passes_only_by_waiting() -> None:
    """A day takes no time, and everybody has the same."""

    async def scenario(stage: Stage) -> None:
        async def wait(seconds: float) -> None:
            await stage.sleep(seconds)
            woken.append((seconds, stage.now() - begun))

        woken: list[tuple[float, float]] = []
        begun = stage.now()
        for seconds in (86_400.0, 1.0, 60.0):
            stage.start(wait, seconds)
        await stage.join()
        assert sorted(woken) == [(1.0, 1.0), (60.0, 60.0), (86_400.0, 86_400.0)]
        order.append([seconds for seconds, _ in woken])

    order: list[list[float]] = []
    started = time.monotonic()
    explore(scenario, preemptions=0)
    assert order == [[1.0, 60.0, 86_400.0]]
    assert time.monotonic() - started < 60.0


def test_a_timeout_may_strike_at_any_time() -> None:
    """One who waits at most a second may be late although the other is quick, and may be in time."""
    ends = set()

    async def scenario(stage: Stage) -> None:
        pool = timeless_pool(stage)

        async def user() -> None:
            try:
                async with pool.connection("a", timeout=1.0):
                    ends.add("served")
            except TimeoutError:
                ends.add("late")

        lease = await pool.acquire("a")
        actor = stage.start(user)
        await stage.sleep(0.5)
        await lease.release()
        await stage.join(actor)
        await pool.close(None)

    explore(scenario, preemptions=2)
    assert ends == {"served", "late"}


def test_what_an_actor_raises_is_the_failure() -> None:
    """Whoever is not waited for by name is waited for at the end."""

    async def scenario(stage: Stage) -> None:
        async def fail() -> None:
            raise LookupError("nothing there")

        stage.start(fail, name="fails")

    assert isinstance(failing(scenario).__cause__, LookupError)


def test_a_check_is_made_at_every_step() -> None:
    """What must always hold is seen to be violated in between."""

    async def scenario(stage: Stage) -> None:
        def check() -> None:
            assert len(held) <= 1, "two at once"

        async def hold() -> None:
            held.append(1)
            await stage.step("holds")
            held.pop()

        held: list[int] = []
        stage.always(check)
        stage.start(hold)
        stage.start(hold)

    assert "two at once" in str(failing(scenario).__cause__)


def test_what_actors_leave() -> None:
    """An actor knows how he ended."""

    async def scenario(stage: Stage) -> None:
        async def answer() -> int:
            await stage.step()
            return 42

        actor = stage.start(answer, name="deep thought")
        assert not actor.done
        assert repr(actor) == "<Actor 'deep thought' at work>"
        await stage.join(actor)
        assert (actor.done, actor.cancelled, actor.error, actor.result) == (True, False, None, 42)
        assert repr(actor) == "<Actor 'deep thought' done>"

    explore(scenario, preemptions=0)


def test_notes_are_printed() -> None:
    """A scenario may write into the report."""

    async def scenario(stage: Stage) -> None:
        stage.note("here we are")
        await stage.step("a step")
        raise LookupError

    told = str(failing(scenario))
    assert told.index("here we are") < told.index("a step")


def test_what_depends_on_more_than_its_schedule() -> None:
    """A scenario that is another one each time is told of."""
    runs = []

    async def scenario(stage: Stage) -> None:
        runs.append(1)
        assert len(runs) > 1, "only the first time"

    assert "depends on more than its schedule" in str(failing(scenario))


@pytest.mark.parametrize(
    ("bounds", "complaint"),
    [
        ({"preemptions": -1}, "preemptions must be at least 0, not -1"),
        ({"schedules": 0}, "schedules must be at least 1, not 0"),
        ({"steps": 0}, "steps must be at least 1, not 0"),
        ({"replay": "no"}, "replay must be what a failure printed"),
    ],
)
def test_bad_bounds(bounds: dict[str, Any], complaint: str) -> None:
    """A bound that is none is refused, by its name and value."""
    with pytest.raises(ValueError, match=complaint):
        explore(lost_update, **bounds)


def test_nothing_of_it_stays() -> None:
    """Afterwards the library has its clock, its locks and its chance again."""
    modules = [
        vars(import_module(name))
        for name in ("pool._async.engine", "pool._async.lease", "pool._runtime.aio")
    ]
    before = [dict(module) for module in modules]
    failing(lost_and_found)
    explore(lost_update, preemptions=0)
    assert modules == before


async def lost_and_found(stage: Stage) -> None:
    raise LookupError


def test_the_result() -> None:
    """It says what was explored."""
    result = explore(lost_update, preemptions=1, schedules=3)
    assert result == Exploration(3, False, 1, result.steps)
    assert result.steps > 3
