"""What a client asks of a server, and what it is told.

``connection_id`` is here the *address* of the server. Documents are not copies: a listener that
wants to change one copies it first. No event redacts anything: the documents of commands that a
manager calls sensitive are replaced by ``{}`` before an event is made of them.
"""

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from pool.monitoring._event import Event

if TYPE_CHECKING:
    from datetime import timedelta


#: What is published in place of a document that nobody may read.
REDACTED: Mapping[str, Any] = {}


class Redacted(dict[str, Any]):
    """In place of a command that nobody may read: an empty document that knows the command's name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class _CommandEvent(Event):
    """About one command.

    Parameters:
        command_name: the command's name.
        request_id: the number of this request.
        connection_id: the address of the server.
        operation_id: the number common to the requests of one operation.
        service_id: the service behind a load balancer, ``None`` without one.
        database_name: the database it runs against, ``""`` if none.
        server_connection_id: the server's own number for the connection, ``None`` if not known.
    """

    __slots__ = (
        "_command_name",
        "_connection_id",
        "_database_name",
        "_operation_id",
        "_request_id",
        "_server_connection_id",
        "_service_id",
    )
    # Documents may be long and are nobody's business in a log.
    _unshown = frozenset({"command", "reply"})

    def __init__(
        self,
        command_name: str,
        request_id: int,
        connection_id: Hashable,
        operation_id: int | None,
        service_id: Hashable | None = None,
        database_name: str = "",
        server_connection_id: int | None = None,
    ) -> None:
        self._command_name = command_name
        self._request_id = request_id
        self._connection_id: Any = connection_id
        self._operation_id = operation_id
        self._service_id = service_id
        self._database_name = database_name
        self._server_connection_id = server_connection_id

    @property
    def command_name(self) -> str:
        """The command's name."""
        return self._command_name

    @property
    def request_id(self) -> int:
        """The number of this request: the same when it starts and when it ends."""
        return self._request_id

    @property
    def connection_id(self) -> Any:
        """The address of the server."""
        return self._connection_id

    @property
    def operation_id(self) -> int | None:
        """The number common to the requests of one operation, or ``None``."""
        return self._operation_id

    @property
    def service_id(self) -> Hashable | None:
        """The service behind a load balancer, ``None`` without one."""
        return self._service_id

    @property
    def database_name(self) -> str:
        """The database the command runs against, ``""`` if none."""
        return self._database_name

    @property
    def server_connection_id(self) -> int | None:
        """The server's own number for the connection, ``None`` if not known."""
        return self._server_connection_id


class CommandStartedEvent(_CommandEvent):
    """A command is about to be sent.

    Parameters:
        command: the command; its first key is the command's name.
        database_name: the database it runs against, ``""`` if none.
        request_id: the number of this request.
        connection_id: the address of the server.
        operation_id: the number common to the requests of one operation.
        service_id: the service behind a load balancer, ``None`` without one.
        server_connection_id: the server's own number for the connection, ``None`` if not known.

    Raises:
        ValueError: the command is empty, so it has no name.
    """

    __slots__ = ("_command",)

    def __init__(
        self,
        command: Mapping[str, Any],
        database_name: str,
        request_id: int,
        connection_id: Hashable,
        operation_id: int | None,
        service_id: Hashable | None = None,
        server_connection_id: int | None = None,
    ) -> None:
        if isinstance(command, Redacted):
            name = command.name
            command = {}
        elif command:
            name = next(iter(command))
        else:
            raise ValueError(f"a command needs a name as its first key, got {command!r}")
        super().__init__(
            name,
            request_id,
            connection_id,
            operation_id,
            service_id,
            database_name,
            server_connection_id,
        )
        self._command = command

    @property
    def command(self) -> Mapping[str, Any]:
        """The command."""
        return self._command


class _CommandEndedEvent(_CommandEvent):
    """About a command that was answered, or never will be.

    Parameters: those of every command event, after
        duration: how long it took.
    """

    __slots__ = ("_duration_micros",)

    def __init__(
        self,
        duration: "timedelta",
        command_name: str,
        request_id: int,
        connection_id: Hashable,
        operation_id: int | None,
        service_id: Hashable | None,
        database_name: str,
        server_connection_id: int | None,
    ) -> None:
        super().__init__(
            command_name,
            request_id,
            connection_id,
            operation_id,
            service_id,
            database_name,
            server_connection_id,
        )
        self._duration_micros = duration // duration.resolution

    @property
    def duration_micros(self) -> int:
        """How long the command took, in microseconds."""
        return self._duration_micros


class CommandSucceededEvent(_CommandEndedEvent):
    """A command was answered with success.

    Parameters:
        duration: how long it took.
        reply: the server's answer.
        command_name: the command's name.
        request_id: the number of this request.
        connection_id: the address of the server.
        operation_id: the number common to the requests of one operation.
        service_id: the service behind a load balancer, ``None`` without one.
        database_name: the database it ran against, ``""`` if none.
        server_connection_id: the server's own number for the connection, ``None`` if not known.
    """

    __slots__ = ("_reply",)

    def __init__(
        self,
        duration: "timedelta",
        reply: Mapping[str, Any],
        command_name: str,
        request_id: int,
        connection_id: Hashable,
        operation_id: int | None,
        service_id: Hashable | None = None,
        database_name: str = "",
        server_connection_id: int | None = None,
    ) -> None:
        super().__init__(
            duration,
            command_name,
            request_id,
            connection_id,
            operation_id,
            service_id,
            database_name,
            server_connection_id,
        )
        self._reply = reply

    @property
    def reply(self) -> Mapping[str, Any]:
        """The server's answer."""
        return self._reply


class CommandFailedEvent(_CommandEndedEvent):
    """A command failed: the server said so, or the connection broke.

    Parameters:
        duration: how long it took.
        failure: the server's answer, or a document that describes the error.
        command_name: the command's name.
        request_id: the number of this request.
        connection_id: the address of the server.
        operation_id: the number common to the requests of one operation.
        service_id: the service behind a load balancer, ``None`` without one.
        database_name: the database it ran against, ``""`` if none.
        server_connection_id: the server's own number for the connection, ``None`` if not known.
    """

    __slots__ = ("_failure",)

    def __init__(
        self,
        duration: "timedelta",
        failure: Mapping[str, Any],
        command_name: str,
        request_id: int,
        connection_id: Hashable,
        operation_id: int | None,
        service_id: Hashable | None = None,
        database_name: str = "",
        server_connection_id: int | None = None,
    ) -> None:
        super().__init__(
            duration,
            command_name,
            request_id,
            connection_id,
            operation_id,
            service_id,
            database_name,
            server_connection_id,
        )
        self._failure = failure

    @property
    def failure(self) -> Mapping[str, Any]:
        """The server's answer, or a document that describes the error."""
        return self._failure
