"""The way back, whenever somebody must be told or asked.

``end`` takes the connection from the claim, so that a lease ends once; from there on the frame of
``release`` owns the slot, and its ``finally`` gives it back by ``put`` or ``doom``, whatever a hook or a
listener raises and wherever a cancellation strikes. The connection is closed under ``shield``.
"""

from pool._async.engine import Engine, log
from pool._async.manager import ConnectionT, EndpointT
from pool._core.records import Claim, Entry
from pool._runtime.aio import clock
from pool.monitoring import ConnectionCheckedInEvent

__all__ = ["release"]


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
    try:
        if not discard and (error is None or _reusable(engine, entry, error)):
            if engine.on_release is not None and not entry.doomed:
                await engine.on_release(entry.home.endpoint, entry.connection)
            fit = True
    except Exception:
        failed = True
        if error is None:
            raise
        log.exception("on_release for %r failed after an error in the body", entry.home.endpoint)
    finally:
        try:
            if engine.publish is not None:
                engine.publish(ConnectionCheckedInEvent, entry.home.endpoint, entry.id)
        finally:
            core = engine.core
            await engine.perform(core.put(entry, clock()) if fit else core.doom(entry, failed))


def _reusable(engine: Engine[EndpointT, ConnectionT], entry: Entry, error: BaseException) -> bool:
    if engine.can_reuse is None:
        return False
    try:
        return bool(engine.can_reuse(entry.home.endpoint, entry.connection, error))
    except Exception:
        log.exception("can_reuse for %r failed: the connection is closed", entry.home.endpoint)
        return False
