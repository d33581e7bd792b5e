"""Two threads, one of which stops where the pool tells a listener or calls a hook, the other goes on."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from sync_only.steps import Conn, Stepping, World

from pool import monitoring
from pool.sync import ConnectionPool
from support.sync import PATIENCE, Gate, Running, call_soon, until

pytestmark = pytest.mark.concurrency


class Halt:
    """A listener that stops the first thread that tells of such an event, before it is written down."""

    def __init__(self, event_type: type[Any], address: str = "e") -> None:
        self.gate = Gate()
        self.events: list[Any] = []
        self._type = event_type
        self._address = address
        self._armed = False
        self.listener = monitoring.on(self._told)

    def arm(self) -> None:
        """Stop the next one."""
        self._armed = True

    def names(self) -> list[str]:
        """The names of the events so far, in order."""
        return [type(event).__name__.removesuffix("Event") for event in self.events]

    def _told(self, event: Any) -> None:
        if self._armed and type(event) is self._type and event.address == self._address:
            self._armed = False
            self.gate.wait()
        self.events.append(event)


def halted(halt: Halt, **options: Any) -> ConnectionPool[Any, Conn]:
    """A pool that tells ``halt``."""
    return ConnectionPool(Stepping(), event_listeners=[halt.listener], **options)


def stopped(halt: Halt, call: Callable[[], Any]) -> Running[Any]:
    """Start a call and wait until it has stopped in the listener."""
    halt.arm()
    running = call_soon(call)
    until(lambda: halt.gate.waiting)
    return running


def test_a_dead_connection_does_not_cost_its_caller_his_turn() -> None:
    """Whoever came before the others connects before them, though his first connection was dead."""
    world = World()
    (dead,) = world.idle()
    dead.alive = False
    checking = Gate()
    creating = Gate()
    order: list[str] = []

    def inside(hook: str) -> None:
        if hook == "check_aliveness" and not order:
            checking.wait()
        if hook == "create":
            creating.wait()

    def use(name: str) -> None:
        with world.pool.connection("e", timeout=PATIENCE):
            order.append(name)

    world.manager.inside = inside
    first = call_soon(use, "first")
    until(lambda: checking.waiting)
    second = call_soon(use, "second")
    until(lambda: world.pool.stats().waiting)
    checking.open()
    until(lambda: creating.waiting)
    creating.open()
    first.result()
    second.result()
    assert order == ["first", "second"]
    world.settle()


def test_a_clear_does_not_cost_a_connecting_caller_his_turn() -> None:
    """Whoever came before the others connects again before them, though a clear overtook him."""
    world = World()
    creating = Gate()
    order: list[str] = []

    def inside(hook: str) -> None:
        if hook == "create" and not world.manager.opened:
            creating.wait()

    def use(name: str) -> None:
        with world.pool.connection("e", timeout=PATIENCE):
            order.append(name)

    world.manager.inside = inside
    first = call_soon(use, "first")
    until(lambda: creating.waiting)
    second = call_soon(use, "second")
    until(lambda: world.pool.stats().waiting)
    world.pool.clear("e")
    creating.open()
    first.result()
    second.result()
    assert order == ["first", "second"]
    world.settle()


def test_an_endpoint_is_not_forgotten_while_somebody_acquires_there() -> None:
    """A caller whose only connection is dead connects in the same pool: it is created once."""
    world = World()
    (dead,) = world.idle()
    dead.alive = False
    world.use()
    created = [event for event in world.events if type(event) is monitoring.PoolCreatedEvent]
    assert len(created) == 1
    numbers = [
        event.connection_id
        for event in world.events
        if type(event) is monitoring.ConnectionCreatedEvent
    ]
    assert numbers == [1, 2]
    world.settle()


def lined_up(pool: Any) -> int:
    """Return how many wait for the listeners to hear of what is happening to the endpoint."""
    return len(pool._engine.core._core._homes["e"].audience)


def chance(condition: Callable[[], object]) -> None:
    """Wait until a condition holds that must not: only so long that it would, were it wrong."""
    end = time.monotonic() + 0.02
    while not condition() and time.monotonic() < end:
        time.sleep(0.0002)


def test_a_pool_is_told_to_be_created_before_anything_happens_in_it() -> None:
    """A second thread tells nothing of an endpoint whose creation the first is still telling."""
    halt = Halt(monitoring.PoolCreatedEvent)
    pool = halted(halt)
    first = stopped(halt, lambda: pool.acquire("e").release())
    second = call_soon(lambda: pool.acquire("e", timeout=PATIENCE).release())
    chance(lambda: halt.events)
    halt.gate.open()
    first.result()
    second.result()
    assert halt.names()[:2] == ["PoolCreated", "PoolReady"]
    pool.close()


def test_max_waiting_does_not_count_who_waits_for_the_creation_to_be_told() -> None:
    """While there is room, nobody is told that too many wait."""
    halt = Halt(monitoring.PoolCreatedEvent)
    pool = halted(halt, max_waiting=0)
    first = stopped(halt, lambda: pool.acquire("e"))
    second = call_soon(lambda: pool.acquire("e", timeout=PATIENCE))
    chance(second.done)
    halt.gate.open()
    for lease in (first.result(), second.result()):
        lease.release()
    pool.close()


@pytest.mark.parametrize("meddle", ["clear", "ready"])
def test_two_listeners_that_call_back_across_endpoints(meddle: str) -> None:
    """Each is told of one endpoint, and changes the other: neither waits for the other for ever."""
    meeting = threading.Barrier(2)
    other = {"e": "f", "f": "e"}
    armed = False

    def told(event: Any) -> None:
        if not armed or threading.current_thread() is threading.main_thread():
            return
        if type(event) is monitoring.PoolClearedEvent and event.address not in met:
            met.append(event.address)
            meeting.wait(PATIENCE)
            getattr(pool, meddle)(other[event.address])

    met: list[str] = []
    pool: ConnectionPool[Any, Conn] = ConnectionPool(
        Stepping(), event_listeners=[monitoring.on(told)], paused=True
    )
    for endpoint in other:
        pool.ready(endpoint)
    armed = True
    clears = [call_soon(pool.clear, endpoint) for endpoint in other]
    until(lambda: len(met) == 2)
    for clear in clears:
        clear.result()
    pool.close()
