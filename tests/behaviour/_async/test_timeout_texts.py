"""What the error says when the time is up."""

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import me

from .callers import Caller, line, queued, queued_late
from .fakes import FakeClock, Manager, assert_empty, held


async def test_the_text_counts() -> None:
    """How many connections there are, what they do, and how many wait."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        async with pool.connection("e"):
            call = await queued(pool, Caller(pool).call)
            with pytest.raises(PoolTimeoutError) as caught:
                await pool.acquire("e", 0)
            counts = "1 connection (1 in use, 0 idle, 0 connecting, 0 closing), 1 waiting"
            assert counts in str(caught.value)
        await call.result()
    assert_empty(pool, manager)


async def test_the_text_counts_him_who_waited() -> None:
    """He is in the queue still when he writes."""
    manager = Manager()
    pool = ConnectionPool(manager, max_size=1)
    async with pool, pool.connection("e"):
        with pytest.raises(PoolTimeoutError, match="1 waiting"):
            await pool.acquire("e", 0.02)
    assert_empty(pool, manager)


async def test_the_text_names_who_holds_and_since_when(monkeypatch: pytest.MonkeyPatch) -> None:
    """By number, age, task or thread, file, line and function."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        taken = line() + 1
        lease = await pool.acquire("e")
        clock.now += 3.0
        with pytest.raises(PoolTimeoutError) as caught:
            await pool.acquire("e", 0)
        name = "test_the_text_names_who_holds_and_since_when"
        expected = f"#1 in use for 3.000 s by {me()}, from {__file__}:{taken} in {name}"
        assert expected in str(caught.value)
        await lease.release()
    assert_empty(pool, manager)


async def test_the_text_names_the_holder_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that went round is held from where its last block began."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        await held(pool)
        clock.now += 0.5
        taken = line() + 1
        async with pool.connection("e"):
            clock.now += 0.25
            with pytest.raises(PoolTimeoutError) as caught:
                await pool.acquire("e", 0)
        name = "test_the_text_names_the_holder_of_a_block"
        expected = f"#1 in use for 0.250 s by {me()}, from {__file__}:{taken} in {name}"
        assert expected in str(caught.value)
    assert_empty(pool, manager)


async def test_the_text_names_the_oldest_holders(monkeypatch: pytest.MonkeyPatch) -> None:
    """The three that have held longest, in that order, and how many more there are."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, max_size=5) as pool:
        leases = []
        for _ in range(5):
            leases.append(await pool.acquire("e"))
            clock.now += 1.0
        await leases.pop(0).release()
        leases.append(await pool.acquire("e"))
        clock.now += 1.0
        with pytest.raises(PoolTimeoutError) as caught:
            await pool.acquire("e", 0)
        text = str(caught.value)
        places = [text.index(f"#{number} in use") for number in (2, 3, 4)]
        assert places == sorted(places)
        assert "#1 in use" not in text
        assert "#5 in use" not in text
        assert "and 2 more" in text
        for lease in leases:
            await lease.release()
    assert_empty(pool, manager)


async def test_the_text_is_written_when_a_grant_crosses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller who believes that his time was up says so, whatever he was just given."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        call = await queued_late(pool, monkeypatch, Caller(pool).call)
        await lease.release()
        with pytest.raises(PoolTimeoutError, match=r"within 10.0 s .*phase: queue"):
            await call.result()
    assert_empty(pool, manager)
