"""Opening connections of a multiplexed pool by hand: as many as there is room for, or as somebody brings.

Who owns the slot at each step, and who gives it back::

    waiting for a permit    nobody: he only waits; cool()
    connect                 the filler's claim: a permit   filled(), or abandon(): closed
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from pool._async.connect import stock
from pool._async.engine import Engine
from pool._core.records import NOTHING, Claim, Effects, Entry
from pool._core.report import cause_of, shortage
from pool._runtime.aio import HANDS, Waiter, abandoned, clock, each, name
from pool._runtime.aio_shared import SharedGuard
from pool.errors import PoolClosedError, PoolExhaustedError
from pool.monitoring import ConnectionCreatedEvent, ConnectionReadyEvent

__all__ = ["adopt", "core_of", "extend", "least_loaded", "open_missing", "replace"]


def core_of(engine: Engine[Any, Any]) -> SharedGuard:
    """Return the core of a multiplexed pool, guarded. After a fork it is another one."""
    return cast(SharedGuard, engine.core)


class _Opened:
    """What came of opening connections, also if that was cut off."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        """The records of those that were opened."""
        self.error: BaseException | None = None
        """Why the first that failed did."""


async def open_missing(engine: Engine[Any, Any], endpoint: Any) -> None:
    """Open as many as there is room for; if one fails, close the others again and raise its error."""
    core = core_of(engine)
    opened = _Opened()
    try:
        await _fill(engine, endpoint, core.missing(endpoint, False), opened)
        if opened.error is not None:
            raise opened.error
    except BaseException as error:
        effects = core.retract(opened.entries)
        if abandoned(error):
            engine.dismiss(effects)
        else:
            await engine.perform(effects)
        raise


async def extend(engine: Engine[Any, Any], endpoint: Any, count: int) -> None:
    """Open some more; if one fails, raise its error."""
    engine.dismiss(core_of(engine).enlarge(endpoint, count, clock()))
    opened = _Opened()
    await _fill(engine, endpoint, count, opened, extra=True)
    if opened.error is not None:
        raise opened.error


async def replace(engine: Engine[Any, Any], endpoint: Any, more: int) -> int:
    """Open connections in place of the broken ones, and ``more``; return how many could be opened."""
    opened = _Opened()
    count = core_of(engine).missing(endpoint, True) + more
    await _fill(engine, endpoint, count, opened)
    return len(opened.entries)


async def _fill(
    engine: Engine[Any, Any], endpoint: Any, count: int, opened: _Opened, extra: bool = False
) -> None:
    """Open connections, ``max_connecting`` at once, until one fails or there is no room.

    Parameters:
        engine: the pool's.
        endpoint: its endpoint, which is known.
        count: how many.
        opened: what comes of it is noted here.
        extra: whether they come on top of what there is, and not in place of what is broken.
    """
    core = core_of(engine)
    while len(opened.entries) < count and opened.error is None:
        waiter = Waiter()
        effects = Effects()
        # No permit may lie idle while somebody waits who could use it.
        left = min(count - len(opened.entries), HANDS)
        claims = core.admit(endpoint, left, clock(), waiter, extra, effects)
        engine.dismiss(effects)
        if claims is None:
            return
        if claims:
            await each(partial(_open, engine, opened), claims)
            continue
        try:
            await waiter.wait(None)
        finally:
            core.cool(endpoint, waiter)


async def _open(engine: Engine[Any, Any], opened: _Opened, claim: Claim) -> None:
    entry = claim.entry
    assert entry is not None, "bug: the claim holds nothing"
    error = await stock(engine, claim)
    if error is not None:
        opened.error = opened.error or error
    elif entry.ready:
        opened.entries.append(entry)


async def adopt(engine: Engine[Any, Any], endpoint: Any, connections: Sequence[Any]) -> None:
    """Take over connections that were opened elsewhere.

    Raises:
        PoolClosedError: the pool is closed; what was not taken over is the caller's.
        ValueError: one is in the pool already.
    """
    core = core_of(engine)
    for connection in connections:
        effects = Effects()
        claim = core.adopt(endpoint, connection, effects, clock())
        if claim is None or claim.entry is None:
            raise PoolClosedError(f"the pool of connections to {endpoint!r} is closed")
        number = claim.entry.id
        try:
            engine.dismiss(effects)
            if engine.publish is not None:
                engine.publish(ConnectionCreatedEvent, endpoint, number)
                engine.publish(ConnectionReadyEvent, endpoint, number, 0.0)
            service = None
            if engine.service_id is not None:
                service = engine.service_id(endpoint, connection)
        except BaseException:
            engine.dismiss(core.abandon(claim, clock()))
            raise
        await engine.perform(core.filled(claim, service, clock()))


def least_loaded(engine: Engine[Any, Any], endpoint: Any) -> Any:
    """Return the working connection that the fewest callers use.

    Raises:
        PoolExhaustedError: none works.
    """
    found = core_of(engine).least(endpoint)
    if found is not NOTHING:
        return found
    survey = engine.core.survey(endpoint, False, clock())
    error = PoolExhaustedError(f"no connection to {endpoint!r} works: {shortage(survey, name)}")
    error.__cause__ = cause_of(survey)
    raise error
