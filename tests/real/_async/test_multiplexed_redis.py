"""Many callers on a few shared connections to Redis, over a line that fails, while others give up."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

import pytest
import redis

from pool.aio import Lease, MultiplexedPool
from pool.aio.redis import PipelinedConnection, PipelinedRedisManager
from pool.testing import ChaosProxy
from pool.testing.aio import EventRecorder
from support.aio_net import start, until
from support.real import HOST, RealServer

LIMIT = 10.0
"""Seconds that a test gives a call that should succeed."""

BRIEF = 0.02
"""Seconds that may run out."""


@pytest.fixture
def proxy(redis_server: RealServer) -> Iterator[ChaosProxy]:
    with ChaosProxy(HOST, redis_server.port) as proxy:
        yield proxy
    redis_server.resume()


@asynccontextmanager
async def pooled(
    proxy: ChaosProxy, **options: Any
) -> AsyncIterator[MultiplexedPool[tuple[str, int], PipelinedConnection]]:
    """Give a pool; at its end all that was told of it must make sense."""
    recorder = EventRecorder()
    pool = MultiplexedPool(
        PipelinedRedisManager(), proxy.address, event_listeners=[recorder], **options
    )
    try:
        yield pool
    finally:
        await pool.close(LIMIT)
    assert pool.stats().total == pool.pending == 0
    recorder.check_order(ended=True, shared=True)


async def echo(
    pool: MultiplexedPool[Any, PipelinedConnection], word: str, timeout: float = LIMIT
) -> None:
    """Have a word of one's own come back."""
    async with pool.connection(timeout=LIMIT) as conn:
        assert await conn.ask("ECHO", word, timeout=timeout) == word.encode()


async def ask_for_ever(conn: PipelinedConnection) -> None:
    """Ask until it fails."""
    while True:
        await conn.ask("PING", timeout=LIMIT)


async def use(lease: Lease[Any, PipelinedConnection]) -> None:
    """Ask until it fails, and end the lease by that."""
    async with lease as conn:
        await ask_for_ever(conn)


@pytest.mark.concurrency
async def test_each_gets_his_own_reply(proxy: ChaosProxy) -> None:
    """200 callers on three connections, eight at once on each: everybody gets what he has asked for."""
    async with pooled(proxy, size=3, max_pending=8) as pool:
        calls = [await start(echo, pool, f"word {number}") for number in range(200)]
        for call in calls:
            await call.outcome()
        assert len(pool.connections) == 3
        assert pool.stats().acquired == 200
        assert proxy.connections == 3


async def give_up(
    pool: MultiplexedPool[Any, PipelinedConnection], number: int, lots: Random
) -> str:
    """Ask, with too little time as a rule."""
    try:
        await echo(pool, f"word {number}", timeout=lots.random() * BRIEF)
    except TimeoutError:
        return "late"
    return "served"


@pytest.mark.concurrency
async def test_nobody_gets_the_reply_of_one_who_gave_up(proxy: ChaosProxy) -> None:
    """Over a slow line half of the callers run out of time; the others get their own, on the same lines."""
    proxy.latency = BRIEF / 2
    lots = Random(7)
    async with pooled(proxy, size=2) as pool:
        await pool.open()
        kept = pool.connections
        late = [await start(give_up, pool, number, lots) for number in range(60)]
        calls = [await start(echo, pool, f"mine {number}") for number in range(60)]
        outcomes = [await call.outcome() for call in late]
        for call in calls:
            await call.outcome()
        assert "late" in outcomes
        assert pool.connections == kept
        assert pool.broken == []


async def test_a_line_that_breaks_is_left_and_replaced(proxy: ChaosProxy) -> None:
    """All who were on it fail at once, and the pool has good ones again."""
    async with pooled(proxy, size=2) as pool:
        await pool.open()
        before = pool.connections
        async with pool.connection() as one, pool.connection() as two:
            assert one is not two
            proxy.close_connections()
            for conn in (one, two):
                with pytest.raises(redis.ConnectionError):
                    await ask_for_ever(conn)
            # Nobody has told the pool yet.
            assert pool.broken == []
        with suppress(redis.ConnectionError):
            await echo(pool, "word")
        with suppress(redis.ConnectionError):
            await echo(pool, "word")
        await until(lambda: len(pool.connected) == 2 and not pool.broken)
        assert not set(before) & set(pool.connections)
        await echo(pool, "after")


async def test_those_who_share_a_lost_line_do_not_share_its_end(proxy: ChaosProxy) -> None:
    """One leaves with the error: nobody new comes, and it is closed when the last has left."""
    async with pooled(proxy, size=1) as pool:
        async with pool.connection() as conn:
            same = await pool.acquire()
            assert same.connection is conn
            proxy.close_connections()
            with pytest.raises(redis.ConnectionError):
                await use(same)
            assert pool.broken == [conn]
            assert not pool.is_working()
            assert pool.pending == 1
        await echo(pool, "after")
        assert pool.broken == []


async def test_a_server_that_is_away_for_a_while(proxy: ChaosProxy) -> None:
    """Nobody is served while it refuses; when it is back the pool finds it by itself."""
    async with pooled(proxy, size=2, check_after_idle=0.0) as pool:
        await pool.open()
        proxy.refuse = True
        proxy.close_connections()
        for _ in range(4):
            with pytest.raises((OSError, redis.ConnectionError)):
                await echo(pool, "word")
        assert len(pool.broken) == 2
        proxy.refuse = False
        await until(lambda: len(pool.connected) == 2)
        assert pool.broken == []
        await echo(pool, "after")


@pytest.mark.slow
async def test_a_hanging_server_is_noticed(proxy: ChaosProxy, redis_server: RealServer) -> None:
    """A check of an idle connection has its limit; the connection is closed, and its caller served later."""
    async with pooled(proxy, size=1, check_after_idle=0.0) as pool:
        await echo(pool, "word")
        (stale,) = pool.connections
        redis_server.pause()
        call = await start(echo, pool, "patient")
        await until(lambda: not stale.is_connected)
        redis_server.resume()
        await call.outcome()
        assert stale not in pool.connections


async def test_reconnected_in_use(proxy: ChaosProxy) -> None:
    """A new generation while somebody uses the old one: he goes on, and the next gets another."""
    async with pooled(proxy, size=2) as pool:
        async with pool.connection() as conn:
            assert await pool.reconnect(only_broken=False) == 1
            assert await conn.ask("ECHO", "old", timeout=LIMIT) == b"old"
            async with pool.connection() as other:
                assert other is not conn
        assert not conn.is_connected
        await echo(pool, "after")
