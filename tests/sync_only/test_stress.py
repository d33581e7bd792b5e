"""Many threads, few connections, everything at random; and who may not be two at once."""

import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from sync_only.steps import Conn, HookError, World

from pool import PoolClearedError, PoolClosedError, PoolTimeoutError
from support.sync import PATIENCE, call_soon, until

pytestmark = pytest.mark.concurrency

THREADS = 16
CALLS = 125
MAX_SIZE = 4
ENDPOINTS = ("e", "f", "g")


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


class Worker:
    """One thread's random life; the same for the same seed, as far as it is up to him."""

    def __init__(self, world: World, seed: str) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.served = 0

    def run(self) -> None:
        """Do so many things."""
        calls: list[tuple[Callable[[], None], int]] = [
            (self.use, 60),
            (self.lease, 20),
            (self.clear, 5),
            (self.remove, 3),
            (self.resize, 4),
            (self.ask, 4),
            (self.ready, 4 if not self.world.pool.options.paused else 12),
        ]
        chosen = self.random.choices(
            [call for call, _ in calls], [weight for _, weight in calls], k=CALLS
        )
        for call in chosen:
            with suppress(
                PoolTimeoutError, PoolClosedError, PoolClearedError, HookError, DirtyError
            ):
                call()

    def endpoint(self) -> str:
        return self.random.choice(ENDPOINTS)

    def timeout(self) -> float:
        return self.random.choice([0, 0.002, PATIENCE, PATIENCE])

    def use(self) -> None:
        """Hold a connection in a block, and leave it clean or dirty."""
        manager = self.world.manager
        with self.world.pool.connection(self.endpoint(), self.timeout()) as conn:
            self.served += 1
            manager.enter(conn, "body")
            manager.leave(conn, "body")
            if self.random.random() < 0.1:
                raise DirtyError

    def lease(self) -> None:
        """Hold a lease and end it, perhaps several times."""
        lease = self.world.pool.acquire(self.endpoint(), self.timeout())
        self.served += 1
        self.world.manager.enter(lease.connection, "lease")
        self.world.manager.leave(lease.connection, "lease")
        for _ in range(self.random.randint(1, 3)):
            self.random.choice([lease.release, lease.release, lease.discard])()

    def clear(self) -> None:
        endpoint = self.random.choice([None, *ENDPOINTS])
        self.world.pool.clear(endpoint, interrupt_connections=self.random.random() < 0.5)

    def remove(self) -> None:
        self.world.pool.remove(self.endpoint())

    def resize(self) -> None:
        self.world.pool.resize(max_size=self.random.randint(1, MAX_SIZE))

    def ready(self) -> None:
        self.world.pool.ready(self.endpoint())

    def ask(self) -> None:
        """Whatever it is that is counted, it adds up."""
        stats = self.world.pool.stats(self.random.choice([None, *ENDPOINTS]))
        assert stats.total == stats.idle + stats.in_use + stats.connecting + stats.closing
        assert stats.total <= MAX_SIZE * len(ENDPOINTS)
        assert stats.released <= stats.acquired
        self.world.pool.explain()


def unreliable(seed: str) -> Callable[[str], None]:
    """What makes hooks fail at random, differently in each thread."""
    here = threading.local()

    def inside(hook: str) -> None:
        if not hasattr(here, "random"):
            here.random = random.Random(f"{seed} {threading.current_thread().name}")
        if here.random.random() < 0.05:
            raise HookError(hook)

    return inside


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("hooked", [False, True])
@pytest.mark.parametrize("seed", ["one", "two"])
def test_many_threads(seed: str, hooked: bool, paused: bool) -> None:
    """No connection has two users or is disposed of twice, no limit is passed, and nothing is left."""
    options: dict[str, Any] = {"max_size": MAX_SIZE, "max_uses": 50, "paused": paused}
    world = World(hooked=hooked, **options)
    for endpoint in ENDPOINTS:
        world.pool.ready(endpoint)
    for conn in world.idle(endpoint="e"):
        conn.alive = False
    world.manager.inside = unreliable(seed)
    workers = [Worker(world, f"{seed} {number}") for number in range(THREADS)]
    for worker in workers:
        world.also(worker.run)
    for running in world.others:
        running.result()
    assert all(worker.served for worker in workers)
    world.manager.inside = lambda hook: None
    stats = world.pool.stats()
    assert (stats.in_use, stats.connecting, stats.closing, stats.waiting) == (0, 0, 0, 0), stats
    world.settle(open_still=False)


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_a_queue_that_never_ends(size: int) -> None:
    """Sixteen threads share a few connections, nobody starves, and none is opened above the number."""
    world = World(hooked=False, max_size=size, check_after_idle=None)

    def use() -> None:
        for _ in range(CALLS):
            world.use()

    for _ in range(THREADS):
        world.also(use)
    for running in world.others:
        running.result()
    stats = world.pool.stats()
    assert stats.acquired == stats.released == THREADS * CALLS
    assert stats.created == stats.idle <= size
    world.settle()


@pytest.mark.parametrize("others", ["release", "discard"])
def test_two_threads_that_end_a_lease_at_once(others: str) -> None:
    """End it once: one of them does, the other does nothing."""
    world = World(max_size=2)
    for ended in range(1, 26):
        lease = world.pool.acquire("e")
        barrier = threading.Barrier(2)

        def end(name: str, barrier: threading.Barrier = barrier, lease: Any = lease) -> None:
            barrier.wait(PATIENCE)
            getattr(lease, name)()

        for running in [call_soon(end, "release"), call_soon(end, others)]:
            running.result()
        stats = world.pool.stats()
        assert stats.released == stats.acquired == ended
        assert stats.total == stats.idle
    world.settle()


def test_a_lease_that_is_ended_again_while_another_holds_the_connection() -> None:
    """Leaves the other alone."""
    world = World()
    lease = world.pool.acquire("e")
    conn: Conn = lease.connection
    world.also(world.acquire)
    until(lambda: world.pool.stats().waiting)
    lease.release()
    until(lambda: world.leases)
    assert world.leases[0].connection is conn
    lease.discard()
    lease.release()
    assert conn.disposals == 0
    assert world.pool.stats().in_use == 1
    world.settle()
