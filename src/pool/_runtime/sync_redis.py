"""The synchronous half of the twin for Redis: a connection of redis-py over a stream.

redis-py is given our stream in place of its socket, so that limits, interruptions and forks work as they do
for all streams. It has no public place for that: what is private of it is used here and nowhere else.
"""

# mypy: allow-untyped-calls
# redis-py has types for some of its functions.

from collections.abc import Sequence
from typing import Any

import redis
from redis import Connection as _Connection
from redis._parsers import _RESP2Parser

from pool._runtime.clock import clock
from pool._runtime.redis_words import UnfitError, refusal
from pool.options import check_seconds

__all__ = ["Connection"]


class _Parser(_RESP2Parser):
    @classmethod
    def parse_error(cls, response: str) -> Exception:
        return refusal(super().parse_error(response))


class _Socket:
    """A stream as redis-py uses it. It keeps a limit for a whole exchange, and not for each read."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._timeout: float | None = None
        self.deadline: float | None = None

    def _left(self) -> float | None:
        limits = [] if self._timeout is None else [self._timeout]
        if self.deadline is not None:
            limits.append(max(self.deadline - clock(), 0.0))
        return min(limits, default=None)

    def settimeout(self, seconds: float | None) -> None:
        self._timeout = seconds

    def recv(self, size: int) -> bytes:
        return bytes(self._stream.receive(size, timeout=self._left()))

    def sendall(self, data: Any) -> None:
        self._stream.send(data, timeout=self._left())

    def shutdown(self, how: int) -> None:
        self._stream.abort()

    def close(self) -> None:
        self._stream.abort()

    def getpeername(self) -> Any:
        return self._stream.peer


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
        self._line = _Socket(stream)
        self._sock: Any = self._line
        self._parser.on_connect(self)

    def connect_check_health(
        self, check_health: bool = True, retry_socket_connect: bool = True
    ) -> None:
        """Refuse to open another connection, behind the pool's back."""
        if not self.is_connected:
            raise redis.ConnectionError(f"the connection to {self._host_error()} is lost")

    def send_packed_command(self, command: Any, check_health: bool = True) -> None:
        """Send what was packed, and expect one more reply."""
        self._unread += 1
        super().send_packed_command(command, check_health)

    def read_response(self, *args: Any, **options: Any) -> Any:
        """Read one reply, or raise it if it is an error."""
        if not self.is_connected:
            self.connect_check_health()
        try:
            reply = super().read_response(*args, **options)
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
        read = self._parser._buffer
        return bool(self._unread or (read is not None and read.unread_bytes()) or self._is_there())

    def _is_there(self) -> bool:
        """Whether something has come that nobody has asked for."""
        return not self.stream.is_alive() and bool(self.stream._buffer)

    def fileno(self) -> int:
        """Return the socket's file descriptor, -1 once it is closed."""
        return int(self.stream.fileno())

    def ask(self, *command: Any, timeout: float | None = None) -> Any:
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
        (reply,) = self.exchange([command], timeout)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def exchange(
        self, commands: Sequence[Sequence[Any]], timeout: float | None, raw: bool = False
    ) -> list[Any]:
        """Send commands at once and return the reply to each; an error among them is not raised."""
        try:
            packed = self.pack_commands(commands)
        except (redis.DataError, UnicodeError) as error:
            raise UnfitError(str(error)) from None
        replies: list[Any] = []
        self._line.deadline = None if timeout is None else clock() + timeout
        try:
            self.send_packed_command(packed)
            self._unread += len(commands) - 1
            for _ in commands:
                try:
                    replies.append(self.read_response(disable_decoding=raw))
                except redis.ResponseError as error:
                    replies.append(error)
        except redis.TimeoutError:
            raise late(self, timeout) from None
        except redis.ConnectionError as error:
            # A server that wants no more clients says so, and hangs up.
            for reply in replies:
                if isinstance(reply, redis.ResponseError):
                    raise reply from error
            raise
        finally:
            self._line.deadline = None
        return replies


def late(conn: Connection, timeout: float | None) -> TimeoutError:
    """Return the error for a reply that did not come in time."""
    return TimeoutError(f"no answer from {conn._host_error()} within {timeout or 0:.3f} s")
