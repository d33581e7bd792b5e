"""When a server is checked next, and how its round-trip times are averaged: the rules of heartbeats.

They are those of MongoDB's specification of server monitoring: a server is checked every *interval*, counted
from the end of the last check; sooner if somebody asks for it, yet never less than a *rest* after the last
one; at once, for a single time, when a server that was known fails; and at once after an awaited answer.
"""

from math import inf
from typing import Any, Final, NamedTuple

__all__ = ["Pulse", "Watched", "averaged", "due", "hurried"]

# How many checks may follow each other without a rest: changes come in groups. A server that fails as soon as
# it answers, or answers without a change, must not keep us busy.
_BURST: Final = 5

# Of the exponentially weighted average, as the specification demands.
_WEIGHT: Final = 0.2


class Pulse(NamedTuple):
    """The times of heartbeats, in seconds.

    Attributes:
        interval: from the end of a check to the next one.
        rest: the least of that, if somebody asks for a check.
        timeout: for a check.
        waits: whether a server that is known can be asked to answer when something changes.
    """

    interval: float
    rest: float
    timeout: float
    waits: bool = False


class Watched:
    """A server of the topology, as the core keeps it."""

    __slots__ = (
        "address",
        "average",
        "awaited",
        "broken",
        "checking",
        "ended",
        "generation",
        "gone",
        "haste",
        "monitor",
        "operations",
        "ready",
        "requested",
        "retry",
        "wait",
    )

    def __init__(self, address: Any) -> None:
        self.address = address
        self.average: float | None = None
        """Seconds that a hello takes."""
        self.checking: float | None = None
        """When the check that goes on began."""
        self.awaited = False
        """Whether that waits for a change."""
        self.broken = False
        """Whether that is to be broken off: the server may be another by now."""
        self.ended = -inf
        """When the last check ended."""
        self.wait = 0.0
        """Seconds from then until the next one, if nobody asks for it."""
        self.requested = False
        """Whether somebody asked for a check."""
        self.retry = False
        """Whether it has just failed, and was known before."""
        self.ready = False
        """Whether its pool was made ready, and not cleared since."""
        self.generation = 0
        """How often its pool was cleared."""
        self.haste = _BURST
        """How many checks may begin before a rest is over."""
        self.operations = 0
        """How many operations chose it and go on."""
        self.gone = False
        """Whether it has left the topology."""
        self.monitor: Any = None
        """What checks it: the shell's."""

    def __repr__(self) -> str:
        return f"<Watched {self.address!r} operations={self.operations} gone={self.gone}>"


def averaged(average: float | None, sample: float) -> float:
    """Return the average round-trip time after one more."""
    return sample if average is None else _WEIGHT * sample + (1 - _WEIGHT) * average


def due(server: Watched, pulse: Pulse, wanted: bool) -> float:
    """Return when a server is to be checked.

    Parameters:
        server: the server.
        pulse: the times of heartbeats.
        wanted: whether somebody waits for a server that suits.
    """
    wait = 0.0 if server.retry else server.wait
    if server.requested or wanted:
        wait = min(wait, pulse.rest)
    if wait < pulse.rest and server.haste <= 0:
        wait = pulse.rest
    return server.ended + wait


def hurried(server: Watched, pulse: Pulse, now: float) -> None:
    """A check begins: note whether there was a rest before it."""
    server.haste = _BURST if now - server.ended >= pulse.rest else server.haste - 1
