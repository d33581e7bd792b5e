"""The worker of the synchronous half of the twin: a daemon thread."""

import threading
import time
from functools import partial
from typing import Any

import pytest

from pool._runtime import sync as runtime
from pool._runtime.sync import Worker
from support.sync import Gate, call_soon, until

pytestmark = pytest.mark.concurrency


class Owner:
    """For whom it works: notes how late each look was, and how long to sleep then."""

    def __init__(self, *naps: float | None) -> None:
        self.naps = list(naps)
        self.late: list[float] = []
        self.inside: Any = None


def work(owner: Owner, late: float) -> float | None:
    owner.late.append(late)
    if owner.inside is not None:
        owner.inside()
    return owner.naps.pop(0) if owner.naps else None


class Clock:
    """Can be set forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead = 0.0
        self.reads = 0
        monkeypatch.setattr(runtime, "elapsed", self)

    def __call__(self) -> float:
        self.reads += 1
        return time.monotonic() + self.ahead


def threads() -> int:
    return [thread.name for thread in threading.enumerate()].count("pool upkeep")


def test_it_looks_again_when_it_said() -> None:
    """And ends when nothing is due ever."""
    owner = Owner(0.001, 0.002, None)
    Worker(owner, work).ring()
    until(lambda: threads() == 0)
    assert len(owner.late) == 3
    assert all(0.0 <= late < 1.0 for late in owner.late)


def test_a_ring_wakes_it() -> None:
    """Then it is not late."""
    owner = Owner(1000.0, 1000.0, None)
    worker = Worker(owner, work)
    for looks in ([0.0], [0.0, 0.0], [0.0, 0.0, 0.0]):
        worker.ring()
        until(partial(looks.__eq__, owner.late))
    until(lambda: threads() == 0)
    assert owner.late == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("rung", [True, False])
def test_it_knows_how_late_it_is(rung: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that went on while it slept; whether the time or somebody wakes it; once."""
    clock = Clock(monkeypatch)
    owner = Owner(1000.0 if rung else 0.05, 0.0, None)
    worker = Worker(owner, work)
    worker.ring()
    until(lambda: clock.reads == 1)
    clock.ahead = 5000.0
    if rung:
        worker.ring()
    until(lambda: threads() == 0)
    assert owner.late[1] == pytest.approx(4000.0 if rung else 5000.0, abs=1.0)
    assert owner.late[2] < 1.0


def test_one_thread_whoever_rings() -> None:
    """Many at once, before it is there."""
    owner = Owner(*[1000.0] * 100)
    looks = owner.late
    worker = Worker(owner, work)
    gate = Gate()

    def ring() -> None:
        gate.wait()
        worker.ring()

    calls = [call_soon(ring) for _ in range(8)]
    until(lambda: gate.waiting == 8)
    gate.open()
    for call in calls:
        call.result()
    until(lambda: len(looks) >= 1)
    assert threads() == 1
    del owner
    until(lambda: threads() == 0)


def test_it_is_rung_at_work() -> None:
    """It looks once more."""
    owner = Owner(1000.0, None)
    worker = Worker(owner, work)

    def ring() -> None:
        owner.inside = None
        for _ in range(3):
            worker.ring()

    owner.inside = ring
    worker.ring()
    until(lambda: threads() == 0)
    assert owner.late == [0.0, 0.0]


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_it_survives_what_it_does(
    kind: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is no ``Exception`` ends its thread, as it should, and another one goes on a little later."""
    raised: list[Any] = []
    monkeypatch.setattr(runtime, "_PAUSE", 0.001)
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(args.exc_type))
    owner = Owner(None)
    who: list[threading.Thread] = []

    def leave() -> None:
        who.append(threading.current_thread())
        if len(who) == 1:
            raise kind

    owner.inside = leave
    Worker(owner, work).ring()
    until(lambda: len(who) == 2)
    until(lambda: threads() == 0)
    assert who[0] is not who[1]
    assert raised == [kind]


def test_it_stops_when_its_owner_is_gone() -> None:
    """Asleep for long: no thread is left."""
    owner = Owner(1e300)
    looks = owner.late
    worker = Worker(owner, work)
    worker.ring()
    until(lambda: looks)
    thread = worker._thread
    assert thread is not None
    assert thread.daemon
    del owner
    until(lambda: not thread.is_alive())
    assert worker._thread is None


def test_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and the next ring tries again."""
    owner = Owner()
    worker = Worker(owner, work)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not worker.ring()
    assert worker.ring()
    until(lambda: len(owner.late) == 1)
    until(lambda: threads() == 0)


def test_an_alert_before_it_has_begun() -> None:
    """Nothing: it starts no thread."""
    owner = Owner()
    worker = Worker(owner, work)
    for _ in range(2):
        worker.alert()
    assert worker._thread is None
    worker.ring()
    until(lambda: len(owner.late) == 1)
    until(lambda: threads() == 0)
