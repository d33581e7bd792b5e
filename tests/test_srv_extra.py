"""The extra that ``srv://`` seeds need: loaded when it is used, and missed in plain words."""

import subprocess
import sys

import pytest

WORLDS = [("_async", "asyncio.run({})"), ("_sync", "{}")]


def run(code: str) -> str:
    """Run code in an interpreter of its own and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(("shell", "call"), WORLDS)
@pytest.mark.parametrize("function", ["load()", "resolve('_redis._tcp.example', 1)"])
def test_without_the_extra(shell: str, call: str, function: str) -> None:
    """Without dnspython the names are checked all the same; to look one up says what to install."""
    call = call.format(function) if function != "load()" else function
    text = run(f"""
import asyncio, sys
sys.modules["dns"] = None
from pool.{shell}.srv import load, resolve, srv_name
assert srv_name("srv://_redis._tcp.example") == "_redis._tcp.example"
try:
    {call}
except ImportError as error:
    assert isinstance(error.__cause__, ImportError)
    print(error)
""")
    assert text == "srv:// seeds need dnspython: pip install 'twinpool[srv]'"


@pytest.mark.parametrize("shell", [shell for shell, _ in WORLDS])
def test_loaded_when_used(shell: str) -> None:
    """An import does not load dnspython; ``load`` does."""
    run(f"""
import sys
from pool.{shell}.srv import load
assert "dns" not in sys.modules
load()
assert "dns.resolver" in sys.modules
""")
