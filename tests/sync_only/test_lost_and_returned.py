"""A generator with a block in it, in a reference cycle: one collection tells twice that its lease has ended.

The collector may come to the connection's record first, and then close the generator, which gives back what
is taken for lost. One thread, no race.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from behaviour._sync.fakes import Connection, Manager, assert_empty

from pool.sync import ConnectionPool

pytestmark = pytest.mark.filterwarnings("ignore")


@contextmanager
def collecting_by_hand() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def leave_behind(pool: ConnectionPool[Any, Connection]) -> None:
    """Leave a generator in the middle of a block; nobody has it but itself."""

    def halfway(holder: list[Any]) -> Iterator[None]:
        with pool.connection("a"):
            yield

    holder: list[Any] = []
    generator = halfway(holder)
    holder.append(generator)
    next(generator)


@pytest.mark.parametrize("background", [False, True])
def test_it_is_closed_once(background: bool) -> None:
    """Nobody else's checkout fails for it, and the counts come back."""
    manager = Manager()
    pool = ConnectionPool(manager, background_collector=background)
    with pool.connection("a"):
        pass
    with collecting_by_hand():
        leave_behind(pool)
        gc.collect()
        with pool.connection("a"), pool.connection("a"):
            pass
    pool.close(1.0)
    assert_empty(pool, manager)


def test_it_is_not_lent_again() -> None:
    """Though it may be reused: it would be taken out of the hands of its next holder."""

    class Reusable(Manager):
        def can_reuse(self, endpoint: Any, conn: Connection, error: BaseException) -> bool:
            return True

    manager = Reusable()
    pool = ConnectionPool(manager, background_collector=False, max_size=2)
    with pool.connection("a"):
        pass
    with collecting_by_hand():
        leave_behind(pool)
        gc.collect()
        with pool.connection("a") as conn, pool.connection("a"):
            assert not conn.disposed
    pool.close(1.0)
    assert_empty(pool, manager)
