"""``total_max_size``: the least recently used idle connection of another endpoint makes room."""

from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, call_soon, until

from .callers import Caller, queued, settled
from .fakes import FakeClock, Hooked, Manager, Recorder, assert_empty, held
from .meddlers import told
from .watchers import Watched

REUSE = pytest.mark.parametrize("reuse", ["lifo", "fifo"])
LISTENING = pytest.mark.parametrize("listening", [False, True])


def listeners(listening: bool) -> list[Any]:
    return [Recorder().listener] if listening else []


# -- which one --------------------------------------------------------------------------------------


@REUSE
@LISTENING
async def test_the_one_used_least_recently_makes_room(reuse: Any, listening: bool) -> None:
    """Over all endpoints, one after the other."""
    manager = Watched()
    options: dict[str, Any] = {"max_size": 3, "total_max_size": 3, "reuse": reuse}
    async with ConnectionPool(manager, event_listeners=listeners(listening), **options) as pool:
        for endpoint in "abcdefg":
            await held(pool, endpoint)
        assert manager.closed_at() == ["a", "b", "c", "d"]
        assert sorted(pool._engine.core.endpoints()) == ["e", "f", "g"]
    assert_empty(pool, manager)


@REUSE
@LISTENING
async def test_use_refreshes(reuse: Any, listening: bool) -> None:
    """One that was used again goes after those that were not."""
    manager = Watched()
    options: dict[str, Any] = {"max_size": 3, "total_max_size": 3, "reuse": reuse}
    async with ConnectionPool(manager, event_listeners=listeners(listening), **options) as pool:
        for endpoint in "abcadbe":
            await held(pool, endpoint)
        # Of a b c, a was used again: d closes b. Then b closes c, and e closes a.
        assert manager.closed_at() == ["b", "c", "a"]
    assert_empty(pool, manager)


@REUSE
async def test_the_order_is_one_over_all_connections(reuse: Any) -> None:
    """An endpoint with several gives up only those that were used least recently."""
    manager = Watched()
    options: dict[str, Any] = {"max_size": 4, "total_max_size": 4, "reuse": reuse}
    async with ConnectionPool(manager, **options) as pool:
        first, second = await pool.acquire("a"), await pool.acquire("a")
        ids = (first.connection, second.connection)
        await first.release()
        await held(pool, "b")
        await second.release()
        await held(pool, "c")
        for number, endpoint in enumerate("defg"):
            await held(pool, endpoint)
            assert [connection.disposed for connection in ids] == [True, number >= 2]
        assert manager.closed_at() == ["a", "b", "a", "c"]
    assert_empty(pool, manager)


@REUSE
async def test_one_that_is_evicted_is_not_lent(reuse: Any) -> None:
    """Wherever among the idle ones of its endpoint it stood; the others are."""
    manager = Manager()
    options: dict[str, Any] = {"max_size": 3, "total_max_size": 3, "reuse": reuse}
    async with ConnectionPool(manager, **options) as pool:
        leases = [await pool.acquire("a") for _ in range(3)]
        kept = [lease.connection for lease in leases[1:]]
        for lease in leases:
            await lease.release()
        await held(pool, "b")
        async with pool.connection("a", 0) as one, pool.connection("a", 0) as other:
            assert sorted([one.number, other.number]) == [it.number for it in kept]
            with pytest.raises(PoolTimeoutError):
                await pool.acquire("a", 0)
    assert_empty(pool, manager)


async def test_what_is_in_use_stays() -> None:
    """However long ago it was lent."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=2, total_max_size=2) as pool:
        async with pool.connection("a") as connection:
            for endpoint in "bcde":
                await held(pool, endpoint)
            assert not connection.disposed
        assert manager.closed_at() == ["b", "c", "d"]
    assert_empty(pool, manager)


async def test_it_counts_when_it_came_back() -> None:
    """One that was lent first and came back last was used last."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=3, total_max_size=3) as pool:
        async with pool.connection("a"):
            await held(pool, "b")
            await held(pool, "c")
            await held(pool, "d")  # closes b, and looks at a on its way
        for endpoint in "ef":
            await held(pool, endpoint)
        assert manager.closed_at() == ["b", "c", "d"]
        await held(pool, "g")
        assert manager.closed_at()[-1] == "a"
    assert_empty(pool, manager)


async def test_a_check_in_the_background_is_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is being checked cannot go; checked, it goes before those used later."""

    class Checked(Watched):
        gate = Gate(is_open=True)

        async def check_aliveness(self, endpoint: Any, conn: Any, timeout: float | None) -> bool:
            await self.gate.wait()
            return True

    clock, manager = FakeClock(monkeypatch), Checked()
    options: dict[str, Any] = {"health_check_interval": 5.0, "check_after_idle": None}
    async with ConnectionPool(manager, max_size=3, total_max_size=3, **options) as pool:
        await held(pool, "a")
        clock.now += 4.0
        await held(pool, "b")
        await held(pool, "c")
        clock.now += 1.0
        manager.gate = Gate()
        checking = await call_soon(pool.maintain)
        await until(lambda: manager.gate.waiting == 1)
        await held(pool, "d")
        assert manager.closed_at() == ["b"]
        manager.gate.open()
        await checking.result()
        await held(pool, "e")
        assert manager.closed_at() == ["b", "a"]
    assert_empty(pool, manager)


async def test_a_caller_without_time_evicts_nothing() -> None:
    """Now or never takes what is idle at its endpoint, if anything is."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=2, total_max_size=2) as pool:
        await held(pool, "a")
        await held(pool, "b")
        for endpoint in "cd":
            with pytest.raises(PoolTimeoutError, match="total_max_size=2 is reached"):
                await pool.acquire(endpoint, 0)
        assert (pool.stats().idle, manager.disposed) == (2, [])
    assert_empty(pool, manager)


async def test_without_a_total_nothing_makes_room() -> None:
    """``None`` is no limit."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1, total_max_size=None) as pool:
        for endpoint in range(150):
            await held(pool, endpoint)
        assert (pool.stats().idle, pool.stats().endpoints) == (150, 150)
        assert manager.disposed == []
    assert_empty(pool, manager)


async def test_there_is_a_total_by_default() -> None:
    """It is 100."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        for endpoint in range(150):
            await held(pool, endpoint)
        assert (pool.stats().idle, pool.stats().endpoints) == (100, 100)
        assert manager.most_live == 100
    assert_empty(pool, manager)


# -- how --------------------------------------------------------------------------------------------


@LISTENING
async def test_it_is_closed_before_another_is_opened(listening: bool) -> None:
    """So that the servers together never see more than the total."""
    manager = Watched()
    pool: ConnectionPool[Any, Any] = ConnectionPool(
        manager, max_size=2, total_max_size=2, event_listeners=listeners(listening)
    )
    async with pool:
        for endpoint in "abcd":
            await held(pool, endpoint)
        assert manager.log == [
            ("open", "a"),
            ("open", "b"),
            ("close", "a"),
            ("open", "c"),
            ("close", "b"),
            ("open", "d"),
        ]
        assert manager.most_seen[None] == 2
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_slow_dispose_keeps_its_place() -> None:
    """Who waits for the room waits for the end of the closing, and counts as waiting."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=2, total_max_size=2) as pool:
        await held(pool, "a")
        await held(pool, "b")
        gate = manager.dispose_gate = Gate()
        call = await queued(pool, Caller(pool, endpoint="c").call)
        await until(lambda: gate.waiting == 1)
        stats = pool.stats()
        assert (stats.total, stats.idle, stats.closing, stats.waiting) == (2, 1, 1, 1)
        assert manager.started == 2
        gate.open()
        await call.result()
        assert manager.most_seen[None] == 2
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_no_more_are_closed_than_are_needed() -> None:
    """One for each who waits, while all of the closing goes on."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=4, total_max_size=4) as pool:
        for endpoint in "abcd":
            await held(pool, endpoint)
        gate = manager.dispose_gate = Gate()
        calls = [await queued(pool, Caller(pool, endpoint=endpoint).call) for endpoint in "xy"]
        await until(lambda: gate.waiting == 2)
        assert (pool.stats().closing, pool.stats().idle) == (2, 2)
        gate.open()
        for call in calls:
            await call.result()
        assert sorted(manager.closed_at()) == ["a", "b"]
        assert pool.stats().idle == 4
        assert manager.most_seen[None] == 4
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_callers_who_may_not_connect_yet_evict_nothing() -> None:
    """Room is made for as many as ``max_connecting`` and ``max_size`` allow."""
    manager = Watched()
    options: dict[str, Any] = {"max_size": 2, "max_connecting": 1, "total_max_size": 4}
    async with ConnectionPool(manager, **options) as pool:
        for endpoint in "abcd":
            await held(pool, endpoint)
        gate = manager.create_gate = Gate()
        callers = [Caller(pool, endpoint="x", holds=True) for _ in range(3)]
        calls = [await call_soon(caller.call) for caller in callers]
        await until(lambda: gate.waiting == 1 and pool.stats().waiting == 2)
        assert (manager.closed_at(), pool.stats().idle) == (["a"], 3)
        gate.open()
        await until(lambda: pool.stats("x").in_use == 2)
        assert (manager.closed_at(), pool.stats().waiting) == (["a", "b"], 1)
        for caller in callers:
            caller.gate.open()
        for call in calls:
            await call.result()
        assert (manager.most_seen["x"], manager.most_opening["x"]) == (2, 1)
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_caller_who_leaves_makes_no_more_room() -> None:
    """What he had closed is the room of the next; nothing else goes."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=2, total_max_size=2) as pool:
        lease = await pool.acquire("a")
        other = await pool.acquire("b")
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("c", 0.02)
        await lease.release()
        await other.release()
        assert pool.stats().idle == 2
        assert manager.disposed == []
    assert_empty(pool, manager)


async def test_it_is_told_as_a_closing_for_idleness() -> None:
    """With the reason ``idle``, before the new one is told of; it is no error."""
    manager, recorder = Manager(), Recorder()
    pool: ConnectionPool[Any, Any] = ConnectionPool(
        manager, max_size=1, total_max_size=1, event_listeners=[recorder.listener]
    )
    async with pool:
        await held(pool, "a")
        recorder.clear()
        await held(pool, "b")
        assert told(recorder.events) == [
            ("PoolCreated", None),
            ("PoolReady", None),
            ("ConnectionCheckOutStarted", None),
            ("ConnectionClosed", 1),
            ("ConnectionCreated", 1),
            ("ConnectionReady", 1),
            ("ConnectionCheckedOut", 1),
            ("ConnectionCheckedIn", 1),
        ]
        closed = recorder.events[3]
        assert (closed.address, closed.reason) == ("a", "idle")
        stats = pool.stats()
        assert (stats.created, stats.closed, stats.errors) == (2, 1, 0)
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_what_makes_room_as_it_comes_back_is_told_so() -> None:
    """Checked in, then closed with the reason ``idle``."""
    manager, recorder = Manager(), Recorder()
    pool: ConnectionPool[Any, Any] = ConnectionPool(
        manager, max_size=1, total_max_size=1, event_listeners=[recorder.listener]
    )
    async with pool:
        lease = await pool.acquire("a")
        call = await queued(pool, Caller(pool, endpoint="b").call)
        recorder.clear()
        await lease.release()
        await call.result()
        assert told(recorder.events)[:2] == [("ConnectionCheckedIn", 1), ("ConnectionClosed", 1)]
        assert recorder.reasons() == [(1, "idle")]
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_what_makes_room_as_it_comes_back_is_not_reset() -> None:
    """``on_release`` is not called for a connection that will be closed."""
    manager = Hooked()
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:
        lease = await pool.acquire("a")
        caller = Caller(pool, endpoint="b", holds=True)
        call = await queued(pool, caller.call)
        await lease.release()
        assert "on_release" not in manager.calls
        caller.gate.open()
        await call.result()
        assert manager.calls.count("on_release") == 1
    assert_empty(pool, manager)


async def test_an_endpoint_that_lost_its_last_connection_is_forgotten() -> None:
    """Used again, it is created again, and its ids start again."""
    manager, recorder = Manager(), Recorder()
    pool: ConnectionPool[Any, Any] = ConnectionPool(
        manager, max_size=1, total_max_size=1, event_listeners=[recorder.listener]
    )
    async with pool:
        await held(pool, "a")
        await held(pool, "b")
        assert pool.stats().endpoints == 1
        async with pool.connection("a"):
            pass
        assert recorder.names().count("PoolCreated") == 3
        assert recorder.reasons() == [(1, "idle"), (1, "idle")]
    assert_empty(pool, manager)


async def test_a_failing_dispose_makes_room_too(caplog: pytest.LogCaptureFixture) -> None:
    """Its error is logged and concerns nobody."""

    class Broken(Manager):
        async def dispose(self, endpoint: Any, conn: Any, timeout: float | None) -> None:
            await super().dispose(endpoint, conn, timeout)
            raise OSError("broken pipe")

    manager = Broken()
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:
        await held(pool, "a")
        await held(pool, "b")
        await settled(pool)
        assert "dispose of connection #1 to 'a' failed" in caplog.text
    assert_empty(pool, manager)
