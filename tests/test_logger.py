"""The structured log: fixed texts, fields as attributes of the record, and when it is written."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from pool import logger as structured
from pool import monitoring
from pool.monitoring import ConnectionPoolListener
from pool.monitoring import _registry as registry
from pool.monitoring._listeners import HANDLERS, handler_of
from pool.monitoring._publisher import Publisher, publisher_for

DB = ("db", 1)
IDS = ("ping", 11, DB, 12, "service", "admin", 13)
COMMAND_FIELDS = {
    "command_name": "ping",
    "request_id": 11,
    "address": DB,
    "operation_id": 12,
    "service_id": "service",
    "database_name": "admin",
    "server_connection_id": 13,
}
ERROR = OSError("refused")
STACK = '  File "app.py", line 3, in main\n    lease = pool.acquire(endpoint)\n'

CONNECTION, COMMAND, TOPOLOGY = "pool.connection", "pool.command", "pool.topology"

CASES: list[tuple[str, monitoring.Event, str, dict[str, Any]]] = [
    (
        CONNECTION,
        monitoring.PoolCreatedEvent(DB, {"max_size": 3}),
        "Connection pool created",
        {"address": DB, "options": {"max_size": 3}},
    ),
    (CONNECTION, monitoring.PoolReadyEvent(DB), "Connection pool ready", {"address": DB}),
    (
        CONNECTION,
        monitoring.PoolClearedEvent(DB, "service", True),
        "Connection pool cleared",
        {"address": DB, "service_id": "service", "interrupt_connections": True},
    ),
    (CONNECTION, monitoring.PoolClosedEvent(DB), "Connection pool closed", {"address": DB}),
    (
        CONNECTION,
        monitoring.ConnectionCreatedEvent(DB, 3),
        "Connection created",
        {"address": DB, "driver_connection_id": 3},
    ),
    (
        CONNECTION,
        monitoring.ConnectionReadyEvent(DB, 3, 0.25),
        "Connection ready",
        {"address": DB, "driver_connection_id": 3, "duration": 0.25},
    ),
    (
        CONNECTION,
        monitoring.ConnectionClosedEvent(DB, 3, "stale"),
        "Connection closed",
        {"address": DB, "driver_connection_id": 3, "reason": "stale"},
    ),
    (
        CONNECTION,
        monitoring.ConnectionCheckOutStartedEvent(DB),
        "Connection checkout started",
        {"address": DB},
    ),
    (
        CONNECTION,
        monitoring.ConnectionCheckOutFailedEvent(DB, "timeout", 0.25),
        "Connection checkout failed",
        {"address": DB, "duration": 0.25, "reason": "timeout"},
    ),
    (
        CONNECTION,
        monitoring.ConnectionCheckedOutEvent(DB, 3, 0.25),
        "Connection checked out",
        {"address": DB, "driver_connection_id": 3, "duration": 0.25},
    ),
    (
        CONNECTION,
        monitoring.ConnectionCheckedInEvent(DB, 3),
        "Connection checked in",
        {"address": DB, "driver_connection_id": 3},
    ),
    (
        CONNECTION,
        monitoring.ConnectionLeakedEvent(DB, 3, 60.25, STACK),
        "Connection leaked",
        {"address": DB, "driver_connection_id": 3, "duration": 60.25, "stack": STACK},
    ),
    (
        COMMAND,
        monitoring.CommandStartedEvent({"ping": 1}, "admin", 11, DB, 12, "service", 13),
        "Command started",
        {**COMMAND_FIELDS, "command": {"ping": 1}},
    ),
    (
        COMMAND,
        monitoring.CommandSucceededEvent(timedelta(milliseconds=2), {"ok": 1}, *IDS),
        "Command succeeded",
        {**COMMAND_FIELDS, "duration_micros": 2000, "reply": {"ok": 1}},
    ),
    (
        COMMAND,
        monitoring.CommandFailedEvent(timedelta(milliseconds=2), {"ok": 0}, *IDS),
        "Command failed",
        {**COMMAND_FIELDS, "duration_micros": 2000, "failure": {"ok": 0}},
    ),
    (
        TOPOLOGY,
        monitoring.TopologyOpenedEvent("t"),
        "Starting topology monitoring",
        {"topology_id": "t"},
    ),
    (
        TOPOLOGY,
        monitoring.TopologyDescriptionChangedEvent("before", "now", "t"),
        "Topology description changed",
        {"topology_id": "t", "new_description": "now", "previous_description": "before"},
    ),
    (
        TOPOLOGY,
        monitoring.TopologyClosedEvent("t"),
        "Stopped topology monitoring",
        {"topology_id": "t"},
    ),
    (
        TOPOLOGY,
        monitoring.ServerOpeningEvent(DB, "t"),
        "Starting server monitoring",
        {"address": DB, "topology_id": "t"},
    ),
    (
        TOPOLOGY,
        monitoring.ServerDescriptionChangedEvent("before", "now", DB, "t"),
        "Server description changed",
        {
            "address": DB,
            "topology_id": "t",
            "new_description": "now",
            "previous_description": "before",
        },
    ),
    (
        TOPOLOGY,
        monitoring.ServerClosedEvent(DB, "t"),
        "Stopped server monitoring",
        {"address": DB, "topology_id": "t"},
    ),
    (
        TOPOLOGY,
        monitoring.ServerHeartbeatStartedEvent(DB, True),
        "Server heartbeat started",
        {"awaited": True, "address": DB},
    ),
    (
        TOPOLOGY,
        monitoring.ServerHeartbeatSucceededEvent(0.25, "hello", DB),
        "Server heartbeat succeeded",
        {"awaited": False, "address": DB, "duration": 0.25, "reply": "hello"},
    ),
    (
        TOPOLOGY,
        monitoring.ServerHeartbeatFailedEvent(0.25, ERROR, DB),
        "Server heartbeat failed",
        {"awaited": False, "address": DB, "duration": 0.25, "reply": ERROR},
    ),
]

LOGS = {
    CONNECTION: structured.connection_log,
    COMMAND: structured.command_log,
    TOPOLOGY: structured.topology_log,
}

STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


@pytest.fixture(autouse=True)
def _silent_first(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test starts with the loggers above DEBUG and with nothing registered."""
    monkeypatch.setattr(registry, "_registered", [])
    names = ("pool", CONNECTION, COMMAND, TOPOLOGY)
    before = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.INFO)
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def pool_publisher(*listeners: monitoring.EventListener) -> Publisher | None:
    return publisher_for(listeners, ConnectionPoolListener)


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    return {name: value for name, value in vars(record).items() if name not in STANDARD}


@pytest.mark.parametrize(
    ("name", "event", "message", "fields"),
    [pytest.param(*case, id=type(case[1]).__name__) for case in CASES],
)
def test_an_event_becomes_one_record(
    name: str,
    event: monitoring.Event,
    message: str,
    fields: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG, name)
    handler = handler_of(LOGS[name], type(event))
    assert handler is not None
    handler(event)
    (record,) = caplog.records
    assert (record.name, record.levelname) == (name, "DEBUG")
    assert fields_of(record) == {"event": type(event).__name__, **fields}
    shown = ", ".join(
        f"{field}={value!r}" for field, value in fields_of(record).items() if field != "event"
    )
    assert record.getMessage() == f"{message}: {shown}"


def test_every_event_has_its_record() -> None:
    assert {type(event) for _, event, _, _ in CASES} == set(HANDLERS)


def test_what_is_none_is_not_shown_but_is_there(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, CONNECTION)
    publisher = pool_publisher()
    assert publisher is not None
    publisher.publish(monitoring.PoolClearedEvent, DB, None, False)
    (record,) = caplog.records
    expected = "Connection pool cleared: address=('db', 1), interrupt_connections=False"
    assert record.getMessage() == expected
    assert fields_of(record)["service_id"] is None


def test_a_long_value_is_cut_in_the_message_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, COMMAND)
    publisher = publisher_for((), monitoring.CommandListener)
    assert publisher is not None
    document = {"insert": "x" * 5000}
    publisher.publish(monitoring.CommandStartedEvent, document, "admin", 1, DB, None)
    (record,) = caplog.records
    assert len(record.getMessage()) < 1500
    assert record.getMessage().endswith("xxx...")
    assert fields_of(record)["command"] is document


class TestWhen:
    def test_a_pool_made_while_the_logger_is_silent_has_nobody_to_tell(self) -> None:
        assert pool_publisher() is None

    def test_a_pool_made_while_it_is_enabled_writes(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, CONNECTION)
        publisher = pool_publisher()
        assert publisher is not None
        publisher.publish(monitoring.PoolReadyEvent, DB)
        assert len(caplog.records) == 1

    def test_each_logger_counts_for_its_own_events(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, TOPOLOGY)
        assert pool_publisher() is None
        assert publisher_for((), monitoring.CommandListener) is None
        assert publisher_for((), monitoring.ServerListener) is not None

    def test_it_stops_when_the_level_is_raised(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, CONNECTION)
        publisher = pool_publisher()
        assert publisher is not None
        caplog.set_level(logging.INFO, CONNECTION)
        publisher.publish(monitoring.PoolReadyEvent, DB)
        assert caplog.records == []

    def test_given_as_a_listener_it_writes_as_soon_as_the_level_allows(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        publisher = pool_publisher(structured.connection_log)
        assert publisher is not None
        publisher.publish(monitoring.PoolReadyEvent, DB)
        assert caplog.records == []
        caplog.set_level(logging.DEBUG, CONNECTION)
        publisher.publish(monitoring.PoolReadyEvent, DB)
        assert len(caplog.records) == 1

    def test_it_never_writes_twice(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, CONNECTION)
        monitoring.register(structured.connection_log)
        publisher = pool_publisher(structured.connection_log)
        assert publisher is not None
        publisher.publish(monitoring.PoolReadyEvent, DB)
        assert len(caplog.records) == 1

    def test_it_writes_before_other_listeners_act(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, CONNECTION)
        seen: list[int] = []
        publisher = pool_publisher(monitoring.on(lambda _: seen.append(len(caplog.records))))
        assert publisher is not None
        publisher.publish(monitoring.PoolReadyEvent, DB)
        assert seen == [1]
