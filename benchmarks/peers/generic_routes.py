"""generic-connection-pool with many endpoints: the one peer that knows endpoints as we do."""

from generic_connection_pool import asyncio as gcp_aio
from generic_connection_pool import threading as gcp_sync

from benchmarks.peers import generic, routes


class Sync(routes.Sync):
    def setup(self) -> None:
        self.pool = gcp_sync.ConnectionPool(
            generic.SyncManager(self.server), min_idle=1, max_size=1, total_max_size=self.size
        )


class Aio(routes.Aio):
    async def setup(self) -> None:
        self.pool = gcp_aio.ConnectionPool(
            generic.AsyncManager(self.server), min_idle=1, max_size=1, total_max_size=self.size
        )
