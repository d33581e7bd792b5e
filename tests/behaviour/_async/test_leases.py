"""Leases: one checkout from the demand to the end, and nothing beyond it."""

from typing import Any

import pytest

from pool import LeaseReleasedError, PoolError
from pool.aio import ConnectionPool
from support.aio import Gate, call_soon, until

from .callers import queued, settled
from .fakes import Hooked, Manager, Recorder, assert_empty, held


async def enter(block: Any) -> Any:
    """Enter a block and leave it."""
    async with block as connection:
        return connection


# -- what a lease shows -----------------------------------------------------------------------------


async def test_a_lease_shows_what_it_holds() -> None:
    """The user's own object, the connection's id, and where it leads."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        other = await pool.acquire("e")
        lease = await pool.acquire("e")
        assert lease.connection is manager.opened[1]
        assert lease.id == 2
        assert lease.endpoint == "e"
        assert repr(lease) == "<Lease #2 of 'e', in use>"
        await lease.release()
        await other.release()
    assert_empty(pool, manager)


async def test_a_lease_that_has_ended_shows_no_connection() -> None:
    """It still knows what it held."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        lease = await pool.acquire("e")
        await lease.release()
        with pytest.raises(LeaseReleasedError, match=r"#1 to 'e' has ended"):
            _ = lease.connection
        assert lease.id == 1
        assert lease.endpoint == "e"
        assert repr(lease) == "<Lease #1 of 'e', ended>"
    assert_empty(pool, manager)


async def test_a_block_that_was_not_entered_holds_nothing() -> None:
    """Making it takes nothing from the pool."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        block = pool.connection("e")
        with pytest.raises(LeaseReleasedError, match="not acquired"):
            _ = block.connection
        assert block.endpoint == "e"
        assert repr(block) == "<Lease of 'e', new>"
        assert pool.stats().endpoints == 0
        assert manager.started == 0


@pytest.mark.parametrize("step", ["create", "on_acquire"])
async def test_a_block_whose_acquire_failed_holds_nothing(step: str) -> None:
    """Neither what was being opened nor what was being prepared; ending it does nothing."""
    manager = Hooked()

    def fail(*args: Any) -> Any:
        raise OSError("refused")

    manager.errors = [OSError("refused")] if step == "create" else []
    manager.on["on_acquire"] = fail
    async with ConnectionPool(manager) as pool:
        block = pool.connection("e")
        with pytest.raises(OSError, match="refused"):
            async with block:
                pytest.fail("entered")
        with pytest.raises(LeaseReleasedError, match="not acquired"):
            _ = block.connection
        await block.release()
        await block.discard()
        await settled(pool)
        assert (pool.stats().total, pool.stats().released) == (0, 0)
    assert_empty(pool, manager)


async def test_a_block_is_a_lease_too() -> None:
    """Its object shows what it holds, and may end it early."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        block = pool.connection("e")
        async with block as connection:
            assert block.connection is connection
            assert block.id == 1
            await block.release()
            assert pool.stats().idle == 1
        assert pool.stats().released == 1
    assert_empty(pool, manager)


# -- a lease ends once ------------------------------------------------------------------------------


async def test_a_second_release_does_nothing() -> None:
    """The connection went back once, and was reset once."""
    manager = Hooked()
    async with ConnectionPool(manager) as pool:
        lease = await pool.acquire("e")
        await lease.release()
        await lease.release()
        assert manager.calls.count("on_release") == 1
        assert (pool.stats().idle, pool.stats().released) == (1, 1)
    assert_empty(pool, manager)


async def test_a_discard_after_the_release_does_nothing() -> None:
    """The connection is the pool's again."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        lease = await pool.acquire("e")
        await lease.release()
        await lease.discard()
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_a_release_after_the_discard_does_nothing() -> None:
    """The connection is gone."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        lease = await pool.acquire("e")
        await lease.discard()
        await lease.release()
        assert pool.stats().total == 0
    assert_empty(pool, manager)


async def test_a_discard_closes_the_connection() -> None:
    """When it returns, it is disposed of; told as checked in, then closed."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        lease = await pool.acquire("e")
        await lease.discard()
        assert manager.opened[0].disposed
        assert recorder.names()[-2:] == ["ConnectionCheckedIn", "ConnectionClosed"]
        assert recorder.reasons() == [(1, "error")]
    assert_empty(pool, manager)


@pytest.mark.parametrize("way", ["release", "discard"])
async def test_a_lease_that_has_ended_touches_nobody_elses_connection(way: str) -> None:
    """Its connection is somebody else's now."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        old = await pool.acquire("e")
        await old.release()
        async with pool.connection("e") as connection:
            assert connection is manager.opened[0]
            await getattr(old, way)()
            assert not connection.disposed
            assert pool.stats().in_use == 1
    assert_empty(pool, manager)


@pytest.mark.parametrize("way", ["release", "discard"])
async def test_a_lease_may_end_inside_its_block(way: str) -> None:
    """The end of the block finds nothing left to do, even if it is left by an error."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        lease = await pool.acquire("e")

        async def body() -> None:
            async with lease:
                await getattr(lease, way)()
                recorder.clear()
                raise KeyError

        with pytest.raises(KeyError):
            await body()
        assert recorder.events == []
    assert_empty(pool, manager)


@pytest.mark.parametrize("way", ["release", "discard"])
async def test_a_lease_that_never_began_has_no_end(way: str) -> None:
    """Ending a block that was not entered does nothing, and it can be entered still."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        block = pool.connection("e")
        await getattr(block, way)()
        assert pool.stats().released == 0
        async with block as connection:
            assert connection.number == 1
    assert_empty(pool, manager)


# -- a lease as a block -----------------------------------------------------------------------------


async def test_a_lease_is_a_block() -> None:
    """Entering it gives the connection that it holds; leaving it gives that back."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        lease = await pool.acquire("e")
        async with lease as connection:
            assert connection is lease.connection
            assert pool.stats().acquired == 1
        assert pool.stats().idle == 1
        with pytest.raises(LeaseReleasedError):
            _ = lease.connection
    assert_empty(pool, manager)


async def test_a_lease_that_is_entered_takes_no_other_connection() -> None:
    """However many lie idle, it is the one that it holds, and it is given back."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        lease, other = await pool.acquire("e"), await pool.acquire("e")
        await other.release()
        async with lease as connection:
            assert connection is manager.opened[0]
            assert (pool.stats().acquired, pool.stats().idle) == (2, 1)
        assert (pool.stats().released, pool.stats().idle) == (2, 2)
    assert_empty(pool, manager)


async def test_a_lease_that_has_ended_cannot_be_entered() -> None:
    """It takes nothing from the pool."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        lease = await pool.acquire("e")
        await lease.release()
        with pytest.raises(LeaseReleasedError, match="has ended"):
            async with lease:
                pytest.fail("entered")
        assert (pool.stats().acquired, pool.stats().idle) == (1, 1)
    assert_empty(pool, manager)


@pytest.mark.parametrize("listening", [False, True])
async def test_a_block_cannot_be_entered_twice(listening: bool) -> None:
    """One object is one checkout, whichever way it takes."""
    manager = Manager()
    listeners = [Recorder().listener] if listening else []
    async with ConnectionPool(manager, event_listeners=listeners) as pool:
        await held(pool)
        block = pool.connection("e")
        async with block:
            pass
        with pytest.raises(LeaseReleasedError, match="has ended"):
            async with block:
                pytest.fail("entered")
        assert (pool.stats().acquired, pool.stats().idle) == (2, 1)
    assert_empty(pool, manager)


async def test_a_block_within_itself_is_the_same_lease() -> None:
    """It gives the same connection; the inner end is the end."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        block = pool.connection("e")
        async with block as outer:
            async with block as inner:
                assert inner is outer
            assert pool.stats().idle == 1
        assert (pool.stats().acquired, pool.stats().released) == (1, 1)
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_block_that_waits_cannot_be_entered_by_another() -> None:
    """He gets an error at once, and the one who waits keeps his place and his connection."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        block, gate = pool.connection("e", 10.0), Gate()

        async def enter() -> Any:
            async with block as connection:
                await gate.wait()
                return connection

        first = await queued(pool, enter)
        second = await call_soon(enter)
        await until(second.done)
        with pytest.raises((RuntimeError, PoolError)):
            await second.result()
        await lease.release()
        await until(lambda: gate.waiting)
        assert pool.stats().in_use == 1
        gate.open()
        assert await first.result() is manager.opened[0]
    assert_empty(pool, manager)


# -- a lease that is being acquired -----------------------------------------------------------------


@pytest.mark.concurrency
@pytest.mark.parametrize("step", ["create", "on_acquire"])
async def test_a_block_that_is_being_entered_shows_no_connection(step: str) -> None:
    """Neither one that is not there yet nor one that is not prepared yet."""
    manager, gate = Hooked(), Gate()
    if step == "create":
        manager.create_gate = gate
    else:
        manager.gates[step] = gate
    async with ConnectionPool(manager) as pool:
        block = pool.connection("e")
        call = await call_soon(enter, block)
        await until(lambda: gate.waiting)
        with pytest.raises(LeaseReleasedError, match=r"(being|not) acquired"):
            _ = block.connection
        gate.open()
        assert await call.result() is manager.opened[0]
    assert_empty(pool, manager)


@pytest.mark.concurrency
@pytest.mark.parametrize("way", ["release", "discard"])
@pytest.mark.parametrize("step", ["create", "create of many hooks", "on_acquire"])
async def test_a_block_that_is_being_entered_has_not_begun(way: str, step: str) -> None:
    """Ending it from outside does nothing: nobody gets what is not there yet."""
    # Without hooks there is a shorter way out.
    manager, gate = Manager() if step == "create" else Hooked(), Gate()
    if isinstance(manager, Hooked) and step == "on_acquire":
        manager.gates[step] = gate
    else:
        manager.create_gate = gate
    async with ConnectionPool(manager) as pool:
        block = pool.connection("e")
        call = await call_soon(enter, block)
        await until(lambda: gate.waiting)
        await getattr(block, way)()
        assert (pool.stats().idle, pool.stats().released) == (0, 0)
        gate.open()
        assert await call.result() is manager.opened[0]
        assert (pool.stats().idle, pool.stats().released) == (1, 1)
    assert_empty(pool, manager)
