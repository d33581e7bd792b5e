"""A pool of shared connections: what there is, how it grows, and who gets which connection."""

import pytest

from pool import PoolExhaustedError, PoolTimeoutError
from support.aio import Gate, call_soon, until

from .callers import connecting, queued
from .fakes import Hooked, Manager, assert_empty
from .sharers import DirtyError, Shared, Silent, Visitor, leave, numbers, spoil, take, use

pytestmark = pytest.mark.concurrency


# -- what there is ----------------------------------------------------------------------------------


async def test_a_new_pool_has_nothing() -> None:
    """And needs neither a loop nor a server."""
    manager = Manager()
    pool = Shared(manager, size=3, name="main")
    assert (pool.connections, pool.connected, pool.broken) == ([], [], [])
    assert (pool.size, pool.pending, pool.endpoint, pool.name) == (3, 0, "e", "main")
    assert (pool.is_empty(), pool.is_full(), pool.is_working()) == (True, False, False)
    assert manager.started == 0
    with pytest.raises(PoolExhaustedError, match=r"no connection to 'e' works: 0 connections"):
        pool.least_loaded()
    await pool.close()
    assert_empty(pool, manager)


async def test_the_block_of_a_pool_opens_all() -> None:
    """And closes them at the end."""
    manager = Manager()
    async with Shared(manager, size=5) as pool:
        assert numbers(pool.connections) == numbers(pool.connected) == [1, 2, 3, 4, 5]
        mine_and_theirs = zip(pool.connections, manager.opened, strict=True)
        assert all(mine is theirs for mine, theirs in mine_and_theirs)
        assert (pool.is_empty(), pool.is_full(), pool.is_working()) == (False, True, True)
        assert manager.most_creating <= 2
        assert pool.stats().idle == 5
        await pool.open()
        assert manager.started == 5
    assert (pool.connections, pool.is_empty(), pool.is_working()) == ([], True, False)
    assert_empty(pool, manager)


async def test_what_is_told_while_it_is_used() -> None:
    """Each caller is one that is pending, also of one connection."""
    manager = Manager()
    async with Shared(manager) as pool:
        leases = await take(pool, 5)
        assert (pool.pending, pool.stats().in_use, pool.stats().acquired) == (5, 2, 5)
        assert numbers(pool.connected) == [1, 2]
        await leave(leases[:3])
        assert (pool.pending, pool.stats().released) == (2, 3)
        await leave(leases[3:])
        assert (pool.pending, pool.stats().in_use, pool.stats().idle) == (0, 0, 2)
    assert_empty(pool, manager)


async def test_what_is_told_while_it_connects() -> None:
    """What is not open yet is nowhere but in the statistics."""
    manager = Manager()
    manager.create_gate = Gate()
    pool = Shared(manager)
    call = await connecting(pool, use, pool)
    assert (pool.connections, pool.pending) == ([], 0)
    assert (pool.is_empty(), pool.is_full(), pool.is_working()) == (True, False, False)
    assert pool.stats().connecting == 1
    with pytest.raises(PoolExhaustedError, match="1 connecting"):
        pool.least_loaded()
    manager.create_gate.open()
    assert (await call.result()).number == 1
    await pool.close()
    assert_empty(pool, manager)


async def test_what_is_told_while_one_is_broken() -> None:
    """It is listed as long as callers use it, and after that too; the others are the least loaded."""
    manager = Manager()
    async with Shared(manager) as pool:
        first, second, third = await take(pool, 3)
        broken = third.connection
        disposed = manager.disposed
        await third.discard()
        assert numbers(pool.broken) == [broken.number]
        assert numbers(pool.connections) == [1, 2]
        assert len(pool.connected) == 1
        assert pool.pending == 2
        assert numbers(disposed) == [], "somebody uses it"
        assert pool.least_loaded() is not broken
        assert (pool.is_full(), pool.is_working()) == (True, True)
        await leave([first, second])
        assert numbers(disposed) == [broken.number]
        assert numbers(pool.broken) == [broken.number]
        assert pool.is_full()
    assert (pool.broken, pool.connections) == ([], [])
    assert_empty(pool, manager)


async def test_no_one_works() -> None:
    """The error says what failed."""
    manager = Manager()
    pool = Shared(manager, size=1)
    await spoil(pool)
    assert (pool.is_working(), pool.is_empty(), pool.is_full()) == (False, False, True)
    manager.errors = [OSError("refused")]
    with pytest.raises(OSError, match="refused"):
        await use(pool)
    with pytest.raises(PoolExhaustedError, match=r"last connect error .*refused") as caught:
        pool.least_loaded()
    assert isinstance(caught.value.__cause__, OSError)
    await pool.close()
    assert_empty(pool, manager)


async def test_the_least_loaded_is_not_counted() -> None:
    """Whoever asks for it may use it or not."""
    manager = Manager()
    async with Shared(manager) as pool:
        lease = await pool.acquire()
        other = pool.least_loaded()
        assert other is not lease.connection
        assert pool.least_loaded() is other
        assert pool.pending == 1
        await lease.release()
    assert_empty(pool, manager)


# -- growth -----------------------------------------------------------------------------------------


async def test_it_grows_when_all_are_busy() -> None:
    """One at a time, as callers come, up to the size; then they share."""
    manager = Manager()
    pool = Shared(manager, size=3)
    assert (await use(pool)) is (await use(pool))
    assert manager.started == 1
    leases = await take(pool, 3)
    assert numbers(pool.connected) == [1, 2, 3]
    assert [lease.id for lease in leases] == [1, 2, 3]
    leases += await take(pool, 3)
    assert sorted(lease.id for lease in leases) == [1, 1, 2, 2, 3, 3]
    assert manager.started == 3
    await leave(leases)
    await pool.close()
    assert_empty(pool, manager)


@pytest.mark.parametrize(("reuse", "ids"), [("lifo", [3, 3, 3]), ("fifo", [1, 2, 3])])
async def test_of_those_equally_loaded(reuse: str, ids: list[int]) -> None:
    """The one used last goes first, or the one that was not used longest."""
    manager = Manager()
    async with Shared(manager, size=3, reuse=reuse) as pool:
        for expected in ids:
            lease = await pool.acquire()
            assert lease.id == expected
            await lease.release()
    assert_empty(pool, manager)


async def test_callers_come_while_the_only_one_is_opened() -> None:
    """They wait for it, all of them, and share it."""
    manager = Manager()
    manager.create_gate = Gate()
    pool = Shared(manager, size=1)
    calls = [await connecting(pool, use, pool)]
    calls += [await queued(pool, use, pool) for _ in range(4)]
    manager.create_gate.open()
    assert {(await call.result()).number for call in calls} == {1}
    assert manager.started == 1
    await pool.close()
    assert_empty(pool, manager)


async def test_a_growth_that_fails_is_no_ones_error(caplog: pytest.LogCaptureFixture) -> None:
    """While another connection works and has room the caller shares that; it is logged."""
    manager = Manager()
    pool = Shared(manager)
    lease = await pool.acquire()
    manager.errors = [OSError("refused")]
    again = await pool.acquire()
    assert again.connection is lease.connection
    assert (
        "cannot open a connection to 'e' beside those that work: OSError('refused')" in caplog.text
    )
    assert (manager.started, pool.pending, pool.stats().errors) == (2, 2, 1)
    await leave([lease, again])
    await pool.close()
    assert_empty(pool, manager)


async def test_after_a_failed_growth_the_next_waits_a_while(clock: object) -> None:
    """While something works, nobody is held up by a server that is down."""
    manager = Manager()
    pool = Shared(manager)
    first = await pool.acquire()
    manager.errors = [OSError("refused")]
    leases = await take(pool, 3)
    assert manager.started == 3, "chance is none, so the second failed and the third was opened"
    await leave([first, *leases])
    await pool.close()
    assert_empty(pool, manager)


async def test_a_growth_that_hangs_ends_in_a_share() -> None:
    """As soon as the time of the connect is over."""
    manager = Silent()
    pool = Shared(manager, connect_timeout=0.01)
    lease = await pool.acquire()
    manager.silent = True
    again = await pool.acquire()
    assert again.connection is lease.connection
    await leave([lease, again])
    await pool.close()
    assert_empty(pool, manager)


async def test_a_growth_that_takes_half_of_the_time() -> None:
    """The caller shares what works, with the other half."""
    manager = Silent()
    pool = Shared(manager)
    lease = await pool.acquire()
    manager.silent = True
    shared = await pool.acquire(0.2)
    assert shared.connection is lease.connection
    assert manager.calls.count("on_acquire") == 2
    assert (numbers(pool.connected), pool.broken) == ([1], [])
    for each in (shared, lease):
        await each.release()
    await pool.close()
    assert_empty(pool, manager)


async def test_a_connect_without_another_has_all_of_the_time() -> None:
    """Half of it is kept back only for a share of what works."""
    manager = Manager()
    pool = Shared(manager, connect_timeout=None)
    lease = await pool.acquire(100.0)
    growth = await pool.acquire(100.0)
    await leave([lease, growth])
    await pool.clear()
    await use(pool, 100.0)
    assert [round(seconds or 0) for seconds in manager.timeouts] == [100, 50, 100]
    await pool.close()
    assert_empty(pool, manager)


async def test_a_growth_that_fails_while_all_are_taken() -> None:
    """The caller queues before all others, and gets what is given back."""
    manager = Manager()
    pool = Shared(manager, max_pending=1)
    log: list[str] = []
    lease = await pool.acquire()
    manager.create_gate, manager.errors = Gate(), [OSError("refused")] * 9
    growing = await connecting(pool, Visitor(pool, "growing", log).call)
    manager.create_gate.open()
    await until(lambda: pool.stats().waiting == 1 and not pool.stats().connecting)
    await lease.release()
    assert (await growing.result()).number == 1
    await pool.close()
    assert_empty(pool, manager)


async def test_a_failed_connect_without_another() -> None:
    """It reaches the caller as it was raised, and the next one tries again."""
    manager = Manager()
    pool = Shared(manager)
    for _ in range(2):
        manager.errors = [OSError("refused")]
        with pytest.raises(OSError, match="refused"):
            await use(pool)
    assert (await use(pool)).number == 1
    await pool.close()
    assert_empty(pool, manager)


async def test_no_time_to_grow() -> None:
    """Now or never means a share of what is open."""
    manager = Manager()
    pool = Shared(manager)
    with pytest.raises(PoolTimeoutError, match="phase: queue"):
        await use(pool, 0)
    lease = await pool.acquire()
    again = await pool.acquire(0)
    assert again.connection is lease.connection
    assert manager.started == 1
    await leave([lease, again])
    await pool.close()
    assert_empty(pool, manager)


# -- leases -----------------------------------------------------------------------------------------


async def test_a_share_ends_once() -> None:
    """And leaves the shares of others alone."""
    manager = Manager()
    async with Shared(manager, size=1) as pool:
        first, second = await take(pool, 2)
        for _ in range(2):
            await first.release()
            await first.discard()
        assert (pool.pending, pool.broken, pool.stats().released) == (1, [], 1)
        assert second.connection.number == 1
        assert "has ended" in str(_error_of(first))
        await second.discard()
        await second.release()
        assert numbers(pool.broken) == [1]
    assert_empty(pool, manager)


async def test_a_lease_is_a_block_too() -> None:
    """An error that leaves it breaks the connection, as of any block."""
    manager = Hooked()
    async with Shared(manager, size=1) as pool:
        async with await pool.acquire() as connection:
            assert connection.number == 1
        assert pool.connected
        with pytest.raises(DirtyError):
            async with await pool.acquire():
                raise DirtyError
        assert not pool.connected
    assert_empty(pool, manager)


async def test_several_at_once_are_served_at_once() -> None:
    """A hundred callers hold two connections at the same time."""
    manager = Manager()
    async with Shared(manager) as pool:
        visitors = [Visitor(pool, holds=True) for _ in range(20)]
        calls = [await call_soon(visitor.call) for visitor in visitors]
        await until(lambda: pool.pending == 20)
        assert (pool.stats().in_use, pool.stats().waiting) == (2, 0)
        for visitor in visitors:
            visitor.gate.open()
        got = [(await call.result()).number for call in calls]
        # How many come while the second one is being opened is not known.
        assert (len(got), set(got)) == (20, {1, 2})
    assert_empty(pool, manager)


def _error_of(lease: object) -> BaseException:
    try:
        _ = lease.connection  # type: ignore[attr-defined]
    except Exception as error:
        return error
    pytest.fail("it has not ended")
