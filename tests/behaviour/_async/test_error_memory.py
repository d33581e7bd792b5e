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


@pytest.fixture(params=[False, True], ids=["forgotten", "added"])
def added(request: pytest.FixtureRequest) -> bool:
    """Whether the pool still knows the endpoint when the connect has failed."""
    return bool(request.param)


async def test_until_the_pool_is_closed(added: bool) -> None:
    """A closed pool remembers nothing."""
    manager = Unreachable()
    pool = ConnectionPool(manager)
    if added:
        await pool.add("e")
    await fail(pool)
    assert manager.held()
    assert "ConnectionRefusedError" in pool.explain()
    await pool.close()
    assert not manager.held()


async def test_until_the_endpoint_is_removed(added: bool) -> None:
    """Nor does a pool remember of an endpoint that was removed."""
    manager = Unreachable()
    async with ConnectionPool(manager) as pool:
        if added:
            await pool.add("e")
        await fail(pool)
        assert manager.held()
        await pool.remove("e")
        assert not manager.held()
