"""The short way in and out, for threads: where a connection lies idle and nobody is to be told.

``PoolCore.take`` and ``check_in`` decide it; they stand here once more, written out under the lock. Nowhere
else does it matter, but here the calls would cost as much as half the rest. A test holds the two together.

The lock is acquired and released by bound methods, at half the price of ``with``. What that gives up: a
``KeyboardInterrupt`` in the main thread may strike between the lock and the ``try``, a window of a few
instructions. All that is not the hot path uses ``with``, where it cannot.
"""

from types import TracebackType
from typing import Generic, Protocol, TypeVar

from pool._core.records import Claim, Effects
from pool._core.states import IDLE, IN_USE
from pool._runtime.clock import clock
from pool._runtime.identity import get_ident
from pool._runtime.sync_guard import Guard

__all__ = ["Checkout", "entrance"]

ConnectionT = TypeVar("ConnectionT")


def entrance(guard: Guard, place: object) -> Guard:
    """Return what a pool opens to those who may take an idle connection and tell nobody."""
    return guard


class Engine(Protocol):
    """What a checkout needs of the pool's engine."""

    way_in: Guard | None
    """An ``entrance``, if nobody is to be told of a checkout."""
    way_out: Guard | None
    """The guard, if nobody is to be told of a return."""

    def perform(self, effects: Effects) -> None: ...


class Checkout(Claim, Generic[ConnectionT]):
    """The base of a lease: a block that takes the short way, and leaves the long one to the lease."""

    __slots__ = ("_engine",)

    _engine: Engine

    def _enter(self) -> ConnectionT:
        """Acquire by the long way."""
        raise NotImplementedError

    def _leave(self, error: BaseException | None) -> None:
        """Release by the long way."""
        raise NotImplementedError

    def __enter__(self) -> ConnectionT:
        guard = self._engine.way_in
        if guard is None or self.entry is not None or self.ended:
            return self._enter()
        owner = get_ident()
        now = clock()
        guard.acquire()
        try:
            core = guard.core
            home = core._homes.get(self.endpoint)
            if home is not None:
                entry = home.top
                if entry is not None and (now < entry.until or core.is_fresh(entry, now)):
                    home.top = entry.next
                    entry.next = None
                    entry.state = IN_USE
                    entry.since = now
                    entry.uses += 1
                    entry.owner = owner
                    entry.code = self.code
                    entry.instruction = self.instruction
                    self.entry = entry
                    connection: ConnectionT = entry.connection
                    return connection
        except TypeError:
            # An endpoint that cannot be a key: the long way says so.
            pass
        finally:
            guard.release()
        return self._enter()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        guard = self._engine.way_out
        if guard is None or exc is not None:
            return self._leave(exc)
        now = clock()
        guard.acquire()
        try:
            entry = self.entry
            if entry is None or entry.state is not IN_USE:
                return None
            self.entry = None
            self.ended = entry.id
            home = entry.home
            home.use_time += now - entry.since
            core = guard.core
            if home.special or core._pressed:
                effects = core.put(entry, now)
            else:
                entry.state = IDLE
                entry.since = now
                entry.owner = None
                entry.next = home.top
                home.top = entry
                return None
        finally:
            guard.release()
        return self._engine.perform(effects) if effects else None
