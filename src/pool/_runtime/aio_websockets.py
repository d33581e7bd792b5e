"""The asynchronous half of the twin for WebSockets: a connection of the library over a socket of ours.

The library reads whenever the loop gets round to it, and answers the server's pings by itself. We open the
socket and keep a descriptor of it, to break the connection and to see what the loop has not read yet.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ssl import SSLContext

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConcurrencyError, ConnectionClosed
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.http11 import USER_AGENT
from websockets.protocol import Event, State
from websockets.uri import WebSocketURI

from pool._runtime import fork
from pool._runtime.attempts import Attempt
from pool._runtime.clock import clock
from pool._runtime.sockets import BorrowedChannel, Channel
from pool._runtime.websocket_words import BITE, Protocol, Wishes, extensions_for, has_come

__all__ = ["Line", "clock", "open_line", "time_limit"]

# How often the loop gets the chance to read what the kernel has. It takes two rounds; pings may be among it.
_ROUNDS = 8


class _Protocol(Protocol):
    """Answers only the newest ping where there is much to be sent already, as it may.

    A server that pings and does not read would else have all the pongs kept here.
    """

    choked = False
    pong: Frame | None = None

    def send_frame(self, frame: Frame) -> None:
        if self.choked and frame.opcode is Opcode.PONG:
            self.pong = frame
        else:
            super().send_frame(frame)


class _Connection(ClientConnection):
    """One that can be made deaf: what still comes while it closes is for nobody.

    What the loop has read is given to the library bite by bite, as long as its queue has room.
    """

    protocol: _Protocol
    deaf = False
    channel: Channel
    held = b""
    """What the loop has read and the library has not got yet. No more is read meanwhile."""
    resuming = 0
    """When reading is resumed, TLS gives what it has in its hands in the next round of the loop."""
    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.recv_messages.resume = self._resume

    def data_received(self, data: bytes) -> None:
        self._feed(self.held + data if self.held else data)

    def eof_received(self) -> None:
        # TLS may tell of the end although we have asked it to wait.
        self._feed(self.held, everything=True)
        super().eof_received()

    def _resume(self) -> None:
        self._feed(self.held)
        if not self.recv_messages.paused:
            self.transport.resume_reading()
            self.resuming += 1
            self.loop.call_soon(self._resumed)

    def _resumed(self) -> None:
        self.resuming -= 1

    def _feed(self, data: bytes, everything: bool = False) -> None:
        done = 0
        while done < len(data) and (everything or not self.recv_messages.paused):
            super().data_received(data[done : done + BITE])
            done += BITE
        self.held = data[done:]

    def process_event(self, event: Event) -> None:
        if self.deaf and isinstance(event, Frame) and event.opcode in DATA_OPCODES:
            return
        super().process_event(event)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.protocol.choked = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self.protocol.choked = False
        pong, self.protocol.pong = self.protocol.pong, None
        if pong is not None and self.protocol.state is State.OPEN:
            self.protocol.send_frame(pong)
            self.send_data()

    def send_data(self) -> None:
        super().send_data()
        # Whoever waits to receive would wait for ever for a server that says goodbye and keeps the line.
        if self._end is None and self.protocol.state is State.CLOSING and not self.deaf:
            self._end = self.loop.call_later(self.close_timeout or 0, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        # The library takes no more afterwards. What it has not got must not be missing in the middle.
        if not self.deaf:
            self._feed(self.held, everything=True)
        self.held = b""
        super().connection_lost(exc)
        if self._end is not None:
            self._end.cancel()
        # The server sees the end when the last descriptor is gone.
        self.channel.close()


class Line:
    """One open connection of the library.

    Parameters:
        conn: the library's.
        channel: another descriptor of its socket; it is the line's from now on.
        name: where it leads, for messages.
    """

    def __init__(self, conn: _Connection, channel: Channel, name: str) -> None:
        self._conn = conn
        self._channel = channel
        self._name = name

    def __del__(self) -> None:
        # Of a pool that nobody has closed. The loop would keep the connection for ever.
        self._channel.let_go()

    @property
    def conn(self) -> ClientConnection:
        """The library's connection."""
        return self._conn

    @property
    def is_open(self) -> bool:
        """Whether neither side has begun to close it, as far as is known."""
        return self._conn.state is State.OPEN

    async def is_silent(self) -> bool:
        """Return whether it is open, and nothing has come, even to the kernel, that nobody has read."""
        for _ in range(_ROUNDS):
            if not self.is_open or self._has_unread():
                return False
            if not self._conn.resuming and not has_come(self._channel.sock):
                return True
            await asyncio.sleep(0)
        return False

    def _has_unread(self) -> bool:
        """Whether there is a message, a part of one, or somebody who waits for one."""
        messages = self._conn.recv_messages
        unread = len(messages.frames) or messages.get_in_progress
        return bool(unread or self._conn.held or self._conn.protocol.reader.buffer)

    async def send(self, data: bytes | bytearray, text: bool) -> None:
        """Send one message."""
        await self._conn.send(data, text=text)

    async def recv(self, timeout: float | None) -> str | bytes:
        """Return the next message.

        Raises:
            TimeoutError: none came in time; none is lost.
            ConnectionClosed: there will be none.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._conn.recv()
        except TimeoutError:
            raise TimeoutError(f"no message from {self._name} within {timeout:g} s") from None

    async def ping(self, timeout: float | None) -> float:
        """Send a ping and wait for its pong; return the seconds it took."""
        try:
            async with asyncio.timeout(timeout):
                pong = await self._conn.ping()
                return await pong
        except TimeoutError:
            raise TimeoutError(f"no pong from {self._name} within {timeout:g} s") from None

    async def close(self, seconds: float | None) -> None:
        """Say goodbye, wait for the answer for so many seconds at most, then cut it."""
        conn = self._conn
        try:
            if seconds is None or seconds > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._drain()
                        conn.close_timeout = seconds
                        await conn.close()
        finally:
            self.cut()

    async def _drain(self) -> None:
        """Throw away what is unread: the library reads no further, nor the server's goodbye, before that."""
        self._conn.deaf = True
        with suppress(TimeoutError, ConnectionClosed, ConcurrencyError):
            while len(self._conn.recv_messages.frames):
                # The beginning of a message may be gone already.
                with suppress(AssertionError):
                    async with asyncio.timeout(0):
                        await self._conn.recv(decode=False)

    def cut(self) -> None:
        """Close the socket without a word. Takes no time."""
        self._conn.deaf = True
        self._conn.transport.abort()
        self._channel.close()

    def interrupt(self) -> None:
        """Break it, from any thread: whoever waits for it fails."""
        self._channel.interrupt()

    def silence(self) -> None:
        """Let nothing that this process does reach the server: it is the parent's."""
        fork.silence(self._channel.sock)
        fork.silence(self._conn.transport.get_extra_info("socket"))


async def open_line(
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

    def make() -> _Connection:
        protocol = _Protocol(
            where,
            subprotocols=wishes.subprotocols,
            extensions=extensions_for(wishes),
            max_size=wishes.max_message_size,
        )
        made = _Connection(protocol, ping_interval=None, max_queue=wishes.max_queue)
        made.channel = channel
        return made

    loop = asyncio.get_running_loop()
    conn: _Connection | None = None
    channel = BorrowedChannel(plain.sock.fileno())
    attempt.channel = channel
    try:
        attempt.check()
        async with asyncio.timeout(None if deadline is None else deadline - clock()):
            name = None if context is None else where.host
            _, conn = await loop.create_connection(
                make, sock=plain.sock, ssl=context, server_hostname=name
            )
            await conn.handshake(wishes.headers, USER_AGENT)
        attempt.check()
    except BaseException as error:
        channel.interrupt()
        if conn is None:
            plain.close()
        else:
            conn.transport.abort()
        if isinstance(error, Exception):
            attempt.check(error)
        if isinstance(error, TimeoutError) and deadline is not None and clock() >= deadline:
            raise attempt.late("no end of the handshake") from None
        raise
    return Line(conn, channel, attempt.name)


@asynccontextmanager
async def time_limit(line: Line, seconds: float) -> AsyncIterator[None]:
    """Let what a block does with a connection take only so long."""
    async with asyncio.timeout(seconds):
        yield
