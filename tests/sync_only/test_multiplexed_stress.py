"""Many threads share a few connections, everything at random; and a server that notices faults."""

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from pool import PoolClosedError, PoolTimeoutError, monitoring
from pool.sync import ConnectionManager, MultiplexedPool
from pool.testing._order import check_order
from support.sync import PATIENCE, call_soon, until

pytestmark = pytest.mark.concurrency

THREADS = 8
CALLS = 60
SIZE = 3
EXTENSIONS = 3
LARGEST = SIZE + EXTENSIONS


class HookError(Exception):
    """What a hook raises."""


class DirtyError(Exception):
    """What leaves a body."""


@pytest.fixture(autouse=True)
def _busy_switching() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class Conn:
    """One connection, and who works with it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.users = 0
        self.checking = False
        self.alive = True
        self.disposals = 0
        self.broken_for: set[int] = set()
        """The threads that must not get it any more: they know that it is broken."""

    def __repr__(self) -> str:
        return f"<Conn {self.number} users={self.users} disposals={self.disposals}>"


class Server(ConnectionManager[Any, Conn]):
    """Notes in ``faults`` what must never happen. Its hooks fail at random.

    Parameters:
        seed: of the failures.
        failing: how often.
        max_pending: how many may use one connection.
    """

    def __init__(self, seed: str, failing: float, max_pending: int | None) -> None:
        self.lock = threading.Lock()
        self.opened: list[Conn] = []
        self.faults: list[str] = []
        self.seen: Counter[str] = Counter()
        self.live = 0
        self.failing = failing
        self.max_pending = max_pending
        self._here = threading.local()
        self._seed = seed

    def maybe_fail(self, hook: str) -> None:
        if not hasattr(self._here, "random"):
            self._here.random = random.Random(f"{self._seed} {threading.current_thread().name}")
        if self._here.random.random() < self.failing:
            raise HookError(hook)

    def blame(self, conn: Conn, what: str) -> None:
        self.faults.append(f"{what}: {conn}")

    def create(self, endpoint: Any, timeout: float | None) -> Conn:
        with self.lock:
            self.live += 1
            if self.live > LARGEST:
                self.faults.append(f"{self.live} connections at once")
        try:
            self.maybe_fail("create")
        except HookError:
            with self.lock:
                self.live -= 1
            raise
        with self.lock:
            conn = Conn(len(self.opened) + 1)
            self.opened.append(conn)
            return conn

    def dispose(self, endpoint: Any, conn: Conn, timeout: float | None) -> None:
        with self.lock:
            if conn.users or conn.checking:
                self.blame(conn, "closed while it is used")
            conn.disposals += 1
            self.live -= 1
        self.maybe_fail("dispose")

    def check_aliveness(self, endpoint: Any, conn: Conn, timeout: float | None) -> bool:
        with self.lock:
            if conn.users or conn.checking or conn.disposals:
                self.blame(conn, "checked while it is used or closed")
            conn.checking = True
        try:
            self.maybe_fail("check_aliveness")
            return conn.alive
        finally:
            with self.lock:
                conn.checking = False

    def on_acquire(self, endpoint: Any, conn: Conn) -> None:
        if conn.disposals:
            self.blame(conn, "prepared after its end")
        self.maybe_fail("on_acquire")

    def on_release(self, endpoint: Any, conn: Conn) -> bool | None:
        if conn.disposals:
            self.blame(conn, "reset after its end")
        self.maybe_fail("on_release")
        return None

    def enter(self, conn: Conn) -> None:
        """Begin to use a connection."""
        with self.lock:
            conn.users += 1
            self.seen["most"] = max(self.seen["most"], conn.users)
            if conn.disposals or conn.checking:
                self.blame(conn, "used after its end, or in a check")
            if self.max_pending is not None and conn.users > self.max_pending:
                self.blame(conn, "too many at once")
            if threading.get_ident() in conn.broken_for:
                self.blame(conn, "lent though it is broken")

    def leave(self, conn: Conn) -> None:
        """End to use a connection."""
        with self.lock:
            conn.users -= 1


class Unhooked(Server):
    """Has no hooks on the way in and out, so that callers take the short one."""

    check_aliveness = ConnectionManager.check_aliveness
    on_acquire = ConnectionManager.on_acquire
    on_release = ConnectionManager.on_release


Pool = MultiplexedPool[Any, Conn]


class Worker:
    """One thread's random life."""

    reducing = threading.Lock()

    def __init__(self, pool: Pool, server: Server, seed: str) -> None:
        self.pool = pool
        self.server = server
        self.random = random.Random(seed)
        self.served = 0

    def run(self) -> None:
        calls: list[tuple[Callable[[], object], int]] = [
            (self.use, 60),
            (self.discard, 6),
            (self.nested, 10),
            (self.clear, 3),
            (self.reconnect, 3),
            (self.extend, 4),
            (self.reduce, 5),
            (self.pool.drop_broken, 2),
            (self.pool.maintain, 4),
            (self.ask, 6),
        ]
        chosen = self.random.choices(
            [call for call, _ in calls], [weight for _, weight in calls], k=CALLS
        )
        for call in chosen:
            with suppress(PoolTimeoutError, PoolClosedError, HookError, DirtyError):
                call()

    def timeout(self) -> float:
        return self.random.choice([0, 0.002, PATIENCE, PATIENCE])

    def use(self) -> None:
        dirty = self.random.random() < 0.08
        conn: Conn | None = None
        try:
            with self.pool.connection(self.timeout()) as conn:
                self.served += 1
                self.server.enter(conn)
                self.server.leave(conn)
                if dirty:
                    raise DirtyError
        finally:
            if dirty and conn is not None:
                conn.broken_for.add(threading.get_ident())

    def discard(self) -> None:
        lease = self.pool.acquire(self.timeout())
        conn = lease.connection
        self.server.enter(conn)
        self.server.leave(conn)
        for _ in range(self.random.randint(1, 2)):
            lease.discard()
        conn.broken_for.add(threading.get_ident())

    def nested(self) -> None:
        """Hold two shares; the second must not be waited for without end."""
        with self.pool.connection(self.timeout()) as conn:
            self.server.enter(conn)
            try:
                with self.pool.connection(0.002) as other:
                    self.server.enter(other)
                    self.server.leave(other)
            finally:
                self.server.leave(conn)

    def clear(self) -> None:
        self.pool.clear(interrupt_connections=self.random.random() < 0.5)

    def reconnect(self) -> None:
        self.pool.reconnect(only_broken=self.random.random() < 0.8)

    def extend(self) -> None:
        with self.server.lock:
            if self.server.seen["extensions"] == EXTENSIONS:
                return
            self.server.seen["extensions"] += 1
        self.pool.extend(1)

    def reduce(self) -> None:
        # To nothing at all: all would wait in vain.
        with self.reducing:
            if self.pool.size > 1:
                removed = self.pool.reduce(1, include_pending=self.random.random() < 0.5)
                assert removed in (0, 1)

    def ask(self) -> None:
        """Whatever it is that is counted, it adds up."""
        stats = self.pool.stats()
        assert stats.total == stats.idle + stats.in_use + stats.connecting + stats.closing
        assert stats.released <= stats.acquired
        assert len(self.pool.connected) <= LARGEST
        assert self.pool.pending >= 0
        self.pool.explain()
        repr(self.pool)
        self.pool.is_working()


@pytest.mark.parametrize("worker", [True, False])
@pytest.mark.parametrize("hooked", [True, False])
@pytest.mark.parametrize("max_pending", [1, 2, None])
def test_many_threads(max_pending: int | None, hooked: bool, worker: bool) -> None:
    """No limit is passed, nobody gets what is closed or broken, and nothing is left."""
    seed = f"{max_pending} {hooked}"
    kind = Server if hooked else Unhooked
    server = kind(seed, 0.04, max_pending)
    events: list[Any] = []
    listeners = [monitoring.on(events.append)] if hooked else []
    pool: Pool = MultiplexedPool(
        server,
        "e",
        size=SIZE,
        max_pending=max_pending,
        event_listeners=listeners,
        max_uses=40,
        check_after_idle=0 if hooked else None,
        background_collector=worker,
    )
    workers = [Worker(pool, server, f"{seed} {number}") for number in range(THREADS)]
    running = [call_soon(each.run) for each in workers]
    for call in running:
        call.result()
    assert any(each.served for each in workers)
    server.failing = 0.0
    assert pool.pending == 0
    stats = pool.stats()
    assert (stats.in_use, stats.waiting) == (0, 0), stats
    with pool.connection(PATIENCE):
        pass
    pool.close(PATIENCE)
    until(lambda: pool.stats().total == 0)
    stats = pool.stats()
    assert stats.acquired == stats.released
    assert stats.created == stats.closed
    assert server.faults == []
    assert [conn.disposals for conn in server.opened] == [1] * len(server.opened)
    assert server.live == 0
    if hooked:
        check_order(events, ended=True, shared=True)


@pytest.mark.parametrize("max_pending", [1, 3])
def test_a_queue_that_never_ends(max_pending: int) -> None:
    """Nobody starves, none is opened above the size, and no more than may be use one."""
    server = Unhooked("queue", 0.0, max_pending)
    pool: Pool = MultiplexedPool(server, "e", size=2, max_pending=max_pending)

    def use() -> None:
        for _ in range(CALLS):
            with pool.connection(PATIENCE) as conn:
                server.enter(conn)
                server.leave(conn)

    for call in [call_soon(use) for _ in range(THREADS)]:
        call.result()
    stats = pool.stats()
    assert stats.acquired == stats.released == THREADS * CALLS
    assert stats.created == stats.idle <= 2
    assert pool.pending == 0
    pool.close()
    assert server.faults == []


@pytest.mark.parametrize("hooked", [True, False])
def test_a_close_in_the_middle(hooked: bool) -> None:
    """Whoever waits or comes is refused, who holds a share keeps it, and all is closed at the end."""
    kind = Server if hooked else Unhooked
    server = kind("close", 0.02, 2)
    pool: Pool = MultiplexedPool(server, "e", size=SIZE, max_pending=2)

    def use() -> None:
        with suppress(PoolClosedError):
            while True:
                with suppress(HookError), pool.connection(PATIENCE) as conn:
                    server.enter(conn)
                    server.leave(conn)

    running = [call_soon(use) for _ in range(THREADS)]
    until(lambda: pool.stats().acquired > 20)
    pool.close(PATIENCE)
    for call in running:
        call.result()
    assert pool.stats().total == 0
    assert server.faults == []
    assert [conn.disposals for conn in server.opened] == [1] * len(server.opened)
