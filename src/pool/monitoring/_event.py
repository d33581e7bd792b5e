"""What all events have in common: they are read-only records, equal by value."""

from typing import ClassVar


class Event:
    """The root of all event classes.

    An event is plain data. Its properties cannot be set; two events are equal when they are of the
    same class and carry equal values. One that carries a document or a mapping cannot be hashed.
    """

    # Constructors stay plain assignments to private slots, read through properties: a frozen
    # dataclass pays an ``object.__setattr__`` call for each field, several times the price.
    __slots__ = ()

    _fields: ClassVar[tuple[str, ...]] = ()
    """The properties that were given to the constructor; each is kept in a slot ``_name``."""

    _unshown: ClassVar[frozenset[str]] = frozenset()
    """Those left out of the ``repr``, which must be fit for a log."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._fields += tuple(slot[1:] for slot in cls.__dict__.get("__slots__", ()))

    def _values(self) -> tuple[object, ...]:
        return tuple([getattr(self, name) for name in self._fields])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event) or type(other) is not type(self):
            return NotImplemented
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        shown = [name for name in self._fields if name not in self._unshown]
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
        return f"{type(self).__name__}({values})"
