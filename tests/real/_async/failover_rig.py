"""Services whose primary fails, and callers who never rest: what the tests of failover have in common."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple, Self

from pool.aio import Client, secondary_preferred, writable
from pool.aio.psycopg import PsycopgManager
from pool.aio.redis import RedisManager
from pool.selectors import Selector, readable
from support.aio_net import Call, rest, start
from support.real import HOST, PostgresServer, RealServer, RedisServer, eventually
from support.replicas import RedisMember, redis_info
from support.standby import PostgresPrimary, PostgresStandby

INTERVAL = 0.5
"""Seconds between heartbeats."""

TIMEOUT = 1.0
"""Seconds for one heartbeat."""

LIMIT = 2.0
"""Seconds for a command of those who never rest."""

SLACK = 0.8
"""Seconds that it may take longer than that."""


def at(server: RealServer) -> tuple[str, int]:
    """Return where a server is."""
    return HOST, server.port


# --- Services: how to run one, and what to say to it ---


class Service(ABC):
    """A primary and others that follow it; ``with`` starts them and ends them.

    All but its commands is done from outside, and blocks.
    """

    kind: ClassVar[type[RealServer]]
    drops: ClassVar[bool]
    """Whether the primary tells of the members, so that one which is gone is dropped."""
    resigns: ClassVar[bool]
    """Whether a primary that must not be written to any more says so when it is asked."""
    read: ClassVar[Mapping[str, Any]]
    """A command that reads something."""
    hang: ClassVar[Mapping[str, Any]]
    """A command that has no answer for a long time."""
    manager: Any
    primary: Any
    heir: Any
    """A server that follows it, and will be promoted."""

    def __init__(self) -> None:
        self.servers: list[Any] = []
        self._stack = ExitStack()

    @staticmethod
    @abstractmethod
    def write(number: int) -> Mapping[str, Any]:
        """Return the command that adds a number to those that are kept."""

    @abstractmethod
    def kept(self, server: Any) -> list[int]:
        """Return the numbers that a server has."""

    @abstractmethod
    def connections(self, server: Any) -> int:
        """Return how many clients a server has, whoever asks this not counted."""

    @abstractmethod
    def begin(self) -> None:
        """Start the servers."""

    def take_over(self) -> None:
        """Promote the heir, and let who is left follow it."""
        self.heir.promote()

    @abstractmethod
    def hand_over(self) -> None:
        """Have the heir take over from a primary that is well, so that nothing is lost."""

    def synced(self) -> None:
        """Wait until the heir has what the primary has now."""
        eventually(self.heir.synced, "the heir does not follow")

    def client(self, **options: Any) -> Client[Any, Any]:
        """Make a client that knows where all servers are."""
        times = {"heartbeat_interval": INTERVAL, "heartbeat_timeout": TIMEOUT}
        return Client(self.manager, [at(each) for each in self.servers], **{**times, **options})

    def __enter__(self) -> Self:
        with self._stack:
            self.begin()
            self.synced()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def _run(self, server: Any) -> Any:
        self.servers.append(server)
        return self._stack.enter_context(server)


class Redis(Service):
    """A primary with two replicas."""

    kind = RedisServer
    drops = True
    resigns = True
    read: ClassVar = {"GET": "kept"}
    hang: ClassVar = {"BLPOP": ["nothing", 60]}

    def begin(self) -> None:
        self.manager = RedisManager(discover=self.drops)
        self.primary = self._run(RedisMember())
        self.heir = self._run(RedisMember(self.primary))
        self.other = self._run(RedisMember(self.primary))
        self.other.wait_synced()

    @staticmethod
    def write(number: int) -> Mapping[str, Any]:
        return {"APPEND": ["kept", f"{number} "]}

    def kept(self, server: RedisMember) -> list[int]:
        if server.ask("EXISTS kept") == b"0":
            return []
        return [int(word) for word in server.ask("GET kept").split()]

    def connections(self, server: RedisMember) -> int:
        return len(server.ask("CLIENT LIST TYPE normal").splitlines()) - 1

    def take_over(self) -> None:
        self.heir.promote()
        self.other.follow(self.heir)

    def hand_over(self) -> None:
        assert self.primary.ask(f"FAILOVER TO {HOST} {self.heir.port}") == b"OK"
        eventually(
            lambda: (
                redis_info(self.primary)["role"] == "slave"
                and redis_info(self.heir)["role"] == "master"
            ),
            "it does not fail over",
        )


class UndiscoveredRedis(Redis):
    """The same, whose servers' addresses lead nowhere, so that nobody is ever dropped."""

    drops = False


class Postgres(Service):
    """A primary with one standby.

    Parameters:
        model: a server that runs, and may have been used; nothing is changed there.
    """

    kind = PostgresServer
    drops = False
    resigns = False
    read: ClassVar = {"query": "SELECT count(*) FROM kept"}
    hang: ClassVar = {"query": "SELECT pg_sleep(60)"}

    def __init__(self, model: PostgresPrimary) -> None:
        super().__init__()
        self._model = model

    def begin(self) -> None:
        self.manager = PsycopgManager(dbname="postgres", user="postgres")
        # A copy is made sooner than a new one.
        self.primary = self._run(PostgresStandby(self._model))
        self.primary.promote()
        self.primary.ask("CREATE TABLE kept (number int)")
        self.heir = self._run(PostgresStandby(self.primary))

    @staticmethod
    def write(number: int) -> Mapping[str, Any]:
        return {"query": "INSERT INTO kept VALUES (%s)", "params": [number]}

    def kept(self, server: PostgresPrimary) -> list[int]:
        return [int(word) for word in server.ask("SELECT number FROM kept").split()]

    def connections(self, server: PostgresPrimary) -> int:
        return server.connections()

    def hand_over(self) -> None:
        self.primary.ask("ALTER SYSTEM SET default_transaction_read_only = on")
        self.primary.ask("SELECT pg_reload_conf()")
        eventually(
            lambda: self.primary.ask("SHOW transaction_read_only") == "on", "it can be written to"
        )
        self.synced()
        self.heir.promote()


# --- Callers who never rest ---


class Done(NamedTuple):
    """What came of one command.

    Attributes:
        number: what was written, ``None`` if something was read.
        began: when.
        ended: when.
        failure: the error, ``None`` for a reply.
    """

    number: int | None
    began: float
    ended: float
    failure: Exception | None


class Load:
    """Callers of a client that write and read, each one thing after the other.

    Each number is written at most once: who is told of a failure goes on with the next one.
    """

    WRITERS = 3
    READERS: Sequence[Selector] = (secondary_preferred, secondary_preferred, readable)

    def __init__(self, client: Client[Any, Any], service: Service) -> None:
        self._client = client
        self._service = service
        self.done: list[Done] = []
        self._over = False
        self._calls: list[Call[None]] = []

    async def begin(self) -> None:
        """Start them all."""
        for place in range(self.WRITERS):
            self._calls.append(await start(self._write, place))
        for selector in self.READERS:
            self._calls.append(await start(self._read, selector))

    async def end(self) -> None:
        """Have them stop, and see that each of their commands came to its end in time."""
        self._over = True
        for call in self._calls:
            await call.outcome()
        late = [each for each in self.done if each.ended - each.began > LIMIT + SLACK]
        assert not late

    async def _write(self, number: int) -> None:
        while not self._over:
            await self._ask(self._service.write(number), writable, number)
            number += self.WRITERS

    async def _read(self, selector: Selector) -> None:
        while not self._over:
            await self._ask(self._service.read, selector, None)

    async def _ask(
        self, command: Mapping[str, Any], selector: Selector, number: int | None
    ) -> None:
        began, failure = time.monotonic(), None
        try:
            await self._client.command(command, selector=selector, timeout=LIMIT)
        except Exception as error:
            failure = error
        self.done.append(Done(number, began, time.monotonic(), failure))
        await rest(0.01)

    # --- What came of it ---

    def acknowledged(self, since: float = 0.0) -> list[int]:
        """Return the numbers whose write has succeeded, of those that began after some time."""
        return [
            each.number
            for each in list(self.done)
            if each.number is not None and each.failure is None and each.began >= since
        ]

    def attempted(self, since: float) -> list[int]:
        """Return the numbers of all writes that began after some time."""
        return [
            each.number for each in self.done if each.number is not None and each.began >= since
        ]

    def resumed(self, since: float) -> float:
        """Return when the first write succeeded after some time."""
        return min(
            each.ended
            for each in self.done
            if each.number is not None and each.failure is None and each.ended > since
        )

    def gap(self) -> float:
        """Return the longest time without a read that succeeded."""
        ends = [each.ended for each in self.done if each.number is None and each.failure is None]
        ends = sorted([*ends, self.done[0].began, self.done[-1].ended])
        return max(after - before for before, after in pairwise(ends))

    def failures(self) -> list[Exception]:
        """Return all errors."""
        return [each.failure for each in self.done if each.failure is not None]
