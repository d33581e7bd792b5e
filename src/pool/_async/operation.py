"""One operation on some server of a topology: choose, acquire, and draw conclusions from errors.

Who owns what at each step, and who gives it back::

    selecting      nothing; ``select`` counts the operation in the same step in which it chooses
    acquiring      the count         an error: ``finished``; the lease gives back what it holds itself
    in the block   the count, the lease's connection      ``__aexit__``: the lease, and then the count
"""

from collections.abc import Callable
from math import inf
from types import CodeType, TracebackType
from typing import Any, Generic

from pool._async.engine import log
from pool._async.lease import Lease
from pool._async.manager import ConnectionT, EndpointT
from pool._async.watcher import Watcher
from pool._core.pulse import Watched
from pool._runtime.aio import Waiter, clock
from pool.descriptions import ServerDescription, TopologyDescription, TopologyType
from pool.errors import (
    PoolClearedError,
    PoolClosedError,
    PoolTimeoutError,
    ServerSelectionTimeoutError,
)
from pool.options import UNSET, Unset
from pool.selectors import Selector

__all__ = ["Operation", "select"]

#: How the choice of a server is told: the message, then fields.
Tell = Callable[..., None]


async def select(
    watcher: Watcher[Any, Any],
    selector: Selector,
    deadline: float,
    timeout: float | None,
    cause: BaseException | None,
    tell: Tell | None,
) -> tuple[TopologyDescription, list[ServerDescription]]:
    """Wait until some server suits, and return what is known and all that do.

    Parameters:
        watcher: the topology's.
        selector: says which ones do.
        deadline: when to give up.
        timeout: the seconds until then, for the error's text.
        cause: what went wrong with the server that was chosen before.
        tell: how to log it, ``None`` if nobody reads that.

    Raises:
        ServerSelectionTimeoutError: the time is up.
        PoolClosedError: the topology is closed.
    """
    watcher.begin()
    if tell is None:
        return await _find(watcher, selector, deadline, timeout, cause, None)
    tell("Server selection started", watcher.books.shown)
    try:
        return await _find(watcher, selector, deadline, timeout, cause, tell)
    except Exception as error:
        tell("Server selection failed", watcher.books.shown, failure=str(error))
        raise


async def _find(
    watcher: Watcher[Any, Any],
    selector: Selector,
    deadline: float,
    timeout: float | None,
    cause: BaseException | None,
    tell: Tell | None,
) -> tuple[TopologyDescription, list[ServerDescription]]:
    wanting = False
    try:
        while True:
            if watcher.is_over():
                raise PoolClosedError("the topology is closed")
            shown, found = watcher.suited(selector)
            if found:
                return shown, found
            left = _left(deadline)
            if left is not None and left <= 0:
                raise _nothing_suits(watcher, selector, shown, timeout, cause)
            if not wanting:
                servers = watcher.core.want()
                wanting = True
                watcher.ring(servers)
                if tell is not None:
                    tell(
                        "Waiting for suitable server to become available",
                        shown,
                        remaining_time=left,
                    )
            await _pause(watcher, shown, left)
    finally:
        if wanting:
            watcher.core.content()


def _left(deadline: float) -> float | None:
    return None if deadline == inf else deadline - clock()


async def _pause(
    watcher: Watcher[Any, Any], shown: TopologyDescription, left: float | None
) -> None:
    """Wait until something else is shown, at most ``left`` seconds."""
    waiter = Waiter()
    if watcher.core.linger(waiter, shown):
        try:
            await waiter.wait(left)
        finally:
            watcher.core.desert(waiter)


def _is_late(error: Exception) -> bool:
    """Whether a time limit was over, which says nothing of the server."""
    return isinstance(error, TimeoutError) and error.errno is None


def _nothing_suits(
    watcher: Watcher[Any, Any],
    selector: Selector,
    shown: TopologyDescription,
    timeout: float | None,
    cause: BaseException | None,
) -> ServerSelectionTimeoutError:
    name = getattr(selector, "__name__", repr(selector))
    text = f"no server that is {name} within {timeout} s; the topology: {shown}"
    seeds = watcher.seeds
    if seeds.error is not None and cause is None:
        text += f"; the seeds: {seeds.error}"
        cause = seeds.error
    if cause is None:
        errors = (server.error for server in shown.servers.values() if server.error is not None)
        cause = next(errors, None)
    error = ServerSelectionTimeoutError(text)
    error.__cause__ = cause
    return error


class Operation(Generic[EndpointT, ConnectionT]):
    """A block that holds a connection to a server that suits: what ``topology.connection`` returns.

    Attributes:
        endpoint: the server, inside of the block.
    """

    __slots__ = (
        "_generation",
        "_lease",
        "_patience",
        "_selector",
        "_server",
        "_tell",
        "_timeout",
        "_watcher",
        "call",
        "endpoint",
        "managed",
    )

    endpoint: EndpointT

    def __init__(
        self,
        watcher: Watcher[EndpointT, ConnectionT],
        selector: Selector,
        patience: float | None,
        timeout: float | Unset | None,
        call: tuple[CodeType, int],
        tell: Tell | None,
    ) -> None:
        self._watcher = watcher
        self._selector = selector
        self._patience = patience
        """Seconds for the choice of a server."""
        self._timeout = timeout
        """Seconds for that and the acquire, if given."""
        self.call = call
        """Who asks: his code, and where in it."""
        self.managed = False
        """Whether the body is the manager's own, so that its errors are those of the network."""
        self._tell = tell
        self._lease: Lease[EndpointT, ConnectionT] | None = None
        self._server: Watched
        self._generation = 0

    async def __aenter__(self) -> ConnectionT:
        if self._lease is not None:
            raise RuntimeError("this block is entered already: ask the topology for another one")
        watcher = self._watcher
        patience = self._patience
        deadline = inf if patience is None else clock() + patience
        cause: BaseException | None = None
        while True:
            shown, found = await select(
                watcher, self._selector, deadline, patience, cause, self._tell
            )
            choice = watcher.core.choose(found)
            if choice is None:
                # It has left, which is being told.
                if clock() >= deadline:
                    raise _nothing_suits(watcher, self._selector, shown, patience, cause)
                await _pause(watcher, shown, _left(deadline))
                continue
            self._server, self._generation = choice
            held = again = False
            try:
                conn = await self._acquire(shown, deadline)
                held = True
                return conn
            except Exception as error:
                again = self._unconnected(error)
                if not again:
                    raise
                if self._timeout == 0 or clock() >= deadline:
                    # Nothing was sent, and there is no time to look for another one.
                    raise _nothing_suits(watcher, self._selector, shown, patience, error) from error
                cause = error
            finally:
                if not held:
                    watcher.core.finished(self._server)
            # That it is lost may still be told, by somebody else. Until then it would be chosen again.
            await _pause(watcher, shown, _left(deadline))

    async def _acquire(self, shown: TopologyDescription, deadline: float) -> ConnectionT:
        """Acquire a connection to the server that was chosen."""
        self.endpoint = self._server.address
        if self._tell is not None:
            self._tell("Server selection succeeded", shown, address=self.endpoint)
        timeout = self._timeout
        if timeout is not UNSET and timeout is not None:
            timeout = timeout and max(deadline - clock(), 0.0)
        lease = self._watcher.pool.connection(self.endpoint, timeout)
        lease.code, lease.instruction = self.call
        conn = await lease.__aenter__()
        # A clear may have come since; the connection is of now.
        self._generation = self._server.generation
        self._lease = lease
        return conn

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            try:
                if isinstance(exc, Exception):
                    self._failed(lease, exc)
            finally:
                await lease.__aexit__(exc_type, exc, traceback)
        finally:
            self._watcher.core.finished(self._server)

    # -- conclusions --------------------------------------------------------------------------------

    def _unconnected(self, error: Exception) -> bool:
        """Draw conclusions from a failed acquire; return whether another server may do."""
        watcher = self._watcher
        if isinstance(error, PoolClearedError):
            return True
        if isinstance(error, PoolClosedError):
            return not watcher.is_over()
        if isinstance(error, PoolTimeoutError):
            return False
        # A connect that takes too long says that the server does not answer.
        if not isinstance(error, (OSError, EOFError)) and not self._is_connection_error(error):
            return False
        if watcher.books.shown.topology_type is TopologyType.LOAD_BALANCED:
            # There is no other server, and nothing would say when to try again.
            return False
        if watcher.core.lost(self._server, self._generation, error, None, clock()):
            watcher.speak()
        return True

    def _failed(self, lease: Lease[EndpointT, ConnectionT], error: Exception) -> None:
        """Draw conclusions from an error that left the body."""
        broken = self.managed and isinstance(error, (OSError, EOFError)) and not _is_late(error)
        if not broken and not self._is_connection_error(error):
            if self.is_state_change(error):
                self.demoted(error)
            return
        watcher = self._watcher
        entry = lease.entry
        service = None if entry is None else entry.service
        # An error of an older generation says nothing of now.
        if watcher.engine.core.broke(lease) and watcher.core.lost(
            self._server, self._generation, error, service, clock()
        ):
            watcher.speak()

    def demoted(self, error: Exception) -> None:
        """The server says that it is not what it was."""
        watcher = self._watcher
        if watcher.core.demoted(self._server, self._generation, error, clock()):
            watcher.speak()

    @property
    def lease(self) -> Lease[EndpointT, ConnectionT] | None:
        """The lease of the pool, inside of the block."""
        return self._lease

    def is_state_change(self, error: Exception) -> bool:
        """Return whether an error says that the server is no longer what it was."""
        return self._says(self._watcher.manager.is_state_change, error)

    def _is_connection_error(self, error: Exception) -> bool:
        return self._says(self._watcher.manager.is_connection_error, error)

    def _says(self, hook: Callable[[EndpointT, Exception], bool], error: Exception) -> bool:
        try:
            return bool(hook(self.endpoint, error))
        except Exception:
            log.exception("%s for %r failed", hook.__name__, self.endpoint)
            return False

    def __repr__(self) -> str:
        state = "not entered" if self._lease is None else f"on {self.endpoint!r}"
        return f"<Operation {self._selector!r} {state}>"
