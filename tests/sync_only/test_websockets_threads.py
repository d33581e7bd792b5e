"""A pool of WebSockets and threads: who is broken by whom, forks, and the end of the program."""

import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from pool._runtime.sockets import Want
from pool._runtime.sync_websockets import time_limit
from pool._runtime.websocket_words import has_come
from pool.sync.websockets import WebSocket, WebSocketPool
from support.forks import FORKS, child
from support.sync_net import start, until
from support.websocket_servers import WebSocketServer

LIMIT = 10.0


def test_threads_end_with_their_connections() -> None:
    """The library's threads end when the pool is closed, and are daemons until then."""
    with WebSocketServer() as server:
        with WebSocketPool(server.uri) as pool:
            leases = [pool.acquire("/", LIMIT) for _ in range(3)]
            assert all(lease.connection._line._conn.recv_events_thread.daemon for lease in leases)
            ours = [lease.connection._line._conn.recv_events_thread for lease in leases]
            for lease in leases:
                lease.release()
        until(lambda: not any(thread.is_alive() for thread in ours))
        until(lambda: not server.peers)


def test_message_in_the_hands_of_the_library() -> None:
    """What its thread has taken from the kernel, and not put into the queue yet, is seen."""
    with WebSocketServer() as server, WebSocketPool(server.uri) as pool:
        with pool.connection("/", LIMIT) as ws:
            pass
        line = ws._line
        (peer,) = server.all()
        with line._conn.protocol_mutex:
            peer.send("late")
            until(lambda: line._plug.holds and not has_come(line._channel.sock))
            assert not line._has_unread()
            assert not line.is_silent()
        with pool.connection("/", LIMIT) as again:
            assert again is not ws


def test_hanging_send_is_broken() -> None:
    """A close that interrupts frees a thread that sends to a server which does not read."""
    with WebSocketServer() as server:
        pool = WebSocketPool(server.uri, dispose_timeout=0.5, compression=None)

        def use() -> None:
            with pool.connection("/", LIMIT) as ws:
                ws.send("!stop")
                while True:
                    ws.send("x" * 1_000_000)

        call = start(use)
        until(lambda: server.got == ["!stop"])
        until(lambda: pool.stats().messages_sent >= 1)
        sent = -1
        while sent != pool.stats().messages_sent:
            sent = pool.stats().messages_sent
            time.sleep(0.2)
        pool.close(0, interrupt_connections=True)
        with pytest.raises(ConnectionClosed):
            call.outcome()
        until(lambda: pool.stats().total == 0)
        server.go_on.set()


def test_interrupted_send() -> None:
    """A frame of which only a part is out ends the connection: the next would be taken for the rest."""
    with WebSocketServer() as server, WebSocketPool(server.uri, compression=None) as pool:
        with pool.connection("/", LIMIT) as ws:
            (peer,) = server.all()
            # From here on the server reads no further than its queue is long.
            ws.send("!stop")
            for _ in range(30):
                ws.send("!quiet")
            until(lambda: peer.recv_messages.paused)
            plug = ws._line._plug
            ready: Any = plug._ready

            class Struck:
                def wait(self, want: Want, deadline: float | None) -> bool:
                    if want is Want.WRITE:
                        raise KeyboardInterrupt
                    return bool(ready.wait(want, deadline))

            struck: Any = Struck()
            plug._ready = struck
            with pytest.raises(KeyboardInterrupt):
                ws.send("x" * 30_000_000)
            plug._ready = ready
            with pytest.raises(ConnectionClosedError):
                ws.send("next")
        server.go_on.set()


def test_time_that_is_up_in_the_end() -> None:
    """A limit that strikes when the block ends has struck when it has ended: nobody is struck later."""
    started, go_on = threading.Event(), threading.Event()
    broken: list[bool] = []

    class Slow:
        def interrupt(self) -> None:
            started.set()
            go_on.wait(LIMIT)
            broken.append(True)

    line: Any = Slow()
    with time_limit(line, 0.001):
        started.wait(LIMIT)
        threading.Timer(0.1, go_on.set).start()
    assert broken


def test_pongs_that_nobody_reads_do_not_hang_the_close() -> None:
    """The library's thread hangs in a pong, with the lock that a close needs: it is broken in time."""
    with WebSocketServer() as server:
        pool = WebSocketPool(server.uri, dispose_timeout=0.3, compression=None)
        lease = pool.acquire("/", LIMIT)
        ws: WebSocket = lease.connection
        ws.send("!stop")
        until(lambda: server.got == ["!stop"])
        mutex = ws._line._conn.protocol_mutex

        def hang() -> None:
            # As the library's thread does.
            with mutex:
                ws._line._plug.sendall(b"\x8a\x80\0\0\0\0" * 10_000_000)

        call = start(hang)
        until(mutex.locked)
        started = time.monotonic()
        lease.discard()
        pool.close()
        assert time.monotonic() - started < 3
        with pytest.raises(OSError, match=r".*"):
            call.outcome()
        assert pool.stats().total == 0
        server.go_on.set()


def test_interrupted_ping() -> None:
    """A ping ends at once if the connection is broken."""
    with WebSocketServer() as server, WebSocketPool(server.uri) as pool:
        lease = pool.acquire("/", LIMIT)
        ws = lease.connection
        (peer,) = server.all()
        with peer.protocol_mutex:
            call = start(ws.ping)
            conn: Any = ws._line._conn
            # As it is called since websockets 16, and before.
            pings = conn.pending_pings if hasattr(conn, "pending_pings") else conn.pong_waiters
            until(lambda: bool(pings))
            ws._line.interrupt()
            with pytest.raises(ConnectionClosedError):
                call.outcome()
            assert ws.latency is None
        lease.release()


def test_send_beside_recv() -> None:
    """One thread may send while another receives."""
    with WebSocketServer() as server, WebSocketPool(server.uri) as pool:
        lease = pool.acquire("/", LIMIT)
        ws = lease.connection

        def receive() -> list[str]:
            return [ws.recv(LIMIT) for _ in range(500)]

        call = start(receive)
        for number in range(500):
            ws.send(str(number))
        assert call.outcome() == [str(number) for number in range(500)]
        assert (ws.messages_sent, ws.messages_received) == (500, 500)
        lease.release()


@pytest.mark.slow
def test_many_threads() -> None:
    """Nobody reads another's message, whatever is left unread."""
    with WebSocketServer() as server, WebSocketPool(server.uri, max_size=4) as pool:

        def use(name: int) -> None:
            for number in range(100):
                with pool.connection("/", LIMIT) as ws:
                    if number % 10 == 5:
                        # One answer is read, the other may come at any time.
                        ws.send(f"!twice {name} {number}")
                        assert ws.recv(LIMIT) == f"{name} {number}"
                        ws.subscriptions.add(number)
                    else:
                        ws.send(f"{name} {number}")
                        assert ws.recv(LIMIT) == f"{name} {number}"

        calls = [start(use, name) for name in range(8)]
        for call in calls:
            call.outcome()
        assert pool.stats().reconnects == 0
        assert server.opened <= 84


@pytest.mark.filterwarnings(FORKS)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_fork() -> None:
    """The child begins empty and does not disturb the parent's connection."""
    with WebSocketServer() as server, WebSocketPool(server.uri) as pool:
        with pool.connection("/", LIMIT) as ws:
            pass

        def use() -> bool:
            assert pool.stats().total == 0
            with pool.connection("/", LIMIT) as other:
                assert other is not ws
                other.send("child")
                assert other.recv(LIMIT) == "child"
            pool.close()
            return True

        assert child(use) is True
        with pool.connection("/", LIMIT) as again:
            assert again is ws
            again.send("parent")
            assert again.recv(LIMIT) == "parent"


@pytest.mark.parametrize("held", [False, True])
def test_a_program_ends(held: bool) -> None:
    """A program that never closes its pool, nor a lease, ends and writes nothing."""
    code = f"""
from pool.sync.websockets import WebSocketPool
from support.websocket_servers import WebSocketServer
server = WebSocketServer().__enter__()
pool = WebSocketPool(server.uri, min_size=2)
lease = pool.acquire("/")
lease.connection.send("x")
print(lease.connection.recv())
if not {held}:
    lease.release()
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={"PYTHONPATH": ":".join(p for p in sys.path if p)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "x\n", "")
