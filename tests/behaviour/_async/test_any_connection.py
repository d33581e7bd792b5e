"""Any object is a connection: unhashable, equal to others, falsy, or none at all."""

from typing import Any

import pytest

from pool.aio import ConnectionManager, ConnectionPool

from .fakes import Manager, Recorder, assert_empty, held


class Prickly:
    """A connection that can be held, and nothing else: whatever the pool might do to it fails."""

    def _refuse(self, *args: Any) -> Any:
        raise AssertionError("the pool must not do that")

    __eq__ = __ne__ = __bool__ = __len__ = __repr__ = __str__ = _refuse
    __setattr__ = __delattr__ = _refuse
    __hash__ = _refuse


class Giving(ConnectionManager[Any, Any]):
    """Its connections are what it is told to give, in turn."""

    def __init__(self, *connections: Any) -> None:
        self.connections = list(connections)
        self.disposed: list[Any] = []

    async def create(self, endpoint: Any, timeout: float | None) -> Any:
        return self.connections.pop(0)

    async def dispose(self, endpoint: Any, conn: Any, timeout: float | None) -> None:
        self.disposed.append(conn)


async def test_equal_connections_are_not_mixed_up() -> None:
    """They cannot be hashed either; each lease gives back its own."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        first, second = await pool.acquire("e"), await pool.acquire("e")
        assert first.connection == second.connection
        await second.release()
        async with pool.connection("e", 0) as connection:
            assert connection is manager.opened[1]
        await first.discard()
        assert manager.opened[0].disposed
        assert not manager.opened[1].disposed
    assert_empty(pool, manager)


@pytest.mark.parametrize("value", [None, False, 0, "", (), float("nan")], ids=repr)
async def test_a_connection_may_be_any_value(value: Any) -> None:
    """Also one that looks like none at all."""
    manager = Giving(value)
    async with ConnectionPool(manager) as pool:
        for _ in range(2):
            async with pool.connection("e") as connection:
                assert connection is value
        lease = await pool.acquire("e")
        assert lease.connection is value
        await lease.release()
        assert pool.stats().idle == 1
    assert manager.disposed == [value]


async def test_the_same_object_may_be_two_connections() -> None:
    """The pool tells them apart by their ids."""
    manager = Giving(None, None)
    async with ConnectionPool(manager) as pool:
        leases = [await pool.acquire("e") for _ in range(2)]
        assert [lease.id for lease in leases] == [1, 2]
        await leases[1].discard()
        assert (pool.stats().in_use, pool.stats().total) == (1, 1)
        await leases[0].release()
        assert pool.stats().idle == 1
    assert manager.disposed == [None, None]


async def test_the_pool_does_nothing_to_a_connection() -> None:
    """It sets no attribute, compares, hashes, asks and prints nothing, whatever happens."""
    prickly = [Prickly() for _ in range(3)]
    manager = Giving(*prickly)
    recorder = Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        for _ in range(2):
            async with pool.connection("e") as connection:
                assert connection is prickly[0]
        lease = await pool.acquire("e")
        assert "Prickly" not in f"{lease!r} {pool!r} {pool.explain()} {pool.stats()}"
        with pytest.raises(KeyError):
            async with lease:
                raise KeyError
        await (await pool.acquire("e")).discard()
        await held(pool)
        await pool.clear()
    assert [id(connection) for connection in manager.disposed] == [id(one) for one in prickly]
    assert [vars(one) for one in prickly] == [{}, {}, {}]
