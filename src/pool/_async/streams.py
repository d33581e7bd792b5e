"""``Stream``: bytes over TCP, TLS or a Unix socket, with what a protocol needs to cut them into messages."""

import errno
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from pool._runtime import aio_net as net
from pool._runtime.sockets import CHUNK, Channel, StreamEndedError, Turn, Want

if TYPE_CHECKING:
    from socket import socket

    from pool._runtime.tls import Tls

__all__ = ["Stream"]

# Calls in a row that found the socket ready before others get a chance to run.
_GREED = 16
# Bytes offered to the socket at once.
_OFFER = 4 * CHUNK


class Stream:
    """A connection that carries bytes, made by a ``TcpConnectionManager`` or ``UnixConnectionManager``.

    One caller at a time may receive and one may send; a second one gets a ``RuntimeError``. ``timeout`` is
    seconds for the whole call, ``None`` for no limit; when they are up, ``TimeoutError`` is raised.
    Whatever ends a receive early (its timeout, a cancel, a limit that was exceeded), no byte is lost: what
    has come is given to the next receive. A send that ends early makes the stream unusable, since part of
    the data may be on its way. The end of the stream looks the same whether a TLS peer announced it or not.

    Every failure of the connection is an ``OSError``: ``ConnectionResetError`` and its kin,
    ``ConnectionAbortedError`` after an ``interrupt``, ``ssl.SSLError``.

    Example::

        async with pool.connection(("localhost", 6379)) as stream:
            await stream.send(b"PING\\r\\n")
            reply = await stream.receive_until(b"\\r\\n", 512)
    """

    def __init__(self, channel: Channel, peer: Any, name: str, tls: "Tls | None" = None) -> None:
        self._channel = channel
        self._ready = net.Readiness(channel)
        self._receiving = Turn(channel, Want.READ)
        self._sending = Turn(channel, Want.WRITE)
        self._buffer = bytearray()
        self._ended = False
        self._torn = False
        self._greed = 0
        self._peer = peer
        self._name = name
        self._tls = tls

    @property
    def peer(self) -> Any:
        """Where it leads: ``(ip, port)``, four values for IPv6, the path for a Unix socket."""
        return self._peer

    @property
    def tls(self) -> "Tls | None":
        """``None`` if it is not encrypted, else ``version``, ``cipher``, ``alpn``, ``server_hostname``."""
        return self._tls

    @property
    def raw(self) -> "socket":
        """The socket, an ``ssl.SSLSocket`` if encrypted. It never blocks. Not for reading and writing."""
        return self._channel.sock

    def fileno(self) -> int:
        """Return the socket's file descriptor, -1 once it is closed."""
        return self.raw.fileno()

    # --- Receiving ---

    async def receive(self, max_bytes: int = CHUNK, *, timeout: float | None = None) -> bytes:
        """Return what is there, or the next bytes to come: at least one, ``b""`` at the end.

        Parameters:
            max_bytes: return at most that many.
            timeout: seconds, ``None`` for no limit.

        Raises:
            TimeoutError: nothing came in time.
            OSError: the connection failed, was interrupted or is closed.
            RuntimeError: another receive is in progress.
        """
        _check_count("max_bytes", max_bytes, 1)
        with self._receiving:
            self._check_open()
            if self._buffer:
                return self._take(max_bytes)
            return await self._read(max_bytes, timeout, _deadline(timeout))

    async def receive_exactly(self, n: int, *, timeout: float | None = None) -> bytes:
        """Return the next ``n`` bytes.

        Parameters:
            n: how many, 0 included.
            timeout: seconds, ``None`` for no limit.

        Raises:
            EOFError: the stream ended before; its ``partial`` is what came, which has left the stream.
            TimeoutError: they did not come in time.
            OSError: the connection failed, was interrupted or is closed.
            RuntimeError: another receive is in progress.
        """
        _check_count("n", n, 0)
        with self._receiving:
            self._check_open()
            deadline = _deadline(timeout)
            while len(self._buffer) < n:
                if not await self._fill(timeout, deadline):
                    raise self._end(f"after {len(self._buffer)} of {n} bytes")
            return self._take(n)

    async def receive_until(
        self, separator: bytes, max_bytes: int, *, timeout: float | None = None
    ) -> bytes:
        """Return everything up to the next separator and the separator itself.

        Parameters:
            separator: one byte or more.
            max_bytes: the limit for what is returned, separator included.
            timeout: seconds, ``None`` for no limit.

        Raises:
            ValueError: no separator within ``max_bytes``. All is kept for the next receive.
            EOFError: the stream ended before; its ``partial`` is what came, which has left the stream.
            TimeoutError: it did not come in time.
            OSError: the connection failed, was interrupted or is closed.
            RuntimeError: another receive is in progress.
        """
        if not isinstance(separator, bytes | bytearray | memoryview):
            raise TypeError(f"separator must be bytes, not {separator!r}")
        if not separator:
            raise ValueError("separator must not be empty")
        _check_count("max_bytes", max_bytes, len(separator))
        with self._receiving:
            self._check_open()
            deadline = _deadline(timeout)
            searched = 0
            while (start := self._buffer.find(separator, searched, max_bytes)) < 0:
                if len(self._buffer) >= max_bytes:
                    raise ValueError(f"no {bytes(separator)!r} within {max_bytes} bytes")
                searched = max(0, len(self._buffer) - len(separator) + 1)
                if not await self._fill(timeout, deadline):
                    raise self._end(f"after {len(self._buffer)} bytes without {bytes(separator)!r}")
            return self._take(start + len(separator))

    async def _fill(self, timeout: float | None, deadline: float | None) -> bool:
        """Add to the buffer; false at the end."""
        data = await self._read(CHUNK, timeout, deadline)
        self._buffer += data
        return bool(data)

    async def _read(self, size: int, timeout: float | None, deadline: float | None) -> bytes:
        if self._ended:
            return b""
        await self._share()
        # Nothing may wait between taking bytes from the channel and keeping them.
        while True:
            try:
                data = self._channel.receive(size)
            except OSError:
                self._check_open()
                raise
            self._check_open()
            if not isinstance(data, Want):
                self._ended = not data
                return data
            await self._wait(data, "receive", timeout, deadline)

    def _take(self, size: int) -> bytes:
        data = bytes(self._buffer if size >= len(self._buffer) else self._buffer[:size])
        del self._buffer[:size]
        return data

    def _end(self, where: str) -> StreamEndedError:
        partial = self._take(len(self._buffer))
        return StreamEndedError(f"the stream from {self._name} ended {where}", partial)

    # --- Sending ---

    async def send(
        self, data: bytes | bytearray | memoryview, *, timeout: float | None = None
    ) -> None:
        """Send all of it. It is under way then; whether it arrives, only an answer can tell.

        Parameters:
            data: bytes of any kind; do not change them meanwhile.
            timeout: seconds, ``None`` for no limit.

        Raises:
            TimeoutError: the peer did not take it in time.
            BrokenPipeError: the peer is gone, or an earlier send ended early.
            OSError: the connection failed, was interrupted or is closed.
            RuntimeError: another send is in progress.
        """
        with self._sending, memoryview(data) as given, given.cast("B") as view:
            self._check_open()
            if self._torn:
                text = f"an earlier send to {self._name} ended early"
                raise BrokenPipeError(errno.EPIPE, text)
            deadline = _deadline(timeout)
            sent = 0
            self._torn = True
            while sent < len(view):
                sent += await self._write(view[sent : sent + _OFFER], timeout, deadline)
            self._torn = False

    async def _write(self, data: memoryview, timeout: float | None, deadline: float | None) -> int:
        await self._share()
        while True:
            try:
                count = self._channel.send(data)
            except OSError:
                self._check_open()
                raise
            if not isinstance(count, Want):
                return count
            await self._wait(count, "send", timeout, deadline)
            self._check_open()

    # --- Waiting ---

    async def _wait(
        self, want: Want, action: str, timeout: float | None, deadline: float | None
    ) -> None:
        self._greed = 0
        if not await self._ready.wait(want, deadline):
            raise TimeoutError(f"the {action} took over {timeout:g} s ({self._name})")

    async def _share(self) -> None:
        """Let others run now and then while this stream never has to wait."""
        self._greed += 1
        if self._greed >= _GREED:
            self._greed = 0
            await net.breathe()

    # --- State and end ---

    def is_alive(self) -> bool:
        """Return whether an idle stream can carry another request. Waits for nothing.

        Not if it was closed or interrupted or a send ended early; nor if bytes are there that nobody asked
        for, whether left over from a receive or come since; nor if the peer has ended or reset it. Messages
        of TLS itself, such as a session ticket, do not count. No byte is lost by asking.
        """
        if self._buffer or self._ended or self._torn:
            return False
        try:
            with self._receiving:
                self._check_open()
                found = self._channel.receive(1)
                if isinstance(found, Want):
                    return True
                self._buffer += found
                self._ended = not found
        except (OSError, RuntimeError):
            pass  # Gone, or in use.
        return False

    def interrupt(self) -> None:
        """Break the connection, so that whoever receives or sends fails now, as does everybody later.

        Never blocks, may be called from any thread, and does not close the stream.
        """
        self._channel.interrupt()

    async def close(self) -> None:
        """Close the connection. Takes no time and never fails; closing twice is fine.

        A TLS peer is told (``close_notify``) if its connection can take that at once. Whoever still
        receives or sends fails now.
        """
        self._channel.close(courteous=not self._channel.interrupted)

    def abort(self) -> None:
        """Close the connection without a word to the peer. Never fails."""
        self._channel.close()

    def _check_open(self) -> None:
        if self._channel.closed:
            raise OSError(errno.EBADF, f"the stream to {self._name} is closed")
        if self._channel.interrupted:
            text = f"the stream to {self._name} was interrupted"
            raise ConnectionAbortedError(errno.ECONNABORTED, text)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        facts = self._state()
        if self._tls:
            facts.append(self._tls.version)
        if self._buffer:
            facts.append(f"{len(self._buffer)} bytes buffered")
        return f"<Stream to {self._name}: {', '.join(facts)}>"

    def _state(self) -> list[str]:
        if self._channel.closed:
            return ["closed"]
        if self._channel.interrupted:
            return ["interrupted"]
        at_work = self._channel.at_work()
        facts = {
            "receiving": Want.READ in at_work,
            "sending": Want.WRITE in at_work,
            "ended by the peer": self._ended,
            "a send ended early": self._torn and Want.WRITE not in at_work,
        }
        return [fact for fact, true in facts.items() if true] or ["open"]


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None else net.clock() + timeout


def _check_count(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
