"""Connections to Redis that many callers use at once: right replies, whatever becomes of whom."""

import os
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme

from pool.aio import ConnectionPool
from pool.aio.redis import PipelinedConnection, PipelinedRedisManager
from pool.testing import ChaosProxy
from pool.testing.aio import check_manager
from support.aio_net import start, until
from support.real import HOST, RealServer, free_port
from support.replicas import RedisMember
from support.servers import Peer, Server, wait_readable

LIMIT = 10.0
"""Seconds that a test gives a call that should succeed."""

BRIEF = 0.05
"""Seconds that must run out."""

BIG = 12_000_000
"""Bytes that no buffers on the way can hold."""


@pytest.fixture
def server(redis_server: RealServer) -> Iterator[RealServer]:
    yield redis_server
    redis_server.resume()


@pytest.fixture
def proxy(server: RealServer) -> Iterator[ChaosProxy]:
    with ChaosProxy(HOST, server.port) as proxy:
        yield proxy


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


@asynccontextmanager
async def opened(
    endpoint: tuple[str, int], **options: Any
) -> AsyncIterator[tuple[PipelinedRedisManager, PipelinedConnection]]:
    """Give a manager and a connection of its."""
    manager = PipelinedRedisManager(**options)
    conn = await manager.create(endpoint, LIMIT)
    try:
        yield manager, conn
    finally:
        await manager.dispose(endpoint, conn, LIMIT)


def at(server: RealServer) -> tuple[str, int]:
    return HOST, server.port


async def ask(conn: PipelinedConnection, *words: Any, timeout: float | None = LIMIT) -> Any:
    return await conn.ask(*words, timeout=timeout)


# --- Replies ---


@pytest.mark.concurrency
async def test_each_gets_his_own(server: RealServer) -> None:
    """200 callers on one connection, each with a value of his own."""
    async with opened(at(server)) as (_, conn):
        calls = [await start(ask, conn, "ECHO", number) for number in range(200)]
        assert [await call.outcome() for call in calls] == [b"%d" % n for n in range(200)]
        assert conn.is_settled
        assert conn.pending == 0


async def test_kinds_of_replies(server: RealServer) -> None:
    """They are as the server gives them, or decoded."""
    async with opened(at(server), db=3) as (_, conn):
        assert await conn.ask("SET", "kind", b"\xff") == b"OK"
        assert await conn.ask("GET", "kind") == b"\xff"
        assert await conn.ask("GET", "nothing") is None
        assert await conn.ask("STRLEN", "kind") == 1
        assert await conn.ask("MGET", "kind", bytearray(b"nothing")) == [b"\xff", None]
        assert await conn.ask("CONFIG GET", "maxmemory") == [b"maxmemory", b"0"]
        assert b" db=3 " in await conn.ask("CLIENT", "INFO")
    async with opened(at(server), db=3, decode_responses=True) as (_, conn):
        calls = [await start(ask, conn, *words) for words in (("GET", "kind"), ("ECHO", "é"))]
        with pytest.raises(UnicodeDecodeError):
            await calls[0].outcome()
        assert await calls[1].outcome() == "é"
        assert await conn.ask("MGET", "nothing") == [None]
        assert conn.is_settled


async def test_refusals(server: RealServer) -> None:
    """An error reply reaches the one who asked, and nobody else."""
    async with opened(at(server)) as (manager, conn):
        await conn.ask("SET", "text", "x")
        bad = [await start(ask, conn, "INCR", "text") for _ in range(5)]
        good = [await start(ask, conn, "ECHO", number) for number in range(5)]
        for call in bad:
            with pytest.raises(redis.ResponseError, match="not an integer"):
                await call.outcome()
        assert [await call.outcome() for call in good] == [b"%d" % n for n in range(5)]
        assert manager.can_reuse(at(server), conn, redis.ResponseError())


@pytest.mark.parametrize(
    "words",
    [
        *((), ("",), (" ",), (1,), ("ECHO", True), ("ECHO", None), ("ECHO", "\ud800")),
        *(("subscribe", "x"), (b"MULTI",), ("CLIENT REPLY", "OFF"), ("CLIENT", b"reply", "OFF")),
        *(("SELECT", 1), ("AUTH", "x"), ("MONITOR",), ("BLPOP", "x", 1), ("WAIT", 1, 0)),
        *(("XREAD", "COUNT", 1, "block", 0, "STREAMS", "x", 0), ("  watch ", "x"), ("QUIT",)),
    ],
)
async def test_unfit(server: RealServer, words: tuple[Any, ...]) -> None:
    """What is no command, or would harm others, is not sent."""
    async with opened(at(server)) as (manager, conn):
        with pytest.raises(ValueError, match=r"must|cannot be sent|surrogates") as raised:
            await conn.ask(*words)
        assert conn.is_settled
        assert manager.can_reuse(at(server), conn, raised.value)
        assert await conn.ask("ECHO", "x", timeout=LIMIT) == b"x"


async def test_streams_that_do_not_block(server: RealServer) -> None:
    """Only what blocks is refused: a stream may have any name."""
    async with opened(at(server)) as (_, conn):
        assert await conn.ask("XREAD", "STREAMS", "block", 0, timeout=LIMIT) is None


# --- Who gives up ---


async def test_wrong_timeouts(server: RealServer) -> None:
    """They are refused before anything is sent."""
    async with opened(at(server)) as (_, conn):
        with pytest.raises(TypeError, match="timeout must be a number of seconds or None, not '1'"):
            await conn.ask("PING", timeout="1")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="timeout must be finite and not negative"):
            await conn.ask("PING", timeout=-1)
        assert conn.is_settled


async def test_timeouts_shift_nothing(proxy: ChaosProxy) -> None:
    """Who gives up does not get a reply, and nobody gets his."""
    async with opened(proxy.address) as (manager, conn):
        proxy.half_open = "down"
        calls = [await start(ask, conn, "ECHO", number) for number in range(3)]
        with pytest.raises(TimeoutError, match="no answer"):
            await conn.ask("ECHO", "late", timeout=BRIEF)
        calls += [await start(ask, conn, "ECHO", number) for number in range(3, 6)]
        await until(lambda: conn.pending == 7)
        proxy.half_open = None
        assert [await call.outcome() for call in calls] == [b"%d" % n for n in range(6)]
        assert conn.is_settled
        assert manager.can_reuse(proxy.address, conn, TimeoutError())


async def test_nobody_waits_for_late_replies(proxy: ChaosProxy) -> None:
    """Replies that come when all have given up are thrown away by the next."""
    async with opened(proxy.address) as (_, conn):
        proxy.half_open = "down"
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await conn.ask("ECHO", "late", timeout=BRIEF)
        assert conn.pending == 3
        assert not conn.is_settled
        proxy.half_open = None
        assert await conn.ask("ECHO", "mine", timeout=LIMIT) == b"mine"
        assert conn.is_settled


async def test_writer_gives_up(proxy: ChaosProxy) -> None:
    """In the middle of his own words: the next one sends the rest of them, and his own."""
    async with opened(proxy.address) as (_, conn):
        proxy.half_open = "up"
        with pytest.raises(TimeoutError):
            await conn.ask("ECHO", b"x" * BIG, timeout=4 * BRIEF)
        calls = [await start(ask, conn, "ECHO", number) for number in range(5)]
        with pytest.raises(TimeoutError):
            await conn.ask("SET", "never", "sent", timeout=BRIEF)
        proxy.half_open = None
        assert [await call.outcome() for call in calls] == [b"%d" % n for n in range(5)]
        assert await conn.ask("EXISTS", "never", timeout=LIMIT) == 0
        assert conn.is_settled


async def test_large_values(server: RealServer) -> None:
    """Several at once, with small ones between them."""
    async with opened(at(server)) as (_, conn):
        sizes = [BIG, 1, 3_000_000, 0, BIG]
        calls = [await start(ask, conn, "ECHO", b"%d" % n * size) for n, size in enumerate(sizes)]
        for number, (call, size) in enumerate(zip(calls, sizes, strict=True)):
            assert await call.outcome() == b"%d" % number * size
        assert conn.is_settled


# --- Connections that break ---


@pytest.mark.concurrency
@pytest.mark.parametrize("how", ["reset", "end", "interrupt", "dispose"])
async def test_lost(proxy: ChaosProxy, how: str) -> None:
    """All who wait fail at once, each with an error of his own, and so does everybody later."""
    async with opened(proxy.address) as (manager, conn):
        proxy.half_open = "down"
        calls = [await start(ask, conn, "ECHO", number, timeout=None) for number in range(20)]
        await until(lambda: conn.pending == 20)
        if how == "interrupt":
            manager.interrupt(proxy.address, conn)
        elif how == "dispose":
            await manager.dispose(proxy.address, conn, LIMIT)
        elif how == "reset":
            proxy.reset()
        else:
            proxy.close_connections()
        why = {"interrupt": "interrupted", "dispose": "closed"}.get(how, "")
        errors = []
        for call in calls:
            with pytest.raises(redis.ConnectionError, match=f"is lost: .*{why}") as raised:
                await call.outcome()
            errors.append(raised.value)
        assert len(set(map(id, errors))) == 20
        assert all(isinstance(error.__cause__, ConnectionError) for error in errors)
        with pytest.raises(redis.ConnectionError):
            await conn.ask("PING")
        assert not conn.is_settled
        assert not manager.can_reuse(proxy.address, conn, errors[0])
        assert not await manager.check_aliveness(proxy.address, conn, LIMIT)
        assert conn.pending == 0


async def test_lost_in_the_middle_of_a_reply(proxy: ChaosProxy) -> None:
    """A part of a reply is none."""
    async with opened(proxy.address) as (_, conn):
        proxy.bandwidth = 2_000_000
        call = await start(ask, conn, "ECHO", b"x" * 500_000)
        other = await start(ask, conn, "ECHO", "y")
        await until(conn._replies.has_part)
        proxy.reset()
        for each in call, other:
            with pytest.raises(redis.ConnectionError):
                await each.outcome()
        assert conn.fileno() == -1


async def test_lost_while_nobody_asks(proxy: ChaosProxy) -> None:
    """It is found out without asking."""
    async with opened(proxy.address) as (manager, conn):
        assert manager.can_reuse(proxy.address, conn, ValueError())
        proxy.close_connections()
        await until(lambda: not conn.is_settled)
        assert not conn.is_connected
        assert not manager.can_reuse(proxy.address, conn, ValueError())


async def test_lost_while_sending(proxy: ChaosProxy) -> None:
    """The writer finds out, and tells those whose words are behind his."""
    async with opened(proxy.address) as (_, conn):
        proxy.half_open = "up"
        calls = [await start(ask, conn, "ECHO", b"x" * BIG, timeout=None)]
        await until(lambda: conn.pending == 1)
        calls += [await start(ask, conn, "ECHO", number, timeout=None) for number in range(3)]
        await until(lambda: conn.pending == 4)
        proxy.reset()
        for call in calls:
            with pytest.raises(redis.ConnectionError):
                await call.outcome()


@pytest.mark.parametrize("noise", [b":1\r\n:2\r\n", b"?what\r\n", b":1\r\n$5\r\nab"])
async def test_server_talks_nonsense(noise: bytes) -> None:
    """What nobody had asked for, and what is no reply: the connection is not used any more."""

    def serve(peer: Peer) -> None:
        peer.receive(len(b"*1\r\n$4\r\nPING\r\n"))
        peer.send(b"+PONG\r\n")
        peer.receive(1)
        peer.send(noise)
        peer.ending()

    with Server(serve) as server:
        async with opened(server.endpoint) as (manager, conn):
            with suppress(redis.ConnectionError):
                assert await conn.ask("GET", "key", timeout=LIMIT) == 1
            await until(lambda: not conn.is_settled)
            assert not await manager.check_aliveness(server.endpoint, conn, BRIEF)


async def test_unasked(gate: threading.Event) -> None:
    """What comes while nobody asks is not taken for the answer to a PING."""

    def serve(peer: Peer) -> None:
        peer.receive(len(b"*1\r\n$4\r\nPING\r\n"))
        peer.send(b"+PONG\r\n")
        gate.wait(LIMIT)
        peer.send(b"+PONG\r\n")
        peer.ending()

    with Server(serve) as server:
        async with opened(server.endpoint) as (manager, conn):
            gate.set()
            wait_readable(conn.stream.raw)
            assert not await manager.check_aliveness(server.endpoint, conn, LIMIT)
            assert not conn.is_connected


# --- The manager ---


async def test_aliveness(server: RealServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PING that others need not wait for; a server that hangs does not answer it."""
    async with opened(at(server)) as (manager, conn):
        calls = [await start(ask, conn, "ECHO", number) for number in range(20)]
        assert await manager.check_aliveness(at(server), conn, None)
        for call in calls:
            await call.outcome()
        server.pause()
        assert not await manager.check_aliveness(at(server), conn, BRIEF)
        assert manager.can_reuse(at(server), conn, TimeoutError())
        await until(lambda: conn.silence() > 2 * BRIEF)
        module = __import__(type(manager).__module__, fromlist=["_SILENCE"])
        monkeypatch.setattr(module, "_SILENCE", BRIEF)
        assert not manager.can_reuse(at(server), conn, TimeoutError())
        server.resume()
        assert await manager.check_aliveness(at(server), conn, None)
        assert manager.can_reuse(at(server), conn, TimeoutError())


async def test_in_a_pool(proxy: ChaosProxy) -> None:
    """A body's error costs no connection, unless the connection is lost."""
    async with ConnectionPool(PipelinedRedisManager(), max_size=1) as pool:
        for error in ValueError(), redis.ResponseError(), TimeoutError():
            with pytest.raises(type(error)):
                async with pool.connection(proxy.address) as conn:
                    raise error
        async with pool.connection(proxy.address) as conn:
            assert await conn.ask("ECHO", "x", timeout=LIMIT) == b"x"
        assert pool.stats().created == 1
        proxy.reset()
        with pytest.raises(redis.ConnectionError):
            async with pool.connection(proxy.address) as conn:
                await conn.ask("PING", timeout=LIMIT)
        async with pool.connection(proxy.address) as conn:
            assert await conn.ask("PING", timeout=LIMIT) == b"PONG"
        assert pool.stats().created == 2


@pytest.mark.slow
async def test_conformance(server: RealServer) -> None:
    """It keeps every promise that a manager makes."""
    manager = PipelinedRedisManager()
    report = await check_manager(manager, at(server), short=0.1, patience=3.0, strict=False)
    assert report.failed == (), report


async def test_fork(server: RealServer) -> None:
    """What a child does to the connections of its parent does not reach the server."""
    manager = PipelinedRedisManager()
    conn = await manager.create(at(server), LIMIT)
    with socket.socket(fileno=os.dup(conn.fileno())) as parent:
        manager.after_fork(at(server), conn)
        with pytest.raises(redis.ConnectionError):
            await conn.ask("ECHO", "child", timeout=LIMIT)
        await manager.dispose(at(server), conn, LIMIT)
        parent.settimeout(LIMIT)
        parent.sendall(b"PING\r\n")
        assert parent.recv(100) == b"+PONG\r\n"


async def test_options(server: RealServer) -> None:
    """They are checked, and the server's refusals are quoted."""
    with pytest.raises(ValueError, match="needs a password"):
        PipelinedRedisManager(username="me")
    with pytest.raises(TypeError, match="decode_responses"):
        PipelinedRedisManager(decode_responses=1)  # type: ignore[arg-type]
    with pytest.raises(redis.AuthenticationError):
        await PipelinedRedisManager(username="nobody", password="x").create(at(server), LIMIT)
    with pytest.raises(redis.ResponseError, match="out of range"):
        await PipelinedRedisManager(db=99).create(at(server), LIMIT)
    with RedisMember() as full:
        full.ask("CONFIG SET maxclients 1")
        async with opened(at(full)):
            with pytest.raises(redis.ResponseError, match="max number of clients reached"):
                await PipelinedRedisManager(client_name="shop").create(at(full), LIMIT)


async def test_tls(server: RealServer, tmp_path: Path) -> None:
    """Many at once, large and small, over TLS."""
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    files = {"--tls-ca-cert-file": "ca", "--tls-key-file": "key", "--tls-cert-file": "cert"}
    words = [word for name, file in files.items() for word in (name, str(tmp_path / f"{file}.pem"))]
    port = free_port()
    options = ("--tls-port", str(port), "--tls-auth-clients", "no", *words)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with RedisMember(options=options), ChaosProxy(HOST, port) as proxy:
        async with opened(proxy.address, ssl=context) as (_, conn):
            sizes = [4_000_000 if number % 20 == 0 else number for number in range(60)]
            calls = [await start(ask, conn, "ECHO", b"x" * size) for size in sizes]
            assert [len(await call.outcome()) for call in calls] == sizes
            # What is offered again after a wait must be the same.
            proxy.half_open = "up"
            with pytest.raises(TimeoutError):
                await conn.ask("ECHO", b"x" * BIG, timeout=4 * BRIEF)
            call = await start(ask, conn, "ECHO", "mine")
            proxy.half_open = None
            assert await call.outcome() == b"mine"
            assert conn.is_settled
