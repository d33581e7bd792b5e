"""What is played: a small scenario for each thing that could cross another.

Whatever may be cancelled is, in the world of tasks; timeouts strike early in both worlds.
"""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from pool import PoolClearedError, PoolClosedError, PoolTimeoutError, monitoring
from pool.testing.aio import Stage

from .cast import Conn, Play, Refused

__all__ = ["SCENARIOS"]


async def queueing(stage: Stage) -> None:
    """Three want one connection, and give up as they like."""
    play = Play(stage, max_size=1)
    for name in ("one", "two", "three"):
        stage.start(play.use, name, name=name, cancellable=True)
    await play.end()


async def in_order(stage: Stage) -> None:
    """First come, first served."""
    play = Play(stage, max_size=1)
    served: list[str] = []
    lease = await play.pool.acquire("a")

    async def user(name: str) -> None:
        mine = play.pool.connection("a")
        waiting.append((name, mine))
        async with mine as conn:
            served.append(name)
            play.meets(conn, name)
            play.parts(conn, name)

    waiting: list[tuple[str, Any]] = []
    arrived: list[str] = []

    def see() -> None:
        for home in play.pool._engine.books._homes.values():
            for claim in home.queue:
                for name, mine in waiting:
                    if claim is mine and name not in arrived:
                        arrived.append(name)

    stage.always(see)
    actors = [stage.start(user, name, name=name) for name in ("one", "two", "three")]
    await stage.step()
    await lease.release()
    await stage.join(*actors)
    in_queue = [name for name in served if name in arrived]
    assert in_queue == arrived, f"came as {arrived}, were served as {in_queue}"
    await play.end()


async def hand_off_against_timeout(stage: Stage) -> None:
    """Those who wait are late just when their turn comes."""
    play = Play(stage, max_size=1)
    stage.start(play.use, "one", name="one")
    stage.start(play.use, "two", "a", 1.0, name="two")
    stage.start(play.use, "three", "a", 2.0, name="three")
    stage.start(play.use, "never", "a", 0, name="never")
    await stage.join()
    assert play.said("one") == [None]
    assert {*play.said("two"), *play.said("three")} <= {None, PoolTimeoutError}
    await play.end()


async def cancel_against_grant(stage: Stage) -> None:
    """Those who wait are cancelled just when their turn comes; the rest are served."""
    play = Play(stage, max_size=1)
    lease = await play.pool.acquire("a")
    stage.start(play.use, "one", name="one", cancellable=True)
    stage.start(play.use, "two", name="two", cancellable=True)
    last = stage.start(play.use, "last", name="last")
    await stage.step()
    await lease.release()
    await stage.join(last)
    assert play.said("last") == [None]
    await play.end()


async def refused_connects(stage: Stage) -> None:
    """A failed connect frees its permit, whoever waits for it."""
    play = Play(stage, max_size=2, max_connecting=1)
    play.refusals = 2
    for name in ("one", "two", "three"):
        stage.start(play.use, name, name=name, cancellable=name == "two")
    await stage.join()
    failed = [error for _, error in play.outcomes if error is Refused]
    assert len(failed) <= 2
    await play.use("after")
    await play.end()


async def permit_against_timeout(stage: Stage) -> None:
    """Those who wait for a permit to connect are late, or cancelled, just when they get it."""
    play = Play(stage, max_size=3, max_connecting=1)
    play.connect_time = 1.5
    stage.start(play.use, "one", name="one")
    stage.start(play.use, "two", "a", 1.0, name="two", cancellable=True)
    stage.start(play.use, "three", "a", 2.0, name="three", cancellable=True)
    last = stage.start(play.use, "last", name="last")
    await stage.join(last)
    assert play.said("last") == [None]
    await play.end()


async def closing_counts(stage: Stage) -> None:
    """Nobody connects before there is room, and there is none before a connection is closed."""
    play = Play(stage, max_size=1)
    lease = await play.pool.acquire("a")
    stage.start(play.use, "one", name="one", cancellable=True)
    last = stage.start(play.use, "last", name="last")
    await stage.sleep(1.0)
    await lease.discard()
    await stage.join(last)
    assert play.said("last") == [None]
    await play.end()


async def clear_against_connect(stage: Stage) -> None:
    """A clear overtakes what is being opened: nobody gets it afterwards."""
    play = Play(stage, max_size=2)

    async def clear() -> None:
        before = len(play.opened)
        await play.pool.clear("a")
        stale.extend(play.opened[:before])

    stale: list[Conn] = []
    stage.start(partial(play.use, times=2), "one", name="one", cancellable=True)
    stage.start(play.use, "two", name="two")
    stage.start(clear, name="clear")
    await stage.join()
    assert play.said("two") == [None]
    await play.use("after", body=lambda conn: play.demand(conn not in stale, f"stale: {conn}"))
    await play.end()


async def clear_that_interrupts(stage: Stage) -> None:
    """A clear breaks off what is in use and what is being opened."""
    play = Play(stage, max_size=2)
    stage.start(play.use, "one", name="one", cancellable=True)
    stage.start(play.use, "two", name="two")
    await stage.step()
    await play.pool.clear("a", interrupt_connections=True)
    await stage.join()
    assert play.said("two") == [None]
    await play.end()


async def pause_against_callers(stage: Stage) -> None:
    """A paused endpoint lets nobody in, and forgets nobody."""
    play = Play(stage, max_size=1, paused=True)
    await play.pool.ready("a")

    async def switch() -> None:
        await play.pool.clear("a")
        await stage.step()
        await play.pool.ready("a")

    stage.start(play.use, "one", name="one", cancellable=True)
    stage.start(play.use, "two", name="two")
    stage.start(switch, name="switch")
    await stage.join()
    assert {error for _, error in play.outcomes} <= {None, PoolClearedError}
    await play.use("after")
    assert play.said("after") == [None]
    await play.end()


async def close_against_all(stage: Stage) -> None:
    """The pool closes while one works, one connects and one waits."""
    play = Play(stage, max_size=2, max_connecting=1)
    await play.pool.add("a")

    async def close() -> None:
        await play.pool.close(1.0, interrupt_connections=True)

    stage.start(play.use, "one", name="one", cancellable=True)
    stage.start(play.use, "two", name="two")
    stage.start(play.use, "three", name="three")
    stage.start(close, name="close", cancellable=True)
    await stage.join()
    assert {error for _, error in play.outcomes} <= {None, PoolClosedError}
    await play.end()
    await play.use("after")
    assert play.said("after") == [PoolClosedError]


async def remove_against_users(stage: Stage) -> None:
    """An endpoint is removed while it is used, and used again."""
    play = Play(stage, max_size=1)
    stage.start(play.use, "one", name="one", cancellable=True)
    stage.start(play.use, "two", name="two")

    async def remove() -> None:
        await play.pool.remove("a")

    stage.start(remove, name="remove")
    await stage.join()
    assert {error for _, error in play.outcomes} <= {None, PoolClosedError}
    await play.use("after")
    assert play.said("after") == [None]
    await play.end()


async def resize_against_users(stage: Stage) -> None:
    """The size goes down and up while connections are opened, used and given back."""
    play = Play(stage, max_size=2)

    async def resize() -> None:
        play.pool.resize(max_size=1)
        await stage.step()
        play.pool.resize(max_size=2)

    for name in ("one", "two", "three"):
        stage.start(play.use, name, name=name, cancellable=name == "one")
    stage.start(resize, name="resize")
    await stage.join()
    assert play.said("two") == play.said("three") == [None]
    await play.end()


async def total_of_two_endpoints(stage: Stage) -> None:
    """One place for two endpoints: what is idle makes room, and the oldest goes first."""
    play = Play(stage, max_size=1, total_max_size=1)
    stage.start(play.use, "one", "a", name="one", cancellable=True)
    stage.start(play.use, "two", "b", name="two", cancellable=True)
    stage.start(play.use, "three", "a", name="three")
    stage.start(play.use, "four", "b", name="four")
    await stage.join()
    assert play.said("three") == play.said("four") == [None]
    await play.end()


async def worker_against_users(stage: Stage) -> None:
    """The worker retires, checks and fills while connections are taken and given back."""
    play = Play(
        stage,
        thorough=True,
        max_size=2,
        min_size=1,
        idle_timeout=1.0,
        max_lifetime=10.0,
        health_check_interval=0.7,
    )
    await play.use("first")
    stage.start(play.use, "one", name="one", cancellable=True)
    stage.start(partial(play.use, times=2), "two", name="two")
    await stage.sleep(1.5)
    await stage.join()
    assert play.said("two") == [None, None]
    await play.end()


async def hooks_that_fail(stage: Stage) -> None:
    """What died is not handed out, and what a body left dirty does not come back."""
    play = Play(stage, thorough=True, max_size=1, check_after_idle=0.0)

    def spoil(conn: Conn) -> None:
        raise Refused

    def kill(conn: Conn) -> None:
        conn.broken = True

    stage.start(partial(play.use, body=spoil), "one", name="one", cancellable=True)
    stage.start(partial(play.use, body=kill), "two", name="two")
    stage.start(play.use, "three", name="three")
    await stage.join()
    assert play.said("three") == [None]
    await play.end()


async def warm_up_against_all(stage: Stage) -> None:
    """A pool is filled while somebody uses it and connects are refused."""
    play = Play(stage, max_size=2, min_size=2)
    play.refusals = 1

    async def warm_up() -> None:
        await play.pool.warm_up("a")

    stage.start(warm_up, name="warm up", cancellable=True)
    stage.start(partial(play.use, times=2), "one", name="one")
    await play.end()


async def overloaded(stage: Stage) -> None:
    """Only so many may wait, and who may not is told at once."""
    play = Play(stage, max_size=1, max_waiting=1)
    for name in ("one", "two", "three"):
        stage.start(play.use, name, name=name, cancellable=name == "two")
    await play.end()


async def listener_that_calls_back(stage: Stage) -> None:
    """A listener uses the pool that it hears of."""

    class Meddler(Play):
        depth = 0

        def hear(self, event: object) -> None:
            super().hear(event)
            if not hasattr(self, "pool") or self.depth:
                return
            self.depth += 1
            if isinstance(event, monitoring.ConnectionCheckedInEvent):
                self.pool.resize(max_size=1)
            elif isinstance(event, monitoring.ConnectionReadyEvent):
                self.pool.resize(max_size=2)
            elif isinstance(event, monitoring.ConnectionClosedEvent):
                self.pool.explain()
            self.pool.stats("a")
            self.depth -= 1

    play = Meddler(stage, max_size=2)
    for name in ("one", "two", "three"):
        stage.start(play.use, name, name=name, cancellable=name == "one")
    await stage.join()
    assert play.said("two") == play.said("three") == [None]
    await play.end()


async def leases_by_hand(stage: Stage) -> None:
    """A lease ends once, whoever ends it how often."""
    play = Play(stage, max_size=1)
    lease = await play.pool.acquire("a")

    async def release() -> None:
        await lease.release()

    async def discard() -> None:
        await lease.discard()

    stage.start(release, name="release")
    stage.start(discard, name="discard", cancellable=True)
    stage.start(play.use, "one", name="one")
    await stage.join()
    await lease.release()
    assert play.said("one") == [None]
    await play.end()


async def bedlam(stage: Stage) -> None:
    """Everything at once: what always holds, holds."""
    play = Play(
        stage,
        thorough=Play.listening,
        max_size=2,
        min_size=1,
        total_max_size=3,
        max_connecting=1,
        max_waiting=3,
        idle_timeout=3.0,
        health_check_interval=2.0,
        check_after_idle=0.5,
        acquire_timeout=4.0,
        leak_threshold=1.0,
    )
    play.refusals = 1

    def spoil(conn: Conn) -> None:
        raise Refused

    def kill(conn: Conn) -> None:
        conn.broken = True

    async def meddle() -> None:
        await play.pool.clear("a", interrupt_connections=True)
        play.pool.resize(max_size=1, total_max_size=2)
        await play.pool.remove("b")
        await play.pool.maintain()
        play.pool.resize(max_size=2, total_max_size=3)
        await play.pool.add("b")

    for number, endpoint in enumerate("abab"):
        body = (spoil, kill)[number % 2]
        role = partial(play.use, times=2, body=body)
        stage.start(role, f"user {number}", endpoint, name=f"user {number}", cancellable=number < 2)
    stage.start(meddle, name="meddler", cancellable=True)
    await stage.sleep(2.5)
    await play.end()


def untold(scenario: Callable[[Stage], Any]) -> Callable[[Stage], Any]:
    """Return the same scenario where nobody listens."""

    @wraps(scenario)
    async def play(stage: Stage) -> None:
        Play.listening = False
        try:
            await scenario(stage)
        finally:
            Play.listening = True

    play.__name__ = f"{scenario.__name__}_untold"
    return play


SCENARIOS: list[Callable[[Stage], Any]] = [
    queueing,
    in_order,
    hand_off_against_timeout,
    cancel_against_grant,
    refused_connects,
    closing_counts,
    permit_against_timeout,
    clear_against_connect,
    clear_that_interrupts,
    pause_against_callers,
    close_against_all,
    remove_against_users,
    resize_against_users,
    total_of_two_endpoints,
    worker_against_users,
    hooks_that_fail,
    warm_up_against_all,
    overloaded,
    listener_that_calls_back,
    leases_by_hand,
    bedlam,
    *(
        untold(scenario)
        for scenario in (
            queueing,
            in_order,
            hand_off_against_timeout,
            cancel_against_grant,
            clear_against_connect,
            close_against_all,
            remove_against_users,
            resize_against_users,
            total_of_two_endpoints,
            bedlam,
        )
    ),
]
