"""Many askers on one connection: what is to be sent, who waits for which reply, and who is at work.

For protocols that answer in order, whichever they are, and for both worlds. Nothing here waits, reads, sends
or parses. Each method is one whole critical section and returns what must now be done; ``aio_pipeline`` and
``sync_pipeline`` say whether a lock is needed around it.

There is no task and no thread that works for all: the askers do it themselves. One of them at a time is the
*writer*, one the *reader*; everybody else is parked. Only he may be writer whose own words are not sent yet,
only he reader whose words are: so nobody works longer than he has to wait anyway. A role is granted, never
competed for: whoever leaves one hands it to a parked asker in the same critical section.

An asker who leaves early takes nothing with him. If none of his words were handed out to be sent, none will
be; otherwise they are sent to the end, and his replies are expected, read and thrown away.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from pool._runtime.sockets import CHUNK, Want

__all__ = ["Pipeline", "Slot", "StrayReplyError"]

# Bytes offered to the channel at once.
_OFFER = 4 * CHUNK

_NOTHING = memoryview(b"")


class Parked(Protocol):
    """Somebody who sleeps until he is woken, once."""

    def wake(self) -> None: ...


W = TypeVar("W", bound=Parked)


class StrayReplyError(ConnectionError):
    """Something came that nobody had asked for: no reply can be trusted any more."""


class Slot(Generic[W]):
    """One asker and the replies that he is owed.

    Parameters:
        data: what is to be sent.
        missing: how many replies it gets.
        since: when that was, on the clock.
    """

    __slots__ = (
        "abandoned",
        "data",
        "done",
        "end",
        "missing",
        "queued",
        "replies",
        "since",
        "waiter",
    )

    def __init__(self, data: bytes, missing: int, since: float) -> None:
        self.data = data
        self.missing = missing
        self.since = since
        self.replies: list[Any] = []
        self.done = False
        """Whether all replies are there, and came before he left."""
        self.abandoned = False
        """Whether nobody waits for them any more."""
        self.queued = False
        """Whether it is to be sent, and nothing of it was handed out yet."""
        self.end: int | None = None
        """Where its words end among all that were ever handed out to be sent; ``None`` before that."""
        self.waiter: W | None = None
        """Where the asker is parked."""


class Pipeline(Generic[W]):
    """One connection with everybody who asks on it.

    Parameters:
        waiter: makes a place to sleep.
    """

    def __init__(self, waiter: Callable[[], W]) -> None:
        self._waiter = waiter
        self._queue: deque[Slot[W]] = deque()
        """Those of whom nothing was handed out to be sent."""
        self._queued = 0
        """How many of them still wait."""
        self._expected: deque[Slot[W]] = deque()
        """Those who are owed replies, in the order in which they come."""
        self._batch = _NOTHING
        """What was handed out and is not sent. What is offered again begins as before: TLS wants that."""
        self._handed = 0
        self._sent = 0
        self._writer: Slot[W] | None = None
        self._reader: Slot[W] | None = None
        self._heard = 0.0
        self._served: Sequence[W] = ()
        """Who has all his replies and was not woken, since one too many came with them."""
        self.lost: BaseException | None = None
        """Why the connection is of no use any more."""

    # --- Askers ---

    def begin(self, slot: Slot[W]) -> tuple[Want | W | None, Sequence[W]]:
        """Take up a new asker; return what ``turn`` does."""
        if self.lost is not None:
            return None, ()
        slot.queued = True
        self._queue.append(slot)
        self._queued += 1
        return self.turn(slot)

    def turn(self, slot: Slot[W]) -> tuple[Want | W | None, Sequence[W]]:
        """Return what an asker is to do next, and whom to wake.

        That is to write, to read, to sleep, or ``None``: it is over, since he is served or the connection is
        lost. A role that he had before has ended.
        """
        self._resign(slot)
        if slot.done or self.lost is not None:
            return None, self._grant()
        if not self._is_sent(slot):
            if self._writer is None:
                self._writer = slot
                return Want.WRITE, self._grant()
        elif self._reader is None:
            self._reader = slot
            return Want.READ, self._grant()
        slot.waiter = waiter = self._waiter()
        return waiter, self._grant()

    def leave(self, slot: Slot[W]) -> Sequence[W]:
        """End an asker's part, whatever became of it; return whom to wake. Once more is fine."""
        slot.waiter = None
        self._resign(slot)
        if not slot.done and not slot.abandoned:
            slot.abandoned = True
            if slot.queued:
                self._forget(slot)
        return self._grant()

    def _forget(self, slot: Slot[W]) -> None:
        """Nothing of him was handed out, and nothing will be."""
        slot.data = b""
        slot.queued = False
        self._queued -= 1
        while self._queue and self._queue[-1].abandoned:
            self._queue.pop()

    def _is_sent(self, slot: Slot[W]) -> bool:
        return slot.end is not None and slot.end <= self._sent

    def _resign(self, slot: Slot[W]) -> None:
        if self._writer is slot:
            self._writer = None
        if self._reader is slot:
            self._reader = None

    def _grant(self) -> Sequence[W]:
        """Give the roles that are free to askers who are parked: to the last, who needs them for longest."""
        if self.lost is not None:
            return ()
        woken: list[W] = []
        if self._writer is None and (self._queue or self._batch):
            self._writer = self._wake(self._last_unsent(), woken)
        if self._reader is None and self._expected:
            self._reader = self._wake(self._last_sent(), woken)
        return woken

    def _wake(self, slot: Slot[W] | None, woken: list[W]) -> Slot[W] | None:
        if slot is not None and slot.waiter is not None:
            woken.append(slot.waiter)
            slot.waiter = None
        return slot

    def _last_unsent(self) -> Slot[W] | None:
        for slot in reversed(self._queue):
            if slot.waiter is not None:
                return slot
        for slot in reversed(self._expected):
            if self._is_sent(slot):
                break
            if slot.waiter is not None:
                return slot
        return None

    def _last_sent(self) -> Slot[W] | None:
        for slot in reversed(self._expected):
            if slot.waiter is not None and self._is_sent(slot):
                return slot
        return None

    # --- The writer ---

    def outgoing(self) -> memoryview | None:
        """Return what to send next, ``None`` if that was all. Now it counts as begun."""
        if not self._batch:
            self._load()
        return self._batch[:_OFFER] if self._batch else None

    def sent(self, count: int) -> memoryview | None:
        """Note that the channel took so many bytes; return what to send next."""
        self._sent += count
        # An empty rest of it would keep all of it in memory.
        self._batch = self._batch[count:] or _NOTHING
        return self.outgoing()

    def held_up(self, slot: Slot[W]) -> tuple[bool, Sequence[W]]:
        """Return whether the writer must wait until the channel takes more, and whom to wake meanwhile.

        Not if what is left is that of others.
        """
        must_wait = not (slot.done or self._is_sent(slot) or self.lost is not None)
        return must_wait, self._grant()

    def _load(self) -> None:
        words: list[bytes] = []
        for slot in self._queue:
            if slot.abandoned:
                continue
            slot.queued = False
            self._handed += len(slot.data)
            slot.end = self._handed
            words.append(slot.data)
            slot.data = b""
            self._expected.append(slot)
        self._queue.clear()
        self._queued = 0
        if words:
            self._batch = memoryview(words[0] if len(words) == 1 else b"".join(words))

    # --- The reader ---

    def complete(self, replies: Iterable[Any], now: float) -> Sequence[W]:
        """Give replies to those who are owed them; return whom to wake.

        Raises:
            StrayReplyError: nobody is owed one.
        """
        self._heard = now
        woken: list[W] = []
        for reply in replies:
            if not self._expected:
                # ``fail`` follows, and wakes them.
                self._served = woken
                raise StrayReplyError("the server said something that nobody had asked for")
            slot = self._expected[0]
            slot.missing -= 1
            if not slot.abandoned:
                slot.replies.append(reply)
            if not slot.missing:
                self._expected.popleft()
                # Who has left goes by what he knew then.
                slot.done = not slot.abandoned
                if slot.waiter is not None:
                    woken.append(slot.waiter)
                    slot.waiter = None
        return woken

    def borrow(self, slot: Slot[W]) -> bool:
        """Let somebody read who asks for nothing, if nobody else does. He ends that by ``leave``."""
        if self._reader is not None or self.lost is not None:
            return False
        self._reader = slot
        return True

    # --- The connection ---

    def fail(self, cause: BaseException) -> Sequence[W]:
        """Note that the connection is lost, if it was not before; return whom to wake: everybody."""
        served, self._served = self._served, ()
        if self.lost is not None:
            return served
        self.lost = cause
        woken = [*served]
        for slot in (*self._expected, *self._queue):
            slot.queued = False
            self._wake(slot, woken)
        self._expected.clear()
        self._queue.clear()
        self._queued = 0
        self._batch = _NOTHING
        return woken

    @property
    def pending(self) -> int:
        """How many have not got all their replies, whether they still wait or not."""
        return self._queued + len(self._expected)

    @property
    def is_awaited(self) -> bool:
        """Whether replies are on their way, or may be."""
        return bool(self._expected)

    def silence(self, now: float) -> float:
        """Return for how many seconds the server has owed a reply and said nothing at all."""
        try:
            first = self._expected[0]
        except IndexError:
            return 0.0
        return max(0.0, now - max(first.since, self._heard))
