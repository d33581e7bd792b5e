"""One connection to Redis that many tasks share, when tasks are cancelled."""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import redis
from aio_only.steps import AS_IT_IS_SERVED, AT_ONCE, Stepped, ended

from pool.aio.redis import PipelinedConnection, PipelinedRedisManager
from pool.testing import ChaosProxy
from support.aio import until
from support.real import HOST, RealServer
from support.servers import Peer, Server

LIMIT = 10.0
BIG = 12_000_000


@pytest.fixture
def proxy(redis_server: RealServer) -> Iterator[ChaosProxy]:
    with ChaosProxy(HOST, redis_server.port) as proxy:
        yield proxy


async def opened(endpoint: tuple[str, int]) -> PipelinedConnection:
    return await PipelinedRedisManager().create(endpoint, LIMIT)


async def echo(conn: PipelinedConnection, name: str, size: int = 1) -> None:
    """Ask, and see that it is the right reply."""
    value = name.encode() * size
    assert await conn.ask("ECHO", value, timeout=LIMIT) == value


@pytest.mark.concurrency
@pytest.mark.parametrize("seed", range(5))
async def test_random_cancels(redis_server: RealServer, seed: int) -> None:
    """Some are cancelled, some time out, and all others get their own replies."""
    chance = random.Random(seed)
    conn = await opened((HOST, redis_server.port))

    async def ask_often(number: int) -> None:
        for turn in range(10):
            name = f"{number}-{turn}"
            timeout = chance.choice([LIMIT, LIMIT, 0.0, 0.0005, 0.002])
            size = chance.choice([1, 1, 1, 10, 20_000])
            value = name.encode() * size
            with suppress(TimeoutError):
                assert await conn.ask("ECHO", value, timeout=timeout) == value

    tasks = [asyncio.create_task(ask_often(number)) for number in range(100)]
    for task in chance.sample(tasks, 40):
        for _ in range(chance.randint(0, 3)):
            await asyncio.sleep(0)
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError):
            await (await ended(task))
    await echo(conn, "afterwards")
    assert conn.is_settled
    await conn.disconnect()


@pytest.mark.concurrency
@pytest.mark.parametrize("moment", [AT_ONCE, AS_IT_IS_SERVED])
@pytest.mark.parametrize("others", [0, 1, 3])
@pytest.mark.parametrize("size", [1, 3_000_000])
async def test_every_step(proxy: ChaosProxy, moment: str, others: int, size: int) -> None:
    """Cancelled at any step, an ask leaves the right replies to all others, before him and after him."""
    conn = await opened(proxy.address)
    for step in range(100):
        before = [asyncio.create_task(echo(conn, f"before {n}")) for n in range(others)]
        await asyncio.sleep(0)
        stepped = Stepped(echo(conn, "x", size), {step}, moment)
        victim = asyncio.ensure_future(follow(stepped))
        await asyncio.sleep(0)
        after = [asyncio.create_task(echo(conn, f"after {n}")) for n in range(others)]
        for task in *before, *after:
            (await ended(task)).result()
        with suppress(asyncio.CancelledError):
            (await ended(victim)).result()
        await echo(conn, "next")
        assert conn.is_settled
        if not stepped.strikes or (size > 1 and step > 12):
            break
    assert step >= 1
    await conn.disconnect()


async def follow(stepped: "Stepped[None]") -> None:
    await stepped


async def test_writer_is_cancelled(proxy: ChaosProxy) -> None:
    """In the middle of his words: those who are parked behind him go on at once."""
    conn = await opened(proxy.address)
    proxy.half_open = "up"
    victim = asyncio.create_task(echo(conn, "x", BIG))
    await until(lambda: conn.pending == 1)
    parked = [asyncio.create_task(echo(conn, f"{n}")) for n in range(5)]
    await until(lambda: conn.pending == 6)
    victim.cancel()
    with pytest.raises(asyncio.CancelledError):
        await victim
    parked[4].cancel()
    with pytest.raises(asyncio.CancelledError):
        await parked[4]
    assert conn.pending == 5
    proxy.half_open = None
    for task in parked[:4]:
        (await ended(task)).result()
    assert conn.is_settled
    await conn.disconnect()


async def test_reader_is_cancelled(proxy: ChaosProxy) -> None:
    """One after the other who reads for all: somebody else goes on."""
    conn = await opened(proxy.address)
    proxy.half_open = "down"
    tasks = [asyncio.create_task(echo(conn, f"{n}")) for n in range(6)]
    await until(lambda: conn.pending == 6)
    for _ in range(5):
        await until(lambda: conn._core._reader is not None)
        reader = next(task for task in tasks if "_read" in names(task))
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        tasks.remove(reader)
        await asyncio.sleep(0)
    proxy.half_open = None
    (last,) = tasks
    (await ended(last)).result()
    assert conn.is_settled
    await conn.disconnect()


async def test_writer_does_not_wait_for_others() -> None:
    """Once his own words are sent he waits for his reply alone, though others' are stuck behind them."""
    first, second = (b"*2\r\n$4\r\nECHO\r\n$1\r\n%d\r\n" % n for n in (1, 2))
    go_on = threading.Event()

    def serve(peer: Peer) -> None:
        peer.receive(len(b"*1\r\n$4\r\nPING\r\n"))
        peer.send(b"+PONG\r\n")
        assert peer.receive(len(first + second)) == first + second
        peer.send(b"$1\r\n1\r\n$1\r\n2\r\n")
        # The rest is not read.
        go_on.wait(LIMIT)

    with Server(serve) as server:
        conn = await opened(server.endpoint)
        sizes = {"1": 1, "2": 1, "x": BIG}
        tasks = [asyncio.create_task(echo(conn, *words)) for words in sizes.items()]
        for task in tasks[:2]:
            (await ended(task)).result()
        assert conn.pending == 1
        go_on.set()
        with pytest.raises(redis.ConnectionError):
            (await ended(tasks[2])).result()


def names(task: "asyncio.Task[Any]") -> set[str]:
    """Return the functions that a task is in."""
    found = set()
    frame: Any = task.get_coro()
    while frame is not None and hasattr(frame, "cr_code"):
        found.add(frame.cr_code.co_name)
        frame = frame.cr_await
    return found


@pytest.mark.concurrency
async def test_few_packets(redis_server: RealServer) -> None:
    """What a thousand ask in the same turn of the loop goes out together."""
    conn = await opened((HOST, redis_server.port))
    sizes: list[int] = []
    send = conn._channel.send

    class Counting:
        def __getattr__(self, name: str) -> Any:
            return getattr(channel, name)

        def send(self, data: memoryview) -> Any:
            sizes.append(len(data))
            return send(data)

    channel = conn._channel
    conn._channel = Counting()  # type: ignore[assignment]
    async with asyncio.timeout(LIMIT):
        await asyncio.gather(*(echo(conn, str(n)) for n in range(1000)))
    assert len(sizes) == 2
    await conn.disconnect()
