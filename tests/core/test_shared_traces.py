"""What a share leaves behind when it has ended: the time of the last use, and nothing else."""

import gc
from math import inf
from typing import Any

import pytest
from core.desk import entry_of
from core.sharing import SharedDesk, share_of

from pool._core.ledger import STALE
from pool._core.states import CHECKING, GONE, IDLE


def test_a_share_that_nobody_touched_does_not_make_the_connection_older() -> None:
    """Others have used it since it was idle."""
    desk = SharedDesk(idle_timeout=60.0, vet_after=10.0)
    (holder,) = desk.use(0.0)
    untouched = desk.want(100.0)
    desk.back(holder, now=200.0)
    desk.apply(desk.core.abandon(untouched, 201.0))
    assert (desk.trunk(1).state, desk.trunk(1).since) == (IDLE, 200.0)
    assert desk.held(desk.take("a", 205.0)) == [1]


def test_nobody_is_remembered_who_opened_it() -> None:
    """He may be a task, with all that it keeps; nor does a check go by his name."""
    desk = SharedDesk(health_check_interval=5.0)
    caller = desk.want(owner="ann")
    caller.stack = ((caller.code, 0),)
    permit = entry_of(caller)
    permit.stack = caller.stack
    desk.proceed(caller, 0.0)
    assert (permit.owner, permit.stack, share_of(caller).owner) == (None, None, "ann")
    desk.back(caller)
    assert len(desk.chores(10.0).checks) == 1
    (checker,) = desk.core.survey("a", False, 11.0).homes[0].holders
    assert (checker.owner, checker.code, checker.doing) == (None, None, CHECKING)


@pytest.mark.parametrize("broken", [False, True])
def test_what_a_garbage_collection_finds_is_counted_until_it_is_closed(broken: bool) -> None:
    """A connection that only lost shares have is not lost with them."""
    desk = SharedDesk(vet_after=inf if broken else -1.0)
    desk.open(1)
    if broken:
        lost, other = desk.use(0.0, 2)
        desk.ruin(other)
    else:
        lost = desk.want()
    assert (share_of(lost).alone, desk.place.loads.least()) == (not broken, None)
    cycle: list[Any] = [lost.entry]
    cycle.append(cycle)
    lost.entry = None
    del cycle
    gc.collect()
    assert desk.alerts == 1
    assert desk.core.stats("a", False).in_use == 1
    desk.apply(desk.core.reclaim(1.0))
    assert len(desk.closing) == desk.core.stats("a", False).closing == 1
    desk.close(2.0)
    assert desk.place.entries == {}


def test_what_is_gone_is_not_retracted() -> None:
    """It was closed since it was opened: there is nothing left to end."""
    desk = SharedDesk(2)
    opened = desk.open(2)
    desk.clear("a")
    assert desk.core.retract(opened).close == []
    desk.close(1.0)
    effects = desk.core.retract(opened)
    assert not effects
    assert [(trunk.state, trunk.doomed, trunk.marked) for trunk in opened] == [
        (GONE, STALE, False)
    ] * 2
    assert desk.place.marked == 0
