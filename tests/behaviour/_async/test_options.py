"""Making a pool, its options at work, and arguments that make no sense."""

import re
import threading
from collections.abc import Callable
from typing import Any

import pytest

from pool import PoolOptions
from pool.aio import ConnectionPool
from support.aio import THREADS, until

from .callers import Caller, queued, queued_late
from .fakes import Connection, Manager, Recorder, assert_empty, held

NO_SECONDS: list[tuple[Any, type[Exception]]] = [
    (-1, ValueError),
    (-0.001, ValueError),
    (float("nan"), ValueError),
    (float("inf"), ValueError),
    (10**400, ValueError),
    ("5", TypeError),
    (True, TypeError),
    (False, TypeError),
    ([5], TypeError),
]


# -- making a pool ----------------------------------------------------------------------------------


@pytest.fixture
def manager() -> Manager:
    return Manager()


@pytest.fixture
def made_outside(manager: Manager) -> ConnectionPool[Any, Connection]:
    """A pool made by a plain function, where nothing runs that could be waited for."""
    return ConnectionPool(manager)


def test_making_a_pool_starts_nothing() -> None:
    """No thread and no connection; it needs nothing that runs."""
    manager, before = Manager(), threading.enumerate()
    pool = ConnectionPool(manager, event_listeners=[Recorder().listener], name="main", min_size=1)
    assert set(threading.enumerate()) <= set(before)
    assert manager.started == 0
    assert pool.get_size() == 0


async def test_a_pool_made_anywhere_works(
    made_outside: ConnectionPool[Any, Connection], manager: Manager
) -> None:
    """Where it was made does not matter."""
    async with made_outside as pool:
        await held(pool)
    assert_empty(pool, manager)


async def test_a_pool_has_one_worker_for_all_its_endpoints() -> None:
    """Where that is a thread it is a daemon, which does not keep the interpreter alive."""
    manager, before = Manager(), threading.enumerate()
    async with ConnectionPool(manager, min_size=1) as pool:
        for endpoint in range(20):
            await held(pool, endpoint)
            await (await pool.acquire(endpoint)).discard()
            threads = set(threading.enumerate()).difference(before)
            assert len(threads) == THREADS
            assert all(thread.daemon for thread in threads)
    await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


def test_a_pool_shows_its_options() -> None:
    """Those given, and the defaults of the others."""
    pool = ConnectionPool(Manager(), max_size=3, reuse="fifo")
    assert pool.options == PoolOptions(max_size=3, reuse="fifo")


def test_a_pool_shows_its_name() -> None:
    """``None`` if it has none."""
    assert ConnectionPool(Manager(), name="main").name == "main"
    assert ConnectionPool(Manager()).name is None


@pytest.mark.parametrize("name", [5, b"main", ["main"]])
def test_a_name_is_a_str(name: Any) -> None:
    """Anything else is an error that says so."""
    with pytest.raises(TypeError, match="name must be"):
        ConnectionPool(Manager(), name=name)


@pytest.mark.parametrize("value", [None, "manager", Manager, object()])
def test_a_manager_is_a_connection_manager(value: Any) -> None:
    """Anything else is an error that says so: its class, say."""
    with pytest.raises(TypeError, match="manager must be"):
        ConnectionPool(value)


@pytest.mark.parametrize("name", ["max_sise", "timeout", "Max_Size"])
def test_an_unknown_option_is_an_error(name: str) -> None:
    """Which names it."""
    options: Any = {name: 5}
    with pytest.raises(TypeError, match=name):
        ConnectionPool(Manager(), **options)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"max_size": 0}, ValueError, "max_size must be at least 1, not 0"),
        ({"max_size": True}, TypeError, "max_size must be a whole number or None, not True"),
        ({"min_size": -1}, ValueError, "min_size must be at least 0, not -1"),
        ({"max_connecting": 0}, ValueError, "max_connecting must be at least 1, not 0"),
        (
            {"min_size": 11},
            ValueError,
            "min_size must not be more than max_size, which is 10, but is 11",
        ),
        (
            {"max_size": 11, "total_max_size": 10},
            ValueError,
            "max_size must not be more than total_max_size, which is 10, but is 11",
        ),
        (
            {"idle_timeout": float("nan")},
            ValueError,
            "idle_timeout must be finite and not negative (seconds), not nan",
        ),
        (
            {"max_lifetime": float("inf")},
            ValueError,
            "max_lifetime must be finite and more than 0 (seconds), not inf",
        ),
        (
            {"acquire_timeout": "5"},
            TypeError,
            "acquire_timeout must be a number of seconds or None, not '5'",
        ),
        ({"reuse": "random"}, ValueError, "reuse must be 'lifo' or 'fifo', not 'random'"),
        (
            {"background_collector": 1},
            TypeError,
            "background_collector must be True or False, not 1",
        ),
    ],
)
def test_a_bad_option_is_an_error_at_once(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    """It names the option, the bound and the value. ``PoolOptions`` is tested with all of them."""
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        ConnectionPool(Manager(), **options)


def test_options_are_given_by_name() -> None:
    """Only the manager has a position."""
    make: Any = ConnectionPool
    with pytest.raises(TypeError):
        make(Manager(), 5)


@pytest.mark.parametrize(
    "value",
    [None, 5, "listener", ["listener"], [None], Recorder().listener, {Recorder().listener}],
    ids=lambda value: type(value).__name__,
)
def test_listeners_are_a_sequence_of_listeners(value: Any) -> None:
    """Anything else is an error that shows it: a listener alone, say, or ``None``."""
    wrong = value[0] if isinstance(value, list) else value
    with pytest.raises(
        TypeError, match=rf"^event_listeners.* must be .*: {re.escape(repr(wrong))}$"
    ):
        ConnectionPool(Manager(), event_listeners=value)


def test_an_iterator_is_no_sequence_of_listeners() -> None:
    """It could be read once only."""
    value: Any = iter([Recorder().listener])
    with pytest.raises(TypeError, match="listener"):
        ConnectionPool(Manager(), event_listeners=value)


# -- arguments of calls -----------------------------------------------------------------------------


@pytest.mark.parametrize(("timeout", "error"), NO_SECONDS, ids=lambda value: repr(value)[:10])
@pytest.mark.parametrize("way", ["connection", "acquire"])
def test_a_bad_timeout_is_an_error_at_once(way: str, timeout: Any, error: type[Exception]) -> None:
    """By the call itself, before anything is waited for; it names the argument."""
    manager = Manager()
    pool = ConnectionPool(manager)
    with pytest.raises(error, match=r"^timeout must be"):
        getattr(pool, way)("e", timeout)
    assert manager.started == 0


@pytest.mark.parametrize(("timeout", "error"), NO_SECONDS, ids=lambda value: repr(value)[:10])
async def test_close_takes_no_bad_timeout(timeout: Any, error: type[Exception]) -> None:
    """Nor does it close then."""
    pool = ConnectionPool(Manager())
    with pytest.raises(error, match=r"^timeout must be"):
        await pool.close(timeout)
    assert " open:" in repr(pool)


@pytest.mark.parametrize("timeout", [1e300, 10**300])
async def test_any_finite_time_will_do(timeout: float) -> None:
    """Be it longer than any clock can tell."""
    manager = Manager()
    pool = ConnectionPool(manager, max_size=1, connect_timeout=timeout, dispose_timeout=timeout)
    async with pool:
        lease = await pool.acquire("e", timeout)
        call = await queued(pool, Caller(pool, timeout=timeout).call)
        await lease.release()
        await call.result()
    assert_empty(pool, manager)


CALLS: dict[str, Callable[[ConnectionPool[Any, Connection], Any], Any]] = {
    "acquire": lambda pool, endpoint: pool.acquire(endpoint),
    "connection": held,
    "add": lambda pool, endpoint: pool.add(endpoint),
    "ready": lambda pool, endpoint: pool.ready(endpoint),
    "clear": lambda pool, endpoint: pool.clear(endpoint),
    "remove": lambda pool, endpoint: pool.remove(endpoint),
    "warm_up": lambda pool, endpoint: pool.warm_up(endpoint),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("listening", [False, True])
async def test_an_endpoint_must_be_hashable(name: str, listening: bool) -> None:
    """The error says so and shows it; nothing has happened."""
    manager, recorder = Manager(), Recorder()
    listeners = [recorder.listener] if listening else []
    pool = ConnectionPool(manager, event_listeners=listeners)
    with pytest.raises(TypeError, match=r"endpoint must be hashable, not \['host', 80\]"):
        await CALLS[name](pool, ["host", 80])
    assert manager.started == 0
    assert recorder.events == []


@pytest.mark.parametrize("name", CALLS)
async def test_an_endpoint_must_be_hashable_later_too(name: str) -> None:
    """Once the pool is in use, and would take its shortest way."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await held(pool)
        with pytest.raises(TypeError, match=r"endpoint must be hashable, not \['host', 80\]"):
            await CALLS[name](pool, ["host", 80])
        assert (pool.stats().acquired, pool.stats().idle) == (1, 1)
    assert_empty(pool, manager)


@pytest.mark.parametrize("name", ["stats", "get_endpoint_pool_size"])
def test_an_endpoint_to_ask_about_must_be_hashable(name: str) -> None:
    """The error says so and shows it."""
    pool = ConnectionPool(Manager())
    with pytest.raises(TypeError, match=r"endpoint must be hashable, not \['host', 80\]"):
        getattr(pool, name)(["host", 80])


@pytest.mark.parametrize("endpoint", ["", 0, False, (), ("host", 80), frozenset()], ids=repr)
async def test_an_endpoint_may_be_any_hashable_value(endpoint: Any) -> None:
    """Also one that looks like none at all."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        assert (await held(pool, endpoint)).endpoint == endpoint
        assert pool.stats(endpoint).idle == 1
        await pool.clear(endpoint)
        assert manager.opened[0].disposed
    assert_empty(pool, manager)


async def test_equal_endpoints_are_one() -> None:
    """An endpoint is a value, not an object."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        endpoints = [("host", int("80")) for _ in range(2)]
        assert endpoints[0] is not endpoints[1]
        first = await held(pool, endpoints[0])
        assert await held(pool, endpoints[1]) is first
    assert_empty(pool, manager)


# -- max_uses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("uses", "opened"), [(1, 6), (2, 3), (6, 1), (None, 1)])
async def test_a_connection_is_retired_after_its_last_use(uses: int | None, opened: int) -> None:
    """Closed with the reason ``idle`` as it comes back, and replaced when it is needed."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, max_uses=uses, event_listeners=[recorder.listener]) as pool:
        for _ in range(6):
            await held(pool)
        assert manager.started == opened
        retired = opened if uses else 0
        assert [reason for _, reason in recorder.reasons()] == ["idle"] * retired
    assert_empty(pool, manager)


@pytest.mark.parametrize("uses", [1, 2])
async def test_without_listeners_too_a_connection_is_retired(uses: int) -> None:
    """The shortest way counts as well."""
    manager = Manager()
    async with ConnectionPool(manager, max_uses=uses) as pool:
        for _ in range(4):
            await held(pool)
        assert manager.started == 4 // uses
        assert pool.stats().idle == 0
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_the_next_in_the_queue_does_not_get_a_connection_that_is_used_up() -> None:
    """He gets a new one in its place."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1, max_uses=1) as pool:
        lease = await pool.acquire("e")
        call = await queued(pool, Caller(pool).call)
        await lease.release()
        assert (await call.result()).number == 2
        assert manager.most_live == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_a_grant_that_came_too_late_was_no_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only leases count."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1, max_uses=2) as pool:
        lease = await pool.acquire("e")
        call = await queued_late(pool, monkeypatch, Caller(pool).call)
        await lease.release()
        with pytest.raises(TimeoutError):
            await call.result()
        assert (await held(pool)).number == 1
        assert manager.opened[0].disposed
    assert_empty(pool, manager)


# -- reuse ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "order"),
    [({}, [3, 3, 3]), ({"reuse": "lifo"}, [3, 3, 3]), ({"reuse": "fifo"}, [1, 2, 3])],
)
@pytest.mark.parametrize("listening", [False, True])
async def test_which_idle_connection_goes_first(
    options: Any, order: list[int], listening: bool
) -> None:
    """The one used last, by default; with ``fifo`` each in its turn."""
    manager = Manager()
    listeners = [Recorder().listener] if listening else []
    async with ConnectionPool(manager, event_listeners=listeners, **options) as pool:
        leases = [await pool.acquire("e") for _ in range(3)]
        for lease in leases:
            await lease.release()
        assert [(await held(pool)).number for _ in range(3)] == order
    assert_empty(pool, manager)


@pytest.mark.parametrize(("reuse", "order"), [("lifo", [3, 2, 1]), ("fifo", [1, 2, 3])])
async def test_in_which_order_idle_connections_go(reuse: Any, order: list[int]) -> None:
    """When several are taken, one after the other."""
    manager = Manager()
    async with ConnectionPool(manager, reuse=reuse) as pool:
        leases = [await pool.acquire("e") for _ in range(3)]
        for lease in leases:
            await lease.release()
        leases = [await pool.acquire("e") for _ in range(3)]
        assert [lease.connection.number for lease in leases] == order
        for lease in leases:
            await lease.release()
    assert_empty(pool, manager)


@pytest.mark.parametrize(("reuse", "order"), [("lifo", [1, 2, 3]), ("fifo", [3, 2, 1])])
@pytest.mark.parametrize("listening", [False, True])
async def test_in_which_order_the_connections_of_blocks_go(
    reuse: Any, order: list[int], listening: bool
) -> None:
    """It is the order in which the blocks ended, or the reverse."""
    manager = Manager()
    listeners = [Recorder().listener] if listening else []
    async with ConnectionPool(manager, reuse=reuse, event_listeners=listeners) as pool:
        async with pool.connection("e"), pool.connection("e"), pool.connection("e"):
            assert manager.started == 3
        async with (
            pool.connection("e", 0) as first,
            pool.connection("e", 0) as second,
            pool.connection("e", 0) as third,
        ):
            assert [first.number, second.number, third.number] == order
        assert pool.stats().idle == 3
    assert_empty(pool, manager)
