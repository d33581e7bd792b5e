"""Opening connections: how many at once, who gets what comes first, and what a failure does."""

from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, until

from .callers import Caller, connecting, queued
from .fakes import FakeClock, Manager, assert_empty, held

pytestmark = pytest.mark.concurrency


class Stop(BaseException):
    """Ends more than an attempt, as ``KeyboardInterrupt`` does."""


class Slow(Manager):
    """Its creates take ``seconds`` of a fake clock, and do not care for their timeout."""

    def __init__(self, clock: FakeClock, seconds: float) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = seconds

    async def create(self, endpoint: Any, timeout: float | None) -> Any:
        connection = await super().create(endpoint, timeout)
        self.clock.now += self.seconds
        return connection


async def passers(gate: Gate) -> None:
    """Wait until somebody stands before the gate."""
    await until(lambda: gate.waiting)


# -- how many at once -------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2])
async def test_never_more_creates_at_once_than_allowed(most: int) -> None:
    """The others wait for a permit although there is room, and all are served in the end."""
    manager = Manager()
    manager.create_gate = Gate()
    async with ConnectionPool(manager, max_connecting=most) as pool:
        callers = [Caller(pool, holds=True) for _ in range(5)]
        calls = [await connecting(pool, caller.call) for caller in callers[:most]]
        calls += [await queued(pool, caller.call) for caller in callers[most:]]
        stats = pool.stats()
        assert (stats.connecting, stats.waiting) == (most, 5 - most)
        assert manager.creating == most
        manager.create_gate.open()
        await until(lambda: pool.stats().in_use == 5)
        for caller in callers:
            caller.gate.open()
        for call in calls:
            await call.result()
        assert manager.most_creating == most
        assert manager.started == 5
    assert_empty(pool, manager)


async def test_permits_are_given_in_the_order_the_callers_came() -> None:
    """Each caller opens one connection, numbered in the order of the permits."""
    manager = Manager()
    manager.create_gate = Gate()
    async with ConnectionPool(manager, max_connecting=1) as pool:
        callers = [Caller(pool, holds=True) for _ in range(4)]
        calls = [await connecting(pool, callers[0].call)]
        calls += [await queued(pool, caller.call) for caller in callers[1:]]
        manager.create_gate.open()
        await until(lambda: pool.stats().in_use == 4)
        for caller in callers:
            caller.gate.open()
        for call in calls:
            await call.result()
        assert [caller.id for caller in callers] == [1, 2, 3, 4]
    assert_empty(pool, manager)


async def test_each_endpoint_has_its_own_permits() -> None:
    """A connect to one that hangs does not hold up another."""
    manager = Manager()
    manager.create_gate = Gate()
    async with ConnectionPool(manager, max_size=1, max_connecting=1) as pool:
        calls = [
            await connecting(pool, Caller(pool, endpoint=endpoint).call) for endpoint in ("a", "b")
        ]
        assert manager.creating == 2
        manager.create_gate.open()
        for call in calls:
            await call.result()
    assert_empty(pool, manager)


async def test_what_is_being_opened_counts_against_the_size() -> None:
    """With room for one, the second caller waits for the first one's connection."""
    manager = Manager()
    manager.create_gate = Gate()
    async with ConnectionPool(manager, max_size=1) as pool:
        first = await connecting(pool, Caller(pool).call)
        second = await queued(pool, Caller(pool).call)
        assert manager.started == 1
        manager.create_gate.open()
        assert await first.result() is await second.result()
        assert manager.most_live == 1
    assert_empty(pool, manager)


async def test_what_is_being_closed_counts_against_the_size() -> None:
    """A waiter is served only once a slow dispose has ended: the server never sees one too many."""
    manager = Manager()
    manager.dispose_gate = Gate()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        waiting = await queued(pool, Caller(pool).call)
        closing = await call_soon(lease.discard)
        await until(lambda: manager.dispose_gate.waiting == 1)
        stats = pool.stats()
        assert (stats.total, stats.closing, stats.waiting) == (1, 1, 1)
        assert manager.started == 1
        manager.dispose_gate.open()
        assert (await waiting.result()).number == 2
        await closing.result()
        assert manager.most_live == 1
    assert_empty(pool, manager)


async def test_without_a_size_every_caller_gets_a_connection() -> None:
    """``max_size=None`` means no limit."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=None) as pool:
        leases = [await pool.acquire("e", 1.0) for _ in range(50)]
        assert pool.get_size() == 50
        for lease in leases:
            await lease.release()
    assert_empty(pool, manager)


# -- whichever comes first --------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2])
async def test_a_waiter_takes_a_connection_that_is_returned_before_a_permit(most: int) -> None:
    """All permits are in use, but somebody gives a connection back."""
    manager = Manager()
    async with ConnectionPool(manager, max_connecting=most) as pool:
        lease = await pool.acquire("e")
        manager.create_gate = Gate()
        calls = [await connecting(pool, Caller(pool).call) for _ in range(most)]
        caller = Caller(pool)
        waiting = await queued(pool, caller.call)
        await lease.release()
        await waiting.result()
        assert caller.id == 1
        assert pool.stats().connecting == most
        manager.create_gate.open()
        for call in calls:
            await call.result()
        assert manager.started == 1 + most
    assert_empty(pool, manager)


@pytest.mark.parametrize("most", [1, 2])
async def test_a_waiter_takes_a_permit_that_is_free_before_a_connection(most: int) -> None:
    """All connections are in use, but somebody has finished opening one."""
    manager = Manager()
    async with ConnectionPool(manager, max_connecting=most) as pool:
        lease = await pool.acquire("e")
        gates = [Gate() for _ in range(most + 1)]
        opening = [Caller(pool, holds=True) for _ in range(most)]
        calls = []
        for gate, caller in zip(gates, opening, strict=False):
            manager.create_gate = gate
            calls.append(await connecting(pool, caller.call))
            await passers(gate)
        manager.create_gate = gates[-1]
        waiter = Caller(pool)
        waiting = await queued(pool, waiter.call)
        gates[0].open()
        await passers(gates[-1])
        assert pool.stats().connecting == most
        for gate in gates:
            gate.open()
        await waiting.result()
        assert waiter.id == 2 + most
        for caller in opening:
            caller.gate.open()
        for call in calls:
            await call.result()
        await lease.release()
    assert_empty(pool, manager)


async def test_a_returned_connection_is_idle_when_all_others_connect() -> None:
    """Who opens a connection takes that one; the returned one is for the next caller."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        lease = await pool.acquire("e")
        manager.create_gate = Gate()
        opening = Caller(pool, holds=True)
        call = await connecting(pool, opening.call)
        await lease.release()
        async with pool.connection("e", 0) as connection:
            assert connection.number == 1
        manager.create_gate.open()
        opening.gate.open()
        await call.result()
        assert opening.id == 2
    assert_empty(pool, manager)


# -- failures ---------------------------------------------------------------------------------------


async def test_the_caller_gets_the_error_of_create_itself() -> None:
    """The very object, not wrapped and not chained."""
    manager, error = Manager(), OSError("refused")
    manager.errors = [error]
    async with ConnectionPool(manager) as pool:
        with pytest.raises(OSError, match="refused") as caught:
            await pool.acquire("e")
        assert caught.value is error
        assert error.__cause__ is None
        assert error.__context__ is None


async def test_a_failed_create_has_freed_its_slot_when_its_caller_knows() -> None:
    """He may try again at once, even where nobody may wait."""
    manager = Manager()
    manager.errors = [OSError("refused")]
    async with ConnectionPool(manager, max_size=1, max_waiting=0) as pool:
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        assert pool.stats().total == 0
        await held(pool)
    assert_empty(pool, manager)


async def test_a_failed_create_leaves_nothing_behind() -> None:
    """It is counted, and the endpoint is forgotten."""
    manager = Manager()
    manager.errors = [OSError("refused")]
    async with ConnectionPool(manager, max_size=1, max_connecting=1) as pool:
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        await until(lambda: pool.stats().endpoints == 0)
        stats = pool.stats()
        assert (stats.total, stats.errors, stats.created, stats.closed) == (0, 1, 0, 0)
        await held(pool)
    assert_empty(pool, manager)


@pytest.mark.parametrize("limits", [{"max_connecting": 1}, {"max_size": 1}])
async def test_a_failed_create_wakes_the_next_who_tries_himself(limits: Any) -> None:
    """One failure fails one caller."""
    manager = Manager()
    manager.errors = [OSError("refused")]
    manager.create_gate = Gate()
    async with ConnectionPool(manager, **limits) as pool:
        unlucky = await connecting(pool, Caller(pool).call)
        lucky = await queued(pool, Caller(pool).call)
        manager.create_gate.open()
        with pytest.raises(OSError, match="refused"):
            await unlucky.result()
        assert (await lucky.result()).number == 1
        assert manager.started == 2
    assert_empty(pool, manager)


async def test_every_caller_gets_the_error_of_his_own_attempt() -> None:
    """A server that refuses everybody is asked once for each, in the order they came."""
    manager = Manager()
    errors = [OSError(f"refused {number}") for number in range(4)]
    manager.errors = list(errors)
    manager.create_gate = Gate()
    async with ConnectionPool(manager, max_size=1) as pool:
        calls: list[Running[Any]] = [await connecting(pool, Caller(pool).call)]
        calls += [await queued(pool, Caller(pool).call) for _ in range(3)]
        manager.create_gate.open()
        for call, error in zip(calls, errors, strict=True):
            with pytest.raises(OSError, match="refused") as caught:
                await call.result()
            assert caught.value is error
    assert_empty(pool, manager)


async def test_an_interrupt_of_create_frees_the_slot() -> None:
    """What is no ``Exception`` goes through as it is; it counts as no failed connect."""
    manager, stop = Manager(), Stop()
    manager.errors = [stop]
    async with ConnectionPool(manager, max_size=1, max_connecting=1) as pool:
        with pytest.raises(Stop) as caught:
            await pool.acquire("e")
        assert caught.value is stop
        await held(pool)
        assert pool.stats().errors == 0
    assert_empty(pool, manager)


# -- time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("connect_timeout", "timeout", "seconds"),
    [
        (10.0, 30.0, 10.0),
        (10.0, 4.0, 4.0),
        (10.0, None, 10.0),
        (None, 4.0, 4.0),
        (None, None, None),
    ],
)
async def test_create_is_told_how_much_time_it_has(
    connect_timeout: float | None,
    timeout: float | None,
    seconds: float | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connect timeout or what is left of the acquire, whichever is less."""
    FakeClock(monkeypatch)
    manager = Manager()
    async with ConnectionPool(manager, connect_timeout=connect_timeout) as pool:
        lease = await pool.acquire("e", timeout)
        assert manager.timeouts == [seconds]
        await lease.release()
    assert_empty(pool, manager)


async def test_the_time_in_the_queue_is_gone_for_create(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has waited 25 of his 30 seconds has 5 to connect."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, max_size=1, connect_timeout=10.0) as pool:
        lease = await pool.acquire("e")
        call = await queued(pool, Caller(pool, timeout=30.0).call)
        clock.now += 25.0
        await lease.discard()
        await call.result()
        assert manager.timeouts == [10.0, 5.0]
    assert_empty(pool, manager)


async def test_a_connection_that_is_opened_too_late_is_kept_for_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its caller gets ``PoolTimeoutError``; the next one gets the connection."""
    manager = Slow(FakeClock(monkeypatch), seconds=6.0)
    async with ConnectionPool(manager) as pool:
        with pytest.raises(PoolTimeoutError, match="phase: connect"):
            await pool.acquire("e", 5.0)
        assert pool.stats().idle == 1
        async with pool.connection("e", 0) as connection:
            assert connection is manager.opened[0]
        assert manager.started == 1
    assert_empty(pool, manager)


async def test_a_connection_that_is_opened_too_late_goes_to_a_waiter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever is next in the queue has it at once."""
    manager = Slow(FakeClock(monkeypatch), seconds=6.0)
    manager.create_gate = Gate()
    async with ConnectionPool(manager, max_size=1) as pool:
        hasty = await connecting(pool, Caller(pool, timeout=5.0).call)
        patient = await queued(pool, Caller(pool, timeout=10.0).call)
        manager.create_gate.open()
        with pytest.raises(PoolTimeoutError, match="phase: connect"):
            await hasty.result()
        assert await patient.result() is manager.opened[0]
        assert manager.started == 1
    assert_empty(pool, manager)
