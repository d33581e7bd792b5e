"""What is on the stack: who called the library, and whether it is at work in this thread."""

from sys import _getframe
from types import CodeType, FrameType

__all__ = ["at_work", "calls"]

# How many calls are enough to tell where one comes from.
_MOST_CALLS = 32


def calls() -> tuple[tuple[CodeType, int], ...]:
    """Return the calls that led here from outside of the library, the oldest first; not the frames."""
    frame: FrameType | None = _getframe(1)
    while frame is not None and _ours(frame):
        frame = frame.f_back
    found: list[tuple[CodeType, int]] = []
    while frame is not None and len(found) < _MOST_CALLS:
        found.append((frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return tuple(reversed(found))


def at_work(depth: int) -> bool:
    """Return whether this thread is in the middle of the library, apart from the last ``depth`` calls."""
    frame: FrameType | None = _getframe(1)
    while frame is not None and (depth > 0 or not _ours(frame)):
        frame = frame.f_back
        depth -= 1
    return frame is not None


def _ours(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_HOME)


# The folder of the library, with the separator at its end, whichever that is here.
_HOME = _ours.__code__.co_filename[: -len("_core/stack.py")]
