"""``EventRecorder``: a listener that can be waited for."""

from typing import Any

from pool.testing._record import Expectation, Recording, waiting_for
from pool.testing._twin.aio import Signal, clock

__all__ = ["EventRecorder"]


class EventRecorder(Recording):
    """A listener that keeps every event in order, to be compared and waited for.

    It goes into ``event_listeners`` or into ``monitoring.register``. One instance may serve any number of
    pools, of both worlds and in many threads.

    Example::

        recorder = EventRecorder()
        async with ConnectionPool(manager, event_listeners=[recorder]) as pool:
            await exercise(pool)
            await recorder.wait_for(expect(ConnectionClosedEvent, reason="stale"), count=2)
        recorder.check_order(ended=True)
    """

    async def wait_for(
        self, event: Expectation, count: int = 1, timeout: float | None = 10.0
    ) -> Any:
        """Wait until ``count`` such events have come since the last ``clear``, and return the last of them.

        Parameters:
            event: an event class, what ``expect`` made, or an event.
            count: how many, those that came before the call included.
            timeout: seconds, ``None`` for no limit.

        Raises:
            TimeoutError: they did not come. The text has what came instead.
            ValueError: ``count`` is not at least 1.
        """
        expected, late = waiting_for(event, count, timeout)
        deadline = None if timeout is None else clock() + timeout
        bell = Signal()
        with self._bell(bell):
            while True:
                bell.clear()
                found = self.of(expected)
                if len(found) >= count:
                    return found[count - 1]
                left = None if deadline is None else max(deadline - clock(), 0.0)
                if not await bell.wait(left):
                    raise late(self.events, len(found))
