"""The synchronous half of the twin for WebSockets: a connection of the library over a channel of ours.

The library has a thread for each connection that reads, and answers the server's pings. It is given our
channel in place of its socket, so that limits, interruptions, TLS and forks work as they do for all streams.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ssl import SSLContext
from threading import Timer
from typing import Any, cast

from websockets.exceptions import ConcurrencyError, ConnectionClosed
from websockets.frames import DATA_OPCODES, Frame
from websockets.http11 import USER_AGENT
from websockets.protocol import Event, State
from websockets.sync.client import ClientConnection
from websockets.uri import WebSocketURI

from pool._runtime import fork
from pool._runtime.attempts import Attempt
from pool._runtime.clock import clock
from pool._runtime.sockets import Channel, Turn, Want
from pool._runtime.sync_net import Readiness
from pool._runtime.websocket_words import BITE, Protocol, Wishes, extensions_for, has_come

__all__ = ["Line", "clock", "open_line", "time_limit"]

# Seconds that the library's thread gets to read what the kernel has: pings may be among it.
_MOMENT = 0.1


class _Plug:
    """A channel as the library uses a socket.

    ``holds`` is true from before data leaves the kernel until the library has made of it what it can, so that
    whoever looks in that order, kernel, ``holds``, queue, misses nothing.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._ready = Readiness(channel)
        self._timeout: float | None = None
        self.holds = False

    def fileno(self) -> int:
        return self._channel.sock.fileno()

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def recv(self, size: int) -> bytes:
        want: Want = Want.READ
        with Turn(self._channel, Want.READ):
            while True:
                self._ready.wait(want, None)
                self.holds = True
                data = self._channel.receive(min(size, BITE))
                if not isinstance(data, Want):
                    return data
                self.holds = False
                want = data

    def sendall(self, data: bytes) -> None:
        deadline = None if self._timeout is None else clock() + self._timeout
        left = memoryview(data)
        with Turn(self._channel, Want.WRITE):
            try:
                while left:
                    sent = self._channel.send(left)
                    if not isinstance(sent, Want):
                        left = left[sent:]
                    elif not self._ready.wait(sent, deadline):
                        raise TimeoutError("the server takes no more data")
            except BaseException:
                # A part of a frame may be out. What came next would be taken for the rest of it.
                self._channel.interrupt()
                raise

    def interrupt(self) -> None:
        self._channel.interrupt()

    def shutdown(self, how: int) -> None:
        socket.socket.shutdown(self._channel.sock, how)

    def close(self) -> None:
        self._channel.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel.sock, name)


class _Protocol(Protocol):
    """Counts the events that are still to be dealt with."""

    plug: _Plug
    left = 0

    def events_received(self) -> list[Event]:
        events = super().events_received()
        self.left = len(events)
        if not events:
            self.plug.holds = False
        return events


class _Connection(ClientConnection):
    """One that can be made deaf: what still comes while it closes is for nobody."""

    protocol: _Protocol
    deaf = False
    _end: Timer | None = None

    def send_data(self) -> None:
        super().send_data()
        # Whoever waits to receive would wait for ever for a server that says goodbye and keeps the line.
        if self._end is None and self.protocol.state is State.CLOSING and not self.deaf:
            timer = Timer(self.close_timeout or 0, self.protocol.plug.interrupt)
            timer.daemon = True
            with suppress(RuntimeError):  # The interpreter ends: no new threads.
                timer.start()
                self._end = timer

    def close_socket(self) -> None:
        super().close_socket()
        if self._end is not None:
            self._end.cancel()

    def process_event(self, event: Event) -> None:
        try:
            if not (self.deaf and isinstance(event, Frame) and event.opcode in DATA_OPCODES):
                super().process_event(event)
        finally:
            self.protocol.left -= 1
            if not self.protocol.left:
                self.protocol.plug.holds = False

    def maybe_raise_legacy_warning(self) -> None:
        """It is about ``connect()``, which we do not use."""


class Line:
    """One open connection of the library.

    Parameters:
        conn: the library's.
        channel: what it speaks over.
        plug: between the two.
        name: where it leads, for messages.
    """

    def __init__(self, conn: _Connection, channel: Channel, plug: _Plug, name: str) -> None:
        self._conn = conn
        self._channel = channel
        self._plug = plug
        self._name = name

    def __del__(self) -> None:
        # Of a pool that nobody has closed. The library's thread would keep the connection for ever.
        self._channel.let_go()

    @property
    def conn(self) -> ClientConnection:
        """The library's connection."""
        return self._conn

    @property
    def is_open(self) -> bool:
        """Whether neither side has begun to close it, as far as is known."""
        return self._conn.state is State.OPEN

    def is_silent(self) -> bool:
        """Return whether it is open, and nothing has come, even to the kernel, that nobody has read."""
        end = clock() + _MOMENT
        while True:
            # In the order in which data goes, so that none slips by.
            under_way = has_come(self._channel.sock) or self._plug.holds
            if not self.is_open or self._has_unread():
                return False
            if not under_way:
                return True
            if clock() >= end:
                return False
            time.sleep(0.0005)

    def _has_unread(self) -> bool:
        """Whether there is a message, a part of one, or somebody who waits for one."""
        messages = self._conn.recv_messages
        unread = messages.frames.qsize() or messages.get_in_progress
        return bool(unread or self._conn.protocol.reader.buffer)

    def send(self, data: bytes | bytearray, text: bool) -> None:
        """Send one message."""
        self._conn.send(data, text=text)

    def recv(self, timeout: float | None) -> str | bytes:
        """Return the next message.

        Raises:
            TimeoutError: none came in time; none is lost.
            ConnectionClosed: there will be none.
        """
        try:
            return self._conn.recv(timeout)
        except TimeoutError:
            raise TimeoutError(f"no message from {self._name} within {timeout:g} s") from None

    def ping(self, timeout: float | None) -> float:
        """Send a ping and wait for its pong; return the seconds it took."""
        conn = self._conn
        pong = conn.ping(ack_on_close=True)
        if not pong.wait(timeout):
            raise TimeoutError(f"no pong from {self._name} within {timeout:g} s")
        if conn.state is State.CLOSED:
            raise conn.protocol.close_exc
        return conn.latency

    def close(self, seconds: float | None) -> None:
        """Say goodbye, wait for the answer for so many seconds at most, then cut it."""
        conn = self._conn
        try:
            if seconds is None or seconds > 0:
                # A thread that hangs in a send has what the closing needs: it must be broken in time.
                with time_limit(self, seconds):
                    self._drain()
                    conn.close_timeout = seconds
                    conn.close()
        except RuntimeError:
            pass  # The interpreter ends: no new threads.
        finally:
            self.cut()

    def _drain(self) -> None:
        """Throw away what is unread: the library reads no further, nor the server's goodbye, before that."""
        self._conn.deaf = True
        with suppress(TimeoutError, ConnectionClosed, ConcurrencyError):
            while self._conn.recv_messages.frames.qsize():
                # The beginning of a message may be gone already.
                with suppress(AssertionError):
                    self._conn.recv(0, decode=False)

    def cut(self) -> None:
        """Close the socket without a word. Takes no time."""
        # Whoever hangs in a send is freed first: he has the lock that is needed next.
        self._channel.interrupt()
        self._conn.close_socket()
        self._channel.close()

    def interrupt(self) -> None:
        """Break it, from any thread: whoever waits for it fails."""
        self._channel.interrupt()

    def silence(self) -> None:
        """Let nothing that this process does reach the server: it is the parent's."""
        fork.silence(self._channel.sock)


def open_line(
    attempt: Attempt,
    plain: Channel,
    where: WebSocketURI,
    wishes: Wishes,
    context: SSLContext | None,
    deadline: float | None,
) -> Line:
    """Shake hands over a socket that is connected, with TLS if there is a context.

    Raises:
        TimeoutError: the time is up.
        ConnectionAbortedError: somebody broke the attempt.
        OSError: TLS failed, or the connection.
        InvalidHandshake: the server refuses.
    """
    channel = plain if context is None else _secure(attempt, context, plain, where.host, deadline)
    plug = _Plug(channel)
    protocol = _Protocol(
        where,
        subprotocols=wishes.subprotocols,
        extensions=extensions_for(wishes),
        max_size=wishes.max_message_size,
    )
    protocol.plug = plug
    attempt.check()
    conn = _Connection(
        cast("socket.socket", plug), protocol, ping_interval=None, max_queue=wishes.max_queue
    )
    try:
        left = None if deadline is None else max(deadline - clock(), 0.0)
        conn.handshake(wishes.headers, USER_AGENT, left)
        attempt.check()
    except BaseException as error:
        channel.interrupt()
        conn.close_socket()
        if isinstance(error, Exception):
            attempt.check(error)
        if isinstance(error, TimeoutError) and deadline is not None and clock() >= deadline:
            raise attempt.late("no end of the handshake") from None
        raise
    return Line(conn, channel, plug, attempt.name)


def _secure(
    attempt: Attempt, context: SSLContext, plain: Channel, host: str, deadline: float | None
) -> Channel:
    from pool._runtime.tls import TlsChannel

    channel = TlsChannel(context, plain, host)
    attempt.channel = channel
    attempt.check()
    readiness = Readiness(channel)
    while want := channel.handshake():
        ready = readiness.wait(want, deadline)
        attempt.check()
        if not ready:
            raise attempt.late("no end of the TLS handshake")
    return channel


@contextmanager
def time_limit(line: Line, seconds: float | None) -> Iterator[None]:
    """Let what a block does with a connection take only so long: then the connection is broken.

    Raises:
        RuntimeError: the interpreter ends.
    """
    if seconds is None:
        yield
        return
    timer = Timer(seconds, line.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        # It must not break the connection when that is somebody else's already.
        timer.join(1.0)
