"""The structured log of a pool: records at DEBUG on ``pool.connection``."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from pool import PoolTimeoutError
from pool import logger as structured
from pool.aio import ConnectionPool

from .fakes import Manager, assert_empty, held

NAME = "pool.connection"


@pytest.fixture(autouse=True)
def _silent_first() -> Iterator[None]:
    """Whatever the level of the run, every test starts with the logger above DEBUG."""
    before = {name: logging.getLogger(name).level for name in ("pool", NAME)}
    for name in before:
        logging.getLogger(name).setLevel(logging.INFO)
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def debug_records(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [
        record
        for record in caplog.records
        if record.name == NAME and record.levelno == logging.DEBUG
    ]


def texts(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the fixed part of each message."""
    return [record.getMessage().partition(":")[0] for record in debug_records(caplog)]


async def test_every_step_is_a_record(caplog: pytest.LogCaptureFixture) -> None:
    """In order, with a fixed text each."""
    caplog.set_level(logging.DEBUG, NAME)
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool)
        await pool.clear("e")
    assert texts(caplog) == [
        "Connection pool created",
        "Connection pool ready",
        "Connection checkout started",
        "Connection created",
        "Connection ready",
        "Connection checked out",
        "Connection checked in",
        "Connection pool cleared",
        "Connection closed",
    ]
    assert_empty(pool, manager)


async def test_the_facts_are_fields_of_the_record(caplog: pytest.LogCaptureFixture) -> None:
    """Endpoint, connection, reason, duration and options, by name."""
    caplog.set_level(logging.DEBUG, NAME)
    async with ConnectionPool(Manager(), max_size=1) as pool:
        lease = await pool.acquire("e")
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 0)
        await lease.discard()
    records = {record.event: record for record in debug_records(caplog)}
    assert {record.address for record in records.values()} == {"e"}
    assert records["PoolCreatedEvent"].options == {"max_size": 1}
    assert records["ConnectionClosedEvent"].driver_connection_id == 1
    assert records["ConnectionClosedEvent"].reason == "error"
    assert records["ConnectionCheckOutFailedEvent"].reason == "timeout"
    assert type(records["ConnectionReadyEvent"].duration) is float
    assert "driver_connection_id=1" in records["ConnectionCheckedOutEvent"].getMessage()


async def test_a_pool_made_before_the_log_was_enabled_is_silent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It found out when it was made, and has cost nothing since."""
    async with ConnectionPool(Manager()) as pool:
        caplog.set_level(logging.DEBUG, NAME)
        await held(pool)
    assert debug_records(caplog) == []


async def test_a_pool_stops_writing_when_the_log_is_turned_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The level counts at every event too."""
    caplog.set_level(logging.DEBUG, NAME)
    async with ConnectionPool(Manager()) as pool:
        await pool.add("e")
        caplog.set_level(logging.INFO, NAME)
        await held(pool)
    assert texts(caplog) == ["Connection pool created", "Connection pool ready"]


async def test_the_log_can_be_given_to_a_pool(caplog: pytest.LogCaptureFixture) -> None:
    """Then it writes as soon as the level allows, and never twice."""
    async with ConnectionPool(
        Manager(), paused=True, event_listeners=[structured.connection_log]
    ) as pool:
        await pool.add("a")
        assert debug_records(caplog) == []
        caplog.set_level(logging.DEBUG, NAME)
        await pool.add("b")
        assert texts(caplog) == ["Connection pool created"]
    async with ConnectionPool(
        Manager(), paused=True, event_listeners=[structured.connection_log]
    ) as pool:
        caplog.clear()
        await pool.add("c")
        assert texts(caplog) == ["Connection pool created"]
