"""Operations under a topology: what an error says of its server, and what becomes of the others."""

from ssl import SSLError
from typing import Any

import pytest

from pool import (
    PoolClearedError,
    PoolTimeoutError,
    ServerSelectionTimeoutError,
    ServerType,
)
from pool.aio import nearest, readable, secondary, writable
from pool.monitoring import (
    ConnectionClosedEvent,
    PoolClearedEvent,
    ServerDescriptionChangedEvent,
    ServerHeartbeatFailedEvent,
    ServerHeartbeatStartedEvent,
)
from pool.testing.aio import EventRecorder
from support.aio import Gate, call_soon, until

from .clusters import (
    PRIMARY,
    SECONDARY,
    STANDALONE,
    Cluster,
    ClusterManager,
    Link,
    Server,
    TellingManager,
    known,
    topology_of,
)


class Broken(ConnectionError):
    """What a body raises whose connection broke."""


async def test_a_connection_error_marks_the_server_unknown_and_clears_its_pool() -> None:
    """It asks for a check at once, and reaches the caller as it is."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with topology_of(ClusterManager(cluster), event_listeners=[recorder]) as topology:
        await known(topology)
        async with topology.connection() as idle, topology.connection() as link:
            pass
        # The check that follows does not get its answer yet.
        cluster["a"].gate = Gate()
        recorder.clear()
        with pytest.raises(Broken):
            async with topology.connection() as link:
                raise Broken
        description = topology.description.servers["a"]
        assert not description.is_known
        assert isinstance(description.error, Broken)
        await until(lambda: idle.closed and link.closed)
        await until(lambda: cluster["a"].gate.waiting)
        (change,) = recorder.of(ServerDescriptionChangedEvent)
        assert change.new_description is description
        assert len(recorder.of(PoolClearedEvent)) == 1
        reasons = sorted(event.reason for event in recorder.of(ConnectionClosedEvent))
        assert reasons == ["error", "stale"]
        cluster["a"].gate.open()
        async with topology.connection() as link:
            link.check()
    recorder.check_order(ended=True)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError("too slow"),
        ValueError("a slip"),
        FileNotFoundError(2, "no such file"),
        PermissionError(13, "not allowed"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_other_errors_say_nothing_of_the_server(error: Exception) -> None:
    """The connection is closed, as by any error; the server and its pool stay."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with topology_of(ClusterManager(cluster), event_listeners=[recorder]) as topology:
        await known(topology)
        with pytest.raises(type(error)):
            async with topology.connection() as link:
                raise error
        assert link.closed
        assert topology.description.servers["a"].is_known
        assert recorder.of(PoolClearedEvent) == []


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError(104, "reset"),
        BrokenPipeError(32, "broken"),
        EOFError("the end"),
        OSError(113, "no route to host"),
        OSError("in somebody's own words"),
        SSLError(1, "bad record"),
        TimeoutError(110, "the kernel gave up"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_errors_of_the_network_do(error: Exception) -> None:
    """By default; a manager may know more."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)

        async def use() -> None:
            async with topology.connection():
                # The check that follows is not answered yet.
                cluster["a"].gate = Gate()
                raise error

        with pytest.raises(type(error)):
            await use()
        assert topology.description.servers["a"].error is error
        cluster["a"].gate.open()


async def test_an_error_of_an_older_generation_is_ignored() -> None:
    """Two connections break at once: the second says nothing of the server as it is by now."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with topology_of(ClusterManager(cluster), event_listeners=[recorder]) as topology:
        await known(topology)
        gate = Gate()

        async def use() -> None:
            async with topology.connection():
                await gate.wait()
                raise Broken

        late = await call_soon(use)
        await until(lambda: gate.waiting)
        with pytest.raises(Broken):
            async with topology.connection():
                raise Broken
        await topology.select_server()
        gate.open()
        with pytest.raises(Broken):
            await late.result()
        assert topology.description.servers["a"].is_known
        assert len(recorder.of(PoolClearedEvent)) == 1


async def test_a_body_that_hears_that_it_is_no_primary_marks_the_server() -> None:
    """Its connections stay, as after a command."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with topology_of(ClusterManager(cluster), event_listeners=[recorder]) as topology:
        await known(topology)

        async def use() -> None:
            async with topology.connection():
                # The check that follows is not answered yet.
                cluster["a"].gate = Gate()
                raise ValueError("not primary")

        with pytest.raises(ValueError, match="not primary"):
            await use()
        assert not topology.description.servers["a"].is_known
        assert recorder.of(PoolClearedEvent) == []
        cluster["a"].gate.open()
        await topology.select_server()


async def test_behind_a_load_balancer_a_refused_connect_is_raised() -> None:
    """There is no other server, and nothing would tell when to try again."""
    cluster = Cluster(Server("a", ServerType.LOAD_BALANCER))
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        cluster["a"].up = False
        with pytest.raises(ConnectionRefusedError):
            async with topology.connection():
                pass
        assert topology._watcher.books.load("a") == 0


async def test_a_hook_that_fails_counts_as_no() -> None:
    """``is_connection_error`` raises: the error of the body is raised all the same."""

    class Confused(ClusterManager):
        def is_connection_error(self, endpoint: Any, error: BaseException) -> bool:
            raise RuntimeError("a bug")

    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(Confused(cluster)) as topology:
        await known(topology)
        with pytest.raises(Broken):
            async with topology.connection():
                raise Broken
        assert topology.description.servers["a"].is_known


async def test_a_server_that_cannot_be_connected_to_is_replaced() -> None:
    """Nothing was sent: the operation goes to another one that suits, without an error."""
    cluster = Cluster.replicated("a", "b")
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        cluster["b"].up = False
        for _ in range(20):
            async with topology.connection(nearest) as link:
                assert link.server.address == "a"
        assert not topology.description.servers["b"].is_known


async def test_if_there_is_no_other_it_waits_for_that_one() -> None:
    """As long as there is time; then the error is the cause."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        cluster["a"].up = False
        with pytest.raises(ServerSelectionTimeoutError) as caught:
            async with topology.connection(timeout=0.05):
                pass
        assert isinstance(caught.value.__cause__, ConnectionRefusedError)
        assert topology.stats().waiting == 0

        async def use() -> Any:
            async with topology.connection() as link:
                return link.server.address

        waiting = await call_soon(use)
        await until(lambda: topology._watcher.books._wanting)
        cluster["a"].up = True
        assert await waiting.result() == "a"


async def test_now_or_never_does_not_look_for_another() -> None:
    """With ``timeout=0`` the first refusal is raised."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        with pytest.raises(PoolTimeoutError):
            async with topology.connection(timeout=0):
                pass


async def test_other_errors_of_a_connect_are_raised() -> None:
    """A wrong password is no reason to ask another server."""

    class Strict(ClusterManager):
        async def on_acquire(self, endpoint: Any, conn: Link) -> None:
            raise ValueError("the password is wrong")

    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(Strict(cluster)) as topology:
        await known(topology)
        with pytest.raises(ValueError, match="password"):
            async with topology.connection():
                pass
        assert topology.description.servers["a"].is_known
        assert topology._watcher.books.load("a") == 0


async def test_whoever_queues_when_the_pool_is_cleared_goes_elsewhere() -> None:
    """``PoolClearedError`` is for the pool's users: here another server is chosen."""
    cluster = Cluster.replicated("a", "b", "c")
    async with topology_of(ClusterManager(cluster), max_size=1) as topology:
        await known(topology)

        async def use() -> Any:
            async with topology.connection(secondary) as link:
                return link.server.address

        async with (
            topology.connection(secondary) as first,
            topology.connection(secondary) as second,
        ):
            assert {first.server.address, second.server.address} == {"b", "c"}
            queuing = await call_soon(use)
            await until(lambda: topology.stats().waiting == 1)
            crowded = next(a for a in "bc" if topology.stats(a).waiting)
            cluster[crowded].crash()
            topology.request_check()
            await until(lambda: not topology.description.servers[crowded].is_known)
            await until(lambda: topology.stats(crowded).waiting == 0)
            other = "b" if crowded == "c" else "c"
            await until(lambda: topology.stats(other).waiting == 1)
        assert await queuing.result() == other


async def test_what_hangs_is_interrupted_when_a_heartbeat_times_out() -> None:
    """A server that takes connections and answers nothing: those in use are broken."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with topology_of(ClusterManager(cluster), event_listeners=[recorder]) as topology:
        await known(topology)

        inside: list[Link] = []

        async def use() -> None:
            async with topology.connection() as link:
                inside.append(link)
                await link.hang()
                link.check()

        hanging = await call_soon(use)
        await until(lambda: inside)
        cluster["a"].gate = Gate()
        topology.request_check()
        await until(lambda: cluster["a"].gate.waiting)
        # As a manager must end it, if the runtime does not.
        cluster["a"].timed_out = True
        cluster["a"].gate.open()
        with pytest.raises(ConnectionAbortedError):
            await hanging.result()
        (failed,) = recorder.of(ServerHeartbeatFailedEvent)
        assert isinstance(failed.reply, TimeoutError)
        (cleared,) = recorder.of(PoolClearedEvent)
        assert cleared.interrupt_connections is True
        # Its check is repeated at once, and the broken connection's own error is an old one.
        await topology.select_server()
        assert len(recorder.of(PoolClearedEvent)) == 1


async def test_the_check_that_waits_for_a_change_is_broken_off_by_an_error() -> None:
    """An operation has found that the server is gone: to wait for it to tell would take long."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with topology_of(TellingManager(cluster), event_listeners=[recorder]) as topology:
        await known(topology)
        await until(lambda: len(recorder.of(ServerHeartbeatStartedEvent)) == 2)
        with pytest.raises(Broken):
            async with topology.connection():
                raise Broken
        await topology.select_server()
        await until(lambda: len(recorder.of(ServerHeartbeatStartedEvent)) == 4)
        (failed,) = recorder.of(ServerHeartbeatFailedEvent)
        assert failed.awaited is True
        started = recorder.of(ServerHeartbeatStartedEvent)
        assert [event.awaited for event in started] == [False, True, False, True]


async def test_behind_a_load_balancer_only_the_service_is_cleared() -> None:
    """The others are well, and so is the load balancer."""
    services = iter("xyxyxy")
    cluster = Cluster(Server("a", ServerType.LOAD_BALANCER))
    recorder = EventRecorder()

    class Balanced(ClusterManager):
        def service_id(self, endpoint: Any, conn: Link) -> str:
            return next(services)

    async with topology_of(Balanced(cluster), event_listeners=[recorder]) as topology:
        await known(topology)
        async with topology.connection() as x, topology.connection():
            pass
        with pytest.raises(Broken):
            async with topology.connection() as one:
                raise Broken
        (cleared,) = recorder.of(PoolClearedEvent)
        assert cleared.service_id == ("x" if one is x else "y")
        assert topology.description.servers["a"].is_known
        assert topology.stats().idle == 1


async def test_a_block_is_entered_once() -> None:
    """Inside, it tells where it is; entered again it says so."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster)) as topology:
        block = topology.connection(readable)
        assert "not entered" in repr(block)
        async with block:
            assert block.endpoint == "a"
            assert block.lease is not None
            assert "on 'a'" in repr(block)
            with pytest.raises(RuntimeError, match="entered already"):
                await block.__aenter__()
        assert block.lease is None


async def test_the_call_site_is_the_users() -> None:
    """Whoever holds a connection is named by his own line."""
    cluster = Cluster(Server("a", STANDALONE))
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        async with topology.connection():
            assert "test_the_call_site_is_the_users" in topology.explain()


async def test_a_new_primary_takes_the_writes() -> None:
    """The old one is gone, another says that it is the primary: who waits goes there."""
    cluster = Cluster(Server("a", PRIMARY, term=1), Server("b", SECONDARY))
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        async with topology.connection(writable) as link:
            assert link.server.address == "a"
        cluster["a"].crash()

        async def write() -> Any:
            async with topology.connection(writable) as link:
                link.check()
                return link.server.address

        with pytest.raises(ConnectionResetError):
            await write()
        waiting = await call_soon(write)
        await until(lambda: topology._watcher.books._wanting)
        async with topology.connection(readable) as link:
            assert link.server.address == "b"
        cluster["b"].become(PRIMARY, term=2)
        assert await waiting.result() == "b"


async def test_who_finds_a_paused_pool_when_his_time_is_up_is_told_what_is_known() -> None:
    """Nothing was sent, and there is no time to look for another server."""
    cluster = Cluster(Server("a", STANDALONE))
    cluster["a"].up = False
    async with topology_of(ClusterManager(cluster)) as topology:
        await known(topology)
        with pytest.raises(ServerSelectionTimeoutError, match="nobody listens") as caught:
            async with topology.connection(
                lambda description: list(description.servers.values()), timeout=0.02
            ):
                pass
        assert isinstance(caught.value.__cause__, PoolClearedError)


async def test_one_server_that_takes_long_to_close_does_not_hold_up_another() -> None:
    """What was cleared is closed beside everything else."""
    cluster = Cluster.replicated("a", "b")
    manager = ClusterManager(cluster)
    gate = Gate()
    dispose = manager.dispose

    slow: list[Link] = []

    async def dispose_slowly(endpoint: Any, conn: Link, timeout: float | None) -> None:
        if conn in slow:
            await gate.wait()
        await dispose(endpoint, conn, timeout)

    manager.dispose = dispose_slowly  # type: ignore[method-assign]
    async with topology_of(manager) as topology:
        await known(topology)
        used: list[Link] = []
        for selector in (secondary, writable):
            async with topology.connection(selector), topology.connection(selector) as idle:
                used.append(idle)
        slow.append(used[-1])
        with pytest.raises(Broken):
            async with topology.connection(writable):
                raise Broken
        await until(lambda: gate.waiting)
        with pytest.raises(Broken):
            async with topology.connection(secondary):
                raise Broken
        await until(lambda: topology.stats("b").closing == 0)
        assert topology.stats("a").closing
        gate.open()
    assert cluster.links == []
