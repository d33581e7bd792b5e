"""Connections that many use at once, in a play: who uses each, and what must never happen to them."""

from math import inf
from typing import Any

from pool import PoolError
from pool.aio import MultiplexedPool
from pool.testing.aio import Stage

from .cast import Conn, Manager, Play, Refused

__all__ = ["Crowd", "Spoilt", "Wire"]


class Spoilt(Exception):
    """What a body raises that has left its connection dirty."""


class Wire(Conn):
    """A connection: it knows all who use it."""

    def __init__(self, endpoint: str, number: int) -> None:
        super().__init__(endpoint, number)
        self.users: list[str] = []
        self.spoiled = False
        """Whether a body has left it in a state that nobody knows."""


class Crowd(Play):
    """A scenario's pool of shared connections and its server.

    Parameters:
        stage: where it is played.
        size: the pool's.
        max_pending: likewise.
        thorough: whether the manager has all hooks.
        options: the pool's.
    """

    shared = True

    def __init__(
        self,
        stage: Stage,
        size: int,
        max_pending: int | None = None,
        *,
        thorough: bool = False,
        **options: Any,
    ) -> None:
        self.max_pending = max_pending
        super().__init__(stage, thorough=thorough, max_size=size, **options)

    def make(self, manager: Manager, listeners: list[Any], options: dict[str, Any]) -> Any:
        size = options.pop("max_size")
        return MultiplexedPool(
            manager,
            "a",
            size=size,
            max_pending=self.max_pending,
            event_listeners=listeners,
            **options,
        )

    def connect(self, endpoint: str) -> Conn:
        return Wire(endpoint, len(self.opened) + 1)

    def meets(self, conn: Conn, user: str) -> None:
        assert isinstance(conn, Wire)
        self.demand(not conn.closed, f"{user} got {conn}, which is closed")
        alone = not conn.users or "checks" not in (user, *conn.users)
        self.demand(alone, f"{conn} is checked while others use it: {user}, {conn.users}")
        conn.users.append(user)
        conn.user = "somebody"
        if self.max_pending is not None:
            crowded = len(conn.users) > self.max_pending
            self.demand(not crowded, f"{conn} has more users than it may: {conn.users}")

    def parts(self, conn: Conn, user: str) -> None:
        assert isinstance(conn, Wire)
        self.demand(not conn.closed, f"{conn} was closed while {user} used it")
        conn.users.remove(user)
        conn.user = "somebody" if conn.users else None

    def check(self) -> None:
        """Nobody waits while there is something for him, and the books agree with each other."""
        assert not self.faults, self.faults
        core = self.pool._engine.books
        for home in core._homes.values():
            assert core._size == len(home.entries)
            for trunk in home.every():
                assert trunk.pending == len(trunk.shares)
                assert (trunk.level < 0) or trunk.level == trunk.pending
                assert not (trunk.level >= 0 and trunk.doomed), "lent, though it is to be closed"
            least = home.loads.least()
            if home.queue:
                assert home.state == "ready", "somebody waits for what will not come"
                full = least is None or least.pending >= core._max_pending
                assert full, "there is a connection, and somebody waits"
                # Where the pool recovers the upkeep comes for him.
                coming = home.look < inf or home.connecting
                assert coming or not core._may_connect(home), "there is room, and somebody waits"

    async def share(
        self, name: str, timeout: float | None = None, times: int = 1, **ends: Any
    ) -> None:
        """Use a connection for a step, together with others.

        Parameters:
            name: whose.
            timeout: seconds.
            times: how often.
            ends: ``refuse``: with an error after which it is as good as before; ``spoil``: with one after
                which nobody knows.
        """
        for _ in range(times):
            used = None
            spoiled = [conn for conn in self.opened if isinstance(conn, Wire) and conn.spoiled]
            try:
                async with self.pool.connection(timeout=timeout) as conn:
                    self.demand(conn not in spoiled, f"{name} got {conn}, which was spoiled before")
                    self.meets(conn, name)
                    try:
                        await self.stage.step(f"{name} uses {conn}")
                        if ends.get("refuse"):
                            raise Refused("no")
                        if ends.get("spoil"):
                            used = conn
                            raise Spoilt("lost count")
                    finally:
                        self.parts(conn, name)
            except (PoolError, Refused, Spoilt, TimeoutError) as error:
                if used is not None:
                    # The pool has been told only now.
                    used.spoiled = True
                self.outcomes.append((name, type(error)))
                del error
            else:
                self.outcomes.append((name, None))
