"""The ready-made manager for connections to Redis that many callers use at once."""

from typing import TYPE_CHECKING, Final

import redis

from pool._async.redis_base import PATIENCE, RedisOpener
from pool._async.redis_pipeline import PipelinedConnection
from pool._async.streams import Stream
from pool._runtime.redis_wire import require

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["PipelinedRedisManager"]

# Seconds for which a server may owe a reply and say nothing, before nobody else is sent to it.
_SILENCE: Final = 5.0


class PipelinedRedisManager(RedisOpener[PipelinedConnection]):
    """Opens connections to Redis that any number of callers use at once, to endpoints ``(host, port)``.

    For pools that lend one connection to many, and for bodies that ask for many things at once:
    ``await conn.ask("GET", "key", timeout=1.0)`` from any number of tasks or threads. What is asked at
    the same time goes out together, in few packets. A command that does not get exactly one reply, would
    change the connection for others or hold them up is refused with a ``ValueError``: for those there is
    ``RedisManager``.

    Since each reply finds its asker whatever becomes of the others, a body that is cancelled, times out or
    fails leaves the connection as good as before. After an error it is not given to others if it is lost, or
    if the server has owed a reply for more than 5 seconds and said nothing in all that time.

    Parameters:
        username: for ACLs, ``None`` for the default user.
        password: ``None`` if there is none.
        db: the number of the database.
        ssl: ``None`` or ``False`` for plain TCP; ``True`` for TLS that trusts the system's authorities and
            checks the host name; or an ``ssl.SSLContext``.
        client_name: what ``CLIENT LIST`` shows, without spaces.
        decode_responses: replies as ``str`` (UTF-8) instead of ``bytes``.

    Raises:
        TypeError: an option has a wrong type.
        ValueError: an option has a wrong value.
        ImportError: hiredis is not installed.

    Example::

        manager = PipelinedRedisManager(password="secret")
        async with ConnectionPool(manager) as pool:
            async with pool.connection(("localhost", 6379)) as conn:
                print(await conn.ask("GET", "key", timeout=1.0))
    """

    def __init__(
        self,
        *,
        username: str | None = None,
        password: str | None = None,
        db: int = 0,
        ssl: "SSLContext | bool | None" = None,
        client_name: str | None = None,
        decode_responses: bool = False,
    ) -> None:
        require()
        super().__init__(
            username=username,
            password=password,
            db=db,
            ssl=ssl,
            client_name=client_name,
            decode_responses=decode_responses,
        )

    def _speak(self, stream: Stream, host: str, port: int) -> PipelinedConnection:
        return PipelinedConnection(stream, host, port, self._decode)

    async def dispose(
        self, endpoint: tuple[str, int], conn: PipelinedConnection, timeout: float | None
    ) -> None:
        """Close the connection; whoever still waits on it fails now. Takes no time."""
        await conn.disconnect(nowait=timeout is not None and timeout <= 0)

    async def check_aliveness(
        self, endpoint: tuple[str, int], conn: PipelinedConnection, timeout: float | None
    ) -> bool:
        """Return whether the server answers a PING, within 2 seconds at most; others may ask meanwhile."""
        conn.collect()
        if not conn.is_connected:
            return False
        limit = PATIENCE if timeout is None else min(timeout, PATIENCE)
        try:
            await conn.exchange([("PING",)], limit)
        except (redis.RedisError, TimeoutError):
            return False
        return True

    def can_reuse(
        self, endpoint: tuple[str, int], conn: PipelinedConnection, error: BaseException
    ) -> bool:
        """Return whether the connection works, as far as is known: whatever the error was."""
        return conn.silence() <= _SILENCE and conn.is_connected
