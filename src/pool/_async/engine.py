"""What a pool and its leases share: the core, the manager, and the hands that carry out decisions.

Leases hold the engine and not the pool, so that a pool can be dropped while leases live on.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import inf
from typing import Any, Generic, Protocol

from pool._async.manager import ConnectionManager, ConnectionT, EndpointT
from pool._async.orphans import Finder, lost_text, warn_of
from pool._core.pool import PoolCore
from pool._core.records import NOTHING, Effects, Entry
from pool._core.states import CONNECTING
from pool._core.upkeep import disown, inherit
from pool._later import logger
from pool._runtime import fork
from pool._runtime.aio import (
    Core,
    Entrance,
    Limit,
    Pending,
    Waiter,
    Worker,
    allowance,
    clock,
    each,
    entrance,
    guard,
    here,
    recognizer,
    shield,
    spawn,
    stranded,
    stray,
)
from pool._runtime.aio_hooks import misfit
from pool._runtime.chance import lots
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionClosedEvent,
    PoolClosedEvent,
)
from pool.monitoring._publisher import Publish
from pool.options import PoolOptions, replaced

__all__ = ["Engine", "log"]

log = logger("pool.connection")

_NOWHERE = object()

# The hooks of a manager, and which of them may wait.
_HOOKS = {
    **dict.fromkeys(("create", "dispose", "check_aliveness"), True),
    **dict.fromkeys(("on_acquire", "on_release", "on_connection_dead"), True),
    **dict.fromkeys(("can_reuse", "interrupt", "after_fork", "service_id"), False),
}

#: What the worker does: it gets the engine and by how many seconds it is late.
Keep = Callable[["Engine[Any, Any]", float], Pending[float | None]]

#: Makes a core of what every core is made of.
Books = Callable[[PoolOptions, float, Callable[[], Waiter], Callable[[], float], Finder], PoolCore]

#: Guards the state of a core.
Fence = Callable[[Any], Core]


class Changed(Protocol):
    """Options that know which of them differ from their defaults."""

    def changed(self) -> dict[str, Any]: ...


#: What a topology has its pool do with a new connection: it gets the endpoint, it, and the seconds left.
Greet = Callable[[Any, Any, float | None], Pending[tuple[int | None, Any]]]


class Engine(Generic[EndpointT, ConnectionT]):
    """The working parts of one pool.

    Parameters:
        manager: the user's.
        options: validated.
        publish: how to publish an event, ``None`` if nobody listens.
        keep: what the worker does, as ``Worker`` says.
        books: makes the core, if it is not that of a ``ConnectionPool``.
        fence: guards it.
    """

    __slots__ = (
        "__weakref__",
        "_fence",
        "_make_books",
        "books",
        "can_reuse",
        "check",
        "core",
        "greet",
        "keep",
        "manager",
        "on_acquire",
        "on_dead",
        "on_release",
        "options",
        "place",
        "publish",
        "service_id",
        "shown",
        "strangers",
        "way_in",
        "way_out",
        "who",
        "worker",
    )

    def __init__(
        self,
        manager: ConnectionManager[EndpointT, ConnectionT],
        options: PoolOptions,
        publish: Publish | None,
        keep: "Keep",
        books: "Books | None" = None,
        fence: "Fence" = guard,
    ) -> None:
        for name, waits in _HOOKS.items():
            if fault := misfit(getattr(manager, name), waits):
                raise TypeError(f"{type(manager).__name__}.{name} {fault}")
        self.manager = manager
        self.options = options
        self.publish = publish
        self.keep = keep
        self.greet: Greet | None = None
        """Asks the server of a new connection what it calls it, and which service it is."""
        self.shown: Changed = options
        """The options as the user knows them."""
        self.strangers = True
        """Whether an endpoint becomes known by its first use."""
        # A hook that was not overridden costs nothing: it is not there.
        self.check = _overridden(manager, "check_aliveness")
        self.on_acquire = _overridden(manager, "on_acquire")
        self.on_release = _overridden(manager, "on_release")
        self.on_dead = _overridden(manager, "on_connection_dead")
        self.can_reuse = _overridden(manager, "can_reuse")
        self.service_id = _overridden(manager, "service_id")
        self._make_books = PoolCore if books is None else books
        self._fence = fence
        self._open_books()
        self.place: object = _NOWHERE
        self.who: Callable[[], object] = _nobody
        """Tells who is calling."""
        fork.watch(self)

    def _open_books(self) -> None:
        options = self.options
        if self.check is None:
            # There is nothing to check with.
            options = replaced(options, health_check_interval=None)
        self.worker = Worker(self, self.keep)
        finder = Finder(self.worker)
        self.books = self._make_books(options, self._vet_after(), Waiter, lots(), finder)
        self.core = self._fence(self.books)
        quiet = self.publish is None and self.on_release is None
        self.way_out: Core | None = self.core if quiet else None
        """The core, where a lease may end without telling anybody."""
        self.way_in: Entrance | None = None
        """Where a checkout may take an idle connection without telling anybody."""

    def forked(self) -> None:
        """This is a child process now: begin empty, and leave the parent's connections alone."""
        parents = self.books
        inherited = disown(parents)
        closed = parents.is_closed()
        self._open_books()
        inherit(self.books, parents)
        if closed:
            self.core.shut(None, True)
        if self.place is not _NOWHERE:
            self.place = stranded(self.place)
        for endpoint, connection in inherited:
            fork.keep(connection)
            try:
                self.manager.after_fork(endpoint, connection)
            except Exception:
                log.exception("after_fork of a connection to %r failed", endpoint)

    def settle(self) -> None:
        """Bind the pool to the event loop that uses it first.

        Raises:
            RuntimeError: it is bound to another one.
        """
        place = here()
        if self.place is _NOWHERE:
            self.place = place
            self.who = recognizer(place)
        elif self.place is not place:
            raise RuntimeError(
                f"this pool belongs to another event loop ({self.place!r}) and its connections with "
                "it; make one pool for each event loop"
            )
        if self.way_in is None and self.publish is None and self.options.leak_threshold is None:
            self.way_in = entrance(self.core, place)

    def unsettled(self) -> bool:
        """Whether nobody has used the pool yet, so that it has no connections either."""
        return self.place is _NOWHERE

    async def perform(self, effects: Effects) -> None:
        """Do what a decision demands and wait until the connections are closed.

        A caller who is cancelled meanwhile leaves; the closing goes on.
        """
        try:
            self.tell(effects)
        finally:
            await self.bury(effects)

    async def bury(self, effects: Effects) -> None:
        """Close the connections that a decision has ended, once that was told."""
        if effects.close:
            dispose = partial(self._dispose_all, self.options.dispose_timeout)
            await shield(dispose, effects.close, None)

    async def proceed(self, effects: Effects, left: float | None, patience: float | None) -> None:
        """Do what a decision demands, for a caller with a deadline: the closing may outlast his wait.

        Parameters:
            effects: what to do.
            left: the seconds he has, ``None`` for any time.
            patience: the seconds he waits for connections to be closed.
        """
        try:
            self.tell(effects)
        finally:
            if effects.close:
                seconds = allowance(self.options.dispose_timeout, left)
                await shield(partial(self._dispose_all, seconds), effects.close, patience)

    def dismiss(self, effects: Effects) -> None:
        """Do what a decision demands without waiting for it."""
        try:
            self.tell(effects)
        finally:
            if effects.close:
                dispose = partial(self._dispose_all, self.options.dispose_timeout)
                spawn(dispose, effects.close)

    def tell(self, effects: Effects) -> None:
        """Publish, then wake: whoever is woken must find the events told. It closes nothing."""
        try:
            if self.publish is not None:
                events: list[tuple[Any, ...]] = [
                    (ConnectionCheckedInEvent, entry.home.endpoint, entry.id)
                    for entry in effects.lost
                ]
                events += [
                    (ConnectionClosedEvent, entry.home.endpoint, entry.id, entry.doomed)
                    for entry in effects.close
                    if not entry.mourned
                ]
                for entry in effects.close:
                    entry.mourned = True
                events += [(PoolClosedEvent, endpoint) for endpoint in effects.shut]
                self.publish_all(events)
        finally:
            for waiter in effects.wake:
                waiter.wake()
            if effects.ring and not self.worker.ring():
                self.core.unheard()
            if effects.lost or effects.deadlock:
                self._warn(effects)
            if effects.interrupt:
                self._interrupt(effects.interrupt)
            if effects.close:
                self._drop_unopened(effects)

    def _warn(self, effects: Effects) -> None:
        for entry in effects.lost:
            log.warning("%s; it was reclaimed", lost_text(entry))
            if not entry.warned:
                # Its finalizer struck where it could not.
                try:
                    warn_of(entry)
                except Exception:
                    log.exception("the warning of a lost lease failed")
        if effects.deadlock is not None:
            log.warning("%s", effects.deadlock)

    def publish_all(self, events: Sequence[tuple[Any, ...]]) -> None:
        """Publish several events (class and arguments), all of them even if a listener is interrupted."""
        if self.publish is not None:
            for place, event in enumerate(events, 1):
                try:
                    self.publish(*event)
                except BaseException:
                    self.publish_all(events[place:])
                    raise

    def _drop_unopened(self, effects: Effects) -> None:
        """What was never opened needs no dispose: its place is free at once."""
        for place, entry in enumerate(effects.close):
            if entry.connection is NOTHING:
                del effects.close[place]
                freed = self.core.closed(entry, clock())
                try:
                    self.tell(freed)
                finally:
                    effects.close += freed.close
                    self._drop_unopened(effects)
                return

    def _interrupt(self, entries: list[Entry]) -> None:
        connecting = []
        for entry in entries:
            connection = entry.connection
            limit = entry.limit if entry.state is CONNECTING else None
            if limit is not None:
                # Also of one that says hello, whatever the manager can break.
                limit.break_off()
            if connection is not NOTHING:
                self._break(entry.home.endpoint, connection)
            elif limit is not None and entry.home not in connecting:
                connecting.append(entry.home)
        for home in connecting:
            self._break(home.endpoint, None)

    def _break(self, endpoint: EndpointT, connection: ConnectionT | None) -> None:
        try:
            self.manager.interrupt(endpoint, connection)
        except Exception:
            log.exception("interrupt of a connection to %r failed", endpoint)

    async def _dispose_all(self, seconds: float | None, entries: list[Entry]) -> None:
        await each(partial(self._dispose, seconds), entries)

    async def _dispose(self, seconds: float | None, entry: Entry) -> None:
        endpoint = entry.home.endpoint
        try:
            async with Limit(seconds):
                await self.manager.dispose(endpoint, entry.connection, seconds)
        except BaseException as error:
            if not isinstance(error, Exception) and not stray(error):
                raise
            log.warning(
                "dispose of connection #%d to %r failed: %r",
                entry.id,
                endpoint,
                error,
                exc_info=True,
            )
        finally:
            # The room that is free now may be owed to more callers than it is enough for.
            freed = self.core.closed(entry, clock())
            try:
                self.tell(freed)
            finally:
                if freed.close:
                    spawn(partial(self._dispose_all, seconds), freed.close)

    def _vet_after(self) -> float:
        """After how much idleness a connection needs more than to be handed out."""
        if self.on_acquire is not None:
            return -1.0
        if self.check is None or self.options.check_after_idle is None:
            return inf
        return self.options.check_after_idle or -1.0


def _nobody() -> object:
    """Tell who is calling, before the pool is used."""
    return None


def _overridden(manager: object, name: str) -> Callable[..., Any] | None:
    hook: Callable[..., Any] = getattr(manager, name)
    default = getattr(ConnectionManager, name)
    return None if getattr(hook, "__func__", None) is default else hook
