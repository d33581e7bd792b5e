"""As many endpoints as there are, touched once each, leave a pool as small as it was."""

import gc
import sys
from typing import Any

import pytest

from pool.sync import ConnectionManager, ConnectionPool

#: Enough to show that nothing grows; a million takes four times as long and shows no more.
ENDPOINTS = 250_000

TOTAL = 100


class Forgetful(ConnectionManager[int, object]):
    """Keeps nothing of what it opened."""

    def create(self, endpoint: int, timeout: float | None) -> object:
        return object()

    def dispose(self, endpoint: int, conn: object, timeout: float | None) -> None:
        """Nothing to do."""


def blocks() -> int:
    """How many blocks of memory are in use."""
    gc.collect()
    return sys.getallocatedblocks()


@pytest.mark.slow
def test_a_quarter_of_a_million_endpoints_touched_once_leave_no_trace() -> None:
    """Neither in the memory nor in any of the pool's records."""
    with ConnectionPool(Forgetful(), total_max_size=TOTAL) as pool:

        def touch(endpoints: range) -> None:
            for endpoint in endpoints:
                with pool.connection(endpoint):
                    pass

        touch(range(10_000))
        before = blocks()
        touch(range(10_000, 10_000 + ENDPOINTS))
        assert blocks() - before < 1000
        stats = pool.stats()
        assert (stats.endpoints, stats.idle, stats.created) == (TOTAL, TOTAL, 10_000 + ENDPOINTS)
        core: Any = pool._engine.books
        records = [core._homes, core._agenda._dates, core._ranks, core._hungry]
        assert max(map(len, records)) <= 4 * TOTAL
        nothing = [core._waiting, core._starved, core._lost, core._tellers]
        assert max(map(len, nothing)) == 0
