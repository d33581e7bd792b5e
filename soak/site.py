"""One pool of one world for one protocol, again and again: when it is closed there is a new one."""

import threading
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from pool import PoolStats
from pool.testing import EventRecorder
from soak.books import Books, Limits, Tally
from soak.protocols import Protocol
from soak.weather import ODDS

__all__ = ["LIMITS", "Generation", "Site"]

LIMITS = Limits(max_size=5, total_max_size=8, max_connecting=2)
"""What no pool passes, whatever it is resized to."""

OPTIONS: dict[str, Any] = {
    "max_connecting": LIMITS.max_connecting,
    "acquire_timeout": 2.0,
    "connect_timeout": 1.0,
    "dispose_timeout": 1.0,
    "idle_timeout": 0.5,
    "max_lifetime": 2.0,
    "check_after_idle": 0.05,
    "health_check_interval": 0.3,
    "max_waiting": 20,
}


@dataclass(eq=False)
class Generation:
    """One pool, and what watches it."""

    pool: Any
    chaos: Any
    tally: Tally
    recorder: EventRecorder
    visitors: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Protects ``visitors``."""

    @contextmanager
    def visit(self) -> Iterator[None]:
        """Somebody uses the pool."""
        with self.lock:
            self.visitors += 1
        try:
            yield
        finally:
            with self.lock:
                self.visitors -= 1

    def left(self, stats: PoolStats) -> list[str]:
        """Return what is wrong with a pool that was closed and is not used any more."""
        wrong = []
        if self.visitors or stats.total or stats.waiting:
            wrong.append(f"not empty: {self.visitors} visitors, {stats}")
        if stats.acquired != stats.released:
            wrong.append(f"{stats.acquired} acquired and {stats.released} released")
        if self.tally.total:
            wrong.append(f"{self.tally.total} connections were never disposed of")
        return wrong

    def story(self) -> None:
        """Check the events of a pool that has ended.

        Raises:
            AssertionError: they cannot be true.
        """
        self.recorder.check_order(ended=True)


class Site:
    """Where a pool is.

    Parameters:
        world: ``"sync"`` or ``"aio"``.
        protocol: what it is for.
        endpoints: through the proxies.
        pool_type: that world's.
        manager_type: that world's chaos manager, which keeps a tally.
        books: for what happens.
        seed: of all that is random here.
    """

    def __init__(
        self,
        world: str,
        protocol: Protocol,
        endpoints: list[Hashable],
        pool_type: Any,
        manager_type: Any,
        books: Books,
        seed: str,
    ) -> None:
        self.name = f"{world} {protocol.name}"
        self.world = world
        self.protocol = protocol
        self.kit = protocol.kit(world)
        self.endpoints = endpoints
        self.books = books
        self.seed = f"{seed} {self.name}"
        self.retired: list[Generation] = []
        self.calm = False
        self._pool_type = pool_type
        self._manager_type = manager_type
        self._random = Random(f"{self.seed} site")
        self._made = 0
        self.current = self._make()

    def _make(self) -> Generation:
        self._made += 1
        random, tally = self._random, Tally(self.books, self.name, LIMITS)
        chaos = self._manager_type(
            self.protocol.manager(self.world),
            f"{self.seed} {self._made}",
            hang_limit=1.0,
            tally=tally,
        )
        if not self.calm:
            chaos.odds(**ODDS)
        recorder = EventRecorder()
        pool = self._pool_type(
            chaos,
            name=self.name,
            event_listeners=[recorder],
            max_size=random.randint(2, LIMITS.max_size),
            total_max_size=random.randint(5, LIMITS.total_max_size),
            min_size=random.randint(0, 2),
            background_collector=random.random() < 0.8,
            reuse=random.choice(["lifo", "fifo"]),
            **OPTIONS,
        )
        return Generation(pool, chaos, tally, recorder)

    def renew(self) -> Generation:
        """Put a new pool in the place of the one that is there, and return that: to be closed."""
        old, self.current = self.current, self._make()
        self.retired.append(old)
        return old

    def calm_down(self) -> None:
        """No more chaos, until it gets bad again."""
        self.calm = True
        for generation in [self.current, *self.retired]:
            generation.chaos.heal()

    def get_bad(self) -> None:
        self.calm = False
        self.current.chaos.odds(**ODDS)

    def sizes(self, random: Random) -> dict[str, int]:
        """Return something to resize to."""
        max_size = random.randint(1, LIMITS.max_size)
        return {
            "max_size": max_size,
            "min_size": random.randint(0, min(2, max_size)),
            "total_max_size": random.randint(max(max_size, 3), LIMITS.total_max_size),
        }
