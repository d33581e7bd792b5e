"""What a share leaves behind when it has ended: the time of the last use, and nothing else."""

from core.sharing import SharedDesk

from pool._core.states import IDLE


def test_a_share_that_nobody_touched_does_not_make_the_connection_older() -> None:
    """Others have used it since it was idle."""
    desk = SharedDesk(idle_timeout=60.0, vet_after=10.0)
    (holder,) = desk.use(0.0)
    untouched = desk.want(100.0)
    desk.back(holder, now=200.0)
    desk.apply(desk.core.abandon(untouched, 201.0))
    assert (desk.trunk(1).state, desk.trunk(1).since) == (IDLE, 200.0)
    assert desk.held(desk.take("a", 205.0)) == [1]
