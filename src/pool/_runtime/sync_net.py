"""The synchronous half of the twin for streams: waiting in a thread."""

import select
import sys
from math import ceil
from threading import Event, Thread
from time import sleep as pause

from pool._runtime.attempts import Attempt
from pool._runtime.clock import clock
from pool._runtime.sockets import Address, Channel, Want, look_up

__all__ = ["Readiness", "breathe", "clock", "pause", "resolve"]

# Seconds between looks at the channel while nothing happens. Elsewhere than on Linux, to shut down a socket
# that is still connecting does not wake who waits for it.
_LOOK_AGAIN = 3600.0 if sys.platform == "linux" else 0.25


def _poll(fd: int, want: Want, seconds: float) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN if want is Want.READ else select.POLLOUT)
    return bool(poll.poll(ceil(seconds * 1000)))


def _select(fd: int, want: Want, seconds: float) -> bool:
    # Windows reports a connect that failed as an exceptional condition.
    read, write = ([fd], []) if want is Want.READ else ([], [fd])
    return any(select.select(read, write, write, seconds))


_is_ready = _poll if hasattr(select, "poll") else _select


class Readiness:
    """Waits until a channel is readable or writable; any number may wait at once."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def wait(self, want: Want, deadline: float | None) -> bool:
        """Return true when it is, or was interrupted; false when the time is up."""
        fd = self._channel.sock.fileno()
        while True:
            seconds = _LOOK_AGAIN if deadline is None else deadline - clock()
            if seconds <= 0:
                return False
            if _is_ready(fd, want, min(seconds, _LOOK_AGAIN)) or self._channel.interrupted:
                return True


def breathe() -> None:
    """Nothing: threads take turns by themselves."""


def resolve(host: str, port: int, deadline: float | None, attempt: Attempt) -> list[Address] | None:
    """Look a host name up; ``None`` when the time is up.

    Nothing can stop the system's resolver, so another thread waits for it.

    Raises:
        OSError: it is unknown, or the attempt was broken.
    """
    found: list[Address] = []
    failed: list[BaseException] = []
    done = Event()

    def work() -> None:
        try:
            found.extend(look_up(host, port))
        except BaseException as error:
            failed.append(error)
        finally:
            done.set()

    attempt.wake = done.set
    attempt.check()
    try:
        Thread(target=work, name=f"look up {host}", daemon=True).start()
    except RuntimeError:  # The interpreter ends: no new threads.
        work()
    in_time = done.wait(None if deadline is None else max(0.0, deadline - clock()))
    attempt.check()
    if failed:
        raise failed[0]
    return found if in_time else None
