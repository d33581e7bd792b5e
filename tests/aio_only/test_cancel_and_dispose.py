"""Closing a connection is nobody's task but its own: no cancel reaches it, and it reaches nobody."""

import asyncio
from typing import Any

import pytest
from aio_only.steps import BRIEF, Conn, HookError, World, ended, turn

from support.aio import until

pytestmark = pytest.mark.concurrency


async def with_idle(count: int, **options: Any) -> tuple[World, list[Conn]]:
    """A world with ``count`` idle connections and room for one more."""
    world = World(max_size=count + 1, **options)
    return world, await world.idle(count)


@pytest.mark.parametrize("how", ["dirty", "release", "discard", "clear", "remove", "close"])
async def test_a_cancel_never_interrupts_a_dispose(how: str) -> None:
    """Whoever waits for a dispose may leave; the dispose goes on to its own end."""
    world = World(max_uses=None if how in ("clear", "remove", "close") else 1)
    await world.acquire()
    lease = world.leases.pop()

    async def dirty() -> None:
        async with lease:
            raise HookError

    if how in ("clear", "remove", "close"):
        await lease.release()
    calls = {
        "dirty": dirty,
        "release": lease.release,
        "discard": lease.discard,
        "clear": world.pool.clear,
        "remove": lambda: world.pool.remove("e"),
        "close": world.pool.close,
    }
    victim = asyncio.ensure_future(calls[how]())
    await until(lambda: "dispose" in world.manager.begun)
    victim.cancel()
    await ended(victim)
    assert victim.cancelled()
    assert world.pool.stats().closing == 1
    await until(lambda: not world.pool.stats().total)
    assert world.manager.cut == []
    await world.settle(open_still=how != "close")


async def test_a_dispose_that_hangs_holds_up_nobody_who_has_room() -> None:
    """While it hangs, callers are served by what is left of ``max_size``."""
    world, (dead,) = await with_idle(1, dispose_timeout=None)
    dead.alive = False
    world.manager.outcomes["dispose"] = "never"
    await world.acquire()
    assert world.pool.stats().closing == 1
    world.manager.outcomes.clear()
    await world.leases.pop().release()
    await world.use()
    assert (world.pool.stats().closing, world.pool.stats().idle) == (1, 1)
    # It hangs for good: end it as the end of a program would.
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await until(lambda: world.pool.stats().closing == 0)
    await world.settle()


async def test_a_dispose_that_hangs_is_cut() -> None:
    """After ``dispose_timeout`` its place is free, and the caller in the queue connects."""
    world = World(dispose_timeout=BRIEF)
    await world.acquire()
    waiter = asyncio.ensure_future(world.acquire())
    await until(lambda: world.pool.stats().waiting)
    world.manager.outcomes["dispose"] = "never"
    await world.leases.pop().discard()
    (await ended(waiter)).result()
    assert world.manager.cut == ["dispose"]
    assert world.leases[0].connection.number == 2
    await world.settle()


async def test_disposes_that_hang_are_cut_side_by_side() -> None:
    """Those that do not hang are done meanwhile, and a clear waits for the longest only."""
    world, _ = await with_idle(3, dispose_timeout=None)
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def inside(hook: str, conn: Conn | None) -> None:
        if hook == "dispose" and conn is world.manager.opened[0]:
            await gate

    world.manager.inside = inside
    clear = asyncio.ensure_future(world.pool.clear())
    await until(lambda: world.pool.stats().closing == 1)
    assert not clear.done()
    gate.set_result(None)
    await ended(clear)
    assert world.pool.stats().total == 0
    await world.settle()


def stray(world: World, swallow: bool) -> None:
    """Let the dispose of connection 1 meet a cancellation that is not meant for it."""

    async def inside(hook: str, conn: Conn | None) -> None:
        if hook != "dispose" or conn is not world.manager.opened[0]:
            return
        inner = asyncio.ensure_future(turn())
        inner.cancel()
        try:
            await inner
        except asyncio.CancelledError:
            if not swallow:
                raise

    world.manager.inside = inside


@pytest.mark.parametrize("swallow", [False, True])
async def test_a_stray_cancellation_in_a_dispose_is_none_of_the_caller_s(swallow: bool) -> None:
    """The caller who waits for that dispose returns as usual, and the place is free."""
    world = World()
    stray(world, swallow)
    await world.acquire()
    await world.leases.pop().discard()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert world.pool.stats().total == 0
    await world.settle()


async def test_a_stray_cancellation_in_a_dispose_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As any other failure of a dispose."""
    world = World()
    stray(world, swallow=False)
    await world.acquire()
    await world.leases.pop().discard()
    assert "dispose of connection #1 to 'e' failed" in caplog.text
    await world.settle()


async def test_a_stray_cancellation_in_one_dispose_ends_no_other() -> None:
    """A clear still waits until all connections are closed."""
    world, (first, *_) = await with_idle(3)

    async def inside(hook: str, conn: Conn | None) -> None:
        if hook == "dispose" and conn is first:
            raise asyncio.CancelledError
        # The others take more time.
        for _ in range(8):
            await turn()

    world.manager.inside = inside
    await world.pool.clear()
    assert world.pool.stats().total == 0
    await world.settle()


@pytest.mark.parametrize("hook", ["on_release", "body"])
async def test_a_cancel_in_a_block_waits_for_its_dispose(hook: str) -> None:
    """A block that is left by a cancel has closed its connection when the cancel comes out."""
    world = World()
    in_body = asyncio.Event()

    async def block() -> None:
        async with world.pool.connection("e"):
            in_body.set()
            if hook == "body":
                await asyncio.get_running_loop().create_future()

    victim = asyncio.ensure_future(block())
    await in_body.wait()
    await until(lambda: hook == "body" or hook in world.manager.begun)
    victim.cancel()
    await ended(victim)
    assert victim.cancelled()
    assert world.pool.stats().total == 0
    await world.settle()
