"""What somebody does in the midst of what the worker does, at any turn of the event loop.

A fill, a check, a retirement, the taking back of a lost lease: each is crossed with whatever changes the pool
meanwhile, and with hooks that fail, are told a cancellation that nobody asked for, or hang.
"""

import asyncio
from typing import Any

import pytest
from aio_only.kept import OPTIONS, Act, KeptWorld, at_every_turn, background
from aio_only.steps import Quit
from behaviour._async.fakes import Chance, FakeClock

from support.aio import until

pytestmark = pytest.mark.concurrency


@pytest.fixture(autouse=True)
def chance(monkeypatch: pytest.MonkeyPatch) -> Chance:
    """No pause after a failed connect."""
    return Chance(monkeypatch, 0.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A time that stands still."""
    return FakeClock(monkeypatch)


async def clear(world: KeptWorld) -> None:
    await world.pool.clear()


async def clear_and_interrupt(world: KeptWorld) -> None:
    await world.pool.clear(interrupt_connections=True)


async def remove(world: KeptWorld) -> None:
    await world.pool.remove("e")


async def remove_and_add(world: KeptWorld) -> None:
    await world.pool.remove("e")
    await world.pool.add("e")


async def shrink(world: KeptWorld) -> None:
    world.pool.resize(max_size=1, min_size=1)


async def shrink_the_total(world: KeptWorld) -> None:
    world.pool.resize(max_size=1, min_size=1, total_max_size=2)


async def grow(world: KeptWorld) -> None:
    world.pool.resize(max_size=5, min_size=4, total_max_size=10)
    world.bounds = world.pool.options


async def maintain(world: KeptWorld) -> None:
    await world.pool.maintain()


async def warm_up(world: KeptWorld) -> None:
    await world.pool.warm_up("e")


async def use(world: KeptWorld) -> None:
    await asyncio.gather(world.use(), world.use(), world.use(endpoint="f"), world.use())


async def clear_and_use(world: KeptWorld) -> None:
    await asyncio.gather(world.use(), world.pool.clear(), world.use())


async def lose(world: KeptWorld) -> None:
    await world.acquire()
    await world.lose()


async def distrust(world: KeptWorld) -> None:
    """The machine was suspended."""
    world.pool._engine.core.distrust()


async def pause_and_ready(world: KeptWorld) -> None:
    await world.pool.clear()
    await asyncio.sleep(0)
    await world.pool.ready("e")
    await world.pool.ready("f")


async def close(world: KeptWorld) -> None:
    await world.pool.close()


async def close_and_interrupt(world: KeptWorld) -> None:
    await world.pool.close(interrupt_connections=True)


ACTS: tuple[Act, ...] = (
    clear,
    clear_and_interrupt,
    remove,
    remove_and_add,
    shrink,
    shrink_the_total,
    grow,
    maintain,
    warm_up,
    use,
    clear_and_use,
    lose,
    distrust,
    KeptWorld.all_is_due,
)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("what", OPTIONS)
async def test_an_act_in_the_midst_of_the_upkeep(clock: FakeClock, what: str, act: Act) -> None:
    """Neither undoes the other, and the pool is well afterwards."""
    await at_every_turn(background(clock, what), act)


@pytest.mark.parametrize("act", [close, close_and_interrupt])
@pytest.mark.parametrize("what", OPTIONS)
async def test_a_close_in_the_midst_of_the_upkeep(clock: FakeClock, what: str, act: Act) -> None:
    """Leaves nothing open, and nobody at work."""
    await at_every_turn(background(clock, what), act, open_still=False)


@pytest.mark.parametrize("what", OPTIONS)
async def test_a_pause_in_the_midst_of_the_upkeep(clock: FakeClock, what: str) -> None:
    """Holds the upkeep up until the endpoint is ready."""
    await at_every_turn(background(clock, what, paused=True), pause_and_ready)


TROUBLES = (
    ("fill", "create"),
    ("check", "check_aliveness"),
    ("dead", "on_connection_dead"),
    ("retire", "dispose"),
    ("all", "dispose"),
)


@pytest.mark.parametrize("act", [clear_and_interrupt, remove_and_add, shrink_the_total, use])
@pytest.mark.parametrize("outcome", ["error", "stray", "slow", "never"])
@pytest.mark.parametrize(("what", "hook"), TROUBLES)
async def test_an_act_in_the_midst_of_an_upkeep_in_trouble(
    clock: FakeClock, what: str, hook: str, outcome: str, act: Act
) -> None:
    """A hook of the upkeep fails, is cancelled by nobody, dawdles or hangs: nothing is lost."""
    midst = background(clock, what, hook, outcome)
    hangs = outcome == "never"
    await at_every_turn(midst, act, endless=hangs or what == "fill", flies=hangs)


@pytest.mark.parametrize(("what", "hook"), TROUBLES[:3])
async def test_a_hook_of_the_upkeep_that_quits(
    clock: FakeClock, chance: Chance, what: str, hook: str
) -> None:
    """It is told to the loop, once; the next attempt to connect is not made at once."""
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    chance.drawn = 1.0
    world = await background(clock, what, hook, "quit")()
    await until(lambda: told and not world.keepers())
    for _ in range(10):
        await asyncio.sleep(0)
    quitters = world.manager.begun.count(hook)
    assert len(told) == quitters <= 2
    assert all(isinstance(context["exception"], Quit) for context in told)
    world.manager.outcomes.clear()
    clock.now += 1.0
    await world.settle()
    assert len(told) == quitters
