"""Topologies: servers are found, chosen, lost and found again."""

from typing import Any

import pytest

from pool import (
    Hello,
    PoolClosedError,
    PoolTimeoutError,
    ServerSelectionTimeoutError,
    ServerType,
)
from pool.aio import (
    Topology,
    nearest,
    primary,
    primary_preferred,
    readable,
    secondary,
    secondary_preferred,
    writable,
)
from support.aio import Gate, call_soon, until

from .clusters import (
    PRIMARY,
    SECONDARY,
    STANDALONE,
    TIMES,
    Cluster,
    ClusterManager,
    Link,
    Server,
    known,
    topology_of,
)


def types(topology: Topology[Any, Link]) -> dict[Any, str]:
    """Return what each server is."""
    servers = topology.description.server_descriptions()
    return {address: server.server_type_name for address, server in servers.items()}


# -- discovery ----------------------------------------------------------------------------------------


async def test_members_are_discovered_from_one_seed() -> None:
    """A primary tells of the others, and each is found to be what it says."""
    cluster = Cluster.replicated("a", "b", "c")
    async with topology_of(ClusterManager(cluster), "b") as topology:
        server = await topology.select_server(writable)
        assert server.address == "a"
        await known(topology)
        assert types(topology) == {"a": "PRIMARY", "b": "SECONDARY", "c": "SECONDARY"}
        assert topology.description.topology_type_name == "REPLICA_SET_WITH_PRIMARY"
    assert cluster.links == []


async def test_a_server_that_has_left_is_forgotten_with_its_connections() -> None:
    """The primary no longer names it: its pool and its monitor are closed."""
    cluster = Cluster.replicated("a", "b", "c")
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        async with topology.connection(lambda t: [t.servers["c"]]):
            pass
        cluster["a"].become(PRIMARY, hosts=("a", "b"), set_name="rs", term=1)
        topology.request_check()
        await until(lambda: set(types(topology)) == {"a", "b"})
        await until(lambda: not cluster["c"].links)
        assert topology.stats("c").total == 0
    assert cluster.links == []


async def test_who_is_at_work_on_a_server_that_leaves_may_finish() -> None:
    """Its connection is closed when it comes back."""
    cluster = Cluster.replicated("a", "b")
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        async with topology.connection(secondary) as link:
            cluster["a"].become(PRIMARY, hosts=("a",), set_name="rs", term=1)
            topology.request_check()
            await until(lambda: set(types(topology)) == {"a"})
            link.check()
        assert link.closed
    assert cluster.links == []


async def test_a_single_server_does_for_everything() -> None:
    """Whatever is asked for."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster)) as topology:
        for selector in (
            *(writable, readable, primary, secondary, nearest),
            *(primary_preferred, secondary_preferred),
        ):
            assert (await topology.select_server(selector)).address == "a"
        assert topology.description.topology_type_name == "SINGLE"


async def test_a_stale_primary_is_not_written_to() -> None:
    """It returns with a lower term, and says that it is the primary."""
    cluster = Cluster(
        Server("old", PRIMARY, term=1),
        Server("new", PRIMARY, term=2),
    )
    cluster["old"].up = False
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        assert types(topology) == {"old": "UNKNOWN", "new": "PRIMARY"}
        cluster["old"].up = True
        topology.request_check()
        await until(lambda: "Stale" in repr(topology.description.servers["old"].error))
        assert types(topology) == {"old": "UNKNOWN", "new": "PRIMARY"}
        for _ in range(4):
            async with topology.connection(writable) as link:
                assert link.server.address == "new"


async def test_a_primary_with_a_higher_term_unseats_the_other() -> None:
    """The other is unknown until it says that it follows; its idle connections are closed."""
    cluster = Cluster(Server("a", PRIMARY, term=1), Server("b", SECONDARY))
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        async with topology.connection(writable) as link:
            assert link.server.address == "a"
        # The old one cannot answer meanwhile.
        cluster["a"].gate = Gate()
        cluster["b"].become(PRIMARY, term=2)
        topology.request_check()
        await until(lambda: types(topology) == {"a": "UNKNOWN", "b": "PRIMARY"})
        assert (await topology.select_server(writable)).address == "b"
        await until(lambda: link.closed)
        cluster["a"].become(SECONDARY)
        cluster["a"].gate.open()
        await until(lambda: types(topology) == {"a": "SECONDARY", "b": "PRIMARY"})


# -- selection ----------------------------------------------------------------------------------------


async def test_who_waits_is_served_when_a_server_suits() -> None:
    """And has the servers checked again and again meanwhile."""
    cluster = Cluster(Server("a", SECONDARY))
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        waiting = await call_soon(topology.select_server, writable)
        said = cluster["a"].said
        await until(lambda: cluster["a"].said > said + 2)
        assert not waiting.done()
        cluster["a"].become(PRIMARY)
        assert (await waiting.result()).address == "a"
        # Nobody waits any more: it is left in peace.
        said = cluster["a"].said
        assert (await topology.select_server(writable)).address == "a"
        assert cluster["a"].said <= said + 1


async def test_a_timeout_tells_what_is_known() -> None:
    """Every server with its type and its error, which is also the cause."""
    cluster = Cluster(Server("a", SECONDARY), Server("b", SECONDARY))
    cluster["b"].up = False
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        with pytest.raises(ServerSelectionTimeoutError) as caught:
            await topology.select_server(writable, timeout=0)
        text = str(caught.value)
        assert "writable" in text
        assert "within 0 s" in text
        assert "REPLICA_SET_NO_PRIMARY" in text
        assert "'a' SECONDARY" in text
        assert "'b' UNKNOWN, ConnectionRefusedError: nobody listens at 'b'" in text
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)
        with pytest.raises(ServerSelectionTimeoutError, match=r"within 0\.01 s"):
            await topology.select_server(writable, timeout=0.01)


async def test_the_option_is_the_timeout_that_is_left_out() -> None:
    """``server_selection_timeout``, for a selection and for a connection."""
    cluster = Cluster(Server("a", SECONDARY))
    manager = ClusterManager(cluster)
    async with topology_of(manager, server_selection_timeout=0.01) as topology:
        with pytest.raises(ServerSelectionTimeoutError, match=r"within 0\.01 s"):
            await topology.select_server(writable)
        with pytest.raises(ServerSelectionTimeoutError, match=r"within 0\.01 s"):
            async with topology.connection(writable):
                pass


async def test_a_timeout_holds_for_choice_and_acquire_together() -> None:
    """Whoever has found a server waits for a connection no longer than what is left."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster), max_size=1) as topology:
        async with topology.connection():
            with pytest.raises(PoolTimeoutError):
                async with topology.connection(timeout=0.01):
                    pass
            with pytest.raises(PoolTimeoutError):
                async with topology.connection(timeout=0):
                    pass
        async with topology.connection(timeout=0) as link:
            assert link.server.address == "a"


async def test_the_less_loaded_of_two_is_taken() -> None:
    """Of two servers, the one with fewer operations going on."""
    cluster = Cluster.replicated("a", "b")
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        async with topology.connection(nearest) as first:
            for _ in range(8):
                async with topology.connection(nearest) as second:
                    assert second.server is not first.server


async def test_a_selector_may_be_any_callable() -> None:
    """It gets the description and returns those that suit; it need not be hashable."""

    class Named:
        __hash__ = None  # type: ignore[assignment]

        def __init__(self, address: str) -> None:
            self.address = address

        def __call__(self, description: Any) -> list[Any]:
            return [description.server_descriptions()[self.address]]

    cluster = Cluster.replicated("a", "b")
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        assert (await topology.select_server(Named("b"))).address == "b"


@pytest.mark.parametrize(
    ("returned", "error"),
    [("abc", "sequence"), (None, "sequence"), (["b"], "ServerDescription")],
)
async def test_a_bad_selector_is_told_so(returned: Any, error: str) -> None:
    """At once, and not at the end of the time."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster)) as topology:
        with pytest.raises(TypeError, match=error):
            await topology.select_server(lambda description: returned)
        with pytest.raises(TypeError, match="callable"):
            topology.connection("a")  # type: ignore[arg-type]


# -- its life -----------------------------------------------------------------------------------------


async def test_making_one_opens_nothing() -> None:
    """It begins to watch at its first use, and closing one that was never used is fine."""
    cluster = Cluster(Server("a", STANDALONE))
    unused = topology_of(ClusterManager(cluster))
    assert unused.description.servers == {}
    await unused.close()
    await unused.close()
    with pytest.raises(PoolClosedError):
        await unused.select_server()
    used = topology_of(ClusterManager(cluster))
    async with used.connection() as link:
        assert link.server.address == "a"
    await used.close()
    assert cluster.links == []


async def test_closing_ends_who_waits() -> None:
    """With ``PoolClosedError``, for a server as for a connection."""
    cluster = Cluster(Server("a", SECONDARY))
    topology = topology_of(ClusterManager(cluster), max_size=1)
    await known_after_open(topology)

    async def use() -> None:
        async with topology.connection(readable):
            pass

    async with topology.connection(readable) as link:
        first = await call_soon(topology.select_server, writable)
        second = await call_soon(use)
        await until(lambda: topology.stats().waiting == 1)
        await until(lambda: topology._watcher.books._wanting)
        await topology.close()
        for call in (first, second):
            with pytest.raises(PoolClosedError):
                await call.result()
        assert cluster.links == [link]
    assert cluster.links == []
    assert topology.description.servers == {}
    assert "closed" in repr(topology)


async def known_after_open(topology: Topology[Any, Link]) -> None:
    await topology.open()
    await known(topology)


async def test_closing_breaks_off_a_check() -> None:
    """A server that does not answer holds nobody up, and its connection is closed."""
    cluster = Cluster(Server("a", STANDALONE))
    cluster["a"].hung = True
    topology = topology_of(ClusterManager(cluster))
    await topology.open()
    await until(lambda: cluster["a"].hellos)
    await topology.close()
    assert cluster.links == []


async def test_a_description_does_not_change_and_the_text_tells_it() -> None:
    """What was looked at stays as it was; ``explain`` has the servers and the pool."""
    cluster = Cluster(Server("a", STANDALONE))
    cluster["a"].gate = Gate()
    async with topology_of(ClusterManager(cluster), name="mine") as topology:
        before = topology.description
        cluster["a"].gate.open()
        await known(topology)
        assert not before.servers["a"].is_known
        text = topology.explain()
        assert "SINGLE" in text
        assert "'a' STANDALONE, round trip" in text
        assert repr(topology) == "<Topology 'mine' SINGLE: 1 servers>"
        assert topology.name == "mine"


async def test_pools_start_paused_and_a_good_heartbeat_makes_them_ready() -> None:
    """Their options are the topology's, and ``min_size`` is filled once a server is well."""
    cluster = Cluster(Server("a", STANDALONE))
    cluster["a"].gate = Gate()
    async with topology_of(ClusterManager(cluster), min_size=2, max_size=3) as topology:
        await until(lambda: cluster["a"].gate.waiting)
        assert len(cluster["a"].links) == 1
        cluster["a"].gate.open()
        await until(lambda: topology.stats("a").idle == 2)
        assert topology.options.max_size == 3
        assert topology.options.paused


# -- bad input ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seeds", "kind", "text"),
    [
        ([], ValueError, "at least one"),
        ("a", TypeError, "srv://"),
        (("host", 1), TypeError, r"\[\('host', 1\)\]"),
        (5, TypeError, "sequence"),
        ([[]], TypeError, "hashable"),
        ("srv://example", ValueError, "_service"),
    ],
)
def test_bad_seeds(seeds: Any, kind: type[Exception], text: str) -> None:
    """The error names the value and what was expected."""
    with pytest.raises(kind, match=text):
        Topology(ClusterManager(Cluster()), seeds)


@pytest.mark.parametrize(
    ("option", "value", "kind"),
    [
        ("heartbeat_interval", 0, ValueError),
        ("heartbeat_interval", None, TypeError),
        ("heartbeat_interval", "1", TypeError),
        ("min_heartbeat_interval", -1, ValueError),
        ("heartbeat_timeout", 0, ValueError),
        ("local_threshold", -0.1, ValueError),
        ("local_threshold", None, TypeError),
        ("server_selection_timeout", -1, ValueError),
        ("paused", True, TypeError),
        ("max_size", 0, ValueError),
        ("no_such", 1, TypeError),
        ("event_listeners", 1, TypeError),
        ("name", 1, TypeError),
    ],
)
def test_bad_options(option: str, value: Any, kind: type[Exception]) -> None:
    """The error names the option."""
    with pytest.raises(kind, match=option):
        Topology(ClusterManager(Cluster()), ["a"], **{option: value})


def test_a_manager_that_cannot_say_hello_is_refused() -> None:
    """When the topology is made."""
    with pytest.raises(TypeError, match="ServerManager"):
        Topology(object(), ["a"])  # type: ignore[arg-type]


async def test_a_hello_that_is_none_is_an_error() -> None:
    """What the manager returned is named; it must be a ``Hello``."""

    class Rude(ClusterManager):
        async def hello(self, endpoint: Any, conn: Link, timeout: float | None) -> Hello:
            return {"ok": 1}  # type: ignore[return-value]

    cluster = Cluster(Server("a", STANDALONE))
    async with Topology(Rude(cluster), ["a"], **TIMES) as topology:
        await known(topology)
        error = topology.description.servers["a"].error
        assert isinstance(error, TypeError)
        assert "must return a pool.Hello" in str(error)


def test_types_and_names_are_exported() -> None:
    """The name of a type is that of its member."""
    assert ServerType.PRIMARY.name == "PRIMARY"
