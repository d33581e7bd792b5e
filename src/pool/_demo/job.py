"""The work to be done in one world: hands out requests, verifies replies, counts errors."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from pool.errors import PoolError
from pool.monitoring import EventListener

CONNECTION_ERRORS = (OSError, EOFError, PoolError)
"""What a client sees of a server that is gone: no connection, or one that ends too early."""

Endpoint = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the demo does in each world. Times are seconds.

    Parameters:
        requests: to be made.
        workers: threads, or tasks, that make them.
        max_size: the pool's option.
        downtime: how long the server is away.
        pause: what a worker waits after an error before it tries again.
        give_up: after so long the rest is abandoned, and the demo fails.
    """

    requests: int = 15_000
    workers: int = 24
    max_size: int = 8
    downtime: float = 0.3
    pause: float = 0.02
    give_up: float = 60.0


def question(number: int) -> bytes:
    """Return the line that asks for a number."""
    return b"PING %d\n" % number


def right_answer(number: int) -> bytes:
    """Return the only right reply to ``question(number)``."""
    return b"PONG %d\n" % number


class Job:
    """One world's share of the demo; any number of threads or tasks may work on it.

    Parameters:
        plan: how much of everything.
        endpoint: where the server is.
        listener: for the pool.
        progress: called now and then with the number of replies so far, one call at a time.

    Attributes:
        answered: replies that came, right or wrong.
        wrong: what was asked and what came, for the replies that were wrong.
        errors: the connection errors that workers saw, by the name of their class.
        over: nobody is to begin or repeat anything.
    """

    def __init__(
        self,
        plan: Plan,
        endpoint: Endpoint,
        listener: EventListener,
        progress: Callable[[int], object] = lambda answered: None,
    ) -> None:
        self.plan = plan
        self.endpoint = endpoint
        self.listener = listener
        self.answered = 0
        self.wrong: list[tuple[bytes, bytes]] = []
        self.errors: Counter[str] = Counter()
        self.over = False
        self._progress = progress
        self._step = max(1, plan.requests // 100)
        self._given = 0
        self._server_seems_up = True
        self._lock = threading.Lock()

    @property
    def right(self) -> int:
        """Replies that were right."""
        return self.answered - len(self.wrong)

    def next(self) -> int | None:
        """Return the number of the next request, ``None`` if there is no more."""
        with self._lock:
            if self.over or self._given == self.plan.requests:
                return None
            self._given += 1
            return self._given

    def reply(self, number: int, line: bytes) -> None:
        """Take the reply to a request, and verify that it belongs to this one and to no other."""
        with self._lock:
            self.answered += 1
            answered = self.answered
            self._server_seems_up = True
            if line != right_answer(number):
                self.wrong.append((question(number), line))
            if answered % self._step == 0 or answered == self.plan.requests:
                self._progress(answered)

    def error(self, error: Exception) -> bool:
        """Count an error; return whether it is news: the first one after a reply."""
        with self._lock:
            self.errors[type(error).__name__] += 1
            news = self._server_seems_up and not self.over
            self._server_seems_up = False
            return news

    def end(self) -> None:
        """Let everybody who is still at work give up."""
        self.over = True
