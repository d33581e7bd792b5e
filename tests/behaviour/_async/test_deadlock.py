"""Hold and wait: callers who hold connections and wait for more, all of them for each other."""

import logging
from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, until

from .callers import Caller, Nested, connecting, nested, queued
from .fakes import Manager, assert_empty
from .watchers import Watched

pytestmark = pytest.mark.concurrency

WORD = "hold-and-wait deadlock"


def reports(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of deadlocks."""
    records = [record for record in caplog.records if WORD in record.getMessage()]
    assert all(record.name == "pool.connection" for record in records)
    assert all(record.levelno == logging.WARNING for record in records)
    return [record.getMessage() for record in records]


def text(callers: int, depth: int, sizes: str) -> str:
    """What is to be said of so many callers who need so many leases each."""
    if callers == 1:
        who, need = "the caller that holds", f"a caller that needs {depth} leases"
    else:
        who = f"each of the {callers} callers that hold"
        need = f"{callers} callers that need {depth} leases each"
    return (
        f"{WORD}: {who} all the connections waits for one more; {need} at the same time "
        f"can only go on with {sizes} (callers x (leases - 1) + 1)"
    )


async def finish(calls: list[Running[Any]], depth: int) -> None:
    for call in calls:
        assert await call.result() == depth


# -- said at once, and with the right number --------------------------------------------------------

MANY = pytest.mark.parametrize("callers", [1, 2, 3])
DEEP = pytest.mark.parametrize("depth", [2, 3])


@MANY
@DEEP
async def test_the_endpoint_is_too_small(
    callers: int, depth: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Said when the last one begins to wait, once; and the size that is named is enough."""
    manager, size = Watched(), callers * (depth - 1)
    async with ConnectionPool(manager, max_size=size) as pool:
        people, calls = await nested(pool, ["e" * depth] * callers)
        for person in people:
            assert reports(caplog) == []
            assert WORD not in pool.explain()
            await person.block()
        expected = text(callers, depth, f"max_size >= {size + 1}")
        await until(lambda: reports(caplog))
        assert reports(caplog) == [expected]
        assert f"\n  {expected}" in pool.explain()
        with pytest.raises(PoolTimeoutError) as caught:
            await pool.acquire("e", 0)
        assert expected in str(caught.value)
        pool.resize(max_size=size + 1)
        await finish(calls, depth)
        assert WORD not in pool.explain()
        assert len(reports(caplog)) == 1
        assert manager.most_seen["e"] == size + 1
    assert_empty(pool, manager)


@MANY
@DEEP
async def test_the_pool_is_too_small(
    callers: int, depth: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The same of the room for all endpoints, wherever the leases are."""
    manager, size = Watched(), callers * (depth - 1)
    async with ConnectionPool(manager, max_size=size, total_max_size=size) as pool:
        names = iter("abcdefghi")
        endpoints = ["".join(next(names) for _ in range(depth)) for _ in range(callers)]
        people, calls = await nested(pool, endpoints)
        for person in people:
            assert reports(caplog) == []
            assert WORD not in pool.explain()
            await person.block()
        expected = text(callers, depth, f"total_max_size >= {size + 1}")
        await until(lambda: reports(caplog))
        assert reports(caplog) == [expected]
        assert f"\n  {expected}" in pool.explain()
        with pytest.raises(PoolTimeoutError) as caught:
            await pool.acquire(endpoints[0][-1], 0)
        assert expected in str(caught.value)
        pool.resize(total_max_size=size + 1)
        await finish(calls, depth)
        assert len(reports(caplog)) == 1
        assert manager.most_seen[None] == size + 1
    assert_empty(pool, manager)


async def test_both_are_too_small(caplog: pytest.LogCaptureFixture) -> None:
    """More at the endpoint alone would be no help, and could not be set."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=2, total_max_size=2) as pool:
        people, calls = await nested(pool, ["ee", "ee"])
        for person in people:
            await person.block()
        await until(lambda: reports(caplog))
        assert reports(caplog) == [text(2, 2, "max_size >= 3 and total_max_size >= 3")]
        pool.resize(max_size=3, total_max_size=3)
        await finish(calls, 2)
    assert_empty(pool, manager)


async def test_several_endpoints_and_the_pool_are_too_small(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As long as others are at work elsewhere, there will be room in the pool; then no more."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=2, total_max_size=4) as pool:
        people, calls = await nested(pool, ["aa", "aa", "bb", "bb"])
        for person in people[:2]:
            await person.block()
        await until(lambda: reports(caplog))
        assert reports(caplog) == [text(2, 2, "max_size >= 3")]
        for person in people[2:]:
            await person.block()
        await until(lambda: len(reports(caplog)) == 2)
        assert reports(caplog)[1] == text(2, 2, "max_size >= 3 and total_max_size >= 5")
        pool.resize(max_size=3, total_max_size=5)
        await finish(calls, 2)
    assert_empty(pool, manager)


async def test_callers_who_hold_different_numbers(caplog: pytest.LogCaptureFixture) -> None:
    """The number is enough for as many who hold as many as the one who holds most."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=3) as pool:
        people, calls = await nested(pool, ["eee", "ee"])
        for person in people:
            await person.block()
        await until(lambda: reports(caplog))
        assert reports(caplog) == [text(2, 3, "max_size >= 5")]
        pool.resize(max_size=5)
        assert [await call.result() for call in calls] == [3, 2]
    assert_empty(pool, manager)


async def test_a_deadlock_in_a_circle(caplog: pytest.LogCaptureFixture) -> None:
    """Each holds what another one waits for, at endpoints that have room for one."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=1) as pool:
        people, calls = await nested(pool, ["ab", "bc", "ca"])
        for person in people:
            assert reports(caplog) == []
            await person.block()
        await until(lambda: reports(caplog))
        assert reports(caplog) == [text(1, 2, "max_size >= 2")]
        assert pool.explain().count(WORD) == 3
        pool.resize(max_size=2)
        await finish(calls, 2)
    assert_empty(pool, manager)


async def test_the_error_of_one_in_it_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """And when he gives up, the others go on."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=2) as pool:
        patient, hasty = Nested(pool, "ee"), Nested(pool, "ee", timeout=0.1)
        calls = [await call_soon(person.call) for person in (patient, hasty)]
        await patient.take()
        await hasty.take()
        await patient.block()
        hasty.go_on()
        with pytest.raises(PoolTimeoutError) as caught:
            await calls[1].result()
        assert text(2, 2, "max_size >= 3") in str(caught.value)
        assert "phase: queue" in str(caught.value)
        assert await calls[0].result() == 2
        assert len(reports(caplog)) == 1
    assert_empty(pool, manager)


# -- not said ---------------------------------------------------------------------------------------


async def test_not_while_one_of_the_holders_is_at_work(caplog: pytest.LogCaptureFixture) -> None:
    """He will give his connection back."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=3) as pool:
        people, calls = await nested(pool, ["ee", "ee"])
        lease = await pool.acquire("e")
        for person in people:
            await person.block()
        assert WORD not in pool.explain()
        with pytest.raises(PoolTimeoutError) as caught:
            await pool.acquire("e", 0)
        assert WORD not in str(caught.value)
        await lease.release()
        await finish(calls, 2)
    assert reports(caplog) == []
    assert_empty(pool, manager)


async def test_not_while_one_of_the_holders_anywhere_is_at_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What he gives back makes room in the pool."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=3, total_max_size=3) as pool:
        people, calls = await nested(pool, ["ab", "cd"])
        lease = await pool.acquire("x")
        for person in people:
            await person.block()
        assert WORD not in pool.explain()
        await lease.release()
        await finish(calls, 2)
    assert reports(caplog) == []
    assert_empty(pool, manager)


async def test_not_for_callers_who_hold_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """However many wait: those who hold do not."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        calls = [await queued(pool, Caller(pool).call) for _ in range(3)]
        assert WORD not in pool.explain()
        await lease.release()
        for call in calls:
            await call.result()
    assert reports(caplog) == []
    assert_empty(pool, manager)


async def test_not_again_when_others_join(caplog: pytest.LogCaptureFixture) -> None:
    """One who holds nothing is no part of it; but what keeps him waiting is said when he asks."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        people, calls = await nested(pool, ["ee"])
        await people[0].block()
        await until(lambda: reports(caplog))
        others = [await queued(pool, Caller(pool).call) for _ in range(2)]
        with pytest.raises(PoolTimeoutError, match=WORD):
            await pool.acquire("e", 0.01)
        pool.resize(max_size=2)
        await finish(calls, 2)
        for call in others:
            await call.result()
    assert len(reports(caplog)) == 1
    assert_empty(pool, manager)


async def test_not_when_the_holder_waits_for_one_who_is_at_work(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """He who holds the one endpoint waits for another, where he will be served."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("b")
        people, calls = await nested(pool, ["ab", "ca"])
        for person in people:
            await person.block()
        assert WORD not in pool.explain()
        await lease.release()
        await finish(calls, 2)
    assert reports(caplog) == []
    assert_empty(pool, manager)


async def test_not_while_a_connection_is_being_opened(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever opens it may be content with it."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=2) as pool:
        people, calls = await nested(pool, ["ee"])
        gate = manager.create_gate = Gate()
        call = await connecting(pool, Caller(pool).call)
        await people[0].block()
        assert WORD not in pool.explain()
        gate.open()
        await call.result()
        await finish(calls, 2)
    assert reports(caplog) == []
    assert_empty(pool, manager)


async def test_not_while_a_connection_is_being_closed(caplog: pytest.LogCaptureFixture) -> None:
    """Its place will be free."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=2) as pool:
        people, calls = await nested(pool, ["ee"])
        lease = await pool.acquire("e")
        gate = manager.dispose_gate = Gate()
        closing = await call_soon(lease.discard)
        await until(lambda: gate.waiting == 1)
        await people[0].block()
        assert WORD not in pool.explain()
        gate.open()
        await closing.result()
        await finish(calls, 2)
    assert reports(caplog) == []
    assert_empty(pool, manager)


async def test_not_while_only_the_permit_to_connect_is_missing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """There is room; another one's connect will end."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=3, max_connecting=1) as pool:
        people, calls = await nested(pool, ["ee"])
        gate = manager.create_gate = Gate()
        call = await connecting(pool, Caller(pool).call)
        await people[0].block()
        assert WORD not in pool.explain()
        gate.open()
        await call.result()
        await finish(calls, 2)
    assert reports(caplog) == []
    assert_empty(pool, manager)


async def test_not_when_the_holder_waits_only_for_a_permit_to_connect(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """He will have a connection to the other endpoint, and give all of his back."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=2, max_connecting=1) as pool:
        people, calls = await nested(pool, ["aab", "ca"])
        gate = manager.create_gate = Gate()
        call = await connecting(pool, Caller(pool, endpoint="b").call)
        for person in people:
            await person.block()
        assert WORD not in pool.explain()
        gate.open()
        await call.result()
        assert [await call.result() for call in calls] == [3, 2]
    assert reports(caplog) == []
    assert_empty(pool, manager)
