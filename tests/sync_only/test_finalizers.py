"""Finalizers strike anywhere, at any time: also while a lock is held. They must take none."""

import gc
import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from behaviour._sync.fakes import Connection, Manager, Recorder, assert_empty, held

from pool.sync import ConnectionPool
from pool.testing._order import check_order
from support.sync import Gate, call_soon, until

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.filterwarnings("ignore:the lease of connection:ResourceWarning"),
]

Pool = ConnectionPool[Any, Connection]


def lock_of_the_pool(pool: Pool) -> threading.Lock:
    lock: threading.Lock = pool._engine.core._lock
    return lock


def lock_of_the_worker(pool: Pool) -> threading.Lock:
    lock: threading.Lock = pool._engine.worker._starting
    return lock


def waits(pool: Pool, number: int) -> bool:
    return pool.stats().waiting == number


LOCKS = [lock_of_the_pool, lock_of_the_worker]


@pytest.mark.parametrize("lock_of", LOCKS)
def test_another_thread_holds_the_lock(lock_of: Callable[[Pool], threading.Lock]) -> None:
    """The lease is dropped at once, and reclaimed when the lock is free."""
    manager = Manager()
    with ConnectionPool(manager) as pool:
        leases = [pool.acquire("e")]
        with lock_of(pool):
            call_soon(leases.clear).result()
        until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


@pytest.mark.parametrize("lock_of", LOCKS)
def test_the_same_thread_holds_the_lock(lock_of: Callable[[Pool], threading.Lock]) -> None:
    """As when a garbage collection strikes in the middle of a decision."""
    manager = Manager()
    with ConnectionPool(manager) as pool:
        leases = [pool.acquire("e")]

        def strike() -> None:
            with lock_of(pool):
                leases.clear()

        call_soon(strike).result()
        until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


def test_no_thread_at_all() -> None:
    """Where none can be started, the next request takes it back."""
    manager = Manager()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        pool: Pool = ConnectionPool(manager)
        leases = [pool.acquire("e")]
        leases.clear()
        held(pool, "f")
        assert pool.stats("e").total == 0
    with pool:
        # Now it can, and begins.
        leases = [pool.acquire("e")]
        leases.clear()
        until(lambda: pool.stats("e").total == 0)
    assert_empty(pool, manager)


def test_the_last_reference_goes_while_others_wait() -> None:
    """All of them are served in turn, by whoever gets to reclaim."""
    manager = Manager()
    with ConnectionPool(manager, max_size=1) as pool:
        leases = [pool.acquire("e")]
        # Each one's result is his lease: it is lost when nobody knows the call any more.
        calls = []
        for place in range(1, 6):
            calls.append(call_soon(pool.acquire, "e"))
            until(partial(waits, pool, place))
        leases.clear()
        while calls:
            until(lambda: any(call.done() for call in calls))
            calls[:] = [call for call in calls if not call.done()]
        until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)
    assert len(manager.opened) == 6


def test_many_threads_lose_and_use() -> None:
    """With the garbage collector at work in each: every lease ends, everybody is served, in order."""
    manager, recorder = Manager(), Recorder()
    options: dict[str, Any] = {"max_size": 3, "event_listeners": [recorder.listener]}
    pool: Pool = ConnectionPool(manager, **options)

    def use(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(25):
            what = chance.random()
            lease: Any = pool.acquire("e", 20.0)
            if what < 0.3:
                del lease
            elif what < 0.6:
                # Only a collection finds it, in whichever thread and wherever that is.
                knot = [lease]
                knot.append(knot)
                del lease, knot
                if what < 0.45:
                    gc.collect(0)
            else:
                lease.release()

    before = gc.get_threshold()
    gc.set_threshold(20, 2, 2)
    try:
        with pool:
            pool.add("e")
            for call in [call_soon(use, seed) for seed in range(6)]:
                while not call.done():
                    gc.collect()
                call.result()
            gc.collect()
            until(lambda: pool.stats().in_use == 0)
            pool.close(10.0)
    finally:
        gc.set_threshold(*before)
    assert pool.stats().acquired == 150
    check_order(recorder.events, ended=True)
    assert_empty(pool, manager)


def test_a_hanging_dispose_of_the_worker_holds_no_caller_up() -> None:
    """What was lost is closed by the worker's thread."""
    manager = Manager()
    with ConnectionPool(manager, max_size=2) as pool:
        gate = manager.dispose_gate = Gate()
        leases = [pool.acquire("e")]
        leases.clear()
        until(lambda: gate.waiting)
        assert held(pool).number == 2
        gate.open()
        until(lambda: pool.get_size() == 1)
    assert_empty(pool, manager)
