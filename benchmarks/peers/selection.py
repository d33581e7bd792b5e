"""This library's topologies. Every server has its monitor, which has had its one answer."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle, repeat

from benchmarks.fakes import Endpoint, FakeConnection, FakeServer
from benchmarks.peers import CHANGED, OURS, OWN
from benchmarks.peers.members import SET_NAME, AsyncMembers, SyncMembers
from benchmarks.peers.twinpool import AsyncManager as AsyncConnects
from benchmarks.peers.twinpool import SyncManager as SyncConnects
from pool import Hello, ServerDescription, ServerType, TopologyDescription, aio, secondary, sync
from pool.selectors import Selector

CODES = {
    OURS: "topology.select_server(secondary)",
    OWN: "topology.select_server(secondaries_of_mine)",
    CHANGED: "topology.select_server(secondary)",
}
AIO_CODES = {key: f"await {code}" for key, code in CODES.items()}

RARELY = 86_400.0
"""Seconds between heartbeats: none while anything is measured."""

PATIENCE = 120.0
"""Seconds until all servers have surely answered."""


def own(known: TopologyDescription) -> list[ServerDescription]:
    """Leave the secondaries, as a selector of one's own would."""
    servers = known.server_descriptions().values()
    return [each for each in servers if each.server_type is ServerType.SECONDARY]


SELECTORS: dict[str, Selector] = {OURS: secondary, OWN: own, CHANGED: secondary}


def all_known(known: TopologyDescription) -> list[ServerDescription]:
    """Leave the servers, once each has answered."""
    servers = list(known.servers.values())
    return servers if all(each.is_known for each in servers) else []


def timed(known: TopologyDescription, times: dict[Endpoint, float]) -> TopologyDescription:
    """Return the same with these round-trip times."""
    servers = {
        address: replace(server, round_trip_time=times[address])
        for address, server in known.servers.items()
    }
    return replace(known, servers=servers)


def changes(
    known: TopologyDescription, times: dict[Endpoint, float]
) -> Iterator[TopologyDescription]:
    """Return one description after the other, without end: of the last server they tell another time."""
    last = list(times)[-1]
    longer = replace(known.servers[last], round_trip_time=times[last] * 1.001)
    return cycle((replace(known, servers={**known.servers, last: longer}), known))


def hello(primary: bool) -> Hello:
    kind = ServerType.PRIMARY if primary else ServerType.SECONDARY
    return Hello({}, kind, set_name=SET_NAME)


class SyncManager(SyncConnects, sync.ServerManager[Endpoint, FakeConnection]):
    def __init__(self, server: FakeServer, primary: Endpoint) -> None:
        super().__init__(server)
        self.primary = primary

    def hello(self, endpoint: Endpoint, conn: FakeConnection, timeout: float | None) -> Hello:
        return hello(endpoint == self.primary)


class AsyncManager(AsyncConnects, aio.ServerManager[Endpoint, FakeConnection]):
    def __init__(self, server: FakeServer, primary: Endpoint) -> None:
        super().__init__(server)
        self.primary = primary

    async def hello(self, endpoint: Endpoint, conn: FakeConnection, timeout: float | None) -> Hello:
        return hello(endpoint == self.primary)


class Sync(SyncMembers):
    codes = CODES

    def setup(self) -> None:
        seeds = list(self.servers)
        self.topology = sync.Topology(
            SyncManager(FakeServer(), seeds[0]),
            seeds,
            heartbeat_interval=RARELY,
            min_heartbeat_interval=RARELY,
        )
        self.topology.select_server(all_known, PATIENCE)
        known = timed(self.topology.description, self.servers)
        self.show: Callable[[TopologyDescription], object] = self.topology._watcher.core.show
        self.show(known)
        self.changes = changes(known, self.servers)

    def select(self, key: str, n: int) -> Endpoint | None:
        topology, selector = self.topology, SELECTORS[key]
        address: Endpoint | None = None
        if key == CHANGED:
            show, descriptions = self.show, self.changes
            for _ in repeat(None, n):
                show(next(descriptions))
                address = topology.select_server(selector).address
        else:
            for _ in repeat(None, n):
                address = topology.select_server(selector).address
        return address

    def teardown(self) -> None:
        self.topology.close()


class Aio(AsyncMembers):
    codes = AIO_CODES

    async def setup(self) -> None:
        seeds = list(self.servers)
        self.topology = aio.Topology(
            AsyncManager(FakeServer(), seeds[0]),
            seeds,
            heartbeat_interval=RARELY,
            min_heartbeat_interval=RARELY,
        )
        await self.topology.select_server(all_known, PATIENCE)
        known = timed(self.topology.description, self.servers)
        self.show: Callable[[TopologyDescription], object] = self.topology._watcher.core.show
        self.show(known)
        self.changes = changes(known, self.servers)

    async def select(self, key: str, n: int) -> Endpoint | None:
        topology, selector = self.topology, SELECTORS[key]
        address: Endpoint | None = None
        if key == CHANGED:
            show, descriptions = self.show, self.changes
            for _ in repeat(None, n):
                show(next(descriptions))
                address = (await topology.select_server(selector)).address
        else:
            for _ in repeat(None, n):
                address = (await topology.select_server(selector)).address
        return address

    async def teardown(self) -> None:
        await self.topology.close()
