"""The one listener of both pools: counts events and notes how long callers waited.

It need not know which pool an event comes from, or from which world: each event names the address it is
about, and each world has a server of its own.
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Hashable
from math import ceil
from typing import Any

from pool import monitoring
from pool.monitoring import ConnectionCheckedOutEvent, Event

POOL_EVENTS: tuple[type[Event], ...] = (
    monitoring.PoolCreatedEvent,
    monitoring.PoolReadyEvent,
    monitoring.ConnectionCheckOutStartedEvent,
    monitoring.ConnectionCreatedEvent,
    monitoring.ConnectionReadyEvent,
    monitoring.ConnectionCheckedOutEvent,
    monitoring.ConnectionCheckOutFailedEvent,
    monitoring.ConnectionCheckedInEvent,
    monitoring.PoolClearedEvent,
    monitoring.ConnectionClosedEvent,
    monitoring.PoolClosedEvent,
)
"""All events a pool without ``leak_threshold`` publishes, in the order of a connection's life."""


class Tally:
    """Counts the events of any number of pools, per address.

    Attributes:
        listener: what to give to the pools.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: defaultdict[Hashable, Counter[type[Event]]] = defaultdict(Counter)
        self._waits: defaultdict[Hashable, list[float]] = defaultdict(list)
        self.listener = monitoring.on(self._note, *POOL_EVENTS)

    def counts(self, address: Hashable) -> Counter[type[Event]]:
        """Return how many events of each class told of this address."""
        with self._lock:
            return Counter(self._counts[address])

    def waits(self, address: Hashable) -> list[float]:
        """Return the seconds that each successful check-out took, shortest first."""
        with self._lock:
            return sorted(self._waits[address])

    def _note(self, event: Any) -> None:
        with self._lock:
            self._counts[event.address][type(event)] += 1
            if isinstance(event, ConnectionCheckedOutEvent) and event.duration is not None:
                self._waits[event.address].append(event.duration)


def percentile(ascending: list[float], share: float) -> float:
    """Return the value that ``share`` of all values do not exceed; 0 if there are none."""
    return ascending[max(0, ceil(share * len(ascending)) - 1)] if ascending else 0.0
