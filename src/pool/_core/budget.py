"""Room for connections over all endpoints (``total_max_size``), and who is to have it.

A home is *hungry* while callers in its queue could connect if only there were room in the pool. Room that
becomes free goes to the oldest of them. There is a *demand* for as many places as there are such callers;
what is being closed will meet it in part, and for the rest idle connections must go: those that were used
least recently. While there are not enough of them the pool is *pressed*: what comes back does not become
idle, but makes room.

Both the hungry and the idle are found through heaps that are lazy in the same way as the agenda, so that
nothing of this costs anything where connections are lent and come back.
"""

from heapq import heapify, heappop, heappush
from sys import maxsize
from weakref import ref

from pool._core.home import Home
from pool._core.records import Entry
from pool._core.states import CHECKING, CLOSING, GONE, IDLE, READY, VETTING
from pool.options import PoolOptions

__all__ = ["Budget", "bound"]


class Budget:
    """The sizes of one pool, and the moves that share its room out."""

    __slots__ = (
        "_barren",
        "_closing",
        "_demand",
        "_hungry",
        "_max_connecting",
        "_max_size",
        "_most_hungry",
        "_most_ranks",
        "_number",
        "_pressed",
        "_ranks",
        "_size",
        "_total",
    )

    def __init__(self, options: PoolOptions) -> None:
        self._max_connecting = options.max_connecting
        self._max_size = bound(options.max_size)
        self._total = bound(options.total_max_size)
        self._size = 0
        """All entries."""
        self._closing = 0
        """Those that are being closed: room that will be free."""
        self._demand = 0
        self._pressed = False
        self._barren = False
        """Whether nothing was idle when it was last looked for, and nothing has become so since."""
        self._number = 0
        self._hungry: list[tuple[int, int, ref[Home]]] = []
        """By the ticket of the first in the queue."""
        self._most_hungry = 64
        self._ranks: list[tuple[float, int, ref[Entry]]] = []
        """By a time before which the entry was in use."""
        self._most_ranks = 64

    def _weigh(self, home: Home) -> None:
        """Take note of how hungry a home is: to be called when its queue or its sizes change."""
        hunger = 0
        if home.queue and home.state is READY and self._total < maxsize:
            places = self._max_size - len(home.entries)
            permits = self._max_connecting - home.connecting
            hunger = max(min(len(home.queue), places, permits), 0)
        if hunger:
            ticket = next(iter(home.queue)).ticket
            if home.listed != ticket:
                home.listed = ticket
                self._list(home, ticket)
        self._demand += hunger - home.hunger
        home.hunger = hunger
        self._press()

    def _press(self) -> None:
        pressed = self._demand > self._closing or self._size - self._closing > self._total
        if self._pressed and not pressed:
            self._barren = False
        self._pressed = pressed

    def _list(self, home: Home, ticket: int) -> None:
        self._number += 1
        heappush(self._hungry, (ticket, self._number, home.ref))
        if len(self._hungry) > self._most_hungry:
            self._hungry = [
                node for node in self._hungry if (known := node[2]()) and known.listed == node[0]
            ]
            heapify(self._hungry)
            self._most_hungry = max(2 * len(self._hungry), 64)

    def _hungriest(self) -> Home | None:
        """The home where the oldest of all waits who could connect if there were room."""
        while self._hungry:
            ticket, _, known = self._hungry[0]
            home = known()
            if home is not None and home.listed == ticket:
                if home.hunger and next(iter(home.queue)).ticket == ticket:
                    return home
                home.listed = None
            heappop(self._hungry)
        return None

    def _owes(self, home: Home) -> bool:
        """Whether somebody at another endpoint must have what comes back to this one."""
        if not self._pressed:
            return False
        return self._size - self._closing > self._total or self._defers(home)

    def _defers(self, home: Home) -> bool:
        """Whether somebody at another endpoint has waited longer for room than all at this one."""
        oldest = self._hungriest()
        return oldest is not None and (
            not home.queue or next(iter(oldest.queue)).ticket < next(iter(home.queue)).ticket
        )

    def _rank(self, entry: Entry, since: float) -> None:
        """Note that an entry was in use at a time, or later."""
        if self._total < maxsize:
            entry.ranked = True
            self._number += 1
            heappush(self._ranks, (since, self._number, entry.ref))
            if len(self._ranks) > self._most_ranks:
                self._ranks = [node for node in self._ranks if _lives(node[2]())]
                heapify(self._ranks)
                self._most_ranks = max(2 * len(self._ranks), 64)

    def _mark(self, entry: Entry) -> None:
        """See to it that an entry is looked at when it comes back."""
        if not entry.marked:
            entry.marked = True
            entry.home.marked += 1
            entry.home.special = True

    def _idlest(self) -> Entry | None:
        """The idle entry that was used least recently, no longer ranked; none if nothing is idle."""
        busy = []
        found = None
        while found is None and self._ranks:
            since, number, known = heappop(self._ranks)
            entry = known()
            if entry is None or not _lives(entry):
                continue
            if entry.state in (VETTING, CHECKING):
                # To be looked at is not to be used.
                busy.append((max(since, entry.since), number, known))
            elif entry.state is not IDLE:
                # Not asked about again before it comes back.
                entry.ranked = False
                self._mark(entry)
            elif entry.since > since:
                heappush(self._ranks, (entry.since, number, known))
            else:
                found = entry
        for node in busy:
            heappush(self._ranks, node)
        self._barren = found is None
        return found


def bound(limit: int | None) -> int:
    """An optional limit as a number to compare with."""
    return maxsize if limit is None else limit


def _lives(entry: Entry | None) -> bool:
    return entry is not None and entry.state is not CLOSING and entry.state is not GONE
