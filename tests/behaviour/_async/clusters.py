"""A service of several servers that says what the test wants, and the managers for it."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from pool import Hello, ServerType
from pool.aio import Client, CommandManager, Topology
from support.aio import Gate, until

__all__ = [
    "Cluster",
    "ClusterManager",
    "Link",
    "Server",
    "TellingManager",
    "client_of",
    "known",
    "topology_of",
]

PRIMARY, SECONDARY, STANDALONE = ServerType.PRIMARY, ServerType.SECONDARY, ServerType.STANDALONE


class Server:
    """One server: what it says of itself, and whether it says anything."""

    def __init__(self, address: Any, server_type: ServerType, **hello: Any) -> None:
        self.address = address
        self.server_type = server_type
        self.hello = hello
        self.up = True
        self.gate = Gate(is_open=True)
        """Where a hello waits before it is answered."""
        self.hung = False
        """Whether nothing is answered, until the connection is broken."""
        self.timed_out = False
        """Whether the next hello that gets there ends as one that took too long."""
        self.links: list[Link] = []
        self.hellos = 0
        self.said = 0
        self.version = 0
        self.commands: list[Mapping[str, Any]] = []
        self.reply: Callable[[Link, Mapping[str, Any]], Any] = lambda link, command: {"ok": 1}

    def become(self, server_type: ServerType, **hello: Any) -> None:
        """Be something else from now on."""
        self.server_type = server_type
        self.hello = hello
        self.change()

    def change(self) -> None:
        """Wake those who wait for a change."""
        self.version += 1
        for link in list(self.links):
            link.gate.open()

    def crash(self) -> None:
        """Break all connections, and take no others."""
        self.up = False
        self.change()

    def document(self, link: "Link") -> Hello:
        """Return what it says of itself."""
        self.said += 1
        told = {"connection_id": link.number, **self.hello}
        return Hello({"n": self.said}, self.server_type, **told)


class Link:
    """A connection to a server."""

    def __init__(self, server: Server, number: int) -> None:
        self.server = server
        self.number = number
        self.version = -1
        self.broken = False
        self.closed = False
        self.gate = Gate()
        """Where it waits for a change."""

    async def hang(self) -> None:
        """Wait for an answer that does not come: until somebody breaks the connection."""
        while self.is_well():
            self.gate = Gate()
            # Whoever breaks it opens the gate that he finds.
            if self.is_well():
                await self.gate.wait()

    def is_well(self) -> bool:
        """Return whether an answer may come yet."""
        return not self.broken and self.server.up

    def check(self) -> None:
        assert not self.closed, "used after its end"
        if self.broken:
            raise ConnectionAbortedError(f"the connection to {self.server.address!r} was broken")
        if not self.server.up:
            raise ConnectionResetError(f"{self.server.address!r} is down")

    def __repr__(self) -> str:
        return f"<Link {self.number} to {self.server.address!r}>"


class Cluster:
    """Servers by their addresses."""

    def __init__(self, *servers: Server) -> None:
        self.servers = {server.address: server for server in servers}
        self.numbers = count(1)

    def __getitem__(self, address: Any) -> Server:
        return self.servers[address]

    @property
    def links(self) -> list[Link]:
        """All connections that are open."""
        return [link for server in self.servers.values() for link in server.links]

    @staticmethod
    def replicated(*addresses: str, **hello: Any) -> "Cluster":
        """Return a replica set whose first member is the primary."""
        told = {"hosts": addresses, "set_name": "rs", **hello}
        first, *others = addresses
        return Cluster(
            Server(first, PRIMARY, **{"term": 1, **told}),
            *(Server(address, SECONDARY, **told) for address in others),
        )


class ClusterManager(CommandManager[Any, Link]):
    """Connects to a cluster's servers, asks them and commands them."""

    sensitive_commands = frozenset({"Auth"})

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.refuse: set[Any] = set()
        """Where a pool cannot connect, though the server is well."""
        self.state_changes: set[str] = {"not primary"}

    async def create(self, endpoint: Any, timeout: float | None) -> Link:
        server = self.cluster.servers.get(endpoint)
        if server is None or not server.up:
            raise ConnectionRefusedError(f"nobody listens at {endpoint!r}")
        link = Link(server, next(self.cluster.numbers))
        server.links.append(link)
        return link

    async def dispose(self, endpoint: Any, conn: Link, timeout: float | None) -> None:
        assert not conn.closed, "disposed of twice"
        conn.closed = True
        conn.server.links.remove(conn)

    def interrupt(self, endpoint: Any, conn: Link | None) -> None:
        links = [conn] if conn is not None else []
        for link in links:
            link.broken = True
            link.gate.open()

    async def hello(self, endpoint: Any, conn: Link, timeout: float | None) -> Hello:
        server = conn.server
        server.hellos += 1
        await server.gate.wait()
        if server.hung:
            await conn.hang()
        conn.check()
        if server.timed_out:
            server.timed_out = False
            raise TimeoutError("no answer")
        conn.version = server.version
        return server.document(conn)

    async def execute(
        self,
        endpoint: Any,
        conn: Link,
        command: Mapping[str, Any],
        database_name: str,
        timeout: float | None,
    ) -> Mapping[str, Any]:
        conn.check()
        conn.server.commands.append(command)
        if conn.server.hung:
            await conn.hang()
            conn.check()
        reply = conn.server.reply(conn, command)
        if isinstance(reply, BaseException):
            raise reply
        return dict(reply)

    def is_state_change(self, endpoint: Any, error: BaseException) -> bool:
        return str(error) in self.state_changes


class TellingManager(ClusterManager):
    """Its servers answer when something changes."""

    async def await_hello(
        self, endpoint: Any, conn: Link, previous: Hello, timeout: float | None
    ) -> Hello:
        server = conn.server
        while conn.version == server.version and conn.is_well():
            conn.gate = Gate()
            if conn.version == server.version and conn.is_well():
                await conn.gate.wait()
        conn.check()
        conn.version = server.version
        return server.document(conn)


TIMES: Mapping[str, Any] = {
    "heartbeat_interval": 100.0,
    "min_heartbeat_interval": 0.0,
    "heartbeat_timeout": 10.0,
    "server_selection_timeout": 10.0,
    "local_threshold": 10.0,
}


def topology_of(manager: ClusterManager, *seeds: Any, **options: Any) -> Topology[Any, Link]:
    """Return a topology that checks only when it is asked to; of the cluster's servers by default."""
    where = list(seeds) or list(manager.cluster.servers)
    return Topology(manager, where, **{**TIMES, **options})


def client_of(manager: ClusterManager, *seeds: Any, **options: Any) -> Client[Any, Link]:
    """Return a client with such a topology."""
    where = list(seeds) or list(manager.cluster.servers)
    return Client(manager, where, **{**TIMES, **options})


async def known(topology: Topology[Any, Link]) -> None:
    """Wait until every server has answered or failed."""
    await until(
        lambda: all(
            server.is_known or server.error is not None
            for server in topology.description.servers.values()
        )
    )
