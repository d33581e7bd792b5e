"""The worker of the asynchronous half of the twin: a timer that starts a short task."""

import asyncio
import gc
import time
from typing import Any

import pytest

from pool._runtime import aio as runtime
from pool._runtime.aio import Worker
from support.aio import until

pytestmark = pytest.mark.concurrency


class Owner:
    """For whom it works: notes how late each look was, and how long to sleep then."""

    def __init__(self, *naps: float | None) -> None:
        self.naps = list(naps)
        self.late: list[float] = []
        self.inside: Any = None


async def work(owner: Owner, late: float) -> float | None:
    owner.late.append(late)
    if owner.inside is not None:
        owner.inside()
    return owner.naps.pop(0) if owner.naps else None


class Clock:
    """Can be set forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        monkeypatch.setattr(runtime, "elapsed", self)

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


def pending() -> list[Any]:
    """Return the timers of the loop that are to go off."""
    handles: list[Any] = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
    return [handle for handle in handles if not handle.cancelled()]


async def test_it_looks_again_when_it_said() -> None:
    """And not once more when nothing is due ever."""
    owner = Owner(0.001, 0.002, None)
    worker = Worker(owner, work)
    worker.ring()
    await until(lambda: len(owner.late) == 3)
    await until(lambda: not worker._working)
    assert not pending()
    assert all(0.0 <= late < 1.0 for late in owner.late)


async def test_a_ring_wakes_it() -> None:
    """Then it is not late, and its timer is set anew."""
    owner = Owner(1000.0, 500.0)
    worker = Worker(owner, work)
    for _ in range(2):
        worker.ring()
        await until(lambda: not worker._working)
    assert owner.late == [0.0, 0.0]
    (timer,) = pending()
    assert timer.when() < asyncio.get_running_loop().time() + 501.0
    del owner
    await until(lambda: not pending())


@pytest.mark.parametrize("rung", [True, False])
async def test_it_knows_how_late_it_is(rung: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that went on while it slept; whether its timer or somebody wakes it; once."""
    clock = Clock(monkeypatch)
    owner = Owner(1000.0 if rung else 0.01, 1000.0, 1000.0)
    worker = Worker(owner, work)
    worker.ring()
    await until(lambda: worker._timer)
    clock.ahead = 5000.0
    if rung:
        worker.ring()
    await until(lambda: len(owner.late) == 2)
    assert owner.late[1] == pytest.approx(4000.0 if rung else 5000.0, abs=1.0)
    await until(lambda: not worker._working)
    worker.ring()
    await until(lambda: len(owner.late) == 3)
    assert owner.late[2] == 0.0


async def test_it_is_rung_at_work() -> None:
    """It looks once more, however often it was rung, and is late only once."""
    owner = Owner(None, None, None)
    worker = Worker(owner, work)

    def ring() -> None:
        owner.inside = None
        for _ in range(3):
            worker.ring()

    owner.inside = ring
    worker.ring()
    await until(lambda: len(owner.late) == 2)
    for _ in range(10):
        await asyncio.sleep(0)
    assert owner.late == [0.0, 0.0]


async def test_it_survives_what_it_does() -> None:
    """What is no ``Exception`` ends its task, is reported by the loop, and it looks again a little later."""

    class Quit(BaseException):
        pass

    owner, complaints = Owner(None), list[Any]()

    def leave() -> None:
        owner.inside = None
        raise Quit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runtime, "_PAUSE", 0.001)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context["exception"]))
        owner.inside = leave
        Worker(owner, work).ring()
        await until(lambda: len(owner.late) == 2)
        gc.collect()
    assert [type(complaint) for complaint in complaints] == [Quit]


async def test_it_stops_when_its_owner_is_gone() -> None:
    """Asleep for long: no timer is left, nor a task."""
    owner = Owner(1000.0)
    worker = Worker(owner, work)
    worker.ring()
    await until(pending)
    del owner
    await until(lambda: not pending())
    assert asyncio.all_tasks() == {asyncio.current_task()}
    worker.ring()
    await until(lambda: not worker._working)
    assert not pending()


async def test_an_alert_before_it_has_begun() -> None:
    """Nothing: there is no loop to look in."""
    owner = Owner()
    worker = Worker(owner, work)
    worker.alert()
    await asyncio.sleep(0)
    assert not owner.late


async def test_a_very_long_sleep() -> None:
    """A timer cannot be set for any time: it looks once a day then."""
    owner = Owner(1e300)
    Worker(owner, work).ring()
    await until(pending)
    (timer,) = pending()
    assert timer.when() <= asyncio.get_running_loop().time() + 86400.0


def test_its_loop_is_closed() -> None:
    """Alerts and the end of its owner are nobody's business then."""
    owner = Owner(1000.0)
    worker = Worker(owner, work)

    async def main() -> None:
        worker.ring()
        await until(pending)

    asyncio.run(main())
    worker.alert()
    worker.ring()
    del owner
    assert worker._owner() is None
