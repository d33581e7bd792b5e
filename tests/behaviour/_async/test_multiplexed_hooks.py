"""Hooks of shared connections that fail: whose error it is, and that the others are not harmed."""

import logging
from typing import Any

import pytest

from support.aio import Gate, call_soon, until

from .fakes import Connection, Hooked, Recorder, assert_empty
from .meddlers import Meddling
from .sharers import DirtyError, Shared, leave, numbers, spoil, take, use

pytestmark = pytest.mark.concurrency


class HookError(Exception):
    """What a hook raises."""


def fail(*args: Any) -> None:
    raise HookError


async def shared_with_another(**options: Any) -> tuple[Hooked, Recorder, Shared, Any]:
    """A pool of one connection, that somebody else uses already."""
    manager, recorder = Hooked(), Recorder()
    pool = Shared(manager, size=1, event_listeners=[recorder.listener], **options)
    return manager, recorder, pool, await pool.acquire()


async def until_he_has_left(
    manager: Hooked, recorder: Recorder, pool: Shared, other: Any, reason: str = "error"
) -> None:
    """The connection breaks, but is closed only when the other one has left it."""
    assert other.connection is manager.opened[0]
    assert (numbers(pool.broken), pool.pending) == ([1], 1)
    assert (manager.disposed, recorder.reasons()) == ([], [])
    await other.release()
    assert numbers(manager.disposed) == [1]
    assert recorder.reasons() == [(1, reason)]
    manager.on.clear()
    assert (await use(pool)).number == 2
    await pool.close()
    assert_empty(pool, manager)


async def test_on_acquire_fails() -> None:
    """It is the caller's error."""
    manager, recorder, pool, other = await shared_with_another()
    manager.on["on_acquire"] = fail
    with pytest.raises(HookError):
        await pool.acquire()
    assert pool.stats().errors == 1
    await until_he_has_left(manager, recorder, pool, other)


async def test_on_release_fails() -> None:
    """It is the error of the one who leaves."""
    manager, recorder, pool, other = await shared_with_another()
    lease = await pool.acquire()
    manager.on["on_release"] = fail
    with pytest.raises(HookError):
        await lease.release()
    manager.on.clear()
    await until_he_has_left(manager, recorder, pool, other)


async def test_a_body_fails() -> None:
    """Its error is raised, on_release is not called, nor for the others after it."""
    manager, recorder, pool, other = await shared_with_another()
    with pytest.raises(DirtyError):
        async with pool.connection():
            raise DirtyError
    await until_he_has_left(manager, recorder, pool, other)
    assert manager.calls.count("on_release") == 1, "of the new connection"


async def test_can_reuse_fails(caplog: pytest.LogCaptureFixture) -> None:
    """It means that it cannot, and is logged."""
    manager, recorder, pool, other = await shared_with_another()
    manager.on["can_reuse"] = fail
    await spoil(pool)
    assert "can_reuse for 'e' failed" in caplog.text
    await until_he_has_left(manager, recorder, pool, other)


async def test_can_reuse_agrees() -> None:
    """Then nothing is broken."""
    manager, _, pool, other = await shared_with_another()
    manager.on["can_reuse"] = lambda conn, error: isinstance(error, DirtyError)
    await spoil(pool)
    assert (pool.broken, numbers(pool.connected)) == ([], [1])
    assert (await use(pool)) is other.connection
    await other.release()
    await pool.close()
    assert_empty(pool, manager)


async def test_one_leaves_while_another_prepares() -> None:
    """Who is being given a share of what breaks meanwhile gets one of another connection."""
    manager, _, pool, other = await shared_with_another()
    gate = manager.gates["on_acquire"] = Gate()
    call = await call_soon(use, pool)
    await until(lambda: gate.waiting)
    await other.discard()
    assert numbers(pool.broken) == [1]
    gate.open()
    assert (await call.result()).number == 2
    assert numbers(manager.disposed) == [1]
    await pool.close()
    assert_empty(pool, manager)


@pytest.mark.parametrize("answer", [False, HookError])
async def test_a_check_fails(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The connection is dead: nobody had it, so it is closed, and the caller gets another one."""
    manager = Hooked()
    async with Shared(manager, size=1, check_after_idle=0) as pool:
        manager.on["check_aliveness"] = fail if answer is HookError else lambda conn: False
        assert (await use(pool)).number == 2
        assert numbers(manager.disposed) == [1]
        assert manager.calls.count("on_connection_dead") == 1
        assert ("check of connection #1 to 'e' failed" in caplog.text) == (answer is HookError)
        assert pool.stats().errors == 1
        assert pool.broken == []
    assert_empty(pool, manager)


async def test_on_connection_dead_fails(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged."""
    manager = Hooked()
    async with Shared(manager, size=1, check_after_idle=0) as pool:
        manager.on["on_connection_dead"] = fail
        manager.opened[0].alive = False
        assert (await use(pool)).number == 2
        assert "on_connection_dead for 'e' failed" in caplog.text
    assert_empty(pool, manager)


async def test_nothing_is_checked_that_others_use() -> None:
    """It is known to be there; whoever comes when nobody uses it has it checked."""
    manager = Hooked()
    async with Shared(manager, size=1, check_after_idle=0) as pool:
        leases = await take(pool, 3)
        assert manager.calls.count("check_aliveness") == 1
        assert manager.calls.count("on_acquire") == 3
        await leave(leases)
        assert manager.calls.count("on_release") == 3
        await use(pool)
        assert manager.calls.count("check_aliveness") == 2
    assert_empty(pool, manager)


async def test_dispose_fails(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the place is free all the same."""

    class Stuck(Hooked):
        async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
            await super().dispose(endpoint, conn, timeout)
            raise HookError

    manager = Stuck()
    async with Shared(manager, size=1) as pool:
        await spoil(pool)
        assert "dispose of connection #1 to 'e' failed: HookError()" in caplog.text
        assert (await use(pool)).number == 2
    assert_empty(pool, manager)
    assert [each.levelno for each in caplog.records] == [logging.WARNING] * 2


async def test_a_growth_that_fails_while_the_only_one_is_prepared() -> None:
    """The caller waits for that one, and shares it."""
    manager = Hooked()
    pool = Shared(manager)
    await use(pool)
    gate = manager.gates["on_acquire"] = Gate()
    first = await call_soon(use, pool)
    await until(lambda: gate.waiting)
    manager.errors = [HookError()] * 3
    second = await call_soon(use, pool)
    await until(lambda: pool.stats().waiting == 1)
    manager.errors.clear()
    gate.open()
    assert (await first.result()).number == 1
    await second.result()
    await pool.close()
    assert_empty(pool, manager)


async def test_a_slow_dispose_keeps_its_place() -> None:
    """The server never sees more than there may be."""
    manager = Hooked()
    pool = Shared(manager, size=1)
    lease = await pool.acquire()
    manager.dispose_gate = Gate()
    leaving = await call_soon(lease.discard)
    await until(lambda: manager.dispose_gate.waiting)
    assert numbers(pool.broken) == [1]
    waiting = await call_soon(use, pool)
    await until(lambda: pool.stats().waiting == 1)
    manager.dispose_gate.open()
    assert (await waiting.result()).number == 2
    await leaving.result()
    assert manager.most_live == 1
    await pool.close()
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["create", "on_acquire", "check_aliveness"])
@pytest.mark.parametrize("act", ["clear", "reconnect", "drop_broken", "maintain"])
async def test_a_hook_that_uses_the_pool(hook: str, act: str) -> None:
    """It may; who is overtaken by his own clear gets another connection."""
    manager = Meddling(hook)
    pool = Shared(manager, size=1, check_after_idle=0)
    if hook == "check_aliveness":
        await use(pool)
    manager.act = getattr(pool, act)
    connection = await use(pool)
    assert manager.act is None, "it was not called"
    assert not connection.disposed
    await pool.close()
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["on_release", "dispose"])
async def test_a_hook_at_the_end_that_uses_the_pool(hook: str) -> None:
    """It may clear the pool that it closes a connection of."""
    manager = Meddling(hook)
    pool = Shared(manager, size=1)
    cleared: list[str] = []

    async def clear() -> None:
        await pool.clear()
        cleared.append(hook)

    leases = await take(pool, 2)
    manager.act = clear
    await leases[0].discard() if hook == "dispose" else await leases[0].release()
    await leases[1].release()
    assert cleared == [hook]
    assert (await use(pool)).number == 2
    await pool.close()
    assert_empty(pool, manager)
