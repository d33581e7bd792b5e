"""The ready-made manager for Redis: connections of redis-py, replica sets, commands as mappings."""

# mypy: allow-untyped-calls
# redis-py has types for some of its functions.

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

try:
    import redis
except ModuleNotFoundError as error:
    if error.name != "redis":
        raise
    raise ImportError(
        "pool.aio.redis needs redis-py, which is not installed: pip install 'twinpool[redis]'"
    ) from error

from pool._async.driver import CommandManager
from pool._async.redis_base import PATIENCE, RedisOpener
from pool._async.streams import Stream
from pool._async.tcp import _checked_endpoint
from pool._runtime.aio_redis import Connection
from pool._runtime.redis_family import Account, Family, read_info
from pool._runtime.redis_words import SENSITIVE, UNREADY, UnfitError, code_of, words
from pool.descriptions import Hello
from pool.errors import CommandError

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["Connection", "RedisManager"]

# What says of a server that it is not there; that somebody gave up waiting, for one, does not.
_GONE: Final = (OSError, redis.RedisError)


class RedisManager(RedisOpener[Connection], CommandManager[tuple[str, int], Connection]):
    """Opens connections to Redis, to endpoints ``(host, port)``; for pools, topologies and clients.

    A connection is one of redis-py, with RESP2: use ``await conn.ask("GET", "key", timeout=1.0)``. Replies
    are as the server gives them (``None``, ``int``, ``bytes``, ``list``). What a body begins (``MULTI``,
    ``WATCH``, ``SUBSCRIBE``) it must end itself.

    In a ``Topology``, a master is a ``PRIMARY``, never ``STANDALONE``: it may get a replica at any time. A
    replica is a ``SECONDARY``, also while it has lost its primary, but ``OTHER`` while it loads or is being
    synchronized. One manager serves one replica set, since it remembers what its servers say:

    - ``hosts`` of a primary are the replicas it lists, and others that follow it or, not told otherwise yet,
      the primary before it: reads go on while servers fail over. Servers are listed under the endpoint by
      which they were first reached. ``hosts`` is empty, so that nobody is dropped, as long as a primary
      without replicas is the only server that answers: it may be stale.
    - ``term`` is the offset at which a primary took over, 0 if it never did; for one that restarts without
      its data not less than before. A primary that was replaced and comes back has a lower one.

    Redis itself elects nobody, so this has limits. A client that starts afresh and reaches only the
    stale one of two masters believes it. So it does if the stale one has saved data that its replica never
    received and restarts from that (Redis 7 keeps the offset), and is heard first. Have Sentinel or another
    supervisor turn it into a replica. Redis Cluster and Sentinels themselves are not supported.

    Parameters:
        username: for ACLs, ``None`` for the default user.
        password: ``None`` if there is none.
        db: the number of the database.
        ssl: ``None`` or ``False`` for plain TCP; ``True`` for TLS that trusts the system's authorities and
            checks the host name; or an ``ssl.SSLContext``.
        client_name: what ``CLIENT LIST`` shows, without spaces.
        decode_responses: replies as ``str`` (UTF-8) instead of ``bytes``.
        discover: believe the addresses that servers tell of each other. ``False`` where they lead nowhere
            from here (containers, tunnels): then ``hosts`` is empty, and all servers must be seeds.

    Raises:
        TypeError: an option has a wrong type.
        ValueError: an option has a wrong value.

    Example::

        manager = RedisManager(password="secret")
        async with ConnectionPool(manager) as pool:
            async with pool.connection(("localhost", 6379)) as conn:
                print(await conn.ask("GET", "key", timeout=1.0))
    """

    sensitive_commands: ClassVar[frozenset[str]] = SENSITIVE

    def __init__(
        self,
        *,
        username: str | None = None,
        password: str | None = None,
        db: int = 0,
        ssl: "SSLContext | bool | None" = None,
        client_name: str | None = None,
        decode_responses: bool = False,
        discover: bool = True,
    ) -> None:
        super().__init__(
            username=username,
            password=password,
            db=db,
            ssl=ssl,
            client_name=client_name,
            decode_responses=decode_responses,
        )
        if not isinstance(discover, bool):
            raise TypeError(f"discover must be a bool, not {discover!r}")
        self._family = Family(discover)

    # --- Connections ---

    async def create(self, endpoint: tuple[str, int], timeout: float | None) -> Connection:
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
        _checked_endpoint(endpoint)
        self._family.asked(endpoint)
        try:
            conn = await super().create(endpoint, timeout)
        except BaseException as error:
            self._family.failed(endpoint, gone=isinstance(error, _GONE))
            raise
        self._family.reached(endpoint, conn.stream.peer[:2])
        return conn

    def _speak(self, stream: Stream, host: str, port: int) -> Connection:
        return Connection(stream, host, port, self._decode)

    async def check_aliveness(
        self, endpoint: tuple[str, int], conn: Connection, timeout: float | None
    ) -> bool:
        """Return whether the server answers a PING, within 2 seconds at most."""
        if not conn.is_settled or not conn.stream.is_alive():
            return False
        limit = PATIENCE if timeout is None else min(timeout, PATIENCE)
        try:
            await conn.exchange([("PING",)], limit)
        except (redis.RedisError, TimeoutError):
            return False
        return True

    def can_reuse(self, endpoint: tuple[str, int], conn: Connection, error: BaseException) -> bool:
        """Return whether the server, or ``execute``, refused a command, and no reply was left unread."""
        refused = isinstance(error, (redis.ResponseError, CommandError, UnfitError))
        return refused and conn.is_settled

    async def on_release(self, endpoint: tuple[str, int], conn: Connection) -> None:
        """Keep a connection from the next caller whose replies were not all read: he would get them.

        Raises:
            ValueError: there are some; the connection is closed.
        """
        # One that is lost is none of his who has got what he asked for.
        if conn.is_connected and conn.has_unread:
            raise UnfitError(f"a body has left replies of {endpoint!r} unread")

    # --- Servers ---

    async def hello(
        self, endpoint: tuple[str, int], conn: Connection, timeout: float | None
    ) -> Hello:
        """Ask for ``INFO replication`` and ``INFO server``, in one round trip; they are the document.

        Raises:
            redis.ResponseError: it does not tell, or is no server for data.
            redis.ConnectionError: the connection is lost.
            TimeoutError: there was no answer in time.
        """
        commands = [("INFO", "replication"), ("INFO", "server"), ("CLIENT", "ID"), ("PING",)]
        try:
            replication, server, number, pong = await conn.exchange(commands, timeout, raw=True)
            for reply in (replication, server):
                if isinstance(reply, redis.ResponseError):
                    raise reply
            info = read_info(replication, server)
            if info.get("role") not in ("master", "slave"):
                mode = info.get("redis_mode", "unknown")
                raise redis.ResponseError(f"no server for data: its mode is {mode}")
        except BaseException as error:
            self._family.failed(endpoint, gone=isinstance(error, _GONE))
            raise
        serves = not isinstance(pong, redis.ResponseError) or code_of(pong)[0] not in UNREADY
        connection_id = number if isinstance(number, int) else None
        return self._family.heard(endpoint, Account(info, serves), connection_id)

    def is_connection_error(self, endpoint: tuple[str, int], error: BaseException) -> bool:
        """Return whether an error means that the connection broke."""
        if isinstance(error, redis.ConnectionError):
            return not isinstance(error, redis.AuthenticationError)
        return super().is_connection_error(endpoint, error)

    # --- Commands ---

    async def execute(
        self,
        endpoint: tuple[str, int],
        conn: Connection,
        command: Mapping[str, Any],
        database_name: str,
        timeout: float | None,
    ) -> Mapping[str, Any]:
        """Send a command and return ``{"reply": …}``.

        Parameters:
            endpoint: the server.
            conn: a connection that nobody else uses meanwhile.
            command: its name and its argument, or a list of arguments, ``None`` or ``()`` for none:
                ``{"GET": "key"}``, ``{"SET": ["key", "value", "EX", 10]}``, ``{"DBSIZE": None}``,
                ``{"CONFIG GET": "maxmemory"}``.
            database_name: ``""``, or the number of the manager's own database.
            timeout: seconds, ``None`` for no limit.

        Raises:
            CommandError: the server refuses it; the document has ``errmsg`` and the ``code``, such as
                ``"WRONGTYPE"``.
            ValueError: it was not sent: it is no such command, or would subscribe, open a transaction, or
                change something else about the connection, which the next caller shares.
            redis.ConnectionError: the connection is lost.
            TimeoutError: there was no reply in time; the connection is closed.
        """
        self.check_command(command, database_name)
        (reply,) = await conn.exchange([words(command)], timeout)
        if isinstance(reply, redis.ResponseError):
            code, text = code_of(reply)
            raise CommandError({"errmsg": text, "code": code}) from reply
        return {"reply": reply}

    def check_command(self, command: Mapping[str, Any], database_name: str) -> None:
        """Refuse what is no command, or would change the connection for the next caller.

        Raises:
            ValueError: what is wrong with it.
        """
        if database_name not in ("", str(self._db)):
            raise UnfitError(
                f"database_name must be '' or {str(self._db)!r}, the manager's db, "
                f"not {database_name!r}"
            )
        words(command)

    def is_state_change(self, endpoint: tuple[str, int], error: BaseException) -> bool:
        """Return whether the server is no primary any more, or not ready."""
        code: object = None
        if isinstance(error, redis.ResponseError):
            code, _ = code_of(error)
        elif isinstance(error, CommandError) and isinstance(error.document, Mapping):
            code = error.document.get("code")
        return code in UNREADY | {"READONLY"}
