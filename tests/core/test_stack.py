"""Who called the library, and whether it is at work."""

import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import TypeVar

import pool
from pool._core.stack import at_work, calls

T = TypeVar("T")
Calls = tuple[tuple[CodeType, int], ...]


def in_the_library(do: Callable[[], T]) -> T:
    """Do something from a module of the library."""
    path = Path(pool.__file__).with_name("not_there.py")
    scope: dict[str, Callable[[Callable[[], T]], T]] = {}
    exec(compile("def work(do): return do()", path, "exec"), scope)
    return scope["work"](do)


def test_calls_go_from_the_oldest_to_the_caller() -> None:
    """With the instruction where each one is, from the beginning of the thread."""
    found: list[Calls] = []
    walked: list[tuple[CodeType, int]] = []

    def caller() -> None:
        found.append(calls())
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            walked.insert(0, (frame.f_code, frame.f_lasti))
            frame = frame.f_back

    thread = threading.Thread(target=caller)
    thread.start()
    thread.join()
    assert list(found[0][:-1]) == walked
    code, instruction = found[0][-1]
    assert code is caller.__code__
    assert 0 < instruction < len(code.co_code)


def test_the_calls_of_the_library_itself_are_left_out() -> None:
    """The last one is who called it, or was called by it."""

    def outside() -> Calls:
        return calls()

    assert in_the_library(outside)[-1][0] is outside.__code__
    assert in_the_library(calls)[-1][0] is in_the_library.__code__


def test_thirty_two_calls_are_enough() -> None:
    """The nearest."""

    def deep(left: int) -> Calls:
        return deep(left - 1) if left else calls()

    assert [code for code, _ in deep(40)] == [deep.__code__] * 32


def test_the_library_is_at_work_below_a_call_of_it() -> None:
    """However many calls of others are in between."""
    assert at_work(0) is False
    assert at_work(1) is False
    assert in_the_library(partial(at_work, 0)) is True
    assert in_the_library(lambda: at_work(0)) is True


def test_the_last_calls_may_be_the_library_s() -> None:
    """As many as was said do not count, and no more."""
    assert in_the_library(partial(at_work, 1)) is False
    assert in_the_library(lambda: at_work(1)) is True
    assert in_the_library(lambda: at_work(2)) is False
