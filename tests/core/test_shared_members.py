"""What a pool of shared connections says of itself: its members, and which of them is the least loaded."""

from core.sharing import SharedDesk, share_of

from pool._core.records import NOTHING
from pool._core.states import CHECKING
from pool._core.upkeep import inherit


def test_members_are_listed_the_oldest_first() -> None:
    """The broken among them, whether callers have them or not."""
    desk = SharedDesk(4)
    callers = [desk.want() for _ in range(4)]
    for caller in callers:
        desk.proceed(caller, 0.0)
    desk.take("a", 0.0)
    shared = share_of(desk.callers[-1]).trunk.id
    single = [caller for caller in callers if share_of(caller).trunk.id != shared]
    desk.ruin(desk.callers[-1], single[2])
    desk.close(0.0)
    names = [f"connection {number}" for number in range(1, 5)]
    members = desk.members
    assert members.all == names
    assert members.pending == 3
    broken = sorted([shared, share_of(single[2]).trunk.id if single[2].entry else single[2].ended])
    assert members.broken == [f"connection {number}" for number in broken]
    assert members.connected == [name for name in names if name not in members.broken]


def test_the_least_loaded_is_named() -> None:
    """As a caller would get it, or the best of those that are being checked."""
    desk = SharedDesk(3, health_check_interval=5.0)
    assert desk.core.least("a") is NOTHING
    assert desk.core.least("b") is NOTHING
    desk.open(2)
    (caller,) = desk.use(0.0)
    assert desk.core.least("a") != share_of(caller).connection
    desk.back(caller)
    chores = desk.chores(9.0)
    assert {trunk.state for trunk in chores.checks} == {CHECKING}
    assert len(chores.checks) == 2
    assert desk.core.least("a") in ("connection 1", "connection 2")
    desk.core.retract(chores.checks[:1])
    assert desk.core.least("a") == chores.checks[1].connection
    desk.core.retract(chores.checks[1:])
    assert desk.core.least("a") is NOTHING


def test_of_those_that_are_vetted_the_least_loaded_is_named() -> None:
    """While nobody else gets them."""
    desk = SharedDesk(2, vet_after=-1.0)
    desk.open(2)
    vetting, other = desk.want(), desk.want()
    assert desk.place.loads.least() is None
    assert desk.core.least("a") == "connection 1"
    assert share_of(vetting).alone
    assert share_of(other).alone
    share_of(vetting).trunk.pending = 5
    desk.apply(desk.core.confirm(other, 0.0, True))
    assert desk.core.least("a") == share_of(other).connection


def test_a_child_process_has_the_size_of_now() -> None:
    """And not the one that its parent's pool was made with."""
    parent, child = SharedDesk(2), SharedDesk(2)
    parent.core.enlarge("a", 5, 0.0)
    inherit(child.core, parent.core)
    assert child.members.size == 5
    assert child.core.missing("a", False) == 5
