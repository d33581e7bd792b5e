"""What checks a server again and again, on a connection of its own.

A *monitor* asks what the server is. Where the manager can wait for a change, a *probe* beside it measures
how long a hello takes. Both are posts. A post's connection belongs to the call that works for it; this closes
it when a check fails, when the server leaves, or when nobody has the topology any more::

    create, hello     the post's ``connection``, set as soon as it is open
    failed, gone      ``drop``, shielded: disposed of
    cancelled         ``abandon``: disposed of in a call of its own
"""

from typing import TYPE_CHECKING, Any
from weakref import ref

from pool._async.driver import checked_hello
from pool._async.engine import log
from pool._core.pulse import Watched
from pool._core.records import NOTHING
from pool._runtime.aio import Limit, Worker, clock, shield, spawn, stray
from pool.descriptions import Hello

if TYPE_CHECKING:
    from pool._async.watcher import Watcher

__all__ = ["Monitor", "Post"]


class Post:
    """A worker with a connection of its own to one server.

    Parameters:
        watcher: for whom; it is not kept alive.
        server: which one.
    """

    __slots__ = (
        "__weakref__",
        "address",
        "connection",
        "limit",
        "manager",
        "patience",
        "server",
        "watcher",
        "worker",
    )

    worker: Worker[Any]

    def __init__(self, watcher: "Watcher[Any, Any]", server: Watched) -> None:
        self.watcher = ref(watcher, self._orphaned)
        self.manager = watcher.manager
        self.patience = watcher.patience
        self.server = server
        self.address = server.address
        self.connection: Any = NOTHING
        self.limit: Limit | None = None
        """That of the check which goes on."""

    def start(self) -> bool:
        """Begin to work; false if that cannot be."""
        # Also for a topology that is dropped: the connection must be closed.
        self.worker.keep = self
        return self.worker.ring()

    def _orphaned(self, _: object) -> None:
        self.worker.alert()

    def is_over(self) -> bool:
        """Whether the server has left."""
        return self.server.gone

    def break_off(self) -> None:
        """End what goes on, as soon as may be."""
        limit, connection = self.limit, self.connection
        if limit is None:
            return
        limit.break_off()
        try:
            self.manager.interrupt(self.address, None if connection is NOTHING else connection)
        except Exception:
            log.exception("interrupt of the monitor of %r failed", self.address)

    async def open(self, seconds: float) -> float:
        """Have a connection; return the seconds left."""
        started = clock()
        if self.connection is NOTHING:
            self.connection = await self.manager.create(self.address, seconds)
            if self.limit is not None and self.limit.broken:
                # Whoever breaks it off has found no connection yet.
                raise ConnectionAbortedError(f"the check of {self.address!r} was broken off")
        return max(seconds - (clock() - started), 0.0)

    async def hello(self, seconds: float) -> Hello:
        """Ask what the server is."""
        answer = await self.manager.hello(self.address, self.connection, seconds)
        return checked_hello(answer, self.address)

    async def drop(self) -> None:
        """Close the connection, if there is one."""
        connection, self.connection = self.connection, NOTHING
        if connection is not NOTHING:
            await shield(self._dispose, connection, None)

    def abandon(self) -> None:
        """Have the connection closed, without waiting for it."""
        connection, self.connection = self.connection, NOTHING
        if connection is not NOTHING:
            spawn(self._dispose, connection)

    async def leave(self) -> None:
        """Close the connection for good, and say so."""
        try:
            await self.drop()
        finally:
            self.worker.keep = None
            watcher = self.watcher()
            if watcher is not None:
                watcher.left(self)

    async def _dispose(self, connection: Any) -> None:
        try:
            async with Limit(self.patience):
                await self.manager.dispose(self.address, connection, self.patience)
        except Exception:
            log.warning(
                "dispose of the monitor's connection to %r failed", self.address, exc_info=True
            )

    def explained(self, error: Exception, seconds: float) -> Exception:
        """Return an error with a text, if it is one of the limit's."""
        limit = self.limit
        if (
            limit is not None
            and limit.expired
            and isinstance(error, TimeoutError)
            and not error.args
        ):
            text = f"no answer of {self.address!r} to a hello within {seconds:.3f} s"
            return TimeoutError(text).with_traceback(error.__traceback__)
        return error


class Monitor(Post):
    """Finds out what a server is."""

    __slots__ = ("previous", "probe")

    def __init__(self, watcher: "Watcher[Any, Any]", server: Watched) -> None:
        super().__init__(watcher, server)
        self.previous: Hello | None = None
        """What the server said last, on this connection."""
        self.probe: Probe | None = None
        self.worker = Worker(self, watch, "pool monitor")

    def stop(self) -> None:
        """End it: the server has left."""
        for post in (self, self.probe):
            if post is not None:
                post.break_off()
                post.worker.ring()

    async def drop(self) -> None:
        """Close the connection, if there is one: the next one begins anew."""
        self.previous = None
        await super().drop()

    def abandon(self) -> None:
        """Have the connection closed, without waiting for it: the next one begins anew."""
        self.previous = None
        super().abandon()


class Probe(Post):
    """Measures how long a hello takes, while the monitor waits for a change."""

    __slots__ = ()

    def __init__(self, watcher: "Watcher[Any, Any]", server: Watched) -> None:
        super().__init__(watcher, server)
        self.worker = Worker(self, measure, "pool probe")


async def watch(monitor: Monitor, late: float) -> float | None:
    """Check the server if that is due; return the seconds until the next check, ``None`` for never."""
    watcher = monitor.watcher()
    if watcher is None:
        await monitor.leave()
        return None
    server = monitor.server
    can_wait = watcher.await_hello is not None and monitor.previous is not None
    left = watcher.core.begin_check(server, can_wait, clock())
    if left is None:
        await monitor.leave()
        return None
    if left > 0:
        return left
    watcher.speak()
    if server.awaited and monitor.probe is None:
        monitor.probe = Probe(watcher, server)
        watcher.post(monitor.probe)
    pulse = watcher.pulse
    seconds = pulse.timeout + (pulse.interval if server.awaited else 0.0)
    wait = watcher.await_hello if server.awaited else None
    # Who drops a topology does not wait until a server has something to say.
    del watcher
    outcome: Hello | Exception
    sample: float | None = None
    # In this order: who ends it marks it as gone or broken, then looks for the limit.
    limit = monitor.limit = Limit(seconds)
    if monitor.is_over():
        await monitor.leave()
        return None
    try:
        async with limit:
            left = await monitor.open(seconds)
            asked = clock()
            if wait is not None and monitor.previous is not None:
                if server.broken:
                    limit.break_off()
                    raise ConnectionAbortedError(f"the check of {monitor.address!r} is out of date")
                answer = await wait(
                    monitor.address, monitor.connection, monitor.previous, pulse.interval
                )
                outcome = checked_hello(answer, monitor.address)
            else:
                outcome = await monitor.hello(left)
                sample = clock() - asked
    except Exception as error:
        outcome = monitor.explained(error, seconds)
    except BaseException as error:
        if not stray(error):
            monitor.abandon()
            raise
        outcome = ConnectionError(f"the hello of {monitor.address!r} was cancelled from within")
    finally:
        monitor.limit = None
    return await _conclude(monitor, outcome, sample, limit.broken)


async def _conclude(
    monitor: Monitor, outcome: Hello | Exception, sample: float | None, broken: bool
) -> float | None:
    """Tell what came out of a check; return the seconds until the next one."""
    watcher = monitor.watcher()
    if watcher is None:
        await monitor.leave()
        return None
    server, now = monitor.server, clock()
    if isinstance(outcome, Hello):
        monitor.previous = outcome
        watcher.core.succeeded(server, outcome, sample, now)
    elif broken:
        watcher.core.broken_off(server, outcome, now)
    else:
        watcher.core.failed(server, outcome, isinstance(outcome, TimeoutError), now)
    try:
        watcher.speak()
    finally:
        if not isinstance(outcome, Hello):
            await monitor.drop()
    left = watcher.core.pause(server, clock())
    if left is None:
        await monitor.leave()
    return left


async def measure(probe: Probe, late: float) -> float | None:
    """Measure how long a hello takes; return the seconds until the next time, ``None`` for never."""
    watcher = probe.watcher()
    if watcher is None:
        await probe.leave()
        return None
    pulse = watcher.pulse
    del watcher
    limit = probe.limit = Limit(pulse.timeout)
    if probe.is_over():
        await probe.leave()
        return None
    try:
        async with limit:
            left = await probe.open(pulse.timeout)
            asked = clock()
            await probe.hello(left)
            sample = clock() - asked
    except Exception as error:
        # The monitor finds out what the matter is.
        log.debug("the round trip to %r could not be measured: %r", probe.address, error)
        await probe.drop()
    except BaseException as error:
        probe.abandon()
        if not stray(error):
            raise
    else:
        watcher = probe.watcher()
        if watcher is not None:
            watcher.core.measured(probe.server, sample)
            watcher.speak()
    finally:
        probe.limit = None
    if probe.is_over():
        await probe.leave()
        return None
    return pulse.interval
