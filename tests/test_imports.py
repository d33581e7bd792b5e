"""Who may import whom: vocabulary <- _core <- _runtime <- _async and _sync <- doors.

The rooms are those of ``docs/architecture.md``. Imports are read from the source, so that one inside a
function counts as well; those for type checkers alone may name what the room must not touch.
"""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "pool"

VOCABULARY = {
    *("pool", "pool._version", "pool.errors", "pool.options", "pool.stats"),
    *("pool.monitoring", "pool.event_loggers", "pool.logger", "pool._later", "pool._record"),
    *("pool.descriptions", "pool.selectors"),
}
# What belongs to one of the worlds, or to the machine. Only the runtime may touch it.
WORLDLY = {
    *("asyncio", "concurrent", "multiprocessing", "queue", "sched", "select", "selectors"),
    *("signal", "socket", "ssl", "subprocess", "threading", "time", "_thread"),
}
# The core has neither clock nor lock nor log: this is all it needs.
PURE = {
    *("abc", "bisect", "collections", "dataclasses", "enum", "functools", "heapq", "itertools"),
    *("math", "operator", "random", "sys", "types", "typing", "weakref"),
}
# Libraries that an extra brings, and how the names of the modules begin that may import them.
EXTRAS = {
    "psycopg": "psycopg",
    "redis": "redis",
    "hiredis": "redis",
    "dns": "srv",
    "websockets": "websocket",
}
# Programs, not part of the library: they may use all of it.
PROGRAMS = {"pool.__main__", "pool._demo"}


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


def is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def import_nodes(
    node: ast.AST, typing_only: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield every import below a node, and whether only type checkers see it."""
    typing_only = typing_only or is_for_type_checkers(node)
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, typing_only
        yield from import_nodes(child, typing_only)


def targets(node: ast.Import | ast.ImportFrom) -> set[str]:
    """Return the full names of the modules that an import statement names."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    assert node.level == 0, "imports are absolute here"
    assert node.module
    names = {f"{node.module}.{alias.name}" for alias in node.names}
    return {name if name in SOURCES else node.module for name in names}


def imports(module: str) -> set[str]:
    """Return what a module imports; of the rest of the world only what is needed when it runs."""
    return {
        target
        for node, typing_only in import_nodes(ast.parse(SOURCES[module].read_text()))
        for target in targets(node)
        if not typing_only or top(target) == "pool"
    }


def top(module: str) -> str:
    return module.partition(".")[0]


def room(module: str) -> str:
    """Return the room a module is in; of the runtime also which world's half, if either's."""
    first, _, rest = module.removeprefix("pool").removeprefix(".").partition(".")
    if module in PROGRAMS or f"pool.{first}" in PROGRAMS:
        return "program"
    if f"pool.{first}".rstrip(".") in VOCABULARY:
        return "vocabulary"
    if first == "_runtime" and rest.partition("_")[0] in ("aio", "sync"):
        return f"_runtime.{rest.partition('_')[0]}"
    if first == "testing" and rest.partition(".")[0] in TESTING:
        return f"testing.{rest if rest.startswith('_twin.') else rest.partition('.')[0]}"
    return first


#: The kit's rooms that belong to one of the worlds.
TESTING = {"_async", "_sync", "_twin", "aio", "sync"}

MAY_IMPORT = {
    "vocabulary": {"vocabulary"},
    "contrib": {"vocabulary", "contrib"},
    "_core": {"vocabulary", "_core"},
    "_runtime": {"vocabulary", "_core", "_runtime"},
    "_runtime.aio": {"vocabulary", "_core", "_runtime", "_runtime.aio"},
    "_runtime.sync": {"vocabulary", "_core", "_runtime", "_runtime.sync"},
    "_async": {"vocabulary", "_core", "_runtime", "_runtime.aio", "_async"},
    "_sync": {"vocabulary", "_core", "_runtime", "_runtime.sync", "_sync"},
    "aio": {"vocabulary", "_async", "aio"},
    "sync": {"vocabulary", "_sync", "sync"},
    "testing._twin": set(),
    "testing._twin.aio": {"_runtime", "_runtime.aio"},
    "testing._twin.sync": {"_runtime", "_runtime.sync"},
    "testing._async": {"vocabulary", "_async", "testing", "testing._async", "testing._twin.aio"},
    "testing._sync": {"vocabulary", "_sync", "testing", "testing._sync", "testing._twin.sync"},
    "testing.aio": {"testing", "testing._async"},
    "testing.sync": {"testing", "testing._sync"},
}
# Nothing of the library imports the kit; the kit may import all of it.
MAY_IMPORT["testing"] = {*MAY_IMPORT, "testing"}
MUST_NOT_TOUCH = {
    "vocabulary": WORLDLY,
    "contrib": {"asyncio"},
    "_core": sys.stdlib_module_names - PURE,
    "_runtime": {"asyncio"},
    "_runtime.aio": {"threading", "_thread", "concurrent", "queue"},
    "_runtime.sync": {"asyncio"},
    "_async": WORLDLY,
    "_sync": WORLDLY,
    "aio": sys.stdlib_module_names - {"typing"},
    "sync": sys.stdlib_module_names - {"typing"},
}

MUST_NOT_TOUCH |= {
    "testing": set(),
    "testing._twin": sys.stdlib_module_names,
    "testing._twin.aio": MUST_NOT_TOUCH["_runtime.aio"],
    "testing._twin.sync": MUST_NOT_TOUCH["_runtime.sync"],
    "testing._async": WORLDLY,
    "testing._sync": WORLDLY,
    "testing.aio": MUST_NOT_TOUCH["aio"],
    "testing.sync": MUST_NOT_TOUCH["sync"],
}

LIBRARY = [module for module in SOURCES if room(module) != "program"]


@pytest.mark.parametrize("module", LIBRARY)
def test_direction(module: str) -> None:
    """A module imports only from the rooms below its own."""
    here = room(module)
    assert here in MAY_IMPORT, f"{module} is in no room: say in this test what it may import"
    ours = {target for target in imports(module) if top(target) == "pool"}
    assert {target for target in ours if room(target) not in MAY_IMPORT[here]} == set()


@pytest.mark.parametrize("module", LIBRARY)
def test_what_a_room_may_touch(module: str) -> None:
    """A module touches nothing outside the library that its room must not."""
    assert {top(target) for target in imports(module)} & MUST_NOT_TOUCH[room(module)] == set()


@pytest.mark.parametrize("module", LIBRARY)
def test_what_comes_with_an_extra(module: str) -> None:
    """A module imports nobody else's library, unless it is there for just that library."""
    others = {top(target) for target in imports(module)} - sys.stdlib_module_names - {"pool"}
    name = module.split(".")[-1].removeprefix("aio_").removeprefix("sync_")
    assert others <= {library for library, own in EXTRAS.items() if name.startswith(own)}


@pytest.mark.parametrize("module", ["pool._async.srv", "pool._sync.srv"])
def test_dnspython_is_loaded_when_it_is_used(module: str) -> None:
    """Not by an import: who names his servers himself does not need it."""
    body = ast.parse(SOURCES[module].read_text()).body
    at_once = [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert "dns" not in {top(target) for node in at_once for target in targets(node)}
    assert "dns" in {top(target) for target in imports(module)}


def test_errors_import_nothing() -> None:
    """The errors stand on their own."""
    assert imports("pool.errors") == set()


DOORS = ("aio", "sync", "testing.aio", "testing.sync")


@pytest.mark.parametrize("module", [name for name in SOURCES if room(name) in DOORS])
def test_doors_are_names_only(module: str) -> None:
    """A door has a docstring, imports, now or later, and ``__all__``: no code of its own."""
    docstring, *rest = ast.parse(SOURCES[module].read_text()).body
    assert isinstance(docstring, ast.Expr)
    later = [node for node in rest if is_for_type_checkers(node)]
    for node in rest:
        if node not in later:
            assert isinstance(node, ast.ImportFrom) or ast.unparse(node).startswith("__all__ = ")
    for node in later:
        assert isinstance(node, ast.If)
        assert all(isinstance(child, ast.ImportFrom) for child in node.body)
        (names,) = node.orelse
        assert ast.unparse(names).startswith("__getattr__, __dir__ = lazy(__name__, ")


def run(code: str) -> str:
    """Run code in an interpreter of its own and return what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("module", ["pool", "pool.sync", "pool.monitoring", "pool.event_loggers"])
def test_imports_without_asyncio(module: str) -> None:
    """Who does not use asyncio does not pay for it."""
    assert run(f"import sys, {module}; print('asyncio' in sys.modules)") == "False"


#: What takes longest to import.
HEAVY = {
    *(
        "ast",
        "asyncio",
        "concurrent.futures",
        "copy",
        "dataclasses",
        "datetime",
        "dis",
        "importlib",
    ),
    *(
        "inspect",
        "ipaddress",
        "logging",
        "pathlib",
        "random",
        "selectors",
        "socket",
        "ssl",
        "string",
    ),
    *("subprocess", "tempfile", "textwrap", "tokenize", "traceback", "urllib.parse", "uuid"),
}


def loaded_by(code: str) -> set[str]:
    """Return the modules that some code loads on top of those that every program has."""
    listing = "import sys; before = set(sys.modules)\n{}\nprint([*{{*sys.modules}} - before])"
    return set(ast.literal_eval(run(listing.format(code))))


@pytest.mark.parametrize("module", ["pool", "pool.monitoring", "pool.sync"])
def test_what_an_import_does_not_load(module: str) -> None:
    """None of what takes long: neither for options nor for a door."""
    assert loaded_by(f"import {module}") & HEAVY == set()


def test_what_the_asynchronous_door_does_not_load() -> None:
    """Nothing that takes long beyond what asyncio itself loads."""
    assert loaded_by("import pool.aio") & HEAVY <= loaded_by("import asyncio")


@pytest.mark.parametrize("face", ["aio", "sync"])
def test_what_a_pool_needs_is_loaded_when_it_is_made(face: str) -> None:
    """Not at the first checkout, on an event loop or when something has to be logged."""
    make = f"""
from pool.{face} import ConnectionManager, ConnectionPool
class Manager(ConnectionManager):
    create = dispose = None
pool = ConnectionPool(Manager())
"""
    loaded = loaded_by(make)
    assert {"logging", "random"} <= loaded
    assert "dataclasses" not in loaded


@pytest.mark.parametrize("face", ["aio", "sync"])
@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("Stream", "streams"),
        ("TcpConnectionManager", "tcp"),
        ("UnixConnectionManager", "tcp"),
    ],
)
def test_sockets_are_loaded_when_they_are_used(face: str, name: str, home: str) -> None:
    """Whichever of these names is used first, and however."""
    shell = {"aio": "_async", "sync": "_sync"}[face]
    run(f"""
import sys, pool.{face} as door
assert "pool.{shell}.{home}" not in sys.modules
assert "{name}" in dir(door) and "__all__" in dir(door)
assert "{name}" not in vars(door)
from pool.{face} import {name} as found
assert found is sys.modules["pool.{shell}.{home}"].{name} is door.{name} is vars(door)["{name}"]
""")
    run(f"from pool.{face} import *; assert {name}.__name__ == '{name}'")


@pytest.mark.parametrize("face", ["aio", "sync"])
def test_a_door_has_no_other_names(face: str) -> None:
    """The error is the usual one."""
    door = importlib.import_module(f"pool.{face}")
    with pytest.raises(AttributeError, match=f"^module 'pool.{face}' has no attribute 'Nothing'$"):
        _ = door.Nothing


def test_package_imports_neither_world() -> None:
    """The vocabulary brings in neither shell."""
    code = "import sys, pool; print([m for m in sys.modules if m.startswith(('pool._', 'pool.'))])"
    loaded = ast.literal_eval(run(code))
    assert {room(module) for module in loaded} == {"vocabulary"}


@pytest.mark.parametrize(("face", "other"), [("aio", "sync"), ("sync", "aio")])
def test_one_face_does_not_import_the_other(face: str, other: str) -> None:
    """Either world can be used without the other."""
    code = f"import sys, pool.{face}; print([m for m in sys.modules if m.startswith('pool.')])"
    loaded = ast.literal_eval(run(code))
    absent = {other, f"_runtime.{other}", "_sync" if other == "sync" else "_async", "testing"}
    assert {room(module) for module in loaded} & absent == set()


def test_faces_have_the_same_names() -> None:
    """``pool.aio`` and ``pool.sync`` offer the same, and all of it is there; so do those of the kit."""
    import pool.aio
    import pool.sync
    import pool.testing.aio
    import pool.testing.sync

    assert pool.aio.__all__ == pool.sync.__all__
    assert pool.testing.aio.__all__ == pool.testing.sync.__all__
    # A stage is of one world, and nothing that it is given tells of which.
    assert set(pool.testing.aio.__all__) - set(pool.testing.__all__) <= {"Stage"}
    for face in (pool.aio, pool.sync, pool.testing, pool.testing.aio, pool.testing.sync):
        assert [name for name in face.__all__ if not hasattr(face, name)] == []
