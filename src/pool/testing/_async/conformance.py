"""``check_manager``: does a user's own manager keep its part of the contract?"""

from collections.abc import Callable, Hashable
from contextlib import ExitStack
from os import PathLike
from typing import Any

from pool._async.manager import ConnectionManager
from pool.testing._async import checks, limits
from pool.testing._async.probe import Probe, is_address, is_path
from pool.testing._proxy import ChaosProxy
from pool.testing._report import (
    ConformanceError,
    ConformanceReport,
    FailedError,
    Finding,
    SkippedError,
)
from pool.testing._surroundings import nobody

__all__ = ["check_manager"]

#: Without these, nothing else can be checked.
_BASICS = 2


async def check_manager(
    manager: ConnectionManager[Any, Any],
    endpoint: Hashable,
    *,
    server: "tuple[str, int] | str | PathLike[str] | None" = None,
    via: Callable[[str, int], Hashable] | None = None,
    bad_endpoint: Hashable | None = None,
    short: float = 0.3,
    patience: float = 5.0,
    strict: bool = True,
) -> ConformanceReport:
    """Check a manager against a real server of its own: what its hooks promise to a pool.

    It opens some dozen connections, one or two at a time, and sends nothing on them itself. Where it can,
    it puts a ``ChaosProxy`` between manager and server, to see how the manager takes a server that says
    nothing, closes or resets. For an endpoint ``(host, port)`` it knows how; else it has to be told with
    ``server`` and ``via``.

    Parameters:
        manager: what is checked.
        endpoint: where a server is that works.
        server: the server's address, ``(host, port)`` or the path of its Unix socket.
        via: makes the endpoint that leads to a host and a port, where the proxy will be.
        bad_endpoint: an endpoint where nobody is; known by itself for ``(host, port)`` and for paths.
        short: seconds that a hook is given where it is to run out of time.
        patience: seconds after which something that should end, and has not, counts as hanging.
        strict: raise if a check fails.

    Returns:
        What was found; ``str`` of it is a table.

    Raises:
        ConformanceError: with ``strict``, some checks failed. Its text has all of them, its ``report`` all
            that was found.

    Example::

        async def test_conformance():
            print(await check_manager(RedisManager(), ("localhost", 6379)))
    """
    if is_address(endpoint):
        server = endpoint if server is None else server  # type: ignore[assignment]
        via = _address if via is None else via
    with ExitStack() as stack:
        proxy = None
        if server is not None and via is not None:
            host, port = server if isinstance(server, tuple) else (server, None)
            proxy = stack.enter_context(ChaosProxy(host, port))
        if bad_endpoint is None and via is not None:
            bad_endpoint = via(*stack.enter_context(nobody()))
        elif bad_endpoint is None and is_path(endpoint):
            bad_endpoint = type(endpoint)(f"{endpoint}.nobody")  # type: ignore[call-arg]
        probe = Probe(manager, endpoint, short, patience, bad_endpoint, proxy, via or _address)
        findings: list[Finding] = []
        for title, check in {**checks.CHECKS, **limits.CHECKS}.items():
            if any(finding.result == "failed" for finding in findings[:_BASICS]):
                findings.append(Finding(title, "skipped", "the manager lacks the basics"))
            else:
                findings.append(await _find(probe, title, check))
    report = ConformanceReport(_name(manager), endpoint, tuple(findings))
    if strict and report.failed:
        raise ConformanceError(report)
    return report


async def _find(probe: Probe, title: str, check: Callable[[Probe], Any]) -> Finding:
    try:
        await check(probe)
    except FailedError as error:
        return Finding(title, "failed", str(error))
    except SkippedError as error:
        return Finding(title, "skipped", str(error))
    finally:
        await probe.clean_up()
    return Finding(title, "passed")


def _name(manager: object) -> str:
    return type(manager).__name__ if type(manager).__repr__ is object.__repr__ else repr(manager)


def _address(host: str, port: int) -> Hashable:
    return host, port
