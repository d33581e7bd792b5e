"""A server of lines on loopback that dies once, on purpose, and comes back on the same port.

One thread serves everybody. It counts what it sees as exactly as a server can: before a new connection
is counted, those whose peer has closed them meanwhile are let go.
"""

import os
import selectors
import socket
import struct
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
_TICK = 0.05
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Answer = Callable[[bytes], bytes | None]


def pong(line: bytes) -> bytes | None:
    """Answer ``PING n`` with ``PONG n``, and anything else with ``WHAT``."""
    word, _, rest = line.partition(b" ")
    return b"PONG " + rest if word == b"PING" else b"WHAT"


class LineServer:
    """Answers each line with a line. Use it as a context manager.

    Parameters:
        answer: makes the reply to a line; ``None`` for no reply at all.
        dies_after: lines after which it drops all connections hard and is away; ``None`` = never.
        downtime: seconds it is away.

    Attributes:
        address: where it listens, also after it came back.
        live: connections open now.
        most_live: the most connections that were ever open at once.
        deaths: how often it has died.
    """

    def __init__(
        self, answer: Answer = pong, *, dies_after: int | None = None, downtime: float = 0.0
    ) -> None:
        self._answer = answer
        self._lines_left = dies_after
        self._downtime = downtime
        self._back_at: float | None = None
        self._buffers: dict[socket.socket, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._door = _bound(0)
        self.address: tuple[str, int] = (LOOPBACK, self._door.getsockname()[1])
        self.most_live = 0
        self.deaths = 0
        self._closing = False
        self._thread = threading.Thread(target=self._serve, name="demo-server", daemon=True)

    @property
    def live(self) -> int:
        """Connections open now."""
        return len(self._buffers)

    def wait_until_empty(self, timeout: float) -> bool:
        """Wait until nobody is connected; return whether that came true within ``timeout``."""
        deadline = time.monotonic() + timeout
        while self.live and time.monotonic() < deadline:
            time.sleep(0.005)
        return not self.live

    def __enter__(self) -> Self:
        self._listen()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._closing = True
        self._thread.join()

    def _serve(self) -> None:
        while not self._closing:
            if self._back_at is not None and time.monotonic() >= self._back_at:
                self._back_at = None
                self._listen()
            for key, _ in self._selector.select(_TICK):
                if key.fileobj is self._door:
                    self._accept()
                elif key.fileobj in self._buffers and self._receive(key.fileobj):
                    self._answer_lines(key.fileobj)
        for conn in list(self._buffers):
            self._drop(conn)
        self._door.close()
        self._selector.close()

    def _listen(self) -> None:
        self._door.listen(128)
        self._selector.register(self._door, selectors.EVENT_READ)

    def _accept(self) -> None:
        try:
            conn, _ = self._door.accept()
        except OSError:  # The caller is gone already.
            return
        conn.setblocking(False)
        self._buffers[conn] = b""
        self._selector.register(conn, selectors.EVENT_READ)
        # Who closes one connection and then opens another has only one open, although we may hear
        # of the new one first. So hear everybody before counting, and answer nobody before that.
        for other in list(self._buffers):
            while self._receive(other):
                pass
        self.most_live = max(self.most_live, self.live)
        for other in list(self._buffers):
            self._answer_lines(other)

    def _receive(self, conn: socket.socket) -> bool:
        """Receive once, or let go who is gone; return whether there may be more."""
        try:
            data = conn.recv(4096)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data:
            self._buffers[conn] += data
        else:
            self._drop(conn)
        return bool(data)

    def _answer_lines(self, conn: socket.socket) -> None:
        *lines, rest = self._buffers.get(conn, b"").split(b"\n")
        if lines:
            self._buffers[conn] = rest
        for line in lines:
            self._reply(conn, line)

    def _reply(self, conn: socket.socket, line: bytes) -> None:
        reply = self._answer(line)
        if conn in self._buffers and reply is not None:
            try:
                conn.sendall(reply + b"\n")
            except OSError:
                self._drop(conn)
        if self._lines_left is not None:
            self._lines_left -= 1
            if self._lines_left == 0:
                self._die()

    def _die(self) -> None:
        self.deaths += 1
        self._selector.unregister(self._door)
        self._door.close()
        # Bound without listening: who connects is refused, and nobody else can take the port, nor
        # can a client that connects to it happen to get it as its own and talk to itself.
        self._door = _bound(self.address[1])
        for conn in list(self._buffers):
            conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._drop(conn)
        self._back_at = time.monotonic() + self._downtime

    def _drop(self, conn: socket.socket) -> None:
        del self._buffers[conn]
        self._selector.unregister(conn)
        conn.close()


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # Elsewhere it would mean: share the port with anybody.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((LOOPBACK, port))
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock
