"""A leak is told by one thread while another holds the lease, or ends it: the order of events must hold."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import get_ident
from typing import Any

import pytest
from behaviour._sync.fakes import (
    Connection,
    FakeClock,
    Hooked,
    Manager,
    Recorder,
    assert_empty,
    held,
)
from behaviour._sync.meddlers import told

from pool import monitoring
from pool.monitoring import ConnectionCheckedOutEvent, ConnectionLeakedEvent
from pool.sync import ConnectionPool
from pool.testing._order import check_order
from support.sync import Gate, call_soon, until

pytestmark = pytest.mark.concurrency

Pool = ConnectionPool[Any, Connection]

#: So short (seconds) that every lease is too long.
AT_ONCE = 1e-9


class Slow:
    """Stops at every event of a class, before the recorder is told, until its gate is open."""

    def __init__(self, event_type: type[Any]) -> None:
        self.gate = Gate()
        self.threads: list[int] = []
        self.listener = monitoring.on(self._hear, event_type)

    def _hear(self, event: Any) -> None:
        self.threads.append(get_ident())
        self.gate.wait()


class Telling:
    """A pool and a lease of its whose leak is being told, until ``finish``."""

    def __init__(self, manager: Manager | None = None, **options: Any) -> None:
        self.manager = Manager() if manager is None else manager
        self.recorder = Recorder()
        self.slow = Slow(ConnectionLeakedEvent)
        listeners = [self.slow.listener, self.recorder.listener]
        self.pool: Pool = ConnectionPool(
            self.manager, event_listeners=listeners, leak_threshold=AT_ONCE, **options
        )
        self.lease = self.pool.acquire("e")
        until(lambda: self.slow.gate.waiting)

    def story(self) -> list[str]:
        """Return what was told of the connection since it was ready."""
        names = [name for name, number in told(self.recorder.events) if number == 1]
        return names[names.index("ConnectionReady") + 1 :]

    def finish(self) -> None:
        """Let it be told; then nobody holds anything."""
        assert self.story() == ["ConnectionCheckedOut"]
        self.slow.gate.open()
        until(lambda: self.pool.stats().in_use == self.pool.stats().closing == 0)


@contextmanager
def telling(manager: Manager | None = None, **options: Any) -> Iterator[Telling]:
    """In the end everything was told in order, and not by the holder's thread."""
    scene = Telling(manager, **options)
    try:
        yield scene
    finally:
        scene.slow.gate.open()
        scene.pool.close(10.0)
    check_order(scene.recorder.events, ended=True)
    assert_empty(scene.pool, scene.manager)
    assert get_ident() not in scene.slow.threads


def test_a_release_does_not_overtake_the_report() -> None:
    """It waits for nobody's listeners, and is told when they have heard of the leak."""
    with telling() as scene:
        scene.lease.release()
        scene.finish()
        assert scene.story()[1:] == ["ConnectionLeaked", "ConnectionCheckedIn"]
        assert scene.pool.stats().idle == 1


def test_a_discard_does_not_overtake_the_report() -> None:
    """Leaked, in, closed."""
    with telling() as scene:
        scene.lease.discard()
        scene.finish()
        assert scene.story()[1:] == ["ConnectionLeaked", "ConnectionCheckedIn", "ConnectionClosed"]
        assert scene.pool.stats().total == 0


def test_the_lease_ends_at_once() -> None:
    """For its holder it is over, and a second release does nothing."""
    with telling() as scene:
        scene.lease.release()
        scene.lease.release()
        assert repr(scene.lease) == "<Lease #1 of 'e', ended>"
        assert scene.pool.stats().in_use == 1
        scene.finish()
        assert scene.pool.stats().released == 1


def test_a_hook_that_fails_is_the_holders() -> None:
    """``on_release`` is called by the holder, its error is raised there, and the connection is closed."""
    manager = Hooked()

    def fail(conn: Connection) -> None:
        raise LookupError

    manager.on["on_release"] = fail
    with telling(manager) as scene:
        with pytest.raises(LookupError):
            scene.lease.release()
        scene.finish()
        assert scene.recorder.reasons() == [(1, "error")]
        assert scene.pool.stats().errors == 1


def test_whoever_waits_is_served() -> None:
    """By the thread that told of the leak."""
    with telling(max_size=1) as scene:
        caller = call_soon(held, scene.pool)
        until(lambda: scene.pool.stats().waiting == 1)
        scene.lease.release()
        assert scene.pool.stats().waiting == 1
        scene.finish()
        assert caller.result().number == 1


@pytest.mark.filterwarnings("ignore:the lease of connection #1:ResourceWarning")
def test_a_lease_that_is_lost_meanwhile() -> None:
    """It is reclaimed when its leak was told: leaked, in, closed."""
    with telling() as scene:
        del scene.lease
        gc.collect()
        scene.finish()
        until(lambda: scene.pool.stats().total == 0)
        assert scene.story()[1:] == ["ConnectionLeaked", "ConnectionCheckedIn", "ConnectionClosed"]


def test_a_clear_meanwhile() -> None:
    """The connection is closed when it comes back."""
    with telling() as scene:
        scene.pool.clear("e")
        scene.lease.release()
        assert scene.story() == ["ConnectionCheckedOut"]
        scene.slow.gate.open()
        until(lambda: scene.pool.stats().total == 0)
        assert scene.recorder.reasons() == [(1, "stale")]


def test_a_listener_ends_the_lease() -> None:
    """The next listener is told of the leak before the end."""
    recorder, leases = Recorder(), list[Any]()

    def end(event: Any) -> None:
        until(lambda: leases)
        leases.pop().discard()

    manager = Manager()
    listeners = [monitoring.on(end, ConnectionLeakedEvent), recorder.listener]
    with ConnectionPool(manager, event_listeners=listeners, leak_threshold=AT_ONCE) as pool:
        leases.append(pool.acquire("e"))
        until(lambda: pool.stats().closed == 1)
    check_order(recorder.events, ended=True)
    assert "ConnectionLeaked" in recorder.names()
    assert_empty(pool, manager)


def test_no_report_before_the_lease_was_told() -> None:
    """A listener may take longer over the check-out than a lease may be held."""
    manager, recorder = Manager(), Recorder()
    slow = Slow(ConnectionCheckedOutEvent)
    listeners = [slow.listener, recorder.listener]
    with ConnectionPool(manager, event_listeners=listeners, leak_threshold=AT_ONCE) as pool:
        call = call_soon(pool.acquire, "e")
        until(lambda: slow.gate.waiting)
        pool.maintain()
        assert "ConnectionLeaked" not in recorder.names()
        slow.gate.open()
        lease = call.result()
        until(lambda: "ConnectionLeaked" in recorder.names())
        lease.release()
        until(lambda: pool.stats().idle == 1)
    check_order(recorder.events, ended=True)
    assert_empty(pool, manager)


def test_an_interrupted_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other leaks are told all the same, and the leases end as ever."""
    manager, recorder, clock = Manager(), Recorder(), FakeClock(monkeypatch)
    pending = [KeyboardInterrupt]

    def interrupt(event: Any) -> None:
        if pending:
            raise pending.pop()

    listeners = [recorder.listener, monitoring.on(interrupt, ConnectionLeakedEvent)]
    pool: Pool = ConnectionPool(
        manager,
        event_listeners=listeners,
        leak_threshold=AT_ONCE,
        background_collector=False,
    )
    with pool:
        leases = [pool.acquire("e") for _ in range(3)]
        clock.now += 1.0
        with pytest.raises(KeyboardInterrupt):
            pool.maintain()
        assert recorder.names().count("ConnectionLeaked") == 3
        for lease in leases:
            lease.release()
        assert pool.stats().idle == 3
    check_order(recorder.events, ended=True)
    assert_empty(pool, manager)


def test_the_order_holds_under_load() -> None:
    """Many threads whose leases are all too long, and end in every way; two threads that report."""
    manager, recorder = Hooked(), Recorder()
    manager.on["can_reuse"] = lambda conn, error: conn.number % 2 == 0
    options: dict[str, Any] = {"max_size": 3, "total_max_size": 4, "leak_threshold": AT_ONCE}
    pool: Pool = ConnectionPool(manager, event_listeners=[recorder.listener], **options)

    def use(place: int) -> None:
        for turn in range(place, place + 25):
            with suppress(LookupError), pool.connection("ef"[turn % 2]):
                if turn % 3:
                    pool.maintain()
                if turn % 5 == 0:
                    raise LookupError
            if turn % 4 == 0:
                pool.acquire("e").discard()

    with pool:
        for endpoint in "ef":
            pool.add(endpoint)
        for call in [call_soon(use, place) for place in range(6)]:
            call.result()
        pool.close(10.0)
    assert "ConnectionLeaked" in recorder.names()
    check_order(recorder.events, ended=True)
    assert_empty(pool, manager)
