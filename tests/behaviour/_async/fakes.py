"""Managers and helpers for tests of behaviour. Each fake is named by its defect."""

from collections.abc import Callable, Hashable
from typing import Any

import pytest

from pool import monitoring
from pool._async.upkeep import keep
from pool.aio import ConnectionManager, ConnectionPool, MultiplexedPool
from support.aio import Gate, until

__all__ = [
    "AnyPool",
    "Chance",
    "Connection",
    "FakeClock",
    "Hooked",
    "Keeper",
    "Manager",
    "Recorder",
    "assert_empty",
    "held",
    "stocked",
]


AnyPool = ConnectionPool[Any, Any] | MultiplexedPool[Any, Any]


class Connection:
    """A connection that is unhashable and equal to every other one, as a user's may be."""

    __slots__ = ("alive", "disposed", "endpoint", "interrupted", "number", "service")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, endpoint: Hashable, number: int) -> None:
        self.endpoint = endpoint
        self.number = number
        self.alive = True
        self.disposed = False
        self.interrupted = False
        self.service: Hashable | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Connection)

    def __repr__(self) -> str:
        return f"<Connection {self.number} to {self.endpoint!r}>"


class Manager(ConnectionManager[Any, Connection]):
    """Opens connections at once, counts them, and checks that none is used after its end.

    Set ``create_gate``/``dispose_gate`` to hold creations or disposals, ``errors`` to fail creations in turn.
    """

    def __init__(self) -> None:
        self.opened: list[Connection] = []
        self.disposed: list[Connection] = []
        self.interrupted: list[Connection | None] = []
        self.timeouts: list[float | None] = []
        self.dispose_timeouts: list[float | None] = []
        self.errors: list[BaseException | None] = []
        self.create_gate = Gate(is_open=True)
        self.dispose_gate = Gate(is_open=True)
        self.creating = 0
        self.most_creating = 0
        self.live = 0
        self.most_live = 0
        self.started = 0

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        self.started += 1
        self.timeouts.append(timeout)
        self.creating += 1
        self.most_creating = max(self.most_creating, self.creating)
        try:
            error = self.errors.pop(0) if self.errors else None
            await self.create_gate.wait()
            if error is not None:
                raise error
            self.live += 1
            self.most_live = max(self.most_live, self.live)
            connection = Connection(endpoint, len(self.opened) + 1)
            self.opened.append(connection)
            return connection
        finally:
            self.creating -= 1

    async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
        assert not conn.disposed, "disposed of twice"
        assert conn.endpoint == endpoint
        self.dispose_timeouts.append(timeout)
        conn.disposed = True
        try:
            await self.dispose_gate.wait()
        finally:
            self.live -= 1
            self.disposed.append(conn)

    def interrupt(self, endpoint: Any, conn: Connection | None) -> None:
        self.interrupted.append(conn)
        if conn is not None:
            conn.interrupted = True


class Hooked(Manager):
    """Has every hook; each is what the test sets, and logs its calls.

    Set ``on[name]`` to a plain callable that gets the connection and may raise or return.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.on: dict[str, Callable[..., Any]] = {}
        self.gates: dict[str, Gate] = {}

    async def _call(self, name: str, conn: Connection) -> Any:
        self.calls.append(name)
        if name in self.gates:
            await self.gates[name].wait()
        return self._answer(name, conn)

    def _answer(self, name: str, *args: Any) -> Any:
        return self.on[name](*args) if name in self.on else None

    async def check_aliveness(self, endpoint: Any, conn: Connection, timeout: float | None) -> bool:
        answer = await self._call("check_aliveness", conn)
        return conn.alive if answer is None else answer

    async def on_acquire(self, endpoint: Any, conn: Connection) -> None:
        await self._call("on_acquire", conn)

    async def on_release(self, endpoint: Any, conn: Connection) -> bool | None:
        answer: bool | None = await self._call("on_release", conn)
        return answer

    async def on_connection_dead(self, endpoint: Any, conn: Connection) -> None:
        await self._call("on_connection_dead", conn)

    def can_reuse(self, endpoint: Any, conn: Connection, error: BaseException) -> bool:
        self.calls.append("can_reuse")
        return bool(self._answer("can_reuse", conn, error))

    def service_id(self, endpoint: Any, conn: Connection) -> Hashable | None:
        service: Hashable | None = self._answer("service_id", conn)
        return service


class Recorder:
    """Keeps all pool events. ``listener`` goes into ``event_listeners``."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.listener = monitoring.on(self.events.append)

    def names(self, *, of: type[Any] = object) -> list[str]:
        """Return the events' class names without the word ``Event``, in order."""
        return [
            type(event).__name__.removesuffix("Event")
            for event in self.events
            if isinstance(event, of)
        ]

    def reasons(self) -> list[tuple[int, str]]:
        """Return the connections that were closed, with the reasons."""
        closed = monitoring.ConnectionClosedEvent
        return [
            (event.connection_id, event.reason) for event in self.events if type(event) is closed
        ]

    def clear(self) -> None:
        """Forget what was recorded."""
        self.events.clear()


# Where the pools look at the clock.
_MODULES = (
    *("acquire", "closing", "connect", "engine", "lease", "multiplexed", "places", "pool"),
    *("release", "turns", "upkeep"),
)


class FakeClock:
    """The time (seconds) as the pool reads it. Waiting still takes real time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("pool._runtime.aio_checkout.clock", self)
        for module in _MODULES:
            monkeypatch.setattr(f"pool._async.{module}.clock", self)

    def __call__(self) -> float:
        return self.now


class Chance:
    """What pools made from now on draw when they draw lots: from 0 to 1."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, drawn: float = 0.0) -> None:
        self.drawn = drawn
        monkeypatch.setattr("pool._async.engine.lots", lambda: self)

    def __call__(self) -> float:
        return self.drawn


class Keeper:
    """Has pools made from now on kept: by their worker, or by hand.

    Parameters:
        monkeypatch: undoes it.
        worker: for the option ``background_collector``.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, worker: bool = True) -> None:
        self.worker = worker
        self.looks = 0
        """How often the worker has begun to look what is due."""
        self.naps: list[float | None] = []
        """The seconds for which it went to sleep then; ``None`` for ever."""

        async def counted(engine: Any, late: float) -> float | None:
            self.looks += 1
            seconds = await keep(engine, late)
            self.naps.append(seconds)
            return seconds

        for module in ("multiplexed", "pool"):
            monkeypatch.setattr(f"pool._async.{module}.keep", counted)

    async def look(self, pool: AnyPool) -> None:
        """Have the worker look what is due now, and see it asleep."""
        seen = self.looks
        pool._engine.worker.ring()
        await until(lambda: self.looks > seen and len(self.naps) == self.looks)

    async def tend(self, pool: AnyPool) -> None:
        """Have done what is due now, and see it done."""
        if self.worker:
            await self.look(pool)
        else:
            await pool.maintain()
        await until(lambda: pool.stats().closing == pool.stats().connecting == 0)


async def held(pool: ConnectionPool[Any, Connection], endpoint: Any = "e") -> Connection:
    """Acquire and release once; return the connection that is idle now."""
    async with pool.connection(endpoint) as connection:
        return connection


async def stocked(
    pool: ConnectionPool[Any, Connection], number: int, endpoint: Any = "e"
) -> list[Connection]:
    """Leave so many idle; return them in the order in which they came back."""
    leases = [await pool.acquire(endpoint) for _ in range(number)]
    connections = [lease.connection for lease in leases]
    for lease in leases:
        await lease.release()
    return connections


def assert_empty(pool: AnyPool, manager: Manager) -> None:
    """Every count is back, and everything that was opened was disposed of, once."""
    stats = pool.stats()
    assert (stats.total, stats.waiting) == (0, 0), stats
    assert stats.acquired == stats.released, stats
    assert manager.live == 0, manager.opened
    assert len(manager.disposed) == len(manager.opened)
