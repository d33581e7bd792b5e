"""Which of several suitable servers an operation goes to."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from core.servers import topology

from pool._core.selection import chosen, suitable, window
from pool.descriptions import ServerDescription, ServerType, TopologyDescription

# -- the latency window -------------------------------------------------------------------------------

#: The threshold, the round-trip times of a, b, c, …, and who is within.
WINDOWS = [
    (0.25, [1.0, 1.25, 1.5], "ab"),
    (0.25, [1.5, 1.25, 1.0], "bc"),
    (0.0, [1.0, 1.0, 1.25], "ab"),
    (10.0, [1.0, 5.0, 11.0, 11.5], "abc"),
    (0.25, [1.0, None, 1.25], "ac"),
    (0.25, [None, 7.0], "b"),
    (0.25, [None, None], "ab"),
    (0.25, [0.0, None, 0.25, 0.5], "ac"),
    (0.25, [], ""),
]


def timed(*times: float | None) -> list[ServerDescription]:
    return [
        ServerDescription(address, ServerType.ROUTER, time)
        for address, time in zip("abcdefgh", times, strict=False)
    ]


@pytest.mark.parametrize(("threshold", "times", "inside"), WINDOWS)
def test_the_window(threshold: float, times: list[float | None], inside: str) -> None:
    """From the shortest time, and the edge is inside; an unknown time suits only if all are."""
    servers = timed(*times)
    found = window(servers, threshold)
    assert "".join(each.address for each in found) == inside
    assert all(any(each is server for server in servers) for each in found)
    assert found is not servers


# -- the selector -------------------------------------------------------------------------------------

KNOWN = topology("SHARDED a:ROUTER b:ROUTER")


def test_the_selector_is_asked_once_and_the_window_taken() -> None:
    """It gets the description as it is; a tuple does as well as a list."""
    seen = []
    servers = timed(1.0, 1.5, 1.25)
    known = TopologyDescription("t", servers={each.address: each for each in servers})

    def selector(topology: TopologyDescription) -> tuple[ServerDescription, ...]:
        seen.append(topology)
        return tuple(topology.servers.values())

    assert suitable(selector, known, 0.25) == [servers[0], servers[2]]
    assert len(seen) == 1
    assert seen[0] is known


def test_a_selector_may_leave_nothing() -> None:
    """Then nothing suits."""
    assert suitable(lambda topology: [], KNOWN, 0.1) == []


class Selector:
    """Returns what it was given."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __call__(self, topology: TopologyDescription) -> Any:
        return self.value

    def __repr__(self) -> str:
        return "<the selector>"


@pytest.mark.parametrize("value", [None, "ab", b"ab", 5, {"a"}, KNOWN.servers, "", b""])
def test_a_selector_must_return_a_sequence(value: object) -> None:
    """The error names what it returned, and the selector."""
    with pytest.raises(TypeError) as caught:
        suitable(Selector(value), KNOWN, 0.1)
    assert str(caught.value) == (
        f"selector must return a sequence of ServerDescription, not {value!r}: <the selector>"
    )


@pytest.mark.parametrize("value", ["a", None, ("h", 1), KNOWN])
def test_a_selector_must_return_descriptions(value: object) -> None:
    """And not addresses, say; the error names the one."""
    with pytest.raises(TypeError) as caught:
        suitable(Selector([KNOWN.servers["a"], value]), KNOWN, 0.1)
    text = f"selector must return ServerDescriptions, not {value!r}: <the selector>"
    assert str(caught.value) == text


def test_a_selector_must_return_members() -> None:
    """A server of yesterday is none, though it was known then."""
    with pytest.raises(ValueError, match="returned") as caught:
        suitable(Selector([KNOWN.servers["a"], ServerDescription("z")]), KNOWN, 0.1)
    assert str(caught.value) == "selector returned 'z', which is no member: <the selector>"


def test_what_a_selector_raises_goes_through() -> None:
    """It is the user's own error."""

    def selector(topology: TopologyDescription) -> list[ServerDescription]:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        suitable(selector, KNOWN, 0.1)


# -- one of two ---------------------------------------------------------------------------------------


def lots(*numbers: float) -> Callable[[], float]:
    return iter(numbers).__next__


def asked(count: int, *numbers: float) -> list[str]:
    """The servers whose load is asked for, in the order in which they were drawn."""
    seen: list[str] = []

    def load(address: Any) -> int:
        seen.append(address)
        return 0

    chosen(timed(*[1.0] * count), load, lots(*numbers))
    # The second is asked first.
    return seen[::-1]


def test_a_single_one_is_taken_without_drawing() -> None:
    """There is nothing to compare."""
    (only,) = timed(1.0)
    assert chosen([only], lambda address: 1 / 0, lots()) is only  # type: ignore[arg-type,return-value]


#: How many there are, two numbers, and the two servers drawn.
DRAWS = [
    (2, 0.0, 0.0, "ab"),
    (2, 0.0, 0.99, "ab"),
    (2, 0.49, 0.5, "ab"),
    (2, 0.5, 0.0, "ba"),
    (2, 0.99, 0.99, "ba"),
    (3, 0.0, 0.0, "ab"),
    (3, 0.0, 0.49, "ab"),
    (3, 0.0, 0.5, "ac"),
    (3, 0.0, 0.99, "ac"),
    (3, 0.34, 0.0, "ba"),
    (3, 0.34, 0.5, "bc"),
    (3, 0.65, 0.99, "bc"),
    (3, 0.67, 0.0, "ca"),
    (3, 0.67, 0.49, "ca"),
    (3, 0.99, 0.5, "cb"),
    (3, 0.99, 0.99, "cb"),
]


@pytest.mark.parametrize(("count", "one", "other", "pair"), DRAWS)
def test_which_two_are_drawn(count: int, one: float, other: float, pair: str) -> None:
    """The first number is a place among all, the second one among the others."""
    assert "".join(asked(count, one, other)) == pair


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_every_pair_is_drawn_as_often(count: int) -> None:
    """And the two are never the same server."""
    pairs = Counter(
        tuple(asked(count, (one + 0.5) / count, (other + 0.5) / (count - 1)))
        for one in range(count)
        for other in range(count - 1)
    )
    assert len(pairs) == count * (count - 1)
    assert set(pairs.values()) == {1}
    assert all(one != other for one, other in pairs)


@pytest.mark.parametrize(
    ("loads", "taken"),
    [((0, 0), "a"), ((5, 5), "a"), ((0, 1), "a"), ((1, 0), "b"), ((9, 8), "b")],
)
def test_the_less_loaded_of_the_two_is_taken(loads: tuple[int, int], taken: str) -> None:
    """The first of them, if it has no more than the other."""
    servers = timed(1.0, 1.0)
    load = dict(zip("ab", loads, strict=True))
    assert chosen(servers, load.__getitem__, lots(0.0, 0.0)).address == taken
    # The other way round: drawn first, it is taken unless it has more.
    first = "b" if load["b"] <= load["a"] else "a"
    assert chosen(servers, load.__getitem__, lots(0.9, 0.0)).address == first


def test_one_that_was_not_drawn_is_not_taken() -> None:
    """Though it has nothing to do at all."""
    load = {"a": 3, "b": 2, "c": 0}
    found = chosen(timed(1.0, 1.0, 1.0), load.__getitem__, lots(0.0, 0.0))
    assert found.address == "b"
