"""A long life, told by its events: with all that a pool does by itself."""

from typing import Any

from pool.testing.aio import Stage

from .cast import Conn, Play

__all__ = ["TOLD", "life"]

#: What was told: for each run, the kind and the properties of each event, but for its duration.
TOLD: list[list[tuple[str, dict[str, Any]]]] = []


async def life(stage: Stage) -> None:
    """One pool, two endpoints, an hour."""
    play = Play(
        stage,
        thorough=True,
        max_size=2,
        min_size=1,
        total_max_size=3,
        max_connecting=1,
        idle_timeout=60.0,
        max_lifetime=600.0,
        health_check_interval=25.0,
        check_after_idle=1.0,
        leak_threshold=20.0,
    )
    await play.use("first", "a")
    first = await play.pool.acquire("a")
    second = await play.pool.acquire("a")
    await stage.sleep(30.0)
    await second.release()
    await play.pool.warm_up("b")
    await first.release()
    await stage.sleep(301.3)
    play.refusals = 2
    await play.pool.clear("a")
    await stage.sleep(30.0)
    for conn in play.opened:
        conn.broken = True
    await play.use("second", "b")
    await play.use("third", "a", body=spoil)
    await stage.sleep(1301.7)
    third = await play.pool.acquire("b")
    play.pool.resize(max_size=1)
    await third.discard()
    await play.pool.remove("a")
    await stage.sleep(61.1)
    await play.end()
    TOLD.append([(type(event).__name__, facts(event)) for event in play.events])


def spoil(conn: Conn) -> None:
    """Leave the body in a way after which the connection may not be used again."""
    raise TimeoutError


def facts(event: Any) -> dict[str, Any]:
    """The properties of an event that do not depend on when it was told, nor from where."""
    return {
        name: getattr(event, name)
        for name in dir(type(event))
        if not name.startswith("_") and name not in ("duration", "stack")
    }
