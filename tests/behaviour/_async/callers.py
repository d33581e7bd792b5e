"""Callers side by side, for tests of the queue."""

from collections.abc import Callable
from sys import _getframe
from typing import Any

import pytest

from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, runtime, until

from .fakes import Connection

__all__ = ["Caller", "connecting", "line", "queued", "queued_late", "settled"]


class Caller:
    """Acquires by ``call``, says that it was served, holds until ``gate`` opens, and releases.

    Parameters:
        pool: where from.
        name: what it writes into ``log`` when it is served.
        log: who was served, in order; shared by several callers.
        timeout: for its acquire.
    """

    def __init__(
        self,
        pool: ConnectionPool[Any, Connection],
        name: Any = "caller",
        log: list[Any] | None = None,
        *,
        timeout: float | None = 10.0,
        endpoint: Any = "e",
        holds: bool = False,
    ) -> None:
        self.pool = pool
        self.name = name
        self.log = [] if log is None else log
        self.timeout = timeout
        self.endpoint = endpoint
        self.gate = Gate(is_open=not holds)
        self.id = 0
        """The id of the connection that it got."""

    async def call(self) -> Connection:
        lease = await self.pool.acquire(self.endpoint, self.timeout)
        self.id = lease.id
        self.log.append(self.name)
        try:
            await self.gate.wait()
            return lease.connection
        finally:
            await lease.release()


async def queued(
    pool: ConnectionPool[Any, Any], function: Callable[..., Any], *args: Any
) -> Running[Any]:
    """Start a call and see it join the queue."""
    place = pool.stats().waiting + 1
    call: Running[Any] = await call_soon(function, *args)
    await until(lambda: pool.stats().waiting == place or call.done())
    if call.done():
        pytest.fail(f"it did not wait, but gave {await call.result()!r}")
    return call


async def queued_late(
    pool: ConnectionPool[Any, Any], monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any]
) -> Running[Any]:
    """Start a call and see it wait in the queue; the grant to it will cross the end of its time.

    It is woken, but believes that its time was up just before.
    """
    wait, waits = runtime.Waiter.wait, list[object]()

    async def wait_too_long(waiter: runtime.Waiter, seconds: float | None) -> bool:
        waits.append(waiter)
        await wait(waiter, None)
        return False

    with monkeypatch.context() as patch:
        patch.setattr(runtime.Waiter, "wait", wait_too_long)
        call = await queued(pool, function)
        await until(lambda: waits)
    return call


async def connecting(
    pool: ConnectionPool[Any, Any], function: Callable[..., Any], *args: Any
) -> Running[Any]:
    """Start a call and see it open a connection. The manager's ``create_gate`` must be closed."""
    place = pool.stats().connecting + 1
    call: Running[Any] = await call_soon(function, *args)
    await until(lambda: pool.stats().connecting == place or call.done())
    if call.done():
        pytest.fail(f"it did not connect, but gave {await call.result()!r}")
    return call


async def settled(pool: ConnectionPool[Any, Any]) -> None:
    """Wait until nothing is being closed any more."""
    await until(lambda: pool.stats().closing == 0)


def line() -> int:
    """Return the number of the line that calls this."""
    return _getframe(1).f_lineno
