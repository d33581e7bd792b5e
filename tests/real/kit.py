"""What the tests know of each protocol, the same in both worlds, and how they count connects."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.real import RealServer

TIMEOUT = 2.0
"""Seconds that a caller gives each attempt: to get a connection, and an answer over it."""

SLACK = 1.5
"""Seconds that it may take longer than that on a machine where many do so."""

PROMPT = 1.0
"""Seconds that it may take longer than that for one who is alone."""

PROTOCOLS = ["redis", "postgres"]


class Tally:
    """Counts connects: how many there were, and how many at once. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now = 0
        self.total = 0
        self.most = 0

    def restart(self) -> None:
        """Count from here on."""
        with self._lock:
            self.total = 0
            self.most = self._now

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """Count what the block does as one connect."""
        with self._lock:
            self.total += 1
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            yield
        finally:
            with self._lock:
                self._now -= 1


@dataclass(frozen=True)
class Kit:
    """One protocol in one world; the functions are coroutines in the async one.

    Parameters:
        server: what speaks it.
        endpoint: gives the endpoint of a server.
        manager: makes the manager of the example, with a tally.
        echo: gets a connection, a number and a timeout; returns the number when the server has said it.
        offend: asks for something that the server refuses with an ``offence``.
        hang: gets a connection and a timeout; asks for something that takes for ever.
        failures: what may be raised if the server is gone, by any of these and by the manager.
    """

    server: type[RealServer]
    endpoint: Callable[[Any], Any]
    manager: Callable[[Tally], Any]
    echo: Callable[[Any, int, float], Any]
    offend: Callable[[Any], Any]
    hang: Callable[[Any, float], Any]
    offence: type[Exception]
    failures: tuple[type[Exception], ...]
