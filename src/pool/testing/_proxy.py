"""``ChaosProxy``: a real TCP proxy on loopback, in front of any server, that breaks the line as it is told.

It has a thread of its own with an event loop in it, so that it serves both worlds; ``_link`` has what it does
with one connection. The modes are one frozen value that is replaced as a whole: who reads it needs no lock.
"""

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from os import PathLike, fspath
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

from pool.testing._link import Held, Link, Modes, ProxyStats, Traffic, prepare

__all__ = ["ChaosProxy"]

T = TypeVar("T")

# Seconds that the thread of a proxy may take to do as it is told before that is an error.
_PATIENCE = 10.0


class _Mode(Generic[T]):
    """An attribute of a proxy that is one of its modes."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, proxy: None, owner: type) -> Self: ...
    @overload
    def __get__(self, proxy: "ChaosProxy", owner: type) -> T: ...
    def __get__(self, proxy: "ChaosProxy | None", owner: type) -> "T | Self":
        if proxy is None:
            return self
        value: T = getattr(proxy._modes, self._name)
        return value

    def __set__(self, proxy: "ChaosProxy", value: T) -> None:
        change: dict[str, Any] = {self._name: value}
        proxy._switch(lambda modes: replace(modes, **change))


class ChaosProxy:
    """A TCP proxy on loopback in front of a server; what it does to the line can be switched at any time.

    The attributes may be set from any thread. When an assignment has returned it is in force, for
    the connections that are open as well. ``up`` is from client to server, ``down`` the way back.

    Parameters:
        host: where the server is; or the path of its Unix socket.
        port: its port; ``None`` with a path.

    Example::

        with ChaosProxy("localhost", 6379) as proxy:
            proxy.latency = 0.05
            use(pool, proxy.address)
            proxy.half_open = "down"
    """

    latency = _Mode[float]()
    """Seconds by which everything that is sent is late, each way."""

    bandwidth = _Mode[float | None]()
    """Bytes per second, for each connection and direction; ``None`` for no limit."""

    half_open = _Mode[Held | None]()
    """``"up"``, ``"down"`` or ``"both"``: nothing is passed on in that direction, not even an end, while all
    connections stay up. What was held back comes when it is ``None`` again."""

    blackhole = _Mode[bool]()
    """Connections are accepted and what is sent is swallowed. A connection that lost bytes stays silent
    for good, and ends when either side has ended it and the line is up again."""

    refuse = _Mode[bool]()
    """New connections are refused, as if nobody listened."""

    corrupt_up = _Mode[int | None]()
    """Which byte of every connection, from 1, is flipped on its way to the server; ``None`` for none."""

    corrupt_down = _Mode[int | None]()
    """Which byte of every connection, from 1, is flipped on its way back; ``None`` for none."""

    cut_up = _Mode[int | None]()
    """After how many bytes to the server a connection ends; ``None`` for never."""

    cut_down = _Mode[int | None]()
    """After how many bytes to the client a connection ends; ``None`` for never."""

    def __init__(self, host: str | PathLike[str], port: int | None = None) -> None:
        self._server: tuple[str, int] | str = fspath(host) if port is None else (fspath(host), port)
        self._addresses: list[tuple[int, Any]] = []
        self._modes = Modes()
        self._switching = threading.Lock()
        """Protects the change of ``_modes``. Nobody waits while he has it."""
        self._traffic = Traffic()
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._reserved: socket.socket | None = None
        """Bound and deaf: it keeps the port while there is no listener."""
        self._listener: socket.socket | None = None

    # --- Its life ---

    def start(self) -> None:
        """Listen on a free port of 127.0.0.1. Takes milliseconds, and as long as the server's name takes.

        Raises:
            OSError: the server's name is unknown.
            RuntimeError: it runs already.
        """
        if self._loop is not None:
            raise RuntimeError("this proxy runs already")
        self._addresses = _resolved(self._server)
        self._reserved = _bound(0)
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="chaos proxy", daemon=True
        )
        self._thread.start()
        self._do(self._enforce())

    def stop(self) -> None:
        """End all connections and the thread. Takes milliseconds; stopping twice is fine."""
        loop, thread, reserved = self._loop, self._thread, self._reserved
        if loop is None or thread is None or reserved is None:
            return
        self._do(self._shut_down())
        self._loop = self._thread = self._reserved = None
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()
        reserved.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    # --- What it shows ---

    @property
    def address(self) -> tuple[str, int]:
        """Where to connect to, ``(host, port)``: the same until it is stopped.

        Raises:
            RuntimeError: it does not run.
        """
        if self._reserved is None:
            raise RuntimeError("this proxy does not run")
        host, port = self._reserved.getsockname()
        return host, port

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._links)

    @property
    def stats(self) -> ProxyStats:
        """What has passed so far: connections ``accepted``, bytes ``up``, ``down`` and ``swallowed``."""
        return self._traffic.stats()

    def __repr__(self) -> str:
        default = Modes()
        modes = [
            f"{name}={value!r}"
            for name, value in vars(self._modes).items()
            if value != getattr(default, name)
        ]
        state = f"{self.connections} connections" if self._reserved else "stopped"
        return f"<ChaosProxy to {self._server!r}: {', '.join([state, *modes])}>"

    # --- What it does ---

    def reset(self) -> None:
        """End every connection of now with a TCP reset of both sides; new ones are welcome."""
        self._do(self._end_all(hard=True))

    def close_connections(self) -> None:
        """End every connection of now as a server does that says goodbye; new ones are welcome."""
        self._do(self._end_all(hard=False))

    def heal(self) -> None:
        """Set every mode back to normal."""
        self._switch(lambda _: Modes())

    def _switch(self, change: Callable[[Modes], Modes]) -> None:
        with self._switching:
            self._modes = change(self._modes)
        if self._loop is not None:
            self._do(self._enforce())

    # --- In its thread ---

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        """Have the thread do something, and wait until it is done."""
        if self._loop is None:
            work.close()
            raise RuntimeError("this proxy does not run")
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    async def _enforce(self) -> None:
        """Do as the modes say."""
        if self._modes.refuse:
            self._close_listener()
        elif self._listener is None:
            assert self._reserved is not None, "bug: it has no port"
            self._listener = _bound(self._reserved.getsockname()[1])
            self._listener.listen(1000)
            asyncio.get_running_loop().add_reader(self._listener, self._accept, self._listener)
        for link in list(self._links):
            link.changed()

    def _close_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        """Take up every connection that the kernel has accepted for us."""
        while True:
            try:
                client, _ = listener.accept()
            except ConnectionAbortedError:
                continue  # It has given up already.
            except OSError:
                return  # Nobody waits; or no file descriptor is free, and they wait until one is.
            self._take_up(client)

    def _take_up(self, client: socket.socket) -> None:
        try:
            prepare(client)
        except OSError:
            # It has given up already, and some systems say so only here.
            client.close()
            return
        self._traffic.accepted += 1
        link = Link(client, lambda: self._modes, self._traffic)
        task = asyncio.ensure_future(link.run(self._addresses))
        self._links[link] = task

        def ended(_: object) -> None:
            # Here, since a task that is cancelled early never begins.
            link.close()
            del self._links[link]

        task.add_done_callback(ended)

    async def _end_all(self, hard: bool) -> None:
        if self._listener is not None:
            # For its client a connection is open before we have heard of it.
            self._accept(self._listener)
        ending = dict(self._links)
        for link, task in ending.items():
            link.hard = hard
            task.cancel()
        await asyncio.gather(*ending.values(), return_exceptions=True)

    async def _shut_down(self) -> None:
        self._close_listener()
        await self._end_all(hard=False)


def _resolved(server: tuple[str, int] | str) -> list[tuple[int, Any]]:
    if isinstance(server, str):
        return [(socket.AF_UNIX, server)]
    found = socket.getaddrinfo(*server, type=socket.SOCK_STREAM)
    return [(family, address) for family, _, _, _, address in found]


def _bound(port: int) -> socket.socket:
    """Return a socket at a port of 127.0.0.1, where others of ours may be too."""
    sock = socket.socket()
    try:
        sock.setblocking(False)
        # The one that listens comes and goes; the port is kept by another one. Windows has one name for it.
        reuse = getattr(socket, "SO_REUSEPORT", socket.SO_REUSEADDR)
        sock.setsockopt(socket.SOL_SOCKET, reuse, 1)
        sock.bind(("127.0.0.1", port))
    except BaseException:
        sock.close()
        raise
    return sock
