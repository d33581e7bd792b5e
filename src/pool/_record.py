"""Frozen records: dataclasses without the import of ``dataclasses``.

That imports ``inspect``, and the two take as long as all of this library. To whoever asks, a record is a
dataclass all the same, for ``fields``, ``replace``, ``asdict`` and the others: it becomes one when asked.
Type checkers see nothing else.
"""

from typing import TYPE_CHECKING, Any

__all__ = ["record", "values"]


def values(made: Any) -> dict[str, Any]:
    """Return the fields of a record by name, in their order."""
    return {name: getattr(made, name) for name in made._names}


def _made(cls: Any) -> Any:
    """Make of a class what ``dataclass(frozen=True, slots=True, kw_only=True)`` makes of it.

    Every field has a default, which cannot change. Nothing in the class may call ``super()``: the record is
    another class, as with every dataclass that has slots.
    """
    types = dict(cls.__annotations__)
    # What makes room for the fields of an object without slots.
    body = {k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__")}
    defaults = {name: body.pop(name) for name in types}
    body |= {
        "__qualname__": cls.__qualname__,
        "__slots__": tuple(types),
        "_names": tuple(types),
        "__match_args__": (),
        "__init__": _init(cls, types, defaults),
        **_METHODS,
    }
    made = type(cls.__name__, cls.__bases__, body)
    for name in ("__dataclass_fields__", "__dataclass_params__"):
        setattr(made, name, _Asked(made, name, types, defaults))
    return made


def _init(cls: Any, types: dict[str, Any], defaults: dict[str, Any]) -> Any:
    """Return the constructor: written out, so that it takes its parameters as any function does."""
    parameters = ", ".join(f"{name}=defaults[{name!r}]" for name in types)
    lines = [f"put(self, {name!r}, {name})" for name in types]
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    code = f"def __init__(self, *, {parameters}):\n  " + "\n  ".join(lines)
    scope: dict[str, Any] = {"put": object.__setattr__, "defaults": defaults}
    exec(code, scope)
    init = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {**types, "return": None}
    return init


class _Asked:
    """What ``dataclasses`` looks for in a class: made by itself, when it looks."""

    __slots__ = ("_defaults", "_made", "_name", "_types")

    def __init__(
        self, made: Any, name: str, types: dict[str, Any], defaults: dict[str, Any]
    ) -> None:
        self._made = made
        self._name = name
        self._types = types
        self._defaults = defaults

    def __get__(self, instance: object, owner: object) -> Any:
        from dataclasses import make_dataclass

        fields = [(name, kind, self._defaults[name]) for name, kind in self._types.items()]
        twin = make_dataclass("twin", fields, frozen=True, slots=True, kw_only=True)
        found = getattr(twin, self._name)
        setattr(self._made, self._name, found)
        return found


def _build(cls: Any, fields: dict[str, Any]) -> Any:
    return cls(**fields)


def _repr(self: Any) -> str:
    shown = ", ".join(f"{name}={value!r}" for name, value in values(self).items())
    return f"{type(self).__qualname__}({shown})"


def _eq(self: Any, other: object) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return values(self) == values(other)


def _hash(self: Any) -> int:
    return hash(tuple(values(self).values()))


def _setattr(self: Any, name: str, value: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _replace(self: Any, /, **changes: Any) -> Any:
    return _build(type(self), {**values(self), **changes})


def _reduce(self: Any) -> Any:
    return _build, (type(self), values(self))


_METHODS = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _setattr,
    "__delattr__": _delattr,
    "__replace__": _replace,
    "__reduce__": _reduce,
}

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:

    def record(*, frozen: bool, slots: bool, kw_only: bool) -> Any:
        """Return the decorator that makes a record: as that of a dataclass, with these three set."""
        assert frozen
        assert slots
        assert kw_only
        return _made
