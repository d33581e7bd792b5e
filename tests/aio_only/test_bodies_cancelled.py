"""Bodies left by a cancellation: the manager is always asked, and the cancellation always arrives."""

import asyncio
from typing import Any

import pytest
from behaviour._async.fakes import Connection, Hooked, Manager, Recorder, assert_empty, held

from pool.aio import ConnectionPool
from support.aio import Gate, until


def allowing(answer: bool) -> tuple[Hooked, list[BaseException]]:
    """Return a manager that answers ``can_reuse`` so, and the errors that it was asked about."""
    manager, asked = Hooked(), list[BaseException]()

    def can_reuse(conn: Connection, error: BaseException) -> bool:
        asked.append(error)
        return answer

    manager.on["can_reuse"] = can_reuse
    return manager, asked


async def hold_forever(pool: ConnectionPool[Any, Connection]) -> None:
    async with pool.connection("e"):
        await asyncio.get_running_loop().create_future()


async def cancel_a_body(pool: ConnectionPool[Any, Connection]) -> "asyncio.Task[None]":
    """Cancel a task in its body, and wait for its end."""
    task = asyncio.ensure_future(hold_forever(pool))
    await until(lambda: pool.stats().in_use == 1)
    task.cancel()
    await asyncio.wait([task])
    return task


async def test_the_manager_is_asked_about_a_cancellation() -> None:
    """It may keep the connection: nothing was under way, say. The task is cancelled all the same."""
    manager, asked = allowing(True)
    async with ConnectionPool(manager) as pool:
        task = await cancel_a_body(pool)
        assert task.cancelled()
        assert [type(error) for error in asked] == [asyncio.CancelledError]
        assert manager.calls == ["on_acquire", "can_reuse", "on_release"]
        assert (await held(pool)).number == 1
    assert_empty(pool, manager)


async def test_the_manager_may_give_a_connection_up_after_a_cancellation() -> None:
    """It is closed with the reason ``error``, and not reset."""
    manager, _ = allowing(False)
    recorder = Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        task = await cancel_a_body(pool)
        assert task.cancelled()
        assert manager.opened[0].disposed
        assert recorder.reasons() == [(1, "error")]
        assert "on_release" not in manager.calls
    assert_empty(pool, manager)


async def test_a_cancelled_body_closes_its_connection_by_default() -> None:
    """Nobody knows how much of an answer is still to come."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        task = await cancel_a_body(pool)
        assert task.cancelled()
        assert manager.opened[0].disposed
        assert pool.stats().total == 0
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["can_reuse", "on_release"])
async def test_no_hook_s_error_replaces_a_cancellation(
    hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the connection is closed."""
    manager, _ = allowing(True)

    def fail(*args: Any) -> Any:
        raise OSError("a hook failed")

    manager.on[hook] = fail
    async with ConnectionPool(manager) as pool:
        task = await cancel_a_body(pool)
        assert task.cancelled()
        assert manager.opened[0].disposed
    assert_empty(pool, manager)
    assert hook in caplog.text
    assert "a hook failed" in caplog.text


async def test_a_body_that_times_out_asks_too() -> None:
    """``asyncio.timeout`` around a block is a cancellation inside it, and a timeout outside."""
    manager, asked = allowing(True)
    async with ConnectionPool(manager) as pool:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await hold_forever(pool)
        assert [type(error) for error in asked] == [asyncio.CancelledError]
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_a_body_that_catches_its_cancellation_is_clean() -> None:
    """No error leaves it, so nobody is asked."""
    manager, asked = allowing(False)

    async def stubborn() -> None:
        async with pool.connection("e"):
            with pytest.raises(asyncio.CancelledError):
                await asyncio.get_running_loop().create_future()

    async with ConnectionPool(manager) as pool:
        task = asyncio.ensure_future(stubborn())
        await until(lambda: pool.stats().in_use == 1)
        task.cancel()
        await task
        assert asked == []
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_a_second_cancel_while_a_connection_is_reset_discards_it() -> None:
    """The reset was cut short, so nobody knows its state; the task is cancelled, and the count is back."""
    manager, _ = allowing(True)
    gate = manager.gates["on_release"] = Gate()
    recorder = Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        task = asyncio.ensure_future(hold_forever(pool))
        await until(lambda: pool.stats().in_use == 1)
        task.cancel()
        await until(lambda: gate.waiting)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        await until(lambda: pool.stats().total == 0)
        assert recorder.reasons() == [(1, "error")]
    assert_empty(pool, manager)


@pytest.mark.concurrency
@pytest.mark.parametrize(("answer", "number"), [(True, 1), (False, 2)])
async def test_the_next_in_the_queue_is_served_after_a_cancelled_body(
    answer: bool, number: int
) -> None:
    """With the connection itself if it may be reused, else with a new one."""
    manager, _ = allowing(answer)
    async with ConnectionPool(manager, max_size=1) as pool:
        task = asyncio.ensure_future(hold_forever(pool))
        await until(lambda: pool.stats().in_use == 1)
        waiting = asyncio.ensure_future(held(pool))
        await until(lambda: pool.stats().waiting == 1)
        task.cancel()
        assert (await waiting).number == number
        await asyncio.wait([task])
        assert task.cancelled()
        assert manager.most_live == 1
    assert_empty(pool, manager)
