"""The extra that the Redis manager needs: missed in plain words."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("face", ["aio", "sync"])
def test_without_the_extra(face: str) -> None:
    """Without redis-py, the import says what to install."""
    code = f"""
import sys
sys.modules["redis"] = None
try:
    import pool.{face}.redis
except ImportError as error:
    assert isinstance(error.__cause__, ImportError)
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    text = (
        f"pool.{face}.redis needs redis-py, which is not installed: pip install 'twinpool[redis]'"
    )
    assert done.stdout.strip() == text


@pytest.mark.parametrize("face", ["aio", "sync"])
def test_without_hiredis(face: str) -> None:
    """Without hiredis, only the manager that needs it says what to install."""
    code = f"""
import sys
sys.modules["hiredis"] = None
from pool.{face}.redis import PipelinedRedisManager, RedisManager
RedisManager()
try:
    PipelinedRedisManager()
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    text = "PipelinedRedisManager needs hiredis, which is not installed: "
    assert done.stdout.strip() == f"{text}pip install 'twinpool[redis]'"
