"""The ready-made manager for Redis: connections and commands, on a real server, in both worlds."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis
import trustme
from real.kit import PROMPT
from real.redis_worlds import LIMIT, WORLDS, Rig, World, at

from pool import CommandError
from support.real import HOST, RealServer, RedisServer, eventually, free_port
from support.replicas import RedisMember


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    world.end()


@pytest.fixture
def rig(world: World) -> Rig:
    return Rig(world)


@pytest.fixture
def server(redis_server: RealServer) -> Iterator[RedisServer]:
    assert isinstance(redis_server, RedisServer)
    eventually(lambda: not redis_server.connections(), "somebody stays connected")
    yield redis_server
    redis_server.resume()


@pytest.fixture
def locked() -> Iterator[RedisMember]:
    """Give a server that wants a password."""
    if reason := RedisServer.missing():
        pytest.skip(reason)
    with RedisMember(options=("--requirepass", "secret"), password="secret") as server:
        yield server


@pytest.fixture
def conn(rig: Rig, server: RedisServer) -> Iterator[Any]:
    with rig.connection(at(server)) as conn:
        yield conn


def sockets() -> int:
    """Return how many sockets this process has open."""
    count = 0
    for path in Path("/proc/self/fd").iterdir():
        try:
            count += path.readlink().name.startswith("socket:")
        except OSError:
            continue  # It was the folder itself.
    return count


# --- Connections ---


@pytest.mark.slow
def test_conformance(world: World, server: RedisServer) -> None:
    """It keeps every promise that a manager makes."""
    report = world.call(
        world.testing.check_manager,
        world.door.RedisManager(),
        at(server),
        short=0.1,
        patience=3.0,
        strict=False,
    )
    assert report.failed == (), report


def test_round_trip(rig: Rig, conn: Any) -> None:
    """Commands are sent as they are given, and replies come as the server gives them."""
    assert rig.world.call(conn.ask, "SET", "key", b"\xff value", timeout=LIMIT) == b"OK"
    assert rig.world.call(conn.ask, "GET", "key", timeout=LIMIT) == b"\xff value"
    big = b"x" * 1_000_000
    assert rig.world.call(conn.ask, "ECHO", big, timeout=LIMIT) == big
    assert rig.world.call(rig.manager.check_aliveness, at, conn, LIMIT)


def test_wrong_timeouts(rig: Rig, conn: Any) -> None:
    """They are refused before anything is sent."""
    with pytest.raises(TypeError, match="timeout must be a number of seconds or None, not '1'"):
        rig.world.call(conn.ask, "PING", timeout="1")
    with pytest.raises(ValueError, match="timeout must be finite and not negative"):
        rig.world.call(conn.ask, "PING", timeout=-1)
    assert rig.world.call(conn.ask, "PING", timeout=LIMIT) == b"PONG"


def test_setup(world: World, server: RedisServer) -> None:
    """A connection has the name, the database and the kind of replies that were asked for."""
    rig = Rig(world, db=3, client_name="shop", decode_responses=True)
    with rig.connection(at(server)) as conn:
        listing = rig.world.call(conn.ask, "CLIENT", "LIST", timeout=LIMIT)
        assert "name=shop" in listing
        assert " db=3 " in listing
        assert rig.execute(conn, {"PING": None}, "3") == {"reply": "PONG"}
        assert rig.hello(at(server)).document["role"] == "master"


def test_no_such_database(world: World, server: RedisServer) -> None:
    """The server's refusal says what was refused, and nothing stays open."""
    rig = Rig(world, db=99)
    with pytest.raises(redis.ResponseError, match="out of range") as raised:
        rig.create(at(server))
    assert raised.value.__notes__ == ["said to SELECT 99"]
    eventually(lambda: not server.connections(), "the connection stays open")


def test_password(world: World, locked: RedisMember) -> None:
    """The right password is needed, and the right name; no error tells the password."""
    for options in ({"password": "secret"}, {"username": "default", "password": "secret"}):
        with Rig(world, **options).connection(at(locked)) as conn:
            assert world.call(conn.ask, "PING", timeout=LIMIT) == b"PONG"
    for options in ({}, {"password": "guess"}, {"username": "nobody", "password": "secret"}):
        rig = Rig(world, **options)
        with pytest.raises(redis.AuthenticationError, match=r"NOAUTH|WRONGPASS") as raised:
            rig.create(at(locked))
        assert not rig.manager.is_connection_error(at(locked), raised.value)
        assert "guess" not in str(raised.value)
    eventually(lambda: not locked.connections(), "a connection stays open")


def test_full_server(rig: Rig) -> None:
    """A server that wants no more clients is quoted."""
    if reason := RedisServer.missing():
        pytest.skip(reason)
    with RedisMember() as server:
        server.ask("CONFIG SET maxclients 1")
        with (
            rig.connection(at(server)),
            pytest.raises(redis.ResponseError, match="max number of clients reached"),
        ):
            rig.create(at(server))


def test_tls(world: World, tmp_path: Path) -> None:
    """All of it works over TLS, and who does not trust the server is told."""
    if reason := RedisServer.missing():
        pytest.skip(reason)
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    files = {"--tls-ca-cert-file": "ca", "--tls-key-file": "key", "--tls-cert-file": "cert"}
    words = [word for name, file in files.items() for word in (name, str(tmp_path / f"{file}.pem"))]
    port = free_port()
    options = ("--tls-port", str(port), "--tls-auth-clients", "no", *words)
    with RedisMember(options=options):
        context = ssl.create_default_context()
        authority.configure_trust(context)
        with Rig(world, ssl=context).connection((HOST, port)) as conn:
            big = b"x" * 1_000_000
            assert world.call(conn.ask, "ECHO", big, timeout=LIMIT) == big
            with pytest.raises(TimeoutError):
                world.call(conn.ask, "BLPOP", "nothing", 0, timeout=0.1)
        with pytest.raises(ssl.SSLCertVerificationError):
            Rig(world, ssl=True).create((HOST, port))


@pytest.mark.parametrize("endpoint", ["localhost", ("localhost",), ("", 1), ("localhost", "1")])
def test_bad_endpoints(rig: Rig, endpoint: Any) -> None:
    """An endpoint is a host and a port."""
    with pytest.raises((TypeError, ValueError), match="must be"):
        rig.create(endpoint)


def test_refused(rig: Rig, server: RedisServer) -> None:
    """Where nobody listens, the error is the network's."""
    server.kill()
    try:
        with pytest.raises(ConnectionRefusedError) as raised:
            rig.create(at(server))
        assert rig.manager.is_connection_error(at(server), raised.value)
    finally:
        server.start()


def test_silent_server(rig: Rig, server: RedisServer) -> None:
    """The kernel accepts for a server that hangs; the limit holds nevertheless, and no socket is left."""
    before = sockets()
    server.pause()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        rig.create(at(server), 0.3)
    assert 0.29 < time.monotonic() - started < 0.3 + PROMPT
    assert sockets() == before


def test_interrupted_create(rig: Rig, server: RedisServer) -> None:
    """Another thread can break a connect that waits for a server that hangs."""
    before = sockets()
    server.pause()
    running = rig.world.start(rig.manager.create, at(server), 30.0)
    eventually(lambda: sockets() > before, "it does not connect")
    time.sleep(0.05)
    rig.manager.interrupt(at(server), None)
    with pytest.raises(ConnectionAbortedError):
        running.result(LIMIT)
    eventually(lambda: sockets() == before, "a socket stays open")


def test_interrupt(rig: Rig, server: RedisServer, conn: Any) -> None:
    """Another thread can break a command that waits; the connection is dead then."""
    running = rig.world.start(
        rig.manager.execute, at(server), conn, {"BLPOP": ["nothing", 0]}, "", None
    )
    with rig.connection(at(server)) as other:
        eventually(
            lambda: b"cmd=blpop" in rig.world.call(other.ask, "CLIENT", "LIST", timeout=LIMIT),
            "it does not wait",
        )
        rig.manager.interrupt(at(server), conn)
        with pytest.raises(redis.ConnectionError) as raised:
            running.result(LIMIT)
        assert rig.manager.is_connection_error(at(server), raised.value)
        assert not rig.manager.can_reuse(at(server), conn, raised.value)
        assert not rig.world.call(rig.manager.check_aliveness, at(server), conn, LIMIT)


def test_fork(rig: Rig, server: RedisServer) -> None:
    """What a child does to the connections of its parent does not reach the server."""
    conn = rig.create(at(server))
    with socket.socket(fileno=os.dup(conn.fileno())) as parent:
        rig.manager.after_fork(at(server), conn)
        rig.dispose(at(server), conn)
        parent.settimeout(LIMIT)
        parent.sendall(b"PING\r\n")
        assert parent.recv(100) == b"+PONG\r\n"


def test_lost_stays_lost(rig: Rig, server: RedisServer, conn: Any) -> None:
    """A connection that the server closed is not opened again behind the pool's back."""
    server.restart()
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            rig.world.call(conn.ask, "PING", timeout=LIMIT)
    for function in (conn.send_command, conn.connect):
        with pytest.raises(redis.ConnectionError, match="is lost"):
            rig.world.call(function, *(["PING"] if function == conn.send_command else []))
    assert not rig.world.call(rig.manager.check_aliveness, at(server), conn, LIMIT)
    assert server.connections() == 0


def test_unread_replies(rig: Rig, conn: Any) -> None:
    """The next caller does not get them: the connection is not given back, and the body is told."""
    end = (HOST, 1)
    rig.world.call(rig.manager.on_release, end, conn)
    assert rig.world.call(conn.ask, "SUBSCRIBE", "x", "y", timeout=LIMIT)
    with pytest.raises(ValueError, match="unread"):
        rig.world.call(rig.manager.on_release, end, conn)


def test_reuse(rig: Rig, conn: Any) -> None:
    """Only after a refusal, and not if a reply was left unread."""
    end = (HOST, 1)
    refusal = redis.ResponseError("ERR no")
    assert rig.manager.can_reuse(end, conn, refusal)
    assert rig.manager.can_reuse(end, conn, CommandError({}))
    for error in (KeyError(), ValueError(), TimeoutError(), redis.ConnectionError("lost")):
        assert not rig.manager.can_reuse(end, conn, error)
    rig.world.call(conn.send_command, "PING")
    assert not rig.manager.can_reuse(end, conn, refusal)
    assert not rig.world.call(rig.manager.check_aliveness, end, conn, LIMIT)
    assert rig.world.call(conn.read_response) == b"PONG"
    assert rig.manager.can_reuse(end, conn, refusal)


# --- Commands ---


def test_execute(rig: Rig, conn: Any) -> None:
    """The reply is in the document."""
    for command, reply in (
        ({"SET": ["list of one", 1]}, b"OK"),
        ({"get": "list of one"}, b"1"),
        ({"DEL": ("list of one", b"other")}, 1),
        ({"GET": "list of one"}, None),
        ({"EVAL": ["return {1, 'two', {3}}", 0]}, [1, b"two", [3]]),
        ({"CONFIG GET": "databases"}, [b"databases", b"16"]),
        ({"PING": ()}, b"PONG"),
    ):
        assert rig.execute(conn, command) == {"reply": reply}
    assert rig.execute(conn, {"PING": None}, "0") == {"reply": b"PONG"}


def test_command_error(rig: Rig, conn: Any) -> None:
    """What the server refuses is a ``CommandError`` with its code, and the connection goes on."""
    rig.execute(conn, {"SET": ["key", "text"]})
    for command, code in (
        ({"LPUSH": ["key", 1]}, "WRONGTYPE"),
        ({"NONSENSE": None}, "ERR"),
        ({"EVALSHA": ["0" * 40, 0]}, "NOSCRIPT"),
        # redis-py takes these for the end of the connection.
        ({"EVAL": ["return redis.error_reply('LOADING soon')", 0]}, "LOADING"),
        ({"EVAL": ["return redis.error_reply('NOAUTH no')", 0]}, "NOAUTH"),
    ):
        with pytest.raises(CommandError) as raised:
            rig.execute(conn, command)
        document: Any = raised.value.document
        assert document["code"] == code
        assert not document["errmsg"].startswith(code)
        assert conn.is_settled
        assert rig.manager.is_state_change((HOST, 1), raised.value) == (code == "LOADING")
    assert rig.execute(conn, {"PING": None}) == {"reply": b"PONG"}


def test_command_timeout(rig: Rig, conn: Any) -> None:
    """A reply that does not come in time costs the connection."""
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=r"no answer .* within 0\.200 s") as raised:
        rig.execute(conn, {"BLPOP": ["nothing", 0]}, timeout=0.2)
    assert 0.19 < time.monotonic() - started < 0.2 + PROMPT
    assert not rig.manager.can_reuse((HOST, 1), conn, raised.value)
    assert not rig.manager.is_connection_error((HOST, 1), raised.value)


def test_dripping_server(rig: Rig) -> None:
    """The limit is one for the whole reply, however steadily it comes."""
    with socket.create_server((HOST, 0)) as listener:

        def drip() -> None:
            line, _ = listener.accept()
            with line, suppress(OSError):
                line.recv(100)
                line.sendall(b"+PONG\r\n")
                line.recv(100)
                line.sendall(b"$1000\r\n")
                for _ in range(100):
                    time.sleep(0.02)
                    line.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        with rig.connection(listener.getsockname()) as conn:
            started = time.monotonic()
            with pytest.raises(TimeoutError):
                rig.execute(conn, {"GET": "key"}, timeout=0.2)
            assert time.monotonic() - started < 0.2 + PROMPT
        thread.join()


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ({}, "must be a mapping"),
        ({"SET": ["key", 1], "EX": 10}, "not 'EX'"),
        ({"": None}, "name must be a str"),
        ({"CLIENT REPLY": "OFF"}, "does not get one reply"),
        ({"CLIENT": [b"reply", "OFF"]}, "does not get one reply"),
        ({"subscribe": "news"}, "does not get one reply"),
        ({"MULTI": None}, "next caller shares"),
        ({"SELECT": 1}, "next caller shares"),
        ({"AUTH": ["name", "secret"]}, "next caller shares"),
        ({"AUTH secret": None}, "arguments of AUTH"),
        ({"ACL SETUSER bob >secret": None}, "arguments of ACL"),
        ({"ACL  SETUSER": "bob"}, "separated by one space"),
        ({"GET": [None]}, "argument 1 of GET"),
        ({"SET": ["key", True]}, "argument 2 of SET"),
        ({"SET": {"key": "value"}}, "argument 1 of SET"),
        ({"GET": "\ud800"}, "surrogates not allowed"),
    ],
)
def test_unfit_commands(rig: Rig, conn: Any, command: Any, text: str) -> None:
    """What cannot be sent is not, and costs nothing."""
    with pytest.raises(ValueError, match=text) as raised:
        rig.execute(conn, command)
    assert rig.manager.can_reuse((HOST, 1), conn, raised.value)
    assert rig.execute(conn, {"PING": None}) == {"reply": b"PONG"}


def test_other_database(rig: Rig, conn: Any) -> None:
    """A connection has one database."""
    with pytest.raises(ValueError, match="database_name must be '' or '0'"):
        rig.execute(conn, {"PING": None}, "1")


def test_sensitive_commands(world: World) -> None:
    """Names are found as a client looks for them, also those of two words."""
    names = world.door.RedisManager.sensitive_commands
    assert {"auth", "hello", "migrate", "acl setuser", "config set", "config get"} <= names
    assert not {"get", "client list"} & names


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        ({"password": 1}, TypeError, "password must be a str or None, not of type int"),
        ({"username": "bob"}, ValueError, "needs a password"),
        ({"db": "1"}, TypeError, "db must be an int"),
        ({"db": -1}, ValueError, "db must be at least 0"),
        ({"db": True}, TypeError, "db must be an int"),
        ({"client_name": "my shop"}, ValueError, "without spaces"),
        ({"decode_responses": 1}, TypeError, "decode_responses must be a bool"),
        ({"discover": None}, TypeError, "discover must be a bool"),
        ({"ssl": "yes"}, TypeError, "ssl must be"),
    ],
)
def test_options(world: World, options: Any, kind: type[Exception], text: str) -> None:
    """A bad option is named."""
    with pytest.raises(kind, match=text):
        world.door.RedisManager(**options)
