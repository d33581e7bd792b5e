"""ChaosManager: what each fault does to a hook and to a pool, and how it ends."""

from typing import Any

import pytest

from pool.aio import ConnectionPool, TcpConnectionManager
from pool.monitoring import ConnectionClosedEvent
from pool.testing.aio import ChaosManager
from support.aio import call_soon, until
from support.servers import Peer, Server

from .fakes import Connection, Hooked, Manager, Recorder, assert_empty, held

LIMIT = 20.0
"""Seconds that no test needs."""


def chaotic(**options: Any) -> tuple[Hooked, ChaosManager[Any, Connection]]:
    manager = Hooked()
    return manager, ChaosManager(manager, 1, **options)


# --- What is delegated -------------------------------------------------------------------------------


async def test_does_no_harm_by_itself() -> None:
    """Without rules and odds it is the manager that it wraps, hook by hook."""
    manager, chaos = chaotic()
    manager.on["can_reuse"] = lambda *_: True
    manager.on["service_id"] = lambda *_: "service"
    conn = await chaos.create("e", LIMIT)
    assert manager.opened == [conn]
    assert 0 < (manager.timeouts[0] or 0) <= LIMIT
    assert await chaos.check_aliveness("e", conn, LIMIT)
    conn.alive = False
    assert not await chaos.check_aliveness("e", conn, None)
    await chaos.on_acquire("e", conn)
    await chaos.on_release("e", conn)
    await chaos.on_connection_dead("e", conn)
    assert chaos.can_reuse("e", conn, ValueError())
    assert chaos.service_id("e", conn) == "service"
    chaos.interrupt("e", conn)
    chaos.interrupt("e", None)
    assert manager.interrupted == [conn, None]
    await chaos.dispose("e", conn, 3.0)
    assert manager.dispose_timeouts == [3.0]
    assert manager.calls == [
        *("check_aliveness", "check_aliveness", "on_acquire", "on_release"),
        *("on_connection_dead", "can_reuse"),
    ]
    assert chaos.manager is manager
    assert (chaos.log, chaos.counts, chaos.hanging) == ([], {}, 0)


async def test_the_default_hooks_stay_the_default() -> None:
    """What the wrapped manager does not override behaves as if it was not there."""
    chaos = ChaosManager(Manager())
    async with ConnectionPool(chaos, check_after_idle=0.0) as pool:
        first = await held(pool)
        assert await held(pool) is first
        with pytest.raises(ValueError, match="body"):
            async with pool.connection("e"):
                raise ValueError("body")
        assert await held(pool) is not first


# --- Refuse and error --------------------------------------------------------------------------------


async def test_refuses_the_second_create_at_one_endpoint() -> None:
    """A rule counts calls at its endpoint, and strikes as often as it says."""
    manager, chaos = chaotic()
    chaos.rule("refuse", endpoint="x", nth=2)
    first = await chaos.create("x", None)
    await chaos.create("y", None)
    await chaos.create("y", None)
    with pytest.raises(ConnectionRefusedError, match="chaos: create at 'x': refuse"):
        await chaos.create("x", None)
    third = await chaos.create("x", None)
    assert [conn for conn in manager.opened if conn.endpoint == "x"] == [first, third]
    assert [str(deed) for deed in chaos.log] == ["refuse in create at 'x'"]


async def test_times() -> None:
    """A rule may strike several calls in a row, or all of them."""
    _, chaos = chaotic()
    chaos.rule("refuse", nth=2, times=2)
    found = []
    for _ in range(4):
        try:
            await chaos.create("e", None)
            found.append("opened")
        except ConnectionRefusedError:
            found.append("refused")
    assert found == ["opened", "refused", "refused", "opened"]
    chaos.rule("refuse", times=None)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await chaos.create("e", None)


async def test_while_it_is_not_active() -> None:
    """Nothing is struck, and no call counts for a rule; those that are broken stay so."""
    _, chaos = chaotic(lie=1.0)
    chaos.rule("refuse", nth=2)
    conn = await chaos.create("e", None)
    chaos.reset("e", conn)
    chaos.active = False
    for _ in range(3):
        await chaos.create("e", None)
    assert not await chaos.check_aliveness("e", conn, None)
    chaos.active = True
    assert chaos.active
    assert await chaos.check_aliveness("e", conn, None)
    with pytest.raises(ConnectionRefusedError):
        await chaos.create("e", None)


async def test_errors_of_choice() -> None:
    """A rule raises what it is given, or what that makes."""
    _, chaos = chaotic()
    chaos.rule("refuse", error=LookupError("no such database"))
    chaos.rule("error", "on_acquire", error=lambda: ValueError("made"))
    with pytest.raises(LookupError, match="no such database"):
        await chaos.create("e", None)
    conn = await chaos.create("e", None)
    with pytest.raises(ValueError, match="made"):
        await chaos.on_acquire("e", conn)


@pytest.mark.parametrize("hook", ["on_acquire", "on_release", "on_connection_dead"])
async def test_an_error_in_a_hook(hook: Any) -> None:
    """The hook raises an OSError that says that it is chaos, and the wrapped one is not called."""
    manager, chaos = chaotic()
    conn = await chaos.create("e", None)
    chaos.rule("error", hook)
    with pytest.raises(OSError, match=f"chaos: {hook} at 'e': error"):
        await getattr(chaos, hook)("e", conn)
    assert manager.calls == []


async def test_a_dispose_that_fails_has_closed() -> None:
    """Chaos leaves nothing open: the wrapped dispose comes first."""
    manager, chaos = chaotic()
    conn = await chaos.create("e", None)
    chaos.rule("error", "dispose")
    with pytest.raises(OSError, match="chaos: dispose"):
        await chaos.dispose("e", conn, None)
    assert manager.live == 0


# --- Delay and hang ----------------------------------------------------------------------------------


async def test_a_delay() -> None:
    """A hook takes as long as the rule says, and does what it does."""
    manager, chaos = chaotic(delay_time=LIMIT)
    chaos.rule("delay", seconds=0.001)
    assert await chaos.create("e", None) is manager.opened[0]
    assert chaos.counts == {"delay": 1}


async def test_a_delay_beyond_the_timeout() -> None:
    """A hook that has not that much time fails when it is up."""
    manager, chaos = chaotic(delay_time=LIMIT)
    chaos.rule("delay")
    with pytest.raises(TimeoutError, match=r"chaos: create at 'e' did not end within 0\.010 s"):
        await chaos.create("e", 0.01)
    assert manager.opened == []


async def test_a_hang_ends_with_its_timeout() -> None:
    """A hook that has a timeout raises when it is up."""
    _, chaos = chaotic()
    conn = await chaos.create("e", None)
    chaos.rule("hang", "check_aliveness")
    with pytest.raises(TimeoutError, match=r"check_aliveness at 'e' did not end within 0\.010 s"):
        await chaos.check_aliveness("e", conn, 0.01)


async def test_a_hang_ends_at_its_limit() -> None:
    """A hook without a timeout does not hang for longer than it was said."""
    _, chaos = chaotic(hang_limit=0.01)
    conn = await chaos.create("e", None)
    chaos.rule("hang", "on_acquire")
    with pytest.raises(TimeoutError, match=r"chaos: on_acquire at 'e' hung for 0\.010 s"):
        await chaos.on_acquire("e", conn)


async def test_a_hang_is_healed() -> None:
    """When it is healed a hook goes on as if nothing was."""
    manager, chaos = chaotic()
    chaos.rule("hang", times=None)
    call = await call_soon(chaos.create, "e", None)
    await until(lambda: chaos.hanging)
    assert manager.started == 0
    chaos.heal()
    assert await call.result() is manager.opened[0]
    await chaos.create("e", None)
    assert chaos.counts == {"hang": 1}


async def test_a_create_that_hangs_is_interrupted() -> None:
    """``interrupt`` without a connection ends the creates of its endpoint, and no others."""
    manager, chaos = chaotic()
    chaos.rule("hang", times=None)
    calls = [await call_soon(chaos.create, endpoint, None) for endpoint in ("x", "x", "y")]
    await until(lambda: chaos.hanging == 3)
    chaos.interrupt("x", None)
    for call in calls[:2]:
        with pytest.raises(ConnectionAbortedError, match="chaos: create at 'x' was interrupted"):
            await call.result()
    assert (chaos.hanging, manager.interrupted) == (1, [None])
    chaos.heal()
    await calls[2].result()


async def test_a_connection_that_hangs_is_interrupted() -> None:
    """``interrupt`` ends what hangs with this connection, also what is about to."""
    _, chaos = chaotic()
    one, other = [await chaos.create("e", None) for _ in range(2)]
    chaos.rule("hang", "on_acquire", times=3)
    calls = [await call_soon(chaos.on_acquire, "e", conn) for conn in (one, other)]
    await until(lambda: chaos.hanging == 2)
    chaos.interrupt("e", one)
    with pytest.raises(ConnectionAbortedError):
        await calls[0].result()
    assert chaos.hanging == 1
    chaos.interrupt("e", other)
    with pytest.raises(ConnectionAbortedError):
        await calls[1].result()
    with pytest.raises(ConnectionAbortedError):
        await chaos.on_acquire("e", one)


async def test_a_pool_takes_a_hanging_create() -> None:
    """The caller's time is up, and nothing is left."""
    manager, chaos = chaotic()
    chaos.rule("hang")
    async with ConnectionPool(chaos, connect_timeout=0.02) as pool:
        with pytest.raises(TimeoutError):
            await pool.acquire("e")
        await held(pool)
    assert_empty(pool, manager)


# --- Reset and half-open -----------------------------------------------------------------------------


async def test_a_connection_that_is_reset() -> None:
    """It is dead, every hook but dispose raises, and its holder is interrupted."""
    manager, chaos = chaotic()
    conn = await chaos.create("e", None)
    chaos.reset("e", conn)
    assert manager.interrupted == [conn]
    assert not await chaos.check_aliveness("e", conn, None)
    for hook in (chaos.on_acquire, chaos.on_release):
        with pytest.raises(ConnectionResetError, match="chaos: the connection was reset"):
            await hook("e", conn)
    chaos.heal()
    assert not await chaos.check_aliveness("e", conn, None)
    await chaos.dispose("e", conn, None)
    assert manager.live == 0


async def test_a_reset_strikes_the_holder() -> None:
    """By rule it strikes when the caller has the connection; the pool closes it when it comes back."""
    manager, chaos = chaotic()
    recorder = Recorder()
    chaos.rule("reset", nth=2)
    async with ConnectionPool(chaos, event_listeners=[recorder.listener]) as pool:
        await held(pool)
        with pytest.raises(ConnectionResetError):
            await held(pool)
        assert manager.interrupted == [manager.opened[0]]
        assert recorder.reasons() == [(1, "error")]
        assert (await held(pool)).number == 2
    assert_empty(pool, manager)


async def test_a_reset_that_cannot_interrupt(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What ``interrupt`` raises is logged, as by a pool; the connection is not lost, even in ``create``."""

    def fail(endpoint: str, conn: object) -> None:
        raise LookupError("no such socket")

    manager, chaos = chaotic()
    monkeypatch.setattr(manager, "interrupt", fail)
    chaos.rule("reset", "create")
    async with ConnectionPool(chaos) as pool:
        with pytest.raises(ConnectionResetError):
            await held(pool)
    assert "no such socket" in caplog.text
    assert_empty(pool, manager)


async def test_a_reset_of_a_stream() -> None:
    """What the holder of a real connection waits for fails at once."""
    chaos = ChaosManager(TcpConnectionManager())
    chaos.rule("reset")
    with Server(Peer.echo) as server:
        async with ConnectionPool(chaos) as pool:
            with pytest.raises(ConnectionAbortedError):
                async with pool.connection(server.endpoint) as stream:
                    await stream.receive(timeout=LIMIT)


async def test_half_open() -> None:
    """Every hook that uses it hangs, until it is healed; dispose does not."""
    manager, chaos = chaotic()
    conn, other = [await chaos.create("e", None) for _ in range(2)]
    chaos.half_open("e", conn)
    with pytest.raises(TimeoutError):
        await chaos.check_aliveness("e", conn, 0.01)
    assert await chaos.check_aliveness("e", other, LIMIT)
    call = await call_soon(chaos.on_release, "e", conn)
    await until(lambda: chaos.hanging)
    chaos.heal()
    await call.result()
    assert await chaos.check_aliveness("e", conn, LIMIT)
    chaos.half_open("e", conn)
    await chaos.dispose("e", conn, LIMIT)
    assert manager.live == 1


async def test_a_pool_takes_a_half_open_connection() -> None:
    """The check hangs until its time is up; it is never handed out."""
    manager, chaos = chaotic()
    chaos.rule("half_open", "check_aliveness")
    async with ConnectionPool(chaos, check_after_idle=0.0) as pool:
        await held(pool)
        with pytest.raises(TimeoutError):
            await pool.acquire("e", timeout=0.05)
        assert (await held(pool)).number == 2
    assert_empty(pool, manager)


# --- Lies --------------------------------------------------------------------------------------------


async def test_lies() -> None:
    """A live connection is said to be dead, and a dead one alive."""
    _, chaos = chaotic()
    conn = await chaos.create("e", None)
    chaos.rule("lie", times=3)
    assert not await chaos.check_aliveness("e", conn, None)
    conn.alive = False
    assert await chaos.check_aliveness("e", conn, None)
    chaos.reset("e", conn)
    assert await chaos.check_aliveness("e", conn, None)
    assert not await chaos.check_aliveness("e", conn, None)


async def test_a_pool_believes_a_lie() -> None:
    """A connection that is said to be dead is closed, once, and replaced."""
    manager, chaos = chaotic()
    recorder = Recorder()
    chaos.rule("lie")
    options: dict[str, Any] = {"check_after_idle": 0.0, "event_listeners": [recorder.listener]}
    async with ConnectionPool(chaos, **options) as pool:
        await held(pool)
        assert (await held(pool)).number == 2
        assert recorder.names(of=ConnectionClosedEvent) == ["ConnectionClosed"]
    assert_empty(pool, manager)
