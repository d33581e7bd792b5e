"""check_manager: the library's own managers pass, and every defect is caught, by its name."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pool.aio import TcpConnectionManager, UnixConnectionManager
from pool.testing import ConformanceReport
from pool.testing.aio import ChaosManager, ConformanceError, check_manager
from support.servers import Peer, Server

from .defective import DEFECTS, IN_ONE_WORLD, Right, answer

#: What a manager that leaves everything to TCP cannot be asked.
SKIPPED_BY_TCP = {
    "can_reuse says nothing to the server": "can_reuse is not overridden",
    "service_id answers at once": "service_id is not overridden",
    "interrupt ends a check_aliveness that hangs": "check_aliveness does not wait for the server",
    "create keeps its timeout when the server is silent": (
        "create does not wait for an answer of a server that says nothing"
    ),
}
NO_PROXY = "no proxy can be put in front of this endpoint (see server and via)"
IN_ONE_WORLD_ONLY = "a create that is cancelled leaves nothing open"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(answer) as server:
        yield server


async def check(manager: Any, endpoint: Any, **options: Any) -> ConformanceReport:
    """Check it without raising, in little time."""
    options = {"short": 0.05, "strict": False, **options}
    return await check_manager(manager, endpoint, **options)


def skipped(report: ConformanceReport) -> dict[str, str]:
    """Return what was skipped and why, but for what is of one world."""
    found = {finding.check: finding.reason for finding in report.skipped}
    found.pop(IN_ONE_WORLD_ONLY, None)
    return found


async def test_the_tcp_manager() -> None:
    """It passes; what it leaves to others is skipped."""
    with Server(Peer.echo) as server:
        report = await check(TcpConnectionManager(), server.endpoint)
    assert report.failed == ()
    assert skipped(report) == SKIPPED_BY_TCP
    assert len(report.passed) + len(report.skipped) == len(report.findings) == 26


async def test_the_unix_manager(tmp_path: Path) -> None:
    """It passes, by a path of either kind; no proxy can be put in front of it."""
    path = tmp_path / "socket"
    with Server(Peer.echo, path=path):
        for endpoint in (path, str(path)):
            report = await check(UnixConnectionManager(), endpoint)
            assert report.failed == ()
            assert "create fails where nobody is" in [each.check for each in report.passed]
            reasons = set(skipped(report).values())
            assert reasons == {
                NO_PROXY,
                "can_reuse is not overridden",
                "service_id is not overridden",
            }


async def test_chaos_passes_if_it_does_no_harm(server: Server) -> None:
    """A ChaosManager keeps all promises of what it wraps."""
    report = await check(ChaosManager(Right()), server.endpoint)
    assert report.failed == ()
    assert skipped(report) == {}


async def test_a_manager_whose_endpoint_is_none(server: Server) -> None:
    """Who says where the server is and how an endpoint is made gets all checks."""

    class Named(Right):
        async def create(self, endpoint: Any, timeout: float | None) -> Any:
            host, _, port = endpoint.rpartition(":")
            return await super().create((host, int(port)), timeout)

        def interrupt(self, endpoint: Any, conn: Any) -> None:
            host, _, port = endpoint.rpartition(":")
            super().interrupt((host, int(port)), conn)

    host, port = server.endpoint
    report = await check(Named(), f"{host}:{port}")
    assert set(skipped(report).values()) == {
        NO_PROXY,
        "no endpoint is known where nobody is (see bad_endpoint)",
    }
    report = await check(
        Named(),
        f"{host}:{port}",
        server=server.endpoint,
        via=lambda host, port: f"{host}:{port}",
    )
    assert (report.failed, skipped(report)) == ((), {})


@pytest.mark.slow
@pytest.mark.parametrize("defective", DEFECTS, ids=lambda manager: manager.__name__)
async def test_defects_are_caught(server: Server, defective: type[Right]) -> None:
    """What a manager does wrong is found where it belongs, and nothing else is."""
    manager = defective()
    try:
        report = await check(manager, server.endpoint, patience=2.0)
    finally:
        for descriptor in manager.descriptors:
            os.close(descriptor)
    found = {finding.check: finding.reason for finding in report.failed}
    for title in IN_ONE_WORLD.get(defective, ()):
        found.pop(title, None)
    expected = DEFECTS[defective]
    assert found.keys() == expected.keys(), report
    for title, reason in expected.items():
        assert re.search(reason, found[title]), found


async def test_without_the_basics(server: Server) -> None:
    """If nothing can be opened, nothing else can be checked."""

    class Locked(Right):
        async def create(self, endpoint: Any, timeout: float | None) -> Any:
            raise PermissionError("no password")

    report = await check(Locked(), server.endpoint)
    assert [finding.check for finding in report.passed] == [
        "every hook can be called as the pool calls it"
    ]
    assert [finding.check for finding in report.failed] == ["create opens a connection"]
    assert {finding.reason for finding in report.skipped} == {"the manager lacks the basics"}


async def test_the_error_names_all_failures(server: Server) -> None:
    """Strict, which it is by default, it raises an AssertionError that has the whole report."""

    class Careless(Right):
        def can_reuse(self, endpoint: Any, conn: Any, error: BaseException) -> Any:
            return None

        def service_id(self, endpoint: Any, conn: Any) -> Any:
            return {}

    with pytest.raises(ConformanceError) as caught:
        await check_manager(Careless(), server.endpoint, short=0.05)
    assert isinstance(caught.value, AssertionError)
    assert str(caught.value).splitlines() == [
        f"Careless at {server.endpoint!r}: 2 of 26 checks failed",
        "  - can_reuse answers at once, with a bool: can_reuse returned None, which is no bool",
        "  - service_id answers at once: service_id returned {}, which cannot be hashed",
    ]
    assert len(caught.value.report.failed) == 2


async def test_the_report_is_a_table(server: Server) -> None:
    """One line for each check, with its result."""
    report = await check(Right(), server.endpoint)
    first, *rows = str(report).splitlines()
    counts = f"{len(report.passed)} passed, 0 failed, {len(report.skipped)} skipped"
    assert first == f"Right at {server.endpoint!r}: {counts}"
    assert rows[0] == "  passed   every hook can be called as the pool calls it"
    assert len(rows) == len(report.findings)
