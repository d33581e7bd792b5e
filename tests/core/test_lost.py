"""What vanishes without being given back: a lease, a filler, a closer."""

import gc
from typing import Any

import pytest
from core.books import Caller
from core.desk import Desk

from pool._core.states import CLOSING, GRANTED, WAITING


def lose(desk: Desk, caller: Caller, cyclic: bool = False) -> None:
    """Drop what a caller holds, and all that knows of it."""
    before = desk.alerts
    if cyclic:
        cycle: list[Any] = [caller.entry]
        cycle.append(cycle)
        caller.entry = None
        assert desk.alerts == before
        del cycle
        gc.collect()
    caller.entry = None
    assert desk.alerts == before + 1, "somebody keeps it alive"


@pytest.mark.parametrize("cyclic", [False, True])
def test_a_lost_lease_is_taken_back(cyclic: bool) -> None:
    """By the upkeep: its connection is closed, and its place is the next caller's."""
    desk = Desk(max_size=1, idle_timeout=1.0, leak_threshold=1.0)
    holder = desk.lease("a", 0.0)
    waiting = desk.ask("a", 0.0)
    lose(desk, holder, cyclic)
    effects = desk.chores(5.0).effects
    assert (len(effects.close), effects.lost) == (1, effects.close)
    assert desk.core.stats("a", False).closing == 1
    desk.close(5.0)
    assert waiting.verdict is GRANTED
    stats = desk.core.stats("a", False)
    assert (stats.acquired, stats.released, stats.closed) == (1, 1, 1)


@pytest.mark.parametrize("cyclic", [False, True])
def test_the_next_request_takes_it_back_too(cyclic: bool) -> None:
    """Without the worker."""
    desk = Desk(max_size=1, background_collector=False)
    lose(desk, desk.lease("a", 0.0), cyclic)
    waiting = desk.ask("a", 1.0)
    assert waiting.verdict is WAITING
    desk.close(1.0)
    assert waiting.entry is not None


@pytest.mark.parametrize("reuse", ["lifo", "fifo"])
@pytest.mark.parametrize("short", [True, False])
def test_no_other_lease_keeps_a_lost_one_alive(reuse: str, short: bool) -> None:
    """However the idle ones stood to each other before they were lent."""
    desk = Desk(max_size=3, reuse=reuse, vet_after=1e9 if short else -1.0)
    desk.stock("a", 0.0, 0.0, 0.0)
    callers = []
    for _ in range(3):
        if short:
            callers.append(desk.take("a", 1.0))
        else:
            callers.append(desk.lease("a", 1.0))
    for caller in callers[::-1]:
        lose(desk, caller)


def test_a_lost_permit_goes_on() -> None:
    """Nobody has touched it: the next in the queue has it."""
    desk = Desk(max_size=1)
    connecting = desk.ask("a", 0.0)
    waiting = desk.ask("a", 0.0)
    lose(desk, connecting)
    desk.chores(1.0)
    desk.close(1.0)
    assert waiting.verdict is GRANTED


def test_a_lost_connect_is_closed() -> None:
    """``create`` may have left something."""
    desk = Desk(max_size=1)
    connecting = desk.ask("a", 0.0)
    assert connecting.entry is not None
    connecting.entry.begun = True
    lose(desk, connecting)
    effects = desk.chores(1.0).effects
    assert [entry.state for entry in effects.close] == [CLOSING]
    assert effects.lost == []
    assert desk.core.stats("a", False).connecting == 0


def test_a_lost_filler_is_replaced() -> None:
    """The minimum is still to be kept."""
    desk = Desk(min_size=1, max_connecting=1)
    desk.know("a")
    (claim,) = desk.chores(0.0).fills
    claim.entry = None
    assert desk.alerts == 1
    chores = desk.chores(1.0)
    desk.close(1.0)
    chores = chores if chores.fills else desk.chores(1.0)
    assert len(chores.fills) == 1
    desk.fill(chores, 1.0)
    assert desk.core.stats("a", False).idle == 1


def test_a_lost_closer_is_replaced() -> None:
    """The connection is handed out once more to be closed; its end counts once."""
    desk = Desk(max_size=1)
    desk.discard(desk.lease("a", 0.0), 0.0)
    desk.closing.clear()
    assert desk.alerts == 1
    desk.chores(1.0)
    assert len(desk.close(1.0)) == 1
    stats = desk.core.stats(None, True)
    assert (stats.total, stats.closed) == (0, 1)


def test_what_was_given_back_is_not_lost() -> None:
    """Neither an idle connection nor one that is gone says anything when it goes."""
    desk = Desk(max_size=2, idle_timeout=1.0)
    desk.stock("a", 0.0, 0.0)
    desk.chores(5.0)
    desk.close(5.0)
    desk.callers.clear()
    gc.collect()
    assert desk.alerts == 0
    assert desk.core.endpoints() == []


def test_the_worker_begins_with_the_first_connection() -> None:
    """Even if nothing will ever be due: a lease may be lost."""
    desk = Desk(idle_timeout=None, max_lifetime=None)
    desk.lease("a", 0.0)
    assert desk.rings == 1
