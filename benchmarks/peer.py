"""What a competitor has to offer, one protocol for each world, and both behind one face.

Everything is driven from an event loop. A sync peer blocks it, which costs the measurement nothing: what is
timed is one call of ``run``, however many checkouts it does.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any, cast

from benchmarks.fakes import FakeConnection, FakeServer


class AsyncPeer(ABC):
    """A pool that may hold so many connections.

    Parameters:
        size: how many.
    """

    code: str
    """How its users take and return a connection: what ``run`` does."""

    kind: type[FakeConnection] = FakeConnection
    """The class of its connections."""

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.server = FakeServer(self.kind)

    @abstractmethod
    async def setup(self) -> None:
        """Make the pool."""

    @abstractmethod
    async def run(self, n: int) -> None:
        """Take and return a connection ``n`` times."""

    @abstractmethod
    def checkout(self) -> AbstractAsyncContextManager[Any]:
        """Take and return a connection once: what users write where there is a block."""

    def bare(self, leased: Any) -> FakeConnection:
        """Return the connection that ``checkout`` gave, without what the pool has put around it."""
        return cast("FakeConnection", leased)

    @abstractmethod
    async def teardown(self) -> None:
        """Close the pool."""

    def beside(self, n: int) -> "asyncio.Future[None]":
        """Call ``run`` beside the caller."""
        return asyncio.ensure_future(self.run(n))


class SyncPeer(ABC):
    """The same for threads."""

    code: str
    kind: type[FakeConnection] = FakeConnection

    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.server = FakeServer(self.kind)

    @abstractmethod
    def setup(self) -> None: ...

    @abstractmethod
    def run(self, n: int) -> None: ...

    @abstractmethod
    def checkout(self) -> AbstractContextManager[Any]: ...

    def bare(self, leased: Any) -> FakeConnection:
        return cast("FakeConnection", leased)

    @abstractmethod
    def teardown(self) -> None: ...


class Threaded(AsyncPeer):
    """A sync peer, driven like an async one."""

    def __init__(self, peer: SyncPeer) -> None:
        super().__init__(peer.size)
        self.peer = peer
        self.code = peer.code
        self.server = peer.server

    async def setup(self) -> None:
        self.peer.setup()

    async def run(self, n: int) -> None:
        self.peer.run(n)

    @asynccontextmanager
    async def checkout(self) -> AsyncGenerator[Any, None]:
        with self.peer.checkout() as leased:
            yield leased

    def bare(self, leased: Any) -> FakeConnection:
        return self.peer.bare(leased)

    async def teardown(self) -> None:
        self.peer.teardown()

    def beside(self, n: int) -> "asyncio.Future[None]":
        return asyncio.ensure_future(asyncio.to_thread(self.peer.run, n))
