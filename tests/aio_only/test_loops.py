"""One pool, one event loop: made anywhere, bound by its first use, and clear about a second one."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aio_only.steps import Conn, Hooked, Stepping

from pool import monitoring
from pool.aio import ConnectionPool
from support.aio import PATIENCE

Pool = ConnectionPool[Any, Conn]
Use = Callable[[Pool], Coroutine[Any, Any, object]]


async def connection(pool: Pool) -> None:
    async with pool.connection("e"):
        pass


async def acquire(pool: Pool) -> None:
    await (await pool.acquire("e")).release()


async def acquire_without_time(pool: Pool) -> None:
    await pool.acquire("e", timeout=0)


async def add(pool: Pool) -> None:
    await pool.add("f")


async def ready(pool: Pool) -> None:
    await pool.ready("e")


async def clear(pool: Pool) -> None:
    await pool.clear()


async def remove(pool: Pool) -> None:
    await pool.remove("e")


async def resize(pool: Pool) -> None:
    pool.resize(max_size=1)


async def close(pool: Pool) -> None:
    await pool.close()


async def block(pool: Pool) -> None:
    async with pool:
        pass


USES: tuple[Use, ...] = (
    connection,
    acquire,
    acquire_without_time,
    add,
    ready,
    clear,
    remove,
    resize,
    close,
    block,
)


@contextmanager
def loops() -> Iterator[tuple[asyncio.Runner, asyncio.Runner]]:
    """Two event loops, the second of which is younger."""
    with asyncio.Runner() as first, asyncio.Runner() as second:
        yield first, second


@pytest.mark.parametrize("use", [use for use in USES if use is not acquire_without_time])
def test_a_pool_made_outside_any_loop_works_in_the_first(use: Use) -> None:
    """Nothing is bound before somebody uses it."""
    pool: Pool = ConnectionPool(Stepping())
    with loops() as (first, _):
        first.run(use(pool))
        first.run(pool.close())
    assert pool.stats().total == 0


@pytest.mark.parametrize("heard", [False, True])
@pytest.mark.parametrize("use", USES)
def test_a_second_loop_is_told_so(use: Use, heard: bool) -> None:
    """Whatever it tries, it is refused before anything happens, and the first loop goes on."""
    manager = Stepping()
    recorded: list[Any] = []
    extra = [monitoring.on(recorded.append)] if heard else []
    pool: Pool = ConnectionPool(manager, event_listeners=extra)
    with loops() as (first, second):
        first.run(connection(pool))
        before = pool.stats()
        told = len(recorded)
        with pytest.raises(RuntimeError, match="another event loop"):
            second.run(use(pool))
        assert pool.stats() == before
        assert len(recorded) == told
        first.run(connection(pool))
        assert len(manager.opened) == 1
        first.run(pool.close())
    assert pool.stats().total == 0


@pytest.mark.parametrize("use", [use for use in USES if use is not acquire_without_time])
def test_any_first_use_binds(use: Use) -> None:
    """The loop of the first use has the pool, whatever the use was."""
    pool: Pool = ConnectionPool(Stepping())
    with loops() as (first, second):
        first.run(use(pool))
        if use is resize:
            # It found nothing to do yet, and is allowed anywhere.
            second.run(connection(pool))
            second.run(pool.close())
            return
        with pytest.raises(RuntimeError, match="another event loop"):
            second.run(pool.clear())
        first.run(pool.close())


def test_a_pool_with_a_hook_refuses_a_second_loop() -> None:
    """A connection that is to be prepared first is not handed out in a second loop either."""
    manager = Hooked()
    pool: Pool = ConnectionPool(manager)
    with loops() as (first, second):
        first.run(connection(pool))
        begun = list(manager.begun)
        with pytest.raises(RuntimeError, match="another event loop"):
            second.run(connection(pool))
        assert manager.begun == begun
        first.run(pool.close())


def test_a_second_loop_in_another_thread_is_told_so() -> None:
    """Also while a task of the first is at work, which is what a checkout looks at."""
    manager = Stepping()
    pool: Pool = ConnectionPool(manager)
    busy, done = threading.Event(), threading.Event()

    async def work() -> None:
        await connection(pool)
        busy.set()
        # It blocks its loop on purpose.
        assert done.wait(PATIENCE)
        await connection(pool)
        await pool.close()

    first = threading.Thread(target=asyncio.run, args=(work(),))
    first.start()
    try:
        assert busy.wait(PATIENCE)
        for use in (connection, acquire):
            with pytest.raises(RuntimeError, match="another event loop"):
                asyncio.run(use(pool))
            with pytest.raises(RuntimeError, match="no running event loop"):
                use(pool).send(None)
    finally:
        done.set()
        first.join()
    assert len(manager.opened) == 1


def test_a_loop_that_goes_on_in_another_thread() -> None:
    """It is the same loop: its pool works there, too."""
    manager = Stepping()
    pool: Pool = ConnectionPool(manager)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(connection(pool))
    thread = threading.Thread(target=loop.run_until_complete, args=(connection(pool),))
    thread.start()
    thread.join()
    assert pool.stats().released == 2
    loop.run_until_complete(pool.close())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    assert len(manager.opened) == 1


async def test_a_coroutine_that_no_task_runs() -> None:
    """A callback of the loop may drive it, as long as there is nothing to wait for."""
    pool: Pool = ConnectionPool(Stepping())
    await connection(pool)
    ended = asyncio.get_running_loop().create_future()

    def drive() -> None:
        try:
            connection(pool).send(None)
        except StopIteration as end:
            ended.set_result(end.value)

    asyncio.get_running_loop().call_soon(drive)
    await ended
    assert pool.stats().released == 2
    await pool.close()


def test_questions_work_anywhere() -> None:
    """Outside any loop, in the first and in a second one, before and after, and they bind nothing."""
    pool: Pool = ConnectionPool(Stepping(), name="p")

    async def ask() -> tuple[object, ...]:
        return answers()

    def answers() -> tuple[object, ...]:
        sizes = pool.get_size(), pool.get_endpoint_pool_size("e"), pool.options, pool.name
        return pool.stats(), pool.stats("e"), pool.explain(), repr(pool), *sizes

    with loops() as (first, second):
        assert second.run(ask()) == answers()
        first.run(connection(pool))
        assert second.run(ask()) == first.run(ask()) == answers()
        assert pool.get_size() == 1
        first.run(pool.close())
        assert second.run(ask()) == answers()
    assert answers()[0] == pool.stats()


def test_resize_before_the_first_use_needs_no_loop() -> None:
    """Like the constructor."""
    pool: Pool = ConnectionPool(Stepping())
    pool.resize(max_size=3)
    assert pool.options.max_size == 3
