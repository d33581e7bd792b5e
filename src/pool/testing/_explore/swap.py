"""A clock, a lock and threads of one's own for the pools of an exploration, and for them alone.

The library's modules get stand-ins for these few names while an exploration goes on. A stand-in asks who is
calling: in a thread that plays in an exploration it is the exploration's, everywhere else the real thing.
"""

import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Protocol

from pool._runtime import chance
from pool._runtime import clock as clocks

__all__ = ["Scheduler", "playing", "swapped"]


class Scheduler(Protocol):
    """What the stand-ins need of whoever schedules threads."""

    def lock(self) -> Any: ...

    def thread(self, target: Callable[[], object], name: str) -> Any: ...

    def sleep(self, seconds: float) -> None: ...


class _Part(Protocol):
    """What is known of a thread that plays: its run, and its scheduler unless it is a loop's."""

    @property
    def now(self) -> float: ...

    @property
    def scheduler(self) -> Scheduler | None: ...


_parts: dict[int, _Part] = {}


@contextmanager
def playing(part: _Part) -> Generator[None, None, None]:
    """Let the current thread play in an exploration."""
    me = threading.get_ident()
    outer = _parts.get(me)
    _parts[me] = part
    try:
        yield
    finally:
        if outer is None:
            del _parts[me]
        else:
            _parts[me] = outer


def _scheduler() -> Scheduler | None:
    part = _parts.get(threading.get_ident())
    return None if part is None else part.scheduler


def _now() -> float:
    part = _parts.get(threading.get_ident())
    return clocks.clock() if part is None else part.now


def _elapsed() -> float:
    part = _parts.get(threading.get_ident())
    return clocks.elapsed() if part is None else part.now


def _lots() -> Callable[[], float]:
    # A run must be the same each time: nothing is left to chance.
    return float if threading.get_ident() in _parts else chance.lots()


def _sleep(seconds: float) -> None:
    scheduler = _scheduler()
    if scheduler is None:
        time.sleep(seconds)
    else:
        scheduler.sleep(seconds)


class _Threading:
    """The module ``threading``, with locks and threads that a scheduler owns."""

    def __getattr__(self, name: str) -> Any:
        return getattr(threading, name)

    def Lock(self) -> Any:  # noqa: N802
        scheduler = _scheduler()
        return threading.Lock() if scheduler is None else scheduler.lock()

    def Thread(self, *, target: Callable[[], object], name: str, daemon: bool) -> Any:  # noqa: N802
        scheduler = _scheduler()
        if scheduler is None:
            return threading.Thread(target=target, name=name, daemon=daemon)
        return scheduler.thread(target, name)


_STAND_INS: list[tuple[object, object]] = [
    (clocks.clock, _now),
    (clocks.elapsed, _elapsed),
    (time.sleep, _sleep),
    (chance.lots, _lots),
    (threading, _Threading()),
]
if clocks.clock is clocks.elapsed:
    del _STAND_INS[1]

_STAGED = ("pool._async.", "pool._sync.", "pool._runtime.aio", "pool._runtime.sync")

_busy = threading.Lock()
_explorations = 0
_replaced: list[tuple[ModuleType, str, object]] = []


@contextmanager
def swapped() -> Generator[None, None, None]:
    """Put the stand-ins in place for the duration of a block. Blocks may nest, and overlap."""
    global _explorations
    with _busy:
        _explorations += 1
        if _explorations == 1:
            _replace()
    try:
        yield
    finally:
        with _busy:
            _explorations -= 1
            if not _explorations:
                while _replaced:
                    module, name, original = _replaced.pop()
                    setattr(module, name, original)


def _replace() -> None:
    modules = [module for name, module in sys.modules.items() if name.startswith(_STAGED)]
    for module in modules:
        for name, value in list(vars(module).items()):
            for original, stand_in in _STAND_INS:
                if value is original:
                    _replaced.append((module, name, original))
                    setattr(module, name, stand_in)
