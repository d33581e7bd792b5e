"""The async world of a soak: tasks, on an event loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine
from random import Random
from typing import Any, TypeVar

from pool import PoolStats
from soak._async.crew import Crew, WatchedManager
from soak.site import Generation, Site
from soak.world import PATIENCE

__all__ = ["Tasks", "WatchedManager"]

T = TypeVar("T")


class Tasks(Crew):
    """Everybody is a task, and some visits are cancelled."""

    name = "aio"

    def start(self) -> None:
        self._begun = threading.Event()
        self._thread = threading.Thread(target=self._run, name="event loop")
        self._thread.start()
        self._begun.wait(PATIENCE)

    def _run(self) -> None:
        asyncio.run(self._run_all())

    async def _run_all(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(self._unhandled)
        self._stopping = asyncio.Event()
        self._begun.set()
        await asyncio.gather(*(part() for part in self.parts()))
        await self._stopping.wait()

    def _unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.books.violation(f"the event loop: {context['message']}", context.get("exception"))

    def end(self) -> None:
        self.ending.set()

    def stop(self) -> None:
        """End the event loop: the workers have ended, and the pools are closed."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self.books.violation("the event loop does not end")

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(2 * PATIENCE)

    def stats(self, generation: Generation) -> PoolStats:
        async def ask() -> PoolStats:
            stats: PoolStats = generation.pool.stats()
            return stats

        return self._call(ask())

    def clear(self, site: Site) -> None:
        self._call(site.current.pool.clear())

    def close(self, site: Site) -> None:
        self._call(site.renew().pool.close(timeout=PATIENCE))

    async def _go(self, site: Site, random: Random) -> None:
        visit = asyncio.ensure_future(self.visit(site, random))
        cancelled = not site.calm and random.random() < 0.15
        if cancelled:
            self._loop.call_later(random.expovariate(100), visit.cancel)
        done, _ = await asyncio.wait([visit], timeout=PATIENCE)
        if not done:
            state = site.current.pool.explain()
            self.books.violation(f"{site.name}: a visit hangs:\n{state}")
        elif not visit.cancelled():
            visit.result()
        elif cancelled:
            self.books.count(f"{site.name}: cancelled")
        else:
            self.books.violation(f"{site.name}: cancelled by nobody")
