"""Opening one connection, for a caller or for stock.

The permit to connect belongs to a claim all the while; whoever has the claim gives it back.
"""

from collections.abc import Hashable

from pool._async.engine import Engine
from pool._async.manager import ConnectionT, EndpointT
from pool._core.records import Entry
from pool._runtime.aio import Limit, clock
from pool.monitoring import ConnectionCreatedEvent, ConnectionReadyEvent

__all__ = ["Overtaken", "connect"]


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
