"""Closing counts until closed: servers never see more than ``max_size`` each, nor all more than the total."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from pool import PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, until

from .callers import Caller, queued
from .fakes import Connection, FakeClock, held
from .watchers import Hanging, Leisurely, Watched, emptied

pytestmark = pytest.mark.concurrency


class DirtyError(Exception):
    """What leaves a body."""


class Way:
    """A way in which a connection comes to be closed.

    Parameters:
        act: what is done while one connection to "e" is held by ``lease``, or is idle if that is ``None``.
        idle: whether it is idle.
        options: of the pool.
        after: seconds after which it is done.
    """

    def __init__(
        self,
        act: Callable[[ConnectionPool[Any, Any], Any], Any],
        *,
        idle: bool = False,
        after: float = 0.0,
        **options: Any,
    ) -> None:
        self.act = act
        self.idle = idle
        self.after = after
        self.options = options


async def release(pool: ConnectionPool[Any, Any], lease: Any) -> None:
    await lease.release()


async def discard(pool: ConnectionPool[Any, Any], lease: Any) -> None:
    await lease.discard()


async def spoil(pool: ConnectionPool[Any, Any], lease: Any) -> None:
    with suppress(DirtyError):
        async with lease:
            raise DirtyError


async def clear(pool: ConnectionPool[Any, Any], lease: Any) -> None:
    await pool.clear("e")


async def clear_and_release(pool: ConnectionPool[Any, Any], lease: Any) -> None:
    await pool.clear("e")
    await lease.release()


async def remove(pool: ConnectionPool[Any, Any], lease: Any) -> None:
    await pool.remove("e")


async def remove_and_release(pool: ConnectionPool[Any, Any], lease: Any) -> None:
    await pool.remove("e")
    await lease.release()


async def maintain(pool: ConnectionPool[Any, Any], lease: Any) -> None:
    await pool.maintain()


async def maintain_and_release(pool: ConnectionPool[Any, Any], lease: Any) -> None:
    await pool.maintain()
    await lease.release()


async def use(pool: ConnectionPool[Any, Any], lease: Any) -> None:
    await held(pool, "e")


WAYS = {
    "release": Way(release, max_uses=1),
    "discard": Way(discard),
    "an error of the body": Way(spoil),
    "clear": Way(clear, idle=True),
    "clear while in use": Way(clear_and_release),
    "remove": Way(remove, idle=True),
    "remove while in use": Way(remove_and_release),
    "too long idle": Way(maintain, idle=True, after=61.0),
    "too old": Way(maintain, idle=True, after=61.0, max_lifetime=50.0, idle_timeout=None),
    "too old when it comes back": Way(maintain_and_release, after=61.0, max_lifetime=50.0),
    "too old when it is wanted": Way(
        use, idle=True, after=61.0, max_lifetime=50.0, background_collector=False
    ),
}


async def closing(
    way: Way, pool: ConnectionPool[Any, Any], manager: Watched, clock: FakeClock
) -> Running[Any]:
    """See a connection to "e" being closed, and held up there."""
    lease = None if way.idle else await pool.acquire("e")
    if way.idle:
        await held(pool)
    clock.now += way.after
    gate = manager.dispose_gate = Gate()
    call: Running[Any] = await call_soon(way.act, pool, lease)
    await until(lambda: gate.waiting == 1)
    return call


@pytest.mark.parametrize("way", WAYS)
async def test_a_place_is_free_only_when_the_connection_is_closed(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whatever way it came to be closed: who wants another waits for the end."""
    clock, manager = FakeClock(monkeypatch), Watched()
    options = {"max_size": 1, "acquire_timeout": 600.0, **WAYS[way].options}
    async with ConnectionPool(manager, **options) as pool:
        call = await closing(WAYS[way], pool, manager, clock)
        stats = pool.stats("e")
        assert (stats.total, stats.closing, stats.idle, stats.in_use) == (1, 1, 0, 0)
        with pytest.raises(PoolTimeoutError, match="1 closing"):
            await pool.acquire("e", 0)
        caller = await queued(pool, Caller(pool, timeout=600.0).call)
        assert manager.started == 1
        manager.dispose_gate.open()
        assert (await caller.result()).number >= 2
        await call.result()
        assert manager.most_seen["e"] == 1
    await emptied(pool, manager)


@pytest.mark.parametrize("way", WAYS)
async def test_a_place_in_the_pool_is_free_only_when_the_connection_is_closed(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for one who wants a connection to another endpoint, where only the total is short."""
    clock, manager = FakeClock(monkeypatch), Watched()
    options = {"max_size": 1, "total_max_size": 1, "acquire_timeout": 600.0, **WAYS[way].options}
    async with ConnectionPool(manager, **options) as pool:
        call = await closing(WAYS[way], pool, manager, clock)
        caller = await queued(pool, Caller(pool, endpoint="f", timeout=600.0).call)
        assert manager.started == 1
        manager.dispose_gate.open()
        assert (await caller.result()).endpoint == "f"
        await call.result()
        assert manager.most_seen[None] == 1
    await emptied(pool, manager)


async def test_one_that_fails_its_check_keeps_its_place() -> None:
    """Its caller waits for the place of the one that he found dead."""

    class Checked(Watched):
        async def check_aliveness(
            self, endpoint: Any, conn: Connection, timeout: float | None
        ) -> bool:
            return conn.alive

    manager = Checked()
    async with ConnectionPool(manager, max_size=1, check_after_idle=0) as pool:
        (await held(pool)).alive = False
        gate = manager.dispose_gate = Gate()
        call = await call_soon(Caller(pool).call)
        await until(lambda: gate.waiting == 1)
        assert (pool.stats().closing, manager.started) == (1, 1)
        gate.open()
        assert (await call.result()).number == 2
        assert manager.most_seen["e"] == 1
    await emptied(pool, manager)


async def test_one_evicted_for_another_endpoint_keeps_its_place_at_its_own() -> None:
    """Who wants it back waits for the end of the closing, and then for room."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=1, total_max_size=1) as pool:
        await held(pool, "e")
        gate = manager.dispose_gate = Gate()
        log: list[Any] = []
        calls = [
            await queued(pool, Caller(pool, endpoint, log, endpoint=endpoint).call)
            for endpoint in "fe"
        ]
        await until(lambda: gate.waiting == 1)
        assert manager.started == 1
        gate.open()
        for call in calls:
            await call.result()
        assert log == ["f", "e"]
        assert (manager.most_seen["e"], manager.most_seen[None]) == (1, 1)
    await emptied(pool, manager)


async def test_resized_away_they_keep_their_places() -> None:
    """With less room nothing is opened until enough are closed."""
    manager = Watched()
    async with ConnectionPool(manager, max_size=3) as pool:
        leases = [await pool.acquire("e") for _ in range(3)]
        for lease in leases[:2]:
            await lease.release()
        gate = manager.dispose_gate = Gate()
        resizing = await call_soon(resize, pool, 1)
        await until(lambda: gate.waiting)
        assert (pool.stats().closing, pool.stats().in_use) == (2, 1)
        discarding = await call_soon(leases[2].discard)
        await until(lambda: pool.stats().closing == 3)
        caller = await queued(pool, Caller(pool).call)
        assert manager.started == 3
        gate.open()
        for call in (resizing, discarding, caller):
            await call.result()
        assert manager.most_seen["e"] == 3
        assert manager.log[3:] == [("close", "e")] * 3 + [("open", "e")]
    await emptied(pool, manager)


async def resize(pool: ConnectionPool[Any, Any], size: int) -> None:
    pool.resize(max_size=size)


@pytest.mark.parametrize("way", WAYS)
async def test_a_dispose_that_hangs_keeps_its_place_until_its_time_is_up(
    way: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Until ``dispose_timeout``; then it is given up, which is logged, and the place is free."""
    clock, manager = FakeClock(monkeypatch), Hanging()
    options: dict[str, Any] = {"max_size": 1, "dispose_timeout": 0.02, "acquire_timeout": 600.0}
    async with ConnectionPool(manager, **options, **WAYS[way].options) as pool:
        lease = None if WAYS[way].idle else await pool.acquire("e")
        if WAYS[way].idle:
            await held(pool)
        clock.now += WAYS[way].after
        call = await call_soon(WAYS[way].act, pool, lease)
        await until(lambda: pool.stats().closing == 1 or manager.disposed)
        assert (await Caller(pool, timeout=600.0).call()).number >= 2
        await call.result()
        assert manager.most_seen["e"] == 1
        assert "dispose of connection #1 to 'e' failed" in caplog.text
    await emptied(pool, manager)


async def test_an_evicted_one_whose_dispose_hangs_keeps_its_place_until_its_time_is_up() -> None:
    """The same for the room in the whole pool."""
    manager = Hanging()
    options: dict[str, Any] = {"max_size": 1, "total_max_size": 1, "dispose_timeout": 0.02}
    async with ConnectionPool(manager, **options) as pool:
        for endpoint in "efg":
            assert (await held(pool, endpoint)).endpoint == endpoint
        assert manager.most_seen[None] == 1
    await emptied(pool, manager)


@pytest.mark.parametrize("seed", range(4))
async def test_servers_never_see_too_many(seed: int) -> None:
    """Whatever many callers do at once, with disposes and creates that take their time."""
    manager = Leisurely(seed)
    options: dict[str, Any] = {"max_size": 2, "total_max_size": 3, "max_uses": 3}
    async with ConnectionPool(manager, **options) as pool:

        async def work(number: int) -> None:
            chance = manager.random
            for _ in range(12):
                endpoint = chance.choice("abcd")
                act = chance.choice([release, release, discard, spoil, clear])
                lease = await pool.acquire(endpoint, 30.0)
                await act(pool, lease)
                await lease.release()

        calls = [await call_soon(work, number) for number in range(8)]
        for call in calls:
            await call.result()
        assert manager.most_seen.pop(None) <= 3
        assert max(manager.most_seen.values()) <= 2
        assert pool.stats().acquired == 96
    await emptied(pool, manager)
