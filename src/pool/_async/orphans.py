"""Leases that were garbage-collected without a release."""

import sys
from typing import Any
from warnings import warn_explicit

from pool._core.records import Entry
from pool._core.report import place_of
from pool._runtime.aio import Worker

__all__ = ["Finder", "lost_text", "warn_of"]


class Finder:
    """Is told by a finalizer of an entry whose owner has vanished. Takes no lock.

    Parameters:
        worker: will take it back.
    """

    __slots__ = ("_worker",)

    def __init__(self, worker: Worker[Any]) -> None:
        self._worker = worker

    def __call__(self, entry: Entry) -> None:
        self._worker.alert()
        if entry.warned and not sys.is_finalizing():
            warn_of(entry)


def warn_of(entry: Entry) -> None:
    """Warn of a lost lease, as if the place where it was acquired did."""
    file, line, _ = _place(entry)
    warn_explicit(lost_text(entry), ResourceWarning, file, line)


def lost_text(entry: Entry) -> str:
    """Say which lease was lost, and where it was acquired."""
    file, line, function = _place(entry)
    return (
        f"the lease of connection #{entry.id} to {entry.home.endpoint!r}, acquired at {file}:{line} "
        f"in {function}, was garbage-collected without a release"
    )


def _place(entry: Entry) -> tuple[str, int, str]:
    return ("?", 0, "?") if entry.code is None else place_of(entry.code, entry.instruction)
