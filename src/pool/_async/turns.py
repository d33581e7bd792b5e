"""What an endpoint becomes: it is told first, and takes effect then.

Whoever changes the state of an endpoint has its turn meanwhile: he takes it with ``introduce`` or ``begin``
of the core, publishes, and ends it with the call that makes the change.
"""

from math import inf
from typing import Any

from pool._async.engine import Engine
from pool._async.manager import EndpointT
from pool._core.records import Effects
from pool._core.states import PAUSED, READY, UNKNOWN
from pool._runtime.aio import caller, clock
from pool.errors import PoolClosedError
from pool.monitoring import PoolClearedEvent, PoolCreatedEvent, PoolReadyEvent

__all__ = ["announce", "begin", "introduce", "make_ready", "make_stale"]


async def introduce(
    engine: Engine[EndpointT, Any], endpoint: EndpointT, keep: bool = False, deadline: float = inf
) -> None:
    """Make an endpoint known and say so, unless it is.

    Parameters:
        engine: the pool's.
        endpoint: the endpoint.
        keep: do not forget it when it is empty.
        deadline: when to stop waiting for somebody else who is about to say so.

    Raises:
        PoolClosedError: it would become known by its use, and the pool does not have that.
    """
    if not (keep or engine.strangers):
        raise PoolClosedError(f"the pool of connections to {endpoint!r} is closed")
    turn = engine.core.introduce(endpoint, keep, caller())
    while not isinstance(turn, bool):
        left = None if deadline == inf else max(deadline - clock(), 0.0)
        if not await turn.wait(left):
            return
        turn = engine.core.introduce(endpoint, keep, caller())
    if turn:
        announce(engine, endpoint)


def announce(engine: Engine[EndpointT, Any], endpoint: EndpointT) -> None:
    """Say that an endpoint is known now, having the turn."""
    try:
        if engine.publish is not None:
            engine.publish(PoolCreatedEvent, endpoint, engine.shown.changed())
            if not (engine.options.paused or engine.core.is_shut(endpoint)):
                engine.publish(PoolReadyEvent, endpoint)
    finally:
        engine.dismiss(engine.core.announced(endpoint, caller()))


async def begin(engine: Engine[EndpointT, Any], endpoint: EndpointT) -> str:
    """Wait for the turn to change an endpoint's state, and return that."""
    state = engine.core.begin(endpoint, caller())
    while not isinstance(state, str):
        await state.wait(None)
        state = engine.core.begin(endpoint, caller())
    return state


def make_ready(engine: Engine[EndpointT, Any], endpoint: EndpointT, state: str) -> Effects:
    """Let callers in, having the turn since the endpoint was in ``state``."""
    effects = Effects()
    if state is not UNKNOWN:
        try:
            if state is PAUSED and engine.publish is not None:
                engine.publish(PoolReadyEvent, endpoint)
        except BaseException:
            engine.dismiss(engine.core.ready(endpoint, caller(), state, clock()))
            raise
        effects = engine.core.ready(endpoint, caller(), state, clock())
    return effects


def make_stale(
    engine: Engine[EndpointT, Any],
    endpoint: EndpointT,
    state: str,
    service: object,
    interrupt: bool,
    effects: Effects,
) -> None:
    """Begin a new generation, having the turn since the endpoint was in ``state``.

    Parameters:
        engine: the pool's.
        endpoint: the endpoint.
        state: its state.
        service: only what reached this service, unless ``None``.
        interrupt: break off what is in use or connecting.
        effects: what must be done is added here.
    """
    if state is UNKNOWN:
        return
    try:
        if state is READY and engine.publish is not None:
            engine.publish(PoolClearedEvent, endpoint, service, interrupt)
    finally:
        engine.core.clear(endpoint, caller(), state, service, interrupt, effects)
