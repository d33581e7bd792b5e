"""Connects in progress, for both worlds: what ``interrupt(endpoint, None)`` breaks.

An ``Attempt`` owns its socket until the ``with`` block around it ends well; on every other way out, a cancel
included, it closes it. Between any two steps its ``check`` says whether somebody broke it. The
order makes a lost interruption impossible: the connecting side first publishes what it will wait on and then
checks; the interrupting side first sets ``broken`` and then wakes and shuts down what it finds.

No lock: a thread that forks while another holds one would leave it locked in the child. Adding to, removing
from and copying a set are atomic.
"""

import errno
import os
import socket
from collections.abc import Callable, Hashable
from types import TracebackType
from typing import Self

from pool._runtime.sockets import Address, Channel

__all__ = ["Attempt", "Attempts"]


def _nothing() -> None:
    """Nobody waits."""


class Attempt:
    """One connect in progress.

    Parameters:
        running: where it is listed while it lasts.
        endpoint: where to, as the manager calls it.
        name: where to, for error messages.
        timeout: the limit, for error messages, in seconds.
    """

    def __init__(
        self, running: "set[Attempt]", endpoint: Hashable, name: str, timeout: float | None
    ) -> None:
        self._running = running
        self._process = os.getpid()
        self.endpoint = endpoint
        self.name = name
        self.timeout = timeout
        self.broken = False
        self.channel: Channel | None = None
        self.wake: Callable[[], None] = _nothing

    def __enter__(self) -> Self:
        self._running.add(self)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running.discard(self)
        if exc is None and not self.broken:
            return
        self.give_up()
        if exc is None or isinstance(exc, OSError):
            self.check(exc)

    def open(self, address: Address) -> Channel:
        """Return a new socket to connect to this address. The one before is closed."""
        self.give_up()
        self.channel = Channel(socket.socket(address.family, socket.SOCK_STREAM))
        return self.channel

    def give_up(self) -> None:
        """Close the socket, if there is one."""
        if self.channel is not None:
            self.channel.close()
            self.channel = None

    def check(self, cause: BaseException | None = None) -> None:
        """Raise ``ConnectionAbortedError`` if somebody broke it."""
        if self.broken and not isinstance(cause, ConnectionAbortedError):
            text = f"connecting to {self.name} was interrupted"
            raise ConnectionAbortedError(errno.ECONNABORTED, text) from cause

    def late(self, step: str) -> TimeoutError:
        """Return the error for running out of time."""
        return TimeoutError(f"connecting to {self.name} timed out ({self.timeout:g} s): {step}")

    def interrupt(self) -> None:
        """Break it, from any thread: whatever it waits for fails now."""
        if os.getpid() != self._process:
            return
        self.broken = True
        self.wake()
        channel = self.channel
        if channel is not None:
            channel.interrupt()


class Attempts:
    """Every connect in progress of one manager."""

    def __init__(self) -> None:
        self._running: set[Attempt] = set()

    def begin(self, endpoint: Hashable, name: str, timeout: float | None) -> Attempt:
        """Return an attempt; it is listed inside its ``with`` block."""
        return Attempt(self._running, endpoint, name, timeout)

    def interrupt(self, endpoint: Hashable) -> None:
        """Break every attempt at this endpoint."""
        for attempt in list(self._running):
            if attempt.endpoint == endpoint:
                attempt.interrupt()
