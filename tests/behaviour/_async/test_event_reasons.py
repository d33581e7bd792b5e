"""Why a check-out failed, and why a connection was closed: every cause has its reason."""

from collections.abc import Callable
from typing import Any

import pytest

from pool import PoolClearedError, PoolClosedError, PoolOverloadedError, PoolTimeoutError
from pool.aio import ConnectionPool
from pool.monitoring import ConnectionCheckOutFailedEvent
from support.aio import call_soon, until

from .fakes import Connection, Hooked, Recorder, assert_empty, held


def fail(*args: Any) -> Any:
    raise OSError("failed")


class Case:
    """A pool with every hook, and what was told of it."""

    def __init__(self, **options: Any) -> None:
        self.manager = Hooked()
        self.recorder = Recorder()
        listeners = [self.recorder.listener]
        self.pool: ConnectionPool[Any, Connection] = ConnectionPool(
            self.manager, event_listeners=listeners, check_after_idle=0, **options
        )

    def failures(self) -> list[str]:
        """Return why check-outs failed."""
        return [
            event.reason
            for event in self.recorder.events
            if type(event) is ConnectionCheckOutFailedEvent
        ]


# -- check-outs that fail -----------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [0, 0.01])
async def test_no_connection_in_time(timeout: float) -> None:
    """The reason is the timeout, whether there was time to wait or not."""
    case = Case(max_size=1)
    lease = await case.pool.acquire("e")
    with pytest.raises(PoolTimeoutError):
        await case.pool.acquire("e", timeout)
    assert case.failures() == ["timeout"]
    await lease.release()
    await case.pool.close()


async def test_a_closed_pool() -> None:
    """The reason is that the pool is closed."""
    case = Case()
    await case.pool.close()
    with pytest.raises(PoolClosedError):
        await case.pool.acquire("e")
    assert case.failures() == ["poolClosed"]


@pytest.mark.concurrency
async def test_a_full_queue() -> None:
    """One caller too many is a connection error."""
    case = Case(max_size=1, max_waiting=1)
    lease = await case.pool.acquire("e")
    caller = await call_soon(case.pool.acquire, "e")
    await until(lambda: case.pool.stats().waiting == 1)
    with pytest.raises(PoolOverloadedError):
        await case.pool.acquire("e")
    assert case.failures() == ["connectionError"]
    await lease.release()
    await (await caller.result()).release()
    await case.pool.close()


async def test_a_cleared_pool() -> None:
    """To be turned away from a paused endpoint is a connection error."""
    case = Case(paused=True)
    with pytest.raises(PoolClearedError):
        await case.pool.acquire("e")
    assert case.failures() == ["connectionError"]
    await case.pool.close()


async def test_a_failed_connect() -> None:
    """A connection error; the connection closes, before the failure is told, with the reason error."""
    case = Case()
    case.manager.errors = [OSError("refused")]
    with pytest.raises(OSError, match="refused"):
        await case.pool.acquire("e")
    assert case.recorder.names()[2:] == [
        "ConnectionCheckOutStarted",
        "ConnectionCreated",
        "ConnectionClosed",
        "ConnectionCheckOutFailed",
    ]
    assert case.failures() == ["connectionError"]
    assert case.recorder.reasons() == [(1, "error")]
    await case.pool.close()


async def test_a_failed_on_acquire() -> None:
    """A connection error; the connection, which was ready, closes with the reason error."""
    case = Case()
    case.manager.on["on_acquire"] = fail
    with pytest.raises(OSError, match="failed"):
        await case.pool.acquire("e")
    assert case.recorder.names()[2:] == [
        "ConnectionCheckOutStarted",
        "ConnectionCreated",
        "ConnectionReady",
        "ConnectionClosed",
        "ConnectionCheckOutFailed",
    ]
    assert case.failures() == ["connectionError"]
    assert case.recorder.reasons() == [(1, "error")]
    await case.pool.close()


# -- connections that close ---------------------------------------------------------------------------


async def discard(case: Case) -> None:
    await (await case.pool.acquire("e")).discard()


async def dirty(case: Case) -> None:
    with pytest.raises(KeyError):
        async with case.pool.connection("e"):
            raise KeyError


async def bad_can_reuse(case: Case) -> None:
    case.manager.on["can_reuse"] = fail
    await dirty(case)


async def bad_on_release(case: Case) -> None:
    case.manager.on["on_release"] = fail
    lease = await case.pool.acquire("e")
    with pytest.raises(OSError, match="failed"):
        await lease.release()


async def worn_out(case: Case) -> None:
    for _ in range(2):
        await held(case.pool)


async def surplus(case: Case) -> None:
    lease = await case.pool.acquire("e")
    await held(case.pool)
    case.pool.resize(max_size=1)
    await lease.release()


async def cleared_idle(case: Case) -> None:
    await held(case.pool)
    await case.pool.clear("e")


async def cleared_in_use(case: Case) -> None:
    async with case.pool.connection("e"):
        await case.pool.clear("e")


async def removed(case: Case) -> None:
    await held(case.pool)
    await case.pool.remove("e")


async def closed(case: Case) -> None:
    await held(case.pool)
    await case.pool.close()


async def dead(case: Case) -> None:
    await held(case.pool)
    case.manager.on["check_aliveness"] = lambda conn: conn.number > 1
    await held(case.pool)


async def bad_check(case: Case) -> None:
    await held(case.pool)
    case.manager.on["check_aliveness"] = fail
    await held(case.pool)


CAUSES: list[tuple[Callable[[Case], Any], str]] = [
    (discard, "error"),
    (dirty, "error"),
    (bad_can_reuse, "error"),
    (bad_on_release, "error"),
    (dead, "error"),
    (bad_check, "error"),
    (worn_out, "idle"),
    (surplus, "idle"),
    (cleared_idle, "stale"),
    (cleared_in_use, "stale"),
    (removed, "poolClosed"),
    (closed, "poolClosed"),
]


@pytest.mark.parametrize(
    ("cause", "reason"), [pytest.param(*case, id=case[0].__name__) for case in CAUSES]
)
async def test_why_a_connection_closes(cause: Callable[[Case], Any], reason: str) -> None:
    """One connection closes, once, and with the reason of its cause."""
    case = Case(max_uses=2)
    await case.pool.add("e")
    await cause(case)
    assert [found for _, found in case.recorder.reasons()] == [reason]
    await case.pool.close()
    assert len(set(case.recorder.reasons())) == len(case.recorder.reasons())
    assert_empty(case.pool, case.manager)


@pytest.mark.parametrize(
    "cause", [discard, dirty, bad_on_release, worn_out, cleared_in_use], ids=lambda f: f.__name__
)
async def test_a_lease_that_ends_with_its_connection(cause: Callable[[Case], Any]) -> None:
    """It is told checked in, and then the connection closed."""
    case = Case(max_uses=2)
    await case.pool.add("e")
    await cause(case)
    assert case.recorder.names()[-2:] == ["ConnectionCheckedIn", "ConnectionClosed"]
    assert_empty(case.pool, case.manager)
