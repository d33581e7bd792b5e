"""The end of a pool."""

from typing import Any

from pool._async.engine import Engine, log
from pool._core.report import explain
from pool._runtime.aio import Waiter, clock, name

__all__ = ["close"]


async def close(
    engine: Engine[Any, Any], pool: object, timeout: float | None, interrupt_connections: bool
) -> None:
    """Close a pool for good. Idempotent.

    Parameters:
        engine: the pool's.
        pool: itself, for messages.
        timeout: seconds to wait for the leases to end, ``None`` = as long as it takes.
        interrupt_connections: break off what is left then.
    """
    engine.settle()
    started = clock()
    await engine.perform(engine.core.shut(None, True))
    # There may be no worker that does it.
    await engine.perform(engine.core.reclaim(clock()))
    waiter = Waiter()
    drained = engine.core.drained(waiter)
    if not drained and timeout != 0:
        left = None if timeout is None else max(timeout - (clock() - started), 0.0)
        drained = await waiter.wait(left)
    if drained:
        return
    survey = engine.core.survey(None, True, clock())
    # What the pool itself works on has no code that asked for it.
    if any(person.code for home in survey.homes for person in home.holders):
        log.warning("%r closed while connections are held:\n%s", pool, explain(survey, name))
    if interrupt_connections:
        engine.dismiss(engine.core.break_all())
