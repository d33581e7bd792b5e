"""Ready-made managers: streams over TCP, TLS and Unix sockets."""

from collections.abc import Hashable
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pool._async.manager import ConnectionManager
from pool._async.streams import Stream
from pool._runtime import aio_net as net
from pool._runtime import sockets
from pool._runtime.attempts import Attempt, Attempts
from pool._runtime.sockets import Address, Channel, Want

if TYPE_CHECKING:
    from ssl import SSLContext

    from pool._runtime.tls import TlsChannel

__all__ = ["TcpConnectionManager", "UnixConnectionManager"]

EndpointT = TypeVar("EndpointT", bound=Hashable)


class _StreamManager(ConnectionManager[EndpointT, Stream]):
    """What streams of every kind have in common."""

    def __init__(self) -> None:
        self._attempts = Attempts()

    async def dispose(self, endpoint: EndpointT, conn: Stream, timeout: float | None) -> None:
        """Close the stream. Takes no time; with a ``timeout`` of 0, without a word to a TLS peer."""
        if timeout is not None and timeout <= 0:
            conn.abort()
        else:
            await conn.close()

    async def check_aliveness(
        self, endpoint: EndpointT, conn: Stream, timeout: float | None
    ) -> bool:
        """Return whether the stream is open and silent, as ``Stream.is_alive`` says. Takes no time."""
        return conn.is_alive()

    def interrupt(self, endpoint: EndpointT, conn: Stream | None) -> None:
        """Break a stream, or every ``create`` in progress at this endpoint: they fail with an ``OSError``."""
        if conn is None:
            self._attempts.interrupt(endpoint)
        else:
            conn.interrupt()

    def _prepare(self, channel: Channel) -> None:
        """Set a new socket's options."""

    async def _connect(self, attempt: Attempt, address: Address, deadline: float | None) -> Channel:
        """Connect to one address."""
        channel = attempt.open(address)
        self._prepare(channel)
        if not channel.connect(address):
            attempt.check()
            ready = await net.Readiness(channel).wait(Want.WRITE, deadline)
            attempt.check()
            if not ready:
                raise attempt.late(f"no answer from {address}")
            channel.connected(address)
        return channel


class TcpConnectionManager(_StreamManager[tuple[str, int]]):
    """Opens a ``Stream`` over TCP, with or without TLS, to endpoints ``(host, port)``.

    All addresses of a host are tried in turn, each with its share of the time that is left.

    Parameters:
        ssl: ``None`` or ``False`` for plain TCP; ``True`` for TLS that trusts the system's authorities and
            checks the host name; or an ``ssl.SSLContext``, used as it is, for everything else (own
            authorities, client certificates, application protocols).
        server_hostname: the name to ask the TLS server for and to check its certificate against, ``None``
            for the endpoint's host.
        nodelay: send small messages at once (``TCP_NODELAY``).
        keepalive: seconds of silence after which the kernel probes the peer, then five times 10 seconds
            apart (less, if this is less), until it takes the peer for dead. From 1 to 32767, rounded
            up to whole seconds; ``True`` for 60, ``None`` or ``False`` for no probes.

    Example::

        manager = TcpConnectionManager(ssl=True)
        async with ConnectionPool(manager) as pool:
            async with pool.connection(("example.org", 443)) as stream:
                await stream.send(b"HEAD / HTTP/1.1\\r\\nHost: example.org\\r\\n\\r\\n")
                print(await stream.receive_until(b"\\r\\n\\r\\n", 65536))
    """

    def __init__(
        self,
        ssl: "SSLContext | bool | None" = None,
        server_hostname: str | None = None,
        nodelay: bool = True,
        keepalive: float | bool | None = 60.0,
    ) -> None:
        super().__init__()
        self._context = _context(ssl)
        self._server_hostname = _checked_hostname(server_hostname, self._context)
        if not isinstance(nodelay, bool):
            raise TypeError(f"nodelay must be a bool, not {nodelay!r}")
        self._nodelay = nodelay
        self._keepalive = _checked_keepalive(keepalive)

    async def create(self, endpoint: tuple[str, int], timeout: float | None) -> Stream:
        """Look up the host, connect and shake hands, all within ``timeout`` seconds.

        Raises:
            TypeError: the endpoint is no ``(host, port)``.
            ValueError: the host is empty or malformed, or the port is not from 1 to 65535.
            TimeoutError: the time is up.
            OSError: the host is unknown (``socket.gaierror``), no address accepts the connection (the error
                of the last one, the others as its notes), or the TLS handshake failed (``ssl.SSLError``).
            ConnectionAbortedError: it was interrupted.
        """
        host, port = _checked_endpoint(endpoint)
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        deadline = None if timeout is None else net.clock() + timeout
        with self._attempts.begin(endpoint, name, timeout) as attempt:
            addresses = sockets.numeric(host, port) or await net.resolve(
                host, port, deadline, attempt
            )
            if addresses is None:
                raise attempt.late("the host name is still being looked up")
            address, channel = await self._connect_any(attempt, addresses, deadline)
            if self._context is None:
                return Stream(channel, address.sockaddr, name)
            secure = await self._secure(attempt, self._context, channel, host, deadline)
            return Stream(secure, address.sockaddr, name, secure.agreed())

    async def _connect_any(
        self, attempt: Attempt, addresses: list[Address], deadline: float | None
    ) -> tuple[Address, Channel]:
        """Connect to the first address that accepts."""
        errors: list[OSError] = []
        for position, address in enumerate(addresses):
            now = net.clock()
            left = len(addresses) - position
            share = None if deadline is None else now + (deadline - now) / left
            try:
                return address, await self._connect(attempt, address, share)
            except OSError as error:
                attempt.check()
                errors.append(error)
        last = errors.pop()
        for earlier in errors:
            last.add_note(f"before that: {earlier}")
        raise last

    async def _secure(
        self,
        attempt: Attempt,
        context: "SSLContext",
        plain: Channel,
        host: str,
        deadline: float | None,
    ) -> "TlsChannel":
        """Speak TLS from now on."""
        from pool._runtime.tls import TlsChannel

        channel = TlsChannel(context, plain, self._server_hostname or host)
        attempt.channel = channel
        attempt.check()
        readiness = net.Readiness(channel)
        while want := channel.handshake():
            ready = await readiness.wait(want, deadline)
            attempt.check()
            if not ready:
                raise attempt.late("no end of the TLS handshake")
        return channel

    def _prepare(self, channel: Channel) -> None:
        if self._nodelay:
            sockets.no_delay(channel.sock)
        if self._keepalive is not None:
            sockets.keep_alive(channel.sock, self._keepalive)


class UnixConnectionManager(_StreamManager[str | Path]):
    """Opens a ``Stream`` over a Unix socket; the endpoint is its path, a ``str`` or a ``Path``.

    A ``str`` and a ``Path`` of the same file are two endpoints.

    Raises:
        OSError: this system has no Unix sockets.
    """

    def __init__(self) -> None:
        super().__init__()
        sockets.unix_family()

    async def create(self, endpoint: str | Path, timeout: float | None) -> Stream:
        """Connect within ``timeout`` seconds; a server whose queue is full is asked again until then.

        Raises:
            TypeError: the endpoint is neither a ``str`` nor a ``Path``.
            ValueError: it is empty.
            TimeoutError: the time is up.
            OSError: nobody listens there, or may not be asked.
            ConnectionAbortedError: it was interrupted.
        """
        path = _checked_path(endpoint)
        address = Address(sockets.unix_family(), path)
        deadline = None if timeout is None else net.clock() + timeout
        pause = 0.001
        with self._attempts.begin(endpoint, path, timeout) as attempt:
            while True:
                try:
                    channel = await self._connect(attempt, address, deadline)
                    return Stream(channel, path, path)
                except BlockingIOError:
                    # The server's queue is full, and nothing will tell when it no longer is.
                    if deadline is not None and net.clock() + pause >= deadline:
                        raise attempt.late("the server's queue is full") from None
                await net.pause(pause)
                attempt.check()
                pause = min(2 * pause, 0.05)


def _context(ssl: object) -> "SSLContext | None":
    if ssl is None or ssl is False:
        return None
    from pool._runtime.tls import context_for

    return context_for(ssl)


def _checked_hostname(name: object, context: "SSLContext | None") -> str | None:
    if name is None:
        return None
    if not isinstance(name, str):
        raise TypeError(f"server_hostname must be a str or None, not {name!r}")
    if not name:
        raise ValueError("server_hostname must not be empty")
    if context is None:
        raise ValueError(f"server_hostname={name!r} has no meaning without ssl")
    return name


def _checked_keepalive(seconds: object) -> int | None:
    if seconds is None or seconds is False:
        return None
    if seconds is True:
        return 60
    if not isinstance(seconds, int | float):
        raise TypeError(f"keepalive must be seconds, a bool or None, not {seconds!r}")
    # The kernel's own limit is 32767 seconds.
    if not 1 <= seconds <= 32767:
        raise ValueError(f"keepalive must be from 1 to 32767 seconds, not {seconds!r}")
    return ceil(seconds)


def _checked_endpoint(endpoint: object) -> tuple[str, int]:
    if not isinstance(endpoint, tuple) or len(endpoint) != 2:
        raise TypeError(f"an endpoint must be a tuple (host, port), not {endpoint!r}")
    host, port = endpoint
    if not isinstance(host, str):
        raise TypeError(f"the host must be a str, not {host!r}, in the endpoint {endpoint!r}")
    if not isinstance(port, int) or isinstance(port, bool):
        raise TypeError(f"the port must be an int, not {port!r}, in the endpoint {endpoint!r}")
    if not host or "\0" in host:
        raise ValueError(f"the host must be a name or an address, not {host!r}")
    if not 1 <= port <= 65535:
        raise ValueError(f"the port must be from 1 to 65535, not {port}, in {endpoint!r}")
    return host, port


def _checked_path(endpoint: object) -> str:
    if not isinstance(endpoint, str | Path):
        raise TypeError(f"an endpoint must be a path, as a str or a Path, not {endpoint!r}")
    if endpoint == "":
        raise ValueError("the path must not be empty")
    return str(endpoint)
