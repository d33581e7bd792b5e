"""What comes due, by time.

An agenda is lazy: a date that was changed, or whose item is gone, stays in it until its time comes or until
such dates are the majority. So a date costs O(log n) once, and to change or forget it nothing.
"""

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from math import inf
from typing import Protocol

__all__ = ["Agenda", "Dated"]


class Dated(Protocol):
    """What can stand in an agenda."""

    look: float
    """When it comes due, ``inf`` for never. Kept by the agenda."""

    @property
    def ref(self) -> "Callable[[], Dated | None]":
        """A weak reference to it."""


_Date = tuple[float, int, Callable[[], Dated | None]]


class Agenda:
    """Dates of entries and homes, none of which it keeps alive."""

    __slots__ = ("_dates", "_most", "_number")

    def __init__(self) -> None:
        self._dates: list[_Date] = []
        self._number = 0
        self._most = 64

    def add(self, item: Dated, when: float) -> None:
        """Have an item come due at a time, unless it does so earlier."""
        if when < item.look:
            item.look = when
            self._number += 1
            heappush(self._dates, (when, self._number, item.ref))
            if len(self._dates) > self._most:
                self._dates = [date for date in self._dates if _valid(date)]
                heapify(self._dates)
                self._most = max(2 * len(self._dates), 64)

    def pop(self, now: float) -> Dated | None:
        """Take what is due first, if anything is due now."""
        while self._dates and self._dates[0][0] <= now:
            date = heappop(self._dates)
            item = date[2]()
            if item is not None and item.look == date[0]:
                item.look = inf
                return item
        return None

    def next(self) -> float:
        """When the next item comes due, or may; ``inf`` if none does."""
        return self._dates[0][0] if self._dates else inf

    def clear(self) -> None:
        """Forget all dates."""
        self._dates.clear()


def _valid(date: _Date) -> bool:
    item = date[2]()
    return item is not None and item.look == date[0]
