"""Leases that are garbage-collected without a release: they are reclaimed, and somebody is told."""

import gc
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pool._core.pool import PoolCore
from pool.aio import ConnectionPool
from support.aio import Gate, call_soon, until

from .callers import line, queued
from .fakes import Connection, Hooked, Manager, Recorder, assert_empty, held
from .meddlers import told

pytestmark = pytest.mark.concurrency

Pool = ConnectionPool[Any, Connection]


@pytest.fixture(autouse=True)
def warned() -> Iterator[list[Any]]:
    """The warnings that are given, instead of errors."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield seen


@contextmanager
def no_collection() -> Iterator[None]:
    """Nothing is collected but by the test itself."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def texts(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings of losses in the log."""
    return [
        record.getMessage()
        for record in caplog.records
        if (record.name, record.levelno) == ("pool.connection", logging.WARNING)
        and "garbage-collected" in record.getMessage()
    ]


async def lose(pool: Pool, endpoint: Any = "e", **options: Any) -> Connection:
    """Acquire a lease and forget it; return its connection."""
    lease = await pool.acquire(endpoint, **options)
    return lease.connection


async def lose_in_a_cycle(pool: Pool, endpoint: Any = "e") -> Connection:
    """As ``lose``, but only the garbage collector finds it."""
    holder: list[Any] = [await pool.acquire(endpoint)]
    holder.append(holder)
    connection: Connection = holder[0].connection
    return connection


# -- what becomes of it -----------------------------------------------------------------------------


async def test_it_is_reclaimed() -> None:
    """The counts come back, and its connection is disposed of, once, and goes to nobody."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        connection = await lose(pool)
        await until(lambda: pool.get_size() == 0)
        assert [conn.number for conn in manager.disposed] == [connection.number]
        stats = pool.stats()
        assert (stats.acquired, stats.released, stats.created, stats.closed) == (1, 1, 1, 1)
        assert (await held(pool)).number == 2
    assert_empty(pool, manager)


async def test_it_is_reclaimed_out_of_a_cycle() -> None:
    """When the garbage collector comes by."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        with no_collection():
            await lose_in_a_cycle(pool)
            assert pool.stats().in_use == 1
            gc.collect()
        await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_a_block_that_was_never_left() -> None:
    """It counts as a lease."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        block = pool.connection("e")
        await block.__aenter__()
        del block
        await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_what_listeners_are_told() -> None:
    """In, then closed, because of an error; the rest of its life was told before."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        await lose(pool)
        await until(lambda: pool.get_size() == 0)
        assert told(recorder.events)[-3:] == [
            ("ConnectionCheckedOut", 1),
            ("ConnectionCheckedIn", 1),
            ("ConnectionClosed", 1),
        ]
        assert recorder.reasons() == [(1, "error")]
    assert_empty(pool, manager)


async def test_whoever_waits_is_served() -> None:
    """Also if he waited already when the lease was lost, and nobody else comes."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        call = await queued(pool, held, pool)
        del lease
        assert (await call.result()).number == 2
    assert_empty(pool, manager)


async def test_whoever_waits_elsewhere_is_served() -> None:
    """The room in the pool comes back too."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:
        lease = await pool.acquire("e")
        call = await queued(pool, held, pool, "f")
        del lease
        assert (await call.result()).endpoint == "f"
    assert_empty(pool, manager)


async def test_many_at_once() -> None:
    """Each of them, wherever it leads."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        with no_collection():
            for number in range(60):
                await (lose if number % 2 else lose_in_a_cycle)(pool, number % 20)
            gc.collect()
        await until(lambda: pool.get_size() == 0)
        assert pool.stats().released == 60
        assert pool.stats().endpoints == 0
    assert_empty(pool, manager)


async def test_an_endpoint_that_was_removed() -> None:
    """Its last lease is lost: it is forgotten."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        lease = await pool.acquire("e")
        await pool.remove("e")
        assert pool.stats().endpoints == 1
        del lease
        await until(lambda: pool.stats().endpoints == 0)
    assert_empty(pool, manager)


async def test_a_connection_that_is_stale() -> None:
    """It is closed for the reason for which it would have been closed anyway."""
    recorder = Recorder()
    async with ConnectionPool(Manager(), event_listeners=[recorder.listener]) as pool:
        lease = await pool.acquire("e")
        await pool.clear()
        del lease
        await until(lambda: pool.get_size() == 0)
        assert recorder.reasons() == [(1, "stale")]


# -- when the pool is closed ------------------------------------------------------------------------


@pytest.mark.parametrize("worker", [True, False])
async def test_it_is_lost_before_the_close(worker: bool) -> None:
    """The close waits for its end as for any other's."""
    manager = Manager()
    pool = ConnectionPool(manager, background_collector=worker)
    await lose(pool)
    await pool.close(timeout=None)
    assert_empty(pool, manager)


async def test_it_is_lost_after_the_close() -> None:
    """It is closed as any lease that ends then, and whoever waits for the end learns of it."""
    manager, recorder = Manager(), Recorder()
    pool = ConnectionPool(manager, event_listeners=[recorder.listener])
    lease = await pool.acquire("e")
    await pool.close()
    closing = await call_soon(pool.close, None)
    assert not closing.done()
    del lease
    await closing.result()
    assert recorder.reasons() == [(1, "poolClosed")]
    assert_empty(pool, manager)


# -- without a worker -------------------------------------------------------------------------------


async def another_request(pool: Pool) -> None:
    await held(pool, "f")


async def a_round_by_hand(pool: Pool) -> None:
    await pool.maintain()


async def a_close(pool: Pool) -> None:
    await pool.close()


@pytest.mark.parametrize("act", [another_request, a_round_by_hand, a_close])
async def test_the_next_act_reclaims(act: Callable[[Pool], Any]) -> None:
    """With ``background_collector=False`` nobody does it by himself."""
    manager = Manager()
    async with ConnectionPool(manager, background_collector=False) as pool:
        await lose(pool)
        assert pool.stats("e").in_use == 1
        await act(pool)
        await until(lambda: pool.stats("e").total == 0)
    assert_empty(pool, manager)


# -- the warning ------------------------------------------------------------------------------------


async def test_the_warning_names_the_culprit(warned: list[Any]) -> None:
    """A ``ResourceWarning`` as if the place where the lease was acquired gave it: at once, and once."""
    async with ConnectionPool(Manager()) as pool:
        lease = await pool.acquire("e")
        here = line() - 1
        del lease
        (warning,) = warned
        assert (warning.category, warning.filename, warning.lineno) == (
            ResourceWarning,
            __file__,
            here,
        )
        assert str(warning.message) == (
            f"the lease of connection #1 to 'e', acquired at {__file__}:{here} in "
            "test_the_warning_names_the_culprit, was garbage-collected without a release"
        )
        await until(lambda: pool.get_size() == 0)
        assert len(warned) == 1


async def test_the_log_says_so_too(caplog: pytest.LogCaptureFixture) -> None:
    """Where warnings are ignored, as they are by default."""
    async with ConnectionPool(Manager()) as pool:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            block = pool.connection("e")
            here = line() - 1
            await block.__aenter__()
            del block
        await until(lambda: pool.get_size() == 0)
        assert texts(caplog) == [
            f"the lease of connection #1 to 'e', acquired at {__file__}:{here} in "
            "test_the_log_says_so_too, was garbage-collected without a release; it was reclaimed"
        ]


async def test_no_warning_without_a_loss(
    warned: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    """However a lease ended, or if it never began."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        await held(pool)
        await (await pool.acquire("e")).discard()
        lease = await pool.acquire("e")
        with pytest.raises(TimeoutError):
            await pool.acquire("e", 0.001)
        await lease.release()
        manager.errors = [OSError("refused")]
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("f")
        pool.connection("e")
    del pool, lease
    gc.collect()
    assert not warned
    assert not texts(caplog)


async def test_warnings_as_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """They cannot be raised to anybody, and break nothing."""
    unraisable: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: unraisable.append(args.exc_type))
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await lose(pool)
            await until(lambda: pool.get_size() == 0)
        assert unraisable == [ResourceWarning]
        assert recorder.reasons() == [(1, "error")]
        await held(pool)
    assert_empty(pool, manager)


def ask_everything(pool: Pool) -> None:
    """Call what may be called anywhere."""
    pool.stats()
    pool.explain()
    repr(pool)
    pool.resize(max_size=3 + pool.stats().total)


async def test_a_hook_for_warnings_may_use_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """What users do with a warning is their own business; nothing waits for itself."""
    manager, shown = Manager(), list[str]()

    def show(message: Any, *args: Any, **kwargs: Any) -> None:
        ask_everything(pool)
        shown.append(str(message))

    async with ConnectionPool(manager) as pool:
        monkeypatch.setattr(warnings, "showwarning", show)
        await lose(pool)
        assert len(shown) == 1
        await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


async def test_a_loss_in_the_middle_of_a_decision(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A garbage collection strikes where it likes. The warning waits until users may be called again."""
    manager, shown, busy = Manager(), list[str](), list[str]()
    survey = PoolCore.survey

    def show(message: Any, *args: Any, **kwargs: Any) -> None:
        assert not busy, "a user is called in the middle of a decision"
        ask_everything(pool)
        shown.append(str(message))

    def surveyed(core: PoolCore, *args: Any) -> Any:
        busy.append("surveyed")
        leases.clear()
        busy.pop()
        return survey(core, *args)

    async with ConnectionPool(manager) as pool, ConnectionPool(manager) as other:
        leases = [await pool.acquire("e"), await other.acquire("f")]
        monkeypatch.setattr(PoolCore, "survey", surveyed)
        monkeypatch.setattr(warnings, "showwarning", show)
        pool.explain()
        await until(lambda: pool.get_size() == other.get_size() == 0)
        await until(lambda: len(shown) == 2)
        assert len(texts(caplog)) == 2
    assert_empty(pool, manager)


async def test_a_loss_inside_a_hook(warned: list[Any]) -> None:
    """Where the pool itself has called the user: warned of once, and reclaimed."""
    manager = Hooked()

    def forget(conn: Connection) -> None:
        leases.clear()

    manager.on["on_acquire"] = forget
    leases: list[Any] = []
    async with ConnectionPool(manager) as pool:
        leases.append(await pool.acquire("e"))
        await held(pool, "f")
        await until(lambda: pool.stats("e").total == 0)
        assert [warning.category for warning in warned] == [ResourceWarning]
    assert_empty(pool, manager)


async def test_a_warning_that_is_late_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Turned into an error, it is logged, and reaches no caller who has nothing to do with it."""
    manager = Hooked()
    leases: list[Any] = []
    manager.on["on_acquire"] = lambda conn: leases.clear()
    async with ConnectionPool(manager, background_collector=False) as pool:
        leases.append(await pool.acquire("e"))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await held(pool, "f")
            await held(pool, "f")
        assert "the warning of a lost lease failed" in [r.getMessage() for r in caplog.records]
        await until(lambda: pool.stats("e").total == 0)
    assert_empty(pool, manager)


# -- the pool goes with it --------------------------------------------------------------------------


async def test_a_pool_that_is_dropped_with_its_leases(warned: list[Any]) -> None:
    """There is nobody to take them back, and nothing fails."""
    pool = ConnectionPool(Manager())
    leases = [await pool.acquire("e") for _ in range(3)]
    del pool
    leases.clear()
    gc.collect()
    assert [warning.category for warning in warned] == [ResourceWarning] * 3


async def test_a_slow_dispose_holds_nobody_up() -> None:
    """Somebody else acquires while what was lost is being closed."""
    manager = Manager()
    gate = manager.dispose_gate = Gate()
    async with ConnectionPool(manager, max_size=2) as pool:
        await lose(pool)
        await until(lambda: gate.waiting)
        assert (await held(pool)).number == 2
        gate.open()
        await until(lambda: pool.get_size() == 1)
    assert_empty(pool, manager)
