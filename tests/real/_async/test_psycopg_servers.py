"""The manager for PostgreSQL, on a primary and a standby: what they say they are, and commands."""

import time
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from pool.aio.psycopg import PsycopgManager
from pool.descriptions import Hello, ServerType
from pool.errors import CommandError
from support.real import PostgresServer, eventually
from support.standby import PostgresPrimary, PostgresStandby

from .psycopg_rig import LIMIT, SLACK, at, make, opened, status

#: A primary and its standby take seconds to start.
pytestmark = pytest.mark.slow

IDLE = TransactionStatus.IDLE


async def greet(server: PostgresServer) -> Hello:
    async with opened(server) as (manager, conn):
        hello: Hello = await manager.hello(at(server), conn, 5.0)
        return hello


# --- What a server is ---


@pytest.mark.parametrize("autocommit", [False, True])
async def test_roles(primary: PostgresPrimary, standby: PostgresStandby, autocommit: bool) -> None:
    """A primary and its standby are of one set and one term, and the connection is idle afterwards."""
    found = []
    for server in (primary, standby):
        async with opened(server, make(autocommit=autocommit)) as (manager, conn):
            found.append(await manager.hello(at(server), conn, 5.0))
            assert (status(conn), conn.autocommit) == (IDLE, autocommit)
            assert found[-1].connection_id == conn.info.backend_pid
    first, second = found
    assert (first.server_type, second.server_type) == (ServerType.PRIMARY, ServerType.SECONDARY)
    assert first.set_name == second.set_name == str(first.document["system_identifier"])
    assert first.term == second.term == 1
    assert (first.hosts, first.primary) == ((), None)
    assert first.document["in_recovery"] is False
    assert first.document["server_version"] // 10000 >= 12


async def test_promotion(primary: PostgresPrimary) -> None:
    """A standby that is promoted has a higher term than the primary that it has left behind."""
    with PostgresStandby(primary) as standby:
        async with opened(standby) as (manager, conn):
            before = await manager.hello(at(standby), conn, 5.0)
            assert before.server_type is ServerType.SECONDARY
            eventually(standby.synced, "the standby does not follow")
            primary.kill()
            standby.promote()
            after = await manager.hello(at(standby), conn, 5.0)
            await manager.execute(at(standby), conn, {"query": "CREATE TABLE late ()"}, "", 5.0)
        assert after.server_type is ServerType.PRIMARY
        assert after.term > before.term
        primary.start()
        stale = await greet(primary)
        assert stale.server_type is ServerType.PRIMARY
        assert stale.term < after.term
        assert stale.set_name == after.set_name


async def test_another_cluster(primary: PostgresPrimary, postgres_server: PostgresServer) -> None:
    """It has another name."""
    assert (await greet(postgres_server)).set_name != (await greet(primary)).set_name


async def test_without_rights(primary: PostgresPrimary) -> None:
    """Who may not read the system identifier learns all the rest, on the same connection."""
    primary.ask("CREATE ROLE nobody LOGIN")
    primary.ask("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
    try:
        manager = PsycopgManager("user=nobody dbname=postgres")
        async with opened(primary, manager) as (_, conn):
            for _ in range(2):
                hello = await manager.hello(at(primary), conn, 5.0)
                assert (hello.server_type, hello.set_name) == (ServerType.PRIMARY, None)
                assert (hello.term, status(conn)) == (1, IDLE)
    finally:
        primary.ask("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")
        primary.ask("DROP ROLE nobody")


async def test_hello_of_a_server_that_hangs(primary: PostgresPrimary) -> None:
    """It ends in time."""
    async with opened(primary) as (manager, conn):
        primary.pause()
        started = time.monotonic()
        with pytest.raises(TimeoutError, match=r"^no answer within 0\.500 s$") as caught:
            await manager.hello(at(primary), conn, LIMIT)
        assert LIMIT - 0.01 < time.monotonic() - started < LIMIT + SLACK
        assert not manager.can_reuse(at(primary), conn, caught.value)


@pytest.mark.parametrize("reset", ["rollback", "discard all"])
async def test_reset_on_a_standby(standby: PostgresStandby, reset: str) -> None:
    """There a LISTEN is not allowed, and what undoes one is."""
    async with opened(standby, make(reset=reset)) as (manager, conn):
        await conn.execute("SELECT 'listen'")
        await manager.on_release(at(standby), conn)
        assert status(conn) == IDLE


# --- Commands ---


@pytest.mark.parametrize("autocommit", [False, True])
async def test_commands(primary: PostgresPrimary, autocommit: bool) -> None:
    """Each is a transaction of its own, and says what came of it."""
    async with opened(primary, make(autocommit=autocommit)) as (manager, conn):

        async def run(query: str, **more: Any) -> Any:
            command = {"query": query, **more}
            reply = await manager.execute(at(primary), conn, command, "postgres", 5.0)
            assert (status(conn), conn.autocommit) == (IDLE, autocommit)
            return reply

        reply = await run("SELECT %s::int AS a, %s AS b", params=[1, "x"])
        assert reply == {
            "rows": [(1, "x")],
            "columns": ["a", "b"],
            "status": "SELECT 1",
            "rowcount": 1,
        }
        reply = await run("CREATE TEMP TABLE t (n int)")
        assert reply == {"rows": [], "columns": [], "status": "CREATE TABLE", "rowcount": -1}
        reply = await run("INSERT INTO t VALUES (%(n)s), (8)", params={"n": 7})
        assert (reply["status"], reply["rowcount"]) == ("INSERT 0 2", 2)
        reply = await run("SELECT 'percent % sign'; SELECT n FROM t ORDER BY n")
        assert reply["rows"] == [(7,), (8,)]
        # A transaction that a command begins does not outlive it.
        await run("BEGIN; DELETE FROM t")
        assert (await run("SELECT count(*) FROM t"))["rows"] == [(2,)]


async def test_failures(primary: PostgresPrimary) -> None:
    """What the server refuses is undone and told, and the connection serves the next command."""
    async with opened(primary) as (manager, conn):
        failing = {"query": "CREATE TABLE undone (); SELECT nonsense"}
        with pytest.raises(CommandError) as caught:
            await manager.execute(at(primary), conn, failing, "", 5.0)
        assert caught.value.document == {
            "errmsg": 'column "nonsense" does not exist',
            "code": "42703",
            "severity": "ERROR",
        }
        assert isinstance(caught.value.__cause__, psycopg.errors.UndefinedColumn)
        assert status(conn) == IDLE
        assert not manager.is_state_change(at(primary), caught.value)
        assert not manager.is_connection_error(at(primary), caught.value)
        query = {"query": "SELECT to_regclass('undone')"}
        reply = await manager.execute(at(primary), conn, query, "", 5.0)
        assert reply["rows"] == [(None,)]


async def test_writing_to_a_standby(standby: PostgresStandby) -> None:
    """That means that the server is not what it was taken for."""
    async with opened(standby) as (manager, conn):
        with pytest.raises(CommandError, match="25006") as caught:
            await manager.execute(at(standby), conn, {"query": "CREATE TABLE t ()"}, "", 5.0)
        assert manager.is_state_change(at(standby), caught.value)
        assert status(conn) == IDLE


@pytest.mark.parametrize(
    ("command", "database_name", "match"),
    [
        ({}, "", "^a command must begin with 'query' or 'secret_query', not None$"),
        ({"params": [1], "query": "SELECT %s"}, "", "not 'params'$"),
        ({"query": "SELECT 1", "param": 1, "x": 2}, "", "^a query has no 'param', 'x'$"),
        ({"query": "SELECT %s", "params": "x"}, "", "^params must be a sequence or a mapping"),
        ({"query": "SELECT 1"}, "other", "to the database 'postgres', not 'other'$"),
    ],
)
async def test_wrong_commands(
    primary: PostgresPrimary, command: dict[str, Any], database_name: str, match: str
) -> None:
    """They are refused before anything is sent."""
    async with opened(primary) as (manager, conn):
        primary.pause()
        with pytest.raises(ValueError, match=match):
            await manager.execute(at(primary), conn, command, database_name, 5.0)
        assert manager.can_reuse(at(primary), conn, ValueError())


async def test_secrets(primary: PostgresPrimary) -> None:
    """A command that nobody may read runs like any other."""
    async with opened(primary) as (manager, conn):
        assert manager.sensitive_commands == {"secret_query"}
        reply = await manager.execute(at(primary), conn, {"secret_query": "SELECT 1"}, "", 5.0)
        assert reply["rows"] == [(1,)]


async def test_command_in_time(primary: PostgresPrimary) -> None:
    """A statement that takes too long costs the connection."""
    async with opened(primary) as (manager, conn):
        started = time.monotonic()
        with pytest.raises(TimeoutError, match=r"^no answer within 0\.500 s$") as caught:
            await manager.execute(at(primary), conn, {"query": "SELECT pg_sleep(60)"}, "", LIMIT)
        assert LIMIT - 0.01 < time.monotonic() - started < LIMIT + SLACK
        assert not manager.can_reuse(at(primary), conn, caught.value)
        assert not manager.is_connection_error(at(primary), caught.value)


async def test_server_goes_while_it_works(primary: PostgresPrimary) -> None:
    """A connection that the server ends is no failure of the command."""
    async with opened(primary) as (manager, conn):
        query = {"query": "SELECT pg_terminate_backend(pg_backend_pid())"}
        with pytest.raises(psycopg.OperationalError) as caught:
            await manager.execute(at(primary), conn, query, "", 5.0)
        assert manager.is_connection_error(at(primary), caught.value)
        assert not manager.can_reuse(at(primary), conn, caught.value)


ERRORS = psycopg.errors


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ERRORS.AdminShutdown(), True),
        (ERRORS.CrashShutdown(), True),
        (ERRORS.CannotConnectNow(), True),
        (ERRORS.ConnectionFailure(), True),
        (psycopg.OperationalError("consuming input failed"), True),
        (ConnectionResetError(), True),
        (ERRORS.QueryCanceled(), False),
        (ERRORS.LockNotAvailable(), False),
        (ERRORS.SerializationFailure(), False),
        (ERRORS.DeadlockDetected(), False),
        (ERRORS.IdleSessionTimeout(), False),
        (ERRORS.PipelineAborted(), False),
        (ERRORS.CancellationTimeout(), False),
        (psycopg.InterfaceError("the cursor is closed"), False),
        (psycopg.ProgrammingError("no result"), False),
        (TimeoutError(), False),
        (CommandError({"code": "57P01"}), False),
        (RuntimeError(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_connection_errors(error: Exception, expected: bool) -> None:
    """Those that mean that a connection is gone, and none that only a statement meets."""
    assert make().is_connection_error(("localhost", 5432), error) is expected


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"code": "25006"}, True),
        ({"code": "57P03"}, True),
        ({"code": "42703"}, False),
        ("x", False),
    ],
)
def test_state_changes(document: object, expected: bool) -> None:
    """Those that mean that a server is another one than before."""
    assert make().is_state_change(("localhost", 5432), CommandError(document)) is expected
