"""What the managers for Redis have in common: how a connection is opened, greeted, closed and broken."""

# mypy: allow-untyped-calls
# redis-py has types for some of its functions.

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import redis

from pool._async.manager import ConnectionManager
from pool._async.streams import Stream
from pool._async.tcp import TcpConnectionManager, _checked_endpoint
from pool._runtime.aio_net import clock
from pool._runtime.attempts import Attempts
from pool._runtime.redis_words import UNREADY, code_of

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["PATIENCE", "RedisOpener"]

PATIENCE: Final = 2.0
"""Seconds that a connection has for the answer to a PING."""

# What a server may say to a PING if it is well: a script runs, or this user may not send a PING.
_WELL: Final = frozenset({"BUSY", "NOPERM"})


class Speaking(Protocol):
    """What a connection of every kind can do."""

    stream: Any

    async def exchange(
        self, commands: Any, timeout: float | None, raw: bool = False
    ) -> list[Any]: ...

    async def disconnect(self, nowait: bool = False) -> None: ...


ConnT = TypeVar("ConnT", bound=Speaking)


class RedisOpener(ConnectionManager[tuple[str, int], ConnT]):
    """Opens connections of some kind to Redis, to endpoints ``(host, port)``.

    The parameters are those that the managers share; they describe them.
    """

    def __init__(
        self,
        *,
        username: str | None,
        password: str | None,
        db: int,
        ssl: "SSLContext | bool | None",
        client_name: str | None,
        decode_responses: bool,
    ) -> None:
        texts: dict[str, object] = {
            "username": username,
            "password": password,
            "client_name": client_name,
        }
        for name, text in texts.items():
            if text is not None and not isinstance(text, str):
                raise TypeError(f"{name} must be a str or None, not of type {type(text).__name__}")
        if username is not None and password is None:
            raise ValueError(f"username={username!r} needs a password")
        if client_name and (" " in client_name or not client_name.isprintable()):
            raise ValueError(f"client_name must be printable and without spaces: {client_name!r}")
        if isinstance(db, bool) or type(db) is not int:
            raise TypeError(f"db must be an int, not {db!r}")
        if db < 0:
            raise ValueError(f"db must be at least 0, not {db}")
        if not isinstance(decode_responses, bool):
            raise TypeError(f"decode_responses must be a bool, not {decode_responses!r}")
        self._tcp = TcpConnectionManager(ssl=ssl)
        self._db = db
        self._decode = decode_responses
        self._attempts = Attempts()
        self._greeting: list[tuple[Any, ...]] = []
        if password is not None:
            user = () if username is None else (username,)
            self._greeting.append(("AUTH", *user, password))
        if client_name:
            self._greeting.append(("CLIENT", "SETNAME", client_name))
        if db:
            self._greeting.append(("SELECT", db))
        self._greeting.append(("PING",))

    @abstractmethod
    def _speak(self, stream: Stream, host: str, port: int) -> ConnT:
        """Return a connection over this stream."""

    async def create(self, endpoint: tuple[str, int], timeout: float | None) -> ConnT:
        """Connect, authenticate, and wait for a sign of life, all within ``timeout`` seconds.

        Raises:
            TimeoutError: the time is up.
            TypeError: the endpoint is no ``(host, port)``.
            ValueError: the host is malformed, or the port is not from 1 to 65535.
            OSError: no address of the host accepts the connection, or the TLS handshake failed.
            ConnectionAbortedError: it was interrupted.
            redis.AuthenticationError: the server wants another name or password.
            redis.ResponseError: it refuses something else, such as the database.
            redis.ConnectionError: it hung up.
        """
        deadline = None if timeout is None else clock() + timeout
        host, port = _checked_endpoint(endpoint)
        with self._attempts.begin(endpoint, f"{host}:{port}", timeout) as attempt:
            stream = await self._tcp.create(endpoint, timeout)
            attempt.channel = stream._channel
            attempt.check()
            conn = self._speak(stream, host, port)
            try:
                left = None if deadline is None else max(deadline - clock(), 0.0)
                await self._greet(conn, left)
            except BaseException as error:
                await conn.disconnect(nowait=True)
                if isinstance(error, redis.ConnectionError):
                    attempt.check(error)
                raise
        return conn

    async def _greet(self, conn: ConnT, timeout: float | None) -> None:
        replies = await conn.exchange(self._greeting, timeout, raw=True)
        for command, reply in zip(self._greeting, replies, strict=True):
            if not isinstance(reply, redis.ResponseError):
                continue
            code, text = code_of(reply)
            if command[0] == "AUTH" or code in ("NOAUTH", "WRONGPASS"):
                raise redis.AuthenticationError(f"{code} {text}", status_code=code)
            if command[0] == "PING" and code in UNREADY | _WELL:
                continue
            reply.add_note(f"said to {' '.join(map(str, command))}")
            raise reply

    async def dispose(self, endpoint: tuple[str, int], conn: ConnT, timeout: float | None) -> None:
        """Close the connection. Takes no time."""
        if timeout is None or timeout > 0:
            await conn.stream.close()
        await conn.disconnect(nowait=True)

    def interrupt(self, endpoint: tuple[str, int], conn: ConnT | None) -> None:
        """Break a connection, or every ``create`` in progress at this endpoint."""
        if conn is not None:
            conn.stream.interrupt()
            return
        # First the outer ones: they look whether they are broken after the inner ones have ended.
        self._attempts.interrupt(endpoint)
        self._tcp.interrupt(endpoint, None)
