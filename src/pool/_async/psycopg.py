"""The ready-made manager for PostgreSQL, with connections of psycopg 3."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

try:
    import psycopg
except ModuleNotFoundError as error:
    if error.name != "psycopg":
        raise
    raise ImportError(
        "pool.aio.psycopg needs psycopg, which is not installed: pip install 'twinpool[psycopg]'"
    ) from error

from psycopg import AsyncConnection, AsyncCursor
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pool._async.driver import CommandManager
from pool._async.psycopg_connect import Where, connect
from pool._async.psycopg_session import CursorFactory, Session, Settings, watched
from pool._runtime import aio_net as net
from pool._runtime import sockets
from pool._runtime.attempts import Attempts
from pool._runtime.fork import silence
from pool._runtime.sockets import Address
from pool.descriptions import Hello, ServerType
from pool.errors import CommandError

__all__ = ["PsycopgManager"]

# Seconds that a check may take: a server that hangs must leave the caller time to connect elsewhere.
_CHECK_LIMIT: Final = 1.0

_RESETS: Final = ("rollback", "discard all")

# Shutdowns, a crash, and a server that is still starting; all of class 08 comes on top.
_LOST: Final = ("57P01", "57P02", "57P03")

# OperationalErrors of psycopg's own that say nothing of the connection.
_NOT_LOST: Final = (
    psycopg.errors.CancellationTimeout,
    psycopg.errors.ConnectionTimeout,
    psycopg.errors.PipelineAborted,
)

# A transaction that may only read, as on a server that follows; and one that is starting.
_STATE_CHANGES: Final = frozenset({"25006", "57P03"})

_HELLO: Final = """SELECT pg_is_in_recovery(),
    CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_lsn()) END,
    pg_backend_pid()"""

# Rights to these functions can be taken away, which makes the whole statement fail.
_HELLO_AND_IDENTITY: Final = (
    f"{_HELLO}, (SELECT timeline_id FROM pg_control_checkpoint()), "
    "(SELECT system_identifier FROM pg_control_system())"
)


class PsycopgManager(CommandManager[tuple[str, int], AsyncConnection[Any]]):
    """Opens connections of psycopg to PostgreSQL, to endpoints ``(host, port)``.

    A connection that comes back is as good as new in this: a transaction that is open or has failed is
    rolled back, channels it listens to and their notifications are forgotten, and so are handlers that were
    added and attributes that were set. It costs a round trip only if there is something to undo. A LISTEN is
    seen in queries that contain the word, sent by cursors of the connection's own class; whoever calls
    ``notifies`` or adds a handler counts too. One that a function of the server does by itself is not seen.

    What else a session has in the server stays: settings made by ``SET``, temporary tables, advisory locks,
    prepared statements. ``reset="discard all"`` forgets that as well.

    A body that leaves by an exception gives its connection back if no statement is running on it. A task
    that is cancelled cancels its statement in the server; one that runs out of time, or whose connection is
    broken, goes on there until the server notices: see its ``client_connection_check_interval``.

    Parameters:
        conninfo: how to connect, without host and port: those are the endpoint.
        autocommit: whether each statement is a transaction of its own, unless a body begins one.
        row_factory: what makes the rows, of ``psycopg.rows``; ``None`` for tuples.
        cursor_factory: a class of cursors, ``None`` for the usual one.
        prepare_threshold: how often a statement is run before it is prepared, ``None`` for never.
        context: where types are registered, as for ``psycopg.connect``.
        reset: what a connection goes through when it comes back: ``"rollback"``, or ``"discard all"`` for
            a ``DISCARD ALL`` too, one round trip for each use; statements are not prepared then.
        kwargs: further connection parameters: ``dbname``, ``user``, ``password``, ``sslmode``, ``options``,
            ``application_name``. ``connect_timeout`` limits a ``create`` further.

    Raises:
        ValueError: the parameters are no valid conninfo, have a host or a port, or ``reset`` is unknown.

    Example::

        manager = PsycopgManager(dbname="shop", user="shop")
        async with ConnectionPool(manager) as pool:
            async with pool.connection(("localhost", 5432)) as conn:
                cursor = await conn.execute("SELECT now()")
                print(await cursor.fetchone())
                await conn.commit()
    """

    sensitive_commands: ClassVar[frozenset[str]] = frozenset({"secret_query"})

    def __init__(
        self,
        conninfo: str = "",
        *,
        autocommit: bool = False,
        row_factory: Any = None,
        cursor_factory: CursorFactory | None = None,
        prepare_threshold: int | None = 5,
        context: Any = None,
        reset: str = "rollback",
        **kwargs: Any,
    ) -> None:
        if reset not in _RESETS:
            raise ValueError(f"reset must be one of {_RESETS}, not {reset!r}")
        self._discard_all = reset == "discard all"
        self._conninfo, self._connect_timeout = _checked(conninfo, kwargs)
        self._settings = Settings(
            autocommit=bool(autocommit),
            row_factory=row_factory,
            cursor_factory=watched(cursor_factory or AsyncCursor),
            # They would be gone after each use, and psycopg would not know.
            prepare_threshold=None if self._discard_all else prepare_threshold,
            context=context,
        )
        self._attempts = Attempts()

    # --- Connecting ---

    async def create(self, endpoint: tuple[str, int], timeout: float | None) -> Session:
        """Look up the host, connect and log in, all within ``timeout`` seconds.

        All addresses of a host are tried in turn, each with its share of the time. A host that begins with a
        slash is the folder of a Unix socket.

        Raises:
            TimeoutError: the time is up.
            psycopg.OperationalError: no address accepts the connection, or the server refuses the login.
            OSError: the host is unknown (``socket.gaierror``).
            ConnectionAbortedError: it was interrupted.
        """
        host, port = endpoint
        if self._connect_timeout is not None:
            limit = self._connect_timeout
            timeout = limit if timeout is None else min(timeout, limit)
        deadline = None if timeout is None else net.clock() + timeout
        session: Session | None = None
        try:
            with self._attempts.begin(endpoint, f"{host}:{port}", timeout) as attempt:
                addresses: list[Address] | None = []
                if not host.startswith("/"):
                    addresses = sockets.numeric(host, port)
                    addresses = addresses or await net.resolve(host, port, deadline, attempt)
                if addresses is None:
                    raise attempt.late("the host name is still being looked up")
                where = Where(self._conninfo, host, port, [each.sockaddr[0] for each in addresses])
                session = await connect(attempt, where, self._settings, deadline)
            await session.settle()
        except BaseException:
            if session is not None:
                await session.close()
            raise
        return session

    # --- The other hooks ---

    async def dispose(
        self, endpoint: tuple[str, int], conn: AsyncConnection[Any], timeout: float | None
    ) -> None:
        """Close the connection. Takes no time."""
        await conn.close()

    async def check_aliveness(
        self, endpoint: tuple[str, int], conn: AsyncConnection[Any], timeout: float | None
    ) -> bool:
        """Return whether the server answers to an empty statement, within one second at most."""
        session = _session(conn)
        limit = _CHECK_LIMIT if timeout is None else min(timeout, _CHECK_LIMIT)
        try:
            with session.limit(limit):
                await session.ask("")
        except (psycopg.Error, TimeoutError):
            return False
        return session.is_at_rest()

    async def on_release(self, endpoint: tuple[str, int], conn: AsyncConnection[Any]) -> None:
        """Undo what the connection's user has begun and not ended, within five seconds."""
        await _session(conn).reset(self._discard_all)

    def can_reuse(
        self, endpoint: tuple[str, int], conn: AsyncConnection[Any], error: BaseException
    ) -> bool:
        """Return whether no statement is running: ``on_release`` does the rest."""
        return _session(conn).is_at_rest()

    def interrupt(self, endpoint: tuple[str, int], conn: AsyncConnection[Any] | None) -> None:
        """Break a connection, or every ``create`` in progress at this endpoint.

        Whoever waits for the server gets a ``psycopg.OperationalError``, whoever connects a
        ``ConnectionAbortedError``.
        """
        if conn is None:
            self._attempts.interrupt(endpoint)
        else:
            _session(conn).channel.interrupt()

    def after_fork(self, endpoint: tuple[str, int], conn: AsyncConnection[Any]) -> None:
        """Cut the connection off from its socket: whatever psycopg says to it leads to nowhere."""
        silence(conn)
        _session(conn).channel.close()

    def is_connection_error(self, endpoint: tuple[str, int], error: BaseException) -> bool:
        """Return whether an error means that the connection, or the server, is gone.

        Of the errors that the server reports these are the classes 08 (connection exception) and the codes
        57P01 to 57P03 (shut down, crashed, starting up). An ``OperationalError`` without a code comes from
        the client's side: the connection broke, or a connect was refused, for whatever reason.
        """
        if not isinstance(error, psycopg.Error):
            return super().is_connection_error(endpoint, error)
        code = error.sqlstate
        if code is not None:
            return code.startswith("08") or code in _LOST
        return isinstance(error, psycopg.OperationalError) and not isinstance(error, _NOT_LOST)

    # --- Servers ---

    async def hello(
        self, endpoint: tuple[str, int], conn: AsyncConnection[Any], timeout: float | None
    ) -> Hello:
        """Ask whether the server takes writes (``PRIMARY``) or follows another one (``SECONDARY``).

        A server without followers is a ``PRIMARY`` too. The ``term`` is the timeline, which a promotion
        raises; a standby gives that of its last restart point. The ``set_name`` is the system identifier, so
        that servers of different clusters are never mixed; ``None`` where the user may not read it.
        PostgreSQL does not tell where the other servers are: ``hosts`` is empty.
        """
        session = _session(conn)
        row: tuple[Any, ...] | None = None
        with session.limit(timeout):
            if session.may_identify:
                try:
                    row = await session.ask(_HELLO_AND_IDENTITY)
                except psycopg.errors.InsufficientPrivilege:
                    session.may_identify = False
            if row is None:
                row = await session.ask(f"{_HELLO}, NULL, NULL")
        assert row is not None
        in_recovery, segment, pid, checkpoint_timeline, identifier = row
        # A segment's name begins with its timeline, as eight hexadecimal digits.
        timeline = checkpoint_timeline if segment is None else int(segment[:8], 16)
        return Hello(
            {
                "in_recovery": in_recovery,
                "timeline": timeline,
                "backend_pid": pid,
                "system_identifier": identifier,
                "server_version": session.info.server_version,
            },
            ServerType.SECONDARY if in_recovery else ServerType.PRIMARY,
            set_name=None if identifier is None else str(identifier),
            term=timeline,
            connection_id=pid,
        )

    async def execute(
        self,
        endpoint: tuple[str, int],
        conn: AsyncConnection[Any],
        command: Mapping[str, Any],
        database_name: str,
        timeout: float | None,
    ) -> Mapping[str, Any]:
        """Run a statement as a transaction of its own.

        Parameters:
            endpoint: the server.
            conn: a connection that nobody else uses meanwhile, outside of any transaction.
            command: ``{"query": statement, "params": values}``. ``params`` may be missing, a sequence, or a
                mapping for named placeholders. With ``"secret_query"`` as the first key nobody who
                listens gets to see it.
            database_name: that of the connection, or ``""``.
            timeout: seconds for the answer.

        Returns:
            ``rows`` (tuples), ``columns`` (names), ``status`` (such as ``"SELECT 1"``) and ``rowcount``. Of
            several statements in one query, those of the last.

        Raises:
            ValueError: the command or the database is another one; nothing was sent.
            CommandError: the statement failed and is undone. Its document has ``errmsg``, ``code`` (the
                SQLSTATE) and ``severity``.
            TimeoutError: there was no answer in time; the connection is of no more use.
        """
        query, params = _parsed(command)
        session = _session(conn)
        if database_name not in ("", session.info.dbname):
            raise ValueError(
                f"this is a connection to the database {session.info.dbname!r}, not {database_name!r}"
            )
        with session.limit(timeout):
            try:
                cursor = await session.run(query, params)
            except psycopg.Error as error:
                if error.sqlstate is None or self.is_connection_error(endpoint, error):
                    raise
                raise CommandError(
                    {
                        "errmsg": error.diag.message_primary or str(error),
                        "code": error.sqlstate,
                        "severity": error.diag.severity_nonlocalized or "ERROR",
                    }
                ) from error
        while cursor.nextset():
            pass
        has_rows = cursor.description is not None
        return {
            "rows": await cursor.fetchall() if has_rows else [],
            "columns": [column.name for column in cursor.description or ()],
            "status": cursor.statusmessage,
            "rowcount": cursor.rowcount,
        }

    def check_command(self, command: Mapping[str, Any], database_name: str) -> None:
        """Refuse what is no command.

        Raises:
            ValueError: what is wrong with it.
        """
        _parsed(command)

    def is_state_change(self, endpoint: tuple[str, int], error: BaseException) -> bool:
        """Return whether a server refused to write (25006): it follows another one by now, perhaps."""
        code = getattr(error, "sqlstate", None)
        if isinstance(error, CommandError) and isinstance(error.document, Mapping):
            code = error.document.get("code")
        return code in _STATE_CHANGES


def _session(conn: AsyncConnection[Any]) -> Session:
    if not isinstance(conn, Session):
        raise TypeError(f"{conn!r} was not made by a PsycopgManager")
    return conn


def _checked(conninfo: str, kwargs: dict[str, Any]) -> tuple[str, float | None]:
    """Return what every connect begins with, and its own limit in seconds."""
    try:
        merged = make_conninfo(conninfo, **kwargs)
        parameters = conninfo_to_dict(merged)
        seconds = int(parameters.pop("connect_timeout", None) or 0)
    except (psycopg.ProgrammingError, ValueError) as error:
        raise ValueError(f"no valid connection parameters: {str(error).strip()}") from error
    if named := sorted({"host", "hostaddr", "port"} & set(parameters)):
        raise ValueError(
            f"{', '.join(named)} must not be given: the endpoint says where the server is"
        )
    return make_conninfo("", **parameters), seconds if seconds > 0 else None


def _parsed(command: Mapping[str, Any]) -> tuple[Any, Any]:
    """Return the statement and the parameters of a command."""
    name = next(iter(command), None)
    if name not in ("query", "secret_query"):
        raise ValueError(f"a command must begin with 'query' or 'secret_query', not {name!r}")
    if unknown := [key for key in command if key not in (name, "params")]:
        raise ValueError(f"a {name} has no {', '.join(map(repr, unknown))}")
    params = command.get("params")
    is_sequence = isinstance(params, Sequence) and not isinstance(params, (str, bytes))
    if params is not None and not is_sequence and not isinstance(params, Mapping):
        raise ValueError(f"params must be a sequence or a mapping, not {type(params).__name__}")
    return command[name], params
