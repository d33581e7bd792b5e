"""One who plays the monitors and the operations of a topology's core by hand, and reads out what it tells."""

from collections.abc import Iterable
from typing import Any

from core.books import Waiter
from core.servers import drawn, hello

from pool import monitoring
from pool._core.outbox import ADD, BREAK, CLEAR, PUBLISH, READY, REMOVE, SHOW, Act
from pool._core.pulse import Pulse, Watched
from pool._core.topology import TopologyCore
from pool.descriptions import Hello

__all__ = ["SET", "Lookout", "replica_set"]

#: The replica set of ``replica_set``.
SET = "REPLICA_SET_WITH_PRIMARY a:PRIMARY b:SECONDARY"

#: An interval of 10 seconds, a rest of half a second, a timeout that the core does not look at.
PULSE = Pulse(10.0, 0.5, 99.0)


class Lookout:
    """A core, and what it tells.

    Parameters:
        seeds: where servers may be. It is opened, and what that tells is read, unless there are none.
        lots: the numbers that are drawn.
        waits: whether servers can be asked to answer when something changes.
    """

    def __init__(self, seeds: str = "", lots: Iterable[float] = (), waits: bool = False) -> None:
        self.core = TopologyCore("t", PULSE._replace(waits=waits), iter(lots).__next__)
        if seeds:
            assert self.core.open(seeds)
            self.told()

    def __getitem__(self, address: str) -> Watched:
        """A server that is a member."""
        server: Watched = self.core._servers[address]
        return server

    @property
    def decided(self) -> str:
        """What is known, whether it was told or not."""
        return drawn(self.core._decided)

    @property
    def shown(self) -> str:
        return drawn(self.core.shown)

    # -- what it tells -------------------------------------------------------------------------------

    def told(self) -> list[str]:
        """Do what there is to do, and say what that was."""
        lines = []
        if self.core.begin_speech("speaker"):
            act, hushed = self.core.next_act()
            while act is not None:
                assert hushed == []
                lines.append(self.perform(act))
                act, hushed = self.core.next_act()
        return lines

    def perform(self, act: Act) -> str:
        """Do one thing as the shell would, as far as the core is concerned."""
        what, about, values = act
        if what == PUBLISH:
            return read_out(about(*values))
        if what == SHOW:
            assert values == ()
            self.core.show(about)
            return f"show {drawn(about)}"
        if what == CLEAR:
            service, interrupt = values
            assert isinstance(interrupt, bool)
            service = "" if service is None else f" service {service}"
            return f"clear {about.address}{service}{' and interrupt' if interrupt else ''}"
        assert what in (ADD, READY, REMOVE, BREAK)
        assert values == ()
        return f"{what} {about.address}"

    # -- monitors ------------------------------------------------------------------------------------

    def begin(self, address: str, now: float, can_wait: bool = False) -> Watched:
        """Begin a check, which is due."""
        server = self[address]
        assert self.core.begin_check(server, can_wait, now) == 0.0
        return server

    def answer(
        self,
        address: str,
        kind: str,
        now: float,
        *hosts: str,
        took: float | None = 0.25,
        **more: Any,
    ) -> Hello:
        """Check a server, which answers."""
        said = hello(kind, *hosts, **more)
        server = self.begin(address, now - 0.25)
        self.core.succeeded(server, said, took, now)
        return said

    def fail(
        self, address: str, now: float, interrupt: bool = False, error: str = "refused"
    ) -> Watched:
        """Check a server, which fails."""
        server = self.begin(address, now - 0.25)
        self.core.failed(server, OSError(error), interrupt, now)
        return server

    def wait(self) -> Waiter:
        """Wait for a server."""
        waiter = Waiter()
        assert self.core.linger(waiter, self.core.shown) is True
        return waiter


def read_out(event: Any) -> str:
    """One event on one line, with all that it says."""
    assert getattr(event, "topology_id", "t") == "t"
    match event:
        case monitoring.TopologyOpenedEvent():
            return "opened"
        case monitoring.TopologyClosedEvent():
            return "closed"
        case monitoring.TopologyDescriptionChangedEvent():
            before, after = event.previous_description, event.new_description
            assert before != after
            return f"{drawn(before)} > {drawn(after)}"
        case monitoring.ServerOpeningEvent():
            return f"opening {event.server_address}"
        case monitoring.ServerClosedEvent():
            return f"closed {event.server_address}"
        case monitoring.ServerDescriptionChangedEvent():
            before, after = event.previous_description, event.new_description
            assert event.server_address == before.address == after.address
            assert before != after
            error = "" if after.error is None else f" {after.error!r}"
            return (
                f"{event.server_address} {before.server_type_name} > "
                f"{after.server_type_name}{error}"
            )
    awaited = " awaited" if event.awaited else ""
    match event:
        case monitoring.ServerHeartbeatStartedEvent():
            return f"started {event.connection_id}{awaited}"
        case monitoring.ServerHeartbeatSucceededEvent():
            says = event.reply.server_type.name
            return f"succeeded {event.connection_id} {event.duration} s{awaited}: {says}"
        case monitoring.ServerHeartbeatFailedEvent():
            return f"failed {event.connection_id} {event.duration} s{awaited}: {event.reply!r}"
    raise AssertionError(f"what is {event!r}?")


def replica_set(
    seeds: str = "ab", *hosts: str, term: int | None = None, waits: bool = False
) -> Lookout:
    """One whose servers are known: a is the primary, and b follows. All was told."""
    desk = Lookout(seeds, waits=waits)
    desk.answer("a", "PRIMARY", 1.0, *hosts, term=term)
    desk.answer("b", "SECONDARY", 1.0, *hosts)
    desk.told()
    return desk
