"""How a conformance run calls a manager: never longer than its patience lasts."""

import gc
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

from pool._async.manager import ConnectionManager
from pool.testing._proxy import ChaosProxy
from pool.testing._report import FailedError, HookRaisedError, SkippedError
from pool.testing._surroundings import descriptors
from pool.testing._twin.aio import Call, Limit, begin, clock, pause, promptly

__all__ = ["Probe", "is_address", "is_path"]

_BLINK = 0.5
"""Seconds that a hook may take which never waits. It takes none; a busy machine may."""


class Probe:
    """One manager, and what its checks need.

    Parameters:
        manager: what is checked.
        endpoint: where.
        short: seconds that a hook gets where it is to run out of time.
        patience: seconds that nothing takes which works; what takes longer hangs.
        bad_endpoint: where nobody is, ``None`` if nobody knows one.
        proxy: in front of the server, ``None`` if there is none.
        via: makes an endpoint of an address.
    """

    def __init__(
        self,
        manager: ConnectionManager[Any, Any],
        endpoint: Hashable,
        short: float,
        patience: float,
        bad_endpoint: Hashable | None,
        proxy: ChaosProxy | None,
        via: Callable[[str, int], Hashable],
    ) -> None:
        self.manager = manager
        self.endpoint = endpoint
        self.short = short
        self.patience = patience
        self.bad_endpoint = bad_endpoint
        self._proxy = proxy
        self._via = via
        self._open: list[tuple[Hashable, Any]] = []

    # --- Connections ---

    async def connect(self) -> Any:
        """Return a new connection, straight to the server; it is disposed of after the check."""
        return await self._connect(self.endpoint)

    async def connect_by_proxy(self) -> Any:
        """Return a new connection through the proxy.

        Raises:
            SkippedError: there is no proxy, or no connection through one.
        """
        endpoint = self.proxied
        try:
            return await self._connect(endpoint)
        except HookRaisedError as error:
            raise SkippedError(f"no connection through a proxy: {error.error!r}") from error

    async def _connect(self, endpoint: Hashable) -> Any:
        conn = await self.hook("create", endpoint, self.patience)
        self._open.append((endpoint, conn))
        return conn

    def forget(self, conn: object) -> None:
        """A connection was disposed of."""
        self._open = [(endpoint, other) for endpoint, other in self._open if other is not conn]

    async def clean_up(self) -> None:
        """Dispose of what a check has left; it has told already if that cannot be done."""
        if self._proxy is not None:
            self._proxy.heal()
        for endpoint, conn in self._open:
            try:
                await self.hook("dispose", endpoint, conn, self.patience)
            except FailedError:
                pass
        self._open.clear()

    async def hung_up(self) -> None:
        """See all connections through the proxy end."""
        deadline = clock() + self.patience
        while self.proxy.connections:
            if clock() > deadline:
                raise FailedError("dispose did not end the connection")
            await pause(0.001)

    # --- Around it ---

    @property
    def proxy(self) -> ChaosProxy:
        """What stands in front of the server.

        Raises:
            SkippedError: there is none.
        """
        if self._proxy is None:
            raise SkippedError("no proxy can be put in front of this endpoint (see server and via)")
        return self._proxy

    @property
    def proxied(self) -> Hashable:
        """The endpoint that leads through the proxy."""
        return self._via(*self.proxy.address)

    def at(self, address: tuple[str, int]) -> Hashable:
        """Return the endpoint of an address."""
        return self._via(*address)

    def overrides(self, name: str) -> bool:
        """Return whether the manager has a hook of its own."""
        hook = getattr(self.manager, name)
        return getattr(hook, "__func__", None) is not getattr(ConnectionManager, name)

    def need(self, *names: str) -> None:
        """Go on only if the manager has these hooks.

        Raises:
            SkippedError: it has not.
        """
        for name in names:
            if not self.overrides(name):
                raise SkippedError(f"{name} is not overridden")

    # --- Calls ---

    async def hook(self, name: str, *args: Any) -> Any:
        """Call a hook that may wait, and return its result.

        Raises:
            FailedError: it hangs, or raises (``HookRaisedError``).
        """
        call = await begin(getattr(self.manager, name), *args)
        return await self._end(
            call, name, f"{name} did not end within {self.patience:g} s", args[0]
        )

    async def hook_in_time(self, name: str, *args: Any) -> Any:
        """Call a hook that gets ``short`` seconds, as a pool does, and see it end about then.

        Raises:
            FailedError: it does not, or raises (``HookRaisedError``).
        """
        call = await begin(self._limited, name, args)
        text = f"{name} took no notice of its timeout of {self.short:g} s"
        return await self._end(call, name, text, args[0])

    async def _limited(self, name: str, args: tuple[Any, ...]) -> Any:
        async with Limit(self.short):
            return await getattr(self.manager, name)(*args, self.short)

    async def _end(self, call: Call[Any], name: str, late: str, endpoint: Hashable) -> Any:
        try:
            if not await call.ends(self.patience):
                self._break_off(endpoint)
                raise FailedError(late)
        finally:
            if not await call.ends(0.0):
                await call.abandon()
        try:
            return call.outcome()
        except BaseException as error:
            raise HookRaisedError(name, error) from error

    def _break_off(self, endpoint: Hashable) -> None:
        """Do what one can so that a call that hangs ends some day."""
        try:
            self.manager.interrupt(endpoint, None)
        except Exception:
            pass  # It was found wanting already.

    async def plain(self, name: str, *args: Any) -> Any:
        """Call a hook that never waits, and return its result.

        Raises:
            FailedError: it took its time, or raised.
        """
        call = await promptly(_timed, getattr(self.manager, name), args)
        late = f"{name} blocked for more than {self.patience:g} s"
        result, took = await self._end(call, name, late, args[0])
        if took > _BLINK:
            raise FailedError(f"{name} blocked for {took:.1f} s")
        return result

    async def is_dead(self, endpoint: Hashable, conn: object) -> bool:
        """Return whether a check says that a connection is dead; raising says so too."""
        try:
            return not await self.hook("check_aliveness", endpoint, conn, self.patience)
        except HookRaisedError:
            return True

    # --- Leaks ---

    def descriptors(self) -> set[tuple[int, str]]:
        """Return what is open now.

        Raises:
            SkippedError: the system does not tell.
        """
        found = descriptors()
        if found is None:
            raise SkippedError("this system does not tell which file descriptors are open")
        return found

    async def left_open(self, before: set[tuple[int, str]]) -> list[str]:
        """Return what is open now and was not before, and still is after some time."""
        left = await self._still_open(before, 0.2)
        if left:
            # A socket that nobody knows any more is open until it is collected.
            gc.collect()
            left = await self._still_open(before, min(self.patience, 2.0))
        return [f"{number} ({what})" for number, what in sorted(left)]

    async def _still_open(
        self, before: set[tuple[int, str]], seconds: float
    ) -> set[tuple[int, str]]:
        deadline = clock() + seconds
        while (left := self.descriptors() - before) and clock() < deadline:
            await pause(0.01)
        return left


def _timed(function: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, float]:
    """Return what a function returns, and how long it took."""
    begun = clock()
    result = function(*args)
    return result, clock() - begun


def is_address(endpoint: object) -> bool:
    """Return whether an endpoint is a ``(host, port)``."""
    match endpoint:
        case (str(), int()):
            return isinstance(endpoint, tuple)
    return False


def is_path(endpoint: object) -> bool:
    """Return whether an endpoint is the path of a socket that is there."""
    return isinstance(endpoint, Path) or (isinstance(endpoint, str) and Path(endpoint).is_socket())
