"""A lookup that is cancelled."""

import asyncio

import pytest
from dns.asyncresolver import Resolver

from pool._async.srv import resolve
from support.aio import until
from support.dns import DnsServer


async def test_cancelled() -> None:
    """It ends at once, as cancelled, and its socket is closed."""
    with DnsServer() as server:
        server.mode = "silent"
        task = asyncio.create_task(resolve("_redis._tcp.example", 20.0, server.resolver(Resolver)))
        await until(lambda: server.queries)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
