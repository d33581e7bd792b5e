"""Sockets that never block: all that can be done without waiting, and so is the same in both worlds.

The rules of this room: nothing here waits. A call that cannot go on returns what for (a ``Want``); its caller
lets the twin wait (``aio_net``, ``sync_net``) and calls again.

Why not asyncio's transports and streams: they read ahead when the loop gets round to it, into a buffer that
cannot be looked at, so that a busy loop sees no end of file on an idle connection, a result may be lost to
a cancel, and all of it would be written twice. Here bytes leave the kernel only in a call whose
caller keeps them before anything else can happen: a wait may be cancelled or time out at any point and
nothing is lost, the kernel has the whole truth about an idle connection, and TLS is driven the same way.
"""

import errno
import os
import socket
from enum import Enum
from threading import Lock
from types import TracebackType
from typing import Any, NamedTuple

__all__ = [
    "CHUNK",
    "Address",
    "BorrowedChannel",
    "Channel",
    "StreamEndedError",
    "Turn",
    "Want",
    "keep_alive",
    "look_up",
    "no_delay",
    "numeric",
    "unix_family",
]

CHUNK = 65536
"""Bytes to take from the kernel, or to offer to it, at once."""

_UNDER_WAY = (errno.EINPROGRESS, errno.EINTR, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS))


class StreamEndedError(EOFError):
    """The peer ended the stream before what was waited for had come.

    Parameters:
        message: what was waited for.
        partial: the bytes that did come; they have left the stream.
    """

    def __init__(self, message: str, partial: bytes) -> None:
        super().__init__(message)
        self.partial = partial

    def __reduce__(self) -> tuple[type["StreamEndedError"], tuple[str, bytes]]:
        return type(self), (str(self), self.partial)


class Want(Enum):
    """What a channel must become before a call can go on."""

    READ = "readable"
    WRITE = "writable"


class Address(NamedTuple):
    """Where a socket can connect to."""

    family: int
    sockaddr: Any

    def __str__(self) -> str:
        if isinstance(self.sockaddr, str):
            return self.sockaddr
        host, port = self.sockaddr[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def numeric(host: str, port: int) -> list[Address]:
    """Return the address that ``host`` spells out, or nothing if it is a name to look up.

    Raises:
        ValueError: it can be neither.
    """
    try:
        return look_up(host, port, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return []
    except UnicodeError as error:
        raise ValueError(f"{host!r} is no host name: {error}") from error


def look_up(host: str, port: int, flags: int = 0) -> list[Address]:
    """Return what the resolver says. Blocks, unless the flags forbid to ask anybody."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
    except socket.gaierror as error:
        raise socket.gaierror(error.errno, f"{error.strerror}: {host!r}") from None
    return [Address(family, sockaddr) for family, _, _, _, sockaddr in found]


def unix_family() -> int:
    """Return the address family of Unix sockets.

    Raises:
        OSError: this system has none.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no Unix sockets")
    return int(socket.AF_UNIX)


def no_delay(sock: socket.socket) -> None:
    """Send small messages at once."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def keep_alive(sock: socket.socket, seconds: int) -> None:
    """Let the kernel probe a silent peer: after ``seconds``, five times 10 seconds apart."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = "TCP_KEEPIDLE" if hasattr(socket, "TCP_KEEPIDLE") else "TCP_KEEPALIVE"  # as macOS says
    for option, value in ((idle, seconds), ("TCP_KEEPINTVL", min(seconds, 10)), ("TCP_KEEPCNT", 5)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class Channel:
    """One socket and who is at work on it: at most one receiver and one sender.

    The gate protects ``closed``, ``_at_work`` and the descriptor: a number that somebody still waits on, or
    is about to shut down, must not be reused for another connection. So the last one to leave a closed
    channel releases the descriptor. No waiting and no user code while the gate is held.

    After a fork the connection is the parent's: the child may release its own descriptor and do nothing
    that the peer would notice.
    """

    __slots__ = ("_at_work", "_gate", "_process", "closed", "interrupted", "sock")

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.closed = False
        self.interrupted = False
        self._at_work: set[Want] = set()
        self._gate = Lock()
        self._process = os.getpid()

    # --- Work: each call returns a result, or what it waits for ---

    def connect(self, address: Address) -> bool:
        """Begin to connect. Return whether that is done; if not, it is once it is writable.

        Raises:
            BlockingIOError: the queue of a Unix server is full; try a new socket later.
            OSError: it failed.
        """
        code = self.sock.connect_ex(address.sockaddr)
        if code in _UNDER_WAY:
            return False
        if code:
            raise _connect_error(code, address)
        return True

    def connected(self, address: Address) -> None:
        """End what ``connect`` began, now that it is writable.

        Raises:
            OSError: it failed.
        """
        code = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise _connect_error(code, address)
        # Where nobody listens on a local port, TCP may choose just this one for our own end.
        if self.sock.getsockname() == address.sockaddr:
            raise _connect_error(errno.ECONNREFUSED, address)

    def receive(self, max_bytes: int) -> bytes | Want:
        """Take up to ``max_bytes`` from the kernel; ``b""`` at the end."""
        try:
            return self.sock.recv(max_bytes)
        except BlockingIOError:
            return Want.READ

    def send(self, data: memoryview) -> int | Want:
        """Give bytes to the kernel and return how many it took."""
        try:
            return self.sock.send(data)
        except BlockingIOError:
            return Want.WRITE

    # --- Ending ---

    def interrupt(self) -> None:
        """Break the connection; the descriptor stays. From any thread, at any time."""
        if os.getpid() != self._process:
            return
        # First the flag: whoever is about to wait looks at it after the socket has a state to shut down.
        self.interrupted = True
        with self._gate:
            self._shut_down()

    def let_go(self) -> None:
        """Break the connection if it is open, for a finalizer.

        Without the gate: whoever has it may be the one in whose midst the finalizer runs.
        """
        if not self.closed and os.getpid() == self._process:
            self._shut_down()

    def close(self, courteous: bool = False) -> None:
        """Release the descriptor, or let the last one at work do it; once.

        Parameters:
            courteous: tell a TLS peer before, if that takes no time.
        """
        if os.getpid() != self._process:
            self.closed = True
            self.sock.close()
            return
        with self._gate:
            if self.closed:
                return
            self.closed = True
            try:
                if courteous and not self._at_work:
                    self._say_goodbye()
                self._shut_down()
            finally:
                self._release()

    def _say_goodbye(self) -> None:
        """Take what has come: unread bytes would make the kernel reset the connection, and what was
        sent last could be lost to the peer."""
        for _ in range(16):
            try:
                if not socket.socket.recv(self.sock, CHUNK):
                    return
            except OSError:
                return

    def _shut_down(self) -> None:
        """Wake everybody who waits on the socket, and end the connection."""
        try:
            # Not the method of an SSLSocket, which forgets that it is one while another still reads.
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
        except OSError:
            pass  # It is not connected, or no longer.

    def _release(self) -> None:
        if self.closed and not self._at_work:
            self.sock.close()

    def enter(self, side: Want) -> None:
        """Begin to receive (``READ``) or to send (``WRITE``).

        Raises:
            RuntimeError: somebody else does that already.
        """
        with self._gate:
            if side in self._at_work:
                action = "receive" if side is Want.READ else "send"
                raise RuntimeError(f"another {action} is in progress on this stream")
            self._at_work.add(side)

    def leave(self, side: Want) -> None:
        """End what ``enter`` began."""
        with self._gate:
            self._at_work.discard(side)
            self._release()

    def at_work(self) -> frozenset[Want]:
        """Return what is in progress."""
        with self._gate:
            return frozenset(self._at_work)


def _connect_error(code: int, address: Address) -> OSError:
    return OSError(code, f"{os.strerror(code)}: {address}")


class BorrowedChannel(Channel):
    """Another descriptor of a socket that a C library owns, to wait for it and to break it.

    The library closes its own when it likes, and the number of that may be reused before somebody else gets
    to shut it down. To close this one does nothing to the connection.

    Parameters:
        fileno: the library's descriptor.
    """

    __slots__ = ()

    def __init__(self, fileno: int) -> None:
        # The family is found out.
        super().__init__(socket.fromfd(fileno, -1, -1))

    def close(self, courteous: bool = False) -> None:
        """Release the descriptor, once."""
        if os.getpid() != self._process:
            super().close()
            return
        with self._gate:
            self.closed = True
            self._release()


class Turn:
    """``with Turn(channel, side):`` is the only receiver or the only sender."""

    __slots__ = ("_channel", "_side")

    def __init__(self, channel: Channel, side: Want) -> None:
        self._channel = channel
        self._side = side

    def __enter__(self) -> None:
        self._channel.enter(self._side)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._channel.leave(self._side)
