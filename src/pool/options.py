"""How a pool behaves: ``PoolOptions``, frozen, validated once and early.

Rules of this module: plain data; an option that is not built is not accepted; the message of a bad value
names the option, the value and the bound.
"""

from dataclasses import dataclass, fields
from enum import Enum
from sys import float_info
from typing import Any, Final, Literal, TypedDict

# What a float can hold: any larger number of seconds is infinite, or a slip.
_LONGEST = float_info.max

__all__ = ["UNSET", "PoolOptions", "PoolOptionsDict", "Unset"]


class Unset(Enum):
    """The type of a ``timeout`` that was left out."""

    UNSET = "acquire_timeout"

    def __repr__(self) -> str:
        return self.value


UNSET: Final = Unset.UNSET


class PoolOptionsDict(TypedDict, total=False):
    """The keyword options of a pool, for type checkers: ``**options: Unpack[PoolOptionsDict]``."""

    max_size: int | None
    max_connecting: int
    max_waiting: int | None
    acquire_timeout: float | None
    connect_timeout: float | None
    dispose_timeout: float | None
    check_after_idle: float | None
    max_uses: int | None
    reuse: Literal["lifo", "fifo"]
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """The options of a pool. Times are seconds.

    Parameters:
        max_size: connections per endpoint; idle, in use, connecting and closing all count. ``None`` = no
            limit.
        max_connecting: connections being opened at once per endpoint.
        max_waiting: callers that may queue per endpoint; one more gets ``PoolOverloadedError`` at once.
        acquire_timeout: for the whole acquire: queue, connect, check and hooks. ``None`` = no limit,
            0 = now or never.
        connect_timeout: for one ``create``, within what is left of the acquire. ``None`` = only that.
        dispose_timeout: for one ``dispose``. ``None`` = no limit.
        check_after_idle: ``check_aliveness`` runs at acquire only after more idle time than this;
            0 = always, ``None`` = never.
        max_uses: checkouts before a connection is retired.
        reuse: which idle connection goes first: ``"lifo"`` keeps the busy ones busy, ``"fifo"`` spreads
            the load.
        paused: endpoints start paused and ``clear()`` pauses them, until ``ready(endpoint)``.

    Raises:
        ValueError: for a value out of bounds.
        TypeError: for a value of the wrong type; a bool is not a number.
    """

    max_size: int | None = 10
    max_connecting: int = 2
    max_waiting: int | None = None
    acquire_timeout: float | None = 30.0
    connect_timeout: float | None = 10.0
    dispose_timeout: float | None = 5.0
    check_after_idle: float | None = 1.0
    max_uses: int | None = None
    reuse: Literal["lifo", "fifo"] = "lifo"
    paused: bool = False

    def __post_init__(self) -> None:
        _count("max_size", self.max_size, least=1, optional=True)
        _count("max_connecting", self.max_connecting, least=1, optional=False)
        _count("max_waiting", self.max_waiting, least=0, optional=True)
        _count("max_uses", self.max_uses, least=1, optional=True)
        check_seconds("acquire_timeout", self.acquire_timeout, zero=True)
        check_seconds("connect_timeout", self.connect_timeout, zero=False)
        check_seconds("dispose_timeout", self.dispose_timeout, zero=False)
        check_seconds("check_after_idle", self.check_after_idle, zero=True)
        if self.reuse not in ("lifo", "fifo"):
            raise ValueError(f"reuse must be 'lifo' or 'fifo', not {self.reuse!r}")
        if not isinstance(self.paused, bool):
            raise TypeError(f"paused must be True or False, not {self.paused!r}")

    def changed(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, by name."""
        return {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) != field.default
        }


def make_options(options: dict[str, Any]) -> PoolOptions:
    """Return the options a user gave as keywords, or tell him which ones there are."""
    known = [field.name for field in fields(PoolOptions)]
    for name in options:
        if name not in known:
            raise TypeError(f"unknown option {name!r}: a pool has {', '.join(known)}")
    return PoolOptions(**options)


def check_endpoint(endpoint: object) -> None:
    """Raise ``TypeError`` unless an endpoint can be a key."""
    try:
        hash(endpoint)
    except TypeError as error:
        raise TypeError(f"endpoint must be hashable, not {endpoint!r}: {error}") from None


def check_seconds(name: str, value: object, *, zero: bool = True) -> None:
    """Raise unless ``value`` is ``None`` or a finite number of seconds, positive or (``zero``) 0."""
    if value is None:
        return
    bound = "not negative" if zero else "more than 0"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number of seconds or None, not {value!r}")
    if not 0 <= value <= _LONGEST or (value == 0 and not zero):
        raise ValueError(f"{name} must be finite and {bound} (seconds), not {value!r}")


def _count(name: str, value: object, *, least: int, optional: bool) -> None:
    if value is None and optional:
        return
    wanted = "a whole number or None" if optional else "a whole number"
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be {wanted}, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value!r}")
