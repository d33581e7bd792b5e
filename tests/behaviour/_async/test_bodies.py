"""How a body is left, and what that means for its connection."""

from typing import Any

import pytest

from pool.aio import ConnectionPool

from .callers import Caller, queued
from .fakes import Connection, Hooked, Manager, Recorder, assert_empty, held


class Stop(BaseException):
    """Ends more than a body."""


class Clumsy(Manager):
    """Cannot dispose of anything without an error."""

    async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
        await super().dispose(endpoint, conn, timeout)
        raise OSError("already gone")


def allowing(answer: Any = True) -> Hooked:
    """Return a manager that answers ``can_reuse`` so."""
    manager = Hooked()
    manager.on["can_reuse"] = lambda conn, error: answer
    return manager


def fail(*args: Any) -> Any:
    """Be a hook that fails."""
    raise OSError("a hook failed")


async def leave_by(pool: ConnectionPool[Any, Connection], error: BaseException) -> None:
    """Leave a body by an error, which must come out as it went in."""
    with pytest.raises(type(error)) as caught:
        async with pool.connection("e"):
            raise error
    assert caught.value is error


async def fail_after(block: Any, function: Any, *args: Any) -> None:
    """Call something in a body, then leave it by an error."""
    async with block:
        await function(*args)
        raise KeyError("body")


# -- without a word from the manager ----------------------------------------------------------------


async def test_a_dirty_connection_never_returns() -> None:
    """A body left by an error closes its connection, with the reason ``error``."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        await leave_by(pool, KeyError("body"))
        assert manager.opened[0].disposed
        assert pool.stats().total == 0
        assert recorder.names()[-2:] == ["ConnectionCheckedIn", "ConnectionClosed"]
        assert recorder.reasons() == [(1, "error")]
        assert (await held(pool)).number == 2
    assert_empty(pool, manager)


async def test_a_dirty_body_does_not_count_as_an_error_of_the_pool() -> None:
    """``errors`` are failed connects, checks and hooks."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        await leave_by(pool, KeyError("body"))
        assert pool.stats().errors == 0


async def test_an_error_that_is_caught_in_the_body_is_none() -> None:
    """What counts is what leaves the body."""
    manager = Manager()
    async with ConnectionPool(manager) as pool:
        async with pool.connection("e"):
            with pytest.raises(KeyError):
                raise KeyError
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_a_body_may_be_left_by_return() -> None:
    """That is no error, and nobody is asked."""
    manager = allowing(False)

    async def body() -> int:
        async with pool.connection("e") as connection:
            return connection.number

    async with ConnectionPool(manager) as pool:
        assert await body() == 1
        assert "can_reuse" not in manager.calls
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_the_next_in_the_queue_does_not_get_a_dirty_connection() -> None:
    """He gets a new one in its place."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        lease = await pool.acquire("e")
        call = await queued(pool, Caller(pool).call)
        with pytest.raises(KeyError):
            async with lease:
                raise KeyError
        assert (await call.result()).number == 2
        assert manager.most_live == 1
    assert_empty(pool, manager)


# -- can_reuse --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        KeyError("body"),
        TimeoutError("body"),
        KeyboardInterrupt("body"),
        SystemExit("body"),
        GeneratorExit("body"),
        Stop("body"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_the_manager_is_asked_about_every_error(error: BaseException) -> None:
    """It gets the connection and the very error, whatever its kind, and may keep the connection."""
    asked = list[Any]()

    class Asked(Manager):
        def can_reuse(self, endpoint: Any, conn: Connection, error: BaseException) -> bool:
            asked.append((conn.number, error))
            return True

    manager = Asked()
    async with ConnectionPool(manager) as pool:
        await leave_by(pool, error)
        assert asked == [(1, error)]
        assert pool.stats().idle == 1
        assert (await held(pool)).number == 1
    assert_empty(pool, manager)


async def test_a_connection_that_may_be_reused_is_reset() -> None:
    """``on_release`` comes after ``can_reuse``, and the connection goes back."""
    manager, recorder = allowing(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        await leave_by(pool, KeyError("body"))
        assert manager.calls == ["on_acquire", "can_reuse", "on_release"]
        assert recorder.names()[-1] == "ConnectionCheckedIn"
    assert_empty(pool, manager)


@pytest.mark.parametrize("answer", [False, None, 0])
async def test_a_connection_that_may_not_be_reused_is_closed(answer: Any) -> None:
    """Without being reset."""
    manager = allowing(answer)
    async with ConnectionPool(manager) as pool:
        await leave_by(pool, KeyError("body"))
        assert manager.calls == ["on_acquire", "can_reuse"]
        assert manager.opened[0].disposed
    assert_empty(pool, manager)


async def test_nobody_is_asked_after_a_good_body() -> None:
    """There is no error to judge."""
    manager = allowing(False)
    async with ConnectionPool(manager) as pool:
        await held(pool)
        assert "can_reuse" not in manager.calls
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_nobody_is_asked_about_a_connection_that_was_given_back_in_the_body() -> None:
    """What happens after the lease's end is none of its business."""
    manager = allowing(False)
    async with ConnectionPool(manager) as pool:
        lease = await pool.acquire("e")
        with pytest.raises(KeyError):
            await fail_after(lease, lease.release)
        assert "can_reuse" not in manager.calls
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_the_manager_cannot_keep_a_stale_connection() -> None:
    """A clear has decided already: its reason stands."""
    manager, recorder = allowing(), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        with pytest.raises(KeyError):
            await fail_after(pool.connection("e"), pool.clear, "e")
        assert recorder.reasons() == [(1, "stale")]
        assert manager.opened[0].disposed
    assert_empty(pool, manager)


async def test_a_dirty_body_is_a_dirty_body_even_at_the_last_use() -> None:
    """The reason is ``error`` although the connection had no use left."""
    manager, recorder = Manager(), Recorder()
    async with ConnectionPool(manager, max_uses=1, event_listeners=[recorder.listener]) as pool:
        await leave_by(pool, KeyError("body"))
        assert recorder.reasons() == [(1, "error")]
    assert_empty(pool, manager)


# -- no hook's error replaces the body's ------------------------------------------------------------


async def test_an_error_of_can_reuse_means_no_and_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The body's error comes out."""
    manager, recorder = Hooked(), Recorder()
    manager.on["can_reuse"] = fail
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        await leave_by(pool, KeyError("body"))
        assert manager.opened[0].disposed
        assert recorder.reasons() == [(1, "error")]
        assert "on_release" not in manager.calls
    assert_empty(pool, manager)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("pool.connection", "ERROR")
    assert "can_reuse" in record.getMessage()
    assert "a hook failed" in caplog.text


@pytest.mark.parametrize("error", [KeyError("body"), Stop("body")])
async def test_an_error_of_on_release_is_logged_after_an_error_of_the_body(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """The body's error comes out, and the connection is closed."""
    manager, recorder = allowing(), Recorder()
    manager.on["on_release"] = fail
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        await leave_by(pool, error)
        assert manager.opened[0].disposed
        assert recorder.reasons() == [(1, "error")]
        assert pool.stats().errors == 1
    assert_empty(pool, manager)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("pool.connection", "ERROR")
    assert "on_release" in record.getMessage()
    assert "a hook failed" in caplog.text


async def test_an_error_of_dispose_is_logged_after_an_error_of_the_body(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The body's error comes out, and the place is free."""
    manager = Clumsy()
    async with ConnectionPool(manager, max_size=1) as pool:
        await leave_by(pool, KeyError("body"))
        assert pool.stats().total == 0
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("pool.connection", "WARNING")
    assert "#1 to 'e'" in record.getMessage()
    assert "already gone" in record.getMessage()


async def test_an_error_of_dispose_never_reaches_a_user(caplog: pytest.LogCaptureFixture) -> None:
    """Neither from ``discard`` nor from ``close``."""
    manager = Clumsy()
    async with ConnectionPool(manager) as pool:
        await (await pool.acquire("e")).discard()
        await held(pool)
    assert_empty(pool, manager)
    assert len(caplog.records) == 2
