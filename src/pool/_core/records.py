"""The records that the core keeps: one per connection and one per caller.

An ``Entry`` lives from the permit to connect until its connection is closed, and counts against
``max_size`` all that time. A ``Claim`` is one caller's demand: it holds a place in a queue, or a permit
(an entry that is connecting), or a connection (an entry in use), never two of them.

**Its owner alone keeps an entry alive.** A home knows its entries only weakly. If an owner vanishes without
giving his entry back, a lease that was garbage-collected for one, the entry's finalizer tells the core.
"""

from collections.abc import Hashable, Sequence
from math import inf
from types import CodeType
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar
from weakref import ref

from pool._core.states import CHECKING, CONNECTING, IN_USE, OWED, VETTING

if TYPE_CHECKING:
    from pool._core.home import Home

__all__ = ["NOTHING", "PAST", "Claim", "Effects", "Entry", "Filler", "Wakeable"]

T = TypeVar("T")


class _Nothing:
    """The connection of an entry that has none yet; any value of the user's is a connection."""

    def __repr__(self) -> str:
        return "<no connection>"


NOTHING: Final = _Nothing()

#: Before all times. One for all: a number takes as much memory as three references to it.
PAST: Final = -inf


class Wakeable(Protocol):
    """What a caller waits on. The core only hands it on, to be woken outside."""

    def wake(self) -> None: ...

    def wait(self, seconds: float | None) -> Any: ...


class Aside(Generic[T]):
    """What hardly any entry has at any time: kept aside while it is not the default."""

    __slots__ = ("_default", "_name")

    def __init__(self, default: T) -> None:
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, entry: "Entry", owner: type) -> T:
        aside = entry.aside
        return self._default if aside is None else aside.get(self._name, self._default)

    def __set__(self, entry: "Entry", value: T) -> None:
        if value is not self._default:
            if entry.aside is None:
                entry.aside = {}
            entry.aside[self._name] = value
        elif entry.aside is not None:
            entry.aside.pop(self._name, None)
            entry.aside = entry.aside or None


class Entry:
    """One connection's record. There are many: what is rare is kept ``Aside``."""

    __slots__ = (
        "__weakref__",
        "aside",
        "begun",
        "checked",
        "code",
        "connection",
        "doomed",
        "expires",
        "gap",
        "hidden",
        "home",
        "id",
        "instruction",
        "lent",
        "look",
        "marked",
        "next",
        "owner",
        "ranked",
        "ready",
        "service",
        "since",
        "stack",
        "state",
        "suspect",
        "until",
        "uses",
        "watched",
    )

    fill = Aside(False)
    """Whether the upkeep opens it, for nobody yet."""
    optional = Aside(False)
    """Whether its opener could do without: there are others that he may share."""
    evicted = Aside(False)
    """Whether a clear that pauses overtook it."""
    services: Aside[set[Hashable] | None] = Aside(None)
    """The services cleared while it was connecting, when its own was not known yet."""
    limit: Aside[Any] = Aside(None)
    """The time limit of its ``create``, so that an interrupt can break it off."""
    telling = Aside(False)
    """Whether somebody tells that it is held too long. Whoever ends the lease leaves the rest to him."""
    left: Aside[tuple[bool, bool] | None] = Aside(None)
    """What that one left: whether the connection is fit for use, and whether a hook failed."""
    number: Aside[int | None] = Aside(None)
    """What the server calls the connection, where it was asked."""
    lost_in: Aside[str] = Aside("")
    """In which state its owner has vanished."""
    mourned = Aside(False)
    """Whether its end was published, though its disposal may have been abandoned."""
    warned = Aside(False)
    """Whether its finalizer warns that its lease was lost."""

    def __init__(self, home: "Home", number: int, now: float) -> None:
        self.home = home
        self.id = number
        self.aside: dict[str, Any] | None = None
        self.state: str = CONNECTING
        self.connection: Any = NOTHING
        self.since = now
        """When it entered its present state; for VETTING and CHECKING, when it was last used."""
        self.next: Entry | None = None
        """The idle entry that goes after this one."""
        self.hidden = False
        """Whether it stands among the idle ones though it may not be lent at sight."""
        self.until = PAST
        """Until when it may be lent at sight for certain, the past if that must be found out."""
        self.expires = inf
        """When it is to be retired, used or not."""
        self.suspect = False
        """Whether it must be checked before its next use, however short it was idle."""
        self.checked = now
        """When it was opened, or when the last check in the background began or ended."""
        self.gap = inf
        """Seconds without use or check until the next check in the background."""
        self.look = inf
        """When the upkeep will look at it next."""
        self.uses = 0
        self.doomed: str = ""
        """Why it will be closed when it comes back, a ``ConnectionClosedReason``; empty if it will not."""
        self.marked = False
        """Whether it must not simply go on top of the idle ones when it comes back."""
        self.ranked = True
        """Whether its last use is known where the longest idle is looked for."""
        self.begun = False
        """Whether its creation was published, so that its end must be too."""
        self.ready = False
        """Whether it became ready, so that it counts as created and, one day, as closed."""
        self.service: Hashable | None = None
        self.lent = now
        """When it was given to the one who vets it."""
        self.owner: Any = None
        """Who has it, as the runtime tells callers apart."""
        self.code: CodeType | None = None
        self.instruction = 0
        self.stack: Any = None
        """The calls that led to its lease, where leaks are looked for."""
        self.watched = False
        """Whether its lease is to be reported once it is held too long."""

    @property
    def ref(self) -> "ref[Entry]":
        """A weak reference: the same one to all who ask."""
        return ref(self)

    def leases(self) -> "Sequence[Entry]":
        """What somebody may hold of it: itself, or its shares."""
        return (self,)

    def tally(self) -> tuple[int, int]:
        """Return how often it was leased, and how many of these leases last."""
        # A connection that is vetted was counted as used already, but is not leased yet.
        return self.uses - (self.state is VETTING), int(self.state is IN_USE)

    def held_since(self) -> float:
        """When its present holder got it."""
        # These two keep the time of their last use in ``since``.
        if self.state is VETTING:
            return self.lent
        return self.checked if self.state is CHECKING else self.since

    def is_doubtful(self, now: float, after: float) -> bool:
        """Whether whoever has been given it must check it (``after``: so many seconds of idleness)."""
        return self.suspect or not after or now - self.since > after

    def __del__(self) -> None:
        if self.state in OWED:
            # A garbage collection may have cut the reference already.
            self.home.entries[self.id] = ref(self)
            self.home.lost(self)

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
        "owner",
        "since",
        "stack",
        "ticket",
        "verdict",
        "waiter",
    )

    endpoint: Any
    entry: Entry | None
    ended: int
    """The id of the connection it held once it has ended, 0 before."""
    code: CodeType | None
    instruction: int
    owner: Any
    """Who asks. Known, as ``stack``, while it is acquired the long way."""
    stack: Any
    waiter: Wakeable
    since: float
    """When it joined the queue."""
    ticket: int
    """Its place among all that wait in the pool: the smaller goes first."""
    verdict: str


class Filler(Claim):
    """The upkeep's demand for one more connection, to be idle."""

    __slots__ = ()

    def __init__(self, endpoint: Any) -> None:
        self.endpoint = endpoint
        self.entry = None
        self.ended = 0
        self.code = None
        self.instruction = 0
        self.owner = None
        self.stack = None


class Effects:
    """What must be done after a decision, outside the guard: publish, then wake, then close."""

    __slots__ = ("close", "deadlock", "interrupt", "lost", "ring", "shut", "wake")

    def __init__(self) -> None:
        self.close: list[Entry] = []
        """Now ``CLOSING``: publish each one's end, dispose of it, then call ``closed``."""
        self.lost: list[Entry] = []
        """Of those, the ones whose leases have vanished."""
        self.shut: list[Any] = []
        """Endpoints whose part was closed: to be published after the closes."""
        self.wake: list[Wakeable] = []
        self.interrupt: list[Entry] = []
        """In use or connecting, and to be broken off."""
        self.ring = False
        """Whether the upkeep must look again at what is due when."""
        self.deadlock: Any = None
        """Who waits for whom, if everybody waits for each other now."""

    def __bool__(self) -> bool:
        return bool(
            self.close
            or self.wake
            or self.shut
            or self.interrupt
            or self.lost
            or self.ring
            or self.deadlock
        )
