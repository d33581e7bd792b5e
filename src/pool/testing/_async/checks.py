"""What a manager promises, each as a check of its own. What a check opens is closed after it."""

import inspect
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, Final

from pool.testing._async.probe import Probe
from pool.testing._report import FailedError, HookRaisedError, SkippedError
from pool.testing._surroundings import silence
from pool.testing._twin.aio import CANCELS, begin, misfit, pause, strike

__all__ = ["CHECKS"]

#: The hooks, how many arguments they get, and whether they may wait.
_HOOKS: Final = {
    "create": (2, True),
    "dispose": (3, True),
    "check_aliveness": (3, True),
    "on_acquire": (2, True),
    "on_release": (2, True),
    "on_connection_dead": (2, True),
    "can_reuse": (3, False),
    "interrupt": (2, False),
    "service_id": (2, False),
    "after_fork": (2, False),
}

#: How often a create is cancelled, each time at a later point.
_STRIKES: Final = 200

#: Seconds that news from the kernel may take to whoever watches a socket, such as an event loop.
_NEWS: Final = 0.02


# --- Hooks as such ---


async def signatures(probe: Probe) -> None:
    for name, (arguments, waits) in _HOOKS.items():
        hook = getattr(probe.manager, name)
        if fault := misfit(hook, waits):
            raise FailedError(f"{name} {fault}")
        try:
            inspect.signature(hook).bind(*[None] * arguments)
        except TypeError as error:
            raise FailedError(f"{name} is called with {arguments} arguments: {error}") from None
        except ValueError:
            continue  # It is not written in Python.


async def creates(probe: Probe) -> None:
    if await probe.connect() is None:
        raise FailedError("create returned None, which means no connection to interrupt")


async def distinct(probe: Probe) -> None:
    if await probe.connect() is await probe.connect():
        raise FailedError("create returned the same connection twice")


async def alive(probe: Probe) -> None:
    conn = await probe.connect()
    found = await probe.hook("check_aliveness", probe.endpoint, conn, probe.patience)
    if not isinstance(found, bool):
        raise FailedError(f"check_aliveness returned {found!r}, which is no bool")
    if not found:
        raise FailedError("check_aliveness returned False for a fresh connection")


async def repeatable(probe: Probe) -> None:
    conn = await probe.connect()
    for _ in range(3):
        await probe.hook("on_acquire", probe.endpoint, conn)
        await probe.hook("on_release", probe.endpoint, conn)
    if await probe.is_dead(probe.endpoint, conn):
        raise FailedError("a connection is dead after on_acquire and on_release, three times each")


async def reuse(probe: Probe) -> None:
    conn = await probe.connect()
    for error in (ValueError("said by the body"), TimeoutError(), KeyboardInterrupt()):
        found = await probe.plain("can_reuse", probe.endpoint, conn, error)
        if not isinstance(found, bool):
            raise FailedError(f"can_reuse returned {found!r}, which is no bool")


async def reuse_in_silence(probe: Probe) -> None:
    probe.need("can_reuse")
    usual = await _said(probe, None)
    if await _said(probe, ValueError("said by the body")) > usual:
        raise FailedError("can_reuse sent something to the server")


async def _said(probe: Probe, error: Exception | None) -> int:
    """Open and close a connection, with a ``can_reuse`` in between; return how many bytes were sent."""
    before = probe.proxy.stats.up
    conn = await probe.connect_by_proxy()
    if error is not None:
        # Nobody answers, should it ask.
        probe.proxy.half_open = "down"
        await probe.plain("can_reuse", probe.proxied, conn, error)
        probe.proxy.half_open = None
    await probe.hook("dispose", probe.proxied, conn, probe.patience)
    probe.forget(conn)
    await probe.hung_up()
    return probe.proxy.stats.up - before


async def service(probe: Probe) -> None:
    probe.need("service_id")
    conn = await probe.connect()
    found = await probe.plain("service_id", probe.endpoint, conn)
    try:
        hash(found)
    except TypeError:
        raise FailedError(f"service_id returned {found!r}, which cannot be hashed") from None


# --- The end of a connection ---


async def disposes(probe: Probe) -> None:
    await probe.clean_up()
    before = probe.descriptors()
    conn = await probe.connect()
    await probe.hook("dispose", probe.endpoint, conn, probe.patience)
    probe.forget(conn)
    del conn
    if left := await probe.left_open(before):
        raise FailedError(f"dispose left file descriptors open: {', '.join(left)}")


async def dead_when_disposed(probe: Probe) -> None:
    probe.need("check_aliveness")
    conn = await probe.connect()
    await probe.hook("dispose", probe.endpoint, conn, probe.patience)
    probe.forget(conn)
    if not await probe.is_dead(probe.endpoint, conn):
        raise FailedError("check_aliveness returned True for a connection that was disposed of")


async def dead_when_closed(probe: Probe) -> None:
    probe.need("check_aliveness")
    conn = await probe.connect_by_proxy()
    probe.proxy.close_connections()
    await pause(_NEWS)
    if not await probe.is_dead(probe.proxied, conn):
        raise FailedError(
            "check_aliveness returned True after the server had closed the connection"
        )


async def dead_when_reset(probe: Probe) -> None:
    probe.need("check_aliveness")
    conn = await probe.connect_by_proxy()
    probe.proxy.reset()
    await pause(_NEWS)
    if not await probe.is_dead(probe.proxied, conn):
        raise FailedError("check_aliveness returned True after the server had reset the connection")


async def disposes_of_reset(probe: Probe) -> None:
    conn = await probe.connect_by_proxy()
    probe.proxy.reset()
    await pause(_NEWS)
    await probe.hook("dispose", probe.proxied, conn, probe.patience)
    probe.forget(conn)


# --- Interrupting ---


async def interrupts_at_once(probe: Probe) -> None:
    probe.need("interrupt")
    conn = await probe.connect()
    await probe.plain("interrupt", probe.endpoint, None)
    await probe.plain("interrupt", probe.endpoint, conn)
    await probe.plain("interrupt", probe.endpoint, conn)
    probe.forget(conn)
    try:
        await probe.hook("dispose", probe.endpoint, conn, probe.patience)
    except HookRaisedError:
        pass  # There is a check for that.
    # It may come just after the connection was given back.
    await probe.plain("interrupt", probe.endpoint, conn)


async def disposes_of_interrupted(probe: Probe) -> None:
    probe.need("interrupt")
    conn = await probe.connect()
    await probe.plain("interrupt", probe.endpoint, conn)
    probe.forget(conn)
    await probe.hook("dispose", probe.endpoint, conn, probe.patience)


async def dead_when_interrupted(probe: Probe) -> None:
    probe.need("interrupt", "check_aliveness")
    conn = await probe.connect()
    await probe.plain("interrupt", probe.endpoint, conn)
    if not await probe.is_dead(probe.endpoint, conn):
        raise FailedError("check_aliveness returned True for a connection that was interrupted")


async def interrupts_a_check(probe: Probe) -> None:
    probe.need("interrupt", "check_aliveness")
    conn = await probe.connect_by_proxy()
    probe.proxy.half_open = "both"
    call = await begin(probe.manager.check_aliveness, probe.proxied, conn, None)
    try:
        if await call.ends(probe.short):
            raise SkippedError("check_aliveness does not wait for the server")
        await probe.plain("interrupt", probe.proxied, conn)
        if not await call.ends(probe.patience):
            raise FailedError("interrupt did not end a check_aliveness that hangs")
    finally:
        await call.abandon()


async def interrupts_a_create(probe: Probe) -> None:
    if not CANCELS:
        probe.need("interrupt")
    probe.proxy.blackhole = True
    with silence() as address:
        places = [probe.proxy.address] if address is None else [probe.proxy.address, address]
        waited = [await _breaks_off(probe, probe.at(place)) for place in places]
    if not any(waited):
        raise SkippedError("create does not wait for the server")


async def _breaks_off(probe: Probe, endpoint: Hashable) -> bool:
    """Break off a create, and return whether it waited for anything."""
    call = await begin(probe.manager.create, endpoint, None)
    waited = False
    try:
        if not await call.ends(probe.short):
            waited = True
            await probe.plain("interrupt", endpoint, None)
            await call.abandon()
            if not await call.ends(probe.patience):
                raise FailedError("interrupt(endpoint, None) did not end a create that hangs")
        try:
            conn = call.outcome()
        except BaseException:
            return waited
        await probe.hook("dispose", endpoint, conn, probe.patience)
    finally:
        await call.abandon()
    return waited


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
    probe.proxy.latency = _NEWS
    return probe.proxied


def _th(place: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(place, f"{place}th")


#: What is checked, in this order; the first two are needed for all others.
CHECKS: Final[dict[str, Callable[[Probe], Any]]] = {
    "every hook can be called as the pool calls it": signatures,
    "create opens a connection": creates,
    "each create opens another one": distinct,
    "a fresh connection is alive": alive,
    "on_acquire and on_release can be repeated": repeatable,
    "can_reuse answers at once, with a bool": reuse,
    "can_reuse says nothing to the server": reuse_in_silence,
    "service_id answers at once": service,
    "dispose closes the connection": disposes,
    "a connection that was disposed of is dead": dead_when_disposed,
    "a connection that the server closed is dead": dead_when_closed,
    "a connection that the server reset is dead": dead_when_reset,
    "dispose takes a connection that was reset": disposes_of_reset,
    "interrupt never blocks, and may come late": interrupts_at_once,
    "a connection that was interrupted is dead": dead_when_interrupted,
    "dispose takes a connection that was interrupted": disposes_of_interrupted,
    "interrupt ends a check_aliveness that hangs": interrupts_a_check,
    "a create that hangs can be broken off": interrupts_a_create,
    "create keeps its timeout while it connects": create_in_time,
    "create keeps its timeout when the server is silent": handshake_in_time,
    "check_aliveness keeps its timeout": check_in_time,
    "dispose keeps its timeout": dispose_in_time,
    "create fails where nobody is": refuses,
    "a create that fails leaves nothing open": fails_without_a_trace,
    "a create whose time is up leaves nothing open": late_without_a_trace,
    "a create that is cancelled leaves nothing open": cancelled_without_a_trace,
}
