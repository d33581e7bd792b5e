"""The examples as programs, against real servers."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.real import HOST, PostgresServer, RealServer

FOLDER = Path(__file__).resolve().parents[2] / "examples"


def run(example: str, server: RealServer) -> str:
    """Run an example to its end; return what it prints."""
    arguments = [HOST, str(server.port)]
    if isinstance(server, PostgresServer):
        arguments = [server.conninfo()]
    result = subprocess.run(
        [sys.executable, "-W", "error", FOLDER / example, *arguments],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize(
    ("protocol", "library"), [("redis", "redis"), ("postgres", "psycopg")], indirect=["protocol"]
)
def test_example(library: str, server: RealServer) -> None:
    """It runs, and prints the same in both worlds."""
    printed = run(f"{library}_sync.py", server)
    assert printed.endswith(("asked again: 21\n", "asked again: 42\n"))
    assert printed == run(f"{library}_aio.py", server)
