"""What there is to do after decisions about a topology, in order, and who does it.

Each transaction leaves its consequences in one outbox: events, changes of the pools, the description that
others may see. Whoever has caused some and finds nobody speaking performs them one after the other, until
there are no more; others who cause some meanwhile, listeners that call back among them, leave theirs to him.
So nobody waits for his turn, everybody hears the same order, and what an event tells is true for others only
after it was told.
"""

from collections import deque
from typing import Any, Final, NamedTuple

from pool._core.records import Wakeable

__all__ = ["ADD", "BREAK", "CLEAR", "PUBLISH", "READY", "REMOVE", "SHOW", "Act", "Outbox"]

# What there is to do.
PUBLISH: Final = "publish"  # an event: its class, then its arguments
SHOW: Final = "show"  # a description
ADD: Final = "add"  # a server: make its pool, begin to monitor it
READY: Final = "ready"  # a server's pool
CLEAR: Final = "clear"  # a server's pool: the service or None, whether to interrupt
REMOVE: Final = "remove"  # a server: close its pool, end its monitor
BREAK: Final = "break"  # break off the check of a server that waits for a change


class Act(NamedTuple):
    """One thing that must be done, outside of the guard."""

    what: str
    about: Any
    values: tuple[Any, ...] = ()


class Outbox:
    """What is to be done, who does it, and who is still at work.

    A *post* is whoever has a connection of his own, beside the pool's: a monitor or a probe.
    """

    def __init__(self) -> None:
        self._outbox: deque[Act] = deque()
        self._speaker: Any = None
        self._hushed: list[Wakeable] = []
        """Who waits for the end of a speech."""
        self._posts: set[Any] = set()
        self._leaving: list[Wakeable] = []
        """Who waits until there are none."""

    def begin_speech(self, teller: Any) -> bool:
        """Whether the caller must perform what there is to do: something is, and nobody does it."""
        if self._speaker is not None or not self._outbox:
            return False
        self._speaker = (teller,)
        return True

    def next_act(self) -> tuple[Act | None, list[Wakeable]]:
        """What to do next; nothing ends the speech, and wakes those who wait for that."""
        if self._outbox:
            return self._outbox.popleft(), []
        self._speaker = None
        hushed, self._hushed = self._hushed, []
        return None, hushed

    def is_silent(self, teller: Any, waiter: Wakeable) -> bool:
        """Whether nobody else speaks; if somebody does, ``waiter`` is woken at the end."""
        if self._speaker is None or self._speaker == (teller,):
            return True
        self._hushed.append(waiter)
        return False

    def manned(self, post: Any) -> None:
        """There is one more post."""
        self._posts.add(post)

    def left(self, post: Any) -> list[Wakeable]:
        """A post has closed its connection and ends; return who waits until there are none."""
        self._posts.discard(post)
        if self._posts:
            return []
        leaving, self._leaving = self._leaving, []
        return leaving

    def is_deserted(self, waiter: Wakeable) -> bool:
        """Whether there are no posts; if there are, ``waiter`` is woken when the last one has ended."""
        if self._posts:
            self._leaving.append(waiter)
        return not self._posts

    def _publish(self, event_type: Any, *args: Any) -> None:
        self._outbox.append(Act(PUBLISH, event_type, args))
