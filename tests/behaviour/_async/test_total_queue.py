"""``total_max_size``: whoever waited longest, at any endpoint, has the next place that is free."""

import gc
import random
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, until

from .callers import Caller, connecting, queued, queued_late
from .fakes import Connection, FakeClock, Hooked, Manager, assert_empty, held
from .watchers import Watched

pytestmark = pytest.mark.concurrency


class Quit(BaseException):
    """Somebody wants to be gone, wherever he is."""


async def line_up(
    pool: ConnectionPool[Any, Any], endpoints: str, log: list[Any], *, holds: bool = False
) -> list[tuple[Caller, Running[Any]]]:
    """Let callers wait at these endpoints, in this order."""
    callers = [Caller(pool, name, log, endpoint=name, holds=holds) for name in endpoints]
    return [(caller, await queued(pool, caller.call)) for caller in callers]


# -- ways in which a place becomes free -------------------------------------------------------------

Way = Callable[[ConnectionPool[Any, Any], Hooked], Any]


async def by_release(pool: ConnectionPool[Any, Any], manager: Hooked) -> Any:
    return (await pool.acquire("a")).release


async def by_discard(pool: ConnectionPool[Any, Any], manager: Hooked) -> Any:
    return (await pool.acquire("a")).discard


async def by_the_error_of_a_body(pool: ConnectionPool[Any, Any], manager: Hooked) -> Any:
    lease = await pool.acquire("a")

    async def end() -> None:
        with suppress(ValueError):
            async with lease:
                raise ValueError

    return end


async def by_an_error_on_release(pool: ConnectionPool[Any, Any], manager: Hooked) -> Any:
    def fail(connection: Connection) -> None:
        raise OSError("no reset")

    async def end() -> None:
        manager.on["on_release"] = fail
        # It is not reset if it makes room anyway.
        with suppress(OSError):
            await lease.release()
        del manager.on["on_release"]

    lease = await pool.acquire("a")
    return end


async def by_an_error_on_acquire(pool: ConnectionPool[Any, Any], manager: Hooked) -> Any:
    def fail(connection: Connection) -> None:
        if connection.endpoint == "a" and connection.number == 1:
            raise OSError("not prepared")

    manager.on["on_acquire"] = fail
    gate = manager.gates["on_acquire"] = Gate()
    call = await call_soon(Caller(pool, endpoint="a").call)
    await until(lambda: gate.waiting == 1)

    async def end() -> None:
        gate.open()
        with pytest.raises(OSError, match="not prepared"):
            await call.result()

    return end


def by_failing_to_connect(error: BaseException) -> Way:
    async def way(pool: ConnectionPool[Any, Any], manager: Hooked) -> Any:
        gate = manager.create_gate = Gate()
        manager.errors = [error]
        call = await connecting(pool, Caller(pool, endpoint="a").call)

        async def end() -> None:
            gate.open()
            with pytest.raises(type(error)):
                await call.result()

        return end

    return way


async def by_a_lost_lease(pool: ConnectionPool[Any, Any], manager: Hooked) -> Any:
    leases = [await pool.acquire("a")]

    async def end() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            leases.clear()
            gc.collect()

    return end


async def by_a_clear(pool: ConnectionPool[Any, Any], manager: Hooked) -> Any:
    lease = await pool.acquire("a")

    async def end() -> None:
        await pool.clear("a")
        await lease.release()

    return end


async def by_removal(pool: ConnectionPool[Any, Any], manager: Hooked) -> Any:
    lease = await pool.acquire("z")

    async def end() -> None:
        await pool.remove("z")
        await lease.release()

    return end


WAYS: dict[str, Way] = {
    "release": by_release,
    "discard": by_discard,
    "an error of the body": by_the_error_of_a_body,
    "an error on release": by_an_error_on_release,
    "an error on acquire": by_an_error_on_acquire,
    "an error of the connect": by_failing_to_connect(OSError("refused")),
    "a connect that took too long": by_failing_to_connect(TimeoutError("too slow")),
    "an interrupted connect": by_failing_to_connect(Quit()),
    "a lost lease": by_a_lost_lease,
    "clear": by_a_clear,
    "remove": by_removal,
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_place_that_becomes_free_goes_to_the_oldest(way: str) -> None:
    """In whatever way and wherever it became free, and the next ones in their order."""
    manager, log = Hooked(), list[Any]()
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:
        end = await WAYS[way](pool, manager)
        calls = await line_up(pool, "bac", log)
        await end()
        for _, call in calls:
            await call.result()
        assert log == ["b", "a", "c"]
        assert manager.most_live == 1
    assert_empty(pool, manager)


async def test_the_time_of_one_who_connects_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What he opened too late makes room for the oldest."""
    clock, manager, log = FakeClock(monkeypatch), Watched(), list[Any]()
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:
        gate = manager.create_gate = Gate()
        late = await connecting(pool, Caller(pool, endpoint="a", timeout=5.0).call)
        calls = [
            await queued(pool, Caller(pool, name, log, endpoint=name, timeout=60.0).call)
            for name in "bac"
        ]
        clock.now += 6.0
        gate.open()
        with pytest.raises(PoolTimeoutError, match="phase: connect"):
            await late.result()
        for call in calls:
            await call.result()
        assert log == ["b", "a", "c"]
        assert manager.most_seen[None] == 1
    assert_empty(pool, manager)


async def test_a_grant_that_comes_too_late_goes_to_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The place of one whose time was up goes on, wherever the next one waits."""
    manager, log = Watched(), list[Any]()
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:
        lease = await pool.acquire("a")
        late = await queued_late(pool, monkeypatch, Caller(pool, endpoint="d").call)
        calls = await line_up(pool, "bac", log)
        await lease.release()
        with pytest.raises(PoolTimeoutError):
            await late.result()
        for _, call in calls:
            await call.result()
        assert log == ["b", "a", "c"]
        assert manager.most_seen["d"] == 0
    assert_empty(pool, manager)


async def test_one_whose_time_is_up_is_passed_over() -> None:
    """He has left the queue; the next one has the place."""
    manager, log = Watched(), list[Any]()
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:
        lease = await pool.acquire("a")
        hasty = await queued(pool, Caller(pool, endpoint="d", timeout=0.02).call)
        calls = await line_up(pool, "bac", log)
        with pytest.raises(PoolTimeoutError):
            await hasty.result()
        await lease.release()
        for _, call in calls:
            await call.result()
        assert log == ["b", "a", "c"]
        assert manager.most_seen["d"] == 0
    assert_empty(pool, manager)


async def test_a_checked_connection_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is checked it belongs to nobody; then it goes, since somebody waits."""
    clock, manager = FakeClock(monkeypatch), Hooked()
    options: dict[str, Any] = {"max_size": 1, "total_max_size": 1, "health_check_interval": 5.0}
    async with ConnectionPool(manager, **options) as pool:
        await held(pool, "a")
        clock.now += 5.0
        gate = manager.gates["check_aliveness"] = Gate()
        checking = await call_soon(pool.maintain)
        await until(lambda: gate.waiting == 1)
        call = await queued(pool, Caller(pool, endpoint="b").call)
        assert manager.disposed == []
        gate.open()
        assert (await call.result()).endpoint == "b"
        await checking.result()
        assert manager.most_live == 1
    assert_empty(pool, manager)


async def test_more_room_goes_to_the_oldest_at_once() -> None:
    """``resize`` serves as many as there is room for now, of those who can use it."""
    manager, log = Watched(), list[Any]()
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:
        lease = await pool.acquire("a")
        calls = await line_up(pool, "abcd", log, holds=True)
        pool.resize(total_max_size=3)
        await until(lambda: len(log) == 2)
        # There is room for one more at a only when its connection comes back.
        assert sorted(log) == ["b", "c"]
        assert (pool.stats().in_use, pool.stats().waiting) == (3, 2)
        await lease.release()
        await until(lambda: len(log) == 3)
        assert log[2] == "a"
        for caller, call in calls:
            caller.gate.open()
            await call.result()
        assert manager.most_seen[None] == 3
    assert_empty(pool, manager)


# -- who can use it ---------------------------------------------------------------------------------


async def test_who_has_no_room_at_his_endpoint_is_passed_over() -> None:
    """``max_size`` holds as before; the place goes to the oldest of the others."""
    manager, log = Watched(), list[Any]()
    async with ConnectionPool(manager, max_size=1, total_max_size=2) as pool:
        kept, lease = await pool.acquire("a"), await pool.acquire("b")
        calls = await line_up(pool, "acb", log, holds=True)
        await lease.release()
        await until(lambda: log)
        assert log == ["c"]
        assert pool.stats().waiting == 2
        for caller, _ in calls:
            caller.gate.open()
        await kept.release()
        for _, call in calls:
            await call.result()
        assert manager.most_seen["a"] == 1
        assert manager.most_seen[None] == 2
    assert_empty(pool, manager)


async def test_who_has_no_permit_to_connect_is_passed_over() -> None:
    """``max_connecting`` holds at each endpoint as before."""
    manager, log = Watched(), list[Any]()
    options: dict[str, Any] = {"max_connecting": 1, "max_size": 3, "total_max_size": 3}
    async with ConnectionPool(manager, **options) as pool:
        leases = [await pool.acquire("a") for _ in range(3)]
        calls = await line_up(pool, "bbcc", log)
        gate = manager.create_gate = Gate()
        for lease in leases:
            await lease.release()
        await until(lambda: gate.waiting == 2)
        assert (pool.stats("b").connecting, pool.stats("c").connecting) == (1, 1)
        assert pool.stats().waiting == 2
        gate.open()
        for _, call in calls:
            await call.result()
        assert (manager.most_opening["b"], manager.most_opening["c"]) == (1, 1)
        assert manager.most_seen[None] == 3
    assert_empty(pool, manager)


async def test_a_connection_goes_straight_to_the_next_of_its_endpoint_if_he_is_the_oldest() -> None:
    """Nothing is closed and opened in between."""
    manager, log = Watched(), list[Any]()
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:
        lease = await pool.acquire("a")
        calls = await line_up(pool, "aab", log)
        await lease.release()
        for _, call in calls:
            await call.result()
        assert log == ["a", "a", "b"]
        assert manager.log == [("open", "a"), ("close", "a"), ("open", "b")]
    assert_empty(pool, manager)


# -- first come, first served -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
async def test_all_are_served_in_the_order_they_came(seed: int) -> None:
    """Over all endpoints, as if there were only one."""
    manager, log, chance = Manager(), list[Any](), random.Random(seed)
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:
        lease = await pool.acquire("a")
        callers = [
            Caller(pool, number, log, endpoint=chance.choice("abcdef")) for number in range(30)
        ]
        calls = [await queued(pool, caller.call) for caller in callers]
        await lease.release()
        for call in calls:
            await call.result()
        assert log == list(range(30))
        assert manager.most_live == 1
    assert_empty(pool, manager)


async def test_nobody_starves_while_another_endpoint_is_busy() -> None:
    """He is served after those who came before him, though they come again and again."""
    manager, log = Watched(), list[Any]()
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:

        async def come_again() -> None:
            while "b" not in log:
                async with pool.connection("a", 10.0):
                    log.append("a")
                    await until(lambda: pool.stats().waiting >= 4 or "b" in log)

        busy = [await call_soon(come_again) for _ in range(5)]
        await until(lambda: pool.stats().waiting >= 4)
        patient = await call_soon(Caller(pool, "b", log, endpoint="b").call)
        await until(lambda: pool.stats("b").waiting or patient.done())
        before = len(log)
        await patient.result()
        for call in busy:
            await call.result()
        assert log.index("b") - before <= 5
        assert manager.most_seen[None] == 1
    assert_empty(pool, manager)


@pytest.mark.parametrize("total", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
async def test_many_endpoints_share_a_tiny_total(seed: int, total: int) -> None:
    """Everybody is served, and the servers never see more."""
    manager = Watched()
    options: dict[str, Any] = {"max_size": min(2, total), "max_connecting": 1}
    async with ConnectionPool(manager, total_max_size=total, **options) as pool:

        async def use(number: int) -> int:
            chance = random.Random(f"{seed} {number}")
            for _ in range(15):
                async with pool.connection(chance.randrange(8), 10.0):
                    if chance.random() < 0.5:
                        await until(lambda: pool.stats().in_use)
            return number

        calls = [await call_soon(use, number) for number in range(12)]
        assert [await call.result() for call in calls] == list(range(12))
        assert manager.most_seen.pop(None) <= total
        assert max(manager.most_seen.values()) <= 2
        assert max(manager.most_opening[endpoint] for endpoint in range(8)) <= 1
        stats = pool.stats()
        assert (stats.acquired, stats.waiting, stats.timeouts) == (180, 0, 0)
    assert_empty(pool, manager)
