"""The Redis manager in both worlds, driven from outside: a test is written once, as plain calls."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from pool.aio import redis as aio_redis
from pool.sync import redis as sync_redis
from pool.testing import aio as aio_testing
from pool.testing import sync as sync_testing
from support.real import HOST, RedisServer

PATIENCE = 10.0
"""Seconds that anything may take before a test fails rather than hangs."""

LIMIT = 3.0
"""Seconds that a test gives a call that should succeed."""

WORLDS = ["aio", "sync"]


class World:
    """One world; ``call`` calls what belongs to it, on an event loop of its own if need be."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.door: ModuleType = aio_redis if name == "aio" else sync_redis
        self.testing: ModuleType = aio_testing if name == "aio" else sync_testing
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def start(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> "Future[Any]":
        """Begin a call in the background."""
        if self.name == "aio":

            async def perform() -> Any:
                result = function(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result

            return asyncio.run_coroutine_threadsafe(perform(), self._loop)
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call, and return or raise what comes of it."""
        return self.start(function, *args, **kwargs).result(PATIENCE)

    def end(self) -> None:
        """Stop the loop."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()


class Rig:
    """A manager in its world."""

    def __init__(self, world: World, **options: Any) -> None:
        self.world = world
        self.manager: Any = world.door.RedisManager(**options)

    def create(self, endpoint: Any, timeout: float | None = LIMIT) -> Any:
        return self.world.call(self.manager.create, endpoint, timeout)

    def dispose(self, endpoint: Any, conn: Any) -> None:
        self.world.call(self.manager.dispose, endpoint, conn, LIMIT)

    @contextmanager
    def connection(self, endpoint: Any) -> Iterator[Any]:
        """Open a connection for the block."""
        conn = self.create(endpoint)
        try:
            yield conn
        finally:
            self.dispose(endpoint, conn)

    def hello(self, endpoint: Any) -> Any:
        """Ask a server what it is, on a connection of its own."""
        with self.connection(endpoint) as conn:
            return self.world.call(self.manager.hello, endpoint, conn, LIMIT)

    def execute(
        self, conn: Any, command: Any, database_name: str = "", timeout: float | None = LIMIT
    ) -> Any:
        """Send a command and return the reply's document."""
        return self.world.call(
            self.manager.execute, (HOST, 1), conn, command, database_name, timeout
        )


def at(server: RedisServer) -> tuple[str, int]:
    """Return the endpoint of a server."""
    return HOST, server.port
