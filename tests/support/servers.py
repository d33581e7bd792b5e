"""Real servers on loopback for the tests of both worlds: threads and blocking sockets.

A ``Server`` either serves every connection in a thread of its own, or hands its end of each to the test,
which plays the other side itself: what a ``Peer`` has sent is in the hands of the kernel, and no order
depends on sleeping.
"""

import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

PATIENCE = 20.0
"""Seconds after which something that should happen never will."""


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        self.sock = sock

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def receive(self, n: int) -> bytes:
        """Return the next ``n`` bytes, fewer at the end."""
        data = b""
        while len(data) < n and (more := self.sock.recv(n - len(data))):
            data += more
        return data

    def echo(self) -> None:
        """Send back what comes, until the end."""
        while data := self.sock.recv(65536):
            self.sock.sendall(data)

    def trickle(self, stop: threading.Event) -> int:
        """Send one byte after the other, slowly, and return how many."""
        count = 0
        while not stop.wait(0.005):
            self.sock.sendall(b".")
            count += 1
        return count

    def half_close(self) -> None:
        """Send no more."""
        socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def say_goodbye(self) -> None:
        """End TLS as it should be ended, but not the connection."""
        assert isinstance(self.sock, ssl.SSLSocket)
        self.sock.setblocking(False)
        try:
            self.sock.unwrap()
        except ssl.SSLWantReadError:
            pass  # The other end's goodbye is not there yet.
        self.sock.settimeout(PATIENCE)

    def reset(self) -> None:
        """Close with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        self.sock.close()

    def ending(self) -> str:
        """Wait for the end and say how it came: ``"end"``, ``"cut"`` (TLS without goodbye), ``"reset"``."""
        try:
            while self.sock.recv(65536):
                pass
        except ssl.SSLEOFError:
            return "cut"
        except ConnectionResetError:
            return "reset"
        return "end"


class Server:
    """Accepts connections until the end of its ``with`` block.

    Parameters:
        serve: called in a thread for each connection, which ends with it; without it, ``accept`` gives them.
        tls: speak TLS.
        path: listen on this Unix socket rather than on a free port of 127.0.0.1.
    """

    def __init__(
        self,
        serve: Callable[[Peer], None] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        path: Path | None = None,
    ) -> None:
        self._serve = serve
        self._tls = tls
        self._listener = listener(path)
        self._ready: SimpleQueue[Peer | OSError] = SimpleQueue()
        self._sockets: list[socket.socket] = []
        self._ending = False
        self._threads = [threading.Thread(target=self._accept_all)]

    @property
    def endpoint(self) -> Any:
        return self._listener.getsockname()

    def accept(self) -> Peer:
        """Return the next connection, once it is ready to use; raise what its handshake raised."""
        found = self._ready.get(timeout=PATIENCE)
        if isinstance(found, OSError):
            raise found
        return found

    def _accept_all(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return  # The end.
            self._sockets.append(sock)
            thread = threading.Thread(target=self._handle, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _handle(self, sock: socket.socket) -> None:
        sock.settimeout(PATIENCE)
        try:
            if sock.family == socket.AF_INET:
                # What a peer has sent must be on its way before the next step of a test.
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls:
                sock = self._tls.wrap_socket(
                    sock,
                    server_side=True,
                    do_handshake_on_connect=False,
                    suppress_ragged_eofs=False,
                )
                self._sockets.append(sock)
                if self._ending:
                    raise ConnectionAbortedError
                sock.do_handshake()
        except OSError as error:
            sock.close()
            self._ready.put(error)
            return
        peer = Peer(sock)
        if self._serve is None:
            self._ready.put(peer)
            return
        with sock:
            try:
                self._serve(peer)
            except OSError:
                pass  # The client is gone, or the test is over.

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending = True
        shut_down(self._listener)
        self._threads[0].join(PATIENCE)
        for sock in list(self._sockets):
            shut_down(sock)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a server thread hangs"
        for sock in [self._listener, *self._sockets]:
            sock.close()


def listener(path: Path | None = None, backlog: int = 100) -> socket.socket:
    """Return a listening socket."""
    sock = socket.socket(socket.AF_INET if path is None else socket.AF_UNIX)
    sock.bind(("127.0.0.1", 0) if path is None else str(path))
    sock.listen(backlog)
    return sock


@contextmanager
def in_thread(function: Callable[[], object]) -> Iterator[list[object]]:
    """Call a function beside the block; its result is in the list after it. A peer that is gone is fine."""
    results: list[object] = []

    def work() -> None:
        try:
            results.append(function())
        except OSError as error:
            results.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield results
    thread.join(PATIENCE)
    assert not thread.is_alive(), "the thread hangs"


def shut_down(sock: socket.socket) -> None:
    """End a connection and wake every thread that waits on it."""
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:
        pass  # It is over already.


@contextmanager
def nobody() -> Iterator[tuple[str, int]]:
    """An endpoint that refuses connections; its port is not given to anybody else meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


@contextmanager
def full_server(path: Path | None = None) -> Iterator[socket.socket]:
    """A listening socket that accepts nobody and whose queue is full: to connect takes for ever."""
    with listener(path, backlog=0) as sock:
        waiting: list[socket.socket] = []
        try:
            while not waiting or _connects(waiting[-1], sock):
                waiting.append(socket.socket(sock.family))
            yield sock
        finally:
            for client in waiting:
                client.close()


def _connects(client: socket.socket, server: socket.socket) -> bool:
    client.setblocking(False)
    try:
        client.connect(server.getsockname())
    except BlockingIOError:
        if server.family == socket.AF_UNIX:
            return False
        return bool(select.select([], [client], [], 0.2)[1])
    return True


def wait_readable(sock: socket.socket) -> None:
    """Block until a socket is readable, and an event loop of this thread with it."""
    assert select.select([sock], [], [], PATIENCE)[0], "nothing came"
