"""Children for the tests of both worlds: each reports through a pipe, and ends whatever happens."""

import os
import pickle
import select
import signal
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["FORKS", "Child", "Crossing", "child"]

#: Seconds after which something that should happen never will.
PATIENCE = 20.0

#: What Python 3.12 and later warn of where there is another thread, as there is in every test here.
FORKS = r"ignore:This process \(pid=\d+\) is multi-threaded, use of fork\(\):DeprecationWarning"


class Child:
    """A child process that calls a function, reports what it returned, and ends without a word.

    Parameters:
        function: what it does. The result must be something to be pickled.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self._reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _run(function, writer)
        os.close(writer)

    @classmethod
    def of(cls, pid: int, reader: int) -> "Child":
        """Return one that was made by hand."""
        self = cls.__new__(cls)
        self.pid, self._reader = pid, reader
        return self

    def result(self) -> Any:
        """Wait for its end; return what the function returned, fail with what it raised."""
        report = b""
        try:
            while select.select([self._reader], [], [], PATIENCE)[0]:
                part = os.read(self._reader, 65536)
                if not part:
                    break
                report += part
            else:
                os.kill(self.pid, signal.SIGKILL)
        finally:
            os.close(self._reader)
            _, status = os.waitpid(self.pid, 0)
        assert report, f"the child hangs, or has ended without a report: {status}"
        good, result = pickle.loads(report)
        assert good, f"in the child:\n{result}"
        return result


def child(function: Callable[[], Any]) -> Any:
    """Call a function in a child process, and return its result."""
    return Child(function).result()


class Crossing:
    """A call that forks, once, in the middle of something; the child goes on there."""

    def __init__(self) -> None:
        self._pipe: tuple[int, int] | None = None
        self._pid = -1

    def fork(self) -> None:
        """Fork, if that has not happened yet."""
        if self._pipe is None:
            self._pipe = os.pipe()
            self._pid = os.fork()

    def call(self, body: Callable[[], Any], report: Callable[[], Any]) -> Any:
        """Make a call that comes to ``fork``; return what the child reports when it is through."""

        def go_on() -> Any:
            if error is not None:
                raise error
            return report()

        error: BaseException | None = None
        try:
            body()
        except BaseException as raised:
            error = raised
        if self._pid == 0:
            assert self._pipe is not None
            _run(go_on, self._pipe[1])
        if error is not None:
            raise error
        assert self._pipe is not None, "it never came to the fork"
        os.close(self._pipe[1])
        return Child.of(self._pid, self._pipe[0]).result()


def _run(function: Callable[[], Any], writer: int) -> NoReturn:
    """Never go back to the test, which goes on in the parent."""
    try:
        try:
            report = pickle.dumps((True, function()))
        except BaseException:
            report = pickle.dumps((False, traceback.format_exc()))
        while report:
            report = report[os.write(writer, report) :]
    finally:
        os._exit(0)
