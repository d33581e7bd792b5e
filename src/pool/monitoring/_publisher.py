"""Who wants which events of one pool or topology, and the delivery to them. Internal."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVarTuple

from pool._later import logger
from pool.monitoring._event import Event
from pool.monitoring._listeners import HANDLERS, EventListener, Handler, handler_of
from pool.monitoring._registry import checked, registered

Values = TypeVarTuple("Values")

_logger = logger("pool.monitoring")


class Publish(Protocol):
    """The type of ``Publisher.publish``, for whoever keeps the bound method."""

    def __call__(self, event_type: Callable[[*Values], Event], /, *args: *Values) -> None: ...


class Publisher:
    """Knows for each event class the handlers that want it; never changes.

    Parameters:
        handlers: per event class; a class that nobody wants is left out.
    """

    __slots__ = ("_handlers",)

    def __init__(self, handlers: dict[object, tuple[Handler, ...]]) -> None:
        self._handlers = handlers

    def wants(self, event_type: type[Event]) -> bool:
        """Return whether anybody wants events of this class."""
        return event_type in self._handlers

    def publish(self, event_type: Callable[[*Values], Event], /, *args: *Values) -> None:
        """Tell everybody who wants an event of this class; make it only if somebody does.

        Never call it with a lock held: handlers are the user's code.

        Parameters:
            event_type: the event's class.
            args: those of its constructor, by position.

        Raises:
            BaseException: what a handler raised that is no ``Exception``, after the other handlers
                were called.
        """
        handlers = self._handlers.get(event_type)
        if handlers is not None:
            _deliver(event_type(*args), iter(handlers))

    def __repr__(self) -> str:
        wanted = ", ".join(
            f"{event_type.__name__}: {len(self._handlers[event_type])}"
            for event_type in HANDLERS
            if event_type in self._handlers
        )
        return f"<Publisher {wanted}>"


def publisher_for(event_listeners: object, *families: type[EventListener]) -> Publisher | None:
    """Return the publisher of one pool or topology; ``None`` if nobody wants any of its events.

    Told are, in this order and each one once: the structured log of those loggers of
    ``pool.logger`` that are enabled for DEBUG now, the global listeners of now, and
    ``event_listeners``.

    Parameters:
        event_listeners: the option of that name, as the user gave it.
        families: the listener classes whose events will be published.

    Raises:
        TypeError: ``event_listeners`` is not a sequence of listeners, or a handler is unusable.
    """
    # This also loads `logging`, so that it is there when there is something to say.
    from pool import logger as structured

    own = checked(event_listeners)
    everybody = (*structured.enabled(), *registered(), *own)
    listeners = {id(listener): listener for listener in everybody}.values()
    wanted: dict[object, tuple[Handler, ...]] = {}
    for event_type, (family, _) in HANDLERS.items():
        if family in families:
            found = [handler_of(listener, event_type) for listener in listeners]
            handlers = tuple(handler for handler in found if handler is not None)
            if handlers:
                wanted[event_type] = handlers
    return Publisher(wanted) if wanted else None


def _deliver(event: Event, handlers: Iterator[Handler]) -> None:
    for handler in handlers:
        try:
            handler(event)
        except Exception:
            _logger.exception("a listener failed: %r, told of %r", handler, event)
        except BaseException:
            _deliver(event, handlers)
            raise
