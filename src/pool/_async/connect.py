"""Opening one connection, for a caller or for stock.

The permit to connect belongs to a claim all the while; whoever has the claim gives it back.
"""

from collections.abc import Hashable

from pool._async.engine import Engine, log
from pool._async.manager import ConnectionT, EndpointT
from pool._core.records import Claim, Entry
from pool._runtime.aio import Limit, asked, clock, stray
from pool.monitoring import ConnectionCreatedEvent, ConnectionReadyEvent

__all__ = ["Overtaken", "connect", "stock", "tell_of_failure"]


class Overtaken(Exception):
    """A clear or close overtook the connect; what was opened is in the entry."""


async def connect(
    engine: Engine[EndpointT, ConnectionT], entry: Entry, seconds: float | None
) -> Hashable | None:
    """Open the connection of an entry, and say so.

    Parameters:
        engine: the pool's.
        entry: connecting.
        seconds: how long ``create`` may take, ``None`` for any time.

    Returns:
        The service it reached.

    Raises:
        Overtaken: it is not to be used.
        TimeoutError: the seconds are over.
        Exception: what ``create`` raised.
    """
    endpoint: EndpointT = entry.home.endpoint
    publish = engine.publish
    # In this order: a clear condemns the entry, then looks for the limit.
    limit = entry.limit = Limit(seconds)
    if entry.doomed:
        raise Overtaken
    entry.begun = True
    service: Hashable | None = None
    started = clock()
    if publish is not None:
        publish(ConnectionCreatedEvent, endpoint, entry.id)
    try:
        async with limit:
            entry.connection = await engine.manager.create(endpoint, seconds)
            if engine.greet is not None:
                if limit.broken:
                    raise Overtaken
                left = None if seconds is None else max(seconds - (clock() - started), 0.0)
                entry.number, service = await engine.greet(endpoint, entry.connection, left)
        if service is None and engine.service_id is not None:
            service = engine.service_id(endpoint, entry.connection)
    except Exception as error:
        if limit.broken:
            raise Overtaken from error
        if limit.expired and isinstance(error, TimeoutError) and not error.args:
            # It is the limit's own, which knows nothing of us.
            raise TimeoutError(
                f"connect to {endpoint!r} took longer than {seconds:.3f} s"
            ) from error
        raise
    if entry.doomed:
        raise Overtaken
    if publish is not None:
        publish(ConnectionReadyEvent, endpoint, entry.id, clock() - started)
    return service


async def stock(engine: Engine[EndpointT, ConnectionT], claim: Claim) -> BaseException | None:
    """Open a connection that nobody asked for yet.

    Parameters:
        engine: the pool's.
        claim: has the permit; it holds nothing afterwards.

    Returns:
        Why that failed, ``None`` if it did not, or if a clear overtook it.
    """
    entry = claim.entry
    assert entry is not None, "bug: the claim holds nothing"
    failure: BaseException | None = None
    try:
        service = await connect(engine, entry, engine.options.connect_timeout)
        effects = engine.core.filled(claim, service, clock())
    except Overtaken:
        effects = engine.core.abandon(claim, clock())
    except BaseException as error:
        if asked(error):
            engine.dismiss(engine.core.abandon(claim, clock()))
            raise
        failures = engine.core.failed(claim, error, clock())
        if not isinstance(error, Exception) and not stray(error):
            engine.dismiss(engine.core.abandon(claim, clock()))
            raise
        tell_of_failure(failures, entry.home.endpoint, error)
        failure = error
        effects = engine.core.abandon(claim, clock())
    await engine.perform(effects)
    return failure


def tell_of_failure(
    failures: int, endpoint: object, error: BaseException, purpose: str = "for stock"
) -> None:
    """Log a failed connect that reaches no caller (``failures``: which one in a row)."""
    # An outage is news once.
    tell = log.warning if failures == 1 else log.debug
    tell("cannot open a connection to %r %s: %r", endpoint, purpose, error)
