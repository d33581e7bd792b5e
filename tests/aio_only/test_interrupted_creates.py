"""The async pool itself cancels the creates that it interrupts; and listeners that start tasks."""

import asyncio
from typing import Any

import pytest
from behaviour._async.fakes import Connection, Manager, Recorder, assert_empty, held

from pool import PoolClearedError, PoolClosedError, PoolError, monitoring
from pool.aio import ConnectionPool
from pool.monitoring._listeners import HANDLERS
from support.aio import Gate, call_soon, until

pytestmark = pytest.mark.concurrency

# Those of a pool that looks for no leaks.
POOL_EVENTS = [
    event_type
    for event_type, (family, _) in HANDLERS.items()
    if family is monitoring.ConnectionPoolListener
    and event_type is not monitoring.ConnectionLeakedEvent
]


class Stuck(Manager):
    """Its first creates never end, and it has no ``interrupt``; it notes who was cancelled."""

    def __init__(self, stuck: int) -> None:
        super().__init__()
        self.stuck = stuck
        self.cancelled = 0

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        if self.stuck > 0:
            self.stuck -= 1
            self.started += 1
            try:
                await Gate().wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return await super().create(endpoint, timeout)

    def interrupt(self, endpoint: Any, conn: Connection | None) -> None:
        """Do nothing."""


async def acquire_and_go_on(pool: ConnectionPool[Any, Connection]) -> tuple[int, int]:
    """Return how often this task is asked to end, before and after it has waited once more."""
    task = asyncio.current_task()
    assert task is not None
    async with pool.connection("e"):
        before = task.cancelling()
        await asyncio.sleep(0)
    return before, task.cancelling()


async def test_a_create_that_hangs_is_cancelled_by_a_clear() -> None:
    """Its caller connects again; nothing is left of the cancel."""
    manager = Stuck(1)
    async with ConnectionPool(manager) as pool:
        caller = await call_soon(acquire_and_go_on, pool)
        await until(lambda: manager.started == 1)
        await pool.clear("e", interrupt_connections=True)
        assert await caller.result() == (0, 0)
        assert manager.cancelled == 1
    assert_empty(pool, manager)


async def test_all_creates_of_the_endpoint_are_cancelled_and_no_others() -> None:
    """Those to another endpoint go on."""
    manager = Stuck(3)
    async with ConnectionPool(manager) as pool:
        callers = [await call_soon(pool.acquire, endpoint) for endpoint in ("a", "a", "b")]
        await until(lambda: manager.started == 3)
        await pool.clear("a", interrupt_connections=True)
        leases = [await caller.result() for caller in callers[:2]]
        assert (manager.cancelled, callers[2].done()) == (2, False)
        await pool.clear("b", interrupt_connections=True)
        for lease in [*leases, await callers[2].result()]:
            await lease.release()
    assert_empty(pool, manager)


@pytest.mark.parametrize("end", ["clear", "close"])
async def test_who_is_refused_afterwards_was_not_cancelled(end: str) -> None:
    """The error is the pool's, and the task can go on."""
    manager = Stuck(1)
    pool = ConnectionPool(manager, paused=True)
    await pool.ready("e")

    async def caller() -> tuple[type[Exception], int]:
        task = asyncio.current_task()
        assert task is not None
        try:
            await pool.acquire("e")
        except PoolError as error:
            await asyncio.sleep(0)
            return type(error), task.cancelling()
        raise AssertionError("there was a connection")

    calling = await call_soon(caller)
    await until(lambda: manager.started == 1)
    if end == "clear":
        await pool.clear("e", interrupt_connections=True)
    else:
        await pool.close(interrupt_connections=True)
    expected = PoolClearedError if end == "clear" else PoolClosedError
    assert await calling.result() == (expected, 0)
    assert manager.cancelled == 1
    await pool.close()
    await until(lambda: pool.stats().total == 0)
    assert_empty(pool, manager)


async def test_a_clear_without_interruption_cancels_nothing() -> None:
    """The create goes on to its own end."""
    manager = Stuck(0)
    gate = manager.create_gate = Gate()
    async with ConnectionPool(manager) as pool:
        caller = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        for _ in range(5):
            await asyncio.sleep(0)
        assert gate.waiting == 1
        gate.open()
        await (await caller.result()).release()
    assert_empty(pool, manager)


@pytest.mark.parametrize("event_type", POOL_EVENTS, ids=lambda event_type: event_type.__name__)
async def test_a_listener_may_start_a_task_that_closes_the_pool(
    event_type: type[monitoring.Event],
) -> None:
    """At whatever event: nothing hangs and nothing leaks."""
    manager, recorder = Manager(), Recorder()
    tasks: list[asyncio.Task[None]] = []

    def close(event: Any) -> None:
        if not tasks:
            tasks.append(asyncio.ensure_future(pool.close(None)))

    listeners = [recorder.listener, monitoring.on(close, event_type)]
    pool = ConnectionPool(manager, event_listeners=listeners)

    async def life() -> None:
        manager.errors = [None, OSError("refused")]
        async with pool.connection("e"):
            await asyncio.sleep(0)
            await pool.acquire("e")

    for step in (life(), held(pool), pool.clear("e"), held(pool)):
        try:
            await step
        except (PoolError, OSError):
            await asyncio.sleep(0)
    await pool.close()
    await tasks[0]
    assert recorder.names().count("PoolClosed") == 1
    assert_empty(pool, manager)
