"""``PoolOptions``, and what a type checker and the wrong world's manager say of a pool's arguments."""

import inspect
import os
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import pool
from pool import PoolOptions, aio, sync
from pool.options import MultiplexedOptions, MultiplexedOptionsDict, PoolOptionsDict

DEFAULTS: dict[str, Any] = {
    "max_size": 10,
    "min_size": 0,
    "total_max_size": 100,
    "max_connecting": 2,
    "max_waiting": None,
    "acquire_timeout": 30.0,
    "connect_timeout": 10.0,
    "dispose_timeout": 5.0,
    "idle_timeout": 60.0,
    "max_lifetime": 3600.0,
    "max_uses": None,
    "check_after_idle": 1.0,
    "health_check_interval": None,
    "reuse": "lifo",
    "leak_threshold": None,
    "background_collector": True,
    "dispose_batch_size": 0,
    "paused": False,
}

NAN, INF = float("nan"), float("inf")
OPTIONAL_COUNTS = {"max_size": 1, "total_max_size": 1, "max_waiting": 0, "max_uses": 1}
COUNTS = {**OPTIONAL_COUNTS, "min_size": 0, "max_connecting": 1, "dispose_batch_size": 0}
MAY_BE_ZERO = ["acquire_timeout", "check_after_idle", "idle_timeout"]
MAY_NOT_BE_ZERO = [
    "connect_timeout",
    "dispose_timeout",
    "max_lifetime",
    "health_check_interval",
    "leak_threshold",
]
TIMES = MAY_BE_ZERO + MAY_NOT_BE_ZERO
FLAGS = ["background_collector", "paused"]

#: What is in nobody's way.
UNLIMITED = {"max_size": None, "total_max_size": None}


def make(**options: Any) -> PoolOptions:
    return PoolOptions(**options)


# -- values -----------------------------------------------------------------------------------------


def test_the_defaults() -> None:
    """They are part of the contract, as are the names."""
    assert asdict(PoolOptions()) == DEFAULTS
    assert [(field.name, field.default) for field in fields(PoolOptions)] == [*DEFAULTS.items()]


def test_options_are_frozen() -> None:
    """A pool's options change by ``resize`` only."""
    options = PoolOptions()
    with pytest.raises(FrozenInstanceError):
        options.max_size = 5  # type: ignore[misc]


def test_options_have_no_positions() -> None:
    """They are many, and given by name."""
    build: Any = PoolOptions
    with pytest.raises(TypeError):
        build(5)


def test_options_are_values() -> None:
    """Equal ones are equal, and can be kept in a set."""
    assert len({make(max_size=5), make(max_size=5), make()}) == 2


def test_only_what_was_changed_is_shown() -> None:
    """For the event that tells of a new pool."""
    assert make().changed() == {}
    options = {"max_size": None, "acquire_timeout": 5.0, "reuse": "fifo", "paused": True}
    assert make(**options).changed() == options
    assert make(max_size=10, reuse="lifo").changed() == {}


@pytest.mark.parametrize(("name", "least"), COUNTS.items())
def test_the_least_count_is_allowed(name: str, least: int) -> None:
    """As is a large one."""
    for value in (least, 10**9):
        assert getattr(make(**{**UNLIMITED, name: value}), name) == value


@pytest.mark.parametrize(("name", "least"), COUNTS.items())
def test_less_than_the_least_count_is_an_error(name: str, least: int) -> None:
    """It names the option, the bound and the value."""
    for value in (least - 1, -100):
        with pytest.raises(ValueError, match=f"^{name} must be at least {least}, not {value}$"):
            make(**{**UNLIMITED, name: value})


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize(
    "value", ["5", 5.0, 0.5, NAN, INF, True, False, [5], b"5", object()], ids=lambda v: repr(v)[:15]
)
def test_a_count_is_a_whole_number(name: str, value: Any) -> None:
    """A bool is none, nor is a float that happens to be whole."""
    with pytest.raises(
        TypeError, match=f"^{name} must be a whole number.*not {re.escape(repr(value))}"
    ):
        make(**{name: value})


@pytest.mark.parametrize("name", [*OPTIONAL_COUNTS, *TIMES])
def test_none_means_no_limit(name: str) -> None:
    """Where there may be none."""
    assert getattr(make(**{name: None}), name) is None


@pytest.mark.parametrize("name", sorted(set(DEFAULTS) - {*OPTIONAL_COUNTS, *TIMES}))
def test_none_is_an_error_elsewhere(name: str) -> None:
    """It names the option."""
    error = ValueError if name == "reuse" else TypeError
    with pytest.raises(error, match=f"^{name} must be .*not None$"):
        make(**{name: None})


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", [1, 0.001, 1e300])
def test_a_time_is_a_number_of_seconds(name: str, value: float) -> None:
    """An int or a float, however small or large."""
    assert getattr(make(**{name: value}), name) == value


@pytest.mark.parametrize("name", MAY_BE_ZERO)
@pytest.mark.parametrize("value", [0, 0.0])
def test_a_time_may_be_zero(name: str, value: float) -> None:
    """Where that has a meaning: now or never, always."""
    assert getattr(make(**{name: value}), name) == 0


@pytest.mark.parametrize("name", MAY_NOT_BE_ZERO)
@pytest.mark.parametrize("value", [0, 0.0])
def test_a_time_may_not_be_zero_elsewhere(name: str, value: float) -> None:
    """Nothing can be opened or closed in no time."""
    with pytest.raises(ValueError, match=f"^{name} must be finite and more than 0"):
        make(**{name: value})


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("value", [-1, -0.001, NAN, INF, -INF, 10**400], ids=lambda v: repr(v)[:8])
def test_a_time_is_finite_and_not_negative(name: str, value: float) -> None:
    """``None`` is the way to say that there is no limit. The error names option, bound and value."""
    bound = "not negative" if name in MAY_BE_ZERO else "more than 0"
    text = f"{name} must be finite and {bound} (seconds), not {value!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        make(**{name: value})


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize(
    "value", ["5", b"5", True, False, [5], 5j, object()], ids=lambda v: repr(v)[:15]
)
def test_a_time_is_a_number(name: str, value: Any) -> None:
    """A bool is none, nor is a text that looks like one."""
    with pytest.raises(TypeError, match=f"^{name} must be a number of seconds or None, not "):
        make(**{name: value})


@pytest.mark.parametrize("value", ["LIFO", "", "random", 0, True, ["lifo"]], ids=repr)
def test_reuse_is_one_of_two_words(value: Any) -> None:
    """The error names both."""
    with pytest.raises(ValueError, match=r"^reuse must be 'lifo' or 'fifo', not "):
        make(reuse=value)


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", [0, 1, "", "yes", [], NAN], ids=repr)
def test_a_flag_is_a_real_bool(name: str, value: Any) -> None:
    """No number and no text will do."""
    text = f"{name} must be True or False, not {value!r}"
    with pytest.raises(TypeError, match=f"^{re.escape(text)}$"):
        make(**{name: value})


def test_every_option_is_of_a_kind() -> None:
    """So that what is said above of the kinds is said of all."""
    assert sorted([*COUNTS, *TIMES, *FLAGS, "reuse"]) == sorted(DEFAULTS)


ORDER = [("min_size", "max_size"), ("min_size", "total_max_size"), ("max_size", "total_max_size")]


@pytest.mark.parametrize(("less", "more"), ORDER)
def test_sizes_are_in_order(less: str, more: str) -> None:
    """The error names both, the value and the bound; equal ones are in order, and no limit is."""
    options = {**UNLIMITED, more: 3}
    assert getattr(make(**{**options, less: 3}), less) == 3
    text = f"{less} must not be more than {more}, which is 3, but is 4"
    with pytest.raises(ValueError, match=f"^{text}$"):
        make(**{**options, less: 4})
    assert getattr(make(**{**UNLIMITED, less: 4, "min_size": 4}), less) == 4


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"max_size": 101},
            "max_size must not be more than total_max_size, which is 100, but is 101",
        ),
        (
            {"total_max_size": 9},
            "max_size must not be more than total_max_size, which is 9, but is 10",
        ),
        ({"min_size": 11}, "min_size must not be more than max_size, which is 10, but is 11"),
    ],
)
def test_a_size_is_compared_with_the_defaults_too(options: dict[str, Any], text: str) -> None:
    """Rather than change silently what was not named."""
    with pytest.raises(ValueError, match=f"^{text}$"):
        make(**options)


def test_an_endpoint_may_be_unlimited_in_a_limited_pool() -> None:
    """Then the total is its limit."""
    options = make(max_size=None, total_max_size=5)
    assert (options.max_size, options.total_max_size) == (None, 5)


# -- one list of options ----------------------------------------------------------------------------


def test_the_typed_dict_has_the_names_and_types_of_the_dataclass() -> None:
    """What a type checker accepts is what a pool accepts."""
    assert get_type_hints(PoolOptionsDict) == get_type_hints(PoolOptions)
    further = get_type_hints(MultiplexedOptionsDict)
    first = {"size": int, "max_pending": int | None}
    assert first | further == get_type_hints(MultiplexedOptions)


def test_no_option_must_be_given() -> None:
    """Each has a default."""
    assert PoolOptionsDict.__required_keys__ == frozenset()


def test_every_option_is_described() -> None:
    """In the docstring of the dataclass, in their order."""
    text = (inspect.getdoc(PoolOptions) or "").partition("Raises:")[0]
    described = re.findall(r"^    (\w+): ", text, re.MULTILINE)
    assert described == list(DEFAULTS)


# -- the manager of the other world -----------------------------------------------------------------


class AioManager(aio.ConnectionManager[str, int]):
    async def create(self, endpoint: str, timeout: float | None) -> int:
        return 1

    async def dispose(self, endpoint: str, conn: int, timeout: float | None) -> None:
        """Nothing to do."""


class SyncManager(sync.ConnectionManager[str, int]):
    def create(self, endpoint: str, timeout: float | None) -> int:
        return 1

    def dispose(self, endpoint: str, conn: int, timeout: float | None) -> None:
        """Nothing to do."""


@pytest.mark.parametrize(
    ("make_pool", "manager", "wanted"),
    [
        (aio.ConnectionPool, SyncManager(), "pool.aio.ConnectionManager"),
        (sync.ConnectionPool, AioManager(), "pool.sync.ConnectionManager"),
    ],
)
def test_a_manager_of_the_other_world_is_an_error(
    make_pool: Any, manager: Any, wanted: str
) -> None:
    """At once, and it says which one was wanted."""
    with pytest.raises(TypeError, match=f"manager must be .*{re.escape(wanted)}.* not .*Manager"):
        make_pool(manager)


# -- what mypy says ---------------------------------------------------------------------------------

SNIPPET = """
from {door} import ConnectionManager, ConnectionPool

def good(manager: ConnectionManager[str, int]) -> None:
    options = ConnectionPool(manager, max_size=None, connect_timeout=5, reuse="fifo").options
    reveal_type(options.max_size)
    reveal_type(ConnectionPool(manager).connection("e"))

def bad(manager: ConnectionManager[str, int]) -> None:
    ConnectionPool(manager, max_sise=5)
    ConnectionPool(manager, max_size="5")
    ConnectionPool(manager, max_connecting=None)
    ConnectionPool(manager, acquire_timeout="soon")
    ConnectionPool(manager, reuse="random")
    ConnectionPool(manager, paused="no")
    ConnectionPool(manager, event_listeners=None)
    ConnectionPool(manager, name=5)
    ConnectionPool(manager).resize(max_size="5")
    ConnectionPool(manager).connection(5)
    ConnectionPool(manager).connection("e", timeout="soon")
    {other}
"""


@pytest.fixture(scope="module", params=["aio", "sync"])
def said(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What mypy says of each line of the snippet, in order."""
    pytest.importorskip("mypy")
    world, other = request.param, {"aio": "sync", "sync": "aio"}[request.param]
    path = tmp_path_factory.mktemp("mypy") / "snippet.py"
    text = SNIPPET.format(
        door=f"pool.{world}",
        other=f"from pool.{other} import ConnectionPool as Other; Other(manager)",
    )
    path.write_text(text)
    environment = dict(os.environ)
    source = Path(pool.__file__).parents[1]
    if source.name != "site-packages":
        environment["MYPYPATH"] = str(source)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--config-file="]
    command += [f"--cache-dir={path.parent / 'cache'}", str(path)]
    result = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=path.parent, check=False
    )
    assert not result.stderr, result.stderr
    lines = [""] * text.count("\n")
    for line in result.stdout.splitlines():
        match = re.fullmatch(r"snippet\.py:(\d+): (error|note): (.*)", line)
        assert match, result.stdout
        lines[int(match[1]) - 1] += match[3]
    return [
        f"{code.strip()} -> {message}"
        for code, message in zip(text.splitlines(), lines, strict=True)
        if message or "ConnectionPool(" in code
    ]


@pytest.mark.slow
def test_a_type_checker_knows_what_a_pool_is_made_of(said: list[str]) -> None:
    """Good options pass, and types go from the manager to the connection."""
    options, size, connection = said[:3]
    assert options.endswith("-> ")
    assert "int | None" in size
    assert "Lease[builtins.str, builtins.int]" in connection or "Lease[str, int]" in connection


@pytest.mark.slow
@pytest.mark.parametrize(
    "wrong",
    [
        "max_sise=5",
        'max_size="5")',
        "max_connecting=None",
        'acquire_timeout="soon"',
        'reuse="random"',
        'paused="no"',
        "event_listeners=None",
        "name=5",
        'resize(max_size="5")',
        "connection(5)",
        'timeout="soon")',
        "Other(manager)",
    ],
)
def test_a_type_checker_rejects_what_makes_no_sense(said: list[str], wrong: str) -> None:
    """Names, types, and the manager of the other world."""
    answers = [answer for answer in said if wrong in answer]
    assert answers
    for answer in answers:
        assert "[call-arg]" in answer or "[arg-type]" in answer, answer
