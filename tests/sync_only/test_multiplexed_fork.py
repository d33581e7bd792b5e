"""Forks: a pool of shared connections works in the child at once, and leaves the parent's shares alone."""

import gc
import os
import threading
import warnings
from typing import Any

import pytest
from behaviour._sync.fakes import Connection, Manager, assert_empty
from behaviour._sync.sharers import Shared, leave, numbers, take, use

from pool import LeaseReleasedError, PoolClosedError
from support.forks import FORKS, child
from support.sync import call_soon, until

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.filterwarnings(FORKS),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]


class Forking(Manager):
    """Notes what it is told of after a fork."""

    def __init__(self) -> None:
        super().__init__()
        self.inherited: list[int] = []

    def after_fork(self, endpoint: Any, conn: Connection) -> None:
        self.inherited.append(conn.number)


@pytest.mark.parametrize("worker", [True, False])
def test_the_child_begins_empty(worker: bool) -> None:
    """It opens its own, and is told of each connection of the parent's once, however many share it."""
    manager = Forking()
    with Shared(manager, background_collector=worker, max_pending=2) as pool:
        leases = take(pool, 3)

        def begin() -> Any:
            found = (pool.connections, pool.broken, pool.pending, pool.stats().total)
            mine = take(pool, 4)
            numbers_of_mine = sorted(numbers(lease.connection for lease in mine))
            leave(mine)
            with pool:
                pass
            return found, numbers_of_mine, sorted(manager.inherited), numbers(manager.disposed)

        found, mine, inherited, disposed = child(begin)
        assert found == ([], [], 0, 0)
        assert mine == [3, 3, 4, 4]
        assert inherited == [1, 2]
        assert sorted(disposed) == [3, 4]
        assert pool.pending == 3
        assert manager.disposed == []
        leave(leases)
    assert_empty(pool, manager)


def test_leases_of_the_parent_are_over() -> None:
    """To end them does nothing, nor to forget them."""
    manager = Forking()
    pool = Shared(manager, size=1)
    leases = take(pool, 3)

    def end() -> Any:
        with pytest.raises(LeaseReleasedError, match="is the parent process's"):
            _ = leases[0].connection
        leases.pop().release()
        leases.pop().discard()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            leases.clear()
            gc.collect()
        return len(warned), pool.broken, pool.stats().total, numbers(manager.disposed)

    assert child(end) == (0, [], 0, [])
    assert (pool.pending, pool.broken) == (3, [])
    leave(leases)
    pool.close()
    assert_empty(pool, manager)


def test_what_the_child_keeps() -> None:
    """The size that was changed, and that the pool is closed."""
    manager = Forking()
    pool = Shared(manager, size=2)
    pool.extend(5)
    assert child(lambda: (pool.size, pool.options.size, pool.is_empty())) == (5, 5, True)
    pool.reduce(9)
    assert child(lambda: pool.size) == 0
    pool.close()

    def refused() -> str:
        with pytest.raises(PoolClosedError) as caught:
            use(pool)
        return str(caught.value)

    assert "to 'e' is closed" in child(refused)
    assert_empty(pool, manager)


def test_forks_while_others_share() -> None:
    """Whatever the other threads of the parent are about, the child can use the pool."""
    manager = Forking()
    pool = Shared(manager, max_pending=2, background_collector=True)
    stop = threading.Event()

    def share() -> None:
        while not stop.is_set():
            use(pool)

    calls = [call_soon(share) for _ in range(4)]
    until(lambda: pool.stats().acquired > 10)

    def work() -> tuple[int, int]:
        leave(take(pool, 4))
        return pool.stats().acquired, pool.pending

    for _ in range(5):
        assert child(work) == (4, 0)
    stop.set()
    for call in calls:
        call.result()
    pool.close()
    assert_empty(pool, manager)
