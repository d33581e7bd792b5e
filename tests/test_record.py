"""A record is the dataclass it stands for: compared with one that ``dataclasses`` made."""

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from pool import PoolOptions, PoolStats, _record


def fields_of(base: type) -> type:
    class Point(base):  # type: ignore[misc]
        """A point."""

        x: int = 1
        y: "float | None" = None

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError(f"x must not be negative: {self.x}")

        def far(self) -> bool:
            return self.x > 10

    return Point


def real(cls: Any) -> Any:
    return dataclasses.dataclass(frozen=True, slots=True, kw_only=True)(cls)


def ours(cls: Any) -> Any:
    make: Any = _record.record
    return make(frozen=True, slots=True, kw_only=True)(cls)


@pytest.fixture(params=[real, ours], ids=["dataclass", "record"])
def point(request: pytest.FixtureRequest) -> Any:
    """The class, made by either: what is true of one is true of the other."""
    return request.param(fields_of(object))


def test_it_has_values_and_defaults(point: Any) -> None:
    """By name, and none by position."""
    made = point(x=2)
    assert (made.x, made.y) == (2, None)
    with pytest.raises(TypeError):
        point(2)
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        point(z=2)


def test_it_is_validated(point: Any) -> None:
    """By ``__post_init__``, when it is made and when it is replaced."""
    with pytest.raises(ValueError, match=r"^x must not be negative: -1$"):
        point(x=-1)
    with pytest.raises(ValueError, match=r"^x must not be negative: -1$"):
        dataclasses.replace(point(), x=-1)


def test_it_is_equal_by_value(point: Any) -> None:
    """And so is its hash; one of another class is never equal."""
    assert point(x=2) == point(x=2) != point(x=3)
    assert hash(point(x=2)) == hash(point(x=2))
    assert len({point(x=2), point(x=2), point(x=2, y=1.0)}) == 2
    assert point() != real(fields_of(object))()
    assert point().__eq__((1, None)) is NotImplemented


def test_it_is_frozen(point: Any) -> None:
    """No field changes or goes, and none is added."""
    made = point()
    with pytest.raises(dataclasses.FrozenInstanceError, match=r"^cannot assign to field 'x'$"):
        made.x = 2
    with pytest.raises(dataclasses.FrozenInstanceError, match=r"^cannot delete field 'x'$"):
        del made.x
    # What a dataclass with slots raises for a name that is no field depends on the version of Python.
    with pytest.raises((dataclasses.FrozenInstanceError, TypeError)):
        made.z = 2
    assert made.x == 1
    assert not hasattr(made, "__dict__")


def test_it_says_what_it_is(point: Any) -> None:
    """Its name, its text, its signature, its types."""
    name = "fields_of.<locals>.Point"
    assert repr(point(x=2)) == f"{name}(x=2, y=None)"
    assert (point.__name__, point.__qualname__, point.__doc__) == ("Point", name, "A point.")
    assert point.__module__ == __name__
    parameters = inspect.signature(point).parameters.values()
    assert [(p.name, p.kind, p.default) for p in parameters] == [
        ("x", inspect.Parameter.KEYWORD_ONLY, 1),
        ("y", inspect.Parameter.KEYWORD_ONLY, None),
    ]
    assert get_type_hints(point) == {"x": int, "y": float | None}
    assert get_type_hints(point.__init__) == {"x": int, "y": float | None, "return": type(None)}
    assert point(x=11).far()
    assert point.__match_args__ == ()


def test_dataclasses_knows_it(point: Any) -> None:
    """For each question it answers about dataclasses."""
    made = point(x=2)
    assert all(map(dataclasses.is_dataclass, (point, made)))
    described = [(f.name, f.type, f.default, f.kw_only) for f in dataclasses.fields(made)]
    assert described == [("x", int, 1, True), ("y", "float | None", None, True)]
    assert dataclasses.fields(point) == dataclasses.fields(made)
    assert dataclasses.asdict(made) == {"x": 2, "y": None}
    assert dataclasses.astuple(made) == (2, None)
    assert dataclasses.replace(made, y=0.5) == point(x=2, y=0.5)
    assert point.__dataclass_params__.frozen


def test_a_plain_class_may_be_derived_from_it() -> None:
    """Its fields are still what counts."""

    class More(PoolOptions):
        __slots__ = ()

    assert More(max_size=3) != More()
    assert More(max_size=3).changed() == {"max_size": 3}


@pytest.mark.parametrize("frozen", [True, False])
def test_a_dataclass_may_be_derived_from_it(point: Any, frozen: bool) -> None:
    """A frozen one, with its fields in front."""

    class More(point):  # type: ignore[misc]
        z: int = 3

    if not frozen:
        with pytest.raises(TypeError, match="cannot inherit non-frozen dataclass"):
            dataclasses.dataclass(More)
        return
    more: Any = dataclasses.dataclass(frozen=True, kw_only=True)(More)
    assert dataclasses.asdict(more(x=2)) == {"x": 2, "y": None, "z": 3}


@pytest.mark.parametrize("made", [PoolOptions(max_size=3), PoolStats(total=2, idle=2)])
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))]
)
def test_it_can_be_copied(made: object, again: Callable[[object], object]) -> None:
    """Also to another process."""
    assert again(made) == made


def test_it_is_replaced_as_later_pythons_do() -> None:
    """``copy.replace`` of 3.13 asks for this method."""
    made: Any = PoolOptions(max_size=3)
    assert made.__replace__(min_size=1) == PoolOptions(max_size=3, min_size=1)


@pytest.mark.parametrize(
    "question", ["is_dataclass(it)", "fields(it)", "asdict(it)", "replace(it)"]
)
def test_it_becomes_a_dataclass_when_asked(question: str) -> None:
    """Whatever is asked first: until then ``dataclasses`` is not imported."""
    code = f"""
import sys, pool
it = pool.PoolOptions(max_size=3)
assert "dataclasses" not in sys.modules
from dataclasses import *
answer = {question}
assert answer
assert is_dataclass(pool.PoolStats)
assert [field.name for field in fields(it)] == list(pool.PoolOptions.__slots__)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
