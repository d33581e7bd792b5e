"""Shared connections where an event loop ends, another one begins, a process forks, or a lease is lost."""

import asyncio
import gc
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aio_only.sharing import SharedHooked, SharedStepping, SharedWorld
from aio_only.steps import Conn, Stepping

from pool import LeaseReleasedError
from pool.aio import MultiplexedPool
from support.aio import until
from support.forks import FORKS, child

pytestmark = [pytest.mark.concurrency, pytest.mark.filterwarnings(FORKS)]

Pool = MultiplexedPool[Any, Conn]
Use = Callable[[Pool], Coroutine[Any, Any, object]]

forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


async def connection(pool: Pool) -> int:
    async with pool.connection() as conn:
        return conn.number


async def acquire(pool: Pool) -> None:
    await (await pool.acquire(0)).release()


async def block(pool: Pool) -> None:
    async with pool:
        pass


USES: dict[str, Use] = {
    "connection": connection,
    "acquire": acquire,
    "block": block,
    "open": lambda pool: pool.open(),
    "extend": lambda pool: pool.extend(1),
    "extend_with": lambda pool: pool.extend_with([]),
    "reduce": lambda pool: pool.reduce(1),
    "reconnect": lambda pool: pool.reconnect(),
    "drop_broken": lambda pool: pool.drop_broken(),
    "clear": lambda pool: pool.clear(),
    "maintain": lambda pool: pool.maintain(),
    "close": lambda pool: pool.close(),
}
by_use = pytest.mark.parametrize("use", USES.values(), ids=USES)


@by_use
@pytest.mark.parametrize("manager", [SharedHooked, SharedStepping])
def test_a_second_loop_is_told_so(use: Use, manager: type[Stepping]) -> None:
    """Whatever it tries, it is refused before anything happens, and the first loop goes on."""
    pool: Pool = MultiplexedPool(manager(), "e", size=2)
    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(connection(pool))
        before = pool.stats(), pool.size
        with pytest.raises(RuntimeError, match="another event loop"):
            second.run(use(pool))
        assert (pool.stats(), pool.size) == before
        assert first.run(connection(pool)) == 1
        first.run(pool.close())
    assert pool.stats().total == 0


def test_the_loop_ends() -> None:
    """The questions work without it."""
    pool: Pool = MultiplexedPool(SharedStepping(), "e", size=2)
    asyncio.run(connection(pool))
    assert (len(pool.connected), pool.pending, pool.is_working()) == (1, 0, True)
    assert "1 of size=2 connections work" in pool.explain()


# -- forks ------------------------------------------------------------------------------------------


@forking
async def test_the_child_finds_nothing() -> None:
    """It leaves the parent's shares alone, and what the child ends is no end in the parent."""
    world = SharedWorld(size=2)
    await world.taken(3)

    def look() -> Any:
        pool, lease = world.shared, world.leases[0]
        found = (pool.connections, pool.pending, pool.is_empty(), pool.stats().total)
        with pytest.raises(LeaseReleasedError, match="is the parent process's"):
            _ = lease.connection
        with asyncio.Runner() as runner:
            runner.run(lease.release())
            runner.run(world.leases[1].discard())
        world.leases.clear()
        gc.collect()
        return found, [conn.disposals for conn in world.manager.opened]

    assert child(look) == (([], 0, True, 0), [0, 0])
    assert world.shared.pending == 3
    await world.settle()


@forking
@by_use
def test_a_forked_pool_belongs_to_no_loop(use: Use) -> None:
    """The loop it was used in is the parent's, and the error says so."""
    pool: Pool = MultiplexedPool(SharedStepping(), "e", size=2)

    def attempt() -> str:
        with asyncio.Runner() as runner, pytest.raises(RuntimeError) as caught:
            runner.run(use(pool))
        return str(caught.value)

    with asyncio.Runner() as runner:
        runner.run(connection(pool))
        assert "before it was forked" in child(attempt)
        assert runner.run(connection(pool)) == 1
        runner.run(pool.close())


@forking
def test_the_child_keeps_the_size() -> None:
    """It is an option that was changed, and not a connection."""
    pool: Pool = MultiplexedPool(SharedStepping(), "e", size=2)

    async def change() -> None:
        await pool.extend(5)
        await pool.close()

    asyncio.run(change())
    assert child(lambda: pool.size) == 5


# -- leases that are lost ---------------------------------------------------------------------------


async def test_a_lost_share_is_taken_back() -> None:
    """With a warning; its connection is broken, and closed when the others have left it."""
    world = SharedWorld(background_collector=True)
    await world.taken(2)
    with pytest.warns(ResourceWarning, match="the lease of connection #1 to 'e', acquired at .*"):
        world.leases.pop()
    await until(lambda: world.shared.broken)
    conn = world.leases[0].connection
    assert (conn.disposals, world.shared.pending, world.shared.connected) == (0, 1, [])
    await world.leases.pop().release()
    assert conn.disposals == 1
    await until(lambda: world.shared.connected)
    assert world.shared.broken == []
    await world.settle()


@pytest.mark.filterwarnings("ignore:the lease of connection:ResourceWarning")
@pytest.mark.parametrize("cycle", [True, False])
async def test_all_shares_are_lost(cycle: bool) -> None:
    """Their connection is disposed of once, without a worker at the next request."""
    world = SharedWorld()
    await world.taken(3)
    if cycle:
        world.leases.append(world.leases)
        world.leases = []
    world.leases.clear()
    gc.collect()
    assert world.shared.stats().in_use == 1, "the books were changed by a finalizer"
    await world.use()
    assert world.manager.opened[0].disposals == 1
    assert len(world.manager.opened) == 2
    await world.settle()


@pytest.mark.filterwarnings("ignore:the lease of connection:ResourceWarning")
async def test_a_lost_share_serves_the_queue() -> None:
    """Whoever waits gets a new connection in place of the broken one, though nobody calls."""
    world = SharedWorld(max_pending=1, background_collector=True)
    await world.taken(1)
    call = asyncio.ensure_future(world.use())
    await until(lambda: world.shared.stats().waiting == 1)
    world.leases.clear()
    await call
    assert [conn.number for conn in world.shared.connected] == [2]
    await world.settle()
