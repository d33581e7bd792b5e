"""What becomes of pools in a child process.

Nothing is asked on the way of a checkout (``getpid`` is a system call): the interpreter itself tells us.
"""

import os
from contextlib import suppress
from typing import Any, Protocol
from weakref import WeakSet

__all__ = ["keep", "silence", "watch"]


class Forked(Protocol):
    """Something that must know when it finds itself in a child process."""

    def forked(self) -> None: ...


_watched: WeakSet[Any] = WeakSet()

# In a child: what belongs to the parent. Never dropped, since a destructor may say goodbye to the server.
_kept: list[object] = []


def watch(thing: Forked) -> None:
    """Call ``forked`` of a thing in every child process; it is not kept alive."""
    _watched.add(thing)


def keep(thing: object) -> None:
    """Never drop a thing."""
    _kept.append(thing)


def silence(connection: object) -> None:
    """Let nothing that this process does to a connection reach the other side.

    Its file descriptor, if it has a ``fileno()``, leads to nowhere afterwards. It is replaced and not closed:
    whoever closes it later must not hit another one that got its number.
    """
    fileno = getattr(connection, "fileno", None)
    if not callable(fileno):
        return
    # What is closed already has none, and says so in its own way.
    with suppress(Exception):
        number = fileno()
        if isinstance(number, int) and number >= 0:
            nowhere = os.open(os.devnull, os.O_RDWR)
            try:
                os.dup2(nowhere, number, inheritable=False)
            finally:
                os.close(nowhere)


def _in_child() -> None:
    for thing in list(_watched):
        thing.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
