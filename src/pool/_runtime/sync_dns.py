"""The synchronous half of the twin for DNS: a query that ends in time, in a thread of its own."""

from concurrent.futures import Future
from threading import Thread
from typing import Any

__all__ = ["ask"]


def ask(resolver: Any, name: str, timeout: float | None) -> Any:
    """Return a resolver's answer to a query for SRV records.

    Raises:
        TimeoutError: ``timeout`` seconds are over. The thread ends when the resolver gives up.
    """
    # dnspython alone is late: it pauses between its attempts, for up to 2 seconds, whatever time is left.
    answer: Future[Any] = Future()
    work = (answer, resolver, name, timeout)
    try:
        try:
            Thread(target=_work, args=work, name=f"look up {name}", daemon=True).start()
        except RuntimeError:  # The interpreter ends: no new threads.
            _work(*work)
        return answer.result(None if timeout is None else max(0.0, timeout))
    finally:
        # An error has this frame in its traceback: it must not be held from here.
        del answer, work


def _work(answer: Future[Any], resolver: Any, name: str, timeout: float | None) -> None:
    try:
        answer.set_result(resolver.resolve(name, "SRV", lifetime=timeout))
    except BaseException as error:
        answer.set_exception(error)
        # As above: the error's traceback has this frame.
        del answer
