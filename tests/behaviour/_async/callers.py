"""Callers side by side, for tests of the queue."""

from collections.abc import Callable
from sys import _getframe
from typing import Any

import pytest

from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, runtime, until

from .fakes import AnyPool, Connection

__all__ = ["Caller", "Nested", "connecting", "line", "nested", "queued", "queued_late", "settled"]


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


class Nested:
    """Takes one lease more whenever the test says so, and gives them back when it has all.

    Parameters:
        pool: where from.
        endpoints: of its leases, in order.
        timeout: for the last one.
    """

    def __init__(
        self, pool: ConnectionPool[Any, Any], endpoints: str, timeout: float | None = 10.0
    ) -> None:
        self.pool = pool
        self.endpoints = endpoints
        self.timeout = timeout
        self.gates = [Gate() for _ in endpoints]
        self.opened = 0
        self.leases: list[Any] = []

    async def call(self) -> int:
        """Return how many it had."""
        try:
            for gate, endpoint in zip(self.gates, self.endpoints, strict=True):
                await gate.wait()
                timeout = self.timeout if gate is self.gates[-1] else 10.0
                self.leases.append(await self.pool.acquire(endpoint, timeout))
            return len(self.leases)
        finally:
            for lease in self.leases:
                await lease.release()

    def go_on(self) -> None:
        """Let it take its next lease."""
        self.gates[self.opened].open()
        self.opened += 1

    async def take(self) -> None:
        """Let it take its next lease, and see that it has it."""
        self.go_on()
        await until(lambda: len(self.leases) == self.opened)

    async def block(self) -> None:
        """Let it take its next lease, and see that it waits for it."""
        place = self.pool.stats().waiting + 1
        self.go_on()
        await until(lambda: self.pool.stats().waiting == place)


async def nested(
    pool: ConnectionPool[Any, Any], endpoints: list[str]
) -> tuple[list[Nested], list[Running[Any]]]:
    """Callers who have all of their leases but the last."""
    callers = [Nested(pool, each) for each in endpoints]
    calls = [await call_soon(caller.call) for caller in callers]
    for caller in callers:
        for _ in caller.endpoints[:-1]:
            await caller.take()
    return callers, calls


async def queued(pool: AnyPool, function: Callable[..., Any], *args: Any) -> Running[Any]:
    """Start a call and see it join the queue."""
    place = pool.stats().waiting + 1
    call: Running[Any] = await call_soon(function, *args)
    await until(lambda: pool.stats().waiting == place or call.done())
    if call.done():
        pytest.fail(f"it did not wait, but gave {await call.result()!r}")
    return call


async def queued_late(
    pool: AnyPool, monkeypatch: pytest.MonkeyPatch, function: Callable[..., Any]
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


async def connecting(pool: AnyPool, function: Callable[..., Any], *args: Any) -> Running[Any]:
    """Start a call and see it open a connection. The manager's ``create_gate`` must be closed."""
    place = pool.stats().connecting + 1
    call: Running[Any] = await call_soon(function, *args)
    await until(lambda: pool.stats().connecting == place or call.done())
    if call.done():
        pytest.fail(f"it did not connect, but gave {await call.result()!r}")
    return call


async def settled(pool: AnyPool) -> None:
    """Wait until nothing is being closed any more."""
    await until(lambda: pool.stats().closing == 0)


def line() -> int:
    """Return the number of the line that calls this."""
    return _getframe(1).f_lineno
