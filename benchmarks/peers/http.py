"""aiohttp's connector. Only the transport is faked. Its requests take and return connections like this."""

from itertools import repeat
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import ClientTimeout
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import BaseConnector

from benchmarks.fakes import ENDPOINT, FakeConnection, FakeServer
from benchmarks.peer import AsyncPeer
from benchmarks.peers import block


class Fake(FakeConnection):
    """What the connector asks of a protocol."""

    transport = None
    should_close = False
    closed = None

    def is_connected(self) -> bool:
        return True


class Connector(BaseConnector):
    server: FakeServer

    async def _create_connection(self, *request: object) -> Any:
        return self.server.open()


#: What the connector looks at in a request.
REQUEST = cast(
    "Any",
    SimpleNamespace(
        proxy=None, connection_key=ConnectionKey(*ENDPOINT, False, True, None, None, None)
    ),
)

#: What a session has by default.
TIMEOUT = ClientTimeout(total=5 * 60, sock_connect=30)


class Block(block.AsyncBlock):
    async def take(self) -> Any:
        return await self.pool.connect(REQUEST, [], TIMEOUT)

    async def give(self, leased: Any) -> None:
        leased.release()


class Aio(AsyncPeer):
    code = "conn = await connector.connect(request, [], timeout); conn.release()"
    kind = Fake

    async def setup(self) -> None:
        self.pool = Connector(limit=self.size)
        self.pool.server = self.server

    async def run(self, n: int) -> None:
        connector = self.pool
        for _ in repeat(None, n):
            connection = await connector.connect(REQUEST, [], TIMEOUT)
            try:
                pass
            finally:
                connection.release()

    def checkout(self) -> Block:
        return Block(self.pool)

    def bare(self, leased: Any) -> FakeConnection:
        return cast("FakeConnection", leased.protocol)

    async def teardown(self) -> None:
        await self.pool.close()
