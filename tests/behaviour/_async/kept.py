"""Pools that keep themselves well, and what tests of them need."""

from typing import Any

from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, until

from .fakes import Connection, Hooked, Keeper, Manager

__all__ = [
    "INTERVAL",
    "Checked",
    "Down",
    "Filled",
    "checking",
    "checks",
    "filling",
    "is_filled",
    "tend",
]

INTERVAL = 30.0
"""Seconds between the checks of a pool that is ``Checked``."""


class Checked(ConnectionPool[Any, Connection]):
    """Checks what was idle for 30 seconds, never retires for idleness, and never checks at acquire."""

    def __init__(self, manager: Manager, keeper: Keeper, **options: Any) -> None:
        chosen = {
            "background_collector": keeper.worker,
            "health_check_interval": INTERVAL,
            "idle_timeout": None,
            "check_after_idle": None,
            **options,
        }
        super().__init__(manager, **chosen)


def checks(manager: Hooked) -> int:
    return manager.calls.count("check_aliveness")


async def tend(keeper: Keeper, pool: ConnectionPool[Any, Connection], idle: int) -> None:
    """Have done what is due now, and see so many idle then."""
    await keeper.tend(pool)
    await until(lambda: pool.stats().idle == idle)


async def checking(
    keeper: Keeper, pool: ConnectionPool[Any, Connection], manager: Hooked
) -> tuple[Gate, Running[None]]:
    """Have checks begin that stop at a gate; return the gate and what goes on there."""
    gate = manager.gates["check_aliveness"] = Gate()
    call: Running[None] = await call_soon(keeper.tend, pool)
    await until(lambda: gate.waiting)
    return gate, call


class Filled(ConnectionPool[Any, Connection]):
    """Keeps two connections to every endpoint that it knows."""

    def __init__(self, manager: Manager, keeper: Keeper, **options: Any) -> None:
        chosen = {"background_collector": keeper.worker, "min_size": 2, **options}
        super().__init__(manager, **chosen)


async def filling(
    keeper: Keeper, pool: ConnectionPool[Any, Connection], manager: Manager, endpoint: Any = "e"
) -> tuple[Gate, Running[None]]:
    """Have a fill begin that stops at a gate; return the gate and what goes on there."""
    gate = manager.create_gate = Gate()
    await pool.add(endpoint)
    call: Running[None] = await call_soon(keeper.tend, pool)
    await until(lambda: gate.waiting)
    return gate, call


async def is_filled(pool: ConnectionPool[Any, Connection], idle: int = 2) -> None:
    await until(lambda: pool.stats().idle == idle)


class Down(Manager):
    """Its server is down, at the endpoints named; all connects there fail."""

    def __init__(self, *endpoints: Any) -> None:
        super().__init__()
        self.down = set(endpoints)
        self.tried: list[Any] = []
        """The endpoints of all connects."""

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        self.tried.append(endpoint)
        if endpoint in self.down:
            await self.create_gate.wait()
            raise ConnectionRefusedError("refused")
        return await super().create(endpoint, timeout)
