"""When a server is checked next, and what its average round-trip time is."""

from math import inf

import pytest

from pool._core.pulse import Pulse, Watched, averaged, due, hurried

PULSE = Pulse(interval=10.0, rest=0.5, timeout=99.0)


def checked(wait: float = 10.0, requested: bool = False, retry: bool = False) -> Watched:
    """A server whose last check ended at 100."""
    server = Watched("a")
    server.ended = 100.0
    server.wait = wait
    server.requested = requested
    server.retry = retry
    return server


def test_a_server_is_checked_at_once_at_first() -> None:
    """Whatever the time is."""
    assert due(Watched("a"), PULSE, False) == -inf
    assert due(Watched("a"), PULSE, True) == -inf


#: How long it would wait, requested, wanted, to be tried again; and when it is due.
TABLE = [
    (10.0, False, False, False, 110.0),
    (10.0, True, False, False, 100.5),
    (10.0, False, True, False, 100.5),
    (10.0, True, True, False, 100.5),
    (0.0, False, False, False, 100.0),
    (0.0, True, True, False, 100.0),
    (0.25, True, False, False, 100.25),
    (0.75, True, False, False, 100.5),
    (10.0, False, False, True, 100.0),
    (10.0, True, True, True, 100.0),
]


@pytest.mark.parametrize(("wait", "requested", "wanted", "retry", "when"), TABLE)
def test_when_a_server_is_due(
    wait: float, requested: bool, wanted: bool, retry: bool, when: float
) -> None:
    """Counted from the end; sooner if it is wanted, but after a rest; at once to try again."""
    assert due(checked(wait, requested, retry), PULSE, wanted) == when


def test_the_first_sample_is_the_average() -> None:
    """There is nothing to weigh it against."""
    assert averaged(None, 3.0) == 3.0
    assert averaged(None, 0.0) == 0.0


def test_a_sample_counts_a_fifth() -> None:
    """As the specification demands."""
    assert averaged(10.0, 20.0) == pytest.approx(12.0)
    assert averaged(20.0, 10.0) == pytest.approx(18.0)
    assert averaged(0.0, 1.0) == pytest.approx(0.2)
    assert averaged(averaged(averaged(None, 1.0), 2.0), 3.0) == pytest.approx(1.56)


def test_the_average_of_equals_is_the_same() -> None:
    """However many there are."""
    average = None
    for _ in range(10):
        average = averaged(average, 0.125)
    assert average == pytest.approx(0.125)


def test_a_server_at_first() -> None:
    """Never checked, not ready, with nothing to do."""
    server = Watched("a")
    assert (server.address, server.average, server.checking) == ("a", None, None)
    assert (server.ended, server.wait, server.generation, server.operations) == (-inf, 0.0, 0, 0)
    flags = (server.awaited, server.broken, server.requested, server.retry)
    assert flags == (False,) * 4
    assert (server.ready, server.gone) == (False, False)
    assert server.monitor is None
    assert repr(server) == "<Watched 'a' operations=0 gone=False>"


def test_the_times_of_heartbeats_have_names() -> None:
    """In the order in which a topology gives them."""
    assert tuple(PULSE) == (10.0, 0.5, 99.0, False)


#: How long it would wait, whether it is to be tried again; and when it is due if it was hasty too often.
HASTY = [
    (0.0, False, 100.5),
    (0.25, False, 100.5),
    (0.5, False, 100.5),
    (0.75, False, 100.75),
    (10.0, False, 110.0),
    (10.0, True, 100.5),
]


@pytest.mark.parametrize(("wait", "retry", "when"), HASTY)
@pytest.mark.parametrize("haste", [0, -1])
def test_whoever_was_hasty_too_often_rests(
    wait: float, retry: bool, when: float, haste: int
) -> None:
    """Even if the check is to be repeated at once; nobody waits longer than without that."""
    server = checked(wait, retry=retry)
    server.haste = haste
    assert due(server, PULSE, False) == when


def test_a_little_haste_is_left() -> None:
    """The last check that may begin before a rest is over does."""
    server = checked(0.0)
    server.haste = 1
    assert due(server, PULSE, False) == 100.0


@pytest.mark.parametrize(("now", "left"), [(100.0, 2), (100.4375, 2), (100.5, 5), (101.0, 5)])
def test_a_rest_makes_good_for_haste(now: float, left: int) -> None:
    """Five checks may follow each other without one."""
    server = checked()
    assert Watched("b").haste == 5
    server.haste = 3
    hurried(server, PULSE, now)
    assert server.haste == left
