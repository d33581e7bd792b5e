"""Finalizers strike anywhere: in another thread than the event loop's, and where no loop runs any more."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from aio_only.steps import Conn, Stepping, World, ended

from pool.aio import ConnectionPool
from support.aio import PATIENCE, until

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.filterwarnings("ignore:the lease of connection:ResourceWarning"),
]

Pool = ConnectionPool[Any, Conn]


def in_a_thread(function: Callable[[], object]) -> None:
    """Call it in another thread; the loop stands still meanwhile."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive(), "it hangs"


@pytest.mark.parametrize("debug", [True, False])
async def test_a_lease_is_lost_in_another_thread(debug: bool) -> None:
    """The loop takes it back, and may check that nobody meddles with it."""
    asyncio.get_running_loop().set_debug(debug)
    world = World()
    await world.acquire()
    in_a_thread(world.leases.clear)
    assert world.pool.stats().in_use == 1, "the books were changed by another thread"
    await until(lambda: world.pool.stats().total == 0)
    await world.settle()


async def test_the_loop_is_asleep() -> None:
    """Nothing is due for a minute, and somebody waits: the loss wakes it."""
    world = World()
    await world.acquire()
    waiting = asyncio.ensure_future(world.use())
    await until(lambda: world.pool.stats().waiting == 1)
    timer = threading.Timer(0.01, world.leases.clear)
    timer.start()
    await ended(waiting)
    await waiting
    await world.settle()
    timer.join()


async def test_a_cycle_is_collected_in_another_thread() -> None:
    """The garbage collector runs in the thread that happens to start it."""
    world = World()
    await world.acquire()
    world.leases.append(world.leases)
    world.leases = []
    in_a_thread(gc.collect)
    await until(lambda: world.pool.stats().total == 0)
    await world.settle()


def test_the_loop_is_gone() -> None:
    """There is nobody to take it back, and nothing fails."""
    pool: Pool = ConnectionPool(Stepping())
    leases: list[Any] = []

    async def main() -> None:
        leases.append(await pool.acquire("e"))

    asyncio.run(main())
    leases.clear()
    assert pool.stats().in_use == 1
    in_a_thread(gc.collect)


def test_the_loop_stands_still() -> None:
    """It takes it back when it runs again."""
    pool: Pool = ConnectionPool(Stepping())

    leases: list[Any] = []

    async def acquire() -> None:
        leases.append(await pool.acquire("e"))

    with asyncio.Runner() as runner:
        runner.run(acquire())
        leases.clear()
        runner.run(until(lambda: pool.stats().total == 0))
        runner.run(pool.close())


async def test_a_lease_that_is_the_result_of_a_task() -> None:
    """The two know each other while it is held. When it has ended nothing is left for the collector."""
    world = World()
    task = asyncio.ensure_future(world.pool.acquire("e"))
    known = weakref.ref(task)
    lease = await task
    assert "Task-" in world.pool.explain()
    del task
    await lease.release()
    gc.disable()
    try:
        del lease
        assert known() is None
    finally:
        gc.enable()
    await world.settle()
