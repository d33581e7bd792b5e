"""The working parts of one topology: core, pool, monitors, and the hands that carry out decisions.

Operations hold the watcher and not the topology, as leases hold the engine.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, Generic

from pool._async.driver import ServerManager, checked_hello
from pool._async.engine import log
from pool._async.manager import ConnectionT, EndpointT
from pool._async.monitor import Monitor, Post
from pool._async.pool import ConnectionPool
from pool._async.srv import resolve
from pool._async.turns import announce, make_ready, make_stale
from pool._core.outbox import ADD, BREAK, CLEAR, PUBLISH, READY, REMOVE, SHOW, Act
from pool._core.pulse import Pulse, Watched
from pool._core.records import NOTHING, Effects, Wakeable
from pool._core.selection import suitable
from pool._core.topology import TopologyCore
from pool._runtime import fork
from pool._runtime.aio import Waiter, Worker, background, caller, clock
from pool._runtime.aio_topology import topology_guard
from pool._runtime.chance import lots
from pool.descriptions import ServerDescription, TopologyDescription
from pool.monitoring._publisher import Publish
from pool.selectors import (
    Selector,
    nearest,
    primary,
    primary_preferred,
    readable,
    secondary,
    secondary_preferred,
    writable,
)

__all__ = ["Seeds", "Watcher"]

#: Those that always leave the same of a description, so that they need not be asked again.
_BUILT_IN: Final = frozenset(
    {nearest, primary, primary_preferred, readable, secondary, secondary_preferred, writable}
)

# By name: a watcher that refers to itself would outlive the topology until it is found.
_DEEDS: Final = {
    PUBLISH: "_publish",
    SHOW: "_show",
    ADD: "_add",
    READY: "_ready",
    CLEAR: "_clear",
    REMOVE: "_remove",
    BREAK: "_break",
}

# How often (seconds) seeds are looked up again at the most, as MongoDB's specification demands.
_RESCAN = 60.0


class Seeds:
    """Where the servers of a topology may be.

    Parameters:
        addresses: known from the beginning.
        name: of the SRV records that tell, ``None`` if there are none.
        resolver: what looks them up, ``None`` for the system's name servers.
    """

    __slots__ = ("addresses", "error", "name", "resolver")

    def __init__(self, addresses: tuple[Any, ...], name: str | None, resolver: object) -> None:
        self.addresses = addresses
        self.name = name
        self.resolver = resolver
        self.error: Exception | None = None
        """Why they could not be looked up the last time."""


class Watcher(Generic[EndpointT, ConnectionT]):
    """What a topology and its operations share.

    Parameters:
        topology_id: the topology's identity.
        manager: the user's.
        pool: paused at the beginning, and changed from here only.
        seeds: where the servers may be.
        pulse: the times of heartbeats.
        threshold: the latency window, in seconds.
        publish: how to publish an event, ``None`` if nobody listens.
    """

    def __init__(
        self,
        topology_id: object,
        manager: ServerManager[EndpointT, ConnectionT],
        pool: ConnectionPool[EndpointT, ConnectionT],
        seeds: Seeds,
        pulse: Pulse,
        threshold: float,
        publish: Publish | None,
    ) -> None:
        self.topology_id = topology_id
        self.manager = manager
        self.pool = pool
        self.engine = pool._engine
        self.engine.strangers = False
        self.engine.greet = partial(_greet, manager)
        self.seeds = seeds
        self.threshold = threshold
        self.publish = publish
        self.patience = pool.options.dispose_timeout
        wait = manager.await_hello
        default = getattr(wait, "__func__", None) is ServerManager.await_hello
        self.await_hello = None if default else wait
        self.pulse = pulse._replace(waits=not default)
        self._open_books()
        fork.watch(self)

    def _open_books(self) -> None:
        self.books = TopologyCore(self.topology_id, self.pulse, lots())
        self.core = topology_guard(self.books)
        self._suited: tuple[TopologyDescription, dict[Selector, list[ServerDescription]]]
        self._suited = self.books.shown, {}
        self._posts: dict[Post, None] = {}
        self._scout = Worker(self, _look_up, "pool seeds")

    def forked(self) -> None:
        """This is a child process now: begin anew, and leave the parent's connections alone."""
        inherited = list(self._posts)
        closed = self.books.is_closed
        self._open_books()
        if closed:
            self.core.close(clock())
        for post in inherited:
            if post.connection is not NOTHING:
                fork.keep(post.connection)
                try:
                    self.manager.after_fork(post.address, post.connection)
                except Exception:
                    log.exception("after_fork of the monitor of %r failed", post.address)

    # -- its life -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin to watch, unless that was done before.

        Raises:
            RuntimeError: it belongs to another event loop.
        """
        self.engine.settle()
        books = self.books
        if not books.is_open and self.core.open(self.seeds.addresses):
            if self.seeds.name is not None and not self._scout.ring():
                log.error("the seeds cannot be looked up: there are too many threads")
            self.speak()
        elif books._outbox:
            # Whoever began may have been interrupted.
            self.speak()

    async def end(self) -> None:
        """Stop to watch; wait until the monitors', and those that were cleared, are closed."""
        self.engine.settle()
        self.core.close(clock())
        self.speak()
        started = clock()
        silence = Waiter()
        if not self.core.is_silent(caller(), silence):
            await silence.wait(self.patience)
        elif self.books._speaker is not None:
            # A listener has called back: the monitor would wait for itself.
            return
        deserted = Waiter()
        if not self.core.is_deserted(deserted):
            left = self.patience
            await deserted.wait(None if left is None else max(left - (clock() - started), 0.0))

    def post(self, post: Post) -> None:
        """Have somebody begin to work who has a connection of his own."""
        self.core.manned(post)
        self._posts[post] = None
        if not post.start():
            log.error(
                "the monitor of %r cannot be started: there are too many threads", post.address
            )
            self.left(post)

    def left(self, post: Post) -> None:
        """He has ended."""
        self._posts.pop(post, None)
        for waiter in self.core.left(post):
            waiter.wake()

    def is_over(self) -> bool:
        """Whether it was closed."""
        return self.books.is_closed

    def ring(self, servers: Sequence[Watched]) -> None:
        """Have monitors look whether there is a check to be made; if there are none, look the seeds up."""
        if not servers and self.seeds.name is not None and not self.books.shown.servers:
            self._scout.ring()
        for server in servers:
            monitor = server.monitor
            if monitor in self._posts:
                monitor.worker.ring()
            elif monitor is not None:
                # There was no thread for it.
                self.post(monitor)

    # -- what was decided ---------------------------------------------------------------------------

    def speak(self) -> None:
        """Do what was decided, unless somebody does it already."""
        if self.core.begin_speech(caller()):
            self._go_on()
            if self.is_over():
                # It sleeps, and has nothing to do any more.
                self._scout.alert()

    def _go_on(self) -> None:
        failure: BaseException | None = None
        hushed: list[Wakeable] = []
        while True:
            try:
                act, hushed = self.core.next_act()
                if act is None:
                    break
                self._perform(act)
            except BaseException as error:
                # A listener was interrupted; others wait for the rest.
                failure = failure or error
        for waiter in hushed:
            waiter.wake()
        if failure is not None:
            raise failure

    def _perform(self, act: Act) -> None:
        deed: Callable[..., None] = getattr(self, _DEEDS[act.what])
        deed(act.about, *act.values)

    def _publish(self, event_type: Any, *args: Any) -> None:
        if self.publish is not None:
            self.publish(event_type, *args)

    def _show(self, topology: TopologyDescription) -> None:
        for waiter in self.core.show(topology):
            waiter.wake()

    def _add(self, server: Watched) -> None:
        engine = self.engine
        turn = engine.core.introduce(server.address, True, caller())
        assert isinstance(turn, bool), "bug: somebody else changes the pool of a topology"
        try:
            if turn:
                announce(engine, server.address)
        finally:
            server.monitor = Monitor(self, server)
            self.post(server.monitor)

    def _ready(self, server: Watched) -> None:
        self._carry_out(make_ready(self.engine, server.address, self._state_of(server)))

    def _clear(self, server: Watched, service: object, interrupt: bool) -> None:
        effects = Effects()
        state = self._state_of(server)
        try:
            make_stale(self.engine, server.address, state, service, interrupt, effects)
        finally:
            self._carry_out(effects)

    def _remove(self, server: Watched) -> None:
        try:
            self._carry_out(self.engine.core.shut(server.address, False))
        finally:
            server.monitor.stop()

    def _break(self, server: Watched) -> None:
        monitor = server.monitor
        if server.broken:
            monitor.break_off()
        monitor.worker.ring()

    def _state_of(self, server: Watched) -> str:
        state = self.engine.core.begin(server.address, caller())
        assert isinstance(state, str), "bug: somebody else changes the pool of a topology"
        return state

    def _carry_out(self, effects: Effects) -> None:
        try:
            self.engine.tell(effects)
        finally:
            if effects.close:
                # Not by those who speak: a server that is gone may take long even for that. As a post, so
                # that the end waits for it.
                broom = _Broom(self, effects)
                self.core.manned(broom)
                background(broom.sweep)

    # -- questions of operations --------------------------------------------------------------------

    def suited(self, selector: Selector) -> tuple[TopologyDescription, list[ServerDescription]]:
        """Return the description of now, and the servers that suit, within the latency window."""
        shown = self.books.shown
        cache = self._suited
        if cache[0] is not shown:
            cache = self._suited = shown, {}
        try:
            found = cache[1].get(selector)
            lasting = found is None and selector in _BUILT_IN
        except TypeError:
            # It cannot be a key.
            found, lasting = None, False
        if found is None:
            found = suitable(selector, shown, self.threshold)
            if lasting:
                cache[1][selector] = found
        return shown, found


class _Broom:
    """Closes the connections that a decision has ended."""

    __slots__ = ("_core", "_effects", "_engine")

    def __init__(self, watcher: Watcher[Any, Any], effects: Effects) -> None:
        self._core = watcher.core
        self._engine = watcher.engine
        self._effects = effects

    async def sweep(self) -> None:
        """Close them, and say so."""
        try:
            await self._engine.bury(self._effects)
        finally:
            for waiter in self._core.left(self):
                waiter.wake()


async def _greet(
    manager: ServerManager[Any, Any], endpoint: Any, conn: Any, left: float | None
) -> tuple[int | None, Any]:
    """Ask the server of a new connection of the pool what it calls it, and which service it is."""
    hello = checked_hello(await manager.hello(endpoint, conn, left), endpoint)
    return hello.connection_id, hello.service_id


async def _look_up(watcher: Watcher[Any, Any], late: float) -> float | None:
    """Look the seeds up again; return the seconds until the next time, ``None`` for never."""
    seeds, pulse = watcher.seeds, watcher.pulse
    assert seeds.name is not None, "bug: there is nothing to look up"
    if watcher.is_over():
        return None
    rest = pulse.interval
    try:
        found = await resolve(seeds.name, pulse.timeout, seeds.resolver)
    except Exception as error:
        seeds.error = error
        if not watcher.is_over():
            log.warning("cannot look up the seeds %s: %r", seeds.name, error)
    else:
        if found.addresses:
            seeds.error = None
            rest = max(found.ttl, _RESCAN)
        else:
            seeds.error = OSError(f"there is no such service: {seeds.name}")
        watcher.core.reseeded(found.addresses, clock())
        watcher.speak()
    return None if watcher.is_over() else rest
