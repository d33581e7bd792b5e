"""Who is told what, in which order, and what a failing listener may do: nothing."""

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from pool import monitoring
from pool.monitoring import (
    CommandListener,
    CommandStartedEvent,
    ConnectionPoolListener,
    ConnectionReadyEvent,
    PoolClearedEvent,
    PoolReadyEvent,
    ServerHeartbeatListener,
    ServerHeartbeatStartedEvent,
    ServerListener,
    TopologyClosedEvent,
    TopologyEvent,
    TopologyListener,
    TopologyOpenedEvent,
    on,
)
from pool.monitoring import _registry as registry
from pool.monitoring._listeners import HANDLERS
from pool.monitoring._publisher import Publisher, publisher_for

FAMILIES = (
    CommandListener,
    ConnectionPoolListener,
    ServerHeartbeatListener,
    ServerListener,
    TopologyListener,
)


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it, and what others registered is not seen."""
    monkeypatch.setattr(registry, "_registered", [])


@pytest.fixture(autouse=True)
def _no_structured_log() -> Iterator[None]:
    """Whatever level the test run logs at, the logs of ``pool.logger`` stay out of these tests."""
    logger = logging.getLogger("pool")
    before = logger.level
    logger.setLevel(logging.INFO)
    yield
    logger.setLevel(before)


def pool_publisher(*listeners: monitoring.EventListener) -> Publisher:
    publisher = publisher_for(listeners, ConnectionPoolListener)
    assert publisher is not None
    return publisher


def told(heard: list[int], place: int, event: object) -> None:
    heard.append(place)


class Ready(ConnectionPoolListener):
    """Hears of one thing only, and keeps it."""

    def __init__(self, heard: list[Any] | None = None) -> None:
        self.heard: list[Any] = [] if heard is None else heard

    def connection_ready(self, event: ConnectionReadyEvent) -> None:
        self.heard.append(event)


class TestWhoIsTold:
    def test_a_listener_is_told_what_it_overrides(self) -> None:
        listener = Ready()
        publisher = pool_publisher(listener)
        publisher.publish(PoolReadyEvent, "a")
        publisher.publish(ConnectionReadyEvent, "a", 1, 0.5)
        assert listener.heard == [ConnectionReadyEvent("a", 1, 0.5)]

    def test_the_publisher_knows_what_is_wanted(self) -> None:
        publisher = pool_publisher(Ready(), Ready())
        assert publisher.wants(ConnectionReadyEvent)
        assert not publisher.wants(PoolReadyEvent)
        assert repr(publisher) == "<Publisher ConnectionReadyEvent: 2>"

    def test_nobody_who_listens_means_no_publisher(self) -> None:
        assert publisher_for((), *FAMILIES) is None
        assert publisher_for([ConnectionPoolListener()], ConnectionPoolListener) is None

    def test_only_the_families_asked_for_count(self) -> None:
        assert publisher_for([Ready()], TopologyListener) is None
        assert publisher_for([on(print, TopologyEvent)], ConnectionPoolListener) is None

    def test_listeners_are_told_in_order(self) -> None:
        heard: list[int] = []
        publisher = pool_publisher(*[on(partial(told, heard, place)) for place in range(3)])
        publisher.publish(PoolReadyEvent, "a")
        assert heard == [0, 1, 2]

    def test_all_are_told_the_same_event_object(self) -> None:
        one, two = Ready(), Ready()
        pool_publisher(one, two).publish(ConnectionReadyEvent, "a", 1, None)
        assert one.heard[0] is two.heard[0]

    def test_a_listener_named_twice_is_told_once(self) -> None:
        listener = Ready()
        monitoring.register(listener)
        pool_publisher(listener, listener).publish(ConnectionReadyEvent, "a", 1, None)
        assert len(listener.heard) == 1

    def test_a_handler_may_be_an_attribute_of_the_instance(self) -> None:
        listener = ConnectionPoolListener()
        heard: list[PoolReadyEvent] = []
        listener.pool_ready = heard.append  # type: ignore[method-assign, assignment]
        pool_publisher(listener).publish(PoolReadyEvent, "a")
        assert heard == [PoolReadyEvent("a")]

    def test_a_handler_may_be_inherited_and_may_call_the_empty_one(self) -> None:
        class Loud(Ready):
            def connection_ready(self, event: ConnectionReadyEvent) -> None:
                super().connection_ready(event)
                ConnectionPoolListener.connection_ready(self, event)

        class Inherits(Loud):
            pass

        listener = Inherits()
        pool_publisher(listener).publish(ConnectionReadyEvent, "a", 1, None)
        assert len(listener.heard) == 1

    def test_one_instance_may_belong_to_several_families(self) -> None:
        class Both(CommandListener, ServerHeartbeatListener):  # type: ignore[misc]
            def __init__(self) -> None:
                self.heard: list[object] = []

            def started(self, event: CommandStartedEvent | ServerHeartbeatStartedEvent) -> None:
                self.heard.append(event)

        both = Both()
        publisher = publisher_for([both], *FAMILIES)
        assert publisher is not None
        publisher.publish(CommandStartedEvent, {"ping": 1}, "", 1, "a", None)
        publisher.publish(ServerHeartbeatStartedEvent, "a", True)
        assert both.heard == [
            CommandStartedEvent({"ping": 1}, "", 1, "a", None),
            ServerHeartbeatStartedEvent("a", True),
        ]
        # ``failed`` and ``succeeded`` come from either family, and neither was overridden.
        assert (
            repr(publisher) == "<Publisher CommandStartedEvent: 1, ServerHeartbeatStartedEvent: 1>"
        )

    def test_the_handler_of_a_family_is_only_told_events_of_that_family(self) -> None:
        class Commands(CommandListener):
            def started(self, event: CommandStartedEvent) -> None: ...

        publisher = publisher_for([Commands()], *FAMILIES)
        assert publisher is not None
        assert publisher.wants(CommandStartedEvent)
        assert not publisher.wants(ServerHeartbeatStartedEvent)


class TestCost:
    def test_an_event_that_nobody_wants_is_never_made(self, monkeypatch: Any) -> None:
        def explode(self: object, *args: object) -> None:
            raise AssertionError("made for nobody")

        publisher = pool_publisher(Ready())
        monkeypatch.setattr(PoolReadyEvent, "__init__", explode)
        publisher.publish(PoolReadyEvent, "a")
        publisher.publish(ConnectionReadyEvent, "a", 1, None)
        with pytest.raises(AssertionError, match="made for nobody"):
            pool_publisher(on(print, PoolReadyEvent)).publish(PoolReadyEvent, "a")

    def test_importing_brings_in_no_event_loop(self) -> None:
        code = (
            "import sys, pool.monitoring, pool.logger, pool.event_loggers\n"
            "import pool.monitoring._publisher\n"
            "sys.exit('asyncio' in sys.modules)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class TestContainment:
    def test_an_exception_is_logged_and_the_next_listener_is_told(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(event: object) -> None:
            raise ZeroDivisionError("the listener's own fault")

        listener = Ready()
        publisher = pool_publisher(on(broken), listener, on(broken))
        publisher.publish(ConnectionReadyEvent, "a", 1, None)
        assert len(listener.heard) == 1
        assert len(caplog.records) == 2
        record = caplog.records[0]
        assert (record.name, record.levelname) == ("pool.monitoring", "ERROR")
        assert "broken" in record.getMessage()
        assert "ConnectionReadyEvent(address='a', connection_id=1" in record.getMessage()
        assert record.exc_info is not None
        assert record.exc_info[0] is ZeroDivisionError
        assert "the listener's own fault" in caplog.text

    @pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_what_is_no_exception_goes_through_after_the_others_were_told(
        self, fatal: type[BaseException]
    ) -> None:
        def stop(event: object) -> None:
            raise fatal

        before, after = Ready(), Ready()
        publisher = pool_publisher(before, on(stop), after)
        with pytest.raises(fatal):
            publisher.publish(ConnectionReadyEvent, "a", 1, None)
        assert len(before.heard) == len(after.heard) == 1

    def test_a_second_one_hides_none(self) -> None:
        def first(event: object) -> None:
            raise KeyboardInterrupt

        def second(event: object) -> None:
            raise SystemExit

        listener = Ready()
        publisher = pool_publisher(on(first), on(second), listener)
        with pytest.raises(SystemExit) as caught:
            publisher.publish(ConnectionReadyEvent, "a", 1, None)
        assert isinstance(caught.value.__context__, KeyboardInterrupt)
        assert len(listener.heard) == 1

    def test_a_listener_may_publish_in_turn(self) -> None:
        heard: list[object] = []

        def clear(event: object) -> None:
            publisher.publish(PoolClearedEvent, "a", None, False)

        publisher = pool_publisher(on(clear, PoolReadyEvent), on(heard.append))
        publisher.publish(PoolReadyEvent, "a")
        assert heard == [PoolClearedEvent("a"), PoolReadyEvent("a")]


class TestOn:
    def test_it_hears_the_events_named(self) -> None:
        heard: list[object] = []
        publisher = pool_publisher(on(heard.append, PoolReadyEvent, ConnectionReadyEvent))
        publisher.publish(PoolReadyEvent, "a")
        publisher.publish(PoolClearedEvent, "a", None, False)
        publisher.publish(ConnectionReadyEvent, "a", 1, None)
        assert heard == [PoolReadyEvent("a"), ConnectionReadyEvent("a", 1, None)]

    def test_it_hears_everything_if_none_is_named(self) -> None:
        publisher = publisher_for([on(print)], *FAMILIES)
        assert publisher is not None
        assert all(publisher.wants(event_type) for event_type in HANDLERS)

    def test_a_base_class_stands_for_its_subclasses(self) -> None:
        heard: list[object] = []
        publisher = publisher_for([on(heard.append, TopologyEvent)], *FAMILIES)
        assert publisher is not None
        publisher.publish(TopologyOpenedEvent, "t")
        publisher.publish(TopologyClosedEvent, "t")
        assert heard == [TopologyOpenedEvent("t"), TopologyClosedEvent("t")]
        assert not publisher.wants(PoolReadyEvent)

    def test_its_repr_says_what_it_is(self) -> None:
        assert repr(on(print, PoolReadyEvent)) == "on(<built-in function print>, PoolReadyEvent)"
        assert repr(on(print)) == "on(<built-in function print>, Event)"

    def test_a_handler_that_cannot_be_called_is_refused_at_once(self) -> None:
        with pytest.raises(TypeError, match="handler must be callable, not 'print'"):
            on("print")  # type: ignore[arg-type]

    def test_a_coroutine_function_is_refused_at_once(self) -> None:
        async def handler(event: object) -> None: ...

        for refused in (handler, partial(handler)):
            with pytest.raises(TypeError, match="handler must not be a coroutine function"):
                on(refused)

    @pytest.mark.parametrize(
        "wrong",
        [
            "PoolReadyEvent",
            int,
            object,
            PoolReadyEvent("a"),
            ConnectionPoolListener,
            type("NeverPublished", (PoolReadyEvent,), {}),
        ],
    )
    def test_what_is_no_event_class_is_refused_at_once(self, wrong: Any) -> None:
        with pytest.raises(TypeError, match="not an event class: ") as caught:
            on(print, PoolReadyEvent, wrong)
        assert repr(wrong) in str(caught.value)


class TestRegister:
    def test_it_counts_for_publishers_made_later_and_comes_first(self) -> None:
        heard: list[str] = []
        own = on(lambda _: heard.append("own"))
        early = pool_publisher(own)
        monitoring.register(on(lambda _: heard.append("global")))
        early.publish(PoolReadyEvent, "a")
        assert heard == ["own"]
        heard.clear()
        pool_publisher(own).publish(PoolReadyEvent, "a")
        assert heard == ["global", "own"]

    def test_a_global_listener_is_enough_to_publish(self) -> None:
        listener = Ready()
        monitoring.register(listener)
        pool_publisher().publish(ConnectionReadyEvent, "a", 1, None)
        assert len(listener.heard) == 1

    @pytest.mark.parametrize("wrong", [None, "listener", print, Ready, object()])
    def test_what_is_no_listener_is_refused_and_named(self, wrong: Any) -> None:
        with pytest.raises(TypeError, match="listener must be an instance of") as caught:
            monitoring.register(wrong)
        assert repr(wrong) in str(caught.value)
        assert registry.registered() == ()

    def test_it_is_thread_safe(self) -> None:
        """Nothing is lost, and whoever makes a pool meanwhile sees what was complete by then."""

        def register_many() -> None:
            for _ in range(200):
                monitoring.register(Ready())

        threads = [threading.Thread(target=register_many) for _ in range(8)]
        for thread in threads:
            thread.start()
        seen = [len(registry.registered()) for _ in range(200)]
        for thread in threads:
            thread.join()
        assert seen == sorted(seen)
        assert len(registry.registered()) == 1600


class TestTheOption:
    @pytest.mark.parametrize("wrong", [None, Ready(), "listeners", b"x", {Ready()}, iter([]), 3])
    def test_something_else_than_a_sequence_is_refused(self, wrong: Any) -> None:
        with pytest.raises(TypeError, match="event_listeners must be a sequence") as caught:
            publisher_for(wrong, ConnectionPoolListener)
        assert f"not {type(wrong).__name__}: " in str(caught.value)
        assert repr(wrong) in str(caught.value)

    @pytest.mark.parametrize("wrong", [None, "x", Ready, print])
    def test_something_else_than_a_listener_is_refused_and_placed(self, wrong: Any) -> None:
        expected = r"event_listeners\[1\] must be an instance of a listener class"
        with pytest.raises(TypeError, match=expected) as caught:
            publisher_for([Ready(), wrong], ConnectionPoolListener)
        assert repr(wrong) in str(caught.value)

    def test_a_list_and_a_tuple_are_sequences(self) -> None:
        assert publisher_for([Ready()], ConnectionPoolListener) is not None
        assert publisher_for((Ready(),), ConnectionPoolListener) is not None

    def test_the_sequence_is_copied(self) -> None:
        heard: list[object] = []
        listeners = [Ready(heard)]
        publisher = publisher_for(listeners, ConnectionPoolListener)
        assert publisher is not None
        listeners.clear()
        publisher.publish(ConnectionReadyEvent, "a", 1, None)
        assert len(heard) == 1

    def test_a_coroutine_handler_is_refused(self) -> None:
        class Waits(ConnectionPoolListener):
            async def connection_closed(self, event: Any) -> None:  # type: ignore[override]
                ...

        with pytest.raises(TypeError, match=r"connection_closed must not be a coroutine function"):
            publisher_for([Waits()], ConnectionPoolListener)

    def test_something_else_in_the_place_of_a_handler_is_refused(self) -> None:
        class Flagged(TopologyListener):
            closed = False  # type: ignore[assignment]

        with pytest.raises(TypeError, match=r"closed must be callable, not False"):
            publisher_for([Flagged()], TopologyListener)
