"""Two things that happen in the same turn of the event loop, in either order."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aio_only.steps import Conn, Stepping, World, ended, leap, settle, turn

from pool import PoolClearedError, PoolClosedError, PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import PATIENCE, until

pytestmark = pytest.mark.concurrency

#: Seconds that pass by a leap only.
LONG = 1000.0

EITHER_ORDER = pytest.mark.parametrize("order", [1, -1], ids=["as named", "the other way"])


class Prompt(Stepping):
    """Creates and disposes without suspending; ``dispose`` and ``create`` can be held or watched."""

    def __init__(self) -> None:
        super().__init__()
        self.held: asyncio.Future[None] | None = None
        self.after_dispose: Callable[[], object] = lambda: None

    async def act(self, hook: str, conn: Conn | None = None) -> None:
        if hook == "create" and self.held is not None:
            await self.held
        if hook == "dispose":
            self.after_dispose()


def prompt_world(**options: Any) -> tuple[World, Prompt]:
    """A world where a release hands on at once: nothing suspends but what is held."""
    world = World(hooked=False, **options)
    manager = world.manager = Prompt()
    world.pool = ConnectionPool(manager, **{"max_size": 1, **options})
    return world, manager


async def queued(world: World, count: int = 1) -> list["asyncio.Task[None]"]:
    """Let ``count`` callers join the queue, in order."""
    tasks = []
    for _ in range(count):
        tasks.append(asyncio.ensure_future(world.acquire()))
        await asyncio.sleep(0)
    assert world.pool.stats().waiting == count
    return tasks


async def in_one_turn(order: int, *calls: Callable[[], object]) -> None:
    """Call all in the same turn; those that are coroutines must not suspend, but for closing."""
    for call in calls[::order]:
        result = call()
        if asyncio.iscoroutine(result):
            await result


def at_once(call: Coroutine[Any, Any, object]) -> None:
    """Run a call that does not suspend."""
    with pytest.raises(StopIteration):
        call.send(None)


@EITHER_ORDER
async def test_a_cancel_and_a_hand_off(order: int) -> None:
    """The connection granted to the one who is cancelled goes to the next in the queue."""
    world, manager = prompt_world()
    await world.acquire()
    victim, behind = await queued(world, 2)
    await in_one_turn(order, victim.cancel, world.leases.pop().release)
    await ended(victim)
    assert victim.cancelled()
    await ended(behind)
    assert len(world.leases) == len(manager.opened) == 1
    assert world.leases[0].connection is manager.opened[0]
    await world.settle()


@EITHER_ORDER
async def test_a_cancel_and_a_permit(order: int) -> None:
    """The permit granted to the one who is cancelled goes to the next, and no number is skipped."""
    world, manager = prompt_world()
    await world.acquire()
    victim, behind = await queued(world, 2)
    woken = asyncio.get_running_loop().create_future()

    async def cancel() -> None:
        await woken
        assert world.pool.stats().waiting == 1
        victim.cancel()

    if order == 1:
        # In the step that will grant it.
        manager.after_dispose = victim.cancel
    else:
        # Scheduled before the one who is granted it, and run after that.
        manager.after_dispose = lambda: settle(woken)
        world.also(cancel())
        await asyncio.sleep(0)
    await world.leases.pop().discard()
    await ended(victim)
    assert victim.cancelled()
    await ended(behind)
    assert [lease.connection.number for lease in world.leases] == [2]
    manager.after_dispose = lambda: None
    await world.settle()


async def test_a_hand_off_just_before_the_time_is_up() -> None:
    """Is kept: the caller gets the connection."""
    world, _ = prompt_world()
    await world.acquire()
    waiter = asyncio.ensure_future(world.acquire(LONG))
    await asyncio.sleep(0)
    leap(2 * LONG)
    # Before the loop comes to its alarms.
    await world.leases.pop().release()
    (await ended(waiter)).result()
    assert world.pool.stats().in_use == 1
    await world.settle()


async def test_a_hand_off_just_after_the_time_is_up() -> None:
    """Goes to the next in the queue: the caller gets a timeout."""
    world, manager = prompt_world()
    await world.acquire()
    late = asyncio.ensure_future(world.acquire(LONG))
    await asyncio.sleep(0)
    behind = asyncio.ensure_future(world.acquire(4 * LONG))
    await asyncio.sleep(0)
    assert world.pool.stats().waiting == 2
    # In the turn of the alarm and right after it, before the late one can run.
    asyncio.get_running_loop().call_later(LONG, at_once, world.leases.pop().release())
    leap(2 * LONG)
    with pytest.raises(PoolTimeoutError):
        (await ended(late)).result()
    await ended(behind)
    assert world.leases[0].connection is manager.opened[0]
    assert world.pool.stats().timeouts == 1
    await world.settle()


@EITHER_ORDER
async def test_a_cancel_and_a_clear_that_pauses(order: int) -> None:
    """The one who is cancelled in the queue sees the cancel, the other the clear."""
    world, _ = prompt_world(paused=True)
    await world.pool.ready("e")
    await world.acquire()
    victim, behind = await queued(world, 2)
    await in_one_turn(order, victim.cancel, world.pool.clear)
    await ended(victim)
    assert victim.cancelled()
    with pytest.raises(PoolClearedError):
        (await ended(behind)).result()
    await world.settle(open_still=False)


@EITHER_ORDER
async def test_a_cancel_and_a_close(order: int) -> None:
    """The one who is cancelled in the queue sees the cancel, the other the close."""
    world, _ = prompt_world()
    await world.acquire()
    victim, behind = await queued(world, 2)
    await in_one_turn(order, victim.cancel, world.pool.close)
    await ended(victim)
    assert victim.cancelled()
    with pytest.raises(PoolClosedError):
        (await ended(behind)).result()
    await world.settle(open_still=False)


@EITHER_ORDER
async def test_a_hand_off_and_a_clear(order: int) -> None:
    """Whoever gets a connection in the turn of a clear gets one that is not stale at that time."""
    world, manager = prompt_world()
    await world.acquire()
    (waiter,) = await queued(world)
    await in_one_turn(order, world.leases.pop().release, world.pool.clear)
    await ended(waiter)
    assert world.leases[0].connection is manager.opened[1]
    assert manager.opened[0].disposals == 1
    await world.settle()


@EITHER_ORDER
async def test_a_hand_off_and_a_close(order: int) -> None:
    """The one in the queue is refused, and the close waits for nobody who is not there."""
    world, _ = prompt_world()
    await world.acquire()
    (waiter,) = await queued(world)
    await in_one_turn(order, world.leases.pop().release, world.pool.close)
    with pytest.raises(PoolClosedError):
        (await ended(waiter)).result()
    await world.settle(open_still=False)


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_permit_and_a_close_that_waits(cancelled: bool) -> None:
    """A permit that nobody has used yet, and nobody will, does not keep the close waiting."""
    world, manager = prompt_world()
    await world.acquire()
    (waiter,) = await queued(world)
    woken = asyncio.get_running_loop().create_future()

    async def close() -> None:
        await woken
        assert (world.pool.stats().connecting, world.pool.stats().waiting) == (1, 0)
        if cancelled:
            waiter.cancel()
        await world.pool.close(timeout=None)

    # Scheduled before the one who is granted the permit, and run after that.
    manager.after_dispose = lambda: settle(woken)
    closer = asyncio.ensure_future(close())
    await asyncio.sleep(0)
    await world.leases.pop().discard()
    await ended(waiter)
    # Whoever could end the wait is gone.
    (await ended(closer, patience=1.0, why=world.pool)).result()
    assert waiter.cancelled() if cancelled else isinstance(waiter.exception(), PoolClosedError)
    await world.settle(open_still=False)


@EITHER_ORDER
async def test_a_connect_that_ends_as_it_is_interrupted(order: int) -> None:
    """Its connection, if there is one, is closed as stale, and the caller connects again."""
    world, manager = prompt_world()
    held = manager.held = asyncio.get_running_loop().create_future()
    caller = asyncio.ensure_future(world.acquire())
    await until(lambda: world.pool.stats().connecting)
    manager.held = None
    await in_one_turn(
        order, lambda: held.set_result(None), lambda: world.pool.clear(interrupt_connections=True)
    )
    (await ended(caller)).result()
    *stale, fresh = manager.opened
    assert world.leases[0].connection is fresh
    await until(lambda: all(conn.disposals == 1 for conn in stale))
    assert world.pool.stats().in_use == 1
    await world.settle()


@EITHER_ORDER
@pytest.mark.parametrize("interrupt", [False, True])
async def test_a_connect_that_ends_as_the_pool_closes(order: int, interrupt: bool) -> None:
    """Its connection, if there is one, is closed, and the caller refused."""
    world, manager = prompt_world()
    held = manager.held = asyncio.get_running_loop().create_future()
    caller = asyncio.ensure_future(world.acquire())
    await until(lambda: world.pool.stats().connecting)
    await in_one_turn(
        order,
        lambda: held.set_result(None),
        lambda: world.pool.close(interrupt_connections=interrupt),
    )
    with pytest.raises(PoolClosedError):
        (await ended(caller)).result()
    await world.settle(open_still=False)


@EITHER_ORDER
async def test_an_interrupt_and_a_cancel_of_the_same_connect(order: int) -> None:
    """Is a cancel: the caller does not connect again."""
    world, manager = prompt_world()
    manager.held = asyncio.get_running_loop().create_future()
    victim = asyncio.ensure_future(world.acquire())
    await until(lambda: world.pool.stats().connecting)
    await in_one_turn(order, victim.cancel, lambda: world.pool.clear(interrupt_connections=True))
    await ended(victim)
    assert victim.cancelled()
    assert victim.cancelling() == 1
    manager.held = None
    await world.settle()


async def test_two_leases_that_end_in_the_same_turn() -> None:
    """Serve the first two in the queue, in order."""
    world, manager = prompt_world(max_size=2)
    await world.acquire()
    await world.acquire()
    first, second = world.leases
    world.leases.clear()
    tasks = await queued(world, 3)
    await second.release()
    await first.release()
    await until(lambda: len(world.leases) == 2)
    assert [task.done() for task in tasks] == [True, True, False]
    assert [lease.connection.number for lease in world.leases] == [2, 1]
    world.others += tasks
    await world.settle()
    assert len(manager.opened) == 2


async def test_two_who_end_the_same_lease_in_the_same_turn() -> None:
    """End it once: the second does nothing, not even to the one who has the connection then."""
    world = World()
    await world.acquire()
    lease = world.leases.pop()
    (waiter,) = await queued(world)
    await asyncio.gather(lease.release(), lease.release(), lease.discard())
    await ended(waiter)
    assert world.pool.stats().released == 1
    assert world.leases[0].connection.disposals == 0
    await lease.release()
    assert world.pool.stats().in_use == 1
    await world.settle()


@pytest.mark.parametrize(
    "hook", ["create", "on_acquire", "on_release", "check_aliveness", "dispose"]
)
async def test_a_hook_that_acquires(hook: str) -> None:
    """A hook may use the pool itself, at another endpoint."""
    world = World(max_uses=2)
    nested: list[str] = []

    async def inside(name: str, conn: Conn | None) -> None:
        if name == hook and not nested:
            nested.append(name)
            async with world.pool.connection("other", timeout=PATIENCE):
                await turn()

    world.manager.inside = inside
    await world.use()
    await world.use()
    await until(lambda: nested == [hook])
    await world.settle()


async def test_a_create_that_clears() -> None:
    """Overtakes itself: its connection is closed as stale, and the caller connects again."""
    world = World()

    async def inside(name: str, conn: Conn | None) -> None:
        if name == "create" and not world.manager.opened:
            await world.pool.clear("e")

    world.manager.inside = inside
    await world.acquire()
    assert world.leases[0].connection is world.manager.opened[1]
    await world.settle()


async def test_a_connect_that_ends_after_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is too late for its caller and in time for the next, who gets the connection."""
    world = World(hooked=False)
    lateness = 0.0
    monkeypatch.setattr("pool._async.acquire.clock", lambda: time.monotonic() + lateness)

    async def inside(hook: str, conn: Conn | None) -> None:
        nonlocal lateness
        if hook == "create":
            lateness = 2 * LONG

    world.manager.inside = inside
    late = asyncio.ensure_future(world.acquire(LONG))
    await asyncio.sleep(0)
    behind = asyncio.ensure_future(world.acquire(4 * LONG))
    await asyncio.sleep(0)
    assert world.pool.stats().waiting == 1
    with pytest.raises(PoolTimeoutError):
        (await ended(late)).result()
    await ended(behind)
    assert world.leases[0].connection is world.manager.opened[0]
    await world.settle()
