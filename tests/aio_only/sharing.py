"""A world whose pool lends each connection to many at once."""

import asyncio
from collections import Counter
from typing import Any, cast

from aio_only.steps import Conn, Hooked, Stepping, World, ended, turn

from pool import monitoring
from pool.aio import ConnectionPool, MultiplexedPool
from pool.testing._order import check_order
from support.aio import PATIENCE, until

__all__ = ["SharedHooked", "SharedStepping", "SharedWorld"]

#: Who must be alone with a connection.
_ALONE = ("check_aliveness", "on_connection_dead", "dispose")

#: Who may work with a broken one: those who came before it broke, and those who end it.
_LAST = ("body", "on_connection_dead", "dispose")


class _Sharing(Stepping):
    """Notes who works with a connection when he must not."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[int, Counter[str]] = {}
        self.most_users = 0

    def enter(self, conn: Conn, user: str) -> None:
        users = self.users.setdefault(conn.number, Counter())
        disturbed = users.total() if user in _ALONE else any(users[each] for each in _ALONE)
        if disturbed or conn.disposals or (conn.spoiled and user not in _LAST):
            self.faults.append(f"{user} works with {conn}, {users}, disposals={conn.disposals}")
        users[user] += 1
        self.most_users = max(self.most_users, users.total())

    def leave(self, conn: Conn, user: str) -> None:
        users = self.users[conn.number]
        if not users[user]:
            self.faults.append(f"{user} leaves {conn}")
        users[user] -= 1


class SharedStepping(_Sharing):
    """Overrides no hook but those it must."""


class SharedHooked(_Sharing, Hooked):
    """Overrides every hook."""


class SharedWorld(World):
    """Has one connection for everybody, and nobody who replaces it if it breaks, unless told otherwise."""

    def __init__(
        self, *, hooked: bool = True, manager: Stepping | None = None, **options: Any
    ) -> None:
        self.manager = manager or (SharedHooked() if hooked else SharedStepping())
        self.events = []
        listener = monitoring.on(self.events.append)
        options = {"size": 1, "check_after_idle": 0, "background_collector": False, **options}
        self.shared: MultiplexedPool[Any, Conn] = MultiplexedPool(
            self.manager, "e", event_listeners=[listener], **options
        )
        self.pool = cast("ConnectionPool[Any, Conn]", self.shared)
        self.most = self.shared.size
        """The size that was never exceeded: who makes it larger must say so here."""
        self.others: list[asyncio.Task[Any]] = []
        self.leases = []

    async def acquire(self, timeout: float = PATIENCE, *, endpoint: str = "e") -> None:
        self.leases.append(await self.shared.acquire(timeout))

    async def use(self, timeout: float = PATIENCE, *, endpoint: str = "e") -> None:
        async with self.shared.connection(timeout) as conn:
            self.manager.enter(conn, "body")
            try:
                await turn()
            except BaseException:
                conn.spoiled = not self.manager.reusable
                raise
            finally:
                self.manager.leave(conn, "body")

    async def taken(self, count: int) -> None:
        """Have so many leases."""
        for _ in range(count):
            await self.acquire()

    async def idle(self, count: int = 1, endpoint: str = "e") -> list[Conn]:
        first = len(self.leases)
        await self.taken(count)
        leases = self.leases[first:]
        del self.leases[first:]
        conns = [lease.connection for lease in leases]
        for lease in leases:
            await lease.release()
        assert self.shared.stats().idle == count
        return conns

    async def settle(self, *, open_still: bool = True) -> None:
        self.manager.outcomes.clear()
        await until(self._release_all)
        for task in self.others:
            task.result()
        pool, manager = self.shared, cast("_Sharing", self.manager)
        if open_still:
            assert pool.stats().waiting == 0, pool
            if pool.size:
                await self.use()
            stats = pool.stats()
            assert (stats.in_use, stats.connecting, stats.waiting) == (0, 0, 0), stats
            assert pool.pending == 0
            assert stats.total == stats.idle + stats.closing, stats
        await ended(asyncio.ensure_future(pool.close(timeout=None)))
        stats = pool.stats()
        assert (stats.total, stats.waiting) == (0, 0), stats
        assert stats.acquired == stats.released, stats
        assert stats.created == stats.closed, stats
        assert pool.connections == []
        assert not manager.faults, manager.faults
        assert [conn.disposals for conn in manager.opened] == [1] * len(manager.opened)
        assert manager.most_live <= self.most
        assert manager.most_creating <= pool.options.max_connecting
        check_order(self.events, ended=True, shared=True)
