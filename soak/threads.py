"""The sync world of a soak: threads."""

import threading
from random import Random

from pool import PoolStats
from soak._sync.crew import Crew, WatchedManager
from soak.site import Generation, Site
from soak.world import PATIENCE

__all__ = ["Threads", "WatchedManager"]


class Threads(Crew):
    """Everybody is a thread."""

    name = "sync"

    def start(self) -> None:
        self._threads = [
            threading.Thread(target=part, name=f"{self.seed} {number}")
            for number, part in enumerate(self.parts())
        ]
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        self.ending.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                self.books.violation(f"{thread.name} does not end")

    def stats(self, generation: Generation) -> PoolStats:
        stats: PoolStats = generation.pool.stats()
        return stats

    def clear(self, site: Site) -> None:
        site.current.pool.clear()

    def close(self, site: Site) -> None:
        site.renew().pool.close(timeout=PATIENCE)

    def _go(self, site: Site, random: Random) -> None:
        self.visit(site, random)
