"""Those who live through a soak, in either world: workers, and a meddler."""

from abc import abstractmethod
from collections.abc import Hashable
from functools import partial
from random import Random
from traceback import clear_frames
from typing import Any

from pool.testing._twin.aio import pause
from pool.testing.aio import ChaosManager
from soak.books import Tally
from soak.protocols import TOLERATED, Refusal, within
from soak.site import Generation, Site
from soak.world import World

__all__ = ["Crew", "WatchedManager"]


class WatchedManager(ChaosManager[Any, Any]):
    """Keeps a tally."""

    def __init__(self, manager: Any, seed: object, *, hang_limit: float, tally: Tally) -> None:
        super().__init__(manager, seed, hang_limit=hang_limit)
        self._tally = tally

    async def create(self, endpoint: Hashable, timeout: float | None) -> Any:
        self._tally.begin(endpoint)
        try:
            return await super().create(endpoint, timeout)
        except BaseException as error:
            # The pool remembers the error, for its texts, and with it the frames of a driver that leaves
            # to the garbage collector what it was about to open.
            clear_frames(error.__traceback__)
            self._tally.end(endpoint)
            raise
        finally:
            self._tally.connected(endpoint)

    async def dispose(self, endpoint: Hashable, conn: Any, timeout: float | None) -> None:
        try:
            await super().dispose(endpoint, conn, timeout)
        finally:
            self._tally.end(endpoint)


class Crew(World):
    """What everybody does; who does it, the worlds know."""

    def parts(self) -> list[Any]:
        """Return the part of everybody, to be called."""
        return [
            partial(part, site, f"{self.seed} {site.name} {number}")
            for site in self.sites
            for number in range(self.workers)
            for part in (
                [self.keep_visiting] if number else [self.keep_visiting, self.keep_meddling]
            )
        ]

    @abstractmethod
    async def _go(self, site: Site, random: Random) -> None:
        """Visit a pool, in the manner of the world."""

    # --- Workers ---

    async def keep_visiting(self, site: Site, seed: str) -> None:
        random = Random(f"{seed} work")
        while not self.ending.is_set():
            if self.resting.is_set():
                await pause(0.005)
                continue
            self.begin_work()
            try:
                # Now that they know of us, they wait for us.
                if not self.resting.is_set():
                    await self._go(site, random)
            except BaseException as error:
                self.books.violation(f"{site.name}: an error that must not be", error)
            finally:
                self.end_work()
            await pause(random.uniform(0.0, 0.01))

    async def visit(self, site: Site, random: Random) -> None:
        calm, generation = site.calm, site.current
        timeout = self.timeout(site, random, calm)
        endpoint = random.choice(site.endpoints)
        try:
            with generation.visit():
                if random.random() < 0.8:
                    async with generation.pool.connection(endpoint, timeout=timeout) as conn:
                        with self.books.owning(conn):
                            await self._converse(site, conn, random, calm)
                else:
                    await self._borrow(site, generation, endpoint, timeout, random, calm)
        except TOLERATED as error:
            self.outcome(site, error, calm)
        else:
            self.outcome(site, None, calm)

    async def _borrow(
        self,
        site: Site,
        generation: Generation,
        endpoint: Hashable,
        timeout: float,
        random: Random,
        calm: bool,
    ) -> None:
        lease = await generation.pool.acquire(endpoint, timeout=timeout)
        try:
            with self.books.owning(lease.connection):
                await self._converse(site, lease.connection, random, calm)
        except BaseException:
            await lease.discard()
            raise
        await lease.release()
        await lease.release()

    async def _converse(self, site: Site, conn: Any, random: Random, calm: bool) -> None:
        for _ in range(random.randint(1, 3)):
            number = self.books.number()
            reply = await site.kit.echo(conn, number, 10.0 if calm else 0.5)
            self.check_reply(site, number, reply)
        chance = 1.0 if calm else random.random()
        if chance < 0.05:
            with within(conn, 0.5):
                await site.kit.offend(conn)
        elif chance < 0.08:
            raise Refusal("the body is not in the mood")
        elif chance < 0.10:
            await site.kit.hang(conn, 0.05)
        elif chance < 0.30:
            await pause(random.uniform(0.0, 0.03))

    # --- The meddler ---

    async def keep_meddling(self, site: Site, seed: str) -> None:
        random = Random(f"{seed} meddle")
        while not self.ending.is_set():
            await pause(random.uniform(0.02, 0.3))
            if self.resting.is_set() or site.calm:
                continue
            self.begin_work()
            try:
                if not self.resting.is_set() and not site.calm:
                    await self._act(site, random)
            except TOLERATED as error:
                self.books.error(error)
            except BaseException as error:
                self.books.violation(f"{site.name}: meddling failed", error)
            finally:
                self.end_work()

    async def _act(self, site: Site, random: Random) -> None:
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
                await pool.clear(endpoint, interrupt_connections=hard)
            case "resize":
                pool.resize(**site.sizes(random))
            case "remove":
                await pool.remove(some)
            case "add":
                await pool.add(some)
            case "warm_up":
                await pool.warm_up(some, 0.5)
            case "maintain":
                await pool.maintain()
            case "explain":
                pool.explain()
            case "close":
                timeout = random.choice([0.0, 0.1, 1.0])
                await site.renew().pool.close(timeout=timeout, interrupt_connections=hard)
