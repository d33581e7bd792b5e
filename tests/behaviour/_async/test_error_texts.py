"""What errors and ``explain`` say, word by word: enough to find the culprit at three in the morning."""

from collections.abc import Callable
from typing import Any

import pytest

from pool import (
    PoolClearedError,
    PoolClosedError,
    PoolOverloadedError,
    PoolTimeoutError,
)
from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, me, until

from .callers import connecting, line, queued
from .fakes import Chance, FakeClock, Manager, assert_empty, held

pytestmark = pytest.mark.concurrency


async def take(pool: ConnectionPool[Any, Any], gate: Gate, timeout: float | None = 60.0) -> None:
    """Hold a connection to "e" until the gate opens."""
    async with pool.connection("e", timeout):
        await gate.wait()


#: Where ``take`` acquires.
TAKE = f"from {__file__}:{take.__code__.co_firstlineno + 2} in take"


def counts(
    total: int, in_use: int = 0, idle: int = 0, connecting: int = 0, closing: int = 0
) -> str:
    plural = "" if total == 1 else "s"
    return (
        f"{total} connection{plural} ({in_use} in use, {idle} idle, {connecting} connecting, "
        f"{closing} closing)"
    )


class Scene:
    """One who holds, a connect that failed, one who connects and one who waits; each a second apart."""

    def __init__(self, pool: ConnectionPool[Any, Any], manager: Manager, clock: FakeClock) -> None:
        self.pool = pool
        self.manager = manager
        self.clock = clock
        self.gate = Gate()
        self.error = OSError("refused")
        self.calls: list[Running[None]] = []

    async def set(self) -> None:
        """The pool must have ``max_connecting=1``."""
        holder = await call_soon(take, self.pool, self.gate)
        await until(lambda: self.gate.waiting == 1)
        self.clock.now += 1.0
        self.manager.errors = [self.error]
        with pytest.raises(OSError, match="refused"):
            await self.pool.acquire("e")
        self.clock.now += 1.0
        self.manager.create_gate = Gate()
        connector = await connecting(self.pool, take, self.pool, self.gate)
        self.clock.now += 1.0
        waiter = await queued(self.pool, take, self.pool, self.gate)
        self.clock.now += 1.0
        self.calls = [holder, connector, waiter]

    def matter(self) -> str:
        """What is the matter, in the words of an error."""
        holder, connector, waiter = (call.who for call in self.calls)
        return (
            f"{counts(2, in_use=1, connecting=1)}, 1 waiting; "
            f"longest: #1 in use for 4.000 s by {holder}, {TAKE}; "
            f"#3 connecting for 2.000 s by {connector}, {TAKE}; "
            f"first in the queue for 1.000 s by {waiter}, {TAKE}; "
            "last connect error 3.000 s ago: OSError('refused')"
        )

    async def end(self) -> None:
        """Everybody goes home."""
        self.manager.create_gate.open()
        self.gate.open()
        for call in self.calls:
            await call.result()


# -- whole texts ------------------------------------------------------------------------------------


async def test_a_timeout_in_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Endpoint, time, phase, counts, who holds, who connects, who waits, what failed last; and the cause."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, max_connecting=1) as pool:
        scene = Scene(pool, manager, clock)
        await scene.set()
        with pytest.raises(PoolTimeoutError) as caught:
            await pool.acquire("e", 0)
        assert str(caught.value) == (
            f"no connection to 'e' within 0 s (phase: queue): {scene.matter()}"
        )
        assert caught.value.__cause__ is scene.error
        await scene.end()
    assert_empty(pool, manager)


async def test_too_many_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound, and the same."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, max_connecting=1, max_waiting=1) as pool:
        scene = Scene(pool, manager, clock)
        await scene.set()
        with pytest.raises(PoolOverloadedError) as caught:
            await pool.acquire("e")
        assert str(caught.value) == (
            "too many callers wait for a connection to 'e' (max_waiting=1): " + scene.matter()
        )
        assert caught.value.__cause__ is scene.error
        await scene.end()
    assert_empty(pool, manager)


async def test_paused_after_a_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who still holds what, and the error for which it was probably cleared."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, paused=True) as pool:
        await pool.ready("e")
        gate, error = Gate(), OSError("refused")
        holder = await call_soon(take, pool, gate)
        await until(lambda: gate.waiting == 1)
        clock.now += 1.0
        manager.errors = [error]
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        clock.now += 2.0
        await pool.clear("e")
        with pytest.raises(PoolClearedError) as caught:
            await pool.acquire("e")
        assert str(caught.value) == (
            f"connections to 'e' are paused: {counts(1, in_use=1)}, 0 waiting; "
            f"longest: #1 in use for 3.000 s by {holder.who}, {TAKE}; "
            "last connect error 2.000 s ago: OSError('refused')"
        )
        assert caught.value.__cause__ is error
        gate.open()
        await holder.result()
    assert_empty(pool, manager)


async def test_one_in_the_queue_when_it_is_paused(monkeypatch: pytest.MonkeyPatch) -> None:
    """He is told the same, with who held what he waited for."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, paused=True, max_size=1) as pool:
        await pool.ready("e")
        gate = Gate()
        holder = await call_soon(take, pool, gate)
        await until(lambda: gate.waiting == 1)
        clock.now += 1.0
        waiter = await queued(pool, take, pool, gate)
        await pool.clear("e")
        with pytest.raises(PoolClearedError) as caught:
            await waiter.result()
        assert str(caught.value) == (
            f"connections to 'e' are paused: {counts(1, in_use=1)}, 0 waiting; "
            f"longest: #1 in use for 1.000 s by {holder.who}, {TAKE}"
        )
        assert caught.value.__cause__ is None
        gate.open()
        await holder.result()
    assert_empty(pool, manager)


async def test_no_room_in_the_whole_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the text says so, with the counts of all endpoints and those who have held longest anywhere."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, max_size=4, total_max_size=4) as pool:
        leases, first = [], 0
        for endpoint in "abca":
            first = line() + 1
            leases.append(await pool.acquire(endpoint))
            clock.now += 1.0
        with pytest.raises(PoolTimeoutError) as caught:
            await pool.acquire("d", 0)
        site = f"from {__file__}:{first} in test_no_room_in_the_whole_pool"
        assert str(caught.value) == (
            f"no connection to 'd' within 0 s (phase: queue): {counts(0)}, 0 waiting; "
            f"total_max_size=4 is reached, with {counts(4, in_use=4)}, 0 waiting at 4 endpoints; "
            f"longest: #1 in use for 4.000 s by {me()}, {site} to 'a'; "
            f"#1 in use for 3.000 s by {me()}, {site} to 'b'; "
            f"#1 in use for 2.000 s by {me()}, {site} to 'c'"
        )
        for lease in leases:
            await lease.release()
    assert_empty(pool, manager)


async def test_a_pool_that_is_not_filled_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """``warm_up`` says how many were wanted, how many there are, and why there are no more."""
    clock, manager = FakeClock(monkeypatch), Manager()
    Chance(monkeypatch, 1.0)
    errors = [OSError(f"refused {number}") for number in range(2)]
    async with ConnectionPool(manager, min_size=2, max_connecting=1) as pool:
        manager.errors = [None, *errors]
        call = await call_soon(pool.warm_up, "e", 0.3)
        await until(lambda: pool.stats().errors and not pool.stats().connecting)
        # Its pause will not be over by the clock of the test.
        clock.now += 0.05
        with pytest.raises(PoolTimeoutError) as caught:
            await call.result()
        assert str(caught.value) == (
            f"min_size=2 connections to 'e' not open within 0.3 s (phase: fill): {counts(1, idle=1)}, "
            "0 waiting; last connect error 0.050 s ago: OSError('refused 0')"
        )
        assert caught.value.__cause__ is errors[0]
        manager.errors.clear()
    assert_empty(pool, manager)


async def test_a_closed_pool_names_the_endpoint() -> None:
    """In every call that wants one."""
    pool = ConnectionPool(Manager(), max_size=1)
    lease = await pool.acquire("e")
    waiter = await queued(pool, take, pool, Gate())
    await pool.close()
    acts: list[Callable[[Any], Any]] = [pool.acquire, pool.add, pool.warm_up, pool.ready]
    with pytest.raises(PoolClosedError, match=r"'e' is closed"):
        await waiter.result()
    for act in acts:
        with pytest.raises(PoolClosedError, match=r"closed.*'e'|'e'.*closed"):
            await act("e")
    await lease.release()


# -- explain ----------------------------------------------------------------------------------------


async def test_explain_says_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each endpoint with its state and counts, holders, waiters and last error, one line each."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, max_connecting=1) as pool:
        await held(pool, "idle")
        scene = Scene(pool, manager, clock)
        await scene.set()
        holder, connector, waiter = (call.who for call in scene.calls)
        assert pool.explain().splitlines() == [
            f"'idle' (ready): {counts(1, idle=1)}, 0 waiting",
            f"'e' (ready): {counts(2, in_use=1, connecting=1)}, 1 waiting",
            f"  #1 in use for 4.000 s by {holder}, {TAKE}",
            f"  #3 connecting for 2.000 s by {connector}, {TAKE}",
            f"  waiting as no. 1 for 1.000 s by {waiter}, {TAKE}",
            "  last connect error 3.000 s ago: OSError('refused')",
        ]
        await scene.end()
    assert_empty(pool, manager)


async def test_explain_says_when_the_pool_itself_tries_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """How often it failed in a row, and how long it will wait; and who opens connections for stock."""
    clock, manager = FakeClock(monkeypatch), Manager()
    Chance(monkeypatch, 1.0)
    manager.errors = [OSError("refused"), OSError("reset")]
    async with ConnectionPool(manager, min_size=1) as pool:
        await pool.add("e")
        await until(lambda: pool.stats().errors == 1 and not pool.stats().total)
        clock.now += 0.11
        pool._engine.worker.ring()
        await until(lambda: pool.stats().errors == 2 and not pool.stats().total)
        clock.now += 0.05
        assert pool.explain().splitlines() == [
            f"'e' (ready): {counts(0)}, 0 waiting",
            "  last connect error 0.050 s ago: OSError('reset')",
            "  2 failed connects in a row, the pool itself tries again in 0.150 s",
        ]
        gate = manager.create_gate = Gate()
        clock.now += 0.16
        pool._engine.worker.ring()
        await until(lambda: gate.waiting == 1)
        assert "  #3 connecting for 0.000 s, by the pool itself" in pool.explain().splitlines()
        gate.open()
        await until(lambda: pool.stats().idle == 1)
    assert_empty(pool, manager)


async def test_one_who_has_gone_is_still_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that was handed on names who acquired it, whether or not he is there any more."""
    FakeClock(monkeypatch)
    async with ConnectionPool(Manager()) as pool:
        call = await call_soon(pool.acquire, "e")
        lease = await call.result()
        (_, line_of_holder) = pool.explain().splitlines()
        assert f" by {call.who}, " in line_of_holder or ", which has ended, " in line_of_holder
        await lease.release()
