"""Seeds that a name server tells, while a topology runs."""

from collections.abc import Iterator
from typing import Any

import pytest
from dns.asyncresolver import Resolver

from pool import PoolClosedError, ServerSelectionTimeoutError, ServerType
from pool.aio import Topology, readable
from pool.monitoring import TopologyDescriptionChangedEvent, TopologyOpenedEvent
from pool.testing.aio import EventRecorder
from support.aio import call_soon, until
from support.dns import DnsServer

from .clusters import (
    PRIMARY,
    SECONDARY,
    TIMES,
    Cluster,
    ClusterManager,
    Link,
    Server,
    known,
)

NAME = "_thing._tcp.example"
ONE, TWO, THREE = (("one.example", 1), ("two.example", 1), ("three.example", 1))


@pytest.fixture
def names() -> Iterator[DnsServer]:
    with DnsServer() as server:
        tell(server, ONE, TWO)
        yield server


def tell(names: DnsServer, *addresses: tuple[str, int]) -> None:
    names.records[NAME] = [(0, 0, port, f"{host}.") for host, port in addresses]


def topology_of(cluster: Cluster, names: DnsServer, **options: Any) -> Topology[Any, Link]:
    resolver = names.resolver(Resolver)
    times = {**TIMES, **options}
    return Topology(ClusterManager(cluster), f"srv://{NAME}", resolver=resolver, **times)


def routers(*addresses: Any) -> Cluster:
    return Cluster(*(Server(address, ServerType.ROUTER) for address in addresses))


def members(topology: Topology[Any, Link]) -> set[Any]:
    return set(topology.description.servers)


async def again(topology: Topology[Any, Link], names: DnsServer) -> None:
    """Have the seeds looked up as if they were due, and wait for that."""
    asked = names.queries
    topology._watcher._scout.ring()
    await until(lambda: names.queries > asked)


async def test_the_servers_are_those_that_the_records_name() -> None:
    """Who needs a server before they are known waits for that, too."""
    cluster, recorder = routers(ONE, TWO), EventRecorder()
    with DnsServer() as names:
        tell(names, ONE, TWO)
        async with topology_of(cluster, names, event_listeners=[recorder]) as topology:
            assert (await topology.select_server()).address in (ONE, TWO)
            await known(topology)
            assert members(topology) == {ONE, TWO}
            assert topology.description.topology_type_name == "SHARDED"
    first, second, *_ = recorder.of(TopologyOpenedEvent, TopologyDescriptionChangedEvent)
    assert isinstance(first, TopologyOpenedEvent)
    assert set(second.new_description.servers) == {ONE, TWO}


async def test_they_are_looked_up_again(names: DnsServer) -> None:
    """Who is new joins, who is no longer named leaves."""
    cluster = routers(ONE, TWO, THREE)
    async with topology_of(cluster, names) as topology:
        await topology.select_server()
        await known(topology)
        tell(names, TWO, THREE)
        await again(topology, names)
        await until(lambda: members(topology) == {TWO, THREE})
        await known(topology)
        await until(lambda: not cluster[ONE].links)
    assert cluster.links == []


@pytest.mark.parametrize("mode", ["nxdomain", "servfail", "empty"])
async def test_what_cannot_be_looked_up_changes_nothing(names: DnsServer, mode: Any) -> None:
    """Those that are known stay."""
    async with topology_of(routers(ONE, TWO), names) as topology:
        await topology.select_server()
        await known(topology)
        names.mode = mode
        await again(topology, names)
        await until(lambda: topology._watcher.seeds.error is not None)
        assert members(topology) == {ONE, TWO}
        names.mode = "answer"
        await again(topology, names)
        await until(lambda: topology._watcher.seeds.error is None)


async def test_members_that_tell_each_others_addresses_know_better(names: DnsServer) -> None:
    """A replica set's own account counts, and not the records any more."""
    hosts = (ONE, TWO)
    cluster = Cluster(
        Server(ONE, PRIMARY, hosts=hosts),
        Server(TWO, SECONDARY, hosts=hosts),
        Server(THREE, PRIMARY),
    )
    async with topology_of(cluster, names) as topology:
        await topology.select_server()
        await known(topology)
        tell(names, THREE)
        await again(topology, names)
        await again(topology, names)
        assert members(topology) == {ONE, TWO}


async def test_members_that_do_not_tell_are_found_by_the_records(names: DnsServer) -> None:
    """As with PostgreSQL, whose servers know no addresses."""
    cluster = Cluster(Server(ONE, PRIMARY), Server(TWO, SECONDARY), Server(THREE, SECONDARY))
    async with topology_of(cluster, names) as topology:
        await topology.select_server()
        tell(names, ONE, TWO, THREE)
        await again(topology, names)
        await until(lambda: members(topology) == {ONE, TWO, THREE})
        await topology.select_server(readable)


async def test_a_timeout_tells_why_there_are_no_servers(names: DnsServer) -> None:
    """The error of the lookup is the cause; it is repeated at the interval of heartbeats."""
    names.mode = "nxdomain"
    async with topology_of(routers(ONE), names, heartbeat_interval=0.02) as topology:
        await until(lambda: names.queries > 2)
        with pytest.raises(ServerSelectionTimeoutError, match=NAME) as caught:
            await topology.select_server(timeout=0.01)
        assert isinstance(caught.value.__cause__, OSError)
        waiting = await call_soon(topology.select_server)
        names.mode = "answer"
        assert (await waiting.result()).address == ONE


async def test_closing_does_not_wait_for_a_name_server(names: DnsServer) -> None:
    """One that says nothing holds nobody up."""
    names.mode = "silent"
    topology = topology_of(routers(ONE), names)
    await topology.open()
    await until(lambda: names.queries)
    waiting = await call_soon(topology.select_server)
    await topology.close()
    with pytest.raises(PoolClosedError):
        await waiting.result()
