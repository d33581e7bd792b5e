"""A soak from beginning to end: bad weather, calm moments, and what is true in them."""

import gc
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from typing import Any

import pool.aio
import pool.sync
from pool.testing import ChaosProxy
from pool.testing._surroundings import descriptors
from soak import tasks, threads
from soak.books import Books
from soak.protocols import PROTOCOLS, Protocol
from soak.site import Site
from soak.weather import Weather
from soak.world import PATIENCE, World
from support.real import HOST, RealServer

__all__ = ["soak"]

PROXIES = 2
"""In front of each server: so many endpoints has each pool."""

THREADS, TASKS = 6, 10
"""For each protocol."""

BAD, CALM = 4.0, 0.7
"""Seconds of each."""


def soak(seconds: float, seed: str, say: Callable[[str], object]) -> Books:
    """Run for so long; return what happened. It has ended early if there is a violation.

    Parameters:
        seconds: for bad weather and calm moments, without the time to start and to end.
        seed: of everything that is random, except for who comes first.
        say: told what goes on.
    """
    books = Books()
    with ExitStack() as stack:
        stack.enter_context(_nothing_unseen(books))
        servers = {p.name: stack.enter_context(p.server()) for p in PROTOCOLS}
        proxies = {
            name: [stack.enter_context(ChaosProxy(HOST, server.port)) for _ in range(PROXIES)]
            for name, server in servers.items()
        }

        def sites(world: str, pool_type: Any, manager_type: Any) -> list[Site]:
            return [
                Site(world, p, _endpoints(p, proxies), pool_type, manager_type, books, seed)
                for p in PROTOCOLS
            ]

        sync = sites("sync", pool.sync.ConnectionPool, threads.WatchedManager)
        aio = sites("aio", pool.aio.ConnectionPool, tasks.WatchedManager)
        in_tasks = tasks.Tasks(aio, books, TASKS, seed)
        worlds: list[World] = [threads.Threads(sync, books, THREADS, seed), in_tasks]
        weather = Weather([each for some in proxies.values() for each in some], seed, books)
        for world in worlds:
            world.start()
        weather.start()
        run = _Run(books, worlds, weather, servers, say)
        try:
            run.until(time.monotonic() + seconds, Random(f"{seed} run"))
        finally:
            weather.end()
            run.end()
            in_tasks.stop()
        _all_gone("a proxy keeps connections", books, lambda: _open(proxies))
    return books


def _endpoints(protocol: Protocol, proxies: dict[str, list[ChaosProxy]]) -> list[Any]:
    return [protocol.endpoint(*proxy.address) for proxy in proxies[protocol.name]]


def _open(proxies: dict[str, list[ChaosProxy]]) -> int:
    return sum(proxy.connections for some in proxies.values() for proxy in some)


class _Run:
    """The course of a soak."""

    def __init__(
        self,
        books: Books,
        worlds: list[World],
        weather: Weather,
        servers: dict[str, RealServer],
        say: Callable[[str], object],
    ) -> None:
        self._books = books
        self._worlds = worlds
        self._weather = weather
        self._servers = servers
        self._say = say

    def until(self, end: float, random: Random) -> None:
        """Bad weather and calm moments by turns."""
        while (left := end - time.monotonic()) > 0 and not self._books.broken.is_set():
            # Two times at least, however short it is.
            self._books.broken.wait(min(left, random.uniform(0.5, 1.0) * min(BAD, left / 2 + 1)))
            self._calm_moment()

    def _calm_moment(self) -> None:
        self._weather.calm_down()
        for world in self._worlds:
            world.rest()
            for site in world.sites:
                site.calm_down()
                # What was lost in a black hole looks well from here, and nobody is at the other end.
                world.clear(site)
        for world in self._worlds:
            world.work()
        self._books.broken.wait(CALM)
        for world in self._worlds:
            world.rest()
        self._compare()
        for world in self._worlds:
            self._bury(world)
            for site in world.sites:
                site.get_bad()
            world.work()
        self._weather.get_bad()

    def _compare(self) -> None:
        """What the servers see is what we say."""
        gc.collect()
        for name, server in self._servers.items():
            deadline = time.monotonic() + PATIENCE
            while True:
                before = self._ours(name)
                seen = server.connections()
                if before == self._ours(name) == [seen, seen]:
                    break
                if time.monotonic() > deadline or self._books.broken.is_set():
                    self._books.violation(
                        f"{name} sees {seen} connections; in our pools are {before[0]}, opened and "
                        f"not disposed of {before[1]}"
                    )
                    break
                time.sleep(0.02)
            self._books.count("comparisons with a server")
            self._books.count("connections compared", seen)

    def _ours(self, name: str) -> list[int]:
        found = [0, 0]
        for world in self._worlds:
            for site in world.sites:
                if site.protocol.name == name:
                    for generation in [site.current, *site.retired]:
                        found[0] += world.stats(generation).total
                        found[1] += generation.tally.total
        return found

    def _bury(self, world: World) -> None:
        """Check those pools that were closed, and forget them."""
        for site in world.sites:
            for generation in site.retired:
                deadline = time.monotonic() + PATIENCE
                while generation.left(world.stats(generation)) and time.monotonic() < deadline:
                    time.sleep(0.02)
                for wrong in generation.left(world.stats(generation)):
                    self._books.violation(f"{site.name}: a pool that was closed: {wrong}")
                try:
                    generation.story()
                except AssertionError as error:
                    self._books.violation(f"{site.name}: the events: {error}")
                self._note(site, generation, world)
            site.retired.clear()

    def _note(self, site: Site, generation: Any, world: World) -> None:
        stats = world.stats(generation)
        books = self._books
        books.count("pools closed")
        books.count("events checked", len(generation.recorder.events))
        books.count(f"{site.name}: opened", stats.created)
        books.count(f"{site.name}: timeouts", stats.timeouts)
        books.most(f"{site.name}: most at one endpoint", generation.tally.most)
        books.most(f"{site.name}: most in all", generation.tally.most_in_all)
        for fault, number in generation.chaos.counts.items():
            books.count(f"chaos {fault}", number)

    def end(self) -> None:
        """Close everything, and see that nothing is left."""
        self._say("closing")
        for world in self._worlds:
            world.rest()
            world.end()
            for site in world.sites:
                site.calm_down()
                world.close(site)
            self._bury(world)
        for name, server in self._servers.items():
            _all_gone(f"{name} sees connections at the end", self._books, server.connections)


def _all_gone(what: str, books: Books, number: Callable[[], int]) -> None:
    deadline = time.monotonic() + PATIENCE
    # A driver may leave a connection that failed to the garbage collector.
    gc.collect()
    while left := number():
        if time.monotonic() > deadline:
            books.violation(f"{what}: {left}")
            return
        time.sleep(0.02)


@contextmanager
def _nothing_unseen(books: Books) -> Iterator[None]:
    """Whatever is raised where nobody sees it, or logged as a bug of ours, is a violation."""

    class Watch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "bug:" in self.format(record):
                books.violation(f"logged: {self.format(record)}")

    hooks = threading.excepthook, sys.unraisablehook
    threading.excepthook = lambda args: books.violation("in a thread", args.exc_value)
    sys.unraisablehook = lambda args: books.violation(f"unraisable: {args.err_msg}", args.exc_value)
    logger, handler = logging.getLogger("pool"), Watch()
    propagate, logger.propagate = logger.propagate, False
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    logger.addHandler(handler)
    before = threading.active_count()
    opened = descriptors() or set()
    try:
        yield
        _all_gone("threads are left", books, lambda: max(threading.active_count() - before, 0))
        _all_gone(
            "file descriptors are left", books, lambda: len((descriptors() or set()) - opened)
        )
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
        threading.excepthook, sys.unraisablehook = hooks
