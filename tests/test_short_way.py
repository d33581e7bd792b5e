"""The hot path is written out in both halves of the twin; what it decides is what the core decides."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from pool._core.pool import PoolCore
from pool._runtime.aio_checkout import Checkout as AsyncCheckout
from pool._runtime.sync_checkout import Checkout as SyncCheckout

IN = [AsyncCheckout.__aenter__, SyncCheckout.__enter__]
OUT = [AsyncCheckout.__aexit__, SyncCheckout.__exit__]


def body(function: Callable[..., Any]) -> list[ast.stmt]:
    """Return the statements of a function."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    return definition.body


def lines(statements: list[ast.stmt]) -> list[str]:
    """Return statements as text, without comments and docstrings."""
    return [
        line
        for statement in statements
        for line in ast.unparse(statement).splitlines()
        if not line.lstrip().startswith(('"', "'"))
    ]


def written_out(function: Callable[..., Any]) -> list[str]:
    """Return what a short way does, apart from the lock and the way to get there, in the core's words."""
    found: list[ast.stmt] = []
    for statement in body(function):
        if isinstance(statement, ast.Try) and any(
            isinstance(each, ast.Assign | ast.If) for each in statement.body
        ):
            found += statement.body
        else:
            found.append(statement)
    text = "\n".join(lines(found))
    for theirs, ours in [
        (
            "connection: ConnectionT = entry.connection\n        return connection",
            "return entry",
        ),
        ("effects = core.put(entry, now)", "return core.put(entry, now)"),
        ("return _DONE", "return None"),
    ]:
        text = text.replace(theirs, ours)
    return text.splitlines()


def decided(method: Callable[..., Any]) -> list[str]:
    """Return what the core does, with the names of the short way."""
    text = "\n".join(lines(body(method)))
    text = text.replace("self.", "core.").replace("claim.", "self.")
    return text.splitlines()


@pytest.mark.parametrize("way_in", IN)
def test_the_short_way_in_is_what_the_core_takes(way_in: Callable[..., Any]) -> None:
    """Line by line."""
    expected = decided(PoolCore.take)[:-1]
    assert len(expected) > 10
    text = written_out(way_in)
    start = text.index(expected[0])
    assert text[start : start + len(expected)] == expected


@pytest.mark.parametrize("way_out", OUT)
def test_the_short_way_out_is_what_the_core_checks_in(way_out: Callable[..., Any]) -> None:
    """Line by line; what the core leaves by a return, the way out may leave by an ``else``."""
    expected = [line.strip() for line in decided(PoolCore.check_in)]
    assert len(expected) > 10
    text = [line.strip() for line in written_out(way_out)]
    text = [line for line in text if line not in ("else:", "core = guard.core")]
    start = text.index(expected[0])
    assert text[start : start + len(expected)] == expected
