"""What a pool does by itself: retire, check, fill, take back what was lost, report leaks.

Who owns the slot at each step, and who gives it back::

    fill     the filler's claim: a permit   filled(), or abandon(): closed
    check    the entry, CHECKING            checked(): where it was, or closed

The worker calls ``keep`` whenever something may be due. ``maintain`` is one round by hand.
"""

from functools import partial
from typing import Any

from pool._async.connect import stock
from pool._async.engine import Engine, log
from pool._async.release import give_back
from pool._core.records import Claim, Entry
from pool._core.report import place_of, stack_text
from pool._core.upkeep import Chores
from pool._runtime.aio import HANDS, Limit, clock, each, spawn, stray
from pool.monitoring import ConnectionLeakedEvent

__all__ = ["keep", "maintain"]

# The clock has jumped if the worker overslept by more than this (seconds): the machine was suspended, or
# the process frozen.
_JUMP = 5.0

# How long (seconds) to leave things alone after a bug in here.
_PAUSE = 1.0


async def keep(engine: Engine[Any, Any], late: float) -> float | None:
    """Begin what is due; return the seconds until more may be, ``None`` if there will never be any."""
    try:
        if late > _JUMP:
            log.warning(
                "the pool overslept by %.1f s: idle connections are checked before use", late
            )
            engine.core.distrust()
        while True:
            chores = engine.core.chores(clock(), HANDS, False)
            try:
                _report(engine, chores.leaks)
            finally:
                try:
                    engine.dismiss(chores.effects)
                finally:
                    for job in _jobs(chores):
                        spawn(partial(_work, engine), job)
            if chores.next is None:
                return None
            left = chores.next - clock()
            if left > 0:
                return left
    except Exception:
        log.exception("bug: the upkeep of a pool failed; it goes on")
        return _PAUSE


async def maintain(engine: Engine[Any, Any]) -> float | None:
    """Do all that is due; return the seconds until the next failed fill is due again, if any failed."""
    # What comes due while this goes on is for the next round: there may be no end to that.
    due = clock()
    while True:
        chores = engine.core.chores(due, HANDS, True)
        busy = bool(chores.jobs() or chores.effects.close)
        try:
            try:
                _report(engine, chores.leaks)
            finally:
                await engine.perform(chores.effects)
        except BaseException:
            _leave(engine, chores)
            raise
        await each(partial(_work, engine), _jobs(chores))
        if not busy:
            return chores.retry and max(chores.retry - clock(), 0.0)


def _jobs(chores: Chores) -> list[Entry | Claim]:
    return [*chores.checks, *chores.fills]


def _leave(engine: Engine[Any, Any], chores: Chores) -> None:
    """Give back what was not begun."""
    for entry in chores.checks:
        engine.dismiss(engine.core.checked(entry, True, clock()))
    for claim in chores.fills:
        engine.dismiss(engine.core.abandon(claim, clock()))


async def _work(engine: Engine[Any, Any], job: Entry | Claim) -> None:
    if isinstance(job, Entry):
        await _check(engine, job)
    else:
        await stock(engine, job)


async def _check(engine: Engine[Any, Any], entry: Entry) -> None:
    """Check an idle connection, and end it if it is dead."""
    endpoint = entry.home.endpoint
    seconds = engine.options.connect_timeout
    alive = False
    assert engine.check is not None, "bug: there is nothing to check with"
    try:
        try:
            async with Limit(seconds):
                alive = bool(await engine.check(endpoint, entry.connection, seconds))
        except BaseException as error:
            if not isinstance(error, Exception) and not stray(error):
                raise
            log.warning("check of connection #%d to %r failed: %r", entry.id, endpoint, error)
        if not alive and engine.on_dead is not None:
            async with Limit(seconds):
                await engine.on_dead(endpoint, entry.connection)
    except BaseException as error:
        if not isinstance(error, Exception) and not stray(error):
            engine.dismiss(engine.core.checked(entry, False, clock()))
            raise
        log.exception("on_connection_dead for %r failed", endpoint)
    await engine.perform(engine.core.checked(entry, alive, clock()))


def _report(engine: Engine[Any, Any], leaks: list[Entry]) -> None:
    """Tell of leases that are held too long, of all of them even if a listener is interrupted."""
    while leaks:
        try:
            _complain(engine, leaks.pop(0))
        except BaseException:
            _report(engine, leaks)
            raise


def _complain(engine: Engine[Any, Any], entry: Entry) -> None:
    leak = engine.core.leaks(entry, clock())
    if leak is None:
        return
    endpoint = entry.home.endpoint
    try:
        site = ("?", 0, "?") if leak.code is None else place_of(leak.code, leak.instruction)
        text = stack_text(leak.stack or ())
        log.warning(
            "connection #%d to %r has been held for %.3f s, longer than leak_threshold=%s; "
            "acquired at %s:%d in %s:\n%s",
            entry.id,
            endpoint,
            leak.seconds,
            engine.options.leak_threshold,
            *site,
            text,
        )
        if engine.publish is not None:
            engine.publish(ConnectionLeakedEvent, endpoint, entry.id, leak.seconds, text)
    finally:
        left = engine.core.told(entry)
        if left is not None:
            spawn(partial(_conclude, engine, entry), left)
        # It may have been lost even before.
        engine.dismiss(engine.core.reclaim(clock()))


async def _conclude(engine: Engine[Any, Any], entry: Entry, left: tuple[bool, bool]) -> None:
    """Do the rest for a lease that ended while its leak was told."""
    await give_back(engine, entry, *left)
