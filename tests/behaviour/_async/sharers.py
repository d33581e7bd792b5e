"""Pools whose connections are shared, and what tests of them need."""

from collections.abc import Callable, Iterable, Sized
from contextlib import suppress
from typing import Any

from pool.aio import Lease, MultiplexedPool
from support.aio import Gate, runtime

from .fakes import Connection, Hooked, Manager

__all__ = [
    "DirtyError",
    "Shared",
    "SharedPool",
    "Silent",
    "Visitor",
    "leave",
    "numbers",
    "reached",
    "spoil",
    "take",
    "use",
]

SharedPool = MultiplexedPool[Any, Connection]
SharedLease = Lease[Any, Connection]


class DirtyError(Exception):
    """What leaves a body."""


class Shared(MultiplexedPool[Any, Connection]):
    """Two connections at the most, and nobody who replaces a broken one, unless the test wants otherwise."""

    def __init__(self, manager: Manager, **options: Any) -> None:
        chosen = {"size": 2, "background_collector": False, **options}
        super().__init__(manager, "e", **chosen)


class Visitor:
    """Acquires by ``call``, says so in ``log``, and holds its share until ``gate`` opens.

    Parameters:
        pool: where from.
        name: what it writes into ``log`` when it is served.
        log: who was served, in order.
        timeout: for its acquire.
    """

    def __init__(
        self,
        pool: SharedPool,
        name: Any = "visitor",
        log: list[Any] | None = None,
        *,
        timeout: float | None = 10.0,
        holds: bool = False,
    ) -> None:
        self.pool = pool
        self.name = name
        self.log = [] if log is None else log
        self.timeout = timeout
        self.gate = Gate(is_open=not holds)

    async def call(self) -> Connection:
        async with self.pool.connection(self.timeout) as connection:
            self.log.append(self.name)
            await self.gate.wait()
            return connection


class Silent(Hooked):
    """Its server accepts nobody any more, once it is ``silent``: a create takes all of its time."""

    def __init__(self) -> None:
        super().__init__()
        self.silent = False

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        if self.silent:
            await runtime.Waiter().wait(timeout)
            raise TimeoutError("nobody answers")
        return await super().create(endpoint, timeout)


async def use(pool: SharedPool, timeout: float | None = 10.0) -> Connection:
    """Share a connection for a moment; return it."""
    async with pool.connection(timeout) as connection:
        return connection


async def take(pool: SharedPool, count: int) -> list[SharedLease]:
    """Acquire so many shares."""
    return [await pool.acquire(10.0) for _ in range(count)]


async def leave(leases: Iterable[SharedLease]) -> None:
    """Give shares back."""
    for lease in leases:
        await lease.release()


async def spoil(pool: SharedPool) -> None:
    """Leave a body by an error."""
    with suppress(DirtyError):
        async with pool.connection():
            raise DirtyError


def reached(things: Sized, count: int) -> Callable[[], bool]:
    """Say when there are so many."""
    return lambda: len(things) == count


def numbers(connections: Iterable[Connection]) -> list[int]:
    """Return the numbers of connections, which are all equal to each other."""
    return [connection.number for connection in connections]
