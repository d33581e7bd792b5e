"""Who plays in the scenarios: a server that notices whatever must never happen, and its users."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from pool import PoolError, monitoring
from pool.aio import ConnectionManager, ConnectionPool
from pool.testing._order import check_order
from pool.testing.aio import Stage

__all__ = ["Conn", "Play", "Refused"]


class Refused(Exception):
    """What a failed connect or hook raises."""


class Conn:
    """A connection: it knows who uses it."""

    def __init__(self, endpoint: str, number: int) -> None:
        self.endpoint = endpoint
        self.number = number
        self.user: str | None = None
        self.closed = False
        self.broken = False

    def __repr__(self) -> str:
        return f"{self.endpoint}#{self.number}"


class Manager(ConnectionManager[str, Conn]):
    """Connects to the server of a play, in one step."""

    def __init__(self, play: "Play") -> None:
        self.play = play

    async def create(self, endpoint: str, timeout: float | None) -> Conn:
        play = self.play
        play.there[endpoint] += 1
        try:
            play.see_limits(endpoint)
            await play.stage.step(f"connects to {endpoint}")
            if play.connect_time:
                await play.stage.sleep(play.connect_time)
            if play.refusals:
                play.refusals -= 1
                raise Refused("the server says no")
            conn = play.connect(endpoint)
            play.opened.append(conn)
            return conn
        except BaseException:
            play.there[endpoint] -= 1
            raise

    async def dispose(self, endpoint: str, conn: Conn, timeout: float | None) -> None:
        self.play.demand(not conn.closed, f"{conn} is closed twice")
        self.play.demand(conn.user is None, f"{conn} is closed while {conn.user} uses it")
        conn.closed = True
        try:
            await self.play.stage.step(f"closes {conn}")
        finally:
            self.play.there[endpoint] -= 1

    def interrupt(self, endpoint: str, conn: Conn | None) -> None:
        if conn is not None:
            conn.broken = True


class Thorough(Manager):
    """One with all hooks, each of which takes a step."""

    async def check_aliveness(self, endpoint: str, conn: Conn, timeout: float | None) -> bool:
        await self.work(conn, "checks")
        return not conn.broken

    async def on_acquire(self, endpoint: str, conn: Conn) -> None:
        await self.work(conn, "prepares")

    async def on_release(self, endpoint: str, conn: Conn) -> None:
        await self.work(conn, "resets")

    async def work(self, conn: Conn, what: str) -> None:
        self.play.meets(conn, what)
        try:
            await self.play.stage.step(f"{what} {conn}")
        finally:
            self.play.parts(conn, what)

    def can_reuse(self, endpoint: str, conn: Conn, error: BaseException) -> bool:
        return isinstance(error, Refused)


class Play(monitoring.ConnectionPoolListener):
    """A scenario's pool and server, and what is always true of them.

    Parameters:
        stage: where it is played.
        thorough: whether the manager has all hooks.
        options: the pool's.
    """

    #: Whether anybody listens to the pool: where nobody does, it takes shorter ways.
    listening = True

    #: Whether several may use one connection at once.
    shared = False

    #: Time passes only where a scenario is about it.
    TIMELESS: Final = {
        "acquire_timeout": None,
        "connect_timeout": None,
        "dispose_timeout": None,
        "idle_timeout": None,
        "max_lifetime": None,
    }

    def __init__(self, stage: Stage, *, thorough: bool = False, **options: Any) -> None:
        self.stage = stage
        self.events: list[Any] = []
        self.opened: list[Conn] = []
        self.there: Counter[str] = Counter()
        """How many connections each endpoint's server sees, those included that come and go."""
        self.refusals = 0
        """How many connects will be refused."""
        self.connect_time = 0.0
        """How long a connect takes (seconds), if it does more than a step."""
        self.faults: list[str] = []
        self.outcomes: list[tuple[str, object]] = []
        self.max_size: int = options.get("max_size", 10)
        self.total: int = options.get("total_max_size", 100)
        manager = Thorough(self) if thorough else Manager(self)
        listeners = [monitoring.on(self.hear)] if self.listening else []
        self.pool = self.make(manager, listeners, self.TIMELESS | options)
        stage.always(self.check)

    def make(self, manager: Manager, listeners: list[Any], options: dict[str, Any]) -> Any:
        """Make the pool."""
        return ConnectionPool(manager, event_listeners=listeners, **options)

    def connect(self, endpoint: str) -> Conn:
        """Make a connection."""
        return Conn(endpoint, len(self.opened) + 1)

    def hear(self, event: object) -> None:
        self.events.append(event)

    # -- what must never happen ----------------------------------------------------------------------

    def demand(self, condition: bool, complaint: str) -> None:
        """Fail unless something holds, even where the pool contains errors."""
        if not condition:
            self.faults.append(complaint)
            raise AssertionError(complaint)

    def see_limits(self, endpoint: str) -> None:
        """A connect begins: the server sees one more."""
        self.demand(self.there[endpoint] <= self.max_size, "more connections than max_size")
        self.demand(self.there.total() <= self.total, "more connections than total_max_size")

    def meets(self, conn: Conn, user: str) -> None:
        """Somebody begins to use a connection."""
        self.demand(not conn.closed, f"{user} got {conn}, which is closed")
        self.demand(conn.user is None, f"{user} got {conn}, which {conn.user} uses")
        conn.user = user

    def parts(self, conn: Conn, user: str) -> None:
        """He has done with it, though not yet given it back."""
        conn.user = None

    def check(self) -> None:
        """Nobody waits while there is something for him, and nothing exceeds its limit."""
        assert not self.faults, self.faults
        core = self.pool._engine.books
        size = 0
        for home in core._homes.values():
            size += len(home.entries)
            if home.queue:
                assert home.state == "ready", "somebody waits for what will not come"
                assert not home.idle(), "idle, and somebody waits"
                assert not core._may_connect(home), "there is room, and somebody waits"
        assert core._size == size

    # -- roles ---------------------------------------------------------------------------------------

    async def use(
        self,
        name: str,
        endpoint: str = "a",
        timeout: float | None = None,
        times: int = 1,
        body: Callable[[Conn], object] = lambda conn: None,
    ) -> None:
        """Take a connection, work with it for a step, give it back."""
        for _ in range(times):
            try:
                async with self.pool.connection(endpoint, timeout=timeout) as conn:
                    self.meets(conn, name)
                    try:
                        await self.stage.step(f"uses {conn}")
                        body(conn)
                    finally:
                        self.parts(conn, name)
            except (PoolError, Refused, TimeoutError) as error:
                self.outcomes.append((name, type(error)))
                # No frame of a failed attempt must outlive it.
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
        await self.pool.close(None)
        await self.stage.join()
        for actor in self.stage.actors:
            assert actor.cancelled or not actor.struck, f"{actor.name} swallowed his cancellation"
        stats = self.pool.stats()
        counts = stats.total, stats.idle, stats.in_use, stats.connecting, stats.closing
        assert (*counts, stats.waiting) == (0, 0, 0, 0, 0, 0), stats
        assert stats.created == stats.closed
        assert stats.acquired == stats.released
        assert all(conn.closed for conn in self.opened), self.opened
        assert not self.there.total(), self.there
        check_order(self.events, ended=True, shared=self.shared)
