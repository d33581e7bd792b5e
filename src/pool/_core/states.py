"""The states of a connection's record and of an endpoint, and the verdicts on a caller's demand.

States of an entry, and who owns it there::

    CONNECTING  a claim     it may call create; ends in opened() or in abandon()
    VETTING     a claim     open, but to be checked or prepared first; ends in confirm(), dead(), abandon()
    IN_USE      a claim     leased; ends in check_in() or end()
    SHARED      the core    of a connection that many use at once: has shares, which are in use
    RELEASING   a releaser  the lease has ended, hooks may run; ends in put() or doom()
    IDLE        the core    waits for the next claim
    CHECKING    the upkeep  being checked in the background; ends in checked()
    CLOSING     a closer    being disposed of; ends in closed()
    GONE        nobody      closed, or never opened
"""

from typing import Final

__all__ = [
    "CHECKING",
    "CLEARED",
    "CLOSED",
    "CLOSING",
    "CONNECTING",
    "FORKED",
    "GONE",
    "GRANTED",
    "HELD",
    "IDLE",
    "IN_USE",
    "OPENING",
    "OVERLOADED",
    "OWED",
    "PAUSED",
    "READY",
    "RELEASING",
    "REMOVED",
    "SHARED",
    "TIMEOUT",
    "UNKNOWN",
    "VETTING",
    "WAITING",
]

# States of an entry.
CONNECTING: Final = "connecting"
VETTING: Final = "vetting"
IN_USE: Final = "in use"
SHARED: Final = "shared"
RELEASING: Final = "releasing"
IDLE: Final = "idle"
CHECKING: Final = "checking"
CLOSING: Final = "closing"
GONE: Final = "gone"
FORKED: Final = "forked"  # belongs to the process from which this one was forked

#: The states in which somebody works with the connection.
HELD: Final = frozenset({VETTING, IN_USE, SHARED, RELEASING, CHECKING})

#: The states in which somebody owes it to the pool.
OWED: Final = HELD - {SHARED} | {CONNECTING, CLOSING}

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
