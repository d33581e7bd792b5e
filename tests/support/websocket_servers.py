"""A real server of WebSockets on loopback, in threads, for the tests of both worlds.

It does as the client says: what a test wants of it is the message itself.
"""

import socket
import struct
import threading
import time
import zlib
from collections.abc import Sequence
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve
from websockets.typing import Subprotocol

__all__ = ["WebSocketServer"]


class WebSocketServer:
    """Echoes messages, but for those that begin with ``!``.

    Attributes:
        peers: the server's ends of the connections that are open.
        opened: how many handshakes were accepted.
        codes: with which those were closed that are closed.
        got: the messages that came.
        paths: what was asked for, with the query.
        headers: of the last handshake.
    """

    def __init__(
        self,
        *,
        tls: SSLContext | None = None,
        subprotocols: Sequence[str] | None = None,
        greeting: str | None = None,
    ) -> None:
        self.peers: list[ServerConnection] = []
        self.opened = 0
        self.codes: list[int | None] = []
        self.got: list[str | bytes] = []
        self.paths: list[str] = []
        self.headers: Any = None
        self.sent = 0
        self.go_on = threading.Event()
        self._greeting = greeting
        self._lock = threading.Lock()
        self._scheme = "ws" if tls is None else "wss"
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        self._server: Server = serve(
            self._handle,
            sock=listener,
            ssl=tls,
            subprotocols=None if subprotocols is None else [Subprotocol(s) for s in subprotocols],
            process_request=self._answer,
            ping_interval=None,
            close_timeout=0.3,
            max_size=None,
        )
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    @property
    def uri(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.go_on.set()
        self._server.shutdown()
        self._thread.join(10)
        for peer in list(self.peers):
            cut(peer)

    def all(self) -> list[ServerConnection]:
        """Return our ends of all connections: a client may know sooner than we do that his is open."""
        end = time.monotonic() + 10
        while self.opened > len(self.peers) + len(self.codes):
            assert time.monotonic() < end, "a handshake has no end"
            time.sleep(0.001)
        return list(self.peers)

    def say(self, message: str | bytes) -> None:
        """Send a message to everybody."""
        for peer in self.all():
            peer.send(message)

    def vanish(self) -> None:
        """End every connection without a goodbye."""
        for peer in self.all():
            cut(peer)

    def goodbye(self) -> None:
        """Begin to close every connection."""
        for peer in self.all():
            with peer.protocol_mutex:
                peer.protocol.send_close(1001)
                peer.send_data()

    def _answer(self, peer: ServerConnection, request: Request) -> Response | None:
        with self._lock:
            self.paths.append(request.path)
            self.headers = request.headers
        if request.path.startswith("/refuse"):
            return peer.respond(403, "no\n")
        if request.path.startswith("/moved"):
            response = peer.respond(302, "elsewhere\n")
            response.headers["Location"] = "/"
            return response
        if request.path.startswith("/stuck"):
            self.go_on.wait(20)
        # Before the client hears of it.
        self.opened += 1
        return None

    def _handle(self, peer: ServerConnection) -> None:
        with self._lock:
            self.peers.append(peer)
        try:
            if self._greeting is not None:
                peer.send(self._greeting)
            for message in peer:
                self.got.append(message)
                self._react(peer, message)
        except (ConnectionClosed, OSError):
            pass
        finally:
            with self._lock:
                self.peers.remove(peer)
                self.codes.append(peer.close_code)

    def _react(self, peer: ServerConnection, message: str | bytes) -> None:
        word, _, rest = message.partition(" ") if isinstance(message, str) else ("", "", "")
        if word == "!close":
            code, _, reason = rest.partition(" ")
            peer.close(int(code), reason)
        elif word == "!flood":
            count, size = map(int, rest.split())
            for number in range(count):
                peer.send(f"{number} ".ljust(size, "x"))
                self.sent = number + 1
        elif word == "!bomb":
            length, _, times = rest.partition(" ")
            peer.socket.sendall(bomb(int(length)) * int(times or 1))
        elif word == "!fragments":
            peer.send(iter([rest[:2], rest[2:]]))
        elif word == "!half":
            # The beginning of a frame, and no end.
            peer.socket.sendall(b"\x81\x05he")
        elif word == "!twice":
            peer.send(rest)
            peer.send(rest)
        elif word == "!raw":
            peer.send(rest)
        elif word == "!vanish":
            cut(peer)
        elif word == "!stop":
            self.go_on.wait(20)
        elif word != "!quiet":
            peer.send(message)


def cut(peer: ServerConnection) -> None:
    """End a connection without a goodbye."""
    try:
        peer.socket.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def bomb(size: int) -> bytes:
    """Return a compressed text frame of this many characters."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    step = b"0" * 2**20
    parts = [squeeze.compress(step[: size - done]) for done in range(0, size, len(step))]
    data = b"".join(parts) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    payload = data.removesuffix(b"\x00\x00\xff\xff")
    return b"\xc1\x7f" + struct.pack("!Q", len(payload)) + payload
