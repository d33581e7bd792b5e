"""Modules that need more than the standard library, and say so."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("face", ["aio", "sync"])
@pytest.mark.parametrize(
    ("name", "library"), [("psycopg", "psycopg"), ("websockets", "websockets")]
)
def test_missing_library(face: str, name: str, library: str) -> None:
    """The error names the extra to install."""
    code = f"""
import sys
sys.modules["{library}"] = None
try:
    import pool.{face}.{name}
except ImportError as error:
    print(error)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    text = f"pool.{face}.{name} needs {library}, which is not installed: "
    assert result.stdout.strip() == f"{text}pip install 'twinpool[{name}]'"
