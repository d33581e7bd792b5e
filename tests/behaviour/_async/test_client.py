"""Clients: commands, what is told of them, and what nobody may read."""

import logging
from typing import Any

import pytest

from pool import (
    CommandError,
    PoolClosedError,
    ServerSelectionTimeoutError,
    ServerType,
    monitoring,
)
from pool.aio import Client, secondary
from pool.monitoring import (
    CommandFailedEvent,
    CommandStartedEvent,
    CommandSucceededEvent,
    PoolClearedEvent,
    ServerDescriptionChangedEvent,
)
from pool.testing import expect
from pool.testing.aio import EventRecorder
from support.aio import Gate, call_soon, until

from .clusters import (
    PRIMARY,
    STANDALONE,
    Cluster,
    ClusterManager,
    Link,
    Server,
    client_of,
    known,
)


def commands(recorder: EventRecorder) -> list[Any]:
    return recorder.of(CommandStartedEvent, CommandSucceededEvent, CommandFailedEvent)


async def test_a_command_is_answered() -> None:
    """By a server that suits; its connection goes back."""
    cluster = Cluster.replicated("a", "b")
    async with client_of(ClusterManager(cluster)) as client:
        assert await client.command({"ping": 1}) == {"ok": 1}
        await known(client.topology)
        assert await client.command({"find": 1}, selector=secondary) == {"ok": 1}
        assert cluster["a"].commands == [{"ping": 1}]
        assert cluster["b"].commands == [{"find": 1}]
        assert client.topology.stats().in_use == 0
        assert client.topology.stats().idle == 2
        assert repr(client).startswith("<Client of <Topology REPLICA_SET_WITH_PRIMARY")
    assert cluster.links == []


async def test_what_the_events_say() -> None:
    """The same numbers when it starts and when it ends; those of the server, too."""
    cluster, recorder = Cluster(Server("a", STANDALONE, service_id="s")), EventRecorder()
    async with client_of(ClusterManager(cluster), event_listeners=[recorder]) as client:
        command = {"ping": 1}
        reply = await client.command(command, "db")
        await client.command({"pong": 1})
    link_number = 2
    started, succeeded, *others = recorder.match(
        [
            expect(
                CommandStartedEvent,
                command=command,
                command_name="ping",
                database_name="db",
                connection_id="a",
                service_id="s",
                server_connection_id=link_number,
            ),
            expect(
                CommandSucceededEvent,
                reply=reply,
                command_name="ping",
                database_name="db",
                connection_id="a",
                service_id="s",
                server_connection_id=link_number,
                duration_micros=lambda micros: 0 <= micros < 5_000_000,
            ),
            expect(CommandStartedEvent, database_name=""),
            CommandSucceededEvent,
        ],
        exact=False,
    )
    assert started.request_id == started.operation_id == succeeded.request_id
    assert others[0].request_id > started.request_id


async def test_the_commands_of_a_block_have_one_operation_id() -> None:
    """And request ids of their own; a block within has another."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with client_of(ClusterManager(cluster), event_listeners=[recorder]) as client:
        with monitoring.operation_id() as number:
            await client.command({"one": 1})
            with monitoring.operation_id() as inner:
                await client.command({"two": 1})
            await client.command({"three": 1})
        await client.command({"four": 1})
    started = recorder.of(CommandStartedEvent)
    assert [e.operation_id for e in started[:3]] == [number, inner, number]
    assert started[3].operation_id == started[3].request_id
    requests = [event.request_id for event in started]
    assert requests == sorted(set(requests))


async def test_a_failure_that_the_server_reports() -> None:
    """It is raised and told with its document; the connection is fit for the next command."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with client_of(ClusterManager(cluster), event_listeners=[recorder]) as client:
        cluster["a"].reply = lambda link, command: CommandError({"errmsg": "no"})
        with pytest.raises(CommandError) as caught:
            await client.command({"ping": 1})
        assert caught.value.document == {"errmsg": "no"}
        assert client.topology.stats().idle == 1
        assert client.topology.description.servers["a"].is_known
    (failed,) = recorder.of(CommandFailedEvent)
    assert failed.failure == {"errmsg": "no"}


async def test_a_connection_error_is_told_and_marks_the_server() -> None:
    """The failure says what the matter was, for want of a document of the server's."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with client_of(ClusterManager(cluster), event_listeners=[recorder]) as client:
        await known(client.topology)
        cluster["a"].reply = lambda link, command: ConnectionResetError("gone")
        with pytest.raises(ConnectionResetError):
            await client.command({"ping": 1})
        (failed,) = recorder.of(CommandFailedEvent)
        assert failed.failure == {"errmsg": "gone", "errtype": "ConnectionResetError"}
        assert len(recorder.of(PoolClearedEvent)) == 1
        cluster["a"].reply = lambda link, command: {"ok": 2}
        assert await client.command({"ping": 1}) == {"ok": 2}


@pytest.mark.parametrize(
    ("error", "broken"),
    [
        (OSError(22, "any error of the system"), True),
        (EOFError("the end"), True),
        (TimeoutError("too slow"), False),
        (ValueError("a slip"), False),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_what_an_execute_raises_is_the_networks(error: Exception, broken: bool) -> None:
    """Every error of the system there says that the connection broke; a limit that is over does not."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with client_of(ClusterManager(cluster), event_listeners=[recorder]) as client:
        await known(client.topology)
        cluster["a"].reply = lambda link, command: error
        with pytest.raises(type(error)):
            await client.command({"ping": 1})
        assert len(recorder.of(PoolClearedEvent)) == broken


async def test_a_server_that_is_no_primary_any_more() -> None:
    """It says so: it is unknown and checked at once; its connections stay."""
    cluster, recorder = Cluster.replicated("a", "b"), EventRecorder()
    async with client_of(ClusterManager(cluster), event_listeners=[recorder]) as client:
        await known(client.topology)
        cluster["a"].become(ServerType.SECONDARY, hosts=("a", "b"), set_name="rs")
        cluster["b"].become(PRIMARY, hosts=("a", "b"), set_name="rs", term=2)
        cluster["a"].reply = lambda link, command: CommandError("not primary")
        with pytest.raises(CommandError):
            await client.command({"write": 1})
        assert await client.command({"write": 2}) == {"ok": 1}
        assert cluster["b"].commands == [{"write": 2}]
        assert recorder.of(PoolClearedEvent) == []
        assert client.topology.stats("a").idle == 1
        changes = recorder.of(ServerDescriptionChangedEvent)
        demoted = [e for e in changes if isinstance(e.new_description.error, CommandError)]
        assert [event.server_address for event in demoted] == ["a"]


async def test_a_hook_that_fails_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """``is_state_change`` raises: the failure is raised all the same."""

    class Confused(ClusterManager):
        def is_state_change(self, endpoint: Any, error: BaseException) -> bool:
            raise RuntimeError("a bug")

    cluster = Cluster(Server("a", STANDALONE))
    cluster["a"].reply = lambda link, command: CommandError("no")
    async with client_of(Confused(cluster)) as client:
        with pytest.raises(CommandError):
            await client.command({"ping": 1})
    assert "is_state_change for 'a' failed" in caplog.text


@pytest.mark.parametrize("name", ["auth", "AUTH", "Auth"])
async def test_nobody_reads_a_sensitive_command(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither it nor its reply nor its failure, in events, descriptions and logs, in whatever case."""
    caplog.set_level(logging.DEBUG, "pool")
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with client_of(ClusterManager(cluster), event_listeners=[recorder]) as client:
        cluster["a"].reply = lambda link, command: {"echo": "secret"}
        assert await client.command({name: "secret"}) == {"echo": "secret"}
        cluster["a"].reply = lambda link, command: CommandError({"errmsg": "not secret"})
        with pytest.raises(CommandError):
            await client.command({name: "secret"})
        assert cluster["a"].commands == [{name: "secret"}] * 2
        cluster["a"].reply = lambda link, command: CommandError("not primary")
        with pytest.raises(CommandError, match="not primary"):
            await client.command({name: "secret"})
    first, succeeded, second, failed, *_ = commands(recorder)
    assert [first.command, succeeded.reply, second.command, failed.failure] == [{}, {}, {}, {}]
    assert {event.command_name for event in commands(recorder)} == {name}
    assert "secret" not in caplog.text
    assert "not primary" not in caplog.text
    assert "not primary" not in repr(recorder.events)
    told = [r.getMessage().partition(":")[0] for r in caplog.records if r.name == "pool.command"]
    assert told[:4] == ["Command started", "Command succeeded", "Command started", "Command failed"]


async def test_a_timeout_holds_for_all_of_it() -> None:
    """For the choice of a server, the acquire, and the reply."""
    cluster = Cluster(Server("a", STANDALONE))

    class Patient(ClusterManager):
        async def execute(self, *args: Any) -> Any:
            self.left = args[-1]
            return {}

    manager = Patient(cluster)
    async with client_of(manager) as client:
        await client.command({"ping": 1}, timeout=5.0)
        assert 4.0 < manager.left <= 5.0
        await client.command({"ping": 1})
        assert manager.left is None
        cluster["a"].crash()
        client.topology.request_check()
        await until(lambda: not client.topology.description.servers["a"].is_known)
        with pytest.raises(ServerSelectionTimeoutError):
            await client.command({"ping": 1}, timeout=0.02)


async def test_who_is_cancelled_or_broken_gives_back() -> None:
    """A command on a server that hangs is broken by its interrupt, and counts no more."""
    cluster = Cluster(Server("a", STANDALONE))
    async with client_of(ClusterManager(cluster)) as client:
        await known(client.topology)
        cluster["a"].reply = lambda link, command: link.broken or {"ok": 1}
        gate = Gate()

        async def run() -> Any:
            gate.open()
            return await client.command({"ping": 1})

        call = await call_soon(run)
        assert await call.result() == {"ok": 1}
        assert client.topology._watcher.books.load("a") == 0


@pytest.mark.parametrize(
    ("command", "kind"), [({}, ValueError), ("ping", TypeError), (None, TypeError)]
)
async def test_bad_commands(command: Any, kind: type[Exception]) -> None:
    """Before anything is asked of a server."""
    cluster = Cluster(Server("a", STANDALONE))
    async with client_of(ClusterManager(cluster)) as client:
        with pytest.raises(kind, match="command must"):
            await client.command(command)
        with pytest.raises(ValueError, match="timeout"):
            await client.command({"ping": 1}, timeout=-1)
        with pytest.raises(ValueError, match="timeout"):
            await client.command({"ping": 1}, timeout=0)
        with pytest.raises(TypeError, match="timeout"):
            await client.command({"ping": 1}, timeout="1")  # type: ignore[arg-type]
    assert cluster["a"].commands == []


def test_a_manager_that_cannot_be_commanded_is_refused() -> None:
    """When the client is made."""
    with pytest.raises(TypeError, match="CommandManager"):
        Client(object(), ["a"])  # type: ignore[arg-type]


async def test_the_call_site_is_the_users() -> None:
    """Whoever has sent a command that hangs is named by his own line."""
    cluster = Cluster(Server("a", STANDALONE))
    async with client_of(ClusterManager(cluster)) as client:
        texts: list[str] = []

        def look(link: Link, command: Any) -> Any:
            texts.append(client.topology.explain())
            return {}

        cluster["a"].reply = look
        await client.command({"ping": 1})
        assert "in test_the_call_site_is_the_users" in texts[0]


async def test_without_listeners_nothing_is_told() -> None:
    """A client costs no event that nobody wants."""
    cluster = Cluster(Server("a", STANDALONE))
    async with client_of(ClusterManager(cluster)) as client:
        assert client._publish is None
        assert client.topology._watcher.publish is None
        await client.command({"ping": 1})


def test_links_break_by_hand() -> None:
    """For the tests above."""
    link = Link(Server("a", STANDALONE), 1)
    link.broken = True
    with pytest.raises(ConnectionAbortedError):
        link.check()


@pytest.mark.parametrize("names", ["auth", {1}, None, ["auth"]])
def test_bad_sensitive_commands(names: Any) -> None:
    """A slip here would publish secrets: it is found when the client is made."""

    class Leaky(ClusterManager):
        sensitive_commands = names

    with pytest.raises(TypeError, match="sensitive_commands"):
        Client(Leaky(Cluster()), ["a"])


@pytest.mark.parametrize("name", [" auth", "auth ", "AUTH\n", "auth sesame"])
async def test_a_sensitive_name_may_be_written_in_any_way(name: str) -> None:
    """With spaces, and with what follows it: nobody reads that either."""
    cluster, recorder = Cluster(Server("a", STANDALONE)), EventRecorder()
    async with client_of(ClusterManager(cluster), event_listeners=[recorder]) as client:
        await client.command({name: "sesame"})
    assert "sesame" not in repr([vars_of(event) for event in commands(recorder)])
    assert {event.command_name.lower() for event in commands(recorder)} == {"auth"}


def vars_of(event: Any) -> list[Any]:
    return [getattr(event, name) for name in event._fields]


async def test_what_cannot_be_sent_is_refused_before_anybody_is_told() -> None:
    """And before a server is looked for."""

    class Checking(ClusterManager):
        def check_command(self, command: Any, database_name: str) -> None:
            raise ValueError(f"no such command: {command}")

    recorder = EventRecorder()
    async with client_of(Checking(Cluster()), "nowhere", event_listeners=[recorder]) as client:
        with pytest.raises(ValueError, match="no such command"):
            await client.command({"ping": 1})
        with pytest.raises(TypeError, match="str as its first key"):
            await client.command({1: 1})  # type: ignore[dict-item]
    assert commands(recorder) == []


async def test_a_reply_that_is_none_is_an_error() -> None:
    """What the manager returned is named."""

    class Mute(ClusterManager):
        async def execute(self, *args: Any) -> Any:
            return 5

    async with client_of(Mute(Cluster(Server("a", STANDALONE)))) as client:
        with pytest.raises(TypeError, match="execute must return a mapping, not 5"):
            await client.command({"ping": 1})


async def test_it_may_be_opened_by_hand_and_not_again() -> None:
    """A client that was closed stays closed."""
    client = client_of(ClusterManager(Cluster(Server("a", STANDALONE))))
    await client.open()
    await known(client.topology)
    await client.close()
    with pytest.raises(PoolClosedError):
        await client.open()
