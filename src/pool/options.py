"""How a pool behaves: ``PoolOptions``, frozen, validated once and early.

Rules of this module: plain data; an option that is not built is not accepted; the message of a bad value
names the option, the value and the bound.
"""

from collections.abc import Iterable
from enum import Enum
from sys import float_info
from types import UnionType
from typing import Any, Final, Literal, TypedDict, Unpack

from pool._record import record, values

# What a float can hold: any larger number of seconds is infinite, or a slip.
_LONGEST = float_info.max

__all__ = [
    "UNSET",
    "MultiplexedOptions",
    "MultiplexedOptionsDict",
    "PoolOptions",
    "PoolOptionsDict",
    "Unset",
]


class Unset(Enum):
    """The type of a ``timeout`` that was left out."""

    UNSET = "acquire_timeout"

    def __repr__(self) -> str:
        return self.value


UNSET: Final = Unset.UNSET


class MultiplexedOptionsDict(TypedDict, total=False):
    """The further keyword options of a ``MultiplexedPool``, for type checkers."""

    max_connecting: int
    max_waiting: int | None
    acquire_timeout: float | None
    connect_timeout: float | None
    dispose_timeout: float | None
    idle_timeout: float | None
    max_lifetime: float | None
    max_uses: int | None
    check_after_idle: float | None
    health_check_interval: float | None
    reuse: Literal["lifo", "fifo"]
    leak_threshold: float | None
    background_collector: bool


class PoolOptionsDict(MultiplexedOptionsDict, total=False):
    """The keyword options of a pool, for type checkers: ``**options: Unpack[PoolOptionsDict]``."""

    max_size: int | None
    min_size: int
    total_max_size: int | None
    dispose_batch_size: int
    paused: bool


@record(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """The options of a pool. Times are seconds.

    Parameters:
        max_size: connections per endpoint; idle, in use, connecting and closing all count. ``None`` = no
            limit.
        min_size: connections that are kept per known endpoint, opened in the background.
        total_max_size: connections over all endpoints; for one more, the least recently used idle one of
            another endpoint is closed. ``None`` = no limit.
        max_connecting: connections being opened at once per endpoint.
        max_waiting: callers that may queue per endpoint; one more gets ``PoolOverloadedError`` at once.
        acquire_timeout: for the whole acquire: queue, connect, check and hooks. ``None`` = no limit,
            0 = now or never.
        connect_timeout: for one ``create``, within what is left of the acquire, and for one check in the
            background. ``None`` = only that.
        dispose_timeout: for one ``dispose``. ``None`` = no limit.
        idle_timeout: idle time after which a connection above ``min_size`` is retired. ``None`` = never.
        max_lifetime: age at which a connection is retired, shortened by up to 10 % at random; one in use
            first comes back. ``None`` = never.
        max_uses: checkouts before a connection is retired.
        check_after_idle: ``check_aliveness`` runs at acquire only after more idle time than this;
            0 = always, ``None`` = never.
        health_check_interval: between checks of an idle connection in the background, shortened by up to
            10 % at random; a dead one is replaced. ``None`` = no such checks.
        reuse: which idle connection goes first: ``"lifo"`` keeps the busy ones busy, ``"fifo"`` spreads
            the load.
        leak_threshold: a lease held longer is reported, once, with the calls that took it. ``None`` = none
            is. It costs time on every checkout.
        background_collector: whether a worker, a task or daemon thread, fills, retires and checks. If not,
            a release retires what is due, and ``maintain()`` does all of it.
        dispose_batch_size: without the worker, how many connections a release retires at most; 0 = as many
            as the size of the pool has binary digits.
        paused: endpoints start paused and ``clear()`` pauses them, until ``ready(endpoint)``.

    Raises:
        ValueError: for a value out of bounds.
        TypeError: for a value of the wrong type; a bool is not a number.
    """

    max_size: int | None = 10
    min_size: int = 0
    total_max_size: int | None = 100
    max_connecting: int = 2
    max_waiting: int | None = None
    acquire_timeout: float | None = 30.0
    connect_timeout: float | None = 10.0
    dispose_timeout: float | None = 5.0
    idle_timeout: float | None = 60.0
    max_lifetime: float | None = 3600.0
    max_uses: int | None = None
    check_after_idle: float | None = 1.0
    health_check_interval: float | None = None
    reuse: Literal["lifo", "fifo"] = "lifo"
    leak_threshold: float | None = None
    background_collector: bool = True
    dispose_batch_size: int = 0
    paused: bool = False

    def __post_init__(self) -> None:
        _count("max_size", self.max_size, least=1, optional=True)
        _count("min_size", self.min_size, least=0, optional=False)
        _count("total_max_size", self.total_max_size, least=1, optional=True)
        _count("max_connecting", self.max_connecting, least=1, optional=False)
        _count("max_waiting", self.max_waiting, least=0, optional=True)
        _count("max_uses", self.max_uses, least=1, optional=True)
        _count("dispose_batch_size", self.dispose_batch_size, least=0, optional=False)
        _ordered("min_size", self.min_size, "max_size", self.max_size)
        _ordered("min_size", self.min_size, "total_max_size", self.total_max_size)
        _ordered("max_size", self.max_size, "total_max_size", self.total_max_size)
        check_seconds("acquire_timeout", self.acquire_timeout, zero=True)
        check_seconds("connect_timeout", self.connect_timeout, zero=False)
        check_seconds("dispose_timeout", self.dispose_timeout, zero=False)
        check_seconds("idle_timeout", self.idle_timeout, zero=True)
        check_seconds("max_lifetime", self.max_lifetime, zero=False)
        check_seconds("check_after_idle", self.check_after_idle, zero=True)
        check_seconds("health_check_interval", self.health_check_interval, zero=False)
        check_seconds("leak_threshold", self.leak_threshold, zero=False)
        if self.reuse not in ("lifo", "fifo"):
            raise ValueError(f"reuse must be 'lifo' or 'fifo', not {self.reuse!r}")
        _flag("background_collector", self.background_collector)
        _flag("paused", self.paused)

    def changed(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, by name."""
        return {name: value for name, value in values(self).items() if value != _DEFAULTS[name]}


@record(frozen=True, slots=True, kw_only=True)
class MultiplexedOptions:
    """The options of a ``MultiplexedPool``. Times are seconds.

    What is not named here means the same as in ``PoolOptions``. A connection is idle while nobody uses it,
    and used once for each caller.

    Parameters:
        size: how many connections there may be: in use, idle, connecting, closing and broken all count. At
            least 1 when the pool is made.
        max_pending: how many callers may use one connection at once. ``None`` = any number.
        idle_timeout: idle time after which a connection is retired. ``None`` = never.
        max_lifetime: age at which a connection is retired, shortened by up to 10 % at random; nobody new gets
            it, and it is closed when its last caller has left. ``None`` = never.
        max_uses: callers that a connection serves before it is retired, in the same way.
        reuse: which of equally loaded connections goes first: ``"lifo"`` the one used last, ``"fifo"`` the
            one that was not used longest.

    Raises:
        ValueError: for a value out of bounds.
        TypeError: for a value of the wrong type; a bool is not a number.
    """

    size: int = 1
    max_pending: int | None = None
    max_connecting: int = 2
    max_waiting: int | None = None
    acquire_timeout: float | None = 30.0
    connect_timeout: float | None = 10.0
    dispose_timeout: float | None = 5.0
    idle_timeout: float | None = None
    max_lifetime: float | None = 3600.0
    max_uses: int | None = None
    check_after_idle: float | None = 1.0
    health_check_interval: float | None = None
    reuse: Literal["lifo", "fifo"] = "lifo"
    leak_threshold: float | None = None
    background_collector: bool = True

    def __post_init__(self) -> None:
        _count("size", self.size, least=0, optional=False)
        _count("max_pending", self.max_pending, least=1, optional=True)
        self.of_pool()

    def of_pool(self) -> PoolOptions:
        """Return them as those of a pool with one endpoint."""
        rest = values(self)
        size = rest.pop("size")
        del rest["max_pending"]
        return PoolOptions(max_size=max(size, 1), total_max_size=None, **rest)

    def changed(self) -> dict[str, Any]:
        """Return the options that differ from their defaults, by name, and the size."""
        default = values(MultiplexedOptions())
        given = values(self).items()
        return {name: value for name, value in given if name == "size" or value != default[name]}


def make_multiplexed_options(size: int, options: dict[str, Any]) -> MultiplexedOptions:
    """Return the options a user gave as keywords, or tell him which ones there are."""
    _count("size", size, least=1, optional=False)
    known = values(MultiplexedOptions())
    for name in options:
        if name not in known:
            raise TypeError(f"unknown option {name!r}: a multiplexed pool has {', '.join(known)}")
    return MultiplexedOptions(size=size, **options)


def make_options(options: dict[str, Any]) -> PoolOptions:
    """Return the options a user gave as keywords, or tell him which ones there are."""
    check_known(options)
    return PoolOptions(**options)


def check_known(options: Iterable[str], pool: str = "a pool", own: Iterable[str] = ()) -> None:
    """Raise if an option is none of ``PoolOptions``; the text names the ``own`` ones of that pool, too."""
    for name in options:
        if name not in _DEFAULTS:
            known = ", ".join((*own, *_DEFAULTS))
            raise TypeError(f"unknown option {name!r}: {pool} has {known}")


def replaced(options: PoolOptions, **changes: Unpack[PoolOptionsDict]) -> PoolOptions:
    """Return options with some of them changed."""
    return PoolOptions(**{**values(options), **changes})


def resized(options: MultiplexedOptions, size: int) -> MultiplexedOptions:
    """Return options with another size."""
    return MultiplexedOptions(**{**values(options), "size": size})


def check_count(name: str, value: object) -> None:
    """Raise unless ``value`` is a whole number and at least 1."""
    _count(name, value, least=1, optional=False)


def check_endpoint(endpoint: object) -> None:
    """Raise ``TypeError`` unless an endpoint can be a key."""
    try:
        hash(endpoint)
    except TypeError as error:
        raise TypeError(f"endpoint must be hashable, not {endpoint!r}: {error}") from None


def check_instance(name: str, value: object, kind: type | UnionType, expected: str) -> None:
    """Raise ``TypeError`` unless a value is of a kind."""
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {expected}, not {value!r}")


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


def _ordered(less: str, low: int | None, more: str, high: int | None) -> None:
    if low is not None and high is not None and low > high:
        raise ValueError(f"{less} must not be more than {more}, which is {high}, but is {low}")


def _flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, not {value!r}")


_DEFAULTS: Final = values(PoolOptions())
