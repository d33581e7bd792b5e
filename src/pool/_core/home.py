"""One endpoint's part of the pool."""

from collections import OrderedDict
from collections.abc import Callable
from math import inf
from sys import maxsize
from typing import Any
from weakref import ref

from pool._core.records import PAST, Claim, Entry, Wakeable
from pool._core.states import IDLE, OPENING

__all__ = ["Home", "Totals"]

# The queue where nobody has ever waited: most of them, and an empty one has its size.
_NOBODY: OrderedDict[Claim, None] = OrderedDict()


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
        "__weakref__",
        "added",
        "audience",
        "bottom",
        "closing",
        "connecting",
        "crowded",
        "endpoint",
        "entries",
        "failures",
        "filling",
        "hidden",
        "hunger",
        "last_error",
        "last_id",
        "listed",
        "look",
        "lost",
        "marked",
        "owed",
        "queue",
        "ramp",
        "retry",
        "special",
        "state",
        "stock",
        "top",
        "turns",
        "warmers",
    )

    def __init__(self, endpoint: Any, lost: Callable[[Entry], None]) -> None:
        super().__init__()
        self.endpoint = endpoint
        self.lost = lost
        """What an entry calls whose owner has vanished."""
        self.state: str = OPENING
        self.added = False
        self.turns = 0
        """How many are about to publish and make a change of state: one, and listeners that call back."""
        self.audience: tuple[Wakeable, ...] = ()
        """Who waits for the turn."""
        self.entries: dict[int, ref[Entry]] = {}
        # The idle ones are a chain through their ``next``: cheaper than any container, in time and space.
        # One that ceases to be idle in its middle stays there, hidden, until it is passed.
        self.top: Entry | None = None
        """The entry that goes first."""
        self.bottom: ref[Entry] | None = None
        """The one that goes last, kept only where entries are added there."""
        self.hidden = 0
        self.closing = 0
        self.stock = 0
        """How many are open, and not being closed."""
        self.marked = 0
        """How many are marked, so that they need a look when they come back."""
        self.crowded = False
        """Whether more entries than ``max_size`` would stay, since that was made smaller."""
        self.special = False
        """Whether a connection that comes back may not simply go on top of the idle ones."""
        # An OrderedDict gives up a place in its middle in constant time, which a deque does not, and its
        # first one too, which a dict does not once many before it have left.
        self.queue = _NOBODY
        self.hunger = 0
        """How many of its queue could connect if there were room in the pool."""
        self.listed: int | None = None
        """The ticket under which it stands among the hungry."""
        self.connecting = 0
        self.filling = 0
        """How many of those the upkeep opens."""
        self.failures = 0
        """Failed connects since the last good one."""
        self.retry = PAST
        """When the upkeep may try to connect again."""
        self.ramp = maxsize
        """How many the upkeep may open at once."""
        self.owed = 0
        """How many to replace that were found dead in the background."""
        self.warmers: tuple[Wakeable, ...] = ()
        """Who waits until it is filled."""
        self.look = inf
        """When the upkeep will look at it next."""
        self.last_id = 0
        self.last_error: tuple[BaseException, float] | None = None

    @property
    def ref(self) -> "ref[Home]":
        """A weak reference: the same one to all who ask."""
        return ref(self)

    def join(self, claim: Claim, first: bool) -> None:
        """Add a caller to the queue (``first``: before all others)."""
        if self.queue is _NOBODY:
            self.queue = OrderedDict()
        self.queue[claim] = None
        if first:
            self.queue.move_to_end(claim, last=False)

    def pop(self) -> Entry | None:
        """Take the idle entry that goes first, if there is one."""
        entry = self.top
        while entry is not None:
            self.top = entry.next
            entry.next = None
            self.unhide(entry)
            if entry.state is IDLE:
                return entry
            entry = self.top
        return None

    def push_last(self, entry: Entry) -> None:
        """Add an idle entry to go last, where all are added so."""
        entry.next = None
        last = None if self.top is None or self.bottom is None else self.bottom()
        if last is None:
            self.top = entry
        else:
            last.next = entry
        self.bottom = entry.ref

    def hide(self, entry: Entry) -> None:
        """Keep an entry that stands among the idle from being lent at sight."""
        entry.until = PAST
        if not entry.hidden:
            entry.hidden = True
            self.hidden += 1
            if self.hidden > len(self.entries) + 8:
                self.sweep()

    def unhide(self, entry: Entry) -> bool:
        """Undo ``hide``; return whether the entry still stands there."""
        if entry.hidden:
            entry.hidden = False
            self.hidden -= 1
            return True
        return False

    def sweep(self) -> None:
        """Leave only what is idle among the idle."""
        entry = self.top
        self.top = self.bottom = None
        while entry is not None:
            after = entry.next
            entry.next = None
            if entry.state is IDLE:
                self.push_last(entry)
            else:
                self.unhide(entry)
            entry = after

    def idle(self) -> list[Entry]:
        """The idle entries, first to last."""
        chain = []
        entry = self.top
        while entry is not None:
            if entry.state is IDLE:
                chain.append(entry)
            entry = entry.next
        return chain

    def every(self) -> list[Entry]:
        """All entries."""
        return [entry for known in self.entries.values() if (entry := known()) is not None]

    def __repr__(self) -> str:
        states = [entry.state for entry in self.every()]
        counts = " ".join(f"{state}={states.count(state)}" for state in sorted(set(states)))
        waiting = len(self.queue)
        return f"<Home {self.endpoint!r} {self.state} {waiting=} {counts}".rstrip() + ">"
