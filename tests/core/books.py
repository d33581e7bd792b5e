"""All callers of one core: where each one is, and what every call of theirs leads to."""

from collections.abc import Callable
from random import Random
from typing import Any
from weakref import WeakSet

from core.knots import held_up_by, is_stuck
from core.watched import WatchedCore
from hypothesis.stateful import RuleBasedStateMachine

from pool import PoolOptions
from pool._core.home import Home
from pool._core.records import Claim, Effects, Entry, Filler
from pool._core.states import (
    CLEARED,
    CLOSED,
    CLOSING,
    CONNECTING,
    GRANTED,
    HELD,
    OVERLOADED,
    PAUSED,
    READY,
    TIMEOUT,
    UNKNOWN,
    VETTING,
    WAITING,
)

__all__ = [
    "ENDPOINTS",
    "SELDOM",
    "SOMEWHERE",
    "USUALLY",
    "Books",
    "Caller",
    "Step",
    "Waiter",
    "pick",
]

ENDPOINTS = ("a", "b", "c")
CODE = (lambda: None).__code__

#: Most of it happens at one of them: it takes a crowd to make trouble.
SOMEWHERE = "aaabbc"
USUALLY = [True, True, True, False]
SELDOM = [True, False, False, False, False, False]

#: An operation: its share, what it does, and whether it can be done now.
Step = tuple[int, Callable[[Random], None], bool]


class Waiter:
    """Counts how often it was woken."""

    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1

    def wait(self, seconds: float | None) -> bool:
        """Never called: here nobody waits."""
        raise NotImplementedError


class Caller(Claim):
    """One claim and where its caller is in his code. Few people are behind all of them."""

    __slots__ = ("number", "waiting")

    waiter: Waiter

    def __init__(self, number: int, endpoint: str) -> None:
        self.number = number
        self.endpoint = endpoint
        self.entry = None
        self.ended = 0
        self.code = CODE
        self.instruction = 0
        self.owner = f"person {number % 3}"
        self.stack = None
        self.verdict = ""
        self.waiting = False

    def __repr__(self) -> str:
        return f"<Caller {self.number} at {self.endpoint} waiting={self.waiting} {self.entry}>"


def pick(dice: Random, some: list[Any]) -> Any:
    """Choose one. By its place: what is drawn itself would be kept alive."""
    return some[dice.randrange(len(some))]


class Books(RuleBasedStateMachine):
    """Who is where; what must be true then, and the operations, are added by subclasses."""

    core: WatchedCore
    options: PoolOptions

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.lag = 0.0
        """By how much a newcomer's time is old: he reads it before he has his turn with the core."""
        self.numbers = 0
        self.leases = 0
        """How many there were."""
        self.callers: list[Caller] = []
        self.queues: dict[str, list[Caller]] = {endpoint: [] for endpoint in ENDPOINTS}
        self.releasing: list[Entry] = []
        self.closing: list[Entry] = []
        self.fillers: list[Filler] = []
        self.checking: list[Entry] = []
        self.leaking: list[Entry] = []
        """Of whose leases somebody will tell, since they are held too long."""
        self.being_told: list[Entry] = []
        """Of whose leases somebody tells just now."""
        self.left: list[Entry] = []
        """Of these, the ones that were left to him who tells."""
        self.gone: list[Entry] = []
        """Entries that are no more, but that a frame still refers to."""
        self.stale: WeakSet[Entry] = WeakSet()
        self.suspects: WeakSet[Entry] = WeakSet()
        self.vanished: set[tuple[str, int]] = set()
        """Endpoint and id of what was garbage-collected once."""
        # Per teller, the turns he has, the innermost last: where, whether he tells anybody, what ends it.
        self.turns: dict[int, list[tuple[str, bool, Callable[[], Effects]]]] = {}
        self.audience: dict[str, list[Any]] = {endpoint: [] for endpoint in ENDPOINTS}
        self.fresh: set[str] = set()
        """Endpoints made known by somebody who has not requested anything yet."""
        self.told: dict[str, str] = {}
        self.closers: list[Waiter] = []
        self.warmers: list[tuple[str, Waiter]] = []
        self.nobody = Waiter()
        self.awake = False
        """Whether the worker has begun."""
        self.rung = False
        """Whether it is about to look."""
        self.wakes = float("inf")
        """When it looks by itself."""

    # -- what every call leads to --------------------------------------------------------------------

    def time(self) -> float:
        """The time for whoever holds something: he has read it since he got that."""
        self.core.time = self.now
        return self.now

    def early(self) -> float:
        """The time for a newcomer."""
        self.core.time = self.now - self.lag
        return self.core.time

    def apply(self, effects: Effects | None) -> None:
        """Do what the shell would do, later."""
        if effects is None:
            return
        for entry in effects.close:
            assert entry.state is CLOSING
            assert entry.doomed, "closed without a reason"
            assert entry not in self.closing, "closed twice"
            self.closing.append(entry)
        assert all(entry in effects.close for entry in effects.lost)
        for waiter in effects.wake:
            waiter.wake()
        for entry in effects.interrupt:
            assert entry.state in HELD | {CONNECTING}
        for endpoint in effects.shut:
            assert endpoint in ENDPOINTS
        if effects.ring:
            assert self.options.background_collector
            self.awake = self.rung = True

    def alert(self, entry: Entry) -> None:
        """An entry was garbage-collected."""
        self.rung = self.rung or self.awake

    def some(self, *states: str) -> list[Caller]:
        """The callers who hold an entry in one of these states, and know of it."""
        return [
            caller
            for caller in self.callers
            if caller.entry is not None and caller.entry.state in states and not caller.waiting
        ]

    def woken(self) -> list[Caller]:
        return [caller for caller in self.callers if caller.waiting and caller.waiter.woken]

    def leave(self, caller: Caller, timed_out: bool = False) -> None:
        """The one path that gives back."""
        self.apply(self.core.abandon(caller, self.time(), timed_out))
        self.callers.remove(caller)
        if caller in self.queues[caller.endpoint]:
            self.queues[caller.endpoint].remove(caller)
        assert caller.entry is None

    def asked(
        self, caller: Caller, effects: Effects | None, first: bool = False, patient: bool = True
    ) -> None:
        """Note what came of a request, or (``first``) of one of the calls that ask again."""
        verdict = caller.verdict
        self.see_who_was_served(caller.endpoint, caller)
        queue = self.queues[caller.endpoint]
        if caller.waiter is not self.nobody:
            # It joined the queue, and may have been served already.
            assert patient
            assert first or verdict is WAITING
            caller.waiting = True
            queue.insert(0 if first else len(queue), caller)
            assert effects is not None
            assert (effects.deadlock is not None) == self.is_knotted(caller)
        elif verdict is GRANTED:
            # The request itself may have served them all, with what was lost.
            assert first or not self.core._homes[caller.endpoint].queue, "overtook the queue"
            assert caller.entry is not None
            assert patient or caller.entry.state is VETTING
        else:
            assert verdict in (UNKNOWN, TIMEOUT, OVERLOADED, CLEARED, CLOSED)
            assert verdict is not TIMEOUT or not patient
            assert not first or verdict not in (UNKNOWN, OVERLOADED)
            self.leave(caller, timed_out=verdict is TIMEOUT)

    def see_who_was_served(self, endpoint: str, newcomer: Caller | None = None) -> None:
        """Whoever has left a queue stood at its head, and was told."""
        home = self.core._homes.get(endpoint)
        queued: list[Any] = [] if home is None else list(home.queue)
        left = [claim for claim in queued if claim is not newcomer]
        queue = self.queues[endpoint]
        gone = queue[: len(queue) - len(left)]
        assert queue[len(gone) :] == left, "served out of order"
        for caller in gone:
            assert caller.waiter.woken == 1, "left the queue, but nobody told him"
        for caller in left:
            assert caller.waiter.woken == 0, "woken, but still in the queue"
            assert caller.entry is None
        queue[:] = left

    def is_knotted(self, caller: Caller) -> bool:
        """Whether he waits for himself, over all the others."""
        home = self.core._homes[caller.endpoint]
        return (
            caller.entry is None
            and is_stuck(self.core, home)
            and caller.owner in held_up_by(self.core, home)
        )

    def again(self, caller: Caller, call: Callable[[bool], Effects | None], patient: bool) -> None:
        """Make one of the calls that may take the entry from the caller and ask again."""
        entry = caller.entry
        caller.waiter = self.nobody
        effects = call(patient)
        self.apply(effects)
        if caller.entry is not entry:
            self.asked(caller, effects, first=True, patient=patient)

    # -- turns ---------------------------------------------------------------------------------------

    def turns_at(self, endpoint: str) -> int:
        """How many turns are taken there."""
        return sum(where == endpoint for turns in self.turns.values() for where, *_ in turns)

    def may_call(self, teller: int) -> bool:
        """Whether he can call now: while he tells nobody anything, nobody can call in his name."""
        turns = self.turns.get(teller)
        return not turns or turns[-1][1]

    def take_turn(
        self, endpoint: str, teller: int, tells: bool, end: Callable[[], Effects]
    ) -> None:
        """Note that it is the teller's turn, until ``end`` is called."""
        assert self.turns.get(teller) or not self.turns_at(endpoint), "did not wait"
        self.turns.setdefault(teller, []).append((endpoint, tells, end))

    def line_up(self, endpoint: str, teller: int, waiter: Any) -> None:
        """Note that one waits for the turn of another."""
        assert self.turns_at(endpoint), "waits for nobody"
        assert not self.turns.get(teller), "waits while others may wait for him"
        self.audience[endpoint].append(waiter)

    def begun(
        self, endpoint: str, teller: int, answer: Any, tells: bool, end: Callable[[], Effects]
    ) -> None:
        """Note what came of ``begin``."""
        if isinstance(answer, Waiter):
            self.line_up(endpoint, teller, answer)
        elif answer is not UNKNOWN:
            assert answer in (READY, PAUSED)
            self.take_turn(endpoint, teller, tells, end)

    def end_turn(self, teller: int) -> None:
        """His innermost turn ends."""
        endpoint, _, end = self.turns[teller].pop()
        self.apply(end())
        if not self.turns_at(endpoint):
            assert all(waiter.woken == 1 for waiter in self.audience[endpoint]), "still waits"
            self.audience[endpoint].clear()

    def condemn(self, endpoint: str, service: Any = None) -> None:
        """Note what must not be leased any more."""
        home = self.core._homes.get(endpoint)
        for entry in home.every() if home is not None else ():
            if service is None or (entry.ready and entry.service == service):
                self.stale.add(entry)

    def homes(self) -> list[Home]:
        return list(self.core._homes.values())
