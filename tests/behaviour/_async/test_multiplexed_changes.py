"""A pool of shared connections that is opened at once, or made larger."""

from typing import Any

import pytest

from pool import PoolClosedError
from support.aio import Gate, call_soon, until

from .callers import connecting, queued
from .fakes import Connection, Manager, assert_empty
from .sharers import Shared, Visitor, leave, numbers, reached, spoil, take, use

pytestmark = pytest.mark.concurrency

REFUSED = "refused"


def refusal() -> OSError:
    return OSError(REFUSED)


# -- open -------------------------------------------------------------------------------------------


async def test_open_fails() -> None:
    """The first error is raised, and what was opened by it is closed; the pool can be opened later."""
    manager = Manager()
    pool = Shared(manager, size=4)
    manager.errors = [None, None, None, refusal()]
    with pytest.raises(OSError, match=REFUSED):
        await pool.open()
    assert (pool.is_empty(), pool.broken, manager.live) == (True, [], 0)
    assert pool.size == 4
    await pool.open()
    assert len(pool.connected) == 4
    await pool.close()
    assert_empty(pool, manager)


async def test_a_block_whose_open_fails() -> None:
    """It is not entered."""
    manager = Manager()
    manager.errors = [refusal()]
    pool = Shared(manager)
    with pytest.raises(OSError, match=REFUSED):
        await pool.__aenter__()
    assert manager.live == 0
    await pool.close()
    assert_empty(pool, manager)


async def test_open_fails_while_callers_use_what_was_there() -> None:
    """What it has not opened stays."""
    manager = Manager()
    pool = Shared(manager, size=3)
    lease = await pool.acquire()
    manager.errors = [None, refusal()]
    with pytest.raises(OSError, match=REFUSED):
        await pool.open()
    assert numbers(pool.connected) == [1]
    assert not lease.connection.disposed
    await lease.release()
    assert (await use(pool)).number == 1
    await pool.close()
    assert_empty(pool, manager)


async def test_open_while_callers_open_theirs() -> None:
    """There are never more than the size, and everybody gets what he wants."""
    manager = Manager()
    manager.create_gate = Gate()
    pool = Shared(manager, size=3)
    caller = await connecting(pool, use, pool)
    opening = await call_soon(pool.open)
    await until(lambda: pool.stats().connecting == 2)
    late = await queued(pool, use, pool)
    manager.create_gate.open()
    await opening.result()
    assert {(await call.result()).endpoint for call in (caller, late)} == {"e"}
    await until(lambda: len(pool.connected) == 3)
    assert manager.most_live == 3
    assert manager.most_creating <= 2
    await pool.close()
    assert_empty(pool, manager)


async def test_two_open_at_once() -> None:
    """Each waits until all are there."""
    manager = Manager()
    manager.create_gate = Gate()
    pool = Shared(manager, size=3)
    calls = [await call_soon(pool.open) for _ in range(2)]
    await until(lambda: manager.creating == 2)
    manager.create_gate.open()
    for call in calls:
        await call.result()
    assert (len(pool.connected), manager.started) == (3, 3)
    await pool.close()
    assert_empty(pool, manager)


async def test_a_clear_overtakes_the_opening() -> None:
    """What it has opened by then is stale; it opens others."""
    manager = Manager()
    manager.create_gate = Gate()
    pool = Shared(manager)
    call = await call_soon(pool.open)
    await until(lambda: manager.creating)
    await pool.clear()
    manager.create_gate.open()
    await call.result()
    assert len(pool.connected) == 2
    assert all(not connection.disposed for connection in pool.connected)
    await pool.close()
    assert_empty(pool, manager)


async def test_the_pool_closes_while_it_opens() -> None:
    """That is an error for who opens it; nothing stays open."""
    manager = Manager()
    manager.create_gate = Gate()
    pool = Shared(manager)
    call = await call_soon(pool.open)
    await until(lambda: manager.creating)
    await pool.close()
    manager.create_gate.open()
    with pytest.raises(PoolClosedError, match="to 'e' is closed"):
        await call.result()
    await until(lambda: pool.stats().total == 0)
    assert_empty(pool, manager)


@pytest.mark.parametrize("name", ["open", "extend", "extend_with", "reconnect", "acquire"])
async def test_a_closed_pool_does_not_grow(name: str) -> None:
    """It says that it is closed."""
    manager = Manager()
    pool = Shared(manager)
    await pool.close()
    args: dict[str, list[Any]] = {"extend": [1], "extend_with": [[Connection("e", 9)]]}
    with pytest.raises(PoolClosedError, match="to 'e' is closed"):
        await getattr(pool, name)(*args.get(name, []))
    assert (manager.started, pool.size, pool.is_empty()) == (0, 2, True)


# -- extend -----------------------------------------------------------------------------------------


async def test_extend() -> None:
    """There are so many more; unused room is used first."""
    manager = Manager()
    pool = Shared(manager, size=3)
    await pool.extend(2)
    assert (len(pool.connected), pool.size, pool.options.size) == (2, 3, 3)
    lease = await pool.acquire()
    await pool.extend(4)
    assert (len(pool.connected), pool.size, pool.is_full()) == (6, 6, True)
    await lease.release()
    assert manager.started == 6
    await pool.close()
    assert_empty(pool, manager)


async def test_extend_serves_those_who_wait() -> None:
    """In their order, each as soon as there is one for him."""
    manager = Manager()
    pool = Shared(manager, size=1, max_pending=1)
    log: list[Any] = []
    lease = await pool.acquire()
    visitors = [Visitor(pool, name, log, holds=True) for name in (1, 2)]
    calls = [await queued(pool, visitor.call) for visitor in visitors]
    for served in ([1], [1, 2]):
        await pool.extend(1)
        await until(reached(log, len(served)))
        assert log == served
    assert (len(pool.connected), pool.size, pool.pending) == (3, 3, 3)
    for visitor in visitors:
        visitor.gate.open()
    for call in calls:
        await call.result()
    await lease.release()
    await pool.close()
    assert_empty(pool, manager)


async def test_extend_fails() -> None:
    """What it opened stays, and so does the size."""
    manager = Manager()
    async with Shared(manager, size=1) as pool:
        manager.errors = [None, None, refusal()]
        with pytest.raises(OSError, match=REFUSED):
            await pool.extend(4)
        assert pool.size == 5
        assert 3 <= len(pool.connected) <= 4
        assert pool.broken == []
    assert_empty(pool, manager)


async def test_extend_beside_a_broken_one() -> None:
    """It comes on top; the broken one is replaced all the same."""
    manager = Manager()
    async with Shared(manager, size=1) as pool:
        await spoil(pool)
        await pool.extend(1)
        assert (pool.size, numbers(pool.broken), numbers(pool.connected)) == (2, [1], [2])
        assert await pool.reconnect() == 1
        assert (pool.broken, numbers(pool.connected)) == ([], [2, 3])
    assert_empty(pool, manager)


async def test_extend_while_a_broken_one_is_replaced() -> None:
    """The one that is opened and the one whose place it takes are one."""
    manager = Manager()
    async with Shared(manager, size=1) as pool:
        await spoil(pool)
        manager.create_gate = Gate()
        call = await connecting(pool, use, pool)
        extending = await connecting(pool, pool.extend, 1)
        manager.create_gate.open()
        await extending.result()
        await call.result()
        assert (pool.size, sorted(numbers(pool.connected)), pool.broken) == (2, [2, 3], [])
    assert_empty(pool, manager)


async def test_extend_with_open_ones() -> None:
    """They are the pool's then: it lends them, and closes them."""
    manager = Manager()
    brought = [await manager.create("e", None) for _ in range(3)]
    async with Shared(manager) as pool:
        assert numbers(pool.connected) == [4, 5]
        await pool.extend_with(brought)
        assert (len(pool.connected), pool.size) == (5, 5)
        leases = await take(pool, 5)
        assert sorted(numbers(lease.connection for lease in leases)) == [1, 2, 3, 4, 5]
        await leave(leases)
        assert pool.stats().created == 5
    assert_empty(pool, manager)


async def test_extend_with_one_that_is_there_already() -> None:
    """Or comes twice: it is refused, and there is no room made for it."""
    manager = Manager()
    async with Shared(manager, size=1) as pool:
        (mine,) = pool.connections
        with pytest.raises(ValueError, match=r"<Connection 1 to 'e'> is in this pool already"):
            await pool.extend_with([mine])
        assert (pool.size, len(pool.connections)) == (1, 1)
        brought = await manager.create("e", None)
        with pytest.raises(ValueError, match=r"<Connection 2 to 'e'> is in this pool already"):
            await pool.extend_with([brought, brought])
        assert (pool.size, numbers(pool.connections)) == (2, [1, 2])
    assert_empty(pool, manager)


async def test_extend_with_serves_those_who_wait() -> None:
    """As any other new connection."""
    manager = Manager()
    async with Shared(manager, size=1, max_pending=1) as pool:
        lease = await pool.acquire()
        call = await queued(pool, use, pool)
        await pool.extend_with([await manager.create("e", None)])
        assert (await call.result()).number == 2
        await lease.release()
        await pool.extend_with([])
        assert pool.size == 2
    assert_empty(pool, manager)
