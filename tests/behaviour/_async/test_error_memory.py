"""How long the last error of a connect is remembered: it keeps alive what its frames hold."""

import gc
from weakref import ref

import pytest

from pool.aio import ConnectionManager, ConnectionPool


class Wire:
    """What a driver has in its hands while it connects."""


class Unreachable(ConnectionManager[str, object]):
    """Gets as far as a socket."""

    def __init__(self) -> None:
        self.wires: list[ref[Wire]] = []

    async def create(self, endpoint: str, timeout: float | None) -> object:
        wire = Wire()
        self.wires.append(ref(wire))
        raise ConnectionRefusedError

    async def dispose(self, endpoint: str, conn: object, timeout: float | None) -> None:
        raise AssertionError("there is nothing to close")

    def held(self) -> bool:
        gc.collect()
        return any(wire() is not None for wire in self.wires)


async def fail(pool: ConnectionPool[str, object]) -> None:
    with pytest.raises(ConnectionRefusedError):
        await pool.acquire("e")


async def test_until_the_pool_is_closed() -> None:
    """A closed pool remembers nothing."""
    manager = Unreachable()
    pool = ConnectionPool(manager)
    await pool.add("e")
    await fail(pool)
    assert manager.held()
    assert "ConnectionRefusedError" in pool.explain()
    await pool.close()
    assert not manager.held()


async def test_until_the_endpoint_is_removed() -> None:
    """Nor does a pool remember of an endpoint that was removed."""
    manager = Unreachable()
    async with ConnectionPool(manager) as pool:
        await pool.add("e")
        await fail(pool)
        await pool.remove("e")
        assert not manager.held()
