"""The options of a pool of shared connections: what is accepted, and what is said of anything else."""

from typing import Any

import pytest

from pool import MultiplexedOptions
from pool.aio import MultiplexedPool

from .fakes import Manager


def make(**options: Any) -> MultiplexedPool[Any, Any]:
    return MultiplexedPool(Manager(), "e", **{"size": 2, **options})


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"size": 0}, ValueError, "size must be at least 1, not 0"),
        ({"size": -3}, ValueError, "size must be at least 1, not -3"),
        ({"size": True}, TypeError, "size must be a whole number, not True"),
        ({"size": None}, TypeError, "size must be a whole number, not None"),
        ({"size": 2.0}, TypeError, r"size must be a whole number, not 2\.0"),
        ({"max_pending": 0}, ValueError, "max_pending must be at least 1, not 0"),
        ({"max_pending": "3"}, TypeError, "max_pending must be a whole number or None, not '3'"),
        ({"max_waiting": -1}, ValueError, "max_waiting must be at least 0, not -1"),
        ({"max_connecting": 0}, ValueError, "max_connecting must be at least 1, not 0"),
        ({"max_uses": 0}, ValueError, "max_uses must be at least 1, not 0"),
        ({"acquire_timeout": -1}, ValueError, "acquire_timeout must be finite and not negative"),
        ({"connect_timeout": 0}, ValueError, "connect_timeout must be finite and more than 0"),
        ({"idle_timeout": float("nan")}, ValueError, "idle_timeout must be finite"),
        ({"reuse": "random"}, ValueError, "reuse must be 'lifo' or 'fifo', not 'random'"),
        ({"background_collector": 1}, TypeError, "background_collector must be True or False"),
        (
            {"min_size": 1},
            TypeError,
            "unknown option 'min_size': a multiplexed pool has size, max_",
        ),
        ({"max_size": 1}, TypeError, "unknown option 'max_size'"),
        ({"total_max_size": 1}, TypeError, "unknown option 'total_max_size'"),
        ({"paused": True}, TypeError, "unknown option 'paused'"),
        ({"sise": 1}, TypeError, "unknown option 'sise'"),
        ({"name": 3}, TypeError, "name must be a str or None, not 3"),
        ({"event_listeners": 3}, TypeError, "event_listeners"),
        ({"event_listeners": [3]}, TypeError, "3"),
    ],
)
def test_what_is_refused(options: dict[str, Any], error: type[Exception], text: str) -> None:
    """At once, by name and value, with what was expected."""
    with pytest.raises(error, match=text):
        make(**options)


def test_the_other_arguments() -> None:
    """A manager, and an endpoint that can be a key."""
    with pytest.raises(
        TypeError, match=r"manager must be an instance of pool\.aio\.ConnectionManager"
    ):
        MultiplexedPool(None, "e", size=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"endpoint must be hashable, not \[\]"):
        MultiplexedPool(Manager(), [], size=1)
    with pytest.raises(TypeError, match="size"):
        MultiplexedPool(Manager(), "e")  # type: ignore[call-arg]


def test_what_is_shown() -> None:
    """The options, frozen, with their defaults."""
    options = make(size=4, max_pending=3, max_lifetime=None).options
    assert options == MultiplexedOptions(size=4, max_pending=3, max_lifetime=None)
    assert options.idle_timeout is None
    assert options.check_after_idle == 1.0
    with pytest.raises(AttributeError):
        options.size = 5  # type: ignore[misc]


async def test_the_size_that_is_shown() -> None:
    """It is the present one."""
    pool = make()
    await pool.reduce(1)
    assert (pool.options.size, pool.size) == (1, 1)
    await pool.reduce(1)
    assert (pool.options.size, pool.size) == (0, 0)
    await pool.close()
    assert pool.options.size == 0


def test_its_line() -> None:
    """It says the class, the name, the endpoint and what there is."""
    assert repr(make()) == (
        "<MultiplexedPool to 'e', open: 0 connected, 0 broken, 0 pending, size=2>"
    )
    assert repr(make(name="main")).startswith("<MultiplexedPool 'main' to 'e', open: ")


async def test_its_line_when_it_is_closed() -> None:
    """It says so."""
    pool = make()
    await pool.close()
    assert " closed: 0 connected" in repr(pool)
