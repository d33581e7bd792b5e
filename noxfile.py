"""The sessions of this project. ``nox -l`` lists them; ``make`` runs them in a fresh clone.

Tests run against the wheel, installed: what is tested is what users get.
"""

import os
import shutil
import subprocess
from pathlib import Path

import nox

ROOT = Path(__file__).resolve().parent
PROJECT = nox.project.load_toml("pyproject.toml")
VERSIONS = ("3.11", "3.12", "3.13")

nox.needs_version = ">=2025.11"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.sessions = ["check", "tests"]


# --- Which Pythons are there -------------------------------------------------------------------------------


def is_python(program: str, version: str) -> bool:
    """Return whether a program runs and is that Python: a shim of pyenv exists, but may not run."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        result = subprocess.run(
            [program, "-c", code], capture_output=True, text=True, timeout=30, check=False
        )
    except OSError:
        return False
    return result.returncode == 0 and result.stdout.strip() == version


def candidates(version: str) -> list[str]:
    """Return where a Python may be: on the path, else among those that pyenv installed, newest first."""
    on_path = [
        program
        for folder in os.get_exec_path()
        if (program := shutil.which(f"python{version}", path=folder))
    ]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    installed = [path for path in pyenv.glob(f"{version}.*/bin/python") if _patch(path).isdigit()]
    installed.sort(key=lambda path: int(_patch(path)), reverse=True)
    return on_path + [str(path) for path in installed]


def _patch(python: Path) -> str:
    return python.parent.parent.name.rpartition(".")[2]


def find_pythons() -> list[str]:
    """Return the versions that are there, and make them known to nox, which looks along the path."""
    found = []
    for version in VERSIONS:
        python = next((p for p in candidates(version) if is_python(p, version)), None)
        if python is None:
            continue
        found.append(version)
        folder = str(Path(python).parent)
        if folder not in os.get_exec_path():
            os.environ["PATH"] += os.pathsep + folder
    return found


PYTHONS = find_pythons()


# --- What sessions share -----------------------------------------------------------------------------------


def install(session: nox.Session, *groups: str) -> None:
    """Install the dependencies of these groups."""
    session.install("--quiet", *nox.project.dependency_groups(PROJECT, *groups))


def install_wheel(session: nox.Session, *groups: str) -> None:
    """Install the wheel as a user would get it, and the dependencies of these groups."""
    # Else each process that runs tests would compile them all again, and each that tests start, the library.
    session.env["PYTHONDONTWRITEBYTECODE"] = None
    install(session, *groups)
    session.install("--quiet", "--force-reinstall", "--no-deps", built_wheel())


def built_wheel() -> str:
    """Return the wheel that the session ``build`` made."""
    (path,) = (ROOT / "dist").glob("*.whl")
    return str(path)


# --- Sessions ----------------------------------------------------------------------------------------------


@nox.session
def build(session: nox.Session) -> None:
    """Build the source distribution, and from it the wheel. Those that need it have it built."""
    session.install("--quiet", "build", *PROJECT["build-system"]["requires"])
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run("python", "-m", "build", "--no-isolation", silent=True)


@nox.session
def generate(session: nox.Session) -> None:
    """Derive the sync world from the async one."""
    install(session, "generate")
    session.run("python", "tools/unasync.py")


@nox.session
def check(session: nox.Session) -> None:
    """Format, lint, types, generated code, import directions."""
    install(session, "lint")
    session.run("ruff", "format", "--check", "--quiet")
    session.run("ruff", "check", "--quiet")
    session.run("mypy")
    session.run("python", "tools/unasync.py", "--check")
    session.run("pytest", "-q", "tests/test_imports.py", env={"PYTHONPATH": "src"})


def side_by_side(count: int) -> list[str]:
    """Most tests wait more than they compute. Those of a file share what they started."""
    return ["-n", str(count), "--dist", "loadfile"]


#: What is not about Python, and so is run on the first one only: pure decisions, tools, pages.
ONCE = ["tests/core", "tests/tools", "tests/test_docs.py", "tests/test_migration.py"]


@nox.session(python=PYTHONS, requires=["build"])
def tests(session: nox.Session) -> None:
    """All tests on every Python found; the slow ones, which are not about Python, on the first of them."""
    missing = sorted(set(VERSIONS) - set(PYTHONS))
    if missing:
        session.warn(f"not found, and so not tested: Python {', '.join(missing)}")
    install_wheel(session, "test")
    most = [*side_by_side(4), "-m", "not slow"]
    if session.posargs:
        session.run("pytest", "-q", *side_by_side(2), *session.posargs)
    elif session.python == PYTHONS[0]:
        session.run("pytest", "-q", *most)
        # Some of these do not bear that the machine is crowded.
        session.run("pytest", "-q", *side_by_side(2), "-m", "slow")
    else:
        bounds = ["--schedules", "50", *(f"--ignore={path}" for path in ONCE)]
        session.run("pytest", "-q", *most, *bounds)


#: What tells most in little time: neither real servers and programs, nor cancellation at every step, and a
#: quarter of the examples.
QUICK = ["tests/behaviour", "tests/core", "tests/tools"]
LONG = {"test_benchmark_topologies", "test_benchmarks", "test_demo", "test_docs"}


@nox.session(requires=["build"])
def quick(session: nox.Session) -> None:
    """The tests that take less than a minute, on one Python."""
    install_wheel(session, "test")
    tests = [
        *QUICK,
        *(str(path) for path in Path("tests").glob("test_*.py") if path.stem not in LONG),
    ]
    bounds = ["-m", "not slow", "--hypothesis-profile", "quick"]
    session.run("pytest", "-q", *side_by_side(4), *bounds, *(session.posargs or tests))


@nox.session(python=PYTHONS, requires=["build"])
def repeat(session: nox.Session) -> None:
    """The concurrency tests, 200 times each."""
    install_wheel(session, "test")
    session.run("pytest", "-q", "-x", "-m", "concurrency", "--count", "200", *session.posargs)


@nox.session(requires=["build"])
def explore(session: nox.Session) -> None:
    """More than a hundred thousand schedules in each world."""
    install_wheel(session, "test")
    bounds = session.posargs or ["--schedules", "6000", "--at-least", "100000"]
    session.run("pytest", "-q", "tests/schedules", *bounds)


@nox.session(requires=["build"])
def soak(session: nox.Session) -> None:
    """Threads and tasks, chaos, real servers: ten minutes, or ``--seconds N``."""
    install_wheel(session, "test")
    session.run("python", "-m", "soak", *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """Test the tests: change the core in every way, and see that one of them fails each time."""
    install(session, "mutants")
    session.run("python", "-m", "tools.mutants", *session.posargs, env={"PYTHONPATH": "src"})


@nox.session(requires=["build"], reuse_venv=False)
def wheel(session: nox.Session) -> None:
    """Build, install into a fresh environment without anything else, and try it."""
    session.install("--quiet", built_wheel())
    session.cd(session.create_tmp())
    session.run("python", "-c", SMOKE_TEST)
    session.run("python", "-m", "pool", "--help", silent=True)


SMOKE_TEST = """
import importlib.metadata, importlib.resources
import pool, pool.aio, pool.sync, pool.monitoring, pool.testing
assert importlib.metadata.version("twinpool") == pool.__version__
assert importlib.resources.files("pool").joinpath("py.typed").is_file()
assert pool.aio.__all__ == pool.sync.__all__
assert not [r for r in importlib.metadata.requires("twinpool") if "extra ==" not in r]
print("the wheel works: twinpool", pool.__version__)
"""


@nox.session(requires=["build"])
def docs(session: nox.Session) -> None:
    """Build the documentation, warnings being errors, and run its examples."""
    install_wheel(session, "docs")
    session.run(
        "sphinx-build", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build/html"
    )
    session.run("pytest", "-q", "tests/test_docs.py", *session.posargs)


@nox.session(requires=["build"])
def bench(session: nox.Session) -> None:
    """Measure the pool beside others, interleaved."""
    install_wheel(session, "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session(requires=["build"])
def demo(session: nox.Session) -> None:
    """Show both worlds at work."""
    session.install("--quiet", "--force-reinstall", f"{built_wheel()}[cli]")
    session.run("python", "-m", "pool", "demo", *session.posargs)
