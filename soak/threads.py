"""The sync world of a soak: threads."""

import threading
from collections.abc import Hashable
from random import Random
from time import sleep
from traceback import clear_frames
from typing import Any

from pool import PoolStats
from pool.testing.sync import ChaosManager
from soak.books import Tally
from soak.protocols import TOLERATED, Refusal, within
from soak.site import Generation, Site
from soak.world import PATIENCE, World

__all__ = ["Threads", "WatchedManager"]


class WatchedManager(ChaosManager[Any, Any]):
    """Keeps a tally."""

    def __init__(self, manager: Any, seed: object, *, hang_limit: float, tally: Tally) -> None:
        super().__init__(manager, seed, hang_limit=hang_limit)
        self._tally = tally

    def create(self, endpoint: Hashable, timeout: float | None) -> Any:
        self._tally.begin(endpoint)
        try:
            return super().create(endpoint, timeout)
        except BaseException as error:
            # The pool remembers the error, for its texts, and with it the frames of a driver that leaves
            # to the garbage collector what it was about to open.
            clear_frames(error.__traceback__)
            self._tally.end(endpoint)
            raise
        finally:
            self._tally.connected(endpoint)

    def dispose(self, endpoint: Hashable, conn: Any, timeout: float | None) -> None:
        try:
            super().dispose(endpoint, conn, timeout)
        finally:
            self._tally.end(endpoint)


class Threads(World):
    """Workers and a meddler in threads."""

    name = "sync"

    def start(self) -> None:
        self._threads = [
            threading.Thread(target=target, args=(site, f"{self.seed} {site.name} {number}"))
            for site in self.sites
            for number in range(self.workers)
            for target in ([self._work, self._meddle] if number == 0 else [self._work])
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

    # --- Workers ---

    def _work(self, site: Site, seed: str) -> None:
        random = Random(f"{seed} work")
        while not self.ending.is_set():
            if self.resting.is_set():
                sleep(0.005)
                continue
            self.begin_work()
            try:
                if not self.resting.is_set():
                    self._visit(site, random)
            except BaseException as error:
                self.books.violation(f"{site.name}: an error that must not be", error)
            finally:
                self.end_work()
            sleep(random.uniform(0.0, 0.01))

    def _visit(self, site: Site, random: Random) -> None:
        calm, generation = site.calm, site.current
        timeout = self.timeout(site, random, calm)
        endpoint = random.choice(site.endpoints)
        try:
            with generation.visit():
                if random.random() < 0.8:
                    lease = generation.pool.connection(endpoint, timeout=timeout)
                    with lease as conn, self.books.owning(conn):
                        self._converse(site, conn, random, calm)
                else:
                    self._borrow(site, generation, endpoint, timeout, random, calm)
        except TOLERATED as error:
            self.outcome(site, error, calm)
        else:
            self.outcome(site, None, calm)

    def _borrow(
        self,
        site: Site,
        generation: Generation,
        endpoint: Hashable,
        timeout: float,
        random: Random,
        calm: bool,
    ) -> None:
        lease = generation.pool.acquire(endpoint, timeout=timeout)
        try:
            with self.books.owning(lease.connection):
                self._converse(site, lease.connection, random, calm)
        except BaseException:
            lease.discard()
            raise
        lease.release()
        lease.release()

    def _converse(self, site: Site, conn: Any, random: Random, calm: bool) -> None:
        for _ in range(random.randint(1, 3)):
            number = self.books.number()
            self.check_reply(site, number, site.kit.echo(conn, number, 10.0 if calm else 0.5))
        chance = 1.0 if calm else random.random()
        if chance < 0.05:
            with within(conn, 0.5):
                site.kit.offend(conn)
        elif chance < 0.08:
            raise Refusal("the body is not in the mood")
        elif chance < 0.10:
            site.kit.hang(conn, 0.05)
        elif chance < 0.30:
            sleep(random.uniform(0.0, 0.03))

    # --- The meddler ---

    def _meddle(self, site: Site, seed: str) -> None:
        random = Random(f"{seed} meddle")
        while not self.ending.wait(random.uniform(0.02, 0.3)):
            if self.resting.is_set() or site.calm:
                continue
            self.begin_work()
            try:
                if not self.resting.is_set() and not site.calm:
                    self._act(site, random)
            except TOLERATED as error:
                self.books.error(error)
            except BaseException as error:
                self.books.violation(f"{site.name}: meddling failed", error)
            finally:
                self.end_work()

    def _act(self, site: Site, random: Random) -> None:
        pool, endpoint = site.current.pool, random.choice([*site.endpoints, None])
        some = site.endpoints[0] if endpoint is None else endpoint
        hard = random.random() < 0.3
        deed = random.choices(
            ["clear", "resize", "remove", "add", "warm_up", "maintain", "explain", "close"],
            [6, 6, 2, 2, 1, 2, 2, 1],
        )[0]
        self.books.deed(f"{self.name} {deed}")
        match deed:
            case "clear":
                pool.clear(endpoint, interrupt_connections=hard)
            case "resize":
                pool.resize(**site.sizes(random))
            case "remove":
                pool.remove(some)
            case "add":
                pool.add(some)
            case "warm_up":
                pool.warm_up(some, 0.5)
            case "maintain":
                pool.maintain()
            case "explain":
                pool.explain()
            case "close":
                timeout = random.choice([0.0, 0.1, 1.0])
                site.renew().pool.close(timeout=timeout, interrupt_connections=hard)
