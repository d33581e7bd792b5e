"""What a manager promises of its hooks, each as a check of its own. What a check opens is closed after it.

``limits`` has the rest.
"""

import inspect
from collections.abc import Callable, Hashable
from typing import Any, Final

from pool.testing._async.probe import Probe
from pool.testing._report import FailedError, HookRaisedError, SkippedError
from pool.testing._surroundings import NEWS, silence
from pool.testing._twin.aio import CANCELS, begin, misfit, pause

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
    await pause(NEWS)
    if not await probe.is_dead(probe.proxied, conn):
        raise FailedError(
            "check_aliveness returned True after the server had closed the connection"
        )


async def dead_when_reset(probe: Probe) -> None:
    probe.need("check_aliveness")
    conn = await probe.connect_by_proxy()
    probe.proxy.reset()
    await pause(NEWS)
    if not await probe.is_dead(probe.proxied, conn):
        raise FailedError("check_aliveness returned True after the server had reset the connection")


async def disposes_of_reset(probe: Probe) -> None:
    conn = await probe.connect_by_proxy()
    probe.proxy.reset()
    await pause(NEWS)
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
}
