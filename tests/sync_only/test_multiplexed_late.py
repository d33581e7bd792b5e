"""A create that keeps no limit: nobody can cut it off, so its caller is told afterwards."""

import time
from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.sync import ConnectionManager, MultiplexedPool


class Dawdler(ConnectionManager[Any, object]):
    """Takes longer than it is given."""

    def create(self, endpoint: Any, timeout: float | None) -> object:
        assert timeout is not None
        time.sleep(2 * timeout)
        return object()

    def dispose(self, endpoint: Any, conn: object, timeout: float | None) -> None:
        pass


def test_a_connect_that_took_too_long() -> None:
    """The caller has no share of it; the connection stays for the next one."""
    with_one: MultiplexedPool[Any, object] = MultiplexedPool(Dawdler(), "e", size=1)
    with pytest.raises(PoolTimeoutError, match="phase: connect"):
        with_one.acquire(timeout=0.05)
    assert (with_one.pending, len(with_one.connected)) == (0, 1)
    with_one.acquire(timeout=0).release()
    with_one.close()
