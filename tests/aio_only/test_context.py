"""What the pool does by itself runs in nobody's context."""

from contextvars import ContextVar
from typing import Any

from behaviour._async.fakes import Connection, Manager

from pool.aio import ConnectionPool
from support.aio import until

REQUEST: ContextVar[str] = ContextVar("REQUEST", default="none")


class Noting(Manager):
    """Notes in whose context it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, str]] = []

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        self.seen.append(("create", REQUEST.get()))
        return await super().create(endpoint, timeout)

    async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
        self.seen.append(("dispose", REQUEST.get()))
        await super().dispose(endpoint, conn, timeout)


async def test_a_fill_does_not_run_in_the_context_of_whoever_rang() -> None:
    """A context variable of one request is not seen in what is opened for all."""
    manager = Noting()
    REQUEST.set("mine")
    async with ConnectionPool(manager, min_size=1) as pool:
        await pool.warm_up("e")
    assert manager.seen[0] == ("create", "none")


async def test_nor_does_what_the_timer_starts() -> None:
    """A connection that is retired later is disposed of in nobody's name."""
    manager = Noting()
    REQUEST.set("mine")
    async with ConnectionPool(manager, idle_timeout=0.01) as pool:
        async with pool.connection("e"):
            pass
        await until(lambda: manager.disposed)
    assert manager.seen == [("create", "mine"), ("dispose", "none")]
