"""Pools that are dropped rather than closed: the worker stops, without anybody's help."""

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from pool.aio import ConnectionPool
from support.aio import Gate, begun, call_soon, until

from .callers import Caller, queued
from .fakes import Connection, FakeClock, Manager, Recorder, held

pytestmark = pytest.mark.concurrency

Pool = ConnectionPool[Any, Connection]


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    """What is not in a cycle goes by itself."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def engine_of(pool: Pool) -> "weakref.ref[Any]":
    return weakref.ref(pool._engine)


def threads() -> list[threading.Thread]:
    """Return the workers that are threads."""
    return [thread for thread in threading.enumerate() if thread.name == "pool upkeep"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"idle_timeout": None, "max_lifetime": None},
        {"min_size": 2, "health_check_interval": 60.0},
        {"leak_threshold": 60.0},
    ],
)
async def test_the_worker_stops(options: dict[str, Any]) -> None:
    """Whether it sleeps for a time or for ever, and nothing of the pool is left."""
    pool: Pool = ConnectionPool(Manager(), **options)
    await held(pool)
    worker, engine = pool._engine.worker, engine_of(pool)
    await until(lambda: begun(worker))
    del pool
    await until(lambda: not begun(worker))
    await until(lambda: not threads())
    assert engine() is None


async def test_a_pool_that_was_never_used() -> None:
    """There is nothing to stop."""
    pool: Pool = ConnectionPool(Manager(), min_size=2)
    worker, engine = pool._engine.worker, engine_of(pool)
    assert not begun(worker)
    del pool
    assert engine() is None
    assert not begun(worker)


async def test_a_pool_without_a_worker() -> None:
    """It goes as anything else."""
    pool: Pool = ConnectionPool(Manager(), background_collector=False)
    await held(pool)
    engine = engine_of(pool)
    del pool
    assert engine() is None


async def test_a_closed_pool_has_no_worker() -> None:
    """It stops when the last connection is closed, though the pool is there."""
    pool: Pool = ConnectionPool(Manager())
    lease = await pool.acquire("e")
    worker = pool._engine.worker
    await pool.close()
    await until(lambda: begun(worker))
    await lease.release()
    await until(lambda: not begun(worker))
    assert repr(pool).startswith("<ConnectionPool closed")


async def test_with_listeners() -> None:
    """They are the user's, and know nothing of the pool."""
    recorder = Recorder()
    pool: Pool = ConnectionPool(Manager(), event_listeners=[recorder.listener])
    await held(pool)
    worker, engine = pool._engine.worker, engine_of(pool)
    del pool
    await until(lambda: not begun(worker))
    assert engine() is None


async def test_a_lease_keeps_it_alive() -> None:
    """Until it ends, as ever; then the worker stops."""
    manager = Manager()
    pool: Pool = ConnectionPool(manager)
    lease = await pool.acquire("e")
    worker, engine = pool._engine.worker, engine_of(pool)
    del pool
    await until(lambda: begun(worker))
    assert lease.connection.number == 1
    await lease.discard()
    assert len(manager.disposed) == 1
    del lease
    await until(lambda: not begun(worker))
    assert engine() is None


async def test_the_worker_works_while_there_are_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that is held too long is reported, though nobody has the pool."""
    recorder, clock = Recorder(), FakeClock(monkeypatch)
    pool: Pool = ConnectionPool(Manager(), event_listeners=[recorder.listener], leak_threshold=60.0)
    lease = await pool.acquire("e")
    worker = pool._engine.worker
    del pool
    clock.now += 60.0
    worker.ring()
    await until(lambda: "ConnectionLeaked" in recorder.names())
    await lease.release()
    del lease
    await until(lambda: not begun(worker))


async def test_a_caller_in_the_queue_keeps_it_alive() -> None:
    """He is served when the lease comes back."""
    pool: Pool = ConnectionPool(Manager(), max_size=1)
    lease = await pool.acquire("e")
    worker, engine = pool._engine.worker, engine_of(pool)
    caller = Caller(pool)
    call = await queued(pool, caller.call)
    del pool, caller.pool
    await lease.release()
    assert (await call.result()).number == 1
    del lease, caller, call
    await until(lambda: not begun(worker))
    await until(lambda: engine() is None)


async def test_it_is_dropped_in_the_middle_of_a_fill() -> None:
    """What the worker is at keeps it until that is done."""
    manager = Manager()
    gate = manager.create_gate = Gate()
    pool: Pool = ConnectionPool(manager, min_size=1)
    await pool.add("e")
    await until(lambda: gate.waiting)
    worker, engine = pool._engine.worker, engine_of(pool)
    del pool
    assert begun(worker)
    gate.open()
    await until(lambda: not begun(worker))
    await until(lambda: engine() is None)


async def test_it_is_dropped_in_the_middle_of_a_dispose() -> None:
    """So does a closing."""
    manager = Manager()
    gate = manager.dispose_gate = Gate()
    pool: Pool = ConnectionPool(manager)
    call = await call_soon((await pool.acquire("e")).discard)
    await until(lambda: gate.waiting)
    worker, engine = pool._engine.worker, engine_of(pool)
    del pool
    gate.open()
    await call.result()
    del call
    await until(lambda: not begun(worker))
    await until(lambda: engine() is None)


async def test_a_pool_in_a_cycle() -> None:
    """The garbage collector is enough."""

    class Own(ConnectionPool[Any, Connection]):
        me: Any

    pool = Own(Manager())
    pool.me = pool
    await held(pool)
    worker, engine = pool._engine.worker, engine_of(pool)
    del pool
    assert engine() is not None
    gc.collect()
    assert engine() is None
    await until(lambda: not begun(worker))


async def test_many_pools() -> None:
    """They are made, used and dropped, and nothing is left of them."""
    engines = []
    for _ in range(200):
        pool: Pool = ConnectionPool(Manager())
        await held(pool)
        engines.append(engine_of(pool))
        del pool
    await until(lambda: not any(engine() for engine in engines))
    await until(lambda: not threads())
