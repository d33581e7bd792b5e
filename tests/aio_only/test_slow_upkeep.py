"""What takes long at one endpoint, or for ever, holds up no other: the worker begins it and goes on."""

import asyncio
from typing import Any

import pytest
from behaviour._async.fakes import (
    Chance,
    Connection,
    FakeClock,
    Hooked,
    Keeper,
    assert_empty,
    held,
    stocked,
)

from pool.aio import ConnectionPool
from support.aio import Gate, begun, until

pytestmark = pytest.mark.concurrency


class Sticky(Hooked):
    """Whatever it does at the endpoint named goes on until ``gate`` opens."""

    def __init__(self, endpoint: Any = "slow") -> None:
        super().__init__()
        self.slow = endpoint
        self.gate = Gate()
        self.sticks: set[str] = set()
        """What does so."""

    async def _stick(self, name: str, endpoint: Any) -> None:
        if name in self.sticks and endpoint == self.slow:
            await self.gate.wait()

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        await self._stick("create", endpoint)
        return await super().create(endpoint, timeout)

    async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
        await super().dispose(endpoint, conn, timeout)
        await self._stick("dispose", endpoint)

    async def check_aliveness(self, endpoint: Any, conn: Connection, timeout: float | None) -> bool:
        await self._stick("check_aliveness", endpoint)
        return await super().check_aliveness(endpoint, conn, timeout)

    async def on_connection_dead(self, endpoint: Any, conn: Connection) -> None:
        await self._stick("on_connection_dead", endpoint)
        await super().on_connection_dead(endpoint, conn)


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """Notes what the worker does."""
    return Keeper(monkeypatch)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A clock that the test turns, and no chance: nothing is shortened at random."""
    Chance(monkeypatch)
    return FakeClock(monkeypatch)


# -- the others -------------------------------------------------------------------------------------


async def test_a_slow_dispose_holds_nobody_up(keeper: Keeper, clock: FakeClock) -> None:
    """What is over elsewhere is closed meanwhile, and what comes due later too."""
    manager = Sticky()
    manager.sticks = {"dispose"}
    async with ConnectionPool(manager) as pool:
        for endpoint in ("slow", "quick"):
            await stocked(pool, 2, endpoint)
        clock.now += 60.0
        await keeper.look(pool)
        await until(lambda: pool.stats("quick").total == 0)
        assert pool.stats("slow").closing == 2
        await held(pool, "quick")
        clock.now += 60.0
        await keeper.look(pool)
        await until(lambda: pool.stats("quick").total == 0)
        assert pool.stats("slow").closing == 2
        manager.gate.open()
        await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


@pytest.mark.parametrize("hook", ["check_aliveness", "on_connection_dead"])
async def test_a_slow_check_holds_nobody_up(keeper: Keeper, clock: FakeClock, hook: str) -> None:
    """Neither the checks of others nor what else is due."""
    manager = Sticky()
    manager.sticks = {hook}
    async with ConnectionPool(
        manager, health_check_interval=10.0, idle_timeout=25.0, connect_timeout=None
    ) as pool:
        (await held(pool, "slow")).alive = False
        await held(pool, "quick")
        for _ in range(2):
            clock.now += 10.0
            await keeper.look(pool)
            await until(lambda: pool.stats("quick").idle == 1)
        assert pool.stats("slow").in_use == 1
        clock.now += 5.0
        await keeper.look(pool)
        await until(lambda: pool.stats("quick").total == 0)
        assert pool.stats("slow").in_use == 1
        manager.gate.open()
        await until(lambda: pool.stats("slow").idle == 1)
    assert_empty(pool, manager)


async def test_a_slow_fill_holds_nobody_up(keeper: Keeper) -> None:
    """Every endpoint is filled by itself."""
    manager = Sticky()
    manager.sticks = {"create"}
    async with ConnectionPool(manager, min_size=2) as pool:
        for endpoint in ("slow", "quick", "other"):
            await pool.add(endpoint)
        await until(lambda: pool.stats().idle == 4)
        assert pool.stats("slow").connecting == 2
        await (await pool.acquire("quick")).discard()
        await until(lambda: pool.stats().idle == 4)
        manager.gate.open()
        await until(lambda: pool.stats().idle == 6)
    assert_empty(pool, manager)


async def test_several_are_worked_on_at_once(keeper: Keeper, clock: FakeClock) -> None:
    """All checks that are due go on side by side, at one endpoint too."""
    manager = Sticky()
    manager.sticks = {"check_aliveness"}
    async with ConnectionPool(manager, health_check_interval=10.0) as pool:
        await stocked(pool, 5, "slow")
        clock.now += 10.0
        await keeper.look(pool)
        await until(lambda: manager.gate.waiting == 5)
        manager.gate.open()
        await until(lambda: pool.stats().idle == 5)
    assert_empty(pool, manager)


# -- what takes for ever ----------------------------------------------------------------------------


@pytest.mark.parametrize("hook", ["check_aliveness", "on_connection_dead"])
async def test_a_check_that_hangs_is_cut(
    keeper: Keeper, clock: FakeClock, caplog: pytest.LogCaptureFixture, hook: str
) -> None:
    """After ``connect_timeout``: the connection counts as dead, and is replaced."""
    manager = Sticky()
    manager.sticks = {hook}
    async with ConnectionPool(manager, health_check_interval=10.0, connect_timeout=0.02) as pool:
        connection = await held(pool, "slow")
        connection.alive = False
        clock.now += 10.0
        await keeper.look(pool)
        await until(lambda: pool.stats().idle == 1)
        assert connection.disposed
        assert "TimeoutError" in caplog.text
    assert_empty(pool, manager)


async def test_a_fill_that_hangs_is_cut(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After ``connect_timeout``: it has failed, and is tried again."""
    Chance(monkeypatch, 0.05)
    manager = Sticky()
    manager.sticks = {"create"}
    async with ConnectionPool(manager, min_size=1, connect_timeout=0.02) as pool:
        await pool.add("slow")
        await until(lambda: pool.stats().errors == 1)
        manager.sticks.clear()
        await until(lambda: pool.stats().idle == 1)
        assert "TimeoutError(\"connect to 'slow' took longer than 0.020 s\")" in caplog.text
    assert_empty(pool, manager)


async def test_a_dispose_that_hangs_is_cut(keeper: Keeper, clock: FakeClock) -> None:
    """After ``dispose_timeout``: the place is free."""
    manager = Sticky()
    manager.sticks = {"dispose"}
    async with ConnectionPool(manager, dispose_timeout=0.02) as pool:
        await held(pool, "slow")
        clock.now += 60.0
        await keeper.look(pool)
        await until(lambda: pool.get_size() == 0)
    assert_empty(pool, manager)


# -- stray cancellations ----------------------------------------------------------------------------


class Leaky(Hooked):
    """A cancellation that nobody asked for escapes from the hook named, once."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        self.hook = hook

    def _leak(self, name: str) -> None:
        if name == self.hook:
            self.hook = ""
            raise asyncio.CancelledError

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        self._leak("create")
        return await super().create(endpoint, timeout)

    async def dispose(self, endpoint: Any, conn: Connection, timeout: float | None) -> None:
        await super().dispose(endpoint, conn, timeout)
        self._leak("dispose")

    async def check_aliveness(self, endpoint: Any, conn: Connection, timeout: float | None) -> bool:
        self._leak("check_aliveness")
        return await super().check_aliveness(endpoint, conn, timeout)

    async def on_connection_dead(self, endpoint: Any, conn: Connection) -> None:
        self._leak("on_connection_dead")
        await super().on_connection_dead(endpoint, conn)


@pytest.mark.parametrize("hook", ["create", "dispose", "check_aliveness", "on_connection_dead"])
async def test_a_cancellation_that_escapes_from_a_hook_is_a_failure(
    keeper: Keeper, clock: FakeClock, hook: str
) -> None:
    """Of that hook, and of nothing else: what is due next is done."""
    manager = Leaky(hook)
    async with ConnectionPool(
        manager, min_size=1, health_check_interval=10.0, idle_timeout=None
    ) as pool:
        await pool.add("e")
        await until(lambda: pool.stats().idle == 1)
        manager.opened[0].alive = False
        for _ in range(3):
            clock.now += 10.0
            await keeper.look(pool)
            await until(lambda: pool.stats().idle == pool.stats().total == 1)
        assert manager.hook == ""
        assert len(manager.opened) == 2
        assert begun(pool._engine.worker)
    assert_empty(pool, manager)
