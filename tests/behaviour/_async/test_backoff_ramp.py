"""How many fills are begun at once, after some have failed."""

from typing import Any

import pytest

from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, until

from .callers import Caller
from .fakes import (
    Chance,
    Connection,
    FakeClock,
    Keeper,
    assert_empty,
)
from .kept import Down, Filled

pytestmark = pytest.mark.concurrency


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A clock that the test turns, and the longest of all pauses."""
    Chance(monkeypatch, 1.0)
    return FakeClock(monkeypatch)


class Stepped(Down):
    """Each of its connects stops at a gate of its own."""

    def __init__(self, *endpoints: Any) -> None:
        super().__init__(*endpoints)
        self.gates: list[tuple[Any, Gate]] = []
        """Those at which somebody stands, the oldest first."""
        self.is_free = False
        """Whether nobody stops any more."""

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        place = (endpoint, Gate(is_open=self.is_free))
        if not self.is_free:
            self.gates.append(place)
        await place[1].wait()
        return await super().create(endpoint, timeout)

    def standing(self, endpoint: Any = "e") -> int:
        return sum(where == endpoint for where, _ in self.gates)


class Helpers:
    """Many hands: so many fills begin at once as the pool allows."""

    def __init__(self, pool: ConnectionPool[Any, Connection], manager: Stepped) -> None:
        self.pool = pool
        self.manager = manager
        self.calls: list[Running[None]] = []

    async def stand(self, number: int) -> None:
        """See so many connects begun, and no more to be had."""
        for _ in range(number + 2):
            self.calls.append(await call_soon(self.pool.maintain))
        await until(lambda: len(self.manager.gates) == number)
        await until(lambda: sum(not call.done() for call in self.calls) <= number)
        assert len(self.manager.gates) == self.pool.stats().connecting == number

    async def step(self, number: int = 1) -> None:
        """Let so many go on, the oldest first, and see them succeed or fail."""
        ended = self._ended() + number
        for _ in range(number):
            self.manager.gates.pop(0)[1].open()
        await until(lambda: self._ended() >= ended)

    def _ended(self) -> int:
        stats = self.pool.stats()
        return stats.created + stats.errors

    async def leave(self) -> None:
        """See the end of it all."""
        self.manager.is_free = True
        await self.step(len(self.manager.gates))
        for call in self.calls:
            await call.result()


@pytest.fixture
def hand(monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """Nobody but the test keeps the pool."""
    return Keeper(monkeypatch, worker=False)


async def test_at_first_there_is_no_need_for_care(hand: Keeper, clock: FakeClock) -> None:
    """Nothing has failed yet: as many as ``max_connecting`` at once."""
    manager = Stepped()
    async with Filled(manager, hand, min_size=10, max_connecting=6) as pool:
        await pool.add("e")
        helpers = Helpers(pool, manager)
        await helpers.stand(6)
        await helpers.leave()
    assert_empty(pool, manager)


async def test_one_goes_ahead(hand: Keeper, clock: FakeClock) -> None:
    """After a failure one connect at a time is made for stock, at each endpoint."""
    manager = Stepped("e", "f")
    async with Filled(manager, hand, min_size=4, max_connecting=4) as pool:
        for endpoint in ("e", "f"):
            await pool.add(endpoint)
        helpers = Helpers(pool, manager)
        await helpers.stand(8)
        await helpers.step(8)
        for _ in range(3):
            await helpers.stand(0)
            clock.now += 5.0
            await helpers.stand(2)
            assert (manager.standing("e"), manager.standing("f")) == (1, 1)
            await helpers.step(2)
        await helpers.stand(0)
        await helpers.leave()
    assert_empty(pool, manager)


async def recovering(
    hand: Keeper, clock: FakeClock, manager: Stepped, **options: Any
) -> tuple[Filled, Helpers]:
    """Return a pool whose server has just come back, and see one connect begun."""
    sizes = {"min_size": 16, "max_size": 16, "max_connecting": 16, **options}
    pool = Filled(manager, hand, **sizes)
    await pool.add("e")
    helpers = Helpers(pool, manager)
    await helpers.stand(sizes["max_connecting"])
    await helpers.step(sizes["max_connecting"])
    await helpers.stand(0)
    clock.now += 5.0
    await helpers.stand(1)
    manager.down.clear()
    return pool, helpers


async def test_then_two_then_four(hand: Keeper, clock: FakeClock) -> None:
    """When the one has succeeded, and when those have."""
    manager = Stepped("e")
    pool, helpers = await recovering(hand, clock, manager)
    async with pool:
        for number in (1, 2, 4):
            await helpers.step(number)
            await helpers.stand(2 * number)
        await helpers.leave()
        await pool.warm_up("e", 0)
    assert_empty(pool, manager)


async def test_those_that_overlap_grow_too(hand: Keeper, clock: FakeClock) -> None:
    """Every success lets one more go: it need not wait for those beside it."""
    manager = Stepped("e")
    pool, helpers = await recovering(hand, clock, manager)
    async with pool:
        for number in (2, 3, 4, 5, 6):
            await helpers.step()
            await helpers.stand(number)
        await helpers.leave()
    assert_empty(pool, manager)


async def test_it_grows_to_max_connecting(hand: Keeper, clock: FakeClock) -> None:
    """And no further."""
    manager = Stepped("e")
    pool, helpers = await recovering(hand, clock, manager, max_connecting=3)
    async with pool:
        for number in (1, 2, 3, 3):
            await helpers.step(number)
            await helpers.stand(min(2 * number, 3))
        await helpers.leave()
    assert_empty(pool, manager)


async def test_a_failure_makes_it_careful_again(hand: Keeper, clock: FakeClock) -> None:
    """One goes ahead, as before."""
    manager = Stepped("e")
    pool, helpers = await recovering(hand, clock, manager)
    async with pool:
        await helpers.step()
        await helpers.stand(2)
        manager.down.add("e")
        await helpers.step(2)
        await helpers.stand(0)
        clock.now += 5.0
        await helpers.stand(1)
        await helpers.leave()
    assert_empty(pool, manager)


async def test_after_ready_one_goes_ahead(hand: Keeper, clock: FakeClock) -> None:
    """At once, but alone: the server may be weak still."""
    manager = Stepped("e")
    async with Filled(manager, hand, min_size=4, max_connecting=4, paused=True) as pool:
        await pool.ready("e")
        helpers = Helpers(pool, manager)
        await helpers.stand(4)
        await helpers.step(4)
        await helpers.stand(0)
        await pool.clear("e")
        await pool.ready("e")
        manager.down.clear()
        for number in (1, 2):
            await helpers.stand(number)
            await helpers.step(number)
        await helpers.stand(1)
        await helpers.leave()
    assert_empty(pool, manager)


async def test_callers_need_not_be_careful(hand: Keeper, clock: FakeClock) -> None:
    """They connect beside the one that goes ahead, as many as ``max_connecting`` allows."""
    manager = Stepped("e")
    pool, helpers = await recovering(hand, clock, manager, max_connecting=4)
    async with pool:
        calls = [await call_soon(Caller(pool, timeout=None).call) for _ in range(3)]
        await until(lambda: manager.standing() == 4)
        await helpers.step(4)
        for call in calls:
            await call.result()
        await helpers.leave()
    assert_empty(pool, manager)
