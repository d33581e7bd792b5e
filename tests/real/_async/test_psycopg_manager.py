"""The manager for PostgreSQL: opening, checking and breaking connections."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row

from pool.aio.psycopg import PsycopgManager
from pool.testing.aio import check_manager
from support.aio import call_soon, until
from support.real import HOST
from support.standby import PostgresPrimary

from .psycopg_rig import LIMIT, SLACK, at, make, opened, status

IDLE = TransactionStatus.IDLE


def descriptors() -> set[str]:
    """Return which sockets this process has."""
    found = set()
    for path in Path("/proc/self/fd").iterdir():
        try:
            found.add(str(path.readlink()))
        except OSError:
            continue
    return {name for name in found if name.startswith("socket:")}


def run_in_child(function: Callable[[], None]) -> None:
    """Fork, call a function in the child, and wait for its end."""
    child = os.fork()
    if not child:
        try:
            function()
        except BaseException:
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


# --- Connecting ---


async def test_conformance(primary: PostgresPrimary) -> None:
    """It keeps every promise."""
    report = await check_manager(make(), at(primary), short=0.1, patience=3.0, strict=False)
    assert report.failed == (), report
    reasons = {each.reason for each in report.skipped}
    assert reasons <= {"service_id is not overridden", "a thread cannot be cancelled"}


async def test_settings(primary: PostgresPrimary) -> None:
    """A connection is as the parameters say."""
    manager = make(
        conninfo="application_name=shop",
        row_factory=dict_row,
        prepare_threshold=7,
        options="-c search_path=elsewhere",
    )
    async with opened(primary, manager) as (_, conn):
        query = "SELECT current_setting('application_name') AS name, 1 AS one"
        assert await (await conn.execute(query)).fetchone() == {"name": "shop", "one": 1}
        path = await (await conn.execute("SHOW search_path")).fetchone()
        assert path == {"search_path": "elsewhere"}
        assert (conn.autocommit, conn.prepare_threshold) == (False, 7)


async def test_own_types(primary: PostgresPrimary) -> None:
    """A context brings its types, and connections without one do not share them."""

    class Loader(psycopg.adapt.Loader):
        def load(self, data: Any) -> str:
            return f"<{bytes(data).decode()}>"

    context = psycopg.adapt.AdaptersMap(psycopg.adapters)
    context.register_loader("int4", Loader)

    class Context:
        adapters = context
        connection = None

    for manager, expected in [(make(context=Context()), "<1>"), (make(), 1)]:
        async with opened(primary, manager) as (_, conn):
            assert await (await conn.execute("SELECT 1")).fetchone() == (expected,)


@pytest.mark.parametrize("host", ["localhost", "a Unix socket"])
async def test_hosts(primary: PostgresPrimary, host: str) -> None:
    """A host may be a name, or the folder of a socket."""
    manager = make()
    endpoint = (host if host == "localhost" else str(primary.folder), primary.port)
    conn = await manager.create(endpoint, 5.0)
    assert await manager.check_aliveness(endpoint, conn, 5.0)
    await manager.dispose(endpoint, conn, 5.0)


async def test_refusals(primary: PostgresPrimary) -> None:
    """Nobody there, or a login that fails, is an ``OperationalError``, and leaves no socket."""
    before = descriptors()
    manager = PsycopgManager(dbname="nowhere", user="postgres")
    with pytest.raises(psycopg.OperationalError, match="nowhere") as refused:
        await manager.create(at(primary), 5.0)
    assert manager.is_connection_error(at(primary), refused.value)
    with pytest.raises(psycopg.OperationalError):
        await manager.create((HOST, 1), 5.0)
    assert descriptors() == before


async def test_connect_to_a_server_that_hangs(primary: PostgresPrimary) -> None:
    """A connect ends in time, although the kernel accepts it, and leaves no socket."""
    before = descriptors()
    primary.pause()
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"timed out \(0.5 s\)") as caught:
        await make().create(at(primary), LIMIT)
    assert LIMIT - 0.01 < time.monotonic() - started < LIMIT + SLACK
    # The error is still there, and nothing that it holds is open.
    assert descriptors() == before, caught


async def test_connect_timeout(primary: PostgresPrimary) -> None:
    """The conninfo may have a shorter limit."""
    primary.pause()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        await make(connect_timeout=1).create(at(primary), None)
    assert 1.0 - 0.01 < time.monotonic() - started < 1.0 + SLACK


async def test_connect_interrupted(primary: PostgresPrimary) -> None:
    """Whoever connects is freed by an interrupt, of his endpoint only."""
    manager = make()
    primary.pause()
    before = descriptors()
    connecting = await call_soon(manager.create, at(primary), 60.0)
    await until(lambda: descriptors() != before)
    manager.interrupt((HOST, 1), None)
    assert not connecting.done()
    manager.interrupt(at(primary), None)
    with pytest.raises(ConnectionAbortedError):
        await connecting.result()
    assert descriptors() == before


@pytest.mark.parametrize(
    ("words", "options", "match"),
    [
        ("host=x port=1", {}, "^host, port must not be given"),
        ("", {"hostaddr": "1.2.3.4"}, "^hostaddr must not be given"),
        ("", {"nonsense": 1}, "nonsense"),
        ("what?", {}, "what"),
        ("", {"connect_timeout": "soon"}, "soon"),
        ("", {"reset": "all"}, "^reset must be one of"),
    ],
)
def test_wrong_parameters(words: str, options: dict[str, Any], match: str) -> None:
    """Mistakes are told at once."""
    with pytest.raises(ValueError, match=match):
        PsycopgManager(words, **options)


# --- Breaking and checking ---


async def test_interrupt(primary: PostgresPrimary) -> None:
    """A statement that waits is broken off, and its connection is of no more use."""
    async with opened(primary) as (manager, conn):
        sleeping = await call_soon(conn.execute, "SELECT pg_sleep(60)")
        await until(lambda: status(conn) == TransactionStatus.ACTIVE)
        started = time.monotonic()
        manager.interrupt(at(primary), conn)
        with pytest.raises(psycopg.OperationalError) as caught:
            await sleeping.result()
        assert time.monotonic() - started < SLACK
        assert manager.is_connection_error(at(primary), caught.value)
        assert not manager.can_reuse(at(primary), conn, caught.value)
        assert not await manager.check_aliveness(at(primary), conn, 1.0)
        await manager.dispose(at(primary), conn, 1.0)
        manager.interrupt(at(primary), conn)


@pytest.mark.parametrize("autocommit", [False, True])
async def test_check(primary: PostgresPrimary, autocommit: bool) -> None:
    """A check leaves no transaction, and ends in time if the server hangs."""
    async with opened(primary, make(autocommit=autocommit)) as (manager, conn):
        assert await manager.check_aliveness(at(primary), conn, 5.0)
        assert (status(conn), conn.autocommit) == (IDLE, autocommit)
        primary.pause()
        started = time.monotonic()
        assert not await manager.check_aliveness(at(primary), conn, LIMIT)
        assert LIMIT - 0.01 < time.monotonic() - started < LIMIT + SLACK


async def test_fork(primary: PostgresPrimary) -> None:
    """A child drops its connections without a word, and the parent's goes on."""
    async with opened(primary) as (manager, conn):

        def drop() -> None:
            manager.after_fork(at(primary), conn)
            conn.pgconn.finish()

        run_in_child(drop)
        assert await manager.check_aliveness(at(primary), conn, 5.0)
