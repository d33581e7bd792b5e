"""The asynchronous half of the twin for streams: waiting with the event loop."""

import asyncio
from asyncio import sleep as pause
from contextlib import suppress

from pool._runtime.attempts import Attempt
from pool._runtime.clock import clock
from pool._runtime.sockets import Address, Channel, Want, look_up

__all__ = ["Readiness", "breathe", "clock", "pause", "resolve"]


class Readiness:
    """Waits until a channel is readable or writable; any number may wait at once.

    A loop knows one callback for each direction, hence the sets: TLS may have a receiver wait to write.
    """

    __slots__ = ("_channel", "_waiting")

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._waiting: dict[Want, set[asyncio.Future[bool]]] = {want: set() for want in Want}

    async def wait(self, want: Want, deadline: float | None) -> bool:
        """Return true when it is, or was interrupted; false when the time is up."""
        seconds = None if deadline is None else deadline - clock()
        if seconds is not None and seconds <= 0:
            return False
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[bool] = loop.create_future()
        waiting = self._waiting[want]
        if not waiting:
            self._watch(loop, want)
        waiting.add(ready)
        alarm = None if seconds is None else loop.call_later(seconds, _settle, ready, False)
        try:
            return await ready
        finally:
            if alarm is not None:
                alarm.cancel()
            waiting.discard(ready)
            if not waiting:
                unwatch = loop.remove_reader if want is Want.READ else loop.remove_writer
                unwatch(self._channel.sock.fileno())

    def _watch(self, loop: asyncio.AbstractEventLoop, want: Want) -> None:
        watch = loop.add_reader if want is Want.READ else loop.add_writer
        try:
            watch(self._channel.sock.fileno(), self._notify, want)
        except NotImplementedError:
            raise RuntimeError(
                f"streams need an event loop that watches sockets, and {type(loop).__name__} does "
                "not; on Windows, use asyncio.SelectorEventLoop"
            ) from None

    def _notify(self, want: Want) -> None:
        for ready in self._waiting[want]:
            _settle(ready, True)


def _settle(ready: asyncio.Future[bool], value: bool) -> None:
    if not ready.done():
        ready.set_result(value)


async def breathe() -> None:
    """Let others run: a peer that is always faster than us must not keep the event loop."""
    await asyncio.sleep(0)


async def resolve(
    host: str, port: int, deadline: float | None, attempt: Attempt
) -> list[Address] | None:
    """Look a host name up; ``None`` when the time is up. Whoever breaks the attempt cancels this task.

    Raises:
        OSError: it is unknown.
    """
    loop = asyncio.get_running_loop()
    seconds = None if deadline is None else deadline - clock()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await loop.run_in_executor(None, look_up, host, port)
    return None
