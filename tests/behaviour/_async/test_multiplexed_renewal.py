"""A pool of shared connections that is made smaller, or renewed."""

from typing import Any

import pytest

from support.aio import Gate

from .callers import connecting, queued
from .fakes import FakeClock, Manager, assert_empty
from .sharers import Shared, leave, numbers, spoil, take, use

pytestmark = pytest.mark.concurrency

REFUSED = "refused"


def refusal() -> OSError:
    return OSError(REFUSED)


# -- reduce -----------------------------------------------------------------------------------------


async def test_reduce_takes_room_first() -> None:
    """Then the broken ones, then the idle ones, the longest idle first; never what is used."""
    manager = Manager()
    pool = Shared(manager, size=6)
    leases = await take(pool, 4)
    await leases.pop().discard()
    await leave(reversed(leases[1:]))
    assert (numbers(pool.connections), numbers(pool.broken)) == ([1, 2, 3, 4], [4])
    assert await pool.reduce(2) == 2
    assert (pool.size, len(pool.connections)) == (4, 4)
    assert await pool.reduce(1) == 1
    assert (pool.size, pool.broken, numbers(pool.connections)) == (3, [], [1, 2, 3])
    assert await pool.reduce(1) == 1
    assert (pool.size, numbers(pool.connections)) == (2, [1, 2])
    assert numbers(manager.disposed) == [4, 3]
    assert await pool.reduce(5) == 1
    assert (pool.size, numbers(pool.connections)) == (1, [1])
    await leases[0].release()
    assert (await use(pool)).number == 1
    await pool.close()
    assert_empty(pool, manager)


async def test_reduce_by_those_in_use() -> None:
    """The least loaded first; nobody new gets them, and they close when the last caller has left."""
    manager = Manager()
    async with Shared(manager) as pool:
        leases = await take(pool, 3)
        ids = [lease.id for lease in leases]
        rare = next(lease for lease in leases if ids.count(lease.id) == 1)
        connection = rare.connection
        assert await pool.reduce(1) == 0
        assert (pool.size, len(pool.connected)) == (2, 2)
        assert await pool.reduce(1, include_pending=True) == 1
        assert (pool.size, connection.disposed) == (1, False)
        leases += await take(pool, 2)
        assert [lease.id for lease in leases].count(rare.id) == 1
        await rare.release()
        assert connection.disposed
        await leave(leases)
        assert len(pool.connections) == 1
    assert_empty(pool, manager)


async def test_reduce_to_nothing() -> None:
    """Callers queue then, until there is room again."""
    manager = Manager()
    pool = Shared(manager)
    assert await pool.reduce(9) == 2
    assert (pool.size, pool.options.size, pool.is_full()) == (0, 0, True)
    call = await queued(pool, use, pool)
    await pool.extend(1)
    assert (await call.result()).number == 1
    assert pool.size == 1
    await pool.close()
    assert_empty(pool, manager)


async def test_reduce_while_it_connects() -> None:
    """What is being opened counts as used room, and stays."""
    manager = Manager()
    manager.create_gate = Gate()
    pool = Shared(manager, size=3)
    call = await connecting(pool, use, pool)
    assert await pool.reduce(3) == 2
    assert pool.size == 1
    manager.create_gate.open()
    assert (await call.result()).number == 1
    await pool.close()
    assert_empty(pool, manager)


@pytest.mark.parametrize("in_use", [False, True])
async def test_drop_broken(in_use: bool) -> None:
    """They are listed no more, and their places are room; one that is used still is never lent again."""
    manager = Manager()
    async with Shared(manager) as pool:
        leases = await take(pool, 3)
        await leases.pop().discard()
        await leave(leases[:] if not in_use else [])
        (broken,) = numbers(pool.broken)
        assert await pool.drop_broken() == 1
        assert await pool.drop_broken() == 0
        assert pool.broken == []
        assert broken not in numbers(pool.connected)
        assert len(pool.connections) == 1
        await leave(leases)
        assert (manager.live, pool.is_full()) == (1, False)
        await pool.maintain()
        assert manager.started == 2, "nobody has asked for more"
    assert_empty(pool, manager)


# -- reconnect --------------------------------------------------------------------------------------


async def test_reconnect_replaces_the_broken() -> None:
    """At once, and only those; it says how many."""
    manager = Manager()
    async with Shared(manager, size=3) as pool:
        assert await pool.reconnect() == 0
        leases = await take(pool, 3)
        await leases.pop().discard()
        await leases.pop().discard()
        assert await pool.reconnect() == 2
        (lease,) = leases
        assert (numbers(pool.connected), pool.broken) == ([lease.connection.number, 4, 5], [])
        await leave(leases)
    assert_empty(pool, manager)


async def test_reconnect_all() -> None:
    """Those in use are not cut off, and their places are filled by whoever needs one more."""
    manager = Manager()
    async with Shared(manager, size=3) as pool:
        lease = await pool.acquire()
        assert await pool.reconnect(only_broken=False) == 2
        assert not lease.connection.disposed
        assert manager.most_live == 3
        used = lease.connection
        await lease.release()
        assert used.disposed
        assert numbers(pool.connected) == [4, 5]
        assert not any(connection.disposed for connection in pool.connected)
    assert_empty(pool, manager)


async def test_reconnect_fails(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and what is broken stays listed."""
    manager = Manager()
    async with Shared(manager) as pool:
        await spoil(pool)
        manager.errors = [refusal()]
        assert await pool.reconnect() == 0
        assert len(pool.broken) == 1
        assert "cannot open a connection to 'e' for stock: OSError('refused')" in caplog.text
        assert await pool.reconnect() == 1
        assert pool.broken == []
    assert_empty(pool, manager)


async def test_a_caller_replaces_the_broken(clock: FakeClock) -> None:
    """If all others are busy he opens one in its place, though not at once."""
    manager = Manager()
    async with Shared(manager) as pool:
        await spoil(pool)
        leases = await take(pool, 2)
        assert (len(pool.connected), len(pool.broken)) == (1, 1)
        clock.now += 0.2
        leases += await take(pool, 1)
        assert (len(pool.connected), pool.broken) == (2, [])
        await leave(leases)
    assert_empty(pool, manager)


@pytest.mark.parametrize("bad", [0, -1, True, 1.0, None, "1"])
async def test_numbers_that_are_none(bad: Any) -> None:
    """They are refused before anything happens, by name and value."""
    manager = Manager()
    pool = Shared(manager)
    error = ValueError if type(bad) is int else TypeError
    for call in (pool.extend, pool.reduce):
        with pytest.raises(error, match=rf"n must be .*, not {bad!r}"):
            await call(bad)
    with pytest.raises(TypeError, match="include_pending must be True or False, not 'yes'"):
        await pool.reduce(1, "yes")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="only_broken must be True or False, not 1"):
        await pool.reconnect(1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="interrupt_connections must be True or False, not 1"):
        await pool.clear(interrupt_connections=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"timeout must be finite and not negative .*, not -1"):
        pool.connection(-1)
    assert (manager.started, pool.size) == (0, 2)
    await pool.close()
