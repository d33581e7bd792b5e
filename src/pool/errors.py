"""Every exception of the library, in one place.

``PoolError`` is the root. An error that means *a connection could not be had in time or at all* is a
``PoolExhaustedError``; one that means *the pool was taken away* is ``PoolClosedError`` or, when it is
worth trying again, ``PoolClearedError``. What a manager's ``create`` or a hook raises is never wrapped:
it reaches the caller as it is. This module imports nothing.
"""

__all__ = [
    "CommandError",
    "LeaseReleasedError",
    "PoolClearedError",
    "PoolClosedError",
    "PoolError",
    "PoolExhaustedError",
    "PoolOverloadedError",
    "PoolTimeoutError",
    "ServerSelectionTimeoutError",
]


class PoolError(Exception):
    """The root of all errors that the library itself raises."""


class PoolClosedError(PoolError):
    """The pool was closed, or this endpoint was removed from it."""


class PoolClearedError(PoolError):
    """The endpoint is paused: its connections were cleared and it has not been made ready since.

    Nothing was sent, so the operation may be tried again once the endpoint is ready.
    """


class LeaseReleasedError(PoolError):
    """The lease has no connection: it has ended, or it was never acquired."""


class PoolExhaustedError(PoolError):
    """No connection could be had."""


class PoolTimeoutError(PoolExhaustedError, TimeoutError):
    """The time allowed for an acquire was up.

    The text names the phase, the counts, the oldest holders and the last connect error, which is also
    chained as ``__cause__``.
    """


class PoolOverloadedError(PoolExhaustedError):
    """``max_waiting`` callers were in the queue already."""


class ServerSelectionTimeoutError(PoolError, TimeoutError):
    """No server of the topology suited the operation in time."""


class CommandError(PoolError):
    """The server answered a command with a failure.

    Parameters:
        document: the server's reply; also the attribute ``document``.
    """

    def __init__(self, document: object) -> None:
        super().__init__(document)
        self.document = document
