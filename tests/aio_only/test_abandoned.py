"""Coroutines that are left where they stand and closed: nobody drives them any more, so they cannot wait.

A cancelled task runs on; one that is abandoned gets a ``GeneratorExit`` and must not suspend again. So do
asynchronous generators that are not read to their end, and whatever is in progress when a loop is left.
"""

import asyncio
import gc
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import suppress
from itertools import count
from math import inf
from typing import Any

import pytest
from aio_only.steps import Conn, Hooked, Stepping, World, ended, turn
from aio_only.test_cancel_every_step import ACQUIRES, CLOSES, RELEASES

from pool import monitoring
from pool.aio import ConnectionPool
from pool.testing._order import check_order
from support.aio import call_soon, until

pytestmark = pytest.mark.concurrency

Pool = ConnectionPool[Any, Conn]
Scenario = Callable[[], Coroutine[Any, Any, tuple[World, Coroutine[Any, Any, object]]]]


class Left:
    """Awaits a call up to its k-th suspension, leaves it there and closes it."""

    def __init__(self, call: Coroutine[Any, Any, object], at: int) -> None:
        self._call = call
        self._at = at
        self.left = False

    def __await__(self) -> Generator[Any, Any, None]:
        error: BaseException | None = None
        for step in count():
            try:
                waits_for = self._call.send(None) if error is None else self._call.throw(error)
            except StopIteration:
                return
            if step == self._at:
                self.left = True
                # It must not suspend: that would be a RuntimeError.
                self._call.close()
                return
            try:
                yield waits_for
            except asyncio.CancelledError as cancel:
                # The limit of a create has been broken off.
                error = cancel
            else:
                error = None


async def leave(scenario: Scenario, at: int, *, behind: bool, open_still: bool) -> bool:
    """Run once, leave at that suspension, assert that all is well; return whether it came so far."""
    world, call = await scenario()
    left = Left(call, at)

    async def act() -> None:
        await left

    victim = world.manager.victim = asyncio.ensure_future(act())
    await asyncio.sleep(0)
    if behind:
        world.also(world.use())
    (await ended(victim)).result()
    await world.settle(open_still=open_still)
    return left.left


async def leave_everywhere(
    scenario: Scenario, *, behind: bool = True, open_still: bool = True
) -> None:
    for step in count():
        if not await leave(scenario, step, behind=behind, open_still=open_still):
            break
    assert step > 0, "there was nothing to leave"


@pytest.mark.parametrize("scenario", ACQUIRES + RELEASES)
async def test_a_call_left_at_any_step(scenario: Scenario) -> None:
    """Gives everything back, and the one who waits behind it is served."""
    await leave_everywhere(scenario)


@pytest.mark.parametrize("scenario", CLOSES)
async def test_a_close_left_at_any_step(scenario: Scenario) -> None:
    """Has closed the pool, or paused it, all the same, and leaves nothing open."""
    await leave_everywhere(scenario, behind=False, open_still=False)


# -- generators -------------------------------------------------------------------------------------


async def rows(pool: Pool) -> AsyncIterator[int]:
    async with pool.connection("e") as conn:
        yield conn.number
        yield conn.number


@pytest.mark.parametrize("reusable", [True, False])
async def test_a_generator_that_is_left(reusable: bool) -> None:
    """It is closed by the loop, and its connection comes back if ``can_reuse`` says so, else is closed."""
    world = World(hooked=reusable)
    world.manager.reusable = reusable
    async for _ in rows(world.pool):
        break
    gc.collect()
    await until(lambda: world.pool.stats().in_use == 0)
    await world.settle()


async def test_a_generator_that_is_closed() -> None:
    """By hand, and the close does not wait for a dispose that hangs."""
    world = World()
    world.manager.outcomes["dispose"] = "never"
    reading = rows(world.pool)
    async for _ in reading:
        break
    await reading.aclose()  # type: ignore[attr-defined]
    assert world.pool.stats().closing == 1
    cancel_all()
    await until(lambda: world.pool.stats().total == 0)


# -- what never began -------------------------------------------------------------------------------


async def test_an_acquire_that_was_never_awaited() -> None:
    """Python says so itself; there is no lease, and nothing to take back."""
    world = World()
    call = world.pool.acquire("e")
    with pytest.warns(RuntimeWarning, match="never awaited"):
        del call
    assert world.pool.stats().total == 0
    await world.settle()


# -- where no loop runs -----------------------------------------------------------------------------


async def body(pool: Pool) -> None:
    async with pool.connection("e"):
        await asyncio.get_running_loop().create_future()


async def acquired(pool: Pool) -> None:
    lease = await pool.acquire("e")
    await asyncio.get_running_loop().create_future()
    await lease.release()


async def wait(pool: Pool) -> None:
    lease = await pool.acquire("e")
    call = await call_soon(body, pool)
    await until(lambda: pool.stats().waiting == 1)
    assert not call.done()
    await asyncio.get_running_loop().create_future()
    await lease.release()


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("act", [body, acquired, wait])
def test_a_loop_that_is_left(
    act: Callable[[Pool], Coroutine[Any, Any, None]], closed: bool
) -> None:
    """What is in progress there is collected without a word but asyncio's own."""
    events: list[Any] = []
    complaints: list[str] = []
    pool: Pool = ConnectionPool(
        Stepping(), event_listeners=[monitoring.on(events.append)], max_size=1
    )
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context["message"]))

    async def main() -> None:
        await call_soon(act, pool)
        await until(lambda: pool.stats().in_use == 1)
        for _ in range(5):
            await turn()

    loop.run_until_complete(main())
    if closed:
        loop.close()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        gc.collect()
    assert not [str(w.message) for w in warned if w.category is RuntimeWarning]
    assert set(complaints) <= {"Task was destroyed but it is pending!"}
    loop.close()


async def test_a_coroutine_that_is_closed_elsewhere() -> None:
    """By a thread without a loop: the pool's own loop closes what is left behind, and tells it once."""
    manager, events = Hooked(), list[Any]()
    pool: Pool = ConnectionPool(manager, event_listeners=[monitoring.on(events.append)])
    call = body(pool)
    await asyncio.ensure_future(driven(call, lambda: pool.stats().in_use == 1))
    thread = threading.Thread(target=call.close)
    thread.start()
    await asyncio.get_running_loop().run_in_executor(None, thread.join)
    await until(lambda: pool.stats().total == 0)
    assert [conn.disposals for conn in manager.opened] == [1]
    await pool.close()
    check_order(events, ended=True)


async def driven(call: Coroutine[Any, Any, object], condition: Callable[[], bool]) -> None:
    """Drive a call by hand until a condition holds."""

    class Hand:
        def __await__(self) -> Generator[Any, Any, None]:
            while not condition():
                yield call.send(None)

    with suppress(StopIteration):
        await Hand()


# -- somebody cancels whatever runs -----------------------------------------------------------------


def cancel_all() -> None:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()


async def test_the_worker_goes_on_when_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its task is one of all, and may not have begun: it looks again a little later, whoever rings or not."""
    monkeypatch.setattr("pool._runtime.aio._PAUSE", 0.001)
    world = World(hooked=False, max_size=4, idle_timeout=0.02, check_after_idle=None)
    await world.idle(3)
    world.pool._engine.worker.ring()
    cancel_all()
    await until(lambda: world.pool.stats().total == 0)
    await world.settle()


@pytest.mark.parametrize("steps", range(8))
async def test_what_the_pool_does_by_itself_is_cancelled(
    steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fills, checks and disposals, at any step: nothing is lost, nothing is told twice, and it goes on."""
    monkeypatch.setattr("pool._runtime.aio._PAUSE", 0.001)
    options: dict[str, Any] = {"health_check_interval": 0.001, "max_lifetime": 0.002}
    world = World(max_size=4, min_size=3, check_after_idle=None, **options)
    await world.pool.add("e")
    for _ in range(30):
        world.pool._engine.worker.ring()
        for _ in range(steps):
            await asyncio.sleep(0)
        cancel_all()
    # Then it has nothing to do by itself any more, and is counted.
    books = world.pool._engine.books
    books._check_interval = books._max_lifetime = inf
    await world.pool.clear("e")
    await world.pool.warm_up("e", 10.0)
    await world.rest()
    await world.settle()
