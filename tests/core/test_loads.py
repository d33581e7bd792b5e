"""Which connection is the least loaded one: an order that is kept from share to share."""

import gc
from random import Random
from weakref import ref

import pytest

from pool._core.states import IDLE
from pool._core.trunk import Loads, SharedHome, Trunk


def make(count: int, last_first: bool) -> tuple[Loads, list[Trunk]]:
    """Trunks without any load."""
    home = SharedHome("a", lambda entry: None, last_first)
    trunks = [Trunk(home, number, 0.0) for number in range(1, count + 1)]
    for trunk in trunks:
        trunk.state = IDLE
        home.entries[trunk.id] = trunk.ref
        home.loads.settle(trunk)
    return home.loads, trunks


def load(loads: Loads, trunk: Trunk, by: int) -> None:
    trunk.pending += by
    loads.settle(trunk)


def drain(loads: Loads) -> list[int]:
    """The trunks in the order in which they would be lent."""
    order = []
    while (trunk := loads.least()) is not None:
        order.append(trunk.id)
        loads.remove(trunk)
    return order


@pytest.mark.parametrize(("last_first", "order"), [(True, [3, 2, 1]), (False, [1, 2, 3])])
def test_of_equals_one_is_first(last_first: bool, order: list[int]) -> None:
    """The one that came last, or the one that came first; the order is that of all."""
    loads, _ = make(3, last_first)
    assert drain(loads) == order
    assert loads.least() is None


@pytest.mark.parametrize(("last_first", "order"), [(True, [1, 3, 2]), (False, [2, 3, 1])])
def test_what_comes_back_is_the_last_of_its_equals(last_first: bool, order: list[int]) -> None:
    """It was used, and the others were not."""
    loads, trunks = make(3, last_first)
    load(loads, trunks[0], 1)
    load(loads, trunks[0], -1)
    assert drain(loads) == order


def test_what_does_not_change_stays_where_it_is() -> None:
    """To be told of the same load again is no use."""
    loads, trunks = make(3, True)
    loads.settle(trunks[0])
    assert drain(loads) == [3, 2, 1]


def test_the_least_goes_up_and_down_with_the_load() -> None:
    """Also over gaps, and when the only one there is changes."""
    loads, (one, two) = make(2, True)
    load(loads, one, 1)
    load(loads, one, 1)
    load(loads, one, 1)
    assert loads.least() is two
    loads.remove(two)
    assert loads.least() is one
    load(loads, one, 1)
    assert loads.least() is one
    load(loads, one, -1)
    assert loads.least() is one
    two.pending = 1
    loads.settle(two)
    assert loads.least() is two
    load(loads, two, 1)
    assert loads.least() is two
    load(loads, two, 1)
    load(loads, two, 1)
    assert loads.least() is one


def test_a_higher_one_that_is_taken_out_leaves_the_least_alone() -> None:
    """Its level is gone, and no other."""
    loads, (one, two) = make(2, True)
    load(loads, two, 1)
    loads.remove(two)
    assert loads.least() is one
    load(loads, one, 1)
    assert loads.least() is one


def test_the_first_after_none_is_the_least() -> None:
    """Whatever its load is, and was that of those before it."""
    loads, (one,) = make(1, True)
    loads.remove(one)
    loads.remove(one)
    assert loads.least() is None
    one.pending = 5
    loads.settle(one)
    assert loads.least() is one
    load(loads, one, 1)
    assert loads.least() is one


@pytest.mark.parametrize("last_first", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_the_least_is_that_of_a_list(last_first: bool, seed: int) -> None:
    """Whatever happens: the same as by looking at all of them."""
    dice = Random(seed)
    loads, trunks = make(6, last_first)
    standing = list(trunks)
    for _ in range(200):
        trunk = dice.choice(trunks)
        if trunk not in standing:
            trunk.pending = dice.randint(0, 4)
            loads.settle(trunk)
            standing.append(trunk)
        elif dice.random() < 0.1:
            loads.remove(trunk)
            standing.remove(trunk)
        else:
            load(loads, trunk, 1 if dice.random() < 0.5 or not trunk.pending else -1)
            standing.remove(trunk)
            standing.append(trunk)
        fewest = min((trunk.pending for trunk in standing), default=None)
        equals = [trunk for trunk in standing if trunk.pending == fewest]
        least = (equals[-1] if last_first else equals[0]) if equals else None
        assert loads.least() is least
        assert {trunk.level for trunk in trunks if trunk not in standing} <= {-1}
        assert all(trunk.level == trunk.pending for trunk in standing)


def test_what_is_taken_out_is_not_kept() -> None:
    """Somebody else owns it then."""
    loads, trunks = make(2, True)
    known = ref(trunks[0])
    loads.remove(trunks.pop(0))
    gc.collect()
    assert known() is None
    known = ref(trunks.pop())
    gc.collect()
    assert known() is not None
