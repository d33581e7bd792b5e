"""The way back, whenever somebody must be told or asked.

``end`` takes the connection from the claim, so that a lease ends once; from there on the frame of
``release`` owns the slot, and its ``finally`` gives it back by ``put`` or ``doom``, whatever a hook or a
listener raises and wherever a cancellation strikes. The connection is closed under ``shield``.
"""

from pool._async.engine import Engine, log
from pool._async.manager import ConnectionT, EndpointT
from pool._core.records import Claim, Entry
from pool._runtime.aio import abandoned, clock
from pool.monitoring import ConnectionCheckedInEvent

__all__ = ["give_back", "release"]


async def release(
    engine: Engine[EndpointT, ConnectionT],
    claim: Claim,
    error: BaseException | None = None,
    discard: bool = False,
) -> None:
    """End a lease.

    Parameters:
        engine: the pool's.
        claim: the lease; nothing happens if it has ended.
        error: what left the body of the block.
        discard: close the connection in any case.

    Raises:
        Exception: what ``on_release`` raised, unless there is an ``error`` already.
    """
    entry = engine.core.end(claim, clock())
    if entry is None:
        return
    fit = failed = False
    left_by = error
    try:
        if not discard and (error is None or _reusable(engine, entry, error)):
            verdict = None
            if engine.on_release is not None and not entry.doomed:
                verdict = await engine.on_release(entry.home.endpoint, entry.connection)
            fit = verdict is not False
    except Exception:
        failed = True
        if error is None:
            raise
        log.exception("on_release for %r failed after an error in the body", entry.home.endpoint)
    except BaseException as interruption:
        left_by = interruption
        raise
    finally:
        if not (entry.telling and engine.core.leave(entry, fit, failed)):
            patient = left_by is None or not abandoned(left_by)
            await give_back(engine, entry, fit, failed, patient)


async def give_back(
    engine: Engine[EndpointT, ConnectionT],
    entry: Entry,
    fit: bool,
    failed: bool,
    patient: bool = True,
) -> None:
    """Tell that a lease has ended, and give its connection back.

    Parameters:
        engine: the pool's.
        entry: its lease has ended.
        fit: whether it may be used again.
        failed: whether a hook failed.
        patient: wait until it is closed, if it must be.
    """
    try:
        if engine.publish is not None:
            engine.publish(ConnectionCheckedInEvent, entry.home.endpoint, entry.id)
    finally:
        core = engine.core
        effects = core.put(entry, clock()) if fit else core.doom(entry, failed)
        if effects and patient:
            await engine.perform(effects)
        elif effects:
            engine.dismiss(effects)


def _reusable(engine: Engine[EndpointT, ConnectionT], entry: Entry, error: BaseException) -> bool:
    if engine.can_reuse is None or (engine.on_release is not None and abandoned(error)):
        return False
    try:
        return bool(engine.can_reuse(entry.home.endpoint, entry.connection, error))
    except Exception:
        log.exception("can_reuse for %r failed: the connection is closed", entry.home.endpoint)
        return False
