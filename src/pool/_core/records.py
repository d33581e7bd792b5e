"""The records that the core keeps: one per connection, per caller and per endpoint.

An ``Entry`` lives from the permit to connect until its connection is closed, and counts against
``max_size`` all that time. A ``Claim`` is one caller's demand: it holds a place in a queue, or a permit
(an entry that is connecting), or a connection (an entry in use), never two of them.

States of an entry, and who owns it there::

    CONNECTING  a claim     it may call create; ends in opened() or in abandon()
    VETTING     a claim     open, but to be checked or prepared first; ends in confirm(), dead(), abandon()
    IN_USE      a claim     leased; ends in check_in() or end()
    RELEASING   a releaser  the lease has ended, hooks may run; ends in put() or doom()
    IDLE        the core    waits for the next claim
    CLOSING     a closer    being disposed of; ends in closed()
"""

from collections import OrderedDict
from collections.abc import Hashable
from types import CodeType
from typing import Any, Final, Protocol

__all__ = [
    "CLEARED",
    "CLOSED",
    "CLOSING",
    "CONNECTING",
    "GRANTED",
    "HELD",
    "IDLE",
    "IN_USE",
    "NOTHING",
    "OPENING",
    "OVERLOADED",
    "PAUSED",
    "READY",
    "RELEASING",
    "REMOVED",
    "TIMEOUT",
    "UNKNOWN",
    "VETTING",
    "WAITING",
    "Claim",
    "Effects",
    "Entry",
    "Home",
    "Totals",
    "Wakeable",
]

# States of an entry.
CONNECTING: Final = "connecting"
VETTING: Final = "vetting"
IN_USE: Final = "in use"
RELEASING: Final = "releasing"
IDLE: Final = "idle"
CLOSING: Final = "closing"

#: The states in which somebody else than the pool works with the connection.
HELD: Final = frozenset({VETTING, IN_USE, RELEASING})

# States of an endpoint.
OPENING: Final = "opening"  # known, but its creation is not published yet: callers queue meanwhile
READY: Final = "ready"
PAUSED: Final = "paused"
REMOVED: Final = "removed"  # waits for its last leases to end

# Verdicts on a claim.
GRANTED: Final = "granted"
WAITING: Final = "waiting"
TIMEOUT: Final = "timeout"
OVERLOADED: Final = "overloaded"
CLEARED: Final = "cleared"
CLOSED: Final = "closed"
UNKNOWN: Final = "unknown"


class _Nothing:
    """The connection of an entry that has none yet; any value of the user's is a connection."""

    def __repr__(self) -> str:
        return "<no connection>"


NOTHING: Final = _Nothing()


class Wakeable(Protocol):
    """What a caller waits on. The core only hands it on, to be woken outside."""

    def wake(self) -> None: ...

    def wait(self, seconds: float | None) -> Any: ...


class Entry:
    """One connection's record."""

    __slots__ = (
        "begun",
        "code",
        "connection",
        "doomed",
        "evicted",
        "home",
        "id",
        "instruction",
        "limit",
        "next",
        "ready",
        "service",
        "services",
        "since",
        "state",
        "uses",
    )

    def __init__(self, home: "Home", number: int, now: float) -> None:
        self.home = home
        self.id = number
        self.state: str = CONNECTING
        self.connection: Any = NOTHING
        self.since = now
        """When it entered its present state; for VETTING, when it was last used."""
        self.next: Entry | None = None
        """The idle entry that goes after this one."""
        self.uses = 0
        self.doomed: str = ""
        """Why it will be closed when it comes back, a ``ConnectionClosedReason``; empty if it will not."""
        self.begun = False
        """Whether its creation was published, so that its end must be too."""
        self.ready = False
        """Whether it became ready, so that it counts as created and, one day, as closed."""
        self.evicted = False
        """Whether a clear that pauses overtook it."""
        self.service: Hashable | None = None
        self.services: set[Hashable] | None = None
        """The services cleared while it was connecting, when its own was not known yet."""
        self.limit: Any = None
        """The time limit of its ``create``, so that an interrupt can break it off."""
        self.code: CodeType | None = None
        self.instruction = 0

    def __repr__(self) -> str:
        return f"<Entry #{self.id} {self.state} uses={self.uses} doomed={self.doomed}>"


class Claim:
    """One caller's demand for a connection: the base of a lease."""

    __slots__ = (
        "code",
        "ended",
        "endpoint",
        "entry",
        "instruction",
        "since",
        "turn",
        "verdict",
        "waiter",
    )

    endpoint: Any
    entry: Entry | None
    ended: int
    """The id of the connection it held once it has ended, 0 before."""
    code: CodeType
    instruction: int
    waiter: Wakeable
    since: float
    """When it joined the queue."""
    verdict: str


class Totals:
    """The running totals of one endpoint, or of all that were forgotten.

    ``acquired`` counts the checkouts of connections that are gone; those of the others are their ``uses``.
    """

    __slots__ = (
        "acquired",
        "closed",
        "created",
        "errors",
        "timeouts",
        "use_time",
        "wait_time",
    )

    def __init__(self) -> None:
        self.created = self.closed = self.acquired = 0
        self.timeouts = self.errors = 0
        self.wait_time = self.use_time = 0.0

    def add(self, other: "Totals") -> None:
        for name in Totals.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Home(Totals):
    """One endpoint's part of the pool: its entries, its idle ones, its queue.

    While it is ready: whoever is in the queue finds nothing idle. While it is not: nothing is idle.
    """

    __slots__ = (
        "added",
        "audience",
        "bottom",
        "closing",
        "connecting",
        "crowded",
        "endpoint",
        "entries",
        "last_error",
        "last_id",
        "queue",
        "special",
        "state",
        "top",
        "turns",
    )

    def __init__(self, endpoint: Any) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.state: str = OPENING
        self.added = False
        self.turns = 0
        """How many are about to publish and make a change of state: one, and listeners that call back."""
        self.audience: list[Wakeable] = []
        """Who waits for the turn."""
        self.entries: dict[int, Entry] = {}
        # The idle ones are a chain through their ``next``: cheaper than any container, in time and space.
        self.top: Entry | None = None
        """The idle entry that goes first."""
        self.bottom: Entry | None = None
        """The one that goes last, kept only where entries are added there."""
        self.closing = 0
        self.crowded = False
        """Whether more entries than ``max_size`` would stay, since that was made smaller."""
        self.special = False
        """Whether a connection that comes back may not simply go on top of the idle ones."""
        # An OrderedDict gives up a place in its middle in constant time, which a deque does not, and its
        # first one too, which a dict does not once many before it have left.
        self.queue: OrderedDict[Claim, None] = OrderedDict()
        self.connecting = 0
        self.last_id = 0
        self.last_error: tuple[BaseException, float] | None = None

    def pop(self) -> Entry:
        """Take the idle entry that goes first, which must be there."""
        entry = self.top
        assert entry is not None, "bug: nothing is idle"
        self.top = entry.next
        entry.next = None
        return entry

    def push_last(self, entry: Entry) -> None:
        """Add an idle entry to go last, where all are added so."""
        entry.next = None
        if self.top is None or self.bottom is None:
            self.top = entry
        else:
            self.bottom.next = entry
        self.bottom = entry

    def sweep(self) -> None:
        """Leave only what is idle among the idle."""
        chain = self.idle()
        self.top = self.bottom = None
        for entry in chain:
            if entry.state is IDLE:
                self.push_last(entry)

    def idle(self) -> list[Entry]:
        """The idle entries, first to last."""
        chain = []
        entry = self.top
        while entry is not None:
            chain.append(entry)
            entry = entry.next
        return chain

    def __repr__(self) -> str:
        states = [entry.state for entry in self.entries.values()]
        counts = " ".join(f"{state}={states.count(state)}" for state in sorted(set(states)))
        return f"<Home {self.endpoint!r} {self.state} waiting={len(self.queue)} {counts}>".strip()


class Effects:
    """What must be done after a decision, outside the guard: publish, then wake, then close."""

    __slots__ = ("close", "interrupt", "shut", "wake")

    def __init__(self) -> None:
        self.close: list[Entry] = []
        """Now ``CLOSING``: publish each one's end, dispose of it, then call ``closed``."""
        self.shut: list[Any] = []
        """Endpoints whose part was closed: to be published after the closes."""
        self.wake: list[Wakeable] = []
        self.interrupt: list[Entry] = []
        """In use or connecting, and to be broken off."""
