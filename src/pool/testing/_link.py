"""One connection through a ``ChaosProxy``: bytes of two directions, late, held back, changed or lost.

Everything here runs on the proxy's own event loop.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import inf, isfinite
from typing import Any, Final, Literal

__all__ = ["Held", "Link", "Modes", "ProxyStats", "Traffic"]

Side = Literal["up", "down"]
Held = Literal["up", "down", "both"]

_CHUNK: Final = 65536
#: What a limited line carries at once: as much as in so many seconds.
_SLICE: Final = 0.02
#: In place of data: the peer has reset the connection.
_RESET: Final = None


@dataclass(frozen=True)
class Modes:
    """What a proxy does to the line; ``ChaosProxy`` says what each means."""

    latency: float = 0.0
    bandwidth: float | None = None
    half_open: Held | None = None
    blackhole: bool = False
    refuse: bool = False
    corrupt_up: int | None = None
    corrupt_down: int | None = None
    cut_up: int | None = None
    cut_down: int | None = None

    def __post_init__(self) -> None:
        if not (isfinite(self.latency) and self.latency >= 0):
            raise ValueError(f"latency must be finite seconds from 0, not {self.latency!r}")
        if self.bandwidth is not None and not self.bandwidth > 0:
            raise ValueError(f"bandwidth must be above 0 bytes/s or None, not {self.bandwidth!r}")
        if self.half_open not in (None, "up", "down", "both"):
            raise ValueError(f"half_open must be up, down, both or None, not {self.half_open!r}")
        for name, least in (("corrupt_up", 1), ("corrupt_down", 1), ("cut_up", 0), ("cut_down", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least} or None, not {value!r}")

    def holds(self, side: Side) -> bool:
        """Return whether nothing passes in a direction."""
        return self.half_open in (side, "both")


@dataclass(frozen=True)
class ProxyStats:
    """What has passed a proxy: connections accepted, and bytes."""

    accepted: int = 0
    up: int = 0
    down: int = 0
    swallowed: int = 0


class Traffic:
    """The proxy's counts. Written by its thread only."""

    def __init__(self) -> None:
        self.accepted = 0
        self.passed: dict[Side, int] = {"up": 0, "down": 0}
        self.swallowed = 0

    def stats(self) -> ProxyStats:
        """Return them, from any thread."""
        return ProxyStats(self.accepted, self.passed["up"], self.passed["down"], self.swallowed)


class Link:
    """One connection of a client and, unless it is swallowed, ours to the server.

    Parameters:
        client: accepted.
        modes: tells what to do now.
        traffic: where to count.
    """

    def __init__(self, client: socket.socket, modes: Callable[[], Modes], traffic: Traffic) -> None:
        self._client = client
        self._server: socket.socket | None = None
        self._modes = modes
        self._traffic = traffic
        self.hard = False
        """Whether it ends with a TCP reset of both sides."""
        self._lost = False
        """Whether bytes are missing, so that nothing may be passed on any more."""
        self._changed = asyncio.Event()

    async def run(self, addresses: list[tuple[int, Any]]) -> None:
        """Serve it to its end, or until we are cancelled. ``close`` belongs after it.

        Parameters:
            addresses: the server's, each with its family.
        """
        pumps: list[asyncio.Task[None]] = []
        try:
            if self._modes().blackhole:
                self._lost = True
            else:
                self._server = await _connected(addresses)
            ways: list[tuple[Side, socket.socket, socket.socket | None]] = [
                ("up", self._client, self._server)
            ]
            if self._server is not None:
                ways.append(("down", self._server, self._client))
            pumps += [asyncio.ensure_future(self._pump(*way)) for way in ways]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
        except OSError:
            # The server cannot be reached, and the client has long been accepted.
            self.hard = True
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    def close(self) -> None:
        """Close both sides."""
        for sock in (self._client, self._server):
            if sock is not None:
                _close(sock, self.hard)

    def changed(self) -> None:
        """The modes have changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    # --- One direction ---

    async def _pump(self, side: Side, source: socket.socket, target: socket.socket | None) -> None:
        """Pass everything on until the end of it; an error ends the connection."""
        line: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(32)
        reader = asyncio.ensure_future(self._read(source, line))
        try:
            await self._write(side, line, target)
        except OSError:
            self.hard = True
            raise
        finally:
            reader.cancel()
            await asyncio.wait([reader])

    async def _read(
        self, source: socket.socket, line: asyncio.Queue[tuple[float, bytes | None]]
    ) -> None:
        loop = asyncio.get_running_loop()
        data: bytes | None = b"?"
        while data:
            try:
                data = await loop.sock_recv(source, _CHUNK)
            except OSError:
                data = _RESET
            await line.put((loop.time() + self._modes().latency, data))

    async def _write(
        self,
        side: Side,
        line: asyncio.Queue[tuple[float, bytes | None]],
        target: socket.socket | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        count = 0
        while True:
            due, data = await line.get()
            if (early := due - loop.time()) > 0:
                await asyncio.sleep(early)
            await self._until(lambda modes: not modes.holds(side))
            if self._modes().blackhole:
                self._lost = True
            if self._lost or target is None:
                if not data:
                    # Nobody hears of the end while the line is down.
                    await self._until(lambda modes: not modes.blackhole)
                    raise ConnectionResetError
                self._traffic.swallowed += len(data)
                continue
            if data is _RESET:
                raise ConnectionResetError
            if not data:
                with suppress(OSError):
                    target.shutdown(socket.SHUT_WR)
                return
            while data:
                piece, data = self._cut_off(data)
                count = await self._deliver(side, piece, count, target)
                if data:
                    await self._until(lambda modes: not modes.holds(side))

    def _cut_off(self, data: bytes) -> tuple[bytes, bytes]:
        """Return what may be sent at once, and the rest."""
        rate = self._modes().bandwidth
        size = len(data) if rate is None else max(int(rate * _SLICE), 1)
        return data[:size], data[size:]

    async def _deliver(self, side: Side, data: bytes, count: int, target: socket.socket) -> int:
        """Send some bytes, of which ``count`` came before; return how many there were in all."""
        modes = self._modes()
        wrong = modes.corrupt_up if side == "up" else modes.corrupt_down
        cut = modes.cut_up if side == "up" else modes.cut_down
        if wrong is not None and count < wrong <= count + len(data):
            place = wrong - count - 1
            data = data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        room = inf if cut is None else cut - count
        if room < len(data):
            data = data[: max(int(room), 0)]
        if modes.bandwidth is not None:
            await asyncio.sleep(len(data) / modes.bandwidth)
        await asyncio.get_running_loop().sock_sendall(target, data)
        self._traffic.passed[side] += len(data)
        if room <= len(data):
            raise _CutError
        return count + len(data)

    async def _until(self, condition: Callable[[Modes], bool]) -> None:
        while not condition(self._modes()):
            await self._changed.wait()


class _CutError(Exception):
    """Enough bytes have passed."""


async def _connected(addresses: list[tuple[int, Any]]) -> socket.socket:
    """Return a connection to the first address that accepts."""
    failure = OSError("no address")
    for family, address in addresses:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, address)
            prepare(sock)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def prepare(sock: socket.socket) -> None:
    """Let small messages through at once: what is late shall be late by our will."""
    sock.setblocking(False)
    if sock.family != getattr(socket, "AF_UNIX", None):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _close(sock: socket.socket, hard: bool) -> None:
    # OSError: the peer was faster.
    with suppress(OSError):
        if hard:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            sock.shutdown(socket.SHUT_RDWR)
    sock.close()
