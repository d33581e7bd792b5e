"""The decisions about one caller, step by step: what he gets, and what is written down."""

import pytest
from core.books import CODE, Waiter
from core.desk import Desk, entry_of

from pool import LeaseReleasedError
from pool._core.ledger import ERROR, STALE
from pool._core.states import (
    CLOSED,
    CLOSING,
    CONNECTING,
    GONE,
    GRANTED,
    IDLE,
    IN_USE,
    TIMEOUT,
    UNKNOWN,
    VETTING,
    WAITING,
)
from pool._core.upkeep import disown

# -- the short way ------------------------------------------------------------------------------------


def test_the_short_way_writes_down_who_has_it() -> None:
    """Where he took it too; what was below it is on top, and nothing leads there from it."""
    desk = Desk()
    below, top = desk.stock("a", 1.0, 1.0)
    caller = desk.new("a")
    caller.code, caller.instruction = CODE, 7
    assert desk.core.take(caller, 2.0, "me") is top
    assert (top.state, top.since, top.uses, top.owner) == (IN_USE, 2.0, 2, "me")
    written = (top.code, top.instruction, top.next)
    assert written == (CODE, 7, None)
    assert (caller.entry, desk.home("a").top) == (top, below)


def test_the_short_way_ends_when_a_check_is_due() -> None:
    """After more idle time than was said, and not before."""
    desk = Desk(vet_after=10.0)
    desk.stock("a", 100.0)
    assert desk.core.take(desk.new("a"), 110.5, "me") is None
    assert desk.core.take(desk.new("a"), 110.0, "me") is not None


def test_the_short_way_ends_with_a_lifetime() -> None:
    """At its very end, also if that was noted as the time until when a look is enough."""
    desk = Desk(max_lifetime=10.0, idle_timeout=None)
    (entry,) = desk.stock("a", 0.0)
    first = desk.take("a", 9.0)
    assert desk.core.check_in(first, 9.5) is None
    assert entry.until == entry.expires == 10.0
    assert desk.core.take(desk.new("a"), 10.0, "me") is None


def test_only_a_failed_connect_is_remembered_as_one() -> None:
    """Neither a hook that failed, nor a connect to an endpoint that was removed meanwhile."""
    desk = Desk(vet_after=-1.0)
    desk.stock("a", 0.0)
    vetting = desk.ask("a", 1.0)
    assert entry_of(vetting).state is VETTING
    assert desk.core.failed(vetting, OSError("a hook"), 1.0) == 0
    connecting = desk.ask("b", 1.0)
    home = desk.home("b")
    desk.apply(desk.core.shut("b", False))
    assert entry_of(connecting).state is CONNECTING
    assert desk.core.failed(connecting, OSError("a connect"), 2.0) == 0
    for failed in (desk.home("a"), home):
        assert (failed.last_error, failed.errors) == (None, 1)
    assert desk.core.survey(None, True, 2.0).last_error is None


def test_the_end_of_a_lease_by_the_short_way_is_written_down() -> None:
    """How long each was, which connection it was, and that it is over."""
    desk = Desk()
    desk.stock("a", 0.0)
    for number in (1, 2):
        caller = desk.take("a", 10.0 * number)
        entry = entry_of(caller)
        assert desk.core.check_in(caller, 10.0 * number + 4.0) is None
        assert (caller.entry, caller.ended) == (None, entry.id)
        assert (entry.state, entry.owner, entry.since) == (IDLE, None, 10.0 * number + 4.0)
        assert desk.core.stats("a", False).use_time == 4.0 * number
        assert desk.core.check_in(caller, 99.0) is None
        assert desk.core.end(caller, 99.0) is None
    assert desk.core.stats("a", False).released == 3


# -- the answers --------------------------------------------------------------------------------------


def test_a_caller_is_told_why_he_gets_nothing() -> None:
    """The endpoint must be made known, is being made known, or the pool is closed."""
    desk = Desk()
    for patient in (True, False):
        caller = desk.new("a")
        desk.core.request(caller, 0.0, patient)
        assert caller.verdict is UNKNOWN
    assert desk.core.introduce("a", True, 0) is True
    for patient, verdict in ((True, UNKNOWN), (False, TIMEOUT)):
        caller = desk.new("a")
        desk.core.request(caller, 0.0, patient)
        assert caller.verdict is verdict
    desk.core.shut(None, True)
    caller = desk.new("a")
    desk.core.request(caller, 0.0, True)
    assert caller.verdict is CLOSED


def test_what_is_shut() -> None:
    """An endpoint that is not known, or was removed while it is in use; all of a closed pool."""
    desk = Desk()
    desk.lease("a", 0.0)
    desk.know("b")
    assert [desk.core.is_shut(name) for name in "abc"] == [False, False, True]
    desk.apply(desk.core.shut("a", False))
    assert [desk.core.is_shut(name) for name in "abc"] == [True, False, True]
    desk.apply(desk.core.shut(None, True))
    assert [desk.core.is_shut(name) for name in "abc"] == [True, True, True]


# -- overtaken ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("patient", [True, False])
def test_a_clear_that_overtakes_a_check_makes_him_ask_again(patient: bool) -> None:
    """What he was to have is closed, and he has the next permit, unless his time is up."""
    desk = Desk(vet_after=-1.0, max_size=2)
    (old,) = desk.stock("a", 0.0)
    caller = desk.ask("a", 1.0)
    desk.clear("a")
    effects = desk.core.confirm(caller, 2.0, patient)
    assert effects is not None
    assert (effects.close, old.state, old.doomed) == ([old], CLOSING, STALE)
    assert old.uses == 1
    if patient:
        permit = entry_of(caller)
        assert (caller.verdict, permit.state, permit.since) == (GRANTED, CONNECTING, 2.0)
    else:
        assert (caller.verdict, caller.entry) == (TIMEOUT, None)


@pytest.mark.parametrize("patient", [True, False])
@pytest.mark.parametrize("begun", [True, False])
def test_a_clear_that_overtakes_a_connect_makes_him_ask_again(begun: bool, patient: bool) -> None:
    """His permit ends: at once if nothing was published, else when its end was; the next follows."""
    desk = Desk(max_size=3, max_connecting=2)
    caller, _, waiting = [desk.ask("a", 1.0) for _ in range(3)]
    old = entry_of(caller)
    old.begun = begun
    desk.clear("a")
    desk.apply(desk.core.retreat(caller, 2.0, patient))
    assert desk.closing == ([old] if begun else [])
    assert old.state == (CLOSING if begun else GONE)
    assert desk.core.stats("a", False).connecting + desk.core.stats("a", False).closing == 2
    if not patient:
        assert (caller.verdict, caller.entry) == (TIMEOUT, None)
        assert waiting.verdict is (WAITING if begun else GRANTED)
    elif begun:
        assert (caller.verdict, caller.entry) == (WAITING, None)
        assert list(desk.home("a").queue) == [caller, waiting]
    else:
        # A queue is behind him: his turn had come, and he goes first.
        assert (caller.verdict, waiting.verdict) == (GRANTED, WAITING)
        assert entry_of(caller).since == 2.0
    assert desk.home("a").connecting == 2


def test_who_retreats_from_a_removed_endpoint_leaves_nothing() -> None:
    """It is forgotten when the last permit ends."""
    desk = Desk()
    caller = desk.ask("a", 0.0)
    desk.apply(desk.core.shut("a", False))
    assert desk.core.endpoints() == ["a"]
    desk.apply(desk.core.retreat(caller, 1.0, True))
    assert (caller.verdict, caller.entry, desk.core.endpoints()) == (CLOSED, None, [])


@pytest.mark.parametrize("patient", [True, False])
def test_a_clear_that_overtakes_a_connect_that_succeeds(patient: bool) -> None:
    """It has become ready, and is closed."""
    desk = Desk(max_size=2)
    caller = desk.ask("a", 1.0)
    old = entry_of(caller)
    old.begun = True
    desk.clear("a")
    desk.apply(desk.core.opened(caller, None, 2.0, patient))
    assert (desk.closing, old.doomed) == ([old], STALE)
    assert caller.verdict is (GRANTED if patient else TIMEOUT)
    assert desk.core.stats("a", False).created == 1
    if patient:
        assert entry_of(caller).since == 2.0


def test_which_service_a_connection_reached_is_known() -> None:
    """From the moment it is open."""
    desk = Desk()
    caller = desk.ask("a", 0.0)
    desk.apply(desk.core.opened(caller, "service", 1.0, True))
    entry = entry_of(caller)
    assert (entry.service, entry.uses, entry.state) == ("service", 1, VETTING)


# -- errors -------------------------------------------------------------------------------------------


def test_errors_are_counted() -> None:
    """Failed connects, checks and hooks, one by one; a connection that is only given up is none."""
    desk = Desk(vet_after=-1.0, max_size=9)
    desk.know("a")
    errors = []
    for _ in range(2):
        failing = desk.ask("a", 0.0)
        error = OSError()
        assert desk.core.failed(failing, error, 3.0) == 1
        assert desk.home("a").last_error == (error, 3.0)
        assert desk.core._last_error == ("a", error, 3.0)
        desk.apply(desk.core.abandon(failing, 3.0))
        errors.append(desk.core.stats("a", False).errors)
        holder = desk.lease("a", 4.0)
        entry = desk.core.end(holder, 4.0)
        assert entry is not None
        desk.apply(desk.core.doom(entry, failed=True))
        assert entry.doomed is ERROR
        errors.append(desk.core.stats("a", False).errors)
        desk.give_back(desk.lease("a", 5.0), 5.0)
        dying = desk.ask("a", 6.0)
        entry_of(dying).begun = True
        desk.apply(desk.core.dead(dying, 6.0, True))
        desk.apply(desk.core.abandon(dying, 6.0))
        errors.append(desk.core.stats("a", False).errors)
        desk.discard(desk.lease("a", 7.0), 7.0)
        desk.close(7.0)
    assert errors == [1, 2, 3, 4, 5, 6]
    assert desk.core.stats("a", False).closed == 6


def test_timeouts_are_counted() -> None:
    """Where the caller asked, if that is known; who merely gave up had none."""
    desk = Desk(max_size=1)
    desk.lease("a", 0.0)
    for timed_out, count in ((False, 0), (True, 1), (True, 2)):
        desk.apply(desk.core.abandon(desk.ask("a", 1.0), 2.0, timed_out))
        assert desk.core.stats("a", False).timeouts == count
    desk.apply(desk.core.abandon(desk.ask("a", 1.0), 2.0))
    desk.core.abandon(desk.new("unknown"), 2.0, True)
    assert desk.core.stats("a", False).timeouts == 2
    assert desk.core.stats(None, True).timeouts == 3


def test_what_is_the_parent_process_s_is_told() -> None:
    """A child that goes on with a checkout of its parent learns which one."""
    desk = Desk()
    caller = desk.ask("a", 0.0)
    disown(desk.core)
    with pytest.raises(
        LeaseReleasedError, match=r"^the lease of connection #1 to 'a' is the parent"
    ):
        desk.core.opened(caller, None, 1.0, True)


# -- questions ----------------------------------------------------------------------------------------


def test_a_survey_has_the_last_error_of_what_it_is_about() -> None:
    """Of one endpoint its own, of all the last one; the crowd only where there is no room in the pool."""
    desk = Desk(max_size=1, total_max_size=2)
    desk.know("a")
    failing = desk.ask("a", 0.0)
    error = OSError()
    desk.core.failed(failing, error, 1.0)
    desk.apply(desk.core.abandon(failing, 1.0))
    desk.lease("b", 2.0, owner="one")
    assert desk.core.survey("a", False, 5.0).last_error == ("a", error, 4.0)
    assert desk.core.survey("b", False, 5.0).last_error is None
    assert desk.core.survey(None, True, 5.0).last_error == ("a", error, 4.0)
    assert desk.core.survey("b", False, 5.0).crowd is None
    desk.lease("c", 3.0)
    assert desk.core.survey("b", False, 5.0).crowd is not None
    assert desk.core.survey(None, True, 5.0).crowd is None
    assert [home.endpoint for home in desk.core.survey("b", False, 5.0).homes] == ["b"]


# -- without room, and without a worker ---------------------------------------------------------------


@pytest.mark.parametrize("opened", [True, False])
def test_who_is_overtaken_where_there_is_no_room_goes_first(opened: bool) -> None:
    """He waits for the place of what he lost, before those who came later."""
    desk = Desk(vet_after=-1.0, max_size=1)
    if not opened:
        desk.stock("a", 0.0)
    caller, later = desk.ask("a", 1.0), desk.ask("a", 1.0)
    entry_of(caller).begun = True
    desk.clear("a")
    step = desk.core.opened(caller, None, 2.0, True) if opened else None
    desk.apply(step or desk.core.confirm(caller, 2.0, True))
    assert (caller.verdict, list(desk.home("a").queue)) == (WAITING, [caller, later])
    desk.close(3.0)
    assert (caller.verdict, later.verdict) == (GRANTED, WAITING)


def test_a_retreat_frees_one_permit() -> None:
    """And no more."""
    desk = Desk(max_size=9, max_connecting=3)
    callers = [desk.ask("a", 0.0) for _ in range(3)]
    desk.apply(desk.core.retreat(callers[0], 1.0, False))
    assert desk.home("a").connecting == 2


def test_a_retreat_that_empties_a_closed_pool_is_told() -> None:
    """To those who wait for its end."""
    desk = Desk()
    caller = desk.ask("a", 0.0)
    desk.apply(desk.core.shut(None, True))
    waiter = Waiter()
    assert desk.core.drained(waiter) is False
    desk.apply(desk.core.retreat(caller, 1.0, True))
    assert waiter.woken == 1


@pytest.mark.parametrize("put", [True, False])
def test_without_a_worker_a_release_retires_what_is_due(put: bool) -> None:
    """Whichever way the connection comes back."""
    desk = Desk(background_collector=False, idle_timeout=5.0)
    holder = desk.lease("a", 0.0)
    idle = desk.stock("a", 1.0, 1.0)
    if put:
        entry = desk.core.end(holder, 10.0)
        assert entry is not None
        desk.apply(desk.core.put(entry, 10.0))
    else:
        desk.give_back(holder, 10.0)
    assert sorted(desk.closing, key=id) == sorted(idle, key=id)
