"""What is played with topologies: a monitor, an operation and a close, wherever they cross."""

from collections.abc import Callable
from typing import Any

from pool import (
    Hello,
    PoolClosedError,
    ServerDescription,
    ServerType,
    TopologyDescription,
    monitoring,
)
from pool.aio import nearest, readable, secondary, writable
from pool.monitoring import ServerDescriptionChangedEvent
from pool.testing.aio import Stage

from .tower import PRIMARY, SECONDARY, Link, Tower

__all__ = ["TOWERS"]


def hello(server_type: ServerType, *hosts: str, term: int | None = None) -> Hello:
    return Hello({}, server_type, hosts=hosts, term=term)


def single() -> dict[str, Hello]:
    return {"a": hello(ServerType.STANDALONE)}


def pair() -> dict[str, Hello]:
    return {"a": hello(PRIMARY, term=1), "b": hello(SECONDARY)}


def fails(link: Link) -> None:
    raise ConnectionResetError("broken")


async def first_use(stage: Stage) -> None:
    """Two begin to use it at once: it is opened once, and both are served."""
    tower = Tower(stage, single())
    stage.start(tower.use, "one", name="one", cancellable=True)
    two = stage.start(tower.use, "two", name="two")
    await stage.join(two)
    assert tower.said("two") == [None]
    await tower.end()


async def close_against_users(stage: Stage) -> None:
    """Whoever waits or works when it is closed ends, and so do the monitors."""
    tower = Tower(stage, single(), max_size=1)
    for name in ("one", "two"):
        stage.start(tower.use, name, name=name, cancellable=name == "one")
    stage.start(tower.topology.close, name="closer")
    await stage.join()
    assert {*tower.said("one"), *tower.said("two")} <= {None, PoolClosedError}
    await tower.end()


async def errors_against_checks(stage: Stage) -> None:
    """Operations fail, the server is checked, and others go on."""
    tower = Tower(stage, single())
    stage.start(tower.use, "one", writable, 2, fails, name="one")
    stage.start(tower.use, "two", name="two", cancellable=True)
    stage.start(tower.use, "three", writable, 2, name="three")
    await stage.join()
    assert tower.said("one") == [ConnectionResetError] * 2
    assert set(tower.said("three")) <= {None, ConnectionResetError}
    await tower.use("after")
    assert tower.said("after") == [None]
    await tower.end()


async def errors_against_long_checks(stage: Stage) -> None:
    """The check that waits for a change is broken off, whenever that is."""
    # If it were not broken off it would go on for ever.
    tower = Tower(stage, single(), telling=True, heartbeat_timeout=1e6)
    stage.start(tower.use, "one", writable, 2, fails, name="one")
    stage.start(tower.use, "two", writable, 2, name="two", cancellable=True)
    await stage.join()
    await tower.use("after")
    assert tower.said("after") == [None]
    await tower.end()


async def failover(stage: Stage) -> None:
    """The primary goes, another takes over; who waits for a primary finds it, who reads reads."""
    tower = Tower(stage, pair(), min_heartbeat_interval=1.0)

    async def fail_over() -> None:
        await stage.sleep(1.0)
        tower.down.add("a")
        await stage.step("promotes")
        tower.hellos["b"] = hello(PRIMARY, term=2)

    stage.start(fail_over, name="operator")
    stage.start(tower.use, "writer", writable, 2, name="writer")
    stage.start(tower.use, "reader", readable, 2, name="reader", cancellable=True)
    await stage.join()
    assert set(tower.said("writer")) <= {None, ConnectionResetError}

    for name in ("after", "later"):
        # The first one may go to the old one, of whose end nobody knows yet.
        await tower.use(name)
    assert tower.said("later") == [None]
    assert tower.served[-1] == ("later", "b")
    await tower.end()


async def stale_primary(stage: Stage) -> None:
    """The old one returns with its old term: nobody writes to it, however the checks cross."""
    tower = Tower(stage, {"a": hello(PRIMARY, term=1), "b": hello(PRIMARY, term=2)})

    def is_b(known: TopologyDescription) -> list[ServerDescription]:
        return [server for server in writable(known) if server.address == "b"]

    async def write(name: str) -> None:
        await tower.topology.select_server(is_b)
        await tower.use(name)

    stage.start(write, "one", name="one")
    stage.start(write, "two", name="two", cancellable=True)
    await stage.join()
    assert {address for _, address in tower.served} == {"b"}
    await tower.end()


async def members_leave(stage: Stage) -> None:
    """A member leaves while it is read; whoever was about to goes elsewhere."""
    tower = Tower(
        stage, {"a": hello(PRIMARY, "a", "b", term=1), "b": hello(SECONDARY, "a", "b")}, "a"
    )

    async def shrink() -> None:
        await stage.sleep(1.0)
        tower.hellos["a"] = hello(PRIMARY, "a", term=1)
        tower.topology.request_check()

    stage.start(shrink, name="operator")
    stage.start(tower.use, "one", nearest, 2, name="one")
    stage.start(tower.use, "two", nearest, 2, name="two", cancellable=True)
    await stage.join()
    assert tower.said("one") == [None, None]
    await tower.end()


async def crash_against_close(stage: Stage) -> None:
    """A server goes while it is checked, used and closed."""
    tower = Tower(stage, pair(), telling=True)

    async def crash() -> None:
        tower.down.add("a")
        await stage.step("crashes")
        tower.topology.request_check()

    stage.start(tower.use, "one", writable, 1, name="one", cancellable=True)
    stage.start(tower.use, "two", secondary, 2, name="two")
    stage.start(crash, name="crash")
    stage.start(tower.topology.close, name="closer")
    await stage.join()
    await tower.end()


async def listeners_that_call_back(stage: Stage) -> None:
    """They ask for checks while they are told of changes."""
    towers: list[Tower] = []

    def call_back(event: Any) -> None:
        towers[0].topology.request_check()

    listener = monitoring.on(call_back, ServerDescriptionChangedEvent)
    tower = Tower(stage, pair(), listeners=(listener,))
    towers.append(tower)
    stage.start(tower.use, "one", writable, 2, fails, name="one")
    stage.start(tower.use, "two", readable, 2, name="two")
    await stage.join()
    await tower.end()


async def late_users(stage: Stage) -> None:
    """Time is up while a server is looked for, or a connection."""
    tower = Tower(stage, single(), max_size=1)
    tower.down.add("a")

    async def come_up() -> None:
        await stage.sleep(1.5)
        tower.down.clear()

    stage.start(come_up, name="operator")
    stage.start(tower.use, "one", writable, 1, timeout_body, 1.0, name="one")
    stage.start(tower.use, "two", writable, 1, timeout_body, 2.0, name="two")
    stage.start(tower.use, "three", writable, 1, timeout_body, None, name="three")
    await stage.join()
    assert tower.said("three") == [None]
    for name in ("one", "two"):
        (outcome,) = tower.said(name)
        assert outcome is None or issubclass(outcome, TimeoutError)  # type: ignore[arg-type]
    await tower.end()


def timeout_body(link: Link) -> None:
    """Nothing."""


TOWERS: list[Callable[[Stage], Any]] = [
    first_use,
    close_against_users,
    errors_against_checks,
    errors_against_long_checks,
    failover,
    stale_primary,
    members_leave,
    crash_against_close,
    listeners_that_call_back,
    late_users,
]
