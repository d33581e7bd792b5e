"""What there is to do, who does it, and who is still at work."""

from core.books import Waiter

from pool._core.outbox import PUBLISH, SHOW, Act, Outbox


def acts(*names: str) -> list[Act]:
    return [Act(SHOW, name) for name in names]


def filled(*names: str) -> Outbox:
    outbox = Outbox()
    outbox._outbox.extend(acts(*names))
    return outbox


# -- speeches -----------------------------------------------------------------------------------------


def test_nobody_speaks_if_there_is_nothing_to_do() -> None:
    """Then nobody has to end it either."""
    outbox = Outbox()
    assert outbox.begin_speech("me") is False
    assert outbox.is_silent("other", Waiter()) is True


def test_who_begins_does_all_there_is_in_order() -> None:
    """And what comes meanwhile, whoever it comes from; then he is done."""
    outbox = filled("a", "b")
    assert outbox.begin_speech("me") is True
    assert outbox.next_act() == (Act(SHOW, "a"), [])
    outbox._outbox.append(Act(SHOW, "c"))
    assert outbox.next_act() == (Act(SHOW, "b"), [])
    assert outbox.next_act() == (Act(SHOW, "c"), [])
    assert outbox.next_act() == (None, [])
    assert outbox.begin_speech("me") is False


def test_one_speaks_at_a_time() -> None:
    """Others leave theirs to him, he himself too if a listener calls back."""
    outbox = filled("a", "b")
    assert outbox.begin_speech("me") is True
    outbox.next_act()
    assert outbox.begin_speech("other") is False
    assert outbox.begin_speech("me") is False
    outbox.next_act()
    assert outbox.begin_speech("other") is False
    outbox.next_act()
    outbox._outbox.extend(acts("c"))
    assert outbox.begin_speech("other") is True


def test_whoever_has_no_identity_speaks_too() -> None:
    """``None`` names a speaker like any other."""
    outbox = filled("a")
    assert outbox.begin_speech(None) is True
    assert outbox.begin_speech("other") is False
    assert outbox.is_silent("other", Waiter()) is False
    assert outbox.is_silent(None, Waiter()) is True


def test_those_who_wait_for_silence_are_woken_at_the_end() -> None:
    """Once, in order; not by the acts before. The speaker does not wait for himself."""
    outbox = filled("a")
    one, other, mine = Waiter(), Waiter(), Waiter()
    assert outbox.is_silent("other", one) is True
    outbox.begin_speech("me")
    assert outbox.is_silent("other", one) is False
    assert outbox.is_silent("me", mine) is True
    assert outbox.is_silent("third", other) is False
    assert outbox.next_act() == (Act(SHOW, "a"), [])
    assert outbox.next_act() == (None, [one, other])
    assert outbox.is_silent("other", one) is True
    outbox._outbox.extend(acts("b"))
    outbox.begin_speech("me")
    outbox.next_act()
    assert outbox.next_act() == (None, [])


def test_an_event_is_its_class_and_its_arguments() -> None:
    """It is made by the one who publishes it."""
    outbox = Outbox()
    outbox._publish(Waiter, 1, "a")
    outbox._publish(Waiter)
    outbox.begin_speech("me")
    assert outbox.next_act() == ((PUBLISH, Waiter, (1, "a")), [])
    assert outbox.next_act() == ((PUBLISH, Waiter, ()), [])


# -- posts --------------------------------------------------------------------------------------------


def test_without_posts_nobody_waits() -> None:
    """Nor is woken afterwards."""
    outbox = Outbox()
    waiter = Waiter()
    assert outbox.is_deserted(waiter) is True
    outbox.manned("a")
    assert outbox.left("a") == []


def test_who_waits_until_there_are_none_is_woken_by_the_last() -> None:
    """All of them, once."""
    outbox = Outbox()
    one, other = Waiter(), Waiter()
    outbox.manned("a")
    outbox.manned("b")
    assert outbox.is_deserted(one) is False
    assert outbox.left("a") == []
    assert outbox.is_deserted(other) is False
    assert outbox.left("b") == [one, other]
    assert outbox.is_deserted(one) is True
    outbox.manned("a")
    assert outbox.left("a") == []


def test_a_post_leaves_once() -> None:
    """That it says so again, or was never there, takes nobody else away."""
    outbox = Outbox()
    waiter = Waiter()
    outbox.manned("a")
    outbox.manned("a")
    outbox.manned("b")
    assert outbox.is_deserted(waiter) is False
    assert outbox.left("b") == []
    assert outbox.left("b") == []
    assert outbox.left("a") == [waiter]
    assert outbox.left("a") == []
