"""What there is only with threads: the twin's own lock, parker and worker are explored."""

import threading
from functools import partial
from importlib import import_module
from typing import Any

import pytest

from pool.sync import ConnectionManager, ConnectionPool
from pool.testing import ExplorationError, explore
from pool.testing.sync import Stage

runtime: Any = import_module("pool._runtime.sync")
guards: Any = import_module("pool._runtime.sync_guard")


class Plain(ConnectionManager[str, object]):
    def create(self, endpoint: str, timeout: float | None) -> object:
        return object()

    def dispose(self, endpoint: str, conn: object, timeout: float | None) -> None:
        pass


def test_a_lock_is_a_place_to_go_on_elsewhere() -> None:
    """A race between two transactions is found, although each has the lock."""

    def scenario(stage: Stage) -> None:
        pool = ConnectionPool(Plain(), max_size=1)

        def look_and_take() -> None:
            if pool.stats("a").idle:
                pool.acquire("a", timeout=0).release()

        with pool.connection("a"):
            pass
        stage.start(look_and_take)
        stage.start(look_and_take)
        stage.join()
        pool.close()

    with pytest.raises(ExplorationError, match="PoolTimeoutError") as found:
        explore(scenario)
    assert "takes a lock in Guard" in str(found.value)


def test_a_coroutine_that_nobody_awaits_is_a_failure() -> None:
    """A plain function that only makes a coroutine would play nothing, and never fail."""

    async def scenario(stage: object, demand: bool) -> None:
        assert demand

    with pytest.raises(ExplorationError, match="no async function, but returned a coroutine"):
        explore(lambda stage: scenario(stage, False))
    with pytest.raises(ExplorationError, match="AssertionError"):
        explore(partial(scenario, demand=False))


def test_a_lock_that_is_held_is_waited_for() -> None:
    """The stand-in for a lock keeps others out."""
    overlaps = []

    def scenario(stage: Stage) -> None:
        lock = runtime.threading.Lock()
        inside: list[str] = []

        def enter(name: str) -> None:
            with lock:
                inside.append(name)
                stage.step()
                overlaps.append(len(inside))
                inside.remove(name)

        stage.start(enter, "one")
        stage.start(enter, "two")
        stage.join()
        assert not lock.locked()
        assert lock.acquire(timeout=1.0)
        assert not lock.acquire(timeout=1.0)
        assert not lock.acquire(blocking=False)
        lock.release()
        with pytest.raises(RuntimeError):
            lock.release()

    explore(scenario, preemptions=3)
    assert set(overlaps) == {1}


def test_the_worker_is_one_of_the_threads() -> None:
    """It retires what has been idle for too long, by the time of the exploration."""

    def scenario(stage: Stage) -> None:
        pool = ConnectionPool(Plain(), idle_timeout=60.0)
        with pool.connection("a"):
            pass
        assert pool.get_size() == 1
        stage.sleep(3600.0)
        assert pool.get_size() == 0
        pool.close()

    explore(scenario, preemptions=0)


def test_others_have_their_own_locks_and_time() -> None:
    """A pool in a thread that does not play is as ever while an exploration goes on."""
    sizes = []

    def elsewhere() -> None:
        with ConnectionPool(Plain(), idle_timeout=3600.0) as pool:
            with pool.connection("a"):
                pass
            assert type(pool._engine.core._lock) is type(threading.Lock())
            sizes.append(pool.get_size())

    def scenario(stage: Stage) -> None:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        stage.sleep(7200.0)

    explore(scenario)
    assert set(sizes) == {1}
    assert runtime.threading is guards.threading is threading
