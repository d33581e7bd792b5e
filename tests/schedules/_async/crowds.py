"""What is played with shared connections. Whatever may be cancelled is, in the world of tasks."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from pool import PoolClosedError, PoolOverloadedError, PoolTimeoutError
from pool.testing.aio import Stage

from .cast import Refused
from .crowd import Crowd, Spoilt, Wire

__all__ = ["CROWDS"]


async def sharing(stage: Stage) -> None:
    """Four use two connections, at most two each."""
    play = Crowd(stage, 2, 2)
    for name in ("one", "two", "three", "four"):
        stage.start(play.share, name, name=name, cancellable=name in ("one", "two"))
    await stage.join()
    assert play.said("three") == play.said("four") == [None]
    await play.end()


async def queue_against_timeout(stage: Stage) -> None:
    """Those who wait for a share are late, or cancelled, just when their turn comes."""
    play = Crowd(stage, 1, 2)
    leases = [await play.pool.acquire() for _ in range(2)]
    for lease in leases:
        play.meets(lease.connection, "hand")
    stage.start(play.share, "one", 1.0, name="one", cancellable=True)
    stage.start(play.share, "two", 2.0, name="two", cancellable=True)
    stage.start(play.share, "never", 0, name="never")
    last = stage.start(play.share, "last", name="last")
    await stage.sleep(1.0)
    for lease in leases:
        play.parts(lease.connection, "hand")
        await lease.release()
    await stage.join(last)
    assert play.said("last") == [None]
    assert set(play.said("never")) <= {None, PoolTimeoutError}
    await play.end()


async def in_order(stage: Stage) -> None:
    """First come, first served."""
    play = Crowd(stage, 1, 1)
    served: list[str] = []
    arrived: list[str] = []
    waiting: list[tuple[str, Any]] = []
    lease = await play.pool.acquire()

    async def user(name: str) -> None:
        mine = play.pool.connection()
        waiting.append((name, mine))
        async with mine:
            served.append(name)

    def see() -> None:
        for home in play.pool._engine.books._homes.values():
            for claim in home.queue:
                arrived.extend(n for n, mine in waiting if claim is mine and n not in arrived)

    stage.always(see)
    actors = [stage.start(user, name, name=name) for name in ("one", "two", "three")]
    await stage.step()
    await lease.release()
    await stage.join(*actors)
    assert [name for name in served if name in arrived] == arrived, (arrived, served)
    await play.end()


async def spoilt(stage: Stage) -> None:
    """One leaves a connection dirty: nobody new gets it, the others go on, and it is closed after them."""
    play = Crowd(stage, 2, 2)
    stage.start(partial(play.share, spoil=True), "spoiler", name="spoiler")
    stage.start(partial(play.share, times=2), "one", name="one", cancellable=True)
    stage.start(partial(play.share, times=2), "two", name="two")
    await stage.join()
    assert play.said("two") == [None, None]
    assert play.said("spoiler") == [Spoilt]
    await play.end()


async def spoilt_in_use(stage: Stage) -> None:
    """What one leaves dirty stays open as long as another one uses it, and nobody new gets it."""
    play = Crowd(stage, 1, 3)
    lease = await play.pool.acquire()
    conn = lease.connection
    play.meets(conn, "hand")
    spoiler = stage.start(partial(play.share, spoil=True), "spoiler", name="spoiler")
    await stage.join(spoiler)
    stage.start(play.share, "one", name="one", cancellable=True)
    last = stage.start(play.share, "last", name="last")
    await stage.step()
    assert play.pool.broken == [conn]
    play.parts(conn, "hand")
    await lease.release()
    await stage.join(last)
    assert play.said("last") == [None]
    await play.end()


async def refused_growth(stage: Stage) -> None:
    """Who cannot open one more shares what works, if anything does."""
    play = Crowd(stage, 3, 2)
    play.refusals = 2
    for name in ("one", "two", "three"):
        stage.start(partial(play.share, times=2), name, name=name, cancellable=name == "one")
    await stage.join()
    failed = [error for _, error in play.outcomes if error is Refused]
    assert len(failed) <= 2
    await play.share("after")
    assert play.said("after") == [None]
    await play.end()


async def replaced(stage: Stage) -> None:
    """What broke is replaced by the pool itself, though that is refused at first."""
    play = Crowd(stage, 1)
    await play.share("first", spoil=True)
    play.refusals = 1
    stage.start(play.share, "one", 3.0, name="one", cancellable=True)
    for _ in range(20):
        if not play.pool.broken:
            break
        await stage.sleep(8.0)
    assert play.pool.broken == []
    assert len(play.pool.connected) == 1
    await play.end()


async def clear_against_sharers(stage: Stage) -> None:
    """A new generation: what is in use is closed when its last user has left."""
    play = Crowd(stage, 2, 2)
    stale: list[Wire] = []

    async def clear() -> None:
        before = len(play.opened)
        await play.pool.clear(interrupt_connections=True)
        stale.extend(conn for conn in play.opened[:before] if isinstance(conn, Wire))

    stage.start(partial(play.share, times=2), "one", name="one", cancellable=True)
    stage.start(play.share, "two", name="two")
    stage.start(clear, name="clear")
    await stage.join()
    assert play.said("two") == [None]
    async with play.pool.connection() as conn:
        assert conn not in stale
    await play.end()


async def close_against_all(stage: Stage) -> None:
    """The pool closes while some share, one connects and one waits."""
    play = Crowd(stage, 2, 1)
    # It is known from now on.
    await play.pool.reconnect()

    async def close() -> None:
        await play.pool.close(1.0, interrupt_connections=True)

    for name in ("one", "two", "three"):
        stage.start(play.share, name, name=name, cancellable=name == "one")
    stage.start(close, name="close", cancellable=True)
    await stage.join()
    assert {error for _, error in play.outcomes} <= {None, PoolClosedError}
    await play.end()
    await play.share("after")
    assert play.said("after") == [PoolClosedError]


async def open_against_users(stage: Stage) -> None:
    """Somebody opens all, is refused or cancelled, and whoever came meanwhile is served."""
    play = Crowd(stage, 3, max_connecting=2)
    play.refusals = 1

    async def open_all() -> None:
        try:
            await play.pool.open()
        except Refused as error:
            play.outcomes.append(("open", type(error)))
            del error

    stage.start(open_all, name="open", cancellable=True)
    stage.start(partial(play.share, times=2), "one", name="one")
    await stage.join()
    await play.share("after")
    assert play.said("after") == [None]
    await play.end()


async def sizes_against_users(stage: Stage) -> None:
    """It grows and shrinks, while it is used."""
    play = Crowd(stage, 3, 2)
    play.max_size = 4

    async def meddle() -> None:
        await play.pool.extend(1)
        await play.pool.reduce(1)
        await play.pool.reduce(1, include_pending=True)

    stage.start(partial(play.share, times=2), "one", name="one", cancellable=True)
    stage.start(partial(play.share, times=2), "two", name="two")
    stage.start(meddle, name="meddler", cancellable=True)
    await stage.join()
    await play.end()


async def reconnect_against_users(stage: Stage) -> None:
    """Broken ones are replaced by hand, and by those who need one."""
    play = Crowd(stage, 2, 2)

    async def renew() -> None:
        await play.pool.reconnect()
        await play.pool.reconnect(only_broken=False)
        await play.pool.drop_broken()

    stage.start(partial(play.share, spoil=True), "spoiler", name="spoiler")
    stage.start(partial(play.share, times=2), "one", name="one", cancellable=True)
    stage.start(renew, name="renew", cancellable=True)
    await stage.join()
    await play.end()


async def checked_alone(stage: Stage) -> None:
    """While one checks an idle connection, nobody else gets it; what died is not handed out."""
    play = Crowd(stage, 1, 3, thorough=True, check_after_idle=0.0)
    await play.share("first")
    stage.start(partial(play.share, refuse=True), "one", name="one", cancellable=True)
    stage.start(play.share, "two", name="two")
    play.opened[0].broken = True
    stage.start(play.share, "three", name="three")
    await stage.join()
    assert play.said("two") == play.said("three") == [None]
    await play.end()


async def worker_against_sharers(stage: Stage) -> None:
    """Checks in the background and lifetimes, while it is used."""
    play = Crowd(
        stage, 2, thorough=True, health_check_interval=1.0, max_lifetime=3.0, idle_timeout=2.0
    )
    await play.share("first")
    stage.start(play.share, "one", name="one", cancellable=True)
    stage.start(partial(play.share, times=2), "two", name="two")
    await stage.sleep(4.0)
    await stage.join()
    assert play.said("two") == [None, None]
    await play.end()


async def overloaded(stage: Stage) -> None:
    """Only so many may wait, and who may not is told at once."""
    play = Crowd(stage, 1, 1, max_waiting=1)
    for name in ("one", "two", "three"):
        stage.start(play.share, name, name=name, cancellable=name == "two")
    await stage.join()
    assert {error for _, error in play.outcomes} <= {None, PoolOverloadedError}
    await play.end()


async def bedlam(stage: Stage) -> None:
    """Everything at once: what always holds, holds."""
    play = Crowd(
        stage,
        2,
        2,
        thorough=True,
        max_connecting=1,
        max_waiting=3,
        idle_timeout=3.0,
        health_check_interval=2.0,
        check_after_idle=0.5,
        acquire_timeout=4.0,
        leak_threshold=1.0,
    )
    play.max_size = 4
    play.refusals = 1

    async def meddle() -> None:
        await play.pool.clear(interrupt_connections=True)
        await play.pool.reduce(1)
        await play.pool.reconnect()
        with suppress(Refused):
            await play.pool.extend(1)
        await play.pool.maintain()
        await play.pool.drop_broken()

    for number in range(4):
        role = partial(play.share, times=2, spoil=number == 0, refuse=number == 1)
        stage.start(role, f"user {number}", name=f"user {number}", cancellable=number < 2)
    stage.start(meddle, name="meddler", cancellable=True)
    await stage.sleep(2.5)
    await play.end()


CROWDS: list[Callable[[Stage], Any]] = [
    sharing,
    queue_against_timeout,
    in_order,
    spoilt,
    spoilt_in_use,
    refused_growth,
    replaced,
    clear_against_sharers,
    close_against_all,
    open_against_users,
    sizes_against_users,
    reconnect_against_users,
    checked_alone,
    worker_against_sharers,
    overloaded,
    bedlam,
]
