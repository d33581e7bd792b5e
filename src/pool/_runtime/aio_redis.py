"""The asynchronous half of the twin for Redis: a connection of redis-py over a stream.

redis-py is given our stream in place of its own, so that limits, interruptions and forks work as they do for
all streams. It has no public place for that: what is private of it is used here and nowhere else.
"""

# mypy: allow-untyped-calls
# redis-py has types for some of its functions.

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import redis
from redis._parsers import _AsyncRESP2Parser
from redis.asyncio import Connection as _Connection

from pool._runtime.redis_words import UnfitError, refusal
from pool.options import check_seconds

__all__ = ["Connection"]


class _Parser(_AsyncRESP2Parser):
    @classmethod
    def parse_error(cls, response: str) -> Exception:
        return refusal(super().parse_error(response))


class _Reader:
    """A stream as redis-py's parser reads it, line by line: hence the buffer."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def _fill(self) -> bool:
        data = await self._stream.receive()
        self._buffer += data
        return bool(data)

    def _take(self, n: int) -> bytes:
        data = bytes(self._buffer[:n])
        del self._buffer[:n]
        return data

    async def readline(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if not await self._fill():
                break
        return self._take(end + 1)

    async def readexactly(self, n: int) -> bytes:
        while len(self._buffer) < n:
            if not await self._fill():
                raise asyncio.IncompleteReadError(self._take(n), n)
        return self._take(n)

    def at_eof(self) -> bool:
        return not self._stream.is_alive()


class _Writer:
    """A stream as redis-py writes to it."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._data: list[bytes] = []

    def writelines(self, data: Iterable[bytes]) -> None:
        self._data.extend(data)

    async def drain(self) -> None:
        data, self._data = b"".join(self._data), []
        await self._stream.send(data)

    def close(self) -> None:
        self._stream.abort()

    async def wait_closed(self) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._stream.peer if name == "peername" else default


class Connection(_Connection):
    """A connection of redis-py, which cannot be opened again once it is lost.

    Parameters:
        stream: what it speaks over.
        host: where it leads, for messages.
        port: likewise.
        decode_responses: give replies as ``str`` instead of ``bytes``.
    """

    def __init__(self, stream: Any, host: str, port: int, decode_responses: bool) -> None:
        super().__init__(
            host=host,
            port=port,
            protocol=2,
            driver_info=None,
            parser_class=_Parser,
            socket_timeout=None,
            socket_connect_timeout=None,
            decode_responses=decode_responses,
        )
        self.stream = stream
        self._unread = 0
        self._reader: Any = _Reader(stream)
        self._writer: Any = _Writer(stream)
        self._parser.on_connect(self)

    async def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        """Refuse to open another connection, behind the pool's back."""
        if not self.is_connected:
            raise redis.ConnectionError(f"the connection to {self._host_error()} is lost")

    async def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send what was packed, and expect one more reply."""
        self._unread += 1
        await super().send_packed_command(command, check_health)

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read one reply, or raise it if it is an error."""
        try:
            reply = await super().read_response(*args, **options)
        except redis.ResponseError:
            self._unread -= 1
            raise
        self._unread -= 1
        return reply

    @property
    def is_settled(self) -> bool:
        """Whether it is connected, and every reply was read."""
        return bool(self.is_connected) and not self.has_unread

    @property
    def has_unread(self) -> bool:
        """Whether replies, or parts of some, were not read."""
        return bool(self._unread or self._reader._buffer or self._is_there())

    def _is_there(self) -> bool:
        """Whether something has come that nobody has asked for."""
        return not self.stream.is_alive() and bool(self.stream._buffer)

    def fileno(self) -> int:
        """Return the socket's file descriptor, -1 once it is closed."""
        return int(self.stream.fileno())

    async def ask(self, *command: Any, timeout: float | None = None) -> Any:
        """Send one command and return the reply.

        Parameters:
            command: its words, such as ``"SET", "key", "value"``: ``str``, ``bytes``, ``int`` or ``float``.
            timeout: seconds, ``None`` for no limit.

        Raises:
            redis.ResponseError: the server refuses it; the connection is as good as before.
            redis.ConnectionError: the connection is lost.
            TimeoutError: there was no reply in time; the connection is closed.
        """
        check_seconds("timeout", timeout)
        (reply,) = await self.exchange([command], timeout)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def exchange(
        self, commands: Sequence[Sequence[Any]], timeout: float | None, raw: bool = False
    ) -> list[Any]:
        """Send commands at once and return the reply to each; an error among them is not raised."""
        try:
            packed = self.pack_commands(commands)
        except (redis.DataError, UnicodeError) as error:
            raise UnfitError(str(error)) from None
        replies: list[Any] = []
        try:
            async with asyncio.timeout(timeout):
                await self.send_packed_command(packed)
                self._unread += len(commands) - 1
                for _ in commands:
                    try:
                        replies.append(await self.read_response(disable_decoding=raw))
                    except redis.ResponseError as error:
                        replies.append(error)
        except TimeoutError:
            await self.disconnect(nowait=True)
            raise late(self, timeout) from None
        except redis.ConnectionError as error:
            # A server that wants no more clients says so, and hangs up.
            for reply in replies:
                if isinstance(reply, redis.ResponseError):
                    raise reply from error
            raise
        return replies


def late(conn: Connection, timeout: float | None) -> TimeoutError:
    """Return the error for a reply that did not come in time."""
    return TimeoutError(f"no answer from {conn._host_error()} within {timeout or 0:.3f} s")
