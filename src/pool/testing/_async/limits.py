"""What a manager promises for bad days: time that is up, servers that are not there, cancellation."""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Final

from pool.testing._async.probe import Probe
from pool.testing._report import FailedError, HookRaisedError, SkippedError
from pool.testing._surroundings import NEWS, silence
from pool.testing._twin.aio import CANCELS, strike

__all__ = ["CHECKS"]

#: How often a create is cancelled, each time at a later point.
_STRIKES: Final = 200


# --- Time limits ---


async def create_in_time(probe: Probe) -> None:
    _ = probe.proxy
    with silence() as address:
        if address is None:
            raise SkippedError("this system has no address that neither accepts nor refuses")
        await _no_connection(probe, address, "of an address that does not answer")


async def handshake_in_time(probe: Probe) -> None:
    probe.proxy.blackhole = True
    await _no_connection(probe, probe.proxy.address, "of a server that says nothing")


async def _no_connection(probe: Probe, address: tuple[str, int], where: str) -> None:
    try:
        conn = await probe.hook_in_time("create", probe.at(address))
    except HookRaisedError:
        return
    await probe.hook("dispose", probe.at(address), conn, probe.patience)
    raise SkippedError(f"create does not wait for an answer {where}")


async def check_in_time(probe: Probe) -> None:
    probe.need("check_aliveness")
    conn = await probe.connect_by_proxy()
    probe.proxy.half_open = "both"
    try:
        await probe.hook_in_time("check_aliveness", probe.proxied, conn)
    except HookRaisedError:
        pass  # That means dead.


async def dispose_in_time(probe: Probe) -> None:
    conn = await probe.connect_by_proxy()
    probe.proxy.half_open = "both"
    probe.forget(conn)
    try:
        await probe.hook_in_time("dispose", probe.proxied, conn)
    except HookRaisedError as error:
        if not isinstance(error.error, TimeoutError):
            raise


# --- Failures ---


async def refuses(probe: Probe) -> None:
    bad = _bad(probe)
    try:
        conn = await probe.hook("create", bad, probe.patience)
    except HookRaisedError as error:
        if not isinstance(error.error, Exception):
            raise FailedError(f"create raised {error.error!r}, which is no Exception") from error
        return
    raise FailedError(f"create returned {conn!r} at {bad!r}, where nobody is")


async def fails_without_a_trace(probe: Probe) -> None:
    bad = _bad(probe)
    await probe.clean_up()
    before = probe.descriptors()
    for _ in range(3):
        try:
            await probe.hook("create", bad, probe.patience)
        except HookRaisedError:
            pass
    if left := await probe.left_open(before):
        raise FailedError(f"a create that failed left file descriptors open: {', '.join(left)}")


async def late_without_a_trace(probe: Probe) -> None:
    probe.proxy.blackhole = True
    with silence() as address:
        before = probe.descriptors()
        places = [probe.proxy.address] if address is None else [probe.proxy.address, address]
        for endpoint in map(probe.at, places):
            try:
                conn = await probe.hook_in_time("create", endpoint)
            except HookRaisedError:
                continue
            await probe.hook("dispose", endpoint, conn, probe.patience)
        probe.proxy.reset()
        if left := await probe.left_open(before):
            text = "a create whose time was up left file descriptors open"
            raise FailedError(f"{text}: {', '.join(left)}")


def _bad(probe: Probe) -> Any:
    if probe.bad_endpoint is None:
        raise SkippedError("no endpoint is known where nobody is (see bad_endpoint)")
    return probe.bad_endpoint


async def cancelled_without_a_trace(probe: Probe) -> None:
    if not CANCELS:
        raise SkippedError("a thread cannot be cancelled")
    endpoint = await _slow_endpoint(probe)
    before = probe.descriptors()
    create = partial(probe.manager.create, endpoint, probe.patience)
    for place in range(1, _STRIKES):
        try:
            struck, conn = await strike(create, place, probe.patience)
        except TimeoutError:
            text = "create did not end when it was cancelled where it waits for the"
            raise FailedError(f"{text} {_th(place)} time") from None
        if isinstance(conn, Exception):
            if not struck:
                raise HookRaisedError("create", conn)
            raise FailedError(f"create raised {conn!r} in place of its cancellation")
        if conn is not None:
            # It was not struck, or too late to be stopped.
            await probe.hook("dispose", endpoint, conn, probe.patience)
            conn = None
        if left := await probe.left_open(before):
            text = f"create, cancelled where it waits for the {_th(place)} time, left open"
            raise FailedError(f"{text}: {', '.join(left)}")
        if not struck:
            return


async def _slow_endpoint(probe: Probe) -> Hashable:
    """Return the endpoint where ``create`` really waits for each answer, if there is one."""
    try:
        conn = await probe.connect_by_proxy()
    except SkippedError:
        await probe.clean_up()
        return probe.endpoint
    await probe.hook("dispose", probe.proxied, conn, probe.patience)
    probe.forget(conn)
    await probe.hung_up()
    probe.proxy.latency = NEWS
    return probe.proxied


def _th(place: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(place, f"{place}th")


#: What is checked, in this order.
CHECKS: Final[dict[str, Callable[[Probe], Any]]] = {
    "create keeps its timeout while it connects": create_in_time,
    "create keeps its timeout when the server is silent": handshake_in_time,
    "check_aliveness keeps its timeout": check_in_time,
    "dispose keeps its timeout": dispose_in_time,
    "create fails where nobody is": refuses,
    "a create that fails leaves nothing open": fails_without_a_trace,
    "a create whose time is up leaves nothing open": late_without_a_trace,
    "a create that is cancelled leaves nothing open": cancelled_without_a_trace,
}
