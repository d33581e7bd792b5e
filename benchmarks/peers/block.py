"""A block for pools that have none: it does what a ``try`` with a ``finally`` would."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any


class SyncBlock(ABC):
    """One checkout of a pool."""

    __slots__ = ("leased", "pool")

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    @abstractmethod
    def take(self) -> Any:
        """Take a connection from the pool."""

    @abstractmethod
    def give(self, leased: Any) -> None:
        """Give it back."""

    def __enter__(self) -> Any:
        leased = self.leased = self.take()
        return leased

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.give(self.leased)


class AsyncBlock(ABC):
    """One checkout of a pool."""

    __slots__ = ("leased", "pool")

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    @abstractmethod
    async def take(self) -> Any:
        """Take a connection from the pool."""

    @abstractmethod
    async def give(self, leased: Any) -> None:
        """Give it back."""

    async def __aenter__(self) -> Any:
        leased = self.leased = await self.take()
        return leased

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.give(self.leased)
