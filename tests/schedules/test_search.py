"""The search: every schedule once, the plainest first, and none that cannot be repeated."""

from collections.abc import Callable, Sequence

import pytest

from pool.testing._explore.choices import (
    Chooser,
    NotRepeatableError,
    Plan,
    Search,
    read_plan,
    write_plan,
)

Choices = tuple[int, ...]


def search(
    widths: Callable[[Choices], int], deviations: int, most: int = 10_000, seed: int = 0
) -> tuple[list[Choices], Search]:
    """Run a scenario that has ``widths(choices so far)`` things to choose from, until there are none."""
    runs = []
    found = Search(deviations, most, seed)
    for plan in found.plans():
        chooser = Chooser(plan)
        choices: Choices = ()
        while width := widths(choices):
            choices += (chooser.choose(width) if width > 1 else 0,)
        chooser.check()
        runs.append(choices)
        found.note(plan, bytes(chooser.widths))
    return runs, found


def departures(choices: Sequence[int]) -> int:
    return sum(choice > 0 for choice in choices)


def three_of_three(choices: Choices) -> int:
    return 3 if len(choices) < 3 else 0


@pytest.mark.parametrize(("deviations", "count"), [(0, 1), (1, 7), (2, 19), (3, 27), (9, 27)])
def test_every_schedule_comes_once(deviations: int, count: int) -> None:
    """All combinations with so few deviations, each once, in the order of their number."""
    runs, found = search(three_of_three, deviations)
    assert len(runs) == len(set(runs)) == count
    assert [departures(run) for run in runs] == sorted(departures(run) for run in runs)
    assert max(departures(run) for run in runs) == min(deviations, 3)
    assert found.complete


def test_what_is_there_may_depend_on_what_was_chosen() -> None:
    """A choice opens others, which are found."""

    def widths(choices: Choices) -> int:
        return {(): 2, (0,): 0, (1,): 3, (1, 2): 2}.get(choices, 0)

    runs, found = search(widths, 3)
    assert sorted(runs) == [(0,), (1, 0), (1, 1), (1, 2, 0), (1, 2, 1)]
    assert found.complete


@pytest.mark.parametrize("most", [1, 7, 8, 12, 19, 20])
def test_no_more_than_asked_for(most: int) -> None:
    """If there are more, some of those with the most deviations are drawn, none of them twice."""
    runs, found = search(three_of_three, 3, most)
    assert len(runs) == len(set(runs)) == most
    whole, _ = search(three_of_three, 1)
    assert runs[:7] == whole[:most]
    assert not found.complete


def test_the_lots_are_drawn_by_the_seed() -> None:
    """The same seed draws the same, another one others."""
    first, _ = search(three_of_three, 2, 12, seed=1)
    again, _ = search(three_of_three, 2, 12, seed=1)
    other, _ = search(three_of_three, 2, 12, seed=2)
    assert first == again
    assert first != other


def test_a_schedule_as_text() -> None:
    """What a failure prints is what ``replay`` takes."""
    for plan in ((), ((3, 1),), ((0, 2), (12, 1), (13, 254))):
        assert read_plan(write_plan(plan)) == plan


@pytest.mark.parametrize(
    "text", ["x", "1", "1:", ":1", "1:0", "2:1,1:1", "1:1,1:1", "-1:1", "1:1;2:1"]
)
def test_what_is_no_schedule(text: str) -> None:
    """A text that no failure printed is refused, by its name."""
    with pytest.raises(ValueError, match="replay must be what a failure printed") as refused:
        read_plan(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("plan", [((0, 2),), ((5, 1),)])
def test_what_cannot_be_repeated(plan: Plan) -> None:
    """A scenario that has other choices than last time is told of."""
    with pytest.raises(NotRepeatableError):
        three_choices(Chooser(plan))


def three_choices(chooser: Chooser) -> None:
    for _ in range(3):
        chooser.choose(2)
    chooser.check()
