"""A topology in a play: servers that come and go, and what is always true of what is known of them."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from pool import Hello, PoolError, ServerType, monitoring
from pool.aio import ServerManager, Topology, writable
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
from pool.testing._order import check_order
from pool.testing.aio import Stage

__all__ = ["Link", "Tower"]

PRIMARY, SECONDARY = ServerType.PRIMARY, ServerType.SECONDARY


class Link:
    """A connection: it knows who uses it."""

    def __init__(self, address: str, number: int) -> None:
        self.address = address
        self.number = number
        self.user: str | None = None
        self.closed = False
        self.broken = False

    def __repr__(self) -> str:
        return f"{self.address}#{self.number}"


class Manager(ServerManager[str, Link]):
    """Connects to the servers of a play, and asks them; each in one step."""

    def __init__(self, tower: "Tower") -> None:
        self.tower = tower

    async def create(self, endpoint: str, timeout: float | None) -> Link:
        tower = self.tower
        await tower.stage.step(f"connects to {endpoint}")
        if endpoint in tower.down:
            raise ConnectionRefusedError(endpoint)
        link = Link(endpoint, len(tower.opened) + 1)
        tower.opened.append(link)
        return link

    async def dispose(self, endpoint: str, conn: Link, timeout: float | None) -> None:
        self.tower.demand(not conn.closed, f"{conn} is closed twice")
        self.tower.demand(conn.user is None, f"{conn} is closed while {conn.user} uses it")
        conn.closed = True
        await self.tower.stage.step(f"closes {conn}")

    async def hello(self, endpoint: str, conn: Link, timeout: float | None) -> Hello:
        tower = self.tower
        tower.meets(conn, "a hello")
        try:
            await tower.stage.step(f"asks {conn}")
            tower.see(conn)
            return tower.hellos[endpoint]
        finally:
            conn.user = None

    def interrupt(self, endpoint: str, conn: Link | None) -> None:
        if conn is not None:
            conn.broken = True


class Telling(Manager):
    """Its servers answer when something changes, or after a while."""

    async def await_hello(
        self, endpoint: str, conn: Link, previous: Hello, timeout: float | None
    ) -> Hello:
        tower = self.tower
        tower.meets(conn, "a wait")
        try:
            while not conn.broken and endpoint not in tower.down:
                await tower.stage.sleep(1.0)
                if tower.hellos[endpoint] is not previous:
                    break
            tower.see(conn)
            return tower.hellos[endpoint]
        finally:
            conn.user = None


class Tower:
    """A scenario's topology and servers.

    Parameters:
        stage: where it is played.
        hellos: what each server says of itself.
        seeds: where they may be; by default all that say something.
        telling: whether the servers tell of changes.
        options: the topology's.
    """

    def __init__(
        self,
        stage: Stage,
        hellos: dict[str, Hello],
        *seeds: str,
        telling: bool = False,
        listeners: tuple[Any, ...] = (),
        **options: Any,
    ) -> None:
        self.stage = stage
        self.hellos = hellos
        self.down: set[str] = set()
        self.opened: list[Link] = []
        self.events: list[Any] = []
        self.faults: list[str] = []
        self.outcomes: list[tuple[str, object]] = []
        self.served: list[tuple[str, str]] = []
        """Who was served, and by which server."""
        self.checked = 0
        self.known: dict[str, Any] = {}
        self.beating: Counter[str] = Counter()
        self.topology_description: Any = None
        self.over = False
        times: dict[str, Any] = {
            "heartbeat_interval": 10.0,
            "min_heartbeat_interval": 1.0,
            "heartbeat_timeout": 5.0,
            "server_selection_timeout": None,
            "local_threshold": 100.0,
            "acquire_timeout": None,
            "connect_timeout": None,
            "dispose_timeout": None,
        }
        manager = Telling(self) if telling else Manager(self)
        self.topology = Topology(
            manager,
            seeds or tuple(hellos),
            event_listeners=[monitoring.on(self.events.append), *listeners],
            **(times | options),
        )
        stage.always(self.check)

    # -- what must never happen ----------------------------------------------------------------------

    def demand(self, condition: bool, complaint: str) -> None:
        """Fail unless something holds, even where the library contains errors."""
        if not condition:
            self.faults.append(complaint)
            raise AssertionError(complaint)

    def meets(self, link: Link, user: str) -> None:
        """Somebody begins to use a connection."""
        self.demand(not link.closed, f"{user} got {link}, which is closed")
        self.demand(link.user is None, f"{user} got {link}, which {link.user} uses")
        link.user = user

    def see(self, link: Link) -> None:
        """Something is asked of a server."""
        if link.broken or link.address in self.down:
            raise ConnectionResetError(str(link))

    def check(self) -> None:
        """What is told is one story, and what is shown is what was told last."""
        assert not self.faults, self.faults
        while self.checked < len(self.events):
            event = self.events[self.checked]
            self.checked += 1
            self.follow(event)
        books = self.topology._watcher.books
        for server in books._servers.values():
            assert server.operations >= 0, server
        types = [each.server_type for each in books.shown.servers.values()]
        assert types.count(PRIMARY) <= 1, books.shown
        if books._speaker is None and not books._outbox:
            assert books.shown is books._decided
            told = self.topology_description
            assert told in (None, books.shown), "shown, and not told"
            for address, server in books._servers.items():
                home = self.topology._watcher.engine.books._homes.get(address)
                assert home is not None, f"no pool for {address}"
                assert (home.state == "ready") == server.ready, (address, home.state)

    def follow(self, event: Any) -> None:
        """Let an event continue the story, or fail."""
        kind = type(event)
        assert self.topology_description != "closed" or not kind.__module__.endswith(
            "_topology_events"
        )
        if kind is TopologyOpenedEvent:
            assert self.topology_description is None
        elif kind is ServerOpeningEvent:
            assert event.server_address not in self.known
            self.known[event.server_address] = None
        elif kind is ServerClosedEvent:
            assert not self.beating[event.server_address], "a heartbeat never ended"
            del self.known[event.server_address]
        elif kind is ServerDescriptionChangedEvent:
            before = self.known[event.server_address]
            assert before is None or before == event.previous_description
            assert event.previous_description != event.new_description
            self.known[event.server_address] = event.new_description
        elif kind is TopologyDescriptionChangedEvent:
            before = self.topology_description
            assert before is None or before == event.previous_description
            self.topology_description = event.new_description
            assert set(event.new_description.servers) == set(self.known)
            for address, server in event.new_description.servers.items():
                assert self.known[address] in (None, server), "changed without a word"
        elif kind is TopologyClosedEvent:
            assert not self.known
            self.over = True
        elif kind is ServerHeartbeatStartedEvent:
            assert event.connection_id in self.known
            self.beating[event.connection_id] += 1
            assert self.beating[event.connection_id] == 1, "two heartbeats at once"
        elif kind in (ServerHeartbeatSucceededEvent, ServerHeartbeatFailedEvent):
            self.beating[event.connection_id] -= 1
            assert self.beating[event.connection_id] == 0, "a heartbeat ends twice"

    # -- roles ---------------------------------------------------------------------------------------

    async def use(
        self,
        name: str,
        selector: Any = writable,
        times: int = 1,
        body: Callable[[Link], object] = lambda link: None,
        timeout: float | None = None,
    ) -> None:
        """Take a connection to a server that suits, work with it for a step, give it back."""
        for _ in range(times):
            try:
                async with self.topology.connection(selector, timeout=timeout) as link:
                    self.meets(link, name)
                    try:
                        await self.stage.step(f"uses {link}")
                        body(link)
                        self.see(link)
                        self.served.append((name, link.address))
                    finally:
                        link.user = None
            except (PoolError, ConnectionError, TimeoutError) as error:
                self.outcomes.append((name, type(error)))
                del error
            else:
                self.outcomes.append((name, None))

    def said(self, name: str) -> list[object]:
        """How the attempts of one ended: by which errors, if any."""
        return [outcome for who, outcome in self.outcomes if who == name]

    async def end(self) -> None:
        """Wait for everybody, close, and see that nothing is left and no cancellation was swallowed."""
        await self.stage.join()
        self.check()
        watcher = self.topology._watcher
        for server in watcher.books._servers.values():
            assert server.operations == 0, f"an operation is counted for ever: {server}"
        await self.topology.close(None)
        await self.stage.sleep(30.0)
        self.check()
        for actor in self.stage.actors:
            assert actor.cancelled or not actor.struck, f"{actor.name} swallowed his cancellation"
        assert all(link.closed for link in self.opened), self.opened
        assert not watcher.books._posts
        assert not watcher.books._wanting
        assert not watcher.books._waiters
        assert not watcher.books._outbox
        stats = self.topology.stats()
        assert (stats.total, stats.waiting, stats.acquired - stats.released) == (0, 0, 0), stats
        check_order(self.events, ended=True)
