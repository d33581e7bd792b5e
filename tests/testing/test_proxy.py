"""ChaosProxy between real sockets: what each mode does to the line, and that nothing is left."""

import asyncio
import gc
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pool.testing import ChaosProxy
from pool.testing._link import prepare
from support.servers import PATIENCE, Peer, Server, nobody

SHORT = 0.1
"""Seconds after which what is held back has not come."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Sends back what comes."""
    with Server(Peer.echo) as server:
        yield server


@pytest.fixture
def proxy(server: Server) -> Iterator[ChaosProxy]:
    with ChaosProxy(*server.endpoint) as proxy:
        yield proxy


def connected(proxy: ChaosProxy) -> "closing[socket.socket]":
    sock = socket.create_connection(proxy.address, PATIENCE)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return closing(sock)


def receive(sock: socket.socket, n: int) -> bytes:
    return Peer(sock).receive(n)


def ask(sock: socket.socket, data: bytes = b"hello") -> bytes:
    """Send it, and return what comes back, as much as that."""
    sock.sendall(data)
    return receive(sock, len(data))


def silent(sock: socket.socket) -> bool:
    """Return whether nothing comes for a short time, not even the end."""
    sock.settimeout(SHORT)
    try:
        sock.recv(1)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(PATIENCE)
    return False


def until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.001)


# --- A line in order ---------------------------------------------------------------------------------


def test_passes_everything_on(proxy: ChaosProxy) -> None:
    """Bytes in both directions, small and many, and the counts."""
    data = os.urandom(300_000)
    with connected(proxy) as sock:
        assert ask(sock) == b"hello"
        sender = threading.Thread(target=sock.sendall, args=(data,))
        sender.start()
        assert receive(sock, len(data)) == data
        sender.join()
        assert proxy.connections == 1
    until(lambda: proxy.connections == 0)
    stats = proxy.stats
    assert (stats.accepted, stats.up, stats.down, stats.swallowed) == (1, 300_005, 300_005, 0)


def test_passes_ends_on(server: Server, proxy: ChaosProxy) -> None:
    """Who has said all can still hear the rest, as without a proxy."""
    with connected(proxy) as sock:
        sock.sendall(b"last")
        sock.shutdown(socket.SHUT_WR)
        assert receive(sock, 100) == b"last"


def test_passes_a_reset_on() -> None:
    """A peer that resets its end resets the other."""
    with Server() as server, ChaosProxy(*server.endpoint) as proxy, connected(proxy) as sock:
        server.accept().reset()
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_nobody_behind_it() -> None:
    """A server that cannot be reached: the connection is reset."""
    with nobody() as address, ChaosProxy(*address) as proxy:
        # That may be so soon that connecting tells it.
        with pytest.raises(ConnectionResetError), connected(proxy) as sock:
            sock.recv(1)
        until(lambda: proxy.connections == 0)
        assert proxy.stats.accepted == 1


def test_a_server_behind_a_path(tmp_path: Path) -> None:
    """A Unix socket is reached by TCP."""
    path = tmp_path / "socket"
    with Server(Peer.echo, path=path), ChaosProxy(path) as proxy, connected(proxy) as sock:
        assert ask(sock) == b"hello"


# --- Slow --------------------------------------------------------------------------------------------


def test_latency(proxy: ChaosProxy) -> None:
    """Each way takes so much longer, also for what is on its way together."""
    with connected(proxy) as sock:
        ask(sock)
        proxy.latency = 0.05
        begun = time.monotonic()
        for _ in range(20):
            sock.sendall(b"x")
        receive(sock, 20)
        assert 0.1 <= time.monotonic() - begun < PATIENCE
        proxy.heal()
        assert proxy.latency == 0.0


def test_bandwidth(proxy: ChaosProxy) -> None:
    """So many bytes take so many seconds."""
    with connected(proxy) as sock:
        proxy.bandwidth = 100_000
        begun = time.monotonic()
        assert ask(sock, bytes(10_000)) == bytes(10_000)
        assert time.monotonic() - begun >= 0.09
        proxy.bandwidth = None
        assert ask(sock) == b"hello"


# --- Silent ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["up", "down", "both"])
def test_half_open(proxy: ChaosProxy, side: Any) -> None:
    """Nothing passes in that direction and connections stay up; later everything comes, in order."""
    with connected(proxy) as sock:
        ask(sock)
        proxy.half_open = side
        sock.sendall(b"one ")
        assert silent(sock)
        passed = proxy.stats
        assert (passed.up > 5, passed.down > 5) == (side == "down", False)
        sock.sendall(b"two")
        assert proxy.connections == 1
        proxy.half_open = None
        assert receive(sock, 7) == b"one two"


def test_an_end_is_held_back() -> None:
    """A server that has gone is not missed while the line is half-open."""
    with Server() as server, ChaosProxy(*server.endpoint) as proxy, connected(proxy) as sock:
        peer = server.accept()
        proxy.half_open = "down"
        peer.close()
        assert silent(sock)
        proxy.heal()
        assert sock.recv(1) == b""


def test_blackhole(proxy: ChaosProxy) -> None:
    """What is sent is gone; a connection that lost bytes is silent for good, others are well."""
    with connected(proxy) as lucky, connected(proxy) as sock:
        ask(lucky)
        ask(sock)
        proxy.blackhole = True
        sock.sendall(b"gone")
        until(lambda: proxy.stats.swallowed == 4)
        with connected(proxy) as late:
            late.sendall(b"gone too")
            until(lambda: proxy.stats.swallowed == 12)
            proxy.blackhole = False
            for lost in (sock, late):
                lost.sendall(b"hello?")
                assert silent(lost)
        assert ask(lucky) == b"hello"
        assert proxy.stats.up == 15
    until(lambda: proxy.connections == 0)


def test_nobody_hears_of_an_end_in_a_blackhole() -> None:
    """A client that leaves is not missed by the server until the line is up again."""
    with Server() as server, ChaosProxy(*server.endpoint) as proxy:
        with connected(proxy):
            peer = server.accept()
            proxy.blackhole = True
        peer.sock.settimeout(SHORT)
        with pytest.raises(TimeoutError):
            peer.sock.recv(1)
        peer.sock.settimeout(PATIENCE)
        proxy.blackhole = False
        assert peer.ending() == "reset"


# --- Ended -------------------------------------------------------------------------------------------


def test_reset(server: Server, proxy: ChaosProxy) -> None:
    """Every connection of now is reset, and none later."""
    with connected(proxy) as one, connected(proxy) as other:
        ask(one)
        ask(other)
        proxy.reset()
        assert proxy.connections == 0
        for sock in (one, other):
            with pytest.raises(ConnectionResetError):
                sock.recv(1)
    with connected(proxy) as sock:
        assert ask(sock) == b"hello"


def test_reset_ends_connections_it_has_not_seen(
    proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To its client a connection is open when the kernel says so, before the proxy's thread has looked."""
    loop, busy, told = proxy._loop, threading.Event(), threading.Event()
    assert loop is not None
    tell = loop.call_soon_threadsafe

    def be_busy() -> None:
        busy.set()
        told.wait(PATIENCE)

    def tell_and_go_on(*args: Any, **kwargs: Any) -> asyncio.Handle:
        try:
            return tell(*args, **kwargs)
        finally:
            told.set()

    # They connect after its thread has looked, and before it does as it is told in the same turn.
    socks: list[closing[socket.socket]] = []
    tell(be_busy)
    assert busy.wait(PATIENCE)
    tell(lambda: socks.extend(connected(proxy) for _ in range(5)))
    monkeypatch.setattr(loop, "call_soon_threadsafe", tell_and_go_on)
    proxy.reset()
    assert (len(socks), proxy.connections) == (5, 0)
    for sock in socks:
        with sock as client, pytest.raises(ConnectionResetError):
            receive(client, 1)


def test_a_client_that_gave_up_is_in_nobodys_way(
    proxy: ChaosProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On some systems its socket fails only when it is used; it is closed, and all others are served."""
    failures = [OSError("invalid argument")]

    def fail_once(sock: socket.socket) -> None:
        if failures:
            raise failures.pop()
        prepare(sock)

    monkeypatch.setattr("pool.testing._proxy.prepare", fail_once)
    with connected(proxy) as first, connected(proxy) as other:
        assert receive(first, 1) == b""
        assert ask(other) == b"hello"
        assert proxy.connections == proxy.stats.accepted == 1


def test_close_connections() -> None:
    """Both sides see an orderly end."""
    with Server() as server, ChaosProxy(*server.endpoint) as proxy, connected(proxy) as sock:
        peer = server.accept()
        proxy.close_connections()
        assert (sock.recv(1), peer.ending()) == (b"", "end")


def test_refuse(proxy: ChaosProxy) -> None:
    """New connections are refused, those that are open are not touched, the address stays."""
    address = proxy.address
    with connected(proxy) as sock:
        ask(sock)
        proxy.refuse = True
        with pytest.raises(ConnectionRefusedError):
            connected(proxy)
        assert ask(sock) == b"hello"
        proxy.refuse = False
        with connected(proxy) as other:
            assert ask(other) == b"hello"
    assert proxy.address == address


@pytest.mark.parametrize("side", ["up", "down"])
def test_cut(proxy: ChaosProxy, side: str) -> None:
    """A connection ends after so many bytes; they count from its beginning."""
    setattr(proxy, f"cut_{side}", 8)
    with connected(proxy) as sock:
        assert ask(sock) == b"hello"
        sock.sendall(b"world")
        got = receive(sock, 5)
        # Cut on the way up, the last answer may be on its way or not.
        assert got == b"wor" or (side == "up" and got == b"")
    assert getattr(proxy.stats, side) == 8


# --- Changed -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["up", "down"])
def test_corrupt(proxy: ChaosProxy, side: str) -> None:
    """One byte of each connection is another one, all others are right."""
    setattr(proxy, f"corrupt_{side}", 7)
    for _ in range(2):
        with connected(proxy) as sock:
            assert ask(sock) == b"hello"
            assert ask(sock) == bytes([b"h"[0], b"e"[0] ^ 0xFF]) + b"llo"
            assert ask(sock) == b"hello"


# --- Its life ----------------------------------------------------------------------------------------


def test_modes_are_set_before_it_starts(server: Server) -> None:
    """And hold from the beginning."""
    proxy = ChaosProxy(*server.endpoint)
    proxy.cut_down = 0
    with proxy, connected(proxy) as sock:
        sock.sendall(b"x")
        assert sock.recv(1) == b""


@pytest.mark.parametrize(
    ("mode", "value", "text"),
    [
        ("latency", -1, "latency must be finite seconds from 0, not -1"),
        ("latency", float("inf"), "latency must be finite seconds from 0, not inf"),
        ("bandwidth", 0, "bandwidth must be above 0 bytes/s or None, not 0"),
        ("half_open", "left", "half_open must be up, down, both or None, not 'left'"),
        ("corrupt_up", 0, "corrupt_up must be at least 1 or None, not 0"),
        ("cut_down", -1, "cut_down must be at least 0 or None, not -1"),
    ],
)
def test_modes_that_make_no_sense(mode: str, value: Any, text: str) -> None:
    """They are refused, and nothing changes."""
    proxy = ChaosProxy("localhost", 1)
    before = getattr(proxy, mode)
    with pytest.raises(ValueError, match=text):
        setattr(proxy, mode, value)
    assert getattr(proxy, mode) == before


def test_repr(proxy: ChaosProxy, server: Server) -> None:
    """The server, the connections, and what is out of order."""
    assert repr(proxy) == f"<ChaosProxy to {server.endpoint!r}: 0 connections>"
    proxy.half_open = "up"
    with connected(proxy):
        until(lambda: proxy.connections == 1)
        assert repr(proxy) == f"<ChaosProxy to {server.endpoint!r}: 1 connections, half_open='up'>"
    proxy.stop()
    assert repr(proxy).endswith(": stopped, half_open='up'>")


def test_starts_and_stops(server: Server) -> None:
    """Promptly, any number of times; nothing of it is left: no thread, no descriptor, no address."""
    gc.collect()
    before = threading.active_count()
    proxy = ChaosProxy(*server.endpoint)
    for _ in range(3):
        begun = time.monotonic()
        with proxy:
            with pytest.raises(RuntimeError, match="this proxy runs already"):
                proxy.start()
            with connected(proxy) as sock:
                ask(sock)
                proxy.half_open = "both"
                sock.sendall(b"?")
                proxy.stop()
                assert receive(sock, 1) == b""
        proxy.stop()
        proxy.half_open = None
        assert time.monotonic() - begun < 5.0
        for call in (lambda: proxy.address, proxy.reset):
            with pytest.raises(RuntimeError, match="this proxy does not run"):
                call()
    until(lambda: threading.active_count() <= before + 3)
    assert not [t for t in threading.enumerate() if t.name == "chaos proxy"]


def test_an_unknown_server() -> None:
    """It does not start, and leaves nothing."""
    with pytest.raises(socket.gaierror):
        ChaosProxy("no-such-host.invalid", 1).start()
    assert not [t for t in threading.enumerate() if t.name == "chaos proxy"]


async def test_in_a_coroutine(server: Server) -> None:
    """The same with ``async with``."""
    async with ChaosProxy(*server.endpoint) as proxy:
        reader, writer = await asyncio.open_connection(*proxy.address)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await reader.readexactly(1)
        writer.close()
        with pytest.raises(ConnectionResetError):
            await writer.wait_closed()


@pytest.mark.concurrency
def test_switched_by_many_threads(proxy: ChaosProxy) -> None:
    """No change is lost, and the line is in order afterwards."""
    with connected(proxy) as sock:

        def switch(mode: str, values: list[Any]) -> None:
            for _ in range(10):
                for value in values:
                    setattr(proxy, mode, value)

        switches: list[tuple[str, list[Any]]] = [
            ("latency", [0.001, 0.0]),
            ("half_open", ["both", None]),
            ("refuse", [True, False]),
            ("bandwidth", [1e6, None]),
        ]
        threads = [threading.Thread(target=switch, args=each) for each in switches]
        for thread in threads:
            thread.start()
        for n in range(20):
            data = b"%5d" % n
            assert ask(sock, data) == data
        for thread in threads:
            thread.join()
        assert repr(proxy).endswith(": 1 connections>")
        with connected(proxy) as other:
            assert ask(other) == b"hello"


@pytest.mark.concurrency
def test_reset_while_others_connect(proxy: ChaosProxy) -> None:
    """Whoever connects meanwhile is reset or served, and no connection is forgotten."""

    def work() -> None:
        for _ in range(5):
            try:
                with connected(proxy) as sock:
                    ask(sock)
            except ConnectionError:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        proxy.reset()
    until(lambda: proxy.connections == 0)
