"""``python -m pool demo``: it runs everywhere, says what it found, and fails when something is wrong."""

import io
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from inspect import getsource
from typing import Any

import pytest
from rich.console import Console

from pool import PoolStats, __version__
from pool._demo import tasks, threads
from pool._demo.job import Job, Plan
from pool._demo.outcome import Outcome, problems
from pool._demo.run import run
from pool._demo.server import Answer, LineServer, pong
from pool._demo.tally import POOL_EVENTS, Tally, percentile
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedEvent,
    ConnectionCreatedEvent,
    Event,
    PoolReadyEvent,
)

SMALL = Plan(requests=400, workers=6, max_size=3, downtime=0.1)


# --- the whole demo ---


def demo(plan: Plan = SMALL, *, terminal: bool = False, answer: Answer = pong) -> tuple[int, str]:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=80)
    return run(plan, console=console, answer=answer), output.getvalue()


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
        **options,
    )


def test_everything_adds_up() -> None:
    """Both worlds lose nothing although the server dies, and the exit code says so."""
    code, text = demo()
    assert code == 0, text
    assert "Everything added up:" in text
    for event in POOL_EVENTS:
        assert event.__name__.removesuffix("Event") in text


def test_one_worker_and_one_request() -> None:
    """The smallest numbers work too."""
    code, text = demo(Plan(requests=1, workers=1, max_size=1, downtime=0))
    assert code == 0, text


def test_without_terminal_lines_show_the_progress() -> None:
    """A pipe gets a line per quarter and no control codes."""
    _, text = demo()
    assert "pool.sync with threads: 25 % of 400 replies\n" in text
    assert "pool.aio with tasks: 100 % of 400 replies\n" in text
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_terminal_shows_a_bar() -> None:
    """A terminal gets a bar that reaches its end."""
    code, text = demo(terminal=True)
    assert code == 0
    assert "400/400" in text
    assert "\x1b" in text


def test_a_lying_server_is_found_out() -> None:
    """One reply that belongs to another request makes the demo fail."""
    code, text = demo(answer=lambda line: b"PONG 8" if line == b"PING 7" else pong(line))
    assert code == 1
    assert "NOT everything added up:" in text
    for world in ("pool.sync", "pool.aio"):
        sentence = "1 replies were wrong; the first: asked b'PING 7\\n', got b'PONG 8\\n'"
        assert f"- {world}: {sentence}" in text


def test_a_lost_reply_is_found_out() -> None:
    """A request that is never answered makes the demo give up, break its connection, and fail."""
    plan = replace(SMALL, give_up=1.0)
    code, text = demo(plan, answer=lambda line: None if line == b"PING 7" else pong(line))
    assert code == 1
    for world in ("pool.sync", "pool.aio"):
        assert f"- {world}: 399 of 400 requests were answered within 1 s" in text
    assert text.count("\n- ") == 2, text


def test_both_workloads_are_the_same_program() -> None:
    """Without the words that make them async, both sources are equal."""
    source = getsource(tasks.drive)
    for word, other in {
        "async ": "",
        "await ": "",
        "with tasks": "with threads",
        "asyncio.sleep": "time.sleep",
        "TaskGroup()": "ThreadPoolExecutor(plan.workers)",
        "create_task(worker())": "submit(worker)",
        "            done\n": "            done.result()\n",
    }.items():
        assert word in source
        source = source.replace(word, other)
    assert source == getsource(threads.drive)


# --- the command ---


def test_as_a_command() -> None:
    """It runs without a terminal, without standard input, and where only ASCII can be written."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = command("-m", "pool", "demo", "--requests", "200", "--plain", env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Everything added up:" in done.stdout
    assert done.stderr == ""


def test_missing_rich_names_the_extra() -> None:
    """Without rich, one is told what to install."""
    done = command("-c", f"import sys; sys.modules['rich'] = None; {RUN_DEMO}")
    assert done.returncode == 1
    assert "pip install 'twinpool[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_another_missing_module_is_not_hidden() -> None:
    """Only rich is forgiven."""
    done = command("-c", f"import sys; sys.modules['pool.sync'] = None; {RUN_DEMO}")
    assert done.returncode == 1
    assert "import of pool.sync halted" in done.stderr


RUN_DEMO = "from pool.__main__ import main; sys.exit(main(['demo']))"


def test_the_library_does_not_import_the_demo() -> None:
    """``import pool``, and both doors, load neither the demo nor rich."""
    code = (
        "import sys, pool, pool.sync, pool.aio;"
        "print([name for name in sys.modules if name.startswith(('rich', 'pool._demo'))])"
    )
    assert command("-c", code).stdout == "[]\n"


def heed_interrupts() -> None:
    """Undo what a shell does to programs in the background: they ignore interrupts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
@pytest.mark.parametrize("moment", ["pool.sync with threads: 25 %", "pool.aio with tasks: 25 %"])
def test_ctrl_c_ends_it_cleanly(moment: str) -> None:
    """An interrupt in either world ends the demo at once, without a traceback."""
    arguments = [sys.executable, "-m", "pool", "demo", "--requests", "1000", "--downtime", "1"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        arguments, stdout=pipe, stderr=pipe, text=True, preexec_fn=heed_interrupts
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(moment):
                process.send_signal(signal.SIGINT)
                break
        _, errors = process.communicate(timeout=15)
    assert process.returncode == 130
    assert errors == "Interrupted.\n"


def test_version_and_help() -> None:
    """The usual questions have answers."""
    assert command("-m", "pool", "--version").stdout == f"twinpool {__version__}\n"
    assert "demo" in command("-m", "pool", "--help").stdout
    assert "--requests" in command("-m", "pool", "demo", "--help").stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--requests", "0"], "must be at least 1 and finite, not 0"),
        (["--downtime", "inf"], "must be at least 0 and finite, not inf"),
        (["--workers", "many"], "invalid int value: 'many'"),
    ],
)
def test_bad_arguments(arguments: list[str], complaint: str) -> None:
    """A bad number is named, with its bound."""
    done = command("-m", "pool", "demo", *arguments)
    assert done.returncode == 2
    assert complaint in done.stderr


# --- the server ---


def call(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, timeout=5)


def ask(conn: socket.socket, line: bytes) -> bytes:
    conn.sendall(line)
    reply = b""
    while not reply.endswith(b"\n"):
        data = conn.recv(100)
        if not data:
            raise EOFError
        reply += data
    return reply


def test_server_answers_lines() -> None:
    """Each line has its reply, whatever pieces it comes in."""
    with LineServer() as server, call(server.address) as conn:
        assert ask(conn, b"PING 1\n") == b"PONG 1\n"
        conn.sendall(b"PI")
        assert ask(conn, b"NG 2\n") == b"PONG 2\n"
        assert ask(conn, b"hello\n") == b"WHAT\n"


def test_server_counts_what_is_open() -> None:
    """It sees what is open at once, and is not misled by connections that follow each other."""
    with LineServer() as server:
        for number in range(100):
            with call(server.address) as conn:
                ask(conn, b"PING %d\n" % number)
        assert server.most_live == 1
        with call(server.address) as one, call(server.address) as other:
            ask(one, b"PING 1\n")
            ask(other, b"PING 2\n")
            assert server.live == 2
        assert server.wait_until_empty(5)
        assert server.most_live == 2


def test_server_dies_and_comes_back() -> None:
    """It drops everybody hard, refuses while it is away, and returns on the same port."""
    with LineServer(dies_after=2, downtime=0.3) as server:
        with call(server.address) as conn:
            ask(conn, b"PING 1\n")
            ask(conn, b"PING 2\n")
            with pytest.raises((ConnectionError, EOFError)):
                ask(conn, b"PING 3\n")
        with pytest.raises(ConnectionRefusedError):
            call(server.address)
        while True:
            try:
                conn = call(server.address)
            except ConnectionRefusedError:
                continue
            break
        with conn:
            assert ask(conn, b"PING 4\n") == b"PONG 4\n"
        assert server.deaths == 1


# --- the sums ---


def good() -> Outcome:
    job = Job(Plan(requests=2, max_size=1), ("127.0.0.1", 7000), Tally().listener)
    for number in (1, 2):
        assert job.next() == number
        job.reply(number, b"PONG %d\n" % number)
    events = {
        ConnectionCheckOutStartedEvent: 3,
        ConnectionCheckedOutEvent: 2,
        ConnectionCheckOutFailedEvent: 1,
        ConnectionCheckedInEvent: 2,
        ConnectionCreatedEvent: 2,
        ConnectionClosedEvent: 2,
    }
    return Outcome(
        world="pool.sync",
        workers="threads",
        job=job,
        stats=PoolStats(created=1, closed=1, acquired=2, released=2),
        seconds=1.0,
        most_live=1,
        left_over=0,
        deaths=1,
        events=Counter[type[Event]](events),
        waits=[0.1, 0.2],
    )


def test_a_good_outcome_has_no_problems() -> None:
    """Nothing is invented."""
    assert problems(good()) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"most_live": 2}, "the server saw 2 connections at once, allowed are 1"),
        ({"left_over": 3}, "the server still had 3 connections after the pool was closed"),
        ({"deaths": 0}, "the server did not die, so nothing was proven about that"),
        (
            {"stats": PoolStats(total=1, in_use=1, acquired=2, released=2)},
            "the closed pool still counts 1 as in_use",
        ),
        (
            {"stats": PoolStats(acquired=2, released=1)},
            "2 leases were given, but 1 ended",
        ),
    ],
)
def test_counts_that_do_not_add_up(change: dict[str, Any], problem: str) -> None:
    """Every count that is wrong is named."""
    assert problems(replace(good(), **change)) == [f"pool.sync: {problem}"]


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        (
            ConnectionCheckOutStartedEvent,
            "4 check-outs started, but 2 succeeded and 1 failed",
        ),
        (ConnectionCheckedInEvent, "2 connections were checked out, but 3 checked in"),
        (ConnectionClosedEvent, "2 connections were created, but 3 closed"),
    ],
)
def test_events_that_do_not_add_up(event: type[Event], problem: str) -> None:
    """An event too much is found."""
    outcome = good()
    outcome.events[event] += 1
    assert problems(outcome) == [f"pool.sync: {problem}"]


def test_only_the_first_error_after_a_reply_is_news() -> None:
    """So that one worker clears the pool when the server dies, and not every worker."""
    job = Job(SMALL, ("127.0.0.1", 7000), Tally().listener)
    assert job.error(ConnectionResetError())
    assert not job.error(ConnectionRefusedError())
    job.reply(1, b"PONG 1\n")
    assert job.error(ConnectionResetError())
    job.reply(2, b"PONG 2\n")
    job.end()
    assert not job.error(ConnectionResetError())
    assert job.next() is None
    assert job.errors == {"ConnectionResetError": 3, "ConnectionRefusedError": 1}


def test_tally_tells_addresses_apart() -> None:
    """One listener counts for any number of pools."""
    tally = Tally()
    handler: Any = tally.listener
    note = handler.handler_of(PoolReadyEvent)
    for address in ("here", "there", "there"):
        note(PoolReadyEvent(address))
    note(ConnectionCheckedOutEvent("here", 1, 0.5))
    assert tally.counts("here") == {PoolReadyEvent: 1, ConnectionCheckedOutEvent: 1}
    assert tally.counts("there") == {PoolReadyEvent: 2}
    assert tally.waits("here") == [0.5]
    assert tally.waits("nowhere") == []


def test_percentiles() -> None:
    """The nearest value that enough others do not exceed."""
    values = [float(number) for number in range(1, 101)]
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile([7.0], 0.99) == 7
    assert percentile([], 0.5) == 0
