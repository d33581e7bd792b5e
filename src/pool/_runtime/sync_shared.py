"""The core of a pool of shared connections behind a lock, for threads."""

from collections.abc import Iterable
from typing import Any

from pool._core.records import Effects, Entry, Filler, Wakeable
from pool._core.shared import Members, SharedCore
from pool._runtime.sync_guard import Guard

__all__ = ["SharedGuard", "shared_guard"]


class SharedGuard(Guard):
    """The core behind the pool's one lock, with what only this one has."""

    __slots__ = ()

    core: SharedCore

    def admit(
        self,
        endpoint: Any,
        count: int,
        now: float,
        waiter: Wakeable,
        extra: bool,
        effects: Effects,
    ) -> list[Filler] | None:
        with self._lock:
            return self.core.admit(endpoint, count, now, waiter, extra, effects)

    def adopt(self, endpoint: Any, connection: Any, effects: Effects, now: float) -> Filler | None:
        with self._lock:
            return self.core.adopt(endpoint, connection, effects, now)

    def missing(self, endpoint: Any, broken_only: bool) -> int:
        with self._lock:
            return self.core.missing(endpoint, broken_only)

    def enlarge(self, endpoint: Any, count: int, now: float) -> Effects:
        with self._lock:
            return self.core.enlarge(endpoint, count, now)

    def reduce(
        self, endpoint: Any, count: int, include_pending: bool, now: float
    ) -> tuple[int, Effects]:
        with self._lock:
            return self.core.reduce(endpoint, count, include_pending, now)

    def retract(self, entries: Iterable[Entry]) -> Effects:
        with self._lock:
            return self.core.retract(entries)

    def forget_broken(self, endpoint: Any) -> int:
        with self._lock:
            return self.core.forget_broken(endpoint)

    def members(self, endpoint: Any) -> Members:
        with self._lock:
            return self.core.members(endpoint)

    def least(self, endpoint: Any) -> Any:
        with self._lock:
            return self.core.least(endpoint)


#: Puts the core behind a lock.
shared_guard = SharedGuard
