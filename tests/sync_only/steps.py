"""How to interrupt a call at its k-th step, and a manager whose every hook is such a step."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from pool import monitoring
from pool.sync import ConnectionManager, ConnectionPool
from pool.testing._order import check_order
from support.sync import PATIENCE, Running, call_soon, until

__all__ = ["Conn", "HookError", "Hooked", "Stepping", "Strike", "World"]


class HookError(Exception):
    """What a hook raises that is told to fail."""


class Strike:
    """Raises ``KeyboardInterrupt`` at the chosen steps of the thread in which it was armed."""

    def __init__(self) -> None:
        self._at: set[int] = set()
        self._thread: int | None = None
        self.steps = 0
        self.count = 0

    def arm(self, at: set[int]) -> None:
        """From now on, count the steps of this thread."""
        self._at = at
        self._thread = threading.get_ident()

    def disarm(self) -> None:
        """Let everybody be."""
        self._thread = None

    def aims_here(self) -> bool:
        """Return whether this is the thread in which it was armed."""
        return threading.get_ident() == self._thread

    def step(self) -> None:
        """Be a place where an interrupt may strike."""
        if not self.aims_here():
            return
        self.steps += 1
        if self.steps - 1 in self._at:
            self.count += 1
            raise KeyboardInterrupt


class Conn:
    """One connection, that only one may work with at a time."""

    def __init__(self, endpoint: Any, number: int) -> None:
        self.endpoint = endpoint
        self.number = number
        self.alive = True
        self.user = ""
        self.spoiled = False
        """Whether a hook or a body was left in the middle, so that only a dispose may follow."""
        self.disposals = 0

    def __repr__(self) -> str:
        return (
            f"<Conn {self.number} of {self.endpoint!r} user={self.user!r} spoiled={self.spoiled}>"
        )


class Stepping(ConnectionManager[Any, Conn]):
    """Has a step before and after each hook, and notes every fault in ``faults``."""

    def __init__(self) -> None:
        self.strike = Strike()
        self.lock = threading.Lock()
        self.opened: list[Conn] = []
        self.faults: list[str] = []
        self.errors: set[str] = set()
        """The hooks that fail, in the thread that the strike is aimed at."""
        self.inside: Callable[[str], None] = lambda hook: None
        """What happens in every hook."""
        self.creating: Counter[Any] = Counter()
        self.live: Counter[Any] = Counter()
        self.most_creating = self.most_live = 0
        self.most_of_all = 0
        """The most that there ever were, at all endpoints together."""
        self.reusable = False

    def act(self, hook: str, conn: Conn | None = None) -> None:
        """Take part in ``hook``."""
        if conn is not None:
            self.enter(conn, hook)
        try:
            self.strike.step()
            self.inside(hook)
            if hook in self.errors and self.strike.aims_here():
                raise HookError(hook)
            self.strike.step()
        except BaseException:
            if conn is not None:
                conn.spoiled = True
            raise
        finally:
            if conn is not None:
                self.leave(conn, hook)

    def enter(self, conn: Conn, user: str) -> None:
        """Note that ``user`` works with a connection now."""
        with self.lock:
            spoiled = conn.spoiled and user not in ("dispose", "on_connection_dead")
            if conn.user or conn.disposals or spoiled:
                self.faults.append(f"{user} works with {conn}, disposals={conn.disposals}")
            conn.user = user

    def leave(self, conn: Conn, user: str) -> None:
        """Note that ``user`` is done."""
        with self.lock:
            if conn.user != user:
                self.faults.append(f"{user} leaves {conn}")
            conn.user = ""

    def create(self, endpoint: Any, timeout: float | None) -> Conn:
        with self.lock:
            self.creating[endpoint] += 1
            self.most_creating = max(self.most_creating, self.creating[endpoint])
        try:
            self.act("create")
        finally:
            with self.lock:
                self.creating[endpoint] -= 1
        with self.lock:
            conn = Conn(endpoint, len(self.opened) + 1)
            self.opened.append(conn)
            self.live[endpoint] += 1
            self.most_live = max(self.most_live, self.live[endpoint])
            self.most_of_all = max(self.most_of_all, self.live.total())
        return conn

    def dispose(self, endpoint: Any, conn: Conn, timeout: float | None) -> None:
        try:
            self.act("dispose", conn)
        finally:
            with self.lock:
                conn.disposals += 1
                self.live[endpoint] -= 1


class Hooked(Stepping):
    """Overrides every hook."""

    def check_aliveness(self, endpoint: Any, conn: Conn, timeout: float | None) -> bool:
        self.act("check_aliveness", conn)
        return conn.alive

    def on_acquire(self, endpoint: Any, conn: Conn) -> None:
        self.act("on_acquire", conn)

    def on_release(self, endpoint: Any, conn: Conn) -> None:
        self.act("on_release", conn)

    def on_connection_dead(self, endpoint: Any, conn: Conn) -> None:
        self.act("on_connection_dead", conn)

    def can_reuse(self, endpoint: Any, conn: Conn, error: BaseException) -> bool:
        self.strike.step()
        return self.reusable


class World:
    """A pool, its manager, its events, and whoever else uses it in one run.

    Parameters:
        hooked: whether every hook is overridden.
        manager: another one than those.
        options: the pool's.
    """

    def __init__(
        self, *, hooked: bool = True, manager: Stepping | None = None, **options: Any
    ) -> None:
        self.manager = manager or (Hooked() if hooked else Stepping())
        self.events: list[Any] = []
        # After each event was written down, telling it to somebody else is a step too.
        step = monitoring.on(lambda event: self.manager.strike.step())
        listeners = [monitoring.on(self.events.append), step]
        options = {"max_size": 1, "check_after_idle": 0, **options}
        self.pool: ConnectionPool[Any, Conn] = ConnectionPool(
            self.manager, event_listeners=listeners, **options
        )
        self.bounds = self.pool.options
        """With the sizes that were never exceeded: who makes them larger must say so here."""
        self.others: list[Running[Any]] = []
        self.leases: list[Any] = []
        self.over = False

    def acquire(self, timeout: float = PATIENCE, *, endpoint: str = "e") -> None:
        """Acquire a lease and keep it in ``leases``."""
        self.leases.append(self.pool.acquire(endpoint, timeout=timeout))

    def use(self, timeout: float = PATIENCE, *, endpoint: str = "e") -> None:
        """Hold a connection for a while."""
        with self.pool.connection(endpoint, timeout=timeout) as conn:
            self.manager.enter(conn, "body")
            try:
                self.manager.strike.step()
            except BaseException:
                conn.spoiled = not self.manager.reusable
                raise
            finally:
                self.manager.leave(conn, "body")

    def idle(self, count: int = 1, endpoint: str = "e") -> list[Conn]:
        """Leave ``count`` connections idle."""
        leases = [self.pool.acquire(endpoint) for _ in range(count)]
        conns = [lease.connection for lease in leases]
        for lease in leases:
            lease.release()
        assert self.pool.stats(endpoint).idle == count
        return conns

    def also(self, call: Callable[[], Any]) -> None:
        """Let somebody else do something at the same time; he must succeed in it."""
        self.others.append(call_soon(call))

    def when(self, condition: Callable[[], object], call: Callable[[], Any]) -> Callable[[], Any]:
        """Return a call that begins as soon as a condition holds, or the victim has ended."""

        def later() -> None:
            until(lambda: condition() or self.over)
            call()

        return later

    def rest(self) -> None:
        """Wait until the pool has done what it does by itself: nothing."""

    def settle(self, *, open_still: bool = True) -> None:
        """Let everybody end, and assert that nothing is lost.

        Parameters:
            open_still: the pool is not closed: a newcomer must be served.
        """
        self.over = True
        self.manager.strike.disarm()
        self.manager.errors.clear()
        until(self._release_all)
        for other in self.others:
            other.result()
        if open_still:
            self.use()
            self.rest()
            stats = self.pool.stats()
            assert stats.total == stats.idle, stats
            assert stats.waiting == 0, stats
        self.pool.close(timeout=PATIENCE)
        stats = self.pool.stats()
        assert (stats.total, stats.waiting) == (0, 0), stats
        assert stats.acquired == stats.released, stats
        assert stats.created == stats.closed, stats
        manager, options = self.manager, self.pool.options
        assert not manager.faults, manager.faults
        assert [conn.disposals for conn in manager.opened] == [1] * len(manager.opened)
        assert manager.most_live <= (self.bounds.max_size or manager.most_live)
        assert manager.most_of_all <= (self.bounds.total_max_size or manager.most_of_all)
        assert manager.most_creating <= options.max_connecting
        check_order(self.events, ended=True)

    def _release_all(self) -> bool:
        while self.leases:
            self.leases.pop().release()
        return all(other.done() for other in self.others)
