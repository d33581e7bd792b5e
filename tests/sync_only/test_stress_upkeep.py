"""Many threads, little room, connections that hardly live, a worker, and everything at random."""

import gc
import logging
import random
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from sync_only.steps import Conn, Hooked, HookError, World

from pool import PoolClearedError, PoolClosedError, PoolOverloadedError, PoolTimeoutError
from support.sync import PATIENCE, until

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

THREADS = 16
MAX_SIZE = 3
ENDPOINTS = ("e", "f", "g", "h")

#: By how much (seconds) an answer may be late: here many threads share a few processors.
SLACK = 5.0


class DirtyError(Exception):
    """What leaves a body."""


class Circle:
    """Only a garbage collection finds it."""

    def __init__(self, lease: object) -> None:
        self.me = self
        self.lease = lease


@pytest.fixture(autouse=True)
def _busy_switching() -> Iterator[None]:
    """Let threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    """Keep no log records: a traceback in one keeps alive what its frames hold, a lost lease for one."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


class Shaky(Hooked):
    """Takes its time, fails, and finds connections dead; notes how many were ever there or on their way."""

    def __init__(self, seed: str) -> None:
        super().__init__()
        self._seed = seed
        self._here = threading.local()
        self.trouble = 0.05
        self.present: Counter[Any] = Counter()
        self.most_present = self.most_of_all_present = 0
        self.inside = self.dawdle

    def lots(self) -> random.Random:
        """What decides, in each thread differently."""
        if not hasattr(self._here, "random"):
            self._here.random = random.Random(f"{self._seed} {threading.current_thread().name}")
        lots: random.Random = self._here.random
        return lots

    def dawdle(self, hook: str) -> None:
        if self.lots().random() < 0.3:
            time.sleep(self.lots().choice([0.0, 0.0001, 0.001]))
        if self.lots().random() < self.trouble:
            raise HookError(hook)

    def create(self, endpoint: Any, timeout: float | None) -> Conn:
        with self.lock:
            self.present[endpoint] += 1
            self.most_present = max(self.most_present, self.present[endpoint])
            self.most_of_all_present = max(self.most_of_all_present, self.present.total())
        try:
            return super().create(endpoint, timeout)
        except BaseException:
            with self.lock:
                self.present[endpoint] -= 1
            raise

    def dispose(self, endpoint: Any, conn: Conn, timeout: float | None) -> None:
        try:
            super().dispose(endpoint, conn, timeout)
        finally:
            with self.lock:
                self.present[endpoint] -= 1

    def check_aliveness(self, endpoint: Any, conn: Conn, timeout: float | None) -> bool:
        super().check_aliveness(endpoint, conn, timeout)
        return self.lots().random() >= self.trouble


class Life:
    """One thread's random life; the same for the same seed, as far as it is up to him."""

    def __init__(self, world: World, seed: str, calls: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.calls = calls
        self.served = 0
        self.late: list[str] = []
        """Answers that came too late, or should not have come."""

    def run(self) -> None:
        """Do so many things."""
        pool = self.world.pool
        calls: list[tuple[Callable[[], object], int]] = [
            (self.use, 60),
            (self.lease, 20),
            (self.lose, 4),
            (self.clear, 3),
            (lambda: pool.remove(self.endpoint()), 2),
            (lambda: pool.add(self.endpoint()), 3),
            (self.resize, 4),
            (pool.maintain, 3),
            (self.warm_up, 2),
            (self.ask, 3),
        ]
        chosen = self.random.choices(
            [call for call, _ in calls], [weight for _, weight in calls], k=self.calls
        )
        for call in chosen:
            with suppress(PoolClosedError, PoolClearedError, HookError, DirtyError):
                call()

    def endpoint(self) -> str:
        return self.random.choice(ENDPOINTS)

    def acquire(self) -> Any:
        """Acquire, and see whether the answer comes in time; nothing if it was no."""
        timeout = self.random.choice([0, 0.002, PATIENCE, PATIENCE, PATIENCE])
        started = time.monotonic()
        lease = None
        try:
            lease = self.world.pool.acquire(self.endpoint(), timeout)
            self.served += 1
        except (PoolTimeoutError, PoolOverloadedError) as error:
            if timeout == PATIENCE:
                self.late.append(str(error))
        finally:
            if time.monotonic() - started > timeout + SLACK:
                self.late.append(f"{time.monotonic() - started} s, not {timeout}")
        return lease

    def work(self, conn: Conn) -> None:
        self.world.manager.enter(conn, "body")
        if self.random.random() < 0.2:
            time.sleep(0.0005)
        self.world.manager.leave(conn, "body")

    def use(self) -> None:
        """Hold a connection in a block, and leave it clean or dirty."""
        lease = self.acquire()
        if lease is not None:
            with lease as conn:
                self.work(conn)
                if self.random.random() < 0.1:
                    raise DirtyError

    def lease(self) -> None:
        """Hold a lease and end it, perhaps several times."""
        lease = self.acquire()
        if lease is not None:
            self.work(lease.connection)
            for _ in range(self.random.randint(1, 3)):
                self.random.choice([lease.release, lease.release, lease.discard])()

    def lose(self) -> None:
        """Forget to end a lease, which may be part of a circle."""
        lease = self.acquire()
        if lease is not None and self.random.random() < 0.1:
            circle = Circle(lease)
            known = weakref.ref(circle)
            del circle, lease
            # While another thread collects, this does nothing.
            until(lambda: gc.collect() or known() is None)

    def clear(self) -> None:
        endpoint = self.random.choice([None, *ENDPOINTS])
        self.world.pool.clear(endpoint, interrupt_connections=self.random.random() < 0.5)

    def resize(self) -> None:
        self.world.pool.resize(
            max_size=self.random.randint(1, MAX_SIZE),
            min_size=self.random.randint(0, 1),
            total_max_size=self.random.randint(MAX_SIZE, self.world.bounds.total_max_size or 0),
        )

    def warm_up(self) -> None:
        with suppress(PoolTimeoutError):
            self.world.pool.warm_up(self.endpoint(), 0.01)

    def ask(self) -> None:
        """Whatever it is that is counted, it adds up."""
        stats = self.world.pool.stats(self.random.choice([None, *ENDPOINTS]))
        assert stats.total == stats.idle + stats.in_use + stats.connecting + stats.closing
        assert stats.total <= MAX_SIZE * len(ENDPOINTS)
        assert stats.released <= stats.acquired
        self.world.pool.explain()


STYLES: dict[str, dict[str, Any]] = {
    "kept": {},
    "by hand": {"background_collector": False},
    "fifo, one at a time": {"reuse": "fifo", "max_connecting": 1},
    "one place": {"total_max_size": 1, "max_size": 1, "min_size": 0},
    "watched": {"leak_threshold": 0.0002, "max_uses": 5},
}


@pytest.mark.parametrize("seed", ["one", "two"])
@pytest.mark.parametrize("style", STYLES)
def test_many_threads_and_a_worker(style: str, seed: str) -> None:
    """No limit is passed, everybody gets an answer in time, and nothing is left."""
    options: dict[str, Any] = {
        "max_size": MAX_SIZE,
        "total_max_size": 6,
        "min_size": 1,
        "idle_timeout": 0.003,
        "max_lifetime": 0.01,
        "health_check_interval": 0.002,
        "check_after_idle": 0.001,
        **STYLES[style],
    }
    manager = Shaky(seed)
    world = World(manager=manager, **options)
    lives = [Life(world, f"{seed} {number}", 100) for number in range(THREADS)]
    if style == "one place":
        for life in lives:
            life.resize = lambda: None  # type: ignore[method-assign]
    for life in lives:
        world.also(life.run)
    for running in world.others:
        running.result()
    assert [answer for life in lives for answer in life.late] == []
    assert all(life.served for life in lives)
    gc.collect()
    manager.trouble = 0.0
    until(lambda: not world.pool.stats().waiting)
    world.settle(open_still=False)
    assert manager.most_present <= options["max_size"]
    assert manager.most_of_all_present <= options["total_max_size"]
    assert not +manager.present
    until(lambda: "pool upkeep" not in [thread.name for thread in threading.enumerate()])
