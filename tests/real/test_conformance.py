"""The managers of the examples, on their servers, before ``check_manager``."""

import asyncio
from typing import Any

import pytest
from real import kit_aio, kit_sync
from real.kit import Kit, Tally

from pool.testing import ConformanceReport, check_manager
from support.real import HOST, RealServer


def at(protocol: str, host: str, port: int) -> Any:
    """Return the endpoint that leads to an address."""
    if protocol == "redis":
        return host, port
    return f"host={host} port={port} dbname=postgres user=postgres"


def check(kit: Kit, protocol: str, server: RealServer) -> ConformanceReport:
    found: Any = check_manager(
        kit.manager(Tally()),
        at(protocol, HOST, server.port),
        server=(HOST, server.port),
        via=lambda host, port: at(protocol, host, port),
        short=0.1,
        patience=3.0,
        strict=False,
    )
    if isinstance(found, ConformanceReport):
        return found

    async def run() -> ConformanceReport:
        report: ConformanceReport = await found
        return report

    return asyncio.run(run())


@pytest.mark.slow
def test_async_examples(protocol: str, server: RealServer) -> None:
    """They keep every promise."""
    report = check(kit_aio.KITS[protocol], protocol, server)
    assert report.failed == (), report
    assert [each.reason for each in report.skipped] == ["service_id is not overridden"]


@pytest.mark.slow
def test_sync_examples(protocol: str, server: RealServer) -> None:
    """They keep all but one: their ``create`` keeps its timeout, and nobody can break it off before."""
    report = check(kit_sync.KITS[protocol], protocol, server)
    failed = [each.check for each in report.failed]
    assert failed == ["a create that hangs can be broken off"], report
    assert [each.reason for each in report.skipped] == [
        "service_id is not overridden",
        "a thread cannot be cancelled",
    ]
