"""PyMongo's topologies. Only the monitors are replaced: what they would find out is told."""

from itertools import repeat
from typing import Any, cast

from pymongo import ReadPreference
from pymongo.asynchronous.settings import TopologySettings as AsyncSettings
from pymongo.asynchronous.topology import Topology as AsyncTopology
from pymongo.hello import Hello
from pymongo.server_description import ServerDescription
from pymongo.server_selectors import Selection
from pymongo.server_type import SERVER_TYPE
from pymongo.synchronous.settings import TopologySettings
from pymongo.synchronous.topology import Topology

from benchmarks.fakes import Endpoint
from benchmarks.peers import MONGO, MONGO_OWN
from benchmarks.peers.members import SET_NAME, AsyncMembers, SyncMembers


def own(selection: Selection) -> Selection:
    """Leave the secondaries, as a selector of one's own would."""
    servers = selection.server_descriptions
    found = [each for each in servers if each.server_type == SERVER_TYPE.RSSecondary]
    return selection.with_server_descriptions(found)


CODES = {
    MONGO: 'topology.select_server(SECONDARY, "find")',
    MONGO_OWN: 'topology.select_server(secondaries_of_mine, "find")',
}
AIO_CODES = {key: f"await {code}" for key, code in CODES.items()}

SELECTORS: dict[str, Any] = {MONGO: ReadPreference.SECONDARY, MONGO_OWN: own}


def answers(servers: dict[Endpoint, float]) -> list[ServerDescription]:
    """Return what monitors would have found out: each server names all."""
    hosts = [f"{host}:{port}" for host, port in servers]
    common = {"ok": 1, "setName": SET_NAME, "hosts": hosts, "maxWireVersion": 25}
    first, *_ = servers
    found = []
    for address, time in servers.items():
        role = "isWritablePrimary" if address == first else "secondary"
        found.append(ServerDescription(address, Hello({**common, role: True}), time))
    return found


class SyncMonitor:
    """Asks nobody."""

    def __init__(self, **_: object) -> None:
        pass

    def open(self) -> None:
        pass

    close = request_check = cancel_check = join = open


class AsyncMonitor:
    def __init__(self, **_: object) -> None:
        pass

    def open(self) -> None:
        pass

    request_check = cancel_check = open

    async def close(self) -> None:
        pass

    join = close


class Sync(SyncMembers):
    codes = CODES

    def setup(self) -> None:
        monitor: Any = SyncMonitor
        self.topology = Topology(
            TopologySettings(list(self.servers), SET_NAME, monitor_class=monitor)
        )
        self.topology.open()
        for answer in answers(self.servers):
            self.topology.on_change(answer)

    def select(self, key: str, n: int) -> Endpoint | None:
        topology, selector = self.topology, SELECTORS[key]
        address: Any = None
        for _ in repeat(None, n):
            address = topology.select_server(selector, "find").description.address
        return cast("Endpoint | None", address)

    def teardown(self) -> None:
        self.topology.close()


class Aio(AsyncMembers):
    codes = AIO_CODES

    async def setup(self) -> None:
        monitor: Any = AsyncMonitor
        self.topology = AsyncTopology(
            AsyncSettings(list(self.servers), SET_NAME, monitor_class=monitor)
        )
        await self.topology.open()
        for answer in answers(self.servers):
            await self.topology.on_change(answer)

    async def select(self, key: str, n: int) -> Endpoint | None:
        topology, selector = self.topology, SELECTORS[key]
        address: Any = None
        for _ in repeat(None, n):
            address = (await topology.select_server(selector, "find")).description.address
        return cast("Endpoint | None", address)

    async def teardown(self) -> None:
        await self.topology.close()
