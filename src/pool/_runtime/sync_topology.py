"""The core of a topology behind a lock, for threads."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from pool._core.outbox import Act
from pool._core.pulse import Watched
from pool._core.records import Wakeable
from pool._core.topology import TopologyCore
from pool.descriptions import Hello, ServerDescription, TopologyDescription

__all__ = ["TopologyGuard", "topology_guard"]


class TopologyGuard:
    """The core behind one lock, which protects all of its state but ``shown``: that is read as it is.

    Nothing may block, wait, do I/O or call user code while it is held.
    """

    __slots__ = ("_lock", "core")

    def __init__(self, core: TopologyCore) -> None:
        self.core = core
        """For those who hold the lock."""
        self._lock = threading.Lock()

    def begin_speech(self, teller: Any) -> bool:
        with self._lock:
            return self.core.begin_speech(teller)

    def next_act(self) -> tuple[Act | None, list[Wakeable]]:
        with self._lock:
            return self.core.next_act()

    def is_silent(self, teller: Any, waiter: Wakeable) -> bool:
        with self._lock:
            return self.core.is_silent(teller, waiter)

    def manned(self, post: Any) -> None:
        with self._lock:
            self.core.manned(post)

    def left(self, post: Any) -> list[Wakeable]:
        with self._lock:
            return self.core.left(post)

    def is_deserted(self, waiter: Wakeable) -> bool:
        with self._lock:
            return self.core.is_deserted(waiter)

    def open(self, addresses: Iterable[Any]) -> bool:
        with self._lock:
            return self.core.open(addresses)

    def close(self, now: float) -> bool:
        with self._lock:
            return self.core.close(now)

    def reseeded(self, addresses: Iterable[Any], now: float) -> None:
        with self._lock:
            self.core.reseeded(addresses, now)

    def show(self, topology: TopologyDescription) -> list[Wakeable]:
        with self._lock:
            return self.core.show(topology)

    def begin_check(self, server: Watched, can_wait: bool, now: float) -> float | None:
        with self._lock:
            return self.core.begin_check(server, can_wait, now)

    def pause(self, server: Watched, now: float) -> float | None:
        with self._lock:
            return self.core.pause(server, now)

    def succeeded(self, server: Watched, hello: Hello, sample: float | None, now: float) -> None:
        with self._lock:
            self.core.succeeded(server, hello, sample, now)

    def failed(self, server: Watched, error: Exception, interrupt: bool, now: float) -> None:
        with self._lock:
            self.core.failed(server, error, interrupt, now)

    def broken_off(self, server: Watched, error: Exception, now: float) -> None:
        with self._lock:
            self.core.broken_off(server, error, now)

    def measured(self, server: Watched, sample: float) -> None:
        with self._lock:
            self.core.measured(server, sample)

    def request(self, address: Any, everywhere: bool) -> list[Watched]:
        with self._lock:
            return self.core.request(address, everywhere)

    def want(self) -> list[Watched]:
        with self._lock:
            return self.core.want()

    def content(self) -> None:
        with self._lock:
            self.core.content()

    def linger(self, waiter: Wakeable, seen: TopologyDescription) -> bool:
        with self._lock:
            return self.core.linger(waiter, seen)

    def desert(self, waiter: Wakeable) -> None:
        with self._lock:
            self.core.desert(waiter)

    def choose(self, servers: Sequence[ServerDescription]) -> tuple[Watched, int] | None:
        with self._lock:
            return self.core.choose(servers)

    def load(self, address: Any) -> int:
        with self._lock:
            return self.core.load(address)

    def finished(self, server: Watched) -> None:
        with self._lock:
            self.core.finished(server)

    def lost(
        self, server: Watched, generation: int, error: Exception, service: Any, now: float
    ) -> bool:
        with self._lock:
            return self.core.lost(server, generation, error, service, now)

    def demoted(self, server: Watched, generation: int, error: Exception, now: float) -> bool:
        with self._lock:
            return self.core.demoted(server, generation, error, now)


topology_guard = TopologyGuard
