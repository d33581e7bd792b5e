"""The tests, run against each mutant in a child of its own."""

import contextlib
import gc
import os
import pickle
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

from tools.mutants.making import CORE, Mutant
from tools.mutants.reasons import shown

__all__ = ["Runner", "tests_of"]

_EXACT = "tests/core"
_BEHAVIOUR = {
    "budget": ["resize_total", "total_eviction", "total_fill"],
    "deadlock": ["deadlock"],
    "home": ["clear", "queue", "retirement", "statistics"],
    "ledger": ["checks", "clear", "event_reasons", "retirement", "statistics"],
    "lifecycle": ["clear", "close", "pause", "remove_add", "resize", "resize_min"],
    "pool": [
        *("checks", "clear_in_flight", "close", "connecting", "deadlock", "error_texts", "explain"),
        *("maintain", "queue", "remove_add", "statistics", "total_eviction", "warm_up"),
    ],
    "report": ["error_texts", "explain", "leaks", "statistics", "timeout_texts"],
    "service": [
        *("clear", "clear_in_flight", "connecting", "deadlock", "error_texts", "fill", "leaks"),
        *("max_waiting", "queue", "retirement", "statistics", "total_eviction", "total_fill"),
        *("total_queue", "warm_up"),
    ],
    "upkeep": ["backoff", "fill", "health_midway", "leaks", "refill", "retirement", "warm_up"],
}
"""What concerns a module on top of the exact tests of the core: what users see of it."""

#: A test is cut off after so many seconds, plus so many times what it takes: the mutant hangs.
_PATIENCE = 5.0
_FACTOR = 20.0

_KILLED = 1
_SURVIVED = 0


def tests_of(modules: Sequence[str]) -> list[str]:
    """Return the files and folders of tests that concern some modules."""
    names = sorted({name for module in modules for name in _BEHAVIOUR.get(module, [])})
    return [_EXACT, *(f"tests/behaviour/_async/test_{name}.py" for name in names)]


def concerns(item: pytest.Item, module: str) -> bool:
    """Whether a test is for a module, whatever other modules are gone through in the same run."""
    name = item.path.stem.removeprefix("test_")
    return item.path.parent.name == "core" or name in _BEHAVIOUR.get(module, [])


class Runner:
    """A pytest plugin: instead of running the tests once, runs them against each mutant.

    Attributes:
        survivors: those that no test killed.
    """

    def __init__(self, mutants: Sequence[Mutant], children: int) -> None:
        self._mutants = mutants
        self._children = children
        self._items: dict[str, pytest.Item] = {}
        self._seconds: dict[str, float] = {}
        self._reach: dict[str, set[str]] = {}
        self._kills: Counter[tuple[str, str]] = Counter()
        """By the function and the test, and by the test alone."""
        self.survivors: list[Mutant] = []
        self.done = False

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what takes long, and state machines: what they find an exact test should say."""
        items[:] = [
            item for item in items if not item.get_closest_marker("slow") and item.name != "runTest"
        ]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run everything."""
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        self._items = {item.nodeid: item for item in session.items}
        self._explore()
        # What is there now is no rubbish: the children, whose tests collect a lot, need not look at it.
        gc.freeze()
        running: dict[int, tuple[Mutant, int]] = {}
        for mutant in self._mutants:
            if len(running) == self._children:
                self._reap(running)
            reader, writer = os.pipe()
            child = _fork(partial(self._try, mutant, writer))
            os.close(writer)
            running[child] = mutant, reader
        while running:
            self._reap(running)
        self.done = True
        return True

    def _explore(self) -> None:
        """Find out which tests reach which functions, and how long they take."""
        reader, writer = os.pipe()
        child = _fork(partial(self._report, writer))
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            told = pipe.read()
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != _SURVIVED:
            raise pytest.UsageError("the tests fail although nothing was changed")
        self._seconds, self._reach = pickle.loads(told)

    def _report(self, writer: int) -> int:
        seconds, reach = {}, {}
        for item in self._items.values():
            reached: set[str] = set()
            sys.setprofile(_tracer(reached))
            began = time.perf_counter()
            if not _passes(item):
                print("fails:", item.nodeid, file=sys.__stderr__)
                return _KILLED
            seconds[item.nodeid] = time.perf_counter() - began
            sys.setprofile(None)
            reach[item.nodeid] = reached
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump((seconds, reach), pipe)
        return _SURVIVED

    def _try(self, mutant: Mutant, writer: int) -> int:
        mutant.put()
        for nodeid in self._order(mutant):
            signal.setitimer(signal.ITIMER_REAL, _PATIENCE + _FACTOR * self._seconds[nodeid])
            if not _passes(self._items[nodeid]):
                os.write(writer, nodeid.encode())
                return _KILLED
        return _SURVIVED

    def _order(self, mutant: Mutant) -> list[str]:
        """The tests that reach a mutant: first those that have killed its like, then the quickest."""
        name = f"{mutant.module}.{mutant.function}"
        reaching = [
            test
            for test, reached in self._reach.items()
            if name in reached and concerns(self._items[test], mutant.module)
        ]
        return sorted(
            reaching,
            key=lambda test: (
                -self._kills[name, test],
                -self._kills["", test],
                self._seconds[test],
            ),
        )

    def _reap(self, running: dict[int, tuple[Mutant, int]]) -> None:
        child, status = os.wait()
        mutant, reader = running.pop(child)
        with os.fdopen(reader) as pipe:
            test = pipe.read()
        if os.waitstatus_to_exitcode(status) == _SURVIVED:
            self.survivors.append(mutant)
            print(shown(mutant.key), flush=True, file=sys.__stdout__)
        elif test:
            self._kills[f"{mutant.module}.{mutant.function}", test] += 1
            self._kills["", test] += 1


def _fork(work: Callable[[], int]) -> int:
    """Do some work in a child, and end it with what that returns; anything else that ends it is a kill."""
    child = os.fork()
    if child:
        return child
    status = _KILLED
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        with contextlib.suppress(BaseException):
            status = work()
    finally:
        os._exit(status)


def _passes(item: pytest.Item) -> bool:
    # Nothing is kept for the test after it, which is another one each time.
    reports = runtestprotocol(item, log=False, nextitem=None)
    return not any(report.failed for report in reports)


def _tracer(reached: set[str]) -> Callable[[FrameType, str, Any], None]:
    core = str(CORE)
    known: dict[CodeType, str] = {}

    def trace(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            code = frame.f_code
            name = known.get(code)
            if name is None:
                path = Path(code.co_filename)
                # What is inside of a function belongs to it.
                inside = code.co_qualname.partition(".<locals>")[0]
                name = known[code] = f"{path.stem}.{inside}" if str(path.parent) == core else ""
            reached.add(name)

    return trace
