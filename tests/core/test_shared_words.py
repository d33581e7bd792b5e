"""What is said of the room in a shared pool, and who gets it when there is more."""

import pytest
from core.desk import entry_of
from core.sharing import SharedDesk, share_of

from pool._core.ledger import IDLENESS
from pool._core.records import Effects
from pool._core.states import CLOSING, CONNECTING, WAITING


@pytest.mark.parametrize("limit", [3, None])
def test_the_room_is_told(limit: int | None) -> None:
    """The size, how many may share a connection, and how many do."""
    desk = SharedDesk(2, limit)
    desk.use(0.0, 2)
    survey = desk.core.survey("a", False, 1.0)
    assert survey.sharing == f"size=2, max_pending={limit}, 2 pending"
    assert len(survey.homes) == 1
    assert len(desk.core.survey(None, True, 1.0).homes) == 1


def test_who_waits_for_room_gets_it() -> None:
    """As soon as there is more, and before whoever has made it."""
    desk = SharedDesk(1, 1)
    desk.use(0.0)
    waiting = desk.want(1.0)
    assert waiting.verdict is WAITING
    desk.apply(desk.core.enlarge("a", 1, 5.0))
    assert entry_of(waiting).state is CONNECTING
    assert desk.place.wait_time == 4.0


def test_what_is_taken_over_has_room_for_itself() -> None:
    """And not for more."""
    desk = SharedDesk(1)
    desk.open(1)
    effects = Effects()
    claim = desk.core.adopt("a", "brought", effects, 0.0)
    assert claim is not None
    desk.apply(desk.core.filled(claim, None, 0.0))
    assert (desk.members.size, desk.members.connected) == (2, ["connection 1", "brought"])


def test_a_broken_one_and_what_is_opened_for_it_take_one_place() -> None:
    """What comes on top of them takes its own."""
    desk = SharedDesk(3)
    desk.ruin(*desk.use(0.0))
    desk.close(0.0)
    assert (desk.place.places(), list(desk.place.gone)) == (1, [1])
    desk.admit(1)
    assert desk.place.places() == 1
    desk.admit(1, extra=True)
    assert desk.place.places() == 2


def test_what_was_retired_while_it_was_prepared_is_closed_and_others_are_served() -> None:
    """Its caller asks again, before those who wait."""
    desk = SharedDesk(2, 1)
    desk.use(0.0)
    caller = desk.want(0.0)
    desk.open_up(caller)
    trunk = share_of(caller).trunk
    waiting = desk.want(1.0)
    assert waiting.verdict is WAITING
    desk.core._doom(trunk, IDLENESS)
    desk.apply(desk.core.confirm(caller, 2.0, True))
    assert (trunk.state, trunk.doomed, caller.verdict) == (CLOSING, IDLENESS, WAITING)
    desk.close(3.0)
    assert entry_of(caller).state is CONNECTING
    assert waiting.verdict is WAITING
