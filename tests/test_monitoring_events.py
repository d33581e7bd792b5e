"""Events are PyMongo's, name for name, but for one that is ours; and plain data.

The tables say what they are; a second look compares with PyMongo itself where it is installed.
"""

import copy
import inspect
import pickle
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from pool import monitoring
from pool.monitoring._listeners import HANDLERS

COMMAND_IDS = "command_name request_id connection_id operation_id service_id database_name"
COMMAND_PROPERTIES = f"{COMMAND_IDS} server_connection_id"
COMMAND_ENDED = (
    "command_name, request_id, connection_id, operation_id, service_id=None, database_name='',"
    " server_connection_id=None"
)

# Class: (parameters of the constructor, properties).
EVENTS = {
    "PoolCreatedEvent": ("address, options", "address options"),
    "PoolReadyEvent": ("address", "address"),
    "PoolClearedEvent": (
        "address, service_id=None, interrupt_connections=False",
        "address service_id interrupt_connections",
    ),
    "PoolClosedEvent": ("address", "address"),
    "ConnectionCreatedEvent": ("address, connection_id", "address connection_id"),
    "ConnectionReadyEvent": (
        "address, connection_id, duration",
        "address connection_id duration",
    ),
    "ConnectionClosedEvent": ("address, connection_id, reason", "address connection_id reason"),
    "ConnectionCheckOutStartedEvent": ("address", "address"),
    "ConnectionCheckOutFailedEvent": (
        "address, reason, duration",
        "address connection_id duration reason",
    ),
    "ConnectionCheckedOutEvent": (
        "address, connection_id, duration",
        "address connection_id duration",
    ),
    "ConnectionCheckedInEvent": ("address, connection_id", "address connection_id"),
    "ConnectionLeakedEvent": (
        "address, connection_id, duration, stack",
        "address connection_id duration stack",
    ),
    "CommandStartedEvent": (
        "command, database_name, request_id, connection_id, operation_id, service_id=None,"
        " server_connection_id=None",
        f"command {COMMAND_PROPERTIES}",
    ),
    "CommandSucceededEvent": (
        f"duration, reply, {COMMAND_ENDED}",
        f"duration_micros reply {COMMAND_PROPERTIES}",
    ),
    "CommandFailedEvent": (
        f"duration, failure, {COMMAND_ENDED}",
        f"duration_micros failure {COMMAND_PROPERTIES}",
    ),
    "ServerOpeningEvent": ("server_address, topology_id", "server_address topology_id"),
    "ServerDescriptionChangedEvent": (
        "previous_description, new_description, *args",
        "server_address topology_id previous_description new_description",
    ),
    "ServerClosedEvent": ("server_address, topology_id", "server_address topology_id"),
    "TopologyEvent": ("topology_id", "topology_id"),
    "TopologyOpenedEvent": ("topology_id", "topology_id"),
    "TopologyDescriptionChangedEvent": (
        "previous_description, new_description, *args",
        "topology_id previous_description new_description",
    ),
    "TopologyClosedEvent": ("topology_id", "topology_id"),
    "ServerHeartbeatStartedEvent": ("connection_id, awaited=False", "connection_id awaited"),
    "ServerHeartbeatSucceededEvent": (
        "duration, reply, connection_id, awaited=False",
        "duration reply connection_id awaited",
    ),
    "ServerHeartbeatFailedEvent": (
        "duration, reply, connection_id, awaited=False",
        "duration reply connection_id awaited",
    ),
}

# Family: its methods.
LISTENERS = {
    "CommandListener": "started succeeded failed",
    "ServerListener": "opened description_changed closed",
    "ServerHeartbeatListener": "started succeeded failed",
    "TopologyListener": "opened description_changed closed",
    "ConnectionPoolListener": (
        "pool_created pool_ready pool_cleared pool_closed connection_created connection_ready"
        " connection_closed connection_check_out_started connection_check_out_failed"
        " connection_checked_out connection_checked_in connection_leaked"
    ),
}

# All that goes beyond PyMongo: the event, and the family and the method that hear of it.
OUR_EVENT = "ConnectionLeakedEvent"
OUR_METHODS = {"ConnectionPoolListener": {"connection_leaked"}}

CLOSED_REASONS = {
    "STALE": "stale",
    "IDLE": "idle",
    "ERROR": "error",
    "POOL_CLOSED": "poolClosed",
}
FAILED_REASONS = {
    "TIMEOUT": "timeout",
    "POOL_CLOSED": "poolClosed",
    "CONN_ERROR": "connectionError",
}

# What the constructors are given here.
VALUES: dict[str, Any] = {
    "address": ("db", 1),
    "options": {"max_size": 3},
    "service_id": "service",
    "interrupt_connections": True,
    "connection_id": 7,
    "reason": "idle",
    "duration": 0.25,
    "stack": '  File "app.py", line 3, in main\n    lease = pool.acquire(endpoint)\n',
    "command": {"ping": 1},
    "reply": {"ok": 1},
    "failure": {"ok": 0},
    "command_name": "ping",
    "request_id": 11,
    "operation_id": 12,
    "database_name": "admin",
    "server_connection_id": 13,
    "server_address": ("db", 2),
    "topology_id": "topology",
    "previous_description": "before",
    "new_description": "now",
    "awaited": True,
}
# Where not any other value will do.
OTHER: dict[str, Any] = {"duration": 0.5, "command": {"ping": 2}}
# What ``*args`` stands for.
REST = {
    "ServerDescriptionChangedEvent": ["server_address", "topology_id"],
    "TopologyDescriptionChangedEvent": ["topology_id"],
}

every_event = pytest.mark.parametrize("name", EVENTS)
every_event_but_ours = pytest.mark.parametrize(
    "name", [name for name in EVENTS if name != OUR_EVENT]
)


def parameters(cls: type) -> str:
    """The parameters of a constructor without their annotations."""
    found = inspect.signature(cls).parameters.values()
    return ", ".join(
        str(parameter.replace(annotation=inspect.Parameter.empty)) for parameter in found
    )


def properties(cls: type) -> set[str]:
    return {name for name, value in inspect.getmembers(cls) if isinstance(value, property)}


def methods(cls: type) -> set[str]:
    found = inspect.getmembers(cls, inspect.isfunction)
    return {name for name, _ in found if not name.startswith("_")}


def constants(cls: type) -> dict[str, str]:
    return {name: value for name, value in vars(cls).items() if not name.startswith("_")}


def given(cls: type) -> list[str]:
    """What a constructor takes, with names for those in ``*args``."""
    named = [name for name in inspect.signature(cls).parameters if name != "args"]
    return named + REST.get(cls.__name__, [])


def make(name: str, **changed: Any) -> Any:
    """An event of a class with every parameter given, by position."""
    values = VALUES | changed
    if name in {"CommandSucceededEvent", "CommandFailedEvent"}:
        values = {**values, "duration": timedelta(seconds=values["duration"])}
    event_type = getattr(monitoring, name)
    return event_type(*[values[parameter] for parameter in given(event_type)])


@every_event
def test_an_event_has_the_constructor_and_the_properties_of_the_table(name: str) -> None:
    event_type = getattr(monitoring, name)
    expected_parameters, expected_properties = EVENTS[name]
    assert parameters(event_type) == expected_parameters
    assert properties(event_type) == set(expected_properties.split())


@every_event
def test_a_property_gives_back_what_the_constructor_was_given(name: str) -> None:
    event = make(name)
    expected = dict(VALUES, duration_micros=250_000)
    if name == "ConnectionCheckOutFailedEvent":
        expected["connection_id"] = 0
    for prop in properties(type(event)):
        assert getattr(event, prop) == expected[prop], prop


@pytest.mark.parametrize("name", LISTENERS)
def test_a_listener_has_the_methods_of_the_table(name: str) -> None:
    assert methods(getattr(monitoring, name)) == set(LISTENERS[name].split())


def test_every_method_is_told_the_event_of_its_annotation() -> None:
    """The table of handlers agrees with what the methods say they take."""
    for event_type, (family, method) in HANDLERS.items():
        annotations = inspect.get_annotations(getattr(family, method))
        assert annotations == {"event": event_type, "return": None}
    assert {event_type.__name__ for event_type in HANDLERS} == set(EVENTS) - {"TopologyEvent"}


def test_the_reasons_are_those_of_the_table() -> None:
    assert constants(monitoring.ConnectionClosedReason) == CLOSED_REASONS
    assert constants(monitoring.ConnectionCheckOutFailedReason) == FAILED_REASONS


def test_every_public_name_is_documented_and_exported() -> None:
    tables = {*EVENTS, *LISTENERS, "ConnectionClosedReason", "ConnectionCheckOutFailedReason"}
    assert set(monitoring.__all__) == tables | {
        "register",
        "on",
        "operation_id",
        "Event",
        "EventListener",
    }
    for name in monitoring.__all__:
        assert getattr(monitoring, name).__doc__


class TestLikePyMongo:
    """What the tables say is what PyMongo has, but for what is ours."""

    @pytest.fixture
    def theirs(self) -> ModuleType:
        module: ModuleType = pytest.importorskip("pymongo.monitoring")
        return module

    def test_nothing_is_missing(self, theirs: ModuleType) -> None:
        public = {
            name
            for name, value in vars(theirs).items()
            if getattr(value, "__module__", "") == theirs.__name__ and not name.startswith("_")
        }
        assert public - set(monitoring.__all__) == set()

    def test_what_is_ours_is_not_theirs(self, theirs: ModuleType) -> None:
        assert not hasattr(theirs, OUR_EVENT)
        for family, added in OUR_METHODS.items():
            assert not added & methods(getattr(theirs, family))

    @every_event_but_ours
    def test_an_event_has_the_same_constructor(self, theirs: ModuleType, name: str) -> None:
        ours, other = getattr(monitoring, name), getattr(theirs, name)
        assert parameters(ours) == parameters(other)

    @every_event_but_ours
    def test_an_event_has_the_same_properties(self, theirs: ModuleType, name: str) -> None:
        ours, other = getattr(monitoring, name), getattr(theirs, name)
        assert properties(ours) == properties(other)

    @pytest.mark.parametrize("name", LISTENERS)
    def test_a_listener_has_the_same_methods(self, theirs: ModuleType, name: str) -> None:
        ours, other = getattr(monitoring, name), getattr(theirs, name)
        assert methods(ours) == methods(other) | OUR_METHODS.get(name, set())
        for method in methods(other):
            assert parameters(getattr(ours, method)) == parameters(getattr(other, method))

    def test_the_reasons_and_register_are_the_same(self, theirs: ModuleType) -> None:
        for name in ("ConnectionClosedReason", "ConnectionCheckOutFailedReason"):
            assert constants(getattr(monitoring, name)) == constants(getattr(theirs, name))
        ours, other = monitoring.register, theirs.register
        assert list(inspect.signature(ours).parameters) == list(inspect.signature(other).parameters)


@every_event
def test_an_event_is_read_only(name: str) -> None:
    event = make(name)
    for prop in properties(type(event)):
        with pytest.raises(AttributeError):
            setattr(event, prop, None)
    with pytest.raises(AttributeError):
        event.something_else = 1


@every_event
def test_events_are_equal_by_class_and_value(name: str) -> None:
    event = make(name)
    assert event == make(name)
    for parameter in given(type(event)):
        assert event != make(name, **{parameter: OTHER.get(parameter, object())}), parameter
    assert event != "something else"


def test_classes_with_equal_fields_are_not_equal() -> None:
    assert monitoring.PoolReadyEvent("a") != monitoring.PoolClosedEvent("a")


def test_equal_events_have_equal_hashes_unless_they_carry_a_document() -> None:
    assert len({make("ConnectionReadyEvent"), make("ConnectionReadyEvent")}) == 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(make("PoolCreatedEvent"))


@every_event
def test_an_event_survives_copy_and_pickle(name: str) -> None:
    event = make(name)
    assert copy.deepcopy(event) == event
    assert pickle.loads(pickle.dumps(event)) == event


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "ConnectionReadyEvent",
            "ConnectionReadyEvent(address=('db', 1), connection_id=7, duration=0.25)",
        ),
        (
            "ConnectionCheckOutFailedEvent",
            "ConnectionCheckOutFailedEvent(address=('db', 1), duration=0.25, reason='idle')",
        ),
        ("PoolCreatedEvent", "PoolCreatedEvent(address=('db', 1), options={'max_size': 3})"),
        ("TopologyOpenedEvent", "TopologyOpenedEvent(topology_id='topology')"),
    ],
)
def test_the_repr_is_the_class_and_the_values(name: str, expected: str) -> None:
    assert repr(make(name)) == expected


def test_the_repr_of_a_command_event_shows_no_document() -> None:
    """An event that is printed into a log takes no user's data there."""
    for name in ("CommandStartedEvent", "CommandSucceededEvent"):
        text = repr(make(name, command={"login": "secret"}, reply={"token": "secret"}))
        assert text.startswith(f"{name}(command_name=")
        assert "secret" not in text


def test_the_repr_of_a_leak_shows_no_stack() -> None:
    """An event that is printed into a log takes one line there, which can be read."""
    expected = "ConnectionLeakedEvent(address=('db', 1), connection_id=7, duration=0.25)"
    assert repr(make("ConnectionLeakedEvent")) == expected


def test_a_command_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match=r"first key, got \{\}"):
        monitoring.CommandStartedEvent({}, "admin", 1, ("db", 1), None)


def test_the_name_of_a_command_is_its_first_key() -> None:
    assert make("CommandStartedEvent", command={"find": 1, "limit": 2}).command_name == "find"


@pytest.mark.parametrize(
    ("duration", "micros"),
    [
        (timedelta(0), 0),
        (timedelta(microseconds=1), 1),
        (timedelta(microseconds=249), 249),
        (timedelta(days=2, seconds=3, microseconds=999_999), 172_803_999_999),
    ],
)
def test_the_duration_of_a_command_is_exact(duration: timedelta, micros: int) -> None:
    event = monitoring.CommandSucceededEvent(duration, {}, "ping", 1, ("db", 1), None)
    assert event.duration_micros == micros


def test_optional_values_have_their_defaults() -> None:
    cleared = monitoring.PoolClearedEvent("a")
    assert (cleared.service_id, cleared.interrupt_connections) == (None, False)
    started = monitoring.CommandStartedEvent({"ping": 1}, "admin", 1, "a", None)
    assert (started.service_id, started.server_connection_id) == (None, None)
    ended = monitoring.CommandFailedEvent(timedelta(), {}, "ping", 1, "a", None)
    assert (ended.database_name, ended.service_id, ended.server_connection_id) == ("", None, None)
    assert monitoring.ServerHeartbeatStartedEvent("a").awaited is False
