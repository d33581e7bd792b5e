"""The example that rides through a failover, as a program."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import pytest

from support.real import HOST, RedisServer, eventually
from support.replicas import RedisMember

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "failover.py"

PATIENCE = 20.0
"""Seconds after which a program that does not say what it should is ended."""


@pytest.fixture
def pair() -> Iterator[tuple[RedisMember, RedisMember]]:
    """Give a primary and a replica."""
    if reason := RedisServer.missing():
        pytest.skip(reason)
    with RedisMember() as primary, RedisMember(primary) as replica:
        replica.wait_synced()
        yield primary, replica


@contextmanager
def running(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the example."""
    command = [sys.executable, "-W", "error", str(PROGRAM), *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as program:
        timer = Timer(PATIENCE, program.kill)
        timer.start()
        try:
            yield program
        finally:
            timer.cancel()
            program.kill()


def read_until(program: "subprocess.Popen[str]", text: str) -> None:
    """Read what it prints, up to a line that contains the text."""
    assert program.stdout
    lines = []
    for line in program.stdout:
        lines.append(line)
        if text in line:
            return
    raise AssertionError(f"it has ended without {text!r}:\n{''.join(lines)}")


def summary(program: "subprocess.Popen[str]") -> list[str]:
    """Wait until it ends well, and return its last two lines."""
    printed, complaints = program.communicate()
    assert (program.returncode, complaints) == (0, ""), printed
    return printed.splitlines()[-2:]


def test_failover(pair: tuple[RedisMember, RedisMember]) -> None:
    """It says what the servers become, what fails and when it goes on; Ctrl-C ends it cleanly."""
    primary, replica = pair
    first, second = (f"{HOST}:{server.port}" for server in pair)
    with running(first, second) as program:
        read_until(program, f"servers: {first} PRIMARY, {second} SECONDARY")
        primary.kill()
        read_until(program, f"servers: {first} UNKNOWN, {second} SECONDARY")
        # An outage that is worth a line.
        time.sleep(0.3)
        replica.promote()
        read_until(program, f"{second} PRIMARY")
        read_until(program, "INCR: goes on after")
        program.send_signal(signal.SIGINT)
        writes, reads = summary(program)
    assert re.search(r"INCR: \d+ succeeded, \d failed, the longest gap was \d", writes)
    assert re.search(r"GET: \d+ succeeded, 0 failed, the longest gap was 0", reads)
    eventually(lambda: not replica.connections(), "it stays connected")


def test_time(pair: tuple[RedisMember, RedisMember]) -> None:
    """It ends by itself when its time is over, from one seed too."""
    _, replica = pair
    with running(f"{HOST}:{replica.port}", "--seconds", "0.5") as program:
        for line in summary(program):
            assert re.search(r"[1-9]\d* succeeded, 0 failed", line)
