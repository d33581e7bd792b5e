"""Topologies: servers are found, chosen, lost and found again."""

from pool.aio import secondary, writable

from .clusters import Cluster, ClusterManager, known, topology_of


async def test_members_are_discovered_from_one_seed() -> None:
    """A primary tells of the others, and each is found to be what it says."""
    cluster = Cluster.replicated("a", "b", "c")
    async with topology_of(ClusterManager(cluster), "b") as topology:
        server = await topology.select_server(writable)
        assert server.address == "a"
        await known(topology)
        types = {
            address: each.server_type_name
            for address, each in topology.description.server_descriptions().items()
        }
        assert types == {"a": "PRIMARY", "b": "SECONDARY", "c": "SECONDARY"}
        assert topology.description.topology_type_name == "REPLICA_SET_WITH_PRIMARY"
        async with topology.connection(secondary) as link:
            assert link.server.address in ("b", "c")
    assert cluster.links == []
