"""What happened during a soak, and what must not have: written by everybody, from any thread."""

import threading
import traceback
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["Books", "Limits", "Tally"]


class Books:
    """The counts of all worlds together, and the violations."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        """What was done to make it hard."""
        self.violations: list[str] = []
        self.broken = threading.Event()
        """Set by the first violation: there is no need to go on."""
        self._owned: set[int] = set()
        self._numbers = iter(range(1, 2**31))

    def count(self, what: str, number: int = 1) -> None:
        with self._lock:
            self.counts[what] += number

    def most(self, what: str, number: int) -> None:
        """Keep the highest."""
        with self._lock:
            self.counts[what] = max(self.counts[what], number)

    def deed(self, what: str) -> None:
        with self._lock:
            self.done[what] += 1

    def error(self, error: BaseException) -> None:
        """An error that may come on such a day."""
        with self._lock:
            self.errors[type(error).__name__] += 1

    def violation(self, what: str, error: BaseException | None = None) -> None:
        """Something that must never be."""
        text = "".join(traceback.format_exception(error)) if error is not None else ""
        with self._lock:
            self.violations.append(f"{what}\n{text}".strip())
        self.broken.set()

    def number(self) -> int:
        """Return a number that nobody else gets."""
        with self._lock:
            return next(self._numbers)

    @contextmanager
    def owning(self, connection: object) -> Iterator[None]:
        """Whoever has a connection is the only one."""
        with self._lock:
            shared = id(connection) in self._owned
            self._owned.add(id(connection))
        if shared:
            self.violation(f"a connection has two owners: {connection!r}")
        try:
            yield
        finally:
            with self._lock:
                self._owned.discard(id(connection))


@dataclass(frozen=True)
class Limits:
    """The limits of a pool: what it may ever be resized to."""

    max_size: int
    total_max_size: int
    max_connecting: int


class Tally:
    """What one pool's server could see at most: counts from the begin of a create to the end of a dispose.

    Parameters:
        books: for violations.
        name: of the pool.
        limits: that must never be passed.
    """

    def __init__(self, books: Books, name: str, limits: Limits) -> None:
        self._books = books
        self._name = name
        self._limits = limits
        self._lock = threading.Lock()
        self._now: Counter[Hashable] = Counter()
        self._connecting: Counter[Hashable] = Counter()
        self.most = 0
        self.most_in_all = 0

    @property
    def total(self) -> int:
        """How many there are now."""
        with self._lock:
            return self._now.total()

    def begin(self, endpoint: Hashable) -> None:
        """A create begins."""
        with self._lock:
            self._now[endpoint] += 1
            self._connecting[endpoint] += 1
            self.most = max(self.most, self._now[endpoint])
            self.most_in_all = max(self.most_in_all, self._now.total())
            found = (self._now[endpoint], self._now.total(), self._connecting[endpoint])
        limits = self._limits
        allowed = (limits.max_size, limits.total_max_size, limits.max_connecting)
        if any(count > limit for count, limit in zip(found, allowed, strict=True)):
            self._books.violation(
                f"{self._name}: {found[0]} connections to {endpoint!r}, {found[1]} in all, "
                f"{found[2]} connecting; allowed are {allowed}"
            )

    def connected(self, endpoint: Hashable) -> None:
        """A create has ended, well or not."""
        with self._lock:
            self._connecting[endpoint] -= 1

    def end(self, endpoint: Hashable) -> None:
        """A connection is no more."""
        with self._lock:
            self._now[endpoint] -= 1
