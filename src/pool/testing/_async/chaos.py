"""``ChaosManager``: a user's own manager, having a bad day."""

from collections.abc import Hashable
from typing import Final, Generic, Unpack

from pool._async.engine import log
from pool._async.manager import ConnectionManager, ConnectionT, EndpointT
from pool.testing._faults import ANYWHERE, Deed, Fault, Faults, Hook, Odds, Rule, Trouble, place_of
from pool.testing._twin.aio import Signal, clock

__all__ = ["ChaosManager"]


class _Hang:
    """Somebody who waits for nothing."""

    __slots__ = ("aborted", "conn", "endpoint", "signal")

    def __init__(self, endpoint: Hashable, conn: object) -> None:
        self.endpoint = endpoint
        self.conn = conn
        self.signal = Signal()
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True
        self.signal.set()


#: Faults that raise an error, and which one by default.
_RAISED: Final[tuple[tuple[Fault, type[OSError]], ...]] = (
    ("refuse", ConnectionRefusedError),
    ("error", OSError),
)

#: In place of a connection where there is none yet.
_NONE: Final = object()


class ChaosManager(ConnectionManager[EndpointT, ConnectionT], Generic[EndpointT, ConnectionT]):
    """A manager that does what another one does, except when it misbehaves, by rule or by lot.

    ``rule`` says exactly which call is struck; ``odds`` give every call a chance, the same for the same
    ``seed``. Both may change at any time and from any thread. The faults:

    - ``refuse``: ``create`` raises ``ConnectionRefusedError``.
    - ``delay``: a hook takes some seconds longer.
    - ``hang``: a hook does not go on, until its ``timeout`` or ``hang_limit`` (``TimeoutError``),
      ``interrupt`` (``ConnectionAbortedError``), a cancellation, or ``heal`` (then it goes on).
    - ``reset``: a connection breaks. The wrapped ``interrupt`` is called, so that its holder sees it too;
      from then on it is dead and every hook but ``dispose`` raises ``ConnectionResetError``.
    - ``half_open``: a connection seems alive, but every hook that uses it hangs. Its holder can use it: what
      he sends himself does not come by here. For that, see ``ChaosProxy``.
    - ``lie``: ``check_aliveness`` says the contrary of what the wrapped one says.
    - ``error``: a hook raises ``OSError``. A ``dispose`` closes the connection before it misbehaves.

    Everything else is delegated. It overrides every hook, so that pools call them all: a wrapped manager
    without an ``on_acquire`` loses the shortest way through a checkout, and nothing else changes.

    Parameters:
        manager: what is wrapped.
        seed: of the lots; ``None`` for any, see ``seed``.
        delay_time: seconds that a ``delay`` takes, unless a rule says otherwise.
        hang_limit: seconds after which any hang ends by itself, ``None`` for never.
        odds: as in ``odds``, for all hooks.

    Example::

        chaos = ChaosManager(manager, seed=7, refuse=0.1, reset=0.05)
        chaos.rule("hang", "check_aliveness", nth=2, endpoint=("localhost", 6379))
        async with ConnectionPool(chaos) as pool:
            await exercise(pool)
        assert chaos.counts["hang"] == 1, chaos.log
    """

    def __init__(
        self,
        manager: ConnectionManager[EndpointT, ConnectionT],
        seed: object = None,
        *,
        delay_time: float = 0.01,
        hang_limit: float | None = 60.0,
        **odds: Unpack[Odds],
    ) -> None:
        self._manager = manager
        self._faults = Faults(seed)
        self._delay_time = delay_time
        self._hang_limit = hang_limit
        self._hangs: dict[int, _Hang] = self._faults.hangs
        self._faults.odds(None, odds)

    # --- What is to go wrong ---

    @property
    def manager(self) -> ConnectionManager[EndpointT, ConnectionT]:
        """What is wrapped."""
        return self._manager

    @property
    def seed(self) -> object:
        """With which the same lots are drawn again."""
        return self._faults.seed

    @property
    def active(self) -> bool:
        """Whether rules and odds are in force; while they are not, no call counts for a rule."""
        return self._faults.active

    @active.setter
    def active(self, active: bool) -> None:
        self._faults.active = active

    def rule(
        self,
        fault: Fault,
        hook: Hook | None = None,
        *,
        endpoint: object = ANYWHERE,
        nth: int = 1,
        times: int | None = 1,
        seconds: float | None = None,
        error: Trouble | None = None,
    ) -> None:
        """Have a fault strike certain calls: by default the next one of the hook where it belongs.

        Parameters:
            fault: which.
            hook: in which hook; by default in ``create`` for ``refuse``, ``delay`` and ``hang``, in
                ``check_aliveness`` for ``lie``, else in ``on_acquire``.
            endpoint: where; everywhere if it is left out.
            nth: the first call that is struck, from 1, counted from now on.
            times: how many calls in a row, ``None`` for all from there on.
            seconds: how long a ``delay`` or ``hang`` takes at most.
            error: what ``refuse`` or ``error`` raises: an exception, or what makes one.

        Raises:
            ValueError: there is no such fault, it cannot strike there, or a number makes no sense.
        """
        place = place_of(fault) if hook is None else hook
        self._faults.rule(Rule(fault, place, endpoint, nth, times, seconds, error))

    def odds(self, hook: Hook | None = None, **odds: Unpack[Odds]) -> None:
        """Set how probable faults are, from 0 to 1; those that are left out stay as they are.

        Parameters:
            hook: in which; by default in all where they make sense. ``hang`` then strikes hooks with a
                timeout only.
            odds: by fault.

        Raises:
            ValueError: there is no such fault, it cannot strike there, or a number is no probability.
        """
        self._faults.odds(hook, odds)

    def heal(self) -> None:
        """Forget all rules and odds, end all hangs, mend what is half-open. Connections reset stay so."""
        self._faults.forget()
        for hang in list(self._hangs.values()):
            hang.signal.set()

    def reset(self, endpoint: EndpointT, conn: ConnectionT) -> None:
        """Break a connection now."""
        self._break(endpoint, conn, "reset", "reset()")

    def half_open(self, endpoint: EndpointT, conn: ConnectionT) -> None:
        """Make a connection hang from now on, while it seems alive."""
        self._break(endpoint, conn, "half_open", "half_open()")

    # --- What went wrong ---

    @property
    def log(self) -> list[Deed]:
        """What was done, in order: fault, hook and endpoint."""
        return list(self._faults.log)

    @property
    def counts(self) -> dict[str, int]:
        """How often each fault struck; those that never did are left out."""
        return self._faults.counts()

    @property
    def hanging(self) -> int:
        """How many hooks are delayed or hang now."""
        return len(self._hangs)

    # --- The hooks ---

    async def create(self, endpoint: EndpointT, timeout: float | None) -> ConnectionT:
        """Open a connection, unless something is in the way."""
        begun = clock()
        struck = self._faults.strike("create", endpoint)
        await self._obstruct(struck, "create", endpoint, _NONE, timeout)
        left = None if timeout is None else max(timeout - (clock() - begun), 0.0)
        conn = await self._manager.create(endpoint, left)
        self._faults.born(conn)
        self._damage(struck, "create", endpoint, conn)
        return conn

    async def dispose(self, endpoint: EndpointT, conn: ConnectionT, timeout: float | None) -> None:
        """Close a connection, then misbehave: nothing is left open for the sake of a test."""
        self._faults.bury(conn)
        struck = self._faults.strike("dispose", endpoint)
        await self._manager.dispose(endpoint, conn, timeout)
        await self._obstruct(struck, "dispose", endpoint, conn, timeout)

    async def check_aliveness(
        self, endpoint: EndpointT, conn: ConnectionT, timeout: float | None
    ) -> bool:
        """Say whether a connection is alive, as far as one can know."""
        begun = clock()
        struck = self._faults.strike("check_aliveness", endpoint)
        self._damage(struck, "check_aliveness", endpoint, conn)
        await self._obstruct(struck, "check_aliveness", endpoint, conn, timeout)
        left = None if timeout is None else max(timeout - (clock() - begun), 0.0)
        alive = self._faults.state(conn) != "reset" and await self._manager.check_aliveness(
            endpoint, conn, left
        )
        if "lie" in struck:
            self._faults.done("lie", "check_aliveness", endpoint)
            return not alive
        return alive

    async def on_acquire(self, endpoint: EndpointT, conn: ConnectionT) -> None:
        """Prepare a connection; a fault may strike it when that is done, so that the caller meets it."""
        struck = self._faults.strike("on_acquire", endpoint)
        await self._obstruct(struck, "on_acquire", endpoint, conn, None)
        self._refuse_if_reset(conn)
        await self._manager.on_acquire(endpoint, conn)
        self._damage(struck, "on_acquire", endpoint, conn)

    async def on_release(self, endpoint: EndpointT, conn: ConnectionT) -> bool | None:
        """Reset a connection, if it is not broken."""
        struck = self._faults.strike("on_release", endpoint)
        self._damage(struck, "on_release", endpoint, conn)
        await self._obstruct(struck, "on_release", endpoint, conn, None)
        self._refuse_if_reset(conn)
        return await self._manager.on_release(endpoint, conn)

    async def on_connection_dead(self, endpoint: EndpointT, conn: ConnectionT) -> None:
        """Be told that a check failed, truly or not."""
        struck = self._faults.strike("on_connection_dead", endpoint)
        await self._obstruct(struck, "on_connection_dead", endpoint, _NONE, None)
        await self._manager.on_connection_dead(endpoint, conn)

    def can_reuse(self, endpoint: EndpointT, conn: ConnectionT, error: BaseException) -> bool:
        """As the wrapped one."""
        return self._manager.can_reuse(endpoint, conn, error)

    def interrupt(self, endpoint: EndpointT, conn: ConnectionT | None) -> None:
        """End what hangs with this connection, or every ``create`` at this endpoint, and pass it on."""
        wanted = _NONE if conn is None else conn
        self._faults.interrupted(wanted)
        for hang in list(self._hangs.values()):
            if hang.conn is wanted and hang.endpoint == endpoint:
                hang.abort()
        self._manager.interrupt(endpoint, conn)

    def after_fork(self, endpoint: EndpointT, conn: ConnectionT) -> None:
        """As the wrapped one."""
        self._manager.after_fork(endpoint, conn)

    def service_id(self, endpoint: EndpointT, conn: ConnectionT) -> Hashable | None:
        """As the wrapped one."""
        return self._manager.service_id(endpoint, conn)

    # --- How ---

    async def _obstruct(
        self,
        struck: dict[Fault, Rule],
        hook: Hook,
        endpoint: EndpointT,
        conn: object,
        timeout: float | None,
    ) -> None:
        """Delay, hang and raise, as struck, and hang if the connection is half-open."""
        begun = clock()
        if rule := struck.get("delay"):
            self._faults.done("delay", hook, endpoint)
            seconds = self._delay_time if rule.seconds is None else rule.seconds
            await self._stall(hook, endpoint, conn, timeout, seconds)
        if timeout is not None:
            timeout = max(timeout - (clock() - begun), 0.0)
        if rule := struck.get("hang"):
            self._faults.done("hang", hook, endpoint)
            await self._hang(hook, endpoint, conn, timeout, rule.seconds)
        elif self._faults.state(conn) == "half_open":
            await self._hang(hook, endpoint, conn, timeout, None)
        for fault, kind in _RAISED:
            if rule := struck.get(fault):
                self._faults.done(fault, hook, endpoint)
                raise _made(rule.error, kind(f"chaos: {hook} at {endpoint!r}: {fault}"))

    async def _hang(
        self,
        hook: Hook,
        endpoint: EndpointT,
        conn: object,
        timeout: float | None,
        seconds: float | None,
    ) -> None:
        """Wait in vain, unless somebody heals us.

        Raises:
            TimeoutError: it took too long.
            ConnectionAbortedError: it was interrupted.
        """
        longest = self._hang_limit if seconds is None else seconds
        if await self._stall(hook, endpoint, conn, timeout, longest):
            raise TimeoutError(f"chaos: {hook} at {endpoint!r} hung for {longest:.3f} s")

    async def _stall(
        self,
        hook: Hook,
        endpoint: EndpointT,
        conn: object,
        timeout: float | None,
        seconds: float | None,
    ) -> bool:
        """Wait for so long; return false if somebody healed us meanwhile."""
        hang = _Hang(endpoint, conn)
        self._hangs[id(hang)] = hang
        late = timeout is not None and (seconds is None or timeout < seconds)
        try:
            if self._faults.was_interrupted(conn):
                hang.abort()
            healed = await hang.signal.wait(timeout if late else seconds)
        finally:
            del self._hangs[id(hang)]
        if hang.aborted:
            raise ConnectionAbortedError(f"chaos: {hook} at {endpoint!r} was interrupted")
        if late and not healed:
            raise TimeoutError(f"chaos: {hook} at {endpoint!r} did not end within {timeout:.3f} s")
        return not healed

    def _damage(
        self, struck: dict[Fault, Rule], hook: Hook, endpoint: EndpointT, conn: ConnectionT
    ) -> None:
        for fault in ("reset", "half_open"):
            if fault in struck:
                self._break(endpoint, conn, fault, hook)

    def _break(self, endpoint: EndpointT, conn: ConnectionT, fault: Fault, hook: str) -> None:
        self._faults.done(fault, hook, endpoint)
        self._faults.break_(conn, fault)
        if fault == "reset":
            # A pool would log it too. Raised here, in a ``create`` say, it would cost a connection.
            try:
                self.interrupt(endpoint, conn)
            except Exception:
                log.exception("interrupt of a connection to %r failed", endpoint)

    def _refuse_if_reset(self, conn: ConnectionT) -> None:
        if self._faults.state(conn) == "reset":
            raise ConnectionResetError("chaos: the connection was reset")

    def __repr__(self) -> str:
        done = ", ".join(f"{fault} {count}" for fault, count in sorted(self.counts.items()))
        return f"<ChaosManager of {self._manager!r}, seed {self.seed!r}: {done or 'no harm done'}>"


def _made(error: Trouble | None, default: Exception) -> Exception:
    """Return what a rule raises."""
    if error is None:
        return default
    return error if isinstance(error, Exception) else error()
