"""The manager for PostgreSQL: what of a connection reaches its next user."""

import time
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import dict_row, tuple_row

from support.standby import PostgresPrimary

from .psycopg_rig import LIMIT, SLACK, at, make, opened, pool_of, status

IDLE = TransactionStatus.IDLE


async def test_transactions_are_rolled_back(primary: PostgresPrimary) -> None:
    """Open or failed: the next user finds none, on the same connection."""
    async with pool_of(make()) as pool:
        async with pool.connection(at(primary)) as conn:
            await conn.execute("CREATE TABLE forgotten ()")
        with pytest.raises(psycopg.errors.UndefinedColumn):
            async with pool.connection(at(primary)) as conn:
                await conn.execute("SELECT nonsense")
        async with pool.connection(at(primary)) as conn:
            assert status(conn) == IDLE
            query = "SELECT count(*) FROM pg_class WHERE relname = 'forgotten'"
            assert await (await conn.execute(query)).fetchone() == (0,)
        assert pool.stats().created == 1


async def test_can_reuse(primary: PostgresPrimary) -> None:
    """Wherever no statement runs, and nowhere else."""
    error = RuntimeError()
    async with opened(primary) as (manager, conn):

        def reusable() -> bool:
            return manager.can_reuse(at(primary), conn, error)

        assert reusable()
        await conn.execute("SELECT 1")
        assert status(conn) == TransactionStatus.INTRANS
        assert reusable()
        with pytest.raises(psycopg.Error):
            await conn.execute("SELECT nonsense")
        assert status(conn) == TransactionStatus.INERROR
        assert reusable()
        await conn.rollback()
        async with conn.pipeline():
            assert not reusable()
        assert reusable()
        conn.pgconn.send_query(b"SELECT pg_sleep(60)")
        assert not reusable()
        await conn.close()
        assert not reusable()


async def test_attributes(primary: PostgresPrimary) -> None:
    """Whatever a user has set on a connection is as before for the next one."""
    heard: list[Any] = []
    async with pool_of(make()) as pool:
        async with pool.connection(at(primary)) as conn:
            cursor_factory = conn.cursor_factory
            await conn.set_autocommit(True)
            await conn.set_isolation_level(psycopg.IsolationLevel.SERIALIZABLE)
            await conn.set_read_only(True)
            await conn.set_deferrable(True)
            conn.row_factory = dict_row
            conn.cursor_factory = None
            conn.prepare_threshold = None
            conn.add_notice_handler(heard.append)
            conn.add_notice_handler(print)
            conn.remove_notice_handler(print)
        async with pool.connection(at(primary)) as conn:
            assert (conn.autocommit, conn.row_factory) == (False, tuple_row)
            assert (conn.cursor_factory, conn.prepare_threshold) == (cursor_factory, 5)
            assert (conn.isolation_level, conn.read_only, conn.deferrable) == (None, None, None)
            await conn.execute("DO $$ BEGIN RAISE NOTICE 'hear'; END $$")
        assert (pool.stats().created, heard) == (1, [])


async def test_nothing_to_undo(primary: PostgresPrimary) -> None:
    """Who has left nothing costs no round trip: a server that hangs does not matter."""
    async with opened(primary) as (manager, conn):
        await conn.execute("SELECT pg_notify('somewhere', '')")
        await conn.commit()
        primary.pause()
        await manager.on_release(at(primary), conn)


async def test_left_in_a_pipeline(primary: PostgresPrimary) -> None:
    """It is not given to anybody else."""
    kept = []

    async def enter(conn: Any) -> None:
        kept.append(conn.pipeline())
        await kept[0].__aenter__()

    async with pool_of(make()) as pool:
        with pytest.raises(psycopg.InterfaceError, match="pipeline ON"):
            async with pool.connection(at(primary)) as conn:
                await enter(conn)
        assert pool.stats().total == 0


async def test_closed_by_its_user(primary: PostgresPrimary) -> None:
    """It is not given to anybody else."""
    async with pool_of(make()) as pool:
        with pytest.raises(psycopg.InterfaceError, match="closed"):
            async with pool.connection(at(primary)) as conn:
                await conn.close()
        assert pool.stats().total == 0


@pytest.mark.parametrize("autocommit", [False, True])
@pytest.mark.parametrize(
    "query",
    [
        "LISTEN here",
        b"listen here",
        sql.SQL("LISTEN {}").format(sql.Identifier("here")),
        "DO $$ BEGIN EXECUTE 'LiSTeN here'; END $$",
    ],
    ids=["str", "bytes", "composed", "block"],
)
async def test_listen(primary: PostgresPrimary, query: Any, autocommit: bool) -> None:
    """The next user of a connection hears nothing of what the one before listened to."""
    before: list[Any] = []
    async with pool_of(make(autocommit=autocommit)) as pool:
        async with pool.connection(at(primary)) as conn:
            await conn.execute(query)
            await conn.commit()
            primary.ask("NOTIFY here, 'first'")
            async for notification in conn.notifies(timeout=5.0, stop_after=1):
                assert notification.payload == "first"
            # One that psycopg keeps, and one that has not been read.
            conn.add_notify_handler(before.append)
            conn.remove_notify_handler(before.append)
            primary.ask("NOTIFY here, 'second'")
            await conn.execute("SELECT 1")
            await conn.commit()
            primary.ask("NOTIFY here, 'third'")
            conn.add_notify_handler(before.append)
        heard: list[Any] = []
        async with pool.connection(at(primary)) as conn:
            primary.ask("NOTIFY here, 'fourth'")
            channels = await conn.execute("SELECT * FROM pg_listening_channels()")
            assert await channels.fetchall() == []
            async for notification in conn.notifies(timeout=0.1):
                heard.append(notification)
            conn.add_notify_handler(heard.append)
            await conn.execute("SELECT 1")
        assert (pool.stats().created, heard) == (1, [])
    assert {each.payload for each in before} <= {"second", "third"}


async def test_listen_by_cursor(primary: PostgresPrimary) -> None:
    """However the statement is sent, and with the user's own class of cursors."""
    manager = make(cursor_factory=psycopg.AsyncClientCursor, autocommit=True)
    async with opened(primary, manager) as (_, conn):
        cursor = conn.cursor()
        assert isinstance(cursor, psycopg.AsyncClientCursor)
        await cursor.execute("SELECT %s", [1])
        assert await cursor.fetchone() == (1,)
        await cursor.executemany("LISTEN here", [[]])
        await manager.on_release(at(primary), conn)
        await manager.execute(at(primary), conn, {"query": "LISTEN there"}, "", 5.0)
        await manager.on_release(at(primary), conn)
        channels = await conn.execute("SELECT * FROM pg_listening_channels()")
        assert await channels.fetchall() == []


async def test_notifications_left_half_way(primary: PostgresPrimary) -> None:
    """Who breaks out of ``notifies`` gives a good connection back."""
    async with pool_of(make(autocommit=True)) as pool:
        async with pool.connection(at(primary)) as conn:
            await conn.execute("LISTEN here")
            primary.ask("NOTIFY here")
            async for _ in conn.notifies(timeout=5.0):
                break
        async with pool.connection(at(primary)) as conn:
            await conn.execute("SELECT 1")
        assert pool.stats().created == 1


async def test_used_by_another(primary: PostgresPrimary, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that somebody still uses is not given to anybody else."""
    monkeypatch.setattr("pool._async.psycopg_session._RESET_LIMIT", 0.1)
    async with opened(primary) as (manager, conn):
        await conn.lock.acquire()
        with pytest.raises(psycopg.InterfaceError, match="still uses it"):
            await manager.on_release(at(primary), conn)


@pytest.mark.parametrize("reset", ["rollback", "discard all"])
async def test_what_a_session_keeps(primary: PostgresPrimary, reset: str) -> None:
    """What is set in the server stays, unless all is discarded; prepared statements never break."""
    async with pool_of(make(reset=reset, autocommit=True)) as pool:
        path: Any = None
        for _ in range(3):
            async with pool.connection(at(primary)) as conn:
                path = await (await conn.execute("SHOW search_path")).fetchone()
                await conn.execute("SET search_path = elsewhere")
                for _ in range(8):
                    await conn.execute("SELECT %s::int", [1])
        assert pool.stats().created == 1
    assert path == ('"$user", public' if reset == "discard all" else "elsewhere",)


async def test_reset_of_a_server_that_hangs(
    primary: PostgresPrimary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends in time, by an error that costs the connection."""
    monkeypatch.setattr("pool._async.psycopg_session._RESET_LIMIT", LIMIT)
    async with opened(primary) as (manager, conn):
        await conn.execute("SELECT 1")
        primary.pause()
        started = time.monotonic()
        with pytest.raises(TimeoutError, match=r"no answer within 0\.500 s"):
            await manager.on_release(at(primary), conn)
        assert time.monotonic() - started < LIMIT + SLACK
