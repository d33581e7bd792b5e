"""Forks: a pool is usable in the child at once, empty, and leaves everything of the parent's alone."""

import gc
import multiprocessing
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from behaviour._sync.fakes import Connection, Hooked, Recorder, assert_empty, held

from pool import LeaseReleasedError, PoolClearedError, PoolClosedError, monitoring
from pool.sync import ConnectionManager, ConnectionPool
from support.forks import FORKS, Crossing, child
from support.sync import Gate, Running, call_soon, until

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.filterwarnings(FORKS),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]

Pool = ConnectionPool[Any, Connection]


class Forking(Hooked):
    """Notes what it is told of after a fork."""

    def __init__(self) -> None:
        super().__init__()
        self.inherited: list[tuple[Any, int]] = []

    def after_fork(self, endpoint: Any, conn: Connection) -> None:
        self.inherited.append((endpoint, conn.number))


def use(pool: ConnectionPool[Any, Any], endpoint: Any = "e") -> tuple[int, int, int]:
    """Hold a connection; return its id, and how many there were then and are now."""
    with pool.connection(endpoint):
        lease = pool.acquire(endpoint)
        lease.release()
        most = pool.stats(endpoint).in_use
    return lease.id, most, pool.stats(endpoint).idle


#: What ``use`` returns in a pool that is fresh.
FRESH = (2, 1, 2)


@pytest.fixture
def manager() -> Forking:
    """What the parent and the child begin with."""
    return Forking()


@pytest.fixture
def pool(manager: Forking) -> Iterator[Pool]:
    """A pool of the parent, in which the child finds nothing."""
    with ConnectionPool(manager, max_size=4) as pool:
        yield pool
    assert_empty(pool, manager)


# -- the child begins afresh ------------------------------------------------------------------------


def test_the_child_begins_empty(pool: Pool, manager: Forking) -> None:
    """Nothing is idle, in use or known; the totals begin again, and so do the ids."""
    held(pool, "a")
    lease = pool.acquire("b")

    def begin() -> Any:
        before = pool.stats()
        return before, use(pool, "b"), pool.stats()

    before, used, after = child(begin)
    assert (before.total, before.endpoints, before.acquired, before.created) == (0, 0, 0, 0)
    assert used == FRESH
    assert (after.total, after.acquired) == (2, 2)
    assert pool.stats().acquired == 2
    lease.release()


def test_a_pool_that_was_never_used(pool: Pool) -> None:
    """It works in the child as anywhere."""
    assert child(lambda: use(pool)) == FRESH


def test_the_child_closes_its_pool(pool: Pool, manager: Forking) -> None:
    """Only what it opened itself; the parent's goes on."""
    held(pool)

    def end() -> Any:
        use(pool, "f")
        pool.close(None)
        return [conn.endpoint for conn in manager.disposed], pool.stats().total

    assert child(end) == (["f", "f"], 0)
    assert held(pool).number == 1
    assert not manager.disposed


def test_the_parents_connections_are_handed_over(pool: Pool, manager: Forking) -> None:
    """To ``after_fork``, once each, wherever they were; none is used, checked or disposed of again."""
    leases = [pool.acquire("a") for _ in range(3)]
    leases.pop().release()
    held(pool, "b")

    def inherit() -> Any:
        calls = list(manager.calls)
        for endpoint in "ab":
            use(pool, endpoint)
        gc.collect()
        again = [call for call in manager.calls[len(calls) :] if call != "on_acquire"]
        return sorted(manager.inherited), [c.number for c in manager.disposed], set(again)

    inherited, disposed, calls = child(inherit)
    assert inherited == [("a", 1), ("a", 2), ("a", 3), ("b", 4)]
    assert disposed == []
    assert calls == {"on_release"}
    assert manager.inherited == []
    for lease in leases:
        lease.release()


def test_a_hook_that_fails(
    pool: Pool, manager: Forking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the others are called all the same."""
    for endpoint in "abc":
        held(pool, endpoint)
    told: list[Any] = []

    def fail(endpoint: Any, conn: Connection) -> None:
        told.append(endpoint)
        raise LookupError(endpoint)

    monkeypatch.setattr(manager, "after_fork", fail)
    told_there, used, logged = child(
        lambda: (sorted(told), use(pool), sorted(r.getMessage() for r in caplog.records))
    )
    assert told_there == ["a", "b", "c"]
    assert used == FRESH
    assert logged == [f"after_fork of a connection to {e!r} failed" for e in "abc"]


def test_every_pool(manager: Forking) -> None:
    """Each that lives, and none that does not."""
    pools = [ConnectionPool(manager) for _ in range(3)]
    for number, pool in enumerate(pools):
        held(pool, number)
    dropped = pools.pop()
    dropped.close()
    del dropped, pool
    gc.collect()

    def look() -> Any:
        return sorted(manager.inherited), [use(pool) for pool in pools]

    assert child(look) == ([(0, 1), (1, 2)], [FRESH, FRESH])
    for pool in pools:
        pool.close()


def test_a_closed_pool_stays_closed(manager: Forking) -> None:
    """Also if its last lease was held at the fork: for the child that is over."""
    pool: Pool = ConnectionPool(manager)
    lease = pool.acquire("e")
    pool.close()

    def ask() -> Any:
        pool.close(None)
        with pytest.raises(PoolClosedError):
            pool.acquire("e")
        return pool.stats().total, repr(pool)

    total, line = child(ask)
    assert total == 0
    assert line.startswith("<ConnectionPool closed: ")
    lease.release()
    assert_empty(pool, manager)


def test_options_and_hooks_are_kept(manager: Forking) -> None:
    """The limits hold in the child, those that were changed since as well."""
    with ConnectionPool(manager, max_size=3, name="main") as pool:
        held(pool)
        pool.resize(max_size=1)

        def ask() -> Any:
            lease = pool.acquire("e")
            with pytest.raises(TimeoutError):
                pool.acquire("e", 0)
            lease.release()
            return pool.options.max_size, pool.name, manager.calls[-2:]

        assert child(ask) == (1, "main", ["on_acquire", "on_release"])


def test_what_is_told_in_the_child(manager: Forking) -> None:
    """A listener hears there of everything from the start, and in the parent of nothing of it."""
    recorder = Recorder()
    with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        held(pool)
        before = list(recorder.events)
        recorder.clear()

        def hear() -> Any:
            held(pool)
            pool.close()
            return recorder.names(), recorder.reasons()

        names, reasons = child(hear)
        assert names == [
            "PoolCreated",
            "PoolReady",
            "ConnectionCheckOutStarted",
            "ConnectionCreated",
            "ConnectionReady",
            "ConnectionCheckedOut",
            "ConnectionCheckedIn",
            "ConnectionClosed",
            "PoolClosed",
        ]
        assert reasons == [(1, "poolClosed")]
        assert not recorder.events
        assert before


# -- the parent's leases ----------------------------------------------------------------------------


def test_a_lease_of_the_parent_is_over(pool: Pool, manager: Forking) -> None:
    """In the child it has no connection, and ending it does nothing; in the parent it goes on."""
    lease = pool.acquire("e")

    def end() -> Any:
        with pytest.raises(LeaseReleasedError, match="#1 to 'e' is the parent process's"):
            _ = lease.connection
        lease.release()
        lease.discard()
        with pytest.raises(LeaseReleasedError), lease:
            pass
        return pool.stats(), list(manager.calls), len(manager.disposed), use(pool)

    stats, calls, disposed, used = child(end)
    assert (stats.total, stats.released, disposed, used) == (0, 0, 0, FRESH)
    assert calls == ["on_acquire"]
    assert lease.connection.number == 1
    lease.release()
    assert pool.stats().idle == 1


@pytest.mark.parametrize("error", [None, LookupError])
def test_a_fork_inside_a_block(pool: Pool, manager: Forking, error: type[Exception] | None) -> None:
    """The child leaves the block, in whichever way, and nothing is done about the connection there."""

    crossing = Crossing()
    parent = os.getpid()

    def body() -> None:
        with suppress(LookupError), pool.connection("e"):
            crossing.fork()
            if error is not None and os.getpid() != parent:
                raise error

    def report() -> Any:
        return len(manager.disposed), list(manager.calls), use(pool)

    assert crossing.call(body, report) == (0, ["on_acquire"], FRESH)
    assert pool.stats().idle == 1
    assert pool.stats().acquired == 1


def test_a_lease_that_the_child_forgets(pool: Pool) -> None:
    """It is nobody's there: no warning, and nothing to take back."""
    leases = [pool.acquire("e") for _ in range(2)]

    def forget() -> Any:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            leases.clear()
            gc.collect()
        return len(warned), pool.stats().total, use(pool)

    assert child(forget) == (0, 0, FRESH)
    for lease in leases:
        lease.release()


# -- what other threads were at ---------------------------------------------------------------------


@contextmanager
def holding(lock: threading.Lock) -> Iterator[None]:
    """Another thread holds a lock."""
    taken, gate = Gate(), Gate()

    def hold() -> None:
        with lock:
            taken.open()
            gate.wait()

    call = call_soon(hold)
    taken.wait()
    try:
        yield
    finally:
        gate.open()
        call.result()


def test_the_pools_lock_was_held(pool: Pool) -> None:
    """By a thread in the middle of a decision, which is not there in the child."""
    held(pool)
    with holding(pool._engine.core._lock):
        assert child(lambda: use(pool)) == FRESH
    held(pool)


def test_the_workers_lock_was_held(manager: Forking) -> None:
    """By a thread that starts the worker."""
    pool: Pool = ConnectionPool(manager, idle_timeout=0.001)
    with holding(pool._engine.worker._starting):

        def retire() -> bool:
            held(pool)
            until(lambda: pool.get_size() == 0)
            return True

        assert child(retire)
    pool.close()


def in_create(pool: Pool, manager: Forking) -> tuple[Gate, Running[Any]]:
    gate = manager.create_gate = Gate()
    return gate, call_soon(held, pool)


def in_dispose(pool: Pool, manager: Forking) -> tuple[Gate, Running[Any]]:
    held(pool)
    gate = manager.dispose_gate = Gate()
    return gate, call_soon(pool.clear)


def in_a_hook(pool: Pool, manager: Forking) -> tuple[Gate, Running[Any]]:
    gate = manager.gates["on_release"] = Gate()
    return gate, call_soon(held, pool)


def in_a_check(pool: Pool, manager: Forking) -> tuple[Gate, Running[Any]]:
    held(pool)
    gate = manager.gates["check_aliveness"] = Gate()
    return gate, call_soon(held, pool)


@pytest.mark.parametrize("begin", [in_create, in_dispose, in_a_hook, in_a_check])
def test_a_hook_was_in_progress(
    manager: Forking, begin: Callable[[Pool, Forking], tuple[Gate, Running[Any]]]
) -> None:
    """It goes on in the parent. In the child there is no trace of it, and an open connection is told of."""
    with ConnectionPool(manager, check_after_idle=0) as pool:
        gate, call = begin(pool, manager)
        until(lambda: gate.waiting)

        def ask() -> Any:
            # The gates are the parent's.
            gate.open()
            stats = pool.stats()
            return (stats.total, stats.connecting, stats.closing), use(pool), manager.inherited

        counts, used, inherited = child(ask)
        assert counts == (0, 0, 0)
        assert used == FRESH
        assert inherited == ([] if begin is in_create else [("e", 1)])
        gate.open()
        call.result()
    assert_empty(pool, manager)


def test_others_were_waiting(manager: Forking) -> None:
    """Nobody waits in the child, where the pool is not full."""
    with ConnectionPool(manager, max_size=2) as pool:
        leases = [pool.acquire("e") for _ in range(2)]
        calls = [call_soon(held, pool) for _ in range(3)]
        until(lambda: pool.stats().waiting == 3)
        assert child(lambda: (pool.stats().waiting, use(pool))) == (0, FRESH)
        for lease in leases:
            lease.release()
        for call in calls:
            call.result()
    assert_empty(pool, manager)


class Bare(ConnectionManager[Any, object]):
    """Has no lock that could be held at the fork."""

    def create(self, endpoint: Any, timeout: float | None) -> object:
        return object()

    def dispose(self, endpoint: Any, conn: object, timeout: float | None) -> None:
        pass


def test_everybody_is_busy() -> None:
    """Forks while threads acquire, release, discard and clear all the time: every child works."""
    options: dict[str, Any] = {"max_size": 3, "total_max_size": 4, "idle_timeout": 0.001}
    pool: ConnectionPool[Any, Any] = ConnectionPool(Bare(), **options)
    over = list[bool]()

    def work(number: int) -> None:
        while not over:
            with pool.connection(number % 2):
                pass
            pool.acquire(number % 3).discard()
            if number == 0:
                pool.clear()

    calls = [call_soon(work, number) for number in range(4)]
    try:
        for _ in range(10):
            # What is idle may be retired already.
            assert child(lambda: (pool.stats().total, *use(pool, "mine")[:2])) == (0, 2, 1)
    finally:
        over.append(True)
    for call in calls:
        call.result()
    pool.close(10.0)
    assert pool.stats().total == 0


# -- the worker -------------------------------------------------------------------------------------


def test_the_worker_works_in_the_child(manager: Forking) -> None:
    """It fills, retires and finds what is lost, with a thread of its own."""
    options: dict[str, Any] = {"min_size": 2, "max_size": 4, "idle_timeout": 0.01}
    with ConnectionPool(manager, **options) as pool:
        pool.warm_up("e", 10.0)

        def work() -> Any:
            threads = threading.active_count()
            pool.warm_up("e", 10.0)
            idle = pool.stats().idle
            leases = [pool.acquire("e") for _ in range(4)]
            leases.pop().release()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                leases.clear()
            until(lambda: pool.stats().total == pool.stats().idle == 2)
            names = [thread.name for thread in threading.enumerate()]
            return threads, idle, names.count("pool upkeep")

        assert child(work) == (1, 2, 1)
        assert pool.stats().idle == 2


# -- where the fork strikes -------------------------------------------------------------------------


HOOKS = ["create", "dispose", "check_aliveness", "on_acquire", "on_release", "on_connection_dead"]


class ForksInside(Forking):
    """Forks in the hook named, once that is wanted."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        self.hook = hook
        self.crossing: Crossing | None = None

    def meet(self, hook: str) -> None:
        if self.crossing is not None and hook == self.hook:
            self.crossing.fork()

    def _call(self, name: str, conn: Connection) -> Any:
        self.meet(name)
        return super()._call(name, conn)

    def create(self, endpoint: Any, timeout: float | None) -> Connection:
        connection = super().create(endpoint, timeout)
        self.meet("create")
        return connection

    def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
        super().dispose(endpoint, conn, timeout)
        self.meet("dispose")


def counts(pool: Pool) -> tuple[int, int, int, int]:
    stats = pool.stats()
    return stats.in_use, stats.connecting, stats.closing, stats.waiting


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_forks(hook: str) -> None:
    """The child goes on in the middle of it: what was begun is over there, and the pool is fresh."""
    manager = ForksInside(hook)
    pool: Pool = ConnectionPool(manager, check_after_idle=0, max_uses=2)
    held(pool).alive = hook != "on_connection_dead"
    manager.crossing = Crossing()
    outcomes = []

    def body() -> None:
        for _ in range(3):
            try:
                outcomes.append(held(pool).number)
            except LeaseReleasedError:
                outcomes.append(0)

    def report() -> Any:
        before = counts(pool)
        held(pool, "f")
        pool.close(None)
        return 0 in outcomes, before, pool.stats().total

    over = hook not in ("dispose", "on_release")
    assert manager.crossing.call(body, report) == (over, (0, 0, 0, 0), 0)
    assert 0 not in outcomes
    pool.close()
    assert_empty(pool, manager)


EVENTS = [
    "PoolCreated",
    "PoolReady",
    "PoolCleared",
    "PoolClosed",
    "ConnectionCreated",
    "ConnectionReady",
    "ConnectionCheckOutStarted",
    "ConnectionCheckedOut",
    "ConnectionCheckedIn",
    "ConnectionClosed",
]


@pytest.mark.parametrize("name", EVENTS)
def test_a_listener_forks(name: str, manager: Forking) -> None:
    """The child goes on in the middle of it, and its pool is fresh."""
    crossing = Crossing()
    listener = monitoring.on(lambda event: crossing.fork(), getattr(monitoring, f"{name}Event"))
    pool: Pool = ConnectionPool(manager, event_listeners=[listener], paused=True)

    def body() -> None:
        # In the child the endpoint is not known any more, or not ready.
        with suppress(LeaseReleasedError, PoolClearedError):
            pool.ready("e")
            held(pool)
            pool.clear("e")
            pool.ready("e")
            pool.remove("e")

    def report() -> Any:
        before = counts(pool)
        pool.ready("f")
        held(pool, "f")
        pool.close(None)
        return before, pool.stats().total

    assert crossing.call(body, report) == ((0, 0, 0, 0), 0)
    pool.close(None)
    assert_empty(pool, manager)


def test_a_child_forks(pool: Pool, manager: Forking) -> None:
    """Its own connections are its child's inheritance, and the parent's are too, as nobody closed them."""
    held(pool, "parent")

    def grand() -> Any:
        return manager.inherited, use(pool), len(manager.disposed)

    def work() -> Any:
        held(pool, "child")
        result = child(grand)
        return result, held(pool, "child").number, pool.stats().total

    (inherited, used, disposed), number, total = child(work)
    assert inherited == [("parent", 1), ("child", 2)]
    assert (used, disposed) == (FRESH, 0)
    assert (number, total) == (2, 1)
    assert held(pool, "parent").number == 1


# -- multiprocessing --------------------------------------------------------------------------------


def test_multiprocessing(pool: Pool) -> None:
    """Its processes are children as any other."""
    lease = pool.acquire("e")
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=lambda: results.put(use(pool)))
    process.start()
    process.join(20.0)
    assert process.exitcode == 0
    assert results.get() == FRESH
    assert lease.connection.number == 1
    lease.release()
    results.close()


def test_the_child_ends_as_any_program() -> None:
    """With leases held, a worker asleep and connections idle: at once, with status 0, without a word."""
    script = """
import os, sys
from pool.sync import ConnectionPool, ConnectionManager
class Manager(ConnectionManager):
    def create(self, endpoint, timeout): return object()
    def dispose(self, endpoint, conn, timeout): print("disposed")
pool = ConnectionPool(Manager(), min_size=2, max_size=4, leak_threshold=60.0)
pool.warm_up("e")
lease = pool.acquire("e")
pid = os.fork()
mine = pool.acquire("e")
if pid:
    print(os.waitpid(pid, 0)[1])
"""
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", script]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=20, check=False, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
