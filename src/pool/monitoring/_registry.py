"""The listeners of all pools, and the check of what is offered as one."""

from collections.abc import Sequence

from pool.monitoring._listeners import EventListener

# Appending to a list and copying it are each atomic, so that no lock is needed.
_registered: list[EventListener] = []


def register(listener: EventListener) -> None:
    """Add a listener to every pool that is made from now on, in either world.

    It comes before the pool's own listeners. Thread-safe. There is no way to take it back.

    Parameters:
        listener: an instance of any of the five families, or what ``on`` returned.

    Raises:
        TypeError: it is no listener.
    """
    _check("listener", listener)
    _registered.append(listener)


def registered() -> tuple[EventListener, ...]:
    """Return the global listeners of now, in the order of registration."""
    return tuple(_registered)


def checked(event_listeners: object) -> tuple[EventListener, ...]:
    """Return the value of the option ``event_listeners`` as a tuple of listeners.

    Raises:
        TypeError: it is not a sequence, or something in it is no listener.
    """
    if not isinstance(event_listeners, Sequence) or isinstance(event_listeners, (str, bytes)):
        raise TypeError(
            "event_listeners must be a sequence of listeners, "
            f"not {type(event_listeners).__name__}: {event_listeners!r}"
        )
    for place, listener in enumerate(event_listeners):
        _check(f"event_listeners[{place}]", listener)
    return tuple(event_listeners)


def _check(name: str, listener: object) -> None:
    if not isinstance(listener, EventListener):
        raise TypeError(
            f"{name} must be an instance of a listener class such as ConnectionPoolListener, "
            f"not {type(listener).__name__}: {listener!r}"
        )
