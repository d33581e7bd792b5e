"""An event loop that ends in the midst of everything: nothing is left, and nothing is told to anybody.

``asyncio.run`` cancels all tasks, waits for them, closes all generators and then the loop. What is started in
between, by those who are cancelled, must not outlive it.
"""

import asyncio
import gc
import logging
import sys
import warnings
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from aio_only.kept import Kept
from aio_only.steps import Conn
from behaviour._async.fakes import Chance

from pool import monitoring
from pool._runtime import aio
from pool.aio import ConnectionPool
from pool.testing._order import check_order
from support.aio import until

pytestmark = pytest.mark.concurrency

Pool = ConnectionPool[Any, Conn]
Program = Callable[[Pool], Coroutine[Any, Any, None]]

OPTIONS: dict[str, Any] = {"max_size": 3, "check_after_idle": 0, "max_lifetime": None}


class Exit(Exception):
    """What ends a program."""


async def fill(pool: Pool) -> None:
    await pool.add("e")


async def check(pool: Pool) -> None:
    """What was filled is due to be checked at once, again and again."""
    await pool.add("e")


async def retire(pool: Pool) -> None:
    """What was filled is retired at once, and filled again."""
    await pool.warm_up("e")


async def wait_for_a_fill(pool: Pool) -> None:
    await asyncio.gather(pool.warm_up("e"), pool.maintain())


async def hold(pool: Pool) -> None:
    """Several callers hold connections, wait for them, or are about to get them."""

    async def use(endpoint: str) -> None:
        async with pool.connection(endpoint):
            await asyncio.get_running_loop().create_future()

    await asyncio.gather(*(use(endpoint) for endpoint in "eefg"))


async def come_and_go(pool: Pool) -> None:
    """Callers evict each other's connections."""

    async def use(endpoint: str) -> None:
        while True:
            async with pool.connection(endpoint):
                await asyncio.sleep(0)

    await asyncio.gather(*(use(endpoint) for endpoint in "efg"))


async def clear(pool: Pool) -> None:
    await pool.warm_up("e")
    while True:
        await pool.clear(interrupt_connections=True)


PROGRAMS: list[tuple[Program, dict[str, Any]]] = [
    (fill, {"min_size": 2}),
    (check, {"min_size": 2, "health_check_interval": 1e-6}),
    (retire, {"min_size": 2, "max_lifetime": 1e-6}),
    (wait_for_a_fill, {"min_size": 3, "background_collector": False}),
    (hold, {"min_size": 1, "max_size": 1, "total_max_size": 2}),
    (come_and_go, {"max_size": 1, "total_max_size": 1, "max_uses": 3}),
    (clear, {"min_size": 2}),
]
NAMES = [program.__name__ for program, _ in PROGRAMS]


@contextmanager
def silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nothing is told in here: no log record of asyncio's, no warning, no error that nobody can get."""
    untold: list[Any] = []
    before, sys.unraisablehook = sys.unraisablehook, untold.append
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            caplog.clear()
            yield
            gc.collect()
    finally:
        sys.unraisablehook = before
    assert not untold, [(unraised.err_msg, unraised.exc_value) for unraised in untold]
    assert not warned, [str(warning.message) for warning in warned]
    told = [record for record in caplog.records if record.name == "asyncio"]
    assert not told, [record.getMessage() for record in told]


def run(program: Program, options: dict[str, Any], turns: int, error: bool) -> bool:
    """Run a program, and end its loop after so many turns; return whether it had ended already."""
    events: list[Any] = []

    made: list[tuple[Kept, Pool]] = []

    async def main() -> bool:
        manager = Kept()
        pool: Pool = ConnectionPool(
            manager, event_listeners=[monitoring.on(events.append)], **{**OPTIONS, **options}
        )
        made.append((manager, pool))
        running = asyncio.ensure_future(program(pool))
        for _ in range(turns):
            await asyncio.sleep(0)
        if error:
            raise Exit
        return running.done() and len(asyncio.all_tasks()) == 1

    over = False
    with suppress(Exit):
        over = asyncio.run(main())
    manager, pool = made[0]
    stats = pool.stats()
    assert (stats.in_use, stats.connecting, stats.closing, stats.waiting) == (0, 0, 0, 0), stats
    assert not manager.faults, manager.faults
    assert sum(conn.disposals == 0 for conn in manager.opened) == stats.idle, stats
    assert all(conn.disposals <= 1 for conn in manager.opened)
    check_order(events)
    return over


@pytest.mark.parametrize("error", [False, True])
@pytest.mark.parametrize(("program", "options"), PROGRAMS, ids=NAMES)
def test_a_loop_that_ends_at_any_turn(
    program: Program, options: dict[str, Any], error: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Ends quietly; whoever held, opened or closed a connection has given its place back."""
    with silence(caplog), caplog.at_level(logging.WARNING, "asyncio"):
        for turns in range(60):
            if run(program, options, turns, error):
                break


TOLD_BY_THE_WORKER = (
    monitoring.ConnectionCreatedEvent,
    monitoring.ConnectionReadyEvent,
    monitoring.ConnectionClosedEvent,
    monitoring.ConnectionCheckedInEvent,
    monitoring.ConnectionLeakedEvent,
)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize(
    "event_type", TOLD_BY_THE_WORKER, ids=lambda event_type: event_type.__name__
)
def test_a_listener_that_ends_the_program_as_the_worker_tells_it(
    event_type: type[Any],
    kind: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Ends it; the books are right, and if the loop goes on, the worker does."""
    monkeypatch.setattr(aio, "_PAUSE", 0.005)
    Chance(monkeypatch, 0.0)
    events: list[Any] = []
    people: set[Any] = set()
    armed = [True]

    def interrupt(event: Any) -> None:
        if armed and asyncio.current_task() not in people:
            armed.clear()
            raise kind

    async def main() -> None:
        people.add(asyncio.current_task())
        await pool.add("e")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            await pool.acquire("e")
        await until(lambda: pool.stats().released)
        async with pool.connection("e"):
            await asyncio.get_running_loop().create_future()

    async def end() -> None:
        for task in people:
            task.cancel()
        await asyncio.wait(people)
        await until(lambda: pool.stats().idle >= 2)
        await pool.close(None)

    with silence(caplog), asyncio.Runner() as runner:
        manager = runner.run(made())
        pool: Pool = ConnectionPool(
            manager,
            event_listeners=[monitoring.on(events.append), monitoring.on(interrupt, event_type)],
            **{**OPTIONS, "min_size": 2, "leak_threshold": 0.001, "max_lifetime": 0.002},
        )
        with pytest.raises(kind):
            runner.run(main())
        runner.run(end())
    assert [conn.disposals for conn in manager.opened] == [1] * len(manager.opened)
    check_order(events, ended=True)


async def made() -> Kept:
    return Kept()
