"""``maintain``: one round of upkeep by hand. Beside a worker, and without one."""

from typing import Any

import pytest

from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, until

from .fakes import (
    Connection,
    FakeClock,
    Hooked,
    Manager,
    Recorder,
    assert_empty,
    held,
    stocked,
)
from .meddlers import told

pytestmark = pytest.mark.concurrency


@pytest.fixture(params=[True, False], ids=["worker", "no worker"])
def worker(request: pytest.FixtureRequest) -> bool:
    """Whether the pool has a worker beside."""
    return bool(request.param)


async def test_there_may_be_nothing_to_do(worker: bool) -> None:
    """In a pool that nobody has used, and in one where nothing is due."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(
        manager, background_collector=worker, event_listeners=[recorder.listener]
    ) as pool:
        await pool.maintain()
        assert recorder.events == []
        await held(pool)
        before = pool.stats()
        recorder.clear()
        for _ in range(3):
            await pool.maintain()
        assert recorder.events == []
        assert pool.stats() == before
    assert_empty(pool, manager)


async def test_a_closed_pool_needs_nothing(worker: bool, clock: FakeClock) -> None:
    """It is no error to maintain it: whoever does so by a timer need not ask."""
    manager = Hooked()
    pool = ConnectionPool(
        manager, background_collector=worker, min_size=1, health_check_interval=10.0
    )
    await held(pool)
    await pool.close()
    await pool.maintain()
    clock.now += 100.0
    await pool.maintain()
    assert "check_aliveness" not in manager.calls
    assert manager.started == 1
    assert_empty(pool, manager)


async def test_a_closed_pool_whose_leases_live_needs_nothing(
    worker: bool, clock: FakeClock
) -> None:
    """What is in use is closed when it comes back, as ever."""
    manager = Manager()
    pool = ConnectionPool(manager, background_collector=worker, min_size=2)
    lease = await pool.acquire("e")
    await pool.close()
    clock.now += 36000.0
    await pool.maintain()
    assert not lease.connection.disposed
    await lease.release()
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_it_works_at_every_endpoint(worker: bool, clock: FakeClock) -> None:
    """Whatever there is to retire goes, however much."""
    manager = Manager()
    async with ConnectionPool(
        manager, background_collector=worker, total_max_size=None, dispose_batch_size=1
    ) as pool:
        for endpoint in range(20):
            await stocked(pool, 3, endpoint)
        clock.now += 60.0
        await pool.maintain()
        await until(lambda: pool.get_size() == 0)
        assert pool.stats().endpoints == 0
    assert_empty(pool, manager)


async def test_all_is_done_when_it_returns(clock: FakeClock) -> None:
    """What is retired is closed, what is missing is open, what was dead is replaced."""
    manager = Hooked()
    async with ConnectionPool(
        manager, background_collector=False, min_size=1, health_check_interval=60.0
    ) as pool:
        idle = await stocked(pool, 3, "a")
        idle[-1].alive = False
        await pool.add("b")
        clock.now += 60.0
        await pool.maintain()
        stats = pool.stats()
        assert (stats.idle, stats.total) == (2, 2)
        assert len(manager.disposed) == 3
    assert_empty(pool, manager)


async def test_it_waits_for_the_closing(clock: FakeClock) -> None:
    """As ``clear`` does."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=False) as pool:
        await held(pool)
        clock.now += 60.0
        gate = manager.dispose_gate = Gate()
        call: Running[None] = await call_soon(pool.maintain)
        await until(lambda: gate.waiting)
        assert not call.done()
        gate.open()
        await call.result()
        assert pool.get_size() == 0
    assert_empty(pool, manager)


async def test_a_dispose_that_fails_stops_nothing(
    worker: bool, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged; the place is free."""

    class Clumsy(Manager):
        """Cannot close a connection."""

        async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
            await super().dispose(endpoint, conn, timeout)
            raise OSError("jammed")

    manager = Clumsy()
    async with ConnectionPool(manager, background_collector=worker) as pool:
        await stocked(pool, 3)
        clock.now += 60.0
        await pool.maintain()
        await until(lambda: pool.get_size() == 0)
        assert caplog.text.count("OSError('jammed')") == 3
    assert_empty(pool, manager)


async def test_what_is_told_of_it(clock: FakeClock) -> None:
    """What any other would tell."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(
        manager,
        background_collector=False,
        idle_timeout=None,
        min_size=1,
        event_listeners=[recorder.listener],
    ) as pool:
        await held(pool)
        recorder.clear()
        clock.now += 3600.0
        await pool.maintain()
        assert told(recorder.events) == [
            ("ConnectionClosed", 1),
            ("ConnectionCreated", 2),
            ("ConnectionReady", 2),
        ]
    assert_empty(pool, manager)


async def test_several_may_maintain_at_once(worker: bool, clock: FakeClock) -> None:
    """Nothing is done twice."""
    manager = Hooked()
    async with ConnectionPool(
        manager, background_collector=worker, min_size=3, health_check_interval=30.0
    ) as pool:
        await stocked(pool, 6)
        await pool.add("other")
        for _ in range(3):
            clock.now += 30.0
            calls: list[Running[None]] = [await call_soon(pool.maintain) for _ in range(4)]
            for call in calls:
                await call.result()
            await until(lambda: pool.stats().total == pool.stats().idle)
        assert (pool.stats("e").idle, pool.stats("other").idle) == (3, 3)
        assert len(manager.opened) == 9
        assert len(manager.disposed) == 3
    assert_empty(pool, manager)


async def test_a_hook_may_maintain(clock: FakeClock) -> None:
    """Nothing is closed or opened twice when the pool is asked from a hook in the middle of a round."""

    class Eager(Hooked):
        """Maintains the pool from each of its hooks."""

        async def check_aliveness(
            self, endpoint: Any, conn: Connection, timeout: float | None
        ) -> bool:
            await pool.maintain()
            return await super().check_aliveness(endpoint, conn, timeout)

        async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
            await pool.maintain()
            await super().dispose(endpoint, conn, timeout)

    manager = Eager()
    pool = ConnectionPool(
        manager, background_collector=False, health_check_interval=30.0, idle_timeout=45.0
    )
    async with pool:
        idle = await stocked(pool, 4)
        idle[1].alive = False
        clock.now += 30.0
        await pool.maintain()
        assert manager.calls.count("check_aliveness") == 4
        assert pool.stats().idle == 4
        clock.now += 15.0
        await pool.maintain()
        assert pool.stats().idle == 1
    assert_empty(pool, manager)
