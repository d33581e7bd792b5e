"""The synchronous half of the twin for shared connections."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from pool._runtime.pipeline import Pipeline, Slot
from pool._runtime.sockets import Want
from pool._runtime.sync import Waiter

__all__ = ["Core", "core"]


class Core:
    """The core behind one lock, which protects all of its state.

    Nothing may block, wait, do I/O or call user code while it is held.
    """

    __slots__ = ("_core", "_lock")

    def __init__(self, core: Pipeline[Waiter]) -> None:
        self._core = core
        self._lock = threading.Lock()

    def begin(self, slot: Slot[Waiter]) -> tuple[Want | Waiter | None, Sequence[Waiter]]:
        with self._lock:
            return self._core.begin(slot)

    def turn(self, slot: Slot[Waiter]) -> tuple[Want | Waiter | None, Sequence[Waiter]]:
        with self._lock:
            return self._core.turn(slot)

    def leave(self, slot: Slot[Waiter]) -> Sequence[Waiter]:
        with self._lock:
            return self._core.leave(slot)

    def outgoing(self) -> memoryview | None:
        with self._lock:
            return self._core.outgoing()

    def sent(self, count: int) -> memoryview | None:
        with self._lock:
            return self._core.sent(count)

    def held_up(self, slot: Slot[Waiter]) -> tuple[bool, Sequence[Waiter]]:
        with self._lock:
            return self._core.held_up(slot)

    def complete(self, replies: Iterable[Any], now: float) -> Sequence[Waiter]:
        with self._lock:
            return self._core.complete(replies, now)

    def borrow(self, slot: Slot[Waiter]) -> bool:
        with self._lock:
            return self._core.borrow(slot)

    def fail(self, cause: BaseException) -> Sequence[Waiter]:
        with self._lock:
            return self._core.fail(cause)

    # One look each.

    @property
    def lost(self) -> BaseException | None:
        return self._core.lost

    @property
    def pending(self) -> int:
        return self._core.pending

    @property
    def is_awaited(self) -> bool:
        return self._core.is_awaited

    def silence(self, now: float) -> float:
        return self._core.silence(now)


def core() -> Core:
    """Return the core of a new connection."""
    return Core(Pipeline(Waiter))
