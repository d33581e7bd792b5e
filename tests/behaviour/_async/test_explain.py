"""What a pool says about itself in words."""

from typing import Any

import pytest

from pool.aio import ConnectionPool
from support.aio import Gate, call_soon, me, until

from .callers import Caller, connecting, line, queued
from .fakes import Connection, FakeClock, Hooked, Manager, assert_empty, held

# -- repr -------------------------------------------------------------------------------------------


class Named(ConnectionPool[Any, Connection]):
    """A user's own pool."""


def test_the_line_of_a_new_pool() -> None:
    """It has nothing."""
    assert repr(ConnectionPool(Manager())) == (
        "<ConnectionPool open: 0 endpoints, 0 in use, 0 idle, 0 connecting, 0 closing, 0 waiting>"
    )


def test_the_line_says_the_name_and_the_class() -> None:
    """So that pools can be told apart."""
    assert repr(Named(Manager(), name="main")).startswith("<Named 'main' open: ")


async def test_the_line_is_true_at_any_time() -> None:
    """It counts what is there."""
    manager = Manager()
    pool = ConnectionPool(manager, max_size=2, max_connecting=1)
    await held(pool, "a")
    lease = await pool.acquire("b")
    manager.create_gate = Gate()
    calls = [
        await connecting(pool, Caller(pool, endpoint="b").call),
        await queued(pool, Caller(pool, endpoint="b").call),
    ]
    assert repr(pool) == (
        "<ConnectionPool open: 2 endpoints, 1 in use, 1 idle, 1 connecting, 0 closing, 1 waiting>"
    )
    manager.create_gate.open()
    for call in calls:
        await call.result()
    await lease.release()
    assert repr(pool) == (
        "<ConnectionPool open: 2 endpoints, 0 in use, 3 idle, 0 connecting, 0 closing, 0 waiting>"
    )
    await pool.close()
    assert "<ConnectionPool closed: " in repr(pool)
    assert "0 in use, 0 idle, 0 connecting, 0 closing, 0 waiting" in repr(pool)
    assert_empty(pool, manager)


# -- explain ----------------------------------------------------------------------------------------


async def test_there_may_be_nothing_to_explain() -> None:
    """A pool that nobody uses says so."""
    pool = ConnectionPool(Manager())
    assert pool.explain() == "no endpoint in use"


async def test_it_says_who_holds_what_since_when_and_from_where(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By id, age, task or thread, file, line and function; the oldest first."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager) as pool:
        first = line() + 1
        lease = await pool.acquire("e")
        clock.now += 2.0
        second = line() + 1
        async with pool.connection("e"):
            clock.now += 0.5
            lines = pool.explain().splitlines()
        name = "test_it_says_who_holds_what_since_when_and_from_where"
        assert lines[0].startswith("'e' (ready): 2 connections (2 in use, 0 idle")
        assert lines[1:] == [
            f"  #1 in use for 2.500 s by {me()}, from {__file__}:{first} in {name}",
            f"  #2 in use for 0.500 s by {me()}, from {__file__}:{second} in {name}",
        ]
        await lease.release()
    assert_empty(pool, manager)


async def test_the_place_of_a_block_over_several_lines_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is the line of the call."""
    FakeClock(monkeypatch)
    async with ConnectionPool(Manager()) as pool:
        place = line() + 2
        async with (
            pool.connection("e"),
        ):
            assert f"{__file__}:{place} in " in pool.explain()


async def test_a_lease_that_was_handed_on_is_held_from_where_it_was_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The function that called the pool is named, not the one that has it now."""
    FakeClock(monkeypatch)

    async def take() -> Any:
        return await pool.acquire("e")

    async with ConnectionPool(Manager()) as pool, await take():
        assert ".<locals>.take" in pool.explain()


async def test_it_says_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the queue: who, since when and from where."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        calls = [await queued(pool, Caller(pool).call)]
        clock.now += 2.0
        calls.append(await queued(pool, Caller(pool).call))
        clock.now += 0.5
        lines = pool.explain().splitlines()
        assert "2 waiting" in lines[0]
        first, second = (call.who for call in calls)
        assert lines[2].startswith(f"  waiting as no. 1 for 2.500 s by {first}, from ")
        assert lines[3].startswith(f"  waiting as no. 2 for 0.500 s by {second}, from ")
        assert lines[3].endswith(" in Caller.call")
        await lease.release()
        for call in calls:
            await call.result()
    assert_empty(pool, manager)


async def test_it_says_who_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Like a holder: there is a connection that somebody works on."""
    clock, manager = FakeClock(monkeypatch), Manager()
    manager.create_gate = Gate()
    async with ConnectionPool(manager) as pool:
        call = await connecting(pool, Caller(pool).call)
        clock.now += 1.5
        lines = pool.explain().splitlines()
        assert lines[1].startswith(f"  #1 connecting for 1.500 s by {call.who}, from ")
        assert lines[1].endswith(" in Caller.call")
        manager.create_gate.open()
        await call.result()
    assert_empty(pool, manager)


async def test_it_says_which_connection_is_being_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    """And since when: its lease has ended."""
    clock, manager = FakeClock(monkeypatch), Hooked()
    gate = manager.gates["on_release"] = Gate()
    async with ConnectionPool(manager) as pool:
        lease = await pool.acquire("e")
        clock.now += 5.0
        call = await call_soon(lease.release)
        await until(lambda: gate.waiting)
        clock.now += 1.5
        assert f"  #1 releasing for 1.500 s by {me()}, from " in pool.explain()
        gate.open()
        await call.result()
    assert_empty(pool, manager)


async def test_it_says_what_failed_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last connect error of the endpoint, and how long ago it was."""
    clock, manager = FakeClock(monkeypatch), Manager()
    pool = ConnectionPool(manager)
    async with pool, pool.connection("e"):
        for text in ("refused", "reset"):
            manager.errors = [OSError(text)]
            with pytest.raises(OSError, match=text):
                await pool.acquire("e")
        clock.now += 2.5
        assert pool.explain().count("last connect error") == 1
        assert "last connect error 2.500 s ago: OSError('reset')" in pool.explain()


async def test_it_says_what_failed_last_at_an_endpoint_that_has_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is forgotten, but the pool knows what failed last, and where."""
    clock, manager = FakeClock(monkeypatch), Manager()
    manager.errors = [OSError("refused")]
    async with ConnectionPool(manager) as pool:
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        clock.now += 2.5
        assert "last connect error 2.500 s ago: OSError('refused')" in pool.explain()
        assert "'e'" in pool.explain()


async def test_a_connect_that_succeeds_is_the_end_of_the_story() -> None:
    """The failures before it are forgotten, also if the endpoint is an equal value."""
    manager = Manager()
    manager.errors = [OSError("refused")]
    async with ConnectionPool(manager) as pool:
        with pytest.raises(OSError, match="refused"):
            await pool.acquire(("host", int("80")))
        await held(pool, ("host", int("80")))
        assert "last connect error" not in pool.explain()
    assert_empty(pool, manager)
