"""The hooks around a lease: in which order, for which connections, and what their errors do."""

from collections.abc import Callable
from typing import Any

import pytest

from pool.aio import ConnectionManager, ConnectionPool
from support.aio import Gate, call_soon, until

from .callers import Caller, queued, settled
from .fakes import Connection, Hooked, Manager, Recorder, assert_empty, held


class Stop(BaseException):
    """Ends more than a lease, as ``KeyboardInterrupt`` does."""


class Prepares(Manager):
    """Has ``on_acquire`` and no other hook."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared: list[tuple[Any, Connection]] = []

    async def on_acquire(self, endpoint: Any, conn: Connection) -> None:
        self.prepared.append((endpoint, conn))


class Resets(Manager):
    """Has ``on_release`` and no other hook."""

    def __init__(self) -> None:
        super().__init__()
        self.reset: list[tuple[Any, Connection]] = []

    async def on_release(self, endpoint: Any, conn: Connection) -> None:
        self.reset.append((endpoint, conn))


def fail(error: BaseException) -> Callable[[Connection], None]:
    """Return a hook that raises."""

    def hook(conn: Connection) -> None:
        raise error

    return hook


async def test_the_hooks_are_called_in_order() -> None:
    """A new connection is prepared and reset; an idle one is checked before."""
    manager = Hooked()
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        async with pool.connection("e"):
            manager.calls.append("body")
        assert manager.calls == ["on_acquire", "body", "on_release"]
        manager.calls.clear()
        async with pool.connection("e"):
            manager.calls.append("body")
        assert manager.calls == ["check_aliveness", "on_acquire", "body", "on_release"]
    assert_empty(pool, manager)


@pytest.mark.parametrize("answer", [None, True, False])
async def test_a_reset_may_say_no(answer: bool | None) -> None:
    """``False`` closes the connection, without an error; the next in the queue gets a new one."""
    manager = Hooked()
    manager.on["on_release"] = lambda _: answer
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        call = await queued(pool, Caller(pool).call)
        await lease.release()
        await call.result()
        assert pool.stats().created == (2 if answer is False else 1)
        assert pool.stats().errors == 0
        assert pool.stats().idle == (answer is not False)
    assert_empty(pool, manager)


async def test_every_checkout_is_prepared_and_reset() -> None:
    """Also when a connection goes from hand to hand."""
    manager = Hooked()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        call = await queued(pool, Caller(pool).call)
        await lease.release()
        await call.result()
        assert manager.calls == ["on_acquire", "on_release"] * 2
    assert_empty(pool, manager)


async def test_on_acquire_may_be_the_only_hook() -> None:
    """It gets the endpoint and the connection, each time."""
    manager = Prepares()
    async with ConnectionPool(manager) as pool:
        first = await held(pool)
        await held(pool)
        assert len(manager.prepared) == 2
        for endpoint, connection in manager.prepared:
            assert endpoint == "e"
            assert connection is first
    assert_empty(pool, manager)


async def test_on_release_may_be_the_only_hook() -> None:
    """It gets the endpoint and the connection, each time."""
    manager = Resets()
    async with ConnectionPool(manager) as pool:
        first = await held(pool)
        await held(pool)
        assert len(manager.reset) == 2
        for endpoint, connection in manager.reset:
            assert endpoint == "e"
            assert connection is first
    assert_empty(pool, manager)


async def test_a_hook_may_be_set_on_the_manager_itself() -> None:
    """What counts is that it is not the one of the base class."""
    manager, seen = Manager(), list[Any]()

    async def on_acquire(endpoint: Any, conn: Connection) -> None:
        seen.append(endpoint)

    manager.on_acquire = on_acquire  # type: ignore[method-assign]
    async with ConnectionPool(manager) as pool:
        await held(pool)
        assert seen == ["e"]
    assert_empty(pool, manager)


HOOKS = (
    "check_aliveness",
    "on_acquire",
    "on_release",
    "on_connection_dead",
    "can_reuse",
    "service_id",
)


async def test_a_hook_that_is_not_overridden_is_never_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It costs nothing, since it is not there."""

    def never(*args: Any) -> Any:
        raise AssertionError("called")

    for name in HOOKS:
        monkeypatch.setattr(ConnectionManager, name, never)
    manager = Manager()
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        await held(pool)
        await held(pool)
        with pytest.raises(KeyError):
            async with pool.connection("e"):
                raise KeyError
        assert manager.started == 1
    assert_empty(pool, manager)


async def test_a_connection_is_not_idle_before_it_is_reset() -> None:
    """While ``on_release`` works it counts as in use."""
    manager = Hooked()
    gate = manager.gates["on_release"] = Gate()
    async with ConnectionPool(manager) as pool:
        lease = await pool.acquire("e")
        call = await call_soon(lease.release)
        await until(lambda: gate.waiting)
        stats = pool.stats()
        assert (stats.in_use, stats.idle) == (1, 0)
        gate.open()
        await call.result()
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


# -- errors of on_acquire ---------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError("not prepared"), Stop()])
async def test_an_error_of_on_acquire_discards_the_connection_and_is_raised(
    error: BaseException,
) -> None:
    """The very object; nobody is asked to reset what was never lent."""
    manager, recorder = Hooked(), Recorder()
    manager.on["on_acquire"] = fail(error)
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        with pytest.raises(type(error)) as caught:
            await pool.acquire("e")
        assert caught.value is error
        await settled(pool)
        assert manager.opened[0].disposed
        assert manager.calls == ["on_acquire"]
        assert recorder.reasons() == [(1, "error")]
        assert recorder.names()[-2:] == ["ConnectionClosed", "ConnectionCheckOutFailed"]
        assert recorder.events[-1].reason == "connectionError"
        assert (pool.stats().acquired, pool.stats().timeouts) == (0, 0)
    assert_empty(pool, manager)


async def test_an_error_of_on_acquire_counts() -> None:
    """Among the errors, like a failed connect or check."""
    manager = Hooked()
    manager.on["on_acquire"] = fail(OSError("not prepared"))
    async with ConnectionPool(manager) as pool:
        with pytest.raises(OSError, match="not prepared"):
            await pool.acquire("e")
        assert pool.stats().errors == 1


@pytest.mark.concurrency
async def test_an_error_of_on_acquire_lets_the_next_caller_connect() -> None:
    """The place of the discarded connection goes to him."""
    manager = Hooked()
    gate = manager.gates["on_acquire"] = Gate()
    manager.on["on_acquire"] = lambda conn: fail(OSError("first"))(conn) if conn.number == 1 else 0
    async with ConnectionPool(manager, max_size=1) as pool:
        unlucky = await call_soon(Caller(pool).call)
        await until(lambda: gate.waiting)
        lucky = await queued(pool, Caller(pool).call)
        gate.open()
        with pytest.raises(OSError, match="first"):
            await unlucky.result()
        assert (await lucky.result()).number == 2
        assert manager.most_live == 1
    assert_empty(pool, manager)


# -- errors of on_release ---------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError("not reset"), Stop()])
async def test_an_error_of_on_release_discards_the_connection_and_is_raised(
    error: BaseException,
) -> None:
    """From ``release``: the very object, and the connection is disposed of by then."""
    manager, recorder = Hooked(), Recorder()
    manager.on["on_release"] = fail(error)
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        lease = await pool.acquire("e")
        with pytest.raises(type(error)) as caught:
            await lease.release()
        assert caught.value is error
        assert manager.opened[0].disposed
        assert recorder.reasons() == [(1, "error")]
        assert recorder.names()[-2:] == ["ConnectionCheckedIn", "ConnectionClosed"]
        stats = pool.stats()
        assert (stats.total, stats.released) == (0, 1)
    assert_empty(pool, manager)


async def test_an_error_of_on_release_leaves_the_block() -> None:
    """A body that went well does not hide that its connection could not be reset."""
    manager = Hooked()
    manager.on["on_release"] = fail(OSError("not reset"))
    async with ConnectionPool(manager) as pool:
        with pytest.raises(OSError, match="not reset"):
            await held(pool)
        assert pool.stats().errors == 1
    assert_empty(pool, manager)


async def test_a_second_release_after_a_failed_one_does_nothing() -> None:
    """The lease has ended; the hook is not called again."""
    manager = Hooked()
    manager.on["on_release"] = fail(OSError("not reset"))
    async with ConnectionPool(manager) as pool:
        lease = await pool.acquire("e")
        with pytest.raises(OSError, match="not reset"):
            await lease.release()
        await lease.release()
        assert manager.calls.count("on_release") == 1
    assert_empty(pool, manager)


# -- what will be discarded is not reset ------------------------------------------------------------


async def by_a_dirty_body(pool: ConnectionPool[Any, Connection], lease: Any) -> None:
    with pytest.raises(KeyError):
        async with lease:
            raise KeyError


async def by_discard(pool: ConnectionPool[Any, Connection], lease: Any) -> None:
    await lease.discard()


async def by_clear(pool: ConnectionPool[Any, Connection], lease: Any) -> None:
    await pool.clear("e")
    await lease.release()


async def by_remove(pool: ConnectionPool[Any, Connection], lease: Any) -> None:
    await pool.remove("e")
    await lease.release()


async def by_close(pool: ConnectionPool[Any, Connection], lease: Any) -> None:
    await pool.close()
    await lease.release()


async def by_its_last_use(pool: ConnectionPool[Any, Connection], lease: Any) -> None:
    await lease.release()
    async with await pool.acquire("e") as connection:
        assert connection.number == 1


async def by_resize(pool: ConnectionPool[Any, Connection], lease: Any) -> None:
    other = await pool.acquire("e")
    pool.resize(max_size=1)
    await lease.release()
    await other.discard()


@pytest.mark.parametrize(
    ("end", "reason", "resets"),
    [
        (by_a_dirty_body, "error", 0),
        (by_discard, "error", 0),
        (by_clear, "stale", 0),
        (by_remove, "poolClosed", 0),
        (by_close, "poolClosed", 0),
        (by_its_last_use, "idle", 1),
        (by_resize, "idle", 0),
    ],
)
async def test_what_will_be_discarded_is_not_reset(end: Any, reason: str, resets: int) -> None:
    """``on_release`` is not called for it, and it is closed with its reason."""
    manager, recorder = Hooked(), Recorder()
    async with ConnectionPool(manager, max_uses=2, event_listeners=[recorder.listener]) as pool:
        await end(pool, await pool.acquire("e"))
        assert manager.calls.count("on_release") == resets
        assert manager.opened[0].disposed
        assert recorder.reasons()[0] == (1, reason)
    assert_empty(pool, manager)
