"""The soak notices what is wrong: its books, and short soaks of a library that was broken on purpose."""

import re
from random import Random
from typing import Any

import pytest

from pool.testing import ChaosProxy
from soak import run, site, threads
from soak.books import Books, Limits, Tally
from soak.protocols import PROTOCOLS
from soak.report import summary
from soak.weather import _modes


def test_a_connection_with_two_owners() -> None:
    """Whoever takes what another one has is found; one after the other is fine."""
    books, connection = Books(), object()
    with books.owning(connection):
        assert not books.broken.is_set()
    with books.owning(connection), books.owning(object()):
        assert books.violations == []
    with books.owning(connection), books.owning(connection):
        assert books.violations == [f"a connection has two owners: {connection!r}"]
    assert books.broken.is_set()


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Limits(1, 9, 9), "a: 2 connections to 'x', 2 in all, 2 connecting; allowed are (1, 9, 9)"),
        (Limits(9, 1, 9), "a: 2 connections to 'x', 2 in all, 2 connecting; allowed are (9, 1, 9)"),
        (Limits(9, 9, 1), "a: 2 connections to 'x', 2 in all, 2 connecting; allowed are (9, 9, 1)"),
        (Limits(2, 2, 2), None),
    ],
)
def test_limits_that_are_passed(limits: Limits, text: str | None) -> None:
    """Each of the three, from the begin of a create to the end of a dispose."""
    books = Books()
    tally = Tally(books, "a", limits)
    for _ in range(3):
        tally.begin("x")
        tally.connected("x")
        tally.end("x")
    assert (books.violations, tally.total) == ([], 0)
    tally.begin("x")
    tally.begin("x")
    assert books.violations == ([text] if text else [])
    assert (tally.total, tally.most, tally.most_in_all) == (2, 2, 2)


def test_the_summary() -> None:
    """It has a row for each pool, the limits, and what went wrong."""
    books = Books()
    books.count("sync redis: operations", 1234)
    books.most("sync redis: most in all", 3)
    books.most("sync redis: most in all", 2)
    books.error(TimeoutError())
    books.deed("proxy reset")
    books.count("chaos lie", 2)
    text = summary(books)
    assert re.search(r"sync redis +1,234 +0 +0 +0 +0 +3\n", text)
    assert re.search(r"aio postgres +0 +0 +0 +0 +0 +0\n", text)
    assert re.search(r"allowed +5 +8\n", text)
    assert "\nerrors: TimeoutError 1\n" in text
    assert "\nchaos in managers: lie 2\n" in text
    assert "\ndone: proxy reset 1\n" in text
    assert text.endswith("checked: none")


def test_all_weather_is_real() -> None:
    """Whatever the seed, every mode is one that a proxy takes."""
    proxy = ChaosProxy("localhost", 1)
    for seed in range(20):
        for name, switch in _modes(Random(seed)).items():
            if name not in ("reset", "close"):
                switch(proxy)


def soaked(seconds: float = 2.0) -> list[str]:
    """Return what a short soak finds."""
    for protocol in PROTOCOLS:
        if reason := protocol.missing():
            pytest.skip(reason)
    return run.soak(seconds, "a test", lambda _: None).violations


@pytest.mark.slow
def test_notices_a_limit_that_is_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools that are larger than they may be are found at once."""

    def strict(books: Books, name: str, limits: Limits) -> Tally:
        return Tally(books, name, Limits(1, limits.total_max_size, limits.max_connecting))

    monkeypatch.setattr(site, "Tally", strict)
    violations = soaked()
    assert violations
    assert "allowed are (1, " in violations[0]


@pytest.mark.slow
def test_notices_what_the_server_still_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that are disposed of by nobody are found by asking the servers."""
    kept: list[tuple[Any, Any, Any]] = []

    def forget(manager: Any, endpoint: Any, conn: Any, timeout: float | None) -> None:
        kept.append((manager.manager, endpoint, conn))
        manager._tally.end(endpoint)

    monkeypatch.setattr(threads.WatchedManager, "dispose", forget)
    monkeypatch.setattr(run, "PATIENCE", 1.0)
    try:
        violations = soaked()
    finally:
        for manager, endpoint, conn in kept:
            manager.dispose(endpoint, conn, 1.0)
    assert any(re.search(r"(redis|postgres) sees \d+ connections", each) for each in violations)
