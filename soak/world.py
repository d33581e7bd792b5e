"""What both worlds have in common: sites, workers who can be sent to rest, and how many there are."""

import threading
import time
from abc import ABC, abstractmethod
from random import Random
from typing import Any

from pool import PoolStats
from soak.books import Books
from soak.protocols import is_late
from soak.site import Generation, Site

__all__ = ["PATIENCE", "World"]

PATIENCE = 30.0
"""Seconds after which what has not happened never will."""

CALM_TIMEOUT = 10.0
"""Seconds that a caller gives a pool when all is well: enough for whoever he comes after."""


class World(ABC):
    """One of the worlds.

    Parameters:
        sites: its pools.
        books: for what happens.
        workers: for each site.
        seed: of all that is random.
    """

    name: str

    def __init__(self, sites: list[Site], books: Books, workers: int, seed: str) -> None:
        self.sites = sites
        self.books = books
        self.workers = workers
        self.seed = f"{seed} {self.name}"
        self.ending = threading.Event()
        self.resting = threading.Event()
        """Set while nobody is to work."""
        self._at_work = 0
        self._lock = threading.Lock()

    # --- Work and rest ---

    def begin_work(self) -> None:
        with self._lock:
            self._at_work += 1

    def end_work(self) -> None:
        with self._lock:
            self._at_work -= 1

    def rest(self) -> None:
        """Send everybody to rest, and see them there."""
        self.resting.set()
        deadline = time.monotonic() + PATIENCE
        while self._at_work:
            if time.monotonic() > deadline:
                state = "\n".join(site.current.pool.explain() for site in self.sites)
                self.books.violation(f"{self.name}: {self._at_work} calls hang:\n{state}")
                return
            time.sleep(0.005)

    def work(self) -> None:
        self.resting.clear()

    # --- For the worlds ---

    @abstractmethod
    def start(self) -> None:
        """Begin."""

    @abstractmethod
    def end(self) -> None:
        """End all workers."""

    @abstractmethod
    def stats(self, generation: Generation) -> PoolStats:
        """Ask a pool."""

    @abstractmethod
    def clear(self, site: Site) -> None:
        """Clear a pool."""

    @abstractmethod
    def close(self, site: Site) -> None:
        """Close a pool, and wait for its end."""

    def outcome(self, site: Site, error: BaseException | None, calm: bool) -> None:
        """Note how a visit ended."""
        if error is None:
            self.books.count(f"{site.name}: operations")
        elif calm and not is_late(error):
            self.books.violation(f"{site.name}: an error although all is well", error)
        else:
            self.books.error(error)

    def timeout(self, site: Site, random: Random, calm: bool) -> float:
        """Return for how long somebody is ready to wait."""
        return CALM_TIMEOUT if calm else random.choice([0.0, 0.05, 0.5, 2.0, 2.0])

    def check_reply(self, site: Site, asked: int, reply: Any) -> None:
        if reply != asked:
            self.books.violation(f"{site.name}: asked for {asked} and got {reply!r}")
