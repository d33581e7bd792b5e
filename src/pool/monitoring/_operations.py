"""Which requests belong together: numbers for requests, and for the operations that they serve."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count

__all__ = ["current_operation", "next_request", "operation_id"]

_current: ContextVar[int | None] = ContextVar("operation_id", default=None)

_numbers = count(1)

#: Returns the number of the next request: one more than the last, in all threads.
next_request = _numbers.__next__

#: Returns the number of the operation that goes on here, ``None`` if none does.
current_operation = _current.get


@contextmanager
def operation_id() -> Iterator[int]:
    """Let the commands of a block have one ``operation_id``, which the block is given.

    It holds for the task or thread that runs the block, and for the tasks that it starts there. A block
    inside of another has a number of its own. Outside of any, each command is an operation of its own: its
    ``operation_id`` is its ``request_id``.

    Example::

        with monitoring.operation_id() as number:
            ...
    """
    number = next_request()
    token = _current.set(number)
    try:
        yield number
    finally:
        _current.reset(token)
