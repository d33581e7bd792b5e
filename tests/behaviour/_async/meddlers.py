"""Managers and listeners that interfere: for tests of clearing, closing and events."""

from collections.abc import Callable, Hashable
from typing import Any

from pool import PoolStats, monitoring
from pool.aio import ConnectionPool
from support.aio import Gate

from .fakes import Connection, Hooked, Manager

__all__ = ["Breakable", "Meddling", "Peeking", "told"]


class Meddling(Hooked):
    """Calls ``act``, once, from the hook named; ``create`` and ``dispose`` are hooks too."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        self.hook = hook
        self.act: Callable[[], Any] | None = None

    async def _meddle(self, name: str) -> None:
        if name == self.hook and self.act is not None:
            act, self.act = self.act, None
            await act()

    async def _call(self, name: str, conn: Connection) -> Any:
        await self._meddle(name)
        return await super()._call(name, conn)

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        await self._meddle("create")
        return await super().create(endpoint, timeout)

    async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
        await super().dispose(endpoint, conn, timeout)
        await self._meddle("dispose")


class Breakable(Manager):
    """Its creates stop at ``create_gate``; ``interrupt`` makes those fail that stand there."""

    def __init__(self) -> None:
        super().__init__()
        self.create_gate = Gate()
        self.broken: list[Gate] = []
        self.where: list[tuple[Hashable, Connection | None]] = []

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        gate = self.create_gate
        self.started += 1
        self.creating += 1
        try:
            await gate.wait()
            if gate in self.broken:
                raise ConnectionAbortedError("broken off")
            self.live += 1
            self.opened.append(Connection(endpoint, len(self.opened) + 1))
            return self.opened[-1]
        finally:
            self.creating -= 1

    def interrupt(self, endpoint: Any, conn: Connection | None) -> None:
        super().interrupt(endpoint, conn)
        self.where.append((endpoint, conn))
        if conn is None:
            self.broken.append(self.create_gate)
            self.create_gate = Gate(is_open=True)
            self.broken[-1].open()


class Peeking:
    """Notes at each event what the pool's state is at that moment. Set ``pool`` first."""

    def __init__(self) -> None:
        self.pool: ConnectionPool[Any, Connection] | None = None
        self.seen: list[tuple[Any, PoolStats]] = []
        self.explained: list[tuple[Any, str]] = []
        self.listener = monitoring.on(self._peek)

    def _peek(self, event: Any) -> None:
        assert self.pool is not None
        self.seen.append((event, self.pool.stats()))
        self.explained.append((event, self.pool.explain()))

    def at(self, event_type: type[Any]) -> PoolStats:
        """Return the state at the last event of a class."""
        return [stats for event, stats in self.seen if type(event) is event_type][-1]

    def explained_at(self, event_type: type[Any]) -> str:
        """Return what ``explain`` said at the last event of a class."""
        return [text for event, text in self.explained if type(event) is event_type][-1]


def told(events: list[Any]) -> list[tuple[str, int | None]]:
    """Return the events' class names without the word ``Event``, each with its connection's id."""
    return [
        (type(event).__name__.removesuffix("Event"), getattr(event, "connection_id", None))
        for event in events
    ]
