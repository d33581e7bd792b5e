"""The ready-made loggers: messages at INFO, or WARNING where an operator should look."""

import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from pool import event_loggers, monitoring
from pool.monitoring._listeners import HANDLERS
from pool.monitoring._publisher import publisher_for

DB = ("db", 1)
IDS = ("ping", 11, DB, None)

UNKNOWN = SimpleNamespace(server_type=0, server_type_name="Unknown")
PRIMARY = SimpleNamespace(server_type=1, server_type_name="Primary")


def topology(kind: int, name: str, *, writable: bool = True, readable: bool = True) -> Any:
    return SimpleNamespace(
        topology_type=kind,
        topology_type_name=name,
        has_writable_server=lambda: writable,
        has_readable_server=lambda: readable,
    )


BEFORE = topology(0, "Unknown")
NOW = topology(1, "Single")
LOST = topology(0, "Unknown", writable=False, readable=False)

INFO, WARNING = logging.INFO, logging.WARNING

CASES: list[tuple[monitoring.EventListener, monitoring.Event, list[tuple[str, int, str]]]] = [
    (
        event_loggers.CommandLogger(),
        monitoring.CommandStartedEvent({"ping": "secret"}, "admin", 11, DB, None),
        [("pool.command", INFO, "command ping, request 11, started on server ('db', 1)")],
    ),
    (
        event_loggers.CommandLogger(),
        monitoring.CommandSucceededEvent(timedelta(milliseconds=2), {"x": "secret"}, *IDS),
        [
            (
                "pool.command",
                INFO,
                "command ping, request 11, succeeded on server ('db', 1) after 2000 microseconds",
            )
        ],
    ),
    (
        event_loggers.CommandLogger(),
        monitoring.CommandFailedEvent(timedelta(milliseconds=2), {"x": "secret"}, *IDS),
        [
            (
                "pool.command",
                INFO,
                "command ping, request 11, failed on server ('db', 1) after 2000 microseconds",
            )
        ],
    ),
    (
        event_loggers.ServerLogger(),
        monitoring.ServerOpeningEvent(DB, "t"),
        [("pool.topology", INFO, "topology t: server ('db', 1) joined")],
    ),
    (
        event_loggers.ServerLogger(),
        monitoring.ServerDescriptionChangedEvent(UNKNOWN, PRIMARY, DB, "t"),
        [
            (
                "pool.topology",
                INFO,
                "topology t: server ('db', 1) was Unknown and is now Primary",
            )
        ],
    ),
    (
        event_loggers.ServerLogger(),
        monitoring.ServerDescriptionChangedEvent(PRIMARY, PRIMARY, DB, "t"),
        [],
    ),
    (
        event_loggers.ServerLogger(),
        monitoring.ServerClosedEvent(DB, "t"),
        [("pool.topology", WARNING, "topology t: server ('db', 1) left")],
    ),
    (
        event_loggers.HeartbeatLogger(),
        monitoring.ServerHeartbeatStartedEvent(DB),
        [("pool.topology", INFO, "heartbeat to server ('db', 1) started")],
    ),
    (
        event_loggers.HeartbeatLogger(),
        monitoring.ServerHeartbeatSucceededEvent(0.25, SimpleNamespace(document={"ok": 1}), DB),
        [
            (
                "pool.topology",
                INFO,
                "heartbeat to server ('db', 1) answered after 0.250 s: {'ok': 1}",
            )
        ],
    ),
    (
        event_loggers.HeartbeatLogger(),
        monitoring.ServerHeartbeatFailedEvent(0.25, OSError("refused"), DB),
        [
            (
                "pool.topology",
                WARNING,
                "heartbeat to server ('db', 1) failed after 0.250 s: OSError('refused')",
            )
        ],
    ),
    (
        event_loggers.TopologyLogger(),
        monitoring.TopologyOpenedEvent("t"),
        [("pool.topology", INFO, "topology t opened")],
    ),
    (
        event_loggers.TopologyLogger(),
        monitoring.TopologyDescriptionChangedEvent(BEFORE, NOW, "t"),
        [
            ("pool.topology", INFO, "topology t: description updated"),
            ("pool.topology", INFO, "topology t was Unknown and is now Single"),
        ],
    ),
    (
        event_loggers.TopologyLogger(),
        monitoring.TopologyDescriptionChangedEvent(BEFORE, LOST, "t"),
        [
            ("pool.topology", INFO, "topology t: description updated"),
            ("pool.topology", WARNING, "topology t has no server to write to"),
            ("pool.topology", WARNING, "topology t has no server to read from"),
        ],
    ),
    (
        event_loggers.TopologyLogger(),
        monitoring.TopologyClosedEvent("t"),
        [("pool.topology", INFO, "topology t closed")],
    ),
    *(
        (event_loggers.ConnectionPoolLogger(), event, [("pool.connection", INFO, message)])
        for event, message in [
            (
                monitoring.PoolCreatedEvent(DB, {"max_size": 3}),
                "pool ('db', 1): created with {'max_size': 3}",
            ),
            (monitoring.PoolReadyEvent(DB), "pool ('db', 1): ready"),
            (monitoring.PoolClearedEvent(DB), "pool ('db', 1): cleared"),
            (monitoring.PoolClosedEvent(DB), "pool ('db', 1): closed"),
            (monitoring.ConnectionCreatedEvent(DB, 3), "pool ('db', 1): connection 3 created"),
            (monitoring.ConnectionReadyEvent(DB, 3, 0.1), "pool ('db', 1): connection 3 ready"),
            (
                monitoring.ConnectionClosedEvent(DB, 3, "stale"),
                "pool ('db', 1): connection 3 closed, reason: stale",
            ),
            (
                monitoring.ConnectionCheckOutStartedEvent(DB),
                "pool ('db', 1): check-out started",
            ),
            (
                monitoring.ConnectionCheckOutFailedEvent(DB, "timeout", 0.1),
                "pool ('db', 1): check-out failed, reason: timeout",
            ),
            (
                monitoring.ConnectionCheckedOutEvent(DB, 3, 0.1),
                "pool ('db', 1): connection 3 checked out",
            ),
            (
                monitoring.ConnectionCheckedInEvent(DB, 3),
                "pool ('db', 1): connection 3 checked in",
            ),
        ]
    ),
    (
        event_loggers.ConnectionPoolLogger(),
        monitoring.ConnectionLeakedEvent(DB, 3, 60.25, '  File "app.py", line 3, in main\n'),
        [
            (
                "pool.connection",
                WARNING,
                "pool ('db', 1): connection 3 leaked, held for 60.250 s",
            )
        ],
    ),
]


@pytest.mark.parametrize(
    ("listener", "event", "expected"),
    [pytest.param(*case, id=f"{type(case[1]).__name__}-{len(case[2])}") for case in CASES],
)
def test_an_event_becomes_its_messages(
    listener: monitoring.EventListener,
    event: monitoring.Event,
    expected: list[tuple[str, int, str]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    getattr(listener, HANDLERS[type(event)][1])(event)
    assert caplog.record_tuples == expected


def test_every_event_has_its_logger() -> None:
    assert {type(event) for _, event, _ in CASES} == set(HANDLERS)


def test_a_logger_is_a_listener_that_wants_every_event_of_its_family() -> None:
    for listener, event, _ in CASES:
        family = HANDLERS[type(event)][0]
        publisher = publisher_for([listener], family)
        assert publisher is not None
        assert publisher.wants(type(event))
