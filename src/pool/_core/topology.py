"""The decisions about a topology: who belongs to it, what is known, who may go where, and what to tell.

What happens is *decided* in a transaction; it takes effect when it has been told, by way of the outbox.
``decided`` is what the next decision is based on, ``shown`` what operations and users see.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from math import inf
from typing import Any

from pool._core.discovery import begun, reseeded, updated
from pool._core.outbox import ADD, BREAK, CLEAR, READY, REMOVE, SHOW, Act, Outbox
from pool._core.pulse import Pulse, Watched, averaged, due, hurried
from pool._core.records import Wakeable
from pool._core.selection import chosen
from pool.descriptions import Hello, ServerDescription, TopologyDescription, TopologyType
from pool.errors import PoolClosedError
from pool.monitoring import (
    ServerClosedEvent,
    ServerDescriptionChangedEvent,
    ServerHeartbeatFailedEvent,
    ServerHeartbeatStartedEvent,
    ServerHeartbeatSucceededEvent,
    ServerOpeningEvent,
    TopologyClosedEvent,
    TopologyDescriptionChangedEvent,
    TopologyOpenedEvent,
)

__all__ = ["TopologyCore"]


class TopologyCore(Outbox):
    """What a topology knows.

    Parameters:
        topology_id: its identity.
        pulse: the times of heartbeats.
        lot: draws a number from 0 to 1, without 1.
    """

    def __init__(self, topology_id: Any, pulse: Pulse, lot: Callable[[], float]) -> None:
        super().__init__()
        self._id = topology_id
        self._pulse = pulse
        self._lot = lot
        self._nothing = TopologyDescription(topology_id)
        self._decided = self._nothing
        self.shown = self._nothing
        """What is known, as far as it was told."""
        self.is_open = False
        self.is_closed = False
        self._servers: dict[Any, Watched] = {}
        self._waiters: dict[Wakeable, None] = {}
        """Who waits for another description."""
        self._wanting = 0
        """How many find no server that suits."""

    # -- its life -----------------------------------------------------------------------------------

    def open(self, addresses: Iterable[Any]) -> bool:
        """Begin to watch; false if that was done before."""
        if self.is_open or self.is_closed:
            return False
        self.is_open = True
        self._publish(TopologyOpenedEvent, self._id)
        self._change(begun(self._id, addresses))
        return True

    def close(self, now: float) -> bool:
        """End it for good; false if that was done before."""
        if self.is_closed:
            return False
        self.is_closed = True
        if self.is_open:
            self._change(self._nothing, now=now)
            self._publish(TopologyClosedEvent, self._id)
        else:
            self._outbox.append(Act(SHOW, self._nothing))
        return True

    def reseeded(self, addresses: Iterable[Any], now: float) -> None:
        """The seeds were looked up again."""
        if self.is_open and not self.is_closed:
            self._change(reseeded(self._decided, addresses), now=now)

    def show(self, topology: TopologyDescription) -> list[Wakeable]:
        """Let others see a description; return who waits for that."""
        self.shown = topology
        waiters = list(self._waiters)
        self._waiters.clear()
        return waiters

    # -- checks -------------------------------------------------------------------------------------

    def begin_check(self, server: Watched, can_wait: bool, now: float) -> float | None:
        """Begin a check if it is due.

        Parameters:
            server: the server.
            can_wait: whether it can be asked to answer when something changes.
            now: the time.

        Returns:
            The seconds until it is: 0 if it begins now. ``None``: the server has left.
        """
        if server.gone:
            return None
        left = due(server, self._pulse, self._wanting > 0) - now
        if left > 0:
            return left
        hurried(server, self._pulse, now)
        if server.checking is not None:
            # Whoever made it was interrupted.
            text = f"the check of {server.address!r} was interrupted"
            self._publish_failure(server, ConnectionAbortedError(text), now)
        server.requested = server.retry = server.broken = False
        server.checking = now
        # To one that is unknown, everything is a change.
        server.awaited = can_wait and self._decided.servers[server.address].is_known
        self._publish(ServerHeartbeatStartedEvent, server.address, server.awaited)
        return 0.0

    def pause(self, server: Watched, now: float) -> float | None:
        """The seconds until the next check is due; ``None``: the server has left."""
        if server.gone:
            return None
        return max(due(server, self._pulse, self._wanting > 0) - now, 0.0)

    def succeeded(self, server: Watched, hello: Hello, sample: float | None, now: float) -> None:
        """A server has answered.

        Parameters:
            server: the server.
            hello: what it said.
            sample: the seconds that the answer took; ``None`` if it may have waited for a change.
            now: the time.
        """
        if server.gone or server.checking is None:
            return
        duration = now - server.checking
        self._publish(
            ServerHeartbeatSucceededEvent, duration, hello, server.address, server.awaited
        )
        if sample is not None:
            server.average = averaged(server.average, sample)
        before = self._decided.servers[server.address]
        after = ServerDescription(
            server.address, hello.server_type, server.average, hello, last_update=now
        )
        server.wait = 0.0 if self._pulse.waits else self._pulse.interval
        if server.awaited:
            # A server that answers at once though nothing has changed must not keep us busy.
            rash = before == after and duration < self._pulse.rest
            server.wait = self._pulse.rest - duration if rash else 0.0
        self._end_check(server, now)
        new = updated(self._decided, after)
        known = new.servers.get(server.address)
        if known is None or not known.is_known:
            # It is not believed: what it took counts no more than what it said, and there is no hurry.
            server.average = None
            server.wait = self._pulse.interval
        elif not server.ready:
            server.ready = True
            # Before anybody finds it.
            self._outbox.append(Act(READY, server))
        self._change(new, after, now)

    def failed(self, server: Watched, error: Exception, interrupt: bool, now: float) -> None:
        """A server has not answered, or not well.

        Parameters:
            server: the server.
            error: why.
            interrupt: break what is in use: nothing comes from there any more.
            now: the time.
        """
        if server.gone or server.checking is None:
            return
        self._publish_failure(server, error, now)
        server.retry = self._decided.servers[server.address].is_known
        server.wait = self._pulse.interval
        self._end_check(server, now)
        self._lose(server, error, now)
        self._clear(server, interrupt)

    def broken_off(self, server: Watched, error: Exception, now: float) -> None:
        """A check was broken off, since the server may be another by now: check again at once."""
        if server.gone or server.checking is None:
            return
        self._publish_failure(server, error, now)
        self._end_check(server, now)
        server.retry = True

    def measured(self, server: Watched, sample: float) -> None:
        """A hello took so many seconds, asked beside one that waits for a change."""
        if server.gone:
            return
        known = self._decided.servers[server.address]
        if known.is_known:
            server.average = averaged(server.average, sample)
            known = replace(known, round_trip_time=server.average)
            # Not by the rules of answers: what it said once may be outdated by what others said since.
            servers = {**self._decided.servers, server.address: known}
            self._decided = replace(self._decided, servers=servers)
            self._outbox.append(Act(SHOW, self._decided))

    def request(self, address: Any, everywhere: bool) -> list[Watched]:
        """Ask for a check of one server or of all; return those to be rung."""
        servers = self._servers.values()
        if not everywhere:
            servers = [each for each in servers if each.address == address]  # type: ignore[assignment]
        for server in servers:
            server.requested = True
        return list(servers)

    # -- operations ---------------------------------------------------------------------------------

    def want(self) -> list[Watched]:
        """Somebody finds no server that suits: check often until ``content``.

        Returns:
            The monitors to be rung for that.
        """
        self._wanting += 1
        return list(self._servers.values()) if self._wanting == 1 else []

    def content(self) -> None:
        """He has found one, or gives up."""
        self._wanting -= 1

    def linger(self, waiter: Wakeable, seen: TopologyDescription) -> bool:
        """Wait for another description than the one seen; false if there is one already."""
        if self.shown is not seen or self.is_closed:
            return False
        self._waiters[waiter] = None
        return True

    def desert(self, waiter: Wakeable) -> None:
        """Wait no longer."""
        self._waiters.pop(waiter, None)

    def choose(self, servers: Sequence[ServerDescription]) -> tuple[Watched, int] | None:
        """Choose one of several servers for an operation, and count that.

        Returns:
            The server and its generation; ``None`` if it has just left.
        """
        found = self._servers.get(chosen(servers, self.load, self._lot).address)
        if found is None:
            return None
        found.operations += 1
        return found, found.generation

    def load(self, address: Any) -> int:
        """How many operations a server has."""
        server = self._servers.get(address)
        return 0 if server is None else server.operations

    def finished(self, server: Watched) -> None:
        """An operation that has chosen a server is over."""
        server.operations -= 1

    def lost(
        self, server: Watched, generation: int, error: Exception, service: Any, now: float
    ) -> bool:
        """A connection to a server broke, or could not be opened.

        Parameters:
            server: the server.
            generation: that of the operation.
            error: what happened.
            service: the service it had reached; the others behind a load balancer may be well.
            now: the time.

        Returns:
            False: what it says is of before the last clear, or the server has left.
        """
        if server.gone or generation != server.generation:
            return False
        if self._decided.topology_type is TopologyType.LOAD_BALANCED:
            if service is not None:
                self._outbox.append(Act(CLEAR, server, (service, False)))
            return True
        self._lose(server, error, now)
        self._clear(server, False)
        self._hurry(server)
        return True

    def demoted(self, server: Watched, generation: int, error: Exception, now: float) -> bool:
        """A server says that it is not what it was; its connections are well."""
        if server.gone or generation != server.generation:
            return False
        if self._decided.topology_type is not TopologyType.LOAD_BALANCED:
            self._lose(server, error, now)
        self._hurry(server)
        return True

    # -- inside a transaction -----------------------------------------------------------------------

    def _publish_failure(self, server: Watched, error: Exception, now: float) -> None:
        assert server.checking is not None, "bug: there is no check that could fail"
        duration = now - server.checking
        self._publish(ServerHeartbeatFailedEvent, duration, error, server.address, server.awaited)

    def _end_check(self, server: Watched, now: float) -> None:
        server.checking = None
        server.ended = now

    def _lose(self, server: Watched, error: Exception, now: float) -> None:
        """Nothing is known of a server any more."""
        server.average = None
        unknown = ServerDescription(server.address, error=error, last_update=now)
        self._change(updated(self._decided, unknown), unknown, now)

    def _clear(self, server: Watched, interrupt: bool) -> None:
        if server.gone:
            return
        server.generation += 1
        server.ready = False
        self._outbox.append(Act(CLEAR, server, (None, interrupt)))

    def _hurry(self, server: Watched) -> None:
        """Have a server checked as soon as may be."""
        if not server.gone:
            server.requested = True
            server.broken = server.awaited and server.checking is not None
            self._outbox.append(Act(BREAK, server))

    def _change(
        self, new: TopologyDescription, cause: ServerDescription | None = None, now: float = inf
    ) -> None:
        """Tell what is different now, and have it shown.

        Parameters:
            new: what is known from now on.
            cause: the server that was checked, which is told of first, even if it leaves.
            now: the time.
        """
        old, self._decided = self._decided, new
        if new == old:
            # The round-trip times differ.
            self._outbox.append(Act(SHOW, new))
            return
        if cause is not None and cause.address in old.servers:
            self._describe(old, new.servers.get(cause.address, cause))
        unseated = []
        for address, server in new.servers.items():
            if address not in old.servers:
                self._join(address)
            elif cause is None or address != cause.address:
                self._describe(old, server)
                if old.servers[address].is_known and not server.is_known:
                    unseated.append(address)
            elif not server.is_known and cause.is_known:
                # It says that it is well, and is not believed.
                unseated.append(address)
        leaving = [
            self._leave(address, now) for address in old.servers if address not in new.servers
        ]
        self._publish(TopologyDescriptionChangedEvent, old, new, self._id)
        self._outbox.append(Act(SHOW, new))
        # Not before: who chooses it must find its pool.
        for gone in leaving:
            self._outbox.append(Act(REMOVE, gone))
        for address in unseated:
            self._unseat(self._servers[address], cause)

    def _unseat(self, server: Watched, cause: ServerDescription | None) -> None:
        """A server is known no more, though it has not failed: its connections are."""
        server.average = None
        self._clear(server, False)
        if cause is None or cause.address != server.address:
            self._hurry(server)

    def _describe(self, old: TopologyDescription, server: ServerDescription) -> None:
        before = old.servers[server.address]
        if before != server:
            self._publish(ServerDescriptionChangedEvent, before, server, server.address, self._id)

    def _join(self, address: Any) -> None:
        server = self._servers[address] = Watched(address)
        self._publish(ServerOpeningEvent, address, self._id)
        self._outbox.append(Act(ADD, server))

    def _leave(self, address: Any, now: float) -> Watched:
        server = self._servers.pop(address)
        if server.checking is not None:
            verb = "was closed" if self.is_closed else "no longer has this server"
            self._publish_failure(server, PoolClosedError(f"the topology {verb}"), now)
        server.gone = True
        self._publish(ServerClosedEvent, address, self._id)
        return server
