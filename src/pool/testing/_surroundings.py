"""What managers are put into to see what they do: servers that are none, and our file descriptors."""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

__all__ = ["NEWS", "descriptors", "nobody", "silence"]

#: Seconds that news from the kernel may take to whoever watches a socket, such as an event loop.
NEWS: Final = 0.02

_LISTS = (Path("/proc/self/fd"), Path("/dev/fd"))


def descriptors() -> set[tuple[int, str]] | None:
    """Return our open file descriptors with what they are; ``None`` if the system does not tell."""
    for folder in _LISTS:
        try:
            numbers = [int(name) for name in os.listdir(folder)]  # noqa: PTH208  # the numbers will do
        except OSError:
            continue
        found = set()
        for number in numbers:
            try:
                # A number that is used again is not the same thing, where one can tell.
                found.add((number, os.readlink(folder / str(number))))  # noqa: PTH115  # it is no path
            except OSError:
                try:
                    os.fstat(number)
                except OSError:
                    continue  # It was the one that read the folder.
                found.add((number, "unknown"))
        return found
    return None


@contextmanager
def nobody() -> Iterator[tuple[str, int]]:
    """An address of 127.0.0.1 that refuses connections, and is given to nobody else meanwhile."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


@contextmanager
def silence() -> Iterator[tuple[str, int] | None]:
    """An address of 127.0.0.1 that neither accepts nor refuses; ``None`` if this system has none.

    Somebody listens there who accepts nobody, and whose queue is full.
    """
    waiting: list[socket.socket] = []
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        try:
            while len(waiting) < 10 and (not waiting or _connects(waiting[-1], sock.getsockname())):
                waiting.append(socket.socket())
            yield sock.getsockname() if len(waiting) < 10 else None
        finally:
            for client in waiting:
                client.close()


def _connects(client: socket.socket, address: tuple[str, int]) -> bool:
    client.setblocking(False)
    try:
        client.connect(address)
    except BlockingIOError:
        return bool(select.select([], [client], [], 0.05)[1])
    except OSError:
        return False
    return True
