"""The guide for those who come from elsewhere names what is there: each name in a column "here" is ours.

A name is written as ``Class.method(parameter, option=)``, as ``Class.method().property``, as an option with
its default, ``max_size=10``, or as a module.
"""

import builtins
import inspect
import re
import typing
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import pool
from pool import aio, monitoring, sync

PAGE = Path(__file__).resolve().parent.parent / "docs" / "migration.md"
WORLDS = [aio, sync]

#: Names of modules below the doors whose classes the page calls by their own names.
MODULES = ["websockets"]

#: The columns beside "here" that have our names.
ALSO_OURS = {"method of the listener"}

OPTIONS = {field.name: field.default for field in fields(pool.PoolOptions)}
STEP = re.compile(r"(\w+)(?:\(([^()]*)\))?(?:\.|$)")


class Unknown(Exception):
    """The page names what is not there."""


def cells(page: str) -> Iterator[tuple[int, str]]:
    """Yield the cells of the columns that are ours, and their lines."""
    columns: list[int] = []
    for number, line in enumerate(page.split("\n"), 1):
        if not line.startswith("|"):
            columns = []
            continue
        row = [cell.strip() for cell in line.strip("|").split("|")]
        if columns:
            yield from ((number, row[column]) for column in columns)
        else:
            columns = [row.index("here")]
            columns += [place for place, title in enumerate(row) if title in ALSO_OURS]


def names(page: str) -> list[tuple[int, str]]:
    """Return the names in the columns that are ours, and their lines."""
    return [
        (number, name) for number, cell in cells(page) for name in re.findall("`([^`]+)`", cell)
    ]


def root(name: str, world: ModuleType) -> Any:
    """Return what the first word of a name stands for."""
    for place in (world, pool, monitoring, builtins):
        if hasattr(place, name):
            return getattr(place, name)
    for module in MODULES:
        try:
            return getattr(import_module(f"{world.__name__}.{module}"), name)
        except (ImportError, AttributeError):
            continue
    raise Unknown(f"no {name}")


def member(owner: Any, name: str) -> Any:
    """Return what a name after a dot stands for."""
    if hasattr(owner, name):
        return getattr(owner, name)
    raise Unknown(f"{owner!r} has no {name}")


def check_parameters(function: Any, given: str) -> None:
    """Raise unless a function, or the constructor of a class, takes these parameters."""
    parameters = inspect.signature(function).parameters
    known = set(parameters)
    for each in parameters.values():
        if each.kind is inspect.Parameter.VAR_KEYWORD:
            (options,) = typing.get_args(each.annotation)
            known |= set(options.__annotations__)
    for word in filter(None, re.split(r"[=,\s]+", given)):
        if word not in known:
            raise Unknown(f"{function!r} takes no {word}")


def result_of(function: Any) -> Any:
    """Return the class of what a function returns, as it declares it."""
    result = typing.get_type_hints(function).get("return")
    if result is None:
        raise Unknown(f"{function!r} does not say what it returns")
    return result


def check(name: str, world: ModuleType) -> None:
    """Raise unless a name is one of ours."""
    option, equals, default = name.partition("=")
    if option in OPTIONS:
        if equals and repr(OPTIONS[option]).replace("'", '"') != default:
            raise Unknown(f"{option} is {OPTIONS[option]!r} by default")
        return
    if name.startswith("pool."):
        module, _, last = name.rpartition(".")
        try:
            member(import_module(module), last)
        except ImportError as error:
            raise Unknown(str(error)) from None
        except Unknown:
            import_module(name)
        return
    steps = STEP.findall(name)
    if not steps or STEP.sub("", name):
        raise Unknown(f"{name} is no name")
    thing: Any = None
    for position, (word, given) in enumerate(steps):
        thing = member(thing, word) if position else root(word, world)
        if given:
            check_parameters(thing, given)
        if position + 1 < len(steps) and not isinstance(thing, type | ModuleType):
            thing = result_of(thing)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.__name__)
def test_names_are_ours(world: ModuleType) -> None:
    """Everything that the page says is here is here, with these parameters and defaults."""
    wrong = []
    for line, name in names(PAGE.read_text(encoding="utf-8")):
        try:
            check(name, world)
        except Unknown as error:
            wrong.append(f"{PAGE.name}:{line}: {name}: {error}")
    assert wrong == []


def test_there_is_something_to_look_at() -> None:
    """The tables are found: those of five libraries."""
    found = [name for _, name in names(PAGE.read_text(encoding="utf-8"))]
    assert len(found) > 250
    assert {"min_size=0", "Lease.release()", "monitoring.PoolClearedEvent"} <= set(found)


@pytest.mark.parametrize(
    "name",
    [
        "ConectionPool",
        "ConnectionPool.aquire()",
        "ConnectionPool.acquire(endpoint, seconds=)",
        "ConnectionPool(min_idle=)",
        "MultiplexedPool(min_size=)",
        "ConnectionPool.stats().free",
        "max_size=11",
        "min_idle=1",
        "monitoring.ConnectionCheckedOutEvent.reason",
        "monitoring.ConnectionCheckOutFinishedEvent",
        "ServerType.MONGOS",
        "pool.sync.psycopg.DbConnectionManager",
        "pool.sync.sockets.TcpSocketConnectionManager",
        "async for",
    ],
)
def test_a_wrong_name_is_found(name: str) -> None:
    """What is not ours does not pass."""
    with pytest.raises((Unknown, ImportError)):
        check(name, aio)


def test_a_table_without_a_column_here_is_found() -> None:
    """A table that could not be checked does not pass."""
    with pytest.raises(ValueError, match="here"):
        list(cells("| there | now |\n|---|---|\n| `a` | `b` |"))


# --- One listener for PyMongo and for us --------------------------------------------------------------------


def test_a_listener_of_both_families_is_silent_about_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With ours first, PyMongo calls what is overridden, and finds the rest empty."""
    mongo = pytest.importorskip("pymongo.monitoring")
    heard = []

    class Closed(monitoring.ConnectionPoolListener, mongo.ConnectionPoolListener):  # type: ignore[misc, name-defined]
        def connection_closed(self, event: Any) -> None:
            heard.append(event)

    listeners = mongo._EventListeners([Closed()])
    listeners.publish_connection_created(("db", 1), 7)
    listeners.publish_connection_closed(("db", 1), 7, "idle")
    assert [(event.connection_id, event.reason) for event in heard] == [(7, "idle")]
    assert capsys.readouterr().err == ""


def test_a_listener_with_theirs_first_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    """The order of the bases matters, as the page says."""
    mongo = pytest.importorskip("pymongo.monitoring")

    class Closed(mongo.ConnectionPoolListener, monitoring.ConnectionPoolListener):  # type: ignore[misc, name-defined]
        pass

    mongo._EventListeners([Closed()]).publish_connection_created(("db", 1), 7)
    assert "NotImplementedError" in capsys.readouterr().err
