"""How long ``close`` waits, and whom it names when its time is up; hooks that ask the pool."""

import logging
from functools import partial
from typing import Any

import pytest

from pool import PoolClosedError
from pool.aio import ConnectionPool
from support.aio import Gate, call_soon, until

from .fakes import Connection, Hooked, Manager, assert_empty, held
from .meddlers import Meddling


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "pool.connection" and record.levelno == logging.WARNING
    ]


def is_closed(pool: ConnectionPool[Any, Connection]) -> bool:
    return " closed:" in repr(pool)


@pytest.mark.concurrency
@pytest.mark.parametrize("timeout", [None, 30.0])
async def test_close_waits_until_the_leases_end(
    timeout: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It returns as soon as the last one has ended and its connection is closed; nobody is named."""
    manager = Manager()
    pool = ConnectionPool(manager)
    leases = [await pool.acquire("e") for _ in range(2)]
    closing = await call_soon(pool.close, timeout)
    await until(lambda: is_closed(pool))
    await leases[0].release()
    assert not closing.done()
    await leases[1].release()
    await closing.result()
    assert warnings(caplog) == []
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_close_waits_until_the_last_dispose_ends() -> None:
    """A lease that has ended is not enough: its connection must be closed."""
    manager = Manager()
    pool = ConnectionPool(manager)
    lease = await pool.acquire("e")
    gate = manager.dispose_gate = Gate()
    closing = await call_soon(pool.close, None)
    await until(lambda: is_closed(pool))
    releasing = await call_soon(lease.release)
    await until(lambda: gate.waiting == 1)
    assert not closing.done()
    gate.open()
    await closing.result()
    await releasing.result()
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_close_waits_for_callers_who_connect() -> None:
    """What they open must be closed too."""
    manager = Manager()
    pool = ConnectionPool(manager)
    gate = manager.create_gate = Gate()
    caller = await call_soon(pool.acquire, "e")
    await until(lambda: gate.waiting == 1)
    closing = await call_soon(pool.close, None)
    await until(lambda: is_closed(pool))
    assert not closing.done()
    gate.open()
    await closing.result()
    with pytest.raises(PoolClosedError):
        await caller.result()
    assert_empty(pool, manager)


@pytest.mark.concurrency
async def test_several_may_wait_for_the_end() -> None:
    """Each ``close`` returns when the last lease has ended."""
    manager = Manager()
    pool = ConnectionPool(manager)
    lease = await pool.acquire("e")
    closings = [await call_soon(pool.close, None) for _ in range(3)]
    await until(lambda: is_closed(pool))
    await lease.release()
    for closing in closings:
        await closing.result()
    assert_empty(pool, manager)


@pytest.mark.parametrize("timeout", [0, 0.01])
async def test_who_still_holds_a_connection_is_named(
    timeout: float, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning when the time is up: the pool, the connection, the file and the function."""
    pool = ConnectionPool(Manager(), name="orders")
    lease = await pool.acquire("e")
    await pool.close(timeout)
    (message,) = warnings(caplog)
    assert "'orders'" in message
    assert "#1 in use" in message
    assert f"{__file__}:" in message
    assert "in test_who_still_holds_a_connection_is_named" in message
    await lease.release()


async def test_every_holder_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """However many there are, at whatever endpoint."""
    pool = ConnectionPool(Manager())
    leases = [await pool.acquire(endpoint) for endpoint in "aaaaab"]
    await pool.close()
    (message,) = warnings(caplog)
    assert message.count("in use for") == 6
    assert "'a'" in message
    assert "'b'" in message
    for lease in leases:
        await lease.release()


async def test_nobody_is_named_when_nothing_is_held(caplog: pytest.LogCaptureFixture) -> None:
    """Idle connections are no news."""
    pool = ConnectionPool(Manager())
    await held(pool)
    await pool.close(0.01)
    await pool.close()
    assert warnings(caplog) == []


@pytest.mark.concurrency
async def test_what_is_being_closed_is_held_by_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """A dispose that goes on at the end of the wait is neither named nor interrupted."""
    manager = Manager()
    pool = ConnectionPool(manager)
    lease = await pool.acquire("e")
    gate = manager.dispose_gate = Gate()
    discarding = await call_soon(lease.discard)
    await until(lambda: gate.waiting == 1)
    await pool.close(0.01, interrupt_connections=True)
    assert pool.stats().closing == 1
    assert (warnings(caplog), manager.interrupted) == ([], [])
    gate.open()
    await discarding.result()
    await until(lambda: pool.stats().total == 0)
    assert_empty(pool, manager)


async def test_close_after_a_wait_in_vain_can_be_repeated() -> None:
    """A pool whose first ``close`` gave up waiting can be closed again, to wait on."""
    manager = Manager()
    pool = ConnectionPool(manager)
    lease = await pool.acquire("e")
    await pool.close(0.01)
    closing = await call_soon(pool.close, None)
    assert not closing.done()
    await lease.release()
    await closing.result()
    assert_empty(pool, manager)


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf"), "1", True])
async def test_a_bad_timeout_closes_nothing(timeout: Any) -> None:
    """The error names the parameter, and the pool is as it was."""
    pool = ConnectionPool(Manager())
    with pytest.raises((ValueError, TypeError), match="timeout"):
        await pool.close(timeout)
    await held(pool)
    await pool.close()


HOOKS = ["create", "check_aliveness", "on_acquire", "on_release", "on_connection_dead", "dispose"]


@pytest.mark.parametrize("hook", HOOKS)
async def test_any_hook_may_ask_the_pool(hook: str) -> None:
    """Counts and words are to be had from within."""
    manager = Meddling(hook)
    answers: list[Any] = []

    async def ask() -> None:
        answers.extend([pool.stats("e"), pool.explain(), repr(pool), pool.get_size()])

    async with ConnectionPool(manager, check_after_idle=0) as pool:
        if hook == "on_connection_dead":
            (await held(pool)).alive = False
        elif hook == "check_aliveness":
            await held(pool)
        manager.act = ask
        lease = await pool.acquire("e")
        await (lease.discard() if hook == "dispose" else lease.release())
    assert answers[0].total == answers[3] == 1
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["can_reuse", "service_id", "interrupt"])
async def test_any_plain_hook_may_ask_the_pool(hook: str) -> None:
    """The same for those that are no more than a function."""
    answers: list[Any] = []

    def ask(*args: Any) -> Any:
        answers.extend([pool.stats(), pool.explain()])
        return hook == "can_reuse"

    class Asking(Hooked):
        def interrupt(self, endpoint: Any, conn: Connection | None) -> None:
            self._answer("interrupt", conn)

    async def body() -> None:
        async with pool.connection("e"):
            await pool.clear("other", interrupt_connections=True)
            if hook == "interrupt":
                await pool.clear("e", interrupt_connections=True)
            raise KeyError

    manager = Asking()
    manager.on[hook] = ask
    async with ConnectionPool(manager) as pool:
        with pytest.raises(KeyError):
            await body()
    assert answers[0].total == 1
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["create", "on_acquire", "on_release", "dispose"])
async def test_any_hook_may_use_another_endpoint(hook: str) -> None:
    """A hook may take a connection of the same pool to another place, say to ask who is in charge."""
    manager = Meddling(hook)
    async with ConnectionPool(manager) as pool:
        manager.act = partial(held, pool, "other")
        lease = await pool.acquire("e")
        await (lease.discard() if hook == "dispose" else lease.release())
        assert pool.stats("other").idle == 1
    assert_empty(pool, manager)
