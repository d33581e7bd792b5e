"""Topologies of many servers that are all known, in either world, behind one face.

Several entries are one topology, which is asked in several ways.
"""

from abc import ABC, abstractmethod
from random import Random

from benchmarks.fakes import Endpoint

SET_NAME = "rs"

WINDOW = 0.015
"""Seconds: the default latency window, of PyMongo as well."""


def members(count: int) -> dict[Endpoint, float]:
    """Return the servers with their round-trip times, always the same; the first is the primary.

    The times are such that about half of the servers are within the latency window.
    """
    random = Random(4)
    return {
        (f"host-{i}.example.org", 7000): random.uniform(0.001, 0.001 + 2 * WINDOW)
        for i in range(count)
    }


def fit(servers: dict[Endpoint, float]) -> set[Endpoint]:
    """Return the secondaries within the latency window."""
    _, *secondaries = servers
    longest = min(servers[each] for each in secondaries) + WINDOW
    return {each for each in secondaries if servers[each] <= longest}


class AsyncMembers(ABC):
    """A topology that knows its servers.

    Parameters:
        count: how many there are.
    """

    codes: dict[str, str]
    """How its users select a server, by the key of the entry."""

    def __init__(self, count: int) -> None:
        self.servers = members(count)

    @abstractmethod
    async def setup(self) -> None:
        """Make the topology, and wait until it knows everything."""

    @abstractmethod
    async def select(self, key: str, n: int) -> Endpoint | None:
        """Select a server ``n`` times in the way of that entry; return the last one's address."""

    @abstractmethod
    async def teardown(self) -> None:
        """Close the topology."""


class SyncMembers(ABC):
    """The same for threads."""

    codes: dict[str, str]

    def __init__(self, count: int) -> None:
        self.servers = members(count)

    @abstractmethod
    def setup(self) -> None: ...

    @abstractmethod
    def select(self, key: str, n: int) -> Endpoint | None: ...

    @abstractmethod
    def teardown(self) -> None: ...


class Threaded(AsyncMembers):
    """A sync topology, driven like an async one."""

    def __init__(self, topology: SyncMembers) -> None:
        self.topology = topology
        self.codes = topology.codes
        self.servers = topology.servers

    async def setup(self) -> None:
        self.topology.setup()

    async def select(self, key: str, n: int) -> Endpoint | None:
        return self.topology.select(key, n)

    async def teardown(self) -> None:
        self.topology.teardown()
