"""The examples with asyncio against real servers. The same with threads is in ``test_real_sync.py``."""

import asyncio
import time
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from real.kit import PROMPT, TIMEOUT, Kit, Tally
from real.kit_aio import KITS

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import call_soon, until
from support.real import RealServer

MAX_SIZE = 4


class Rig:
    """A pool, its kit, and the server's endpoint."""

    def __init__(self, kit: Kit, server: RealServer, **options: Any) -> None:
        self.kit = kit
        self.tally = Tally()
        self.endpoint = kit.endpoint(server)
        self.pool: ConnectionPool[Any, Any] = ConnectionPool(
            kit.manager(self.tally), max_size=MAX_SIZE, **options
        )

    async def echo(self, n: int, timeout: float = TIMEOUT) -> int:
        async with self.pool.connection(self.endpoint, timeout=timeout) as conn:
            return int(await self.kit.echo(conn, n, timeout))

    async def hold(self, count: int) -> None:
        """Open connections and leave them idle."""
        leases = [await self.pool.acquire(self.endpoint, TIMEOUT) for _ in range(count)]
        for lease in leases:
            await lease.release()


@pytest.fixture
def kit(protocol: str) -> Kit:
    return KITS[protocol]


async def test_many_callers_share_few_connections(kit: Kit, server: RealServer) -> None:
    """Everybody gets his own answer, and the server never sees more than ``max_size`` connections."""
    rig = Rig(kit, server)
    seen = [0]
    async with rig.pool:
        calls = asyncio.gather(*(rig.echo(n) for n in range(1000)))
        while not calls.done():
            seen.append(await asyncio.to_thread(server.connections))
        assert await calls == list(range(1000))
        assert rig.pool.stats().created == rig.tally.total <= MAX_SIZE
    assert 0 < max(seen) <= MAX_SIZE
    assert rig.tally.most <= rig.pool.options.max_connecting


async def test_refusal(kit: Kit, server: RealServer) -> None:
    """What the server refuses reaches the caller, and the connection serves the next one."""
    rig = Rig(kit, server)
    async with rig.pool as pool:
        for _ in range(3):
            with pytest.raises(kit.offence):
                async with pool.connection(rig.endpoint) as conn:
                    await kit.offend(conn)
        assert await rig.echo(1) == 1
        assert (pool.stats().idle, pool.stats().created) == (1, 1)


async def test_no_answer(kit: Kit, server: RealServer) -> None:
    """A request given up half-way costs the connection, and nobody gets the answer to it."""
    rig = Rig(kit, server)
    async with rig.pool as pool:
        with pytest.raises(TimeoutError):
            async with pool.connection(rig.endpoint) as conn:
                await kit.hang(conn, 0.1)
        assert pool.stats().total == 0
        assert await rig.echo(1) == 1
        assert pool.stats().created == 2


async def test_transaction_left_open(postgres_server: RealServer) -> None:
    """A transaction that a body forgets is gone when the next one comes."""
    rig = Rig(KITS["postgres"], postgres_server)
    async with rig.pool as pool:
        async with pool.connection(rig.endpoint) as conn:
            await conn.execute("BEGIN")
        async with pool.connection(rig.endpoint) as conn:
            assert conn.info.transaction_status == TransactionStatus.IDLE
        assert pool.stats().created == 1


async def test_error_in_a_transaction(postgres_server: RealServer) -> None:
    """An error within a transaction costs the connection."""
    rig = Rig(KITS["postgres"], postgres_server)
    async with rig.pool as pool:

        async def fail() -> None:
            async with pool.connection(rig.endpoint) as conn:
                await conn.execute("BEGIN")
                await conn.execute("SELECT nonsense")

        with pytest.raises(psycopg.Error):
            await fail()
        assert pool.stats().total == 0


async def test_restart_while_idle(kit: Kit, server: RealServer) -> None:
    """A server that was killed and is back: the next caller gets a new connection, and no error."""
    rig = Rig(kit, server, check_after_idle=0)
    async with rig.pool as pool:
        await rig.hold(3)
        server.restart()
        assert await rig.echo(1) == 1
        assert (pool.stats().total, pool.stats().created) == (1, 4)


@pytest.mark.parametrize("idle", [0, 1])
async def test_silent_server(kit: Kit, server: RealServer, idle: int) -> None:
    """While a server hangs callers are told in time, whether they check or connect; then it goes on."""
    rig = Rig(kit, server, check_after_idle=0)
    async with rig.pool as pool:
        await rig.hold(idle)
        server.pause()
        for timeout in (1.2, 0.5):
            started = time.monotonic()
            with pytest.raises(PoolTimeoutError):
                await rig.echo(1, timeout)
            assert timeout - 0.01 < time.monotonic() - started < timeout + PROMPT
        server.resume()
        assert await rig.echo(2) == 2
        assert pool.stats().in_use == 0


async def test_interrupt(kit: Kit, server: RealServer) -> None:
    """Whoever waits for a silent server is freed by a clear that interrupts."""
    rig = Rig(kit, server)
    async with rig.pool as pool:

        async def hang() -> None:
            async with pool.connection(rig.endpoint) as conn:
                await kit.hang(conn, 60.0)

        running = await call_soon(hang)
        await until(lambda: pool.stats().in_use)
        server.pause()
        await pool.clear(interrupt_connections=True)
        with pytest.raises(kit.failures):
            await running.result()
        assert pool.stats().total == 0


async def test_cancel(kit: Kit, server: RealServer) -> None:
    """A caller who is cancelled while he waits for a silent server is free at once."""
    rig = Rig(kit, server)
    async with rig.pool as pool:

        async def hang() -> None:
            async with pool.connection(rig.endpoint) as conn:
                await kit.hang(conn, 60.0)

        task = asyncio.create_task(hang())
        await until(lambda: pool.stats().in_use)
        server.pause()
        started = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - started < PROMPT
        assert pool.stats().total == 0
