"""Names that differ, and constructs that lose a word."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager

import pool.aio
from pool._async.manager import ConnectionManager
from pool._runtime.aio import sleep

__all__ = ["ConnectionManager", "aio", "numbers"]


class Resource:
    async def __aenter__(self) -> "Resource":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await sleep(0)

    def __aiter__(self) -> "AsyncIterator[int]":
        return self

    async def __anext__(self) -> int:
        raise StopAsyncIteration


@asynccontextmanager
async def numbers(pool: pool.aio.ConnectionPool) -> AsyncIterator[int]:
    async with AsyncExitStack() as stack, aclosing(pool) as p:
        yield await stack.enter(await p.take())
    async for n in p:
        yield n
    squares = [n * n async for n in p if await p.wants(n)]
    yield squares[0] if await p.ok() else -(await p.take())
