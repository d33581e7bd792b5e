"""What the shell of shared connections gives back where somebody is struck, and at once."""

import asyncio
from typing import Any

import pytest
from behaviour._async.fakes import Connection, Hooked, Manager
from behaviour._async.sharers import Shared

from support.aio import Gate, until


class Refuses(Manager):
    """Cannot tell which service it has reached."""

    def service_id(self, endpoint: Any, conn: Connection) -> None:
        raise RuntimeError("no service")


async def test_who_waits_for_a_permit_and_leaves_is_forgotten() -> None:
    """Somebody else connects; whoever opens the rest by hand is cancelled meanwhile."""
    manager = Manager()
    pool = Shared(manager, size=2, max_connecting=1)
    await pool.drop_broken()
    manager.create_gate = Gate()
    caller = asyncio.create_task(pool.acquire(None))
    await until(lambda: pool.stats().connecting == 1)
    (home,) = pool._engine.books._homes.values()
    opener = asyncio.create_task(pool.open())
    await until(lambda: bool(home.warmers))
    opener.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opener
    assert home.warmers == ()
    manager.create_gate.open()
    await (await caller).release()
    await pool.close()


async def test_as_many_are_opened_at_once_as_may_be() -> None:
    """Not one after the other."""
    manager = Manager()
    pool = Shared(manager, size=4, max_connecting=3)
    manager.create_gate = Gate()
    opener = asyncio.create_task(pool.open())
    await until(lambda: pool.stats().connecting == 3)
    manager.create_gate.open()
    await opener
    assert len(pool.connected) == 4
    await pool.close()


async def test_what_is_taken_over_in_vain_is_closed_at_once() -> None:
    """Though somebody keeps the error, and with it the frame that had the permit."""
    manager = Refuses()
    pool = Shared(manager)
    brought = Connection("e", 7)
    with pytest.raises(RuntimeError, match="no service") as caught:
        await pool.extend_with([brought])
    assert caught.tb is not None
    assert pool.stats().connecting == 0
    await until(lambda: pool.stats().total == 0)
    assert [conn.number for conn in manager.disposed] == [7]
    await pool.close()


async def test_no_hook_is_called_on_what_was_cleared_before_its_turn() -> None:
    """He was served, and a clear came before he knew; he gets another one."""
    manager = Hooked()
    async with Shared(manager, size=1, max_pending=1) as pool:
        lease = await pool.acquire()
        waiting = asyncio.create_task(pool.acquire(None))
        await until(lambda: pool.stats().waiting == 1)
        before = manager.calls.count("on_acquire")
        # Up to where the clear waits for what it closes, nobody else runs.
        pool._engine.dismiss(pool._engine.core.abandon(lease, 0.0))
        await pool.clear()
        got = await waiting
        assert got.connection.number == 2
        assert manager.calls.count("on_acquire") == before + 1
        await got.release()
