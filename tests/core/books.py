"""All callers of one core: where each one is, and what must be true of all together."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from pool import PoolOptions
from pool._core.pool import PoolCore
from pool._core.records import (
    CLEARED,
    CLOSED,
    CLOSING,
    CONNECTING,
    GRANTED,
    IDLE,
    IN_USE,
    OPENING,
    OVERLOADED,
    PAUSED,
    READY,
    RELEASING,
    REMOVED,
    TIMEOUT,
    UNKNOWN,
    VETTING,
    WAITING,
    Claim,
    Effects,
    Entry,
    Home,
)

__all__ = ["ENDPOINTS", "Books", "Caller", "Waiter", "pick"]

ENDPOINTS = ("a", "b")
CODE = (lambda: None).__code__


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
    """One claim and where its caller is in his code."""

    __slots__ = ("number", "waiting")

    waiter: Waiter

    def __init__(self, number: int, endpoint: str) -> None:
        self.number = number
        self.endpoint = endpoint
        self.entry = None
        self.ended = 0
        self.code = CODE
        self.instruction = 0
        self.waiting = False

    def __repr__(self) -> str:
        return f"<Caller {self.number} at {self.endpoint} waiting={self.waiting} {self.entry}>"


def pick(data: st.DataObject, some: list[Any]) -> Any:
    """Choose one."""
    return data.draw(st.sampled_from(some))


class Books(RuleBasedStateMachine):
    """Who is where, and what must be true then; the operations are added by a subclass."""

    core: PoolCore
    options: PoolOptions

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.numbers = 0
        self.callers: list[Caller] = []
        self.queues: dict[str, list[Caller]] = {endpoint: [] for endpoint in ENDPOINTS}
        self.releasing: list[Entry] = []
        self.closing: list[Entry] = []
        self.stale: set[Entry] = set()
        # Per teller, the turns he has, the innermost last: where, whether he tells anybody, what ends it.
        self.turns: dict[int, list[tuple[str, bool, Callable[[], Effects]]]] = {}
        self.audience: dict[str, list[Any]] = {"a": [], "b": []}
        self.fresh: set[str] = set()
        """Endpoints made known by somebody who has not requested anything yet."""
        self.told: dict[str, str] = {}
        self.closers: list[Waiter] = []
        self.nobody = Waiter()
        self.permitted: set[Caller] = set()
        self.max_size = 0

    # -- what every call leads to --------------------------------------------------------------------

    def apply(self, effects: Effects | None) -> None:
        """Do what the shell would do, later."""
        if effects is None:
            return
        for entry in effects.close:
            assert entry.state is CLOSING
            assert entry.doomed, "closed without a reason"
            assert entry not in self.closing, "closed twice"
            self.closing.append(entry)
        for waiter in effects.wake:
            waiter.wake()
        for entry in effects.interrupt:
            assert entry.state in (CONNECTING, VETTING, IN_USE, RELEASING)
        for endpoint in effects.shut:
            assert endpoint in ENDPOINTS

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
        self.apply(self.core.abandon(caller, self.now, timed_out))
        self.callers.remove(caller)
        if caller in self.queues[caller.endpoint]:
            self.queues[caller.endpoint].remove(caller)
        assert caller.entry is None

    def asked(self, caller: Caller, first: bool = False, patient: bool = True) -> None:
        """Note what came of a request, or (``first``) of one of the calls that ask again."""
        verdict = caller.verdict
        queue = self.queues[caller.endpoint]
        if caller.waiter is not self.nobody:
            # It joined the queue, and may have been served already.
            assert patient
            assert first or verdict is WAITING
            caller.waiting = True
            queue.insert(0 if first else len(queue), caller)
        elif verdict is GRANTED:
            assert first or not queue, "overtook the queue"
            assert caller.entry is not None
            assert patient or caller.entry.state is VETTING
        else:
            assert verdict in (UNKNOWN, TIMEOUT, OVERLOADED, CLEARED, CLOSED)
            assert verdict is not TIMEOUT or not patient
            assert not first or verdict not in (UNKNOWN, OVERLOADED)
            self.leave(caller, timed_out=verdict is TIMEOUT)

    def again(self, caller: Caller, call: Callable[[bool], Effects | None], patient: bool) -> None:
        """Make one of the calls that may take the entry from the caller and ask again."""
        entry = caller.entry
        caller.waiter = self.nobody
        effects = call(patient)
        if caller.entry is not entry:
            self.asked(caller, first=True, patient=patient)
        self.apply(effects)

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
        for entry in home.entries.values() if home is not None else ():
            if service is None or (entry.ready and entry.service == service):
                self.stale.add(entry)

    # -- what is always true -------------------------------------------------------------------------

    def homes(self) -> list[Home]:
        return list(self.core._homes.values())

    @invariant()
    def the_queue_is_served_in_order(self) -> None:
        for endpoint, queue in self.queues.items():
            home = self.core._homes.get(endpoint)
            left: list[Any] = list(home.queue) if home is not None else []
            gone = queue[: len(queue) - len(left)]
            assert queue[len(gone) :] == left, "served out of order"
            for caller in gone:
                assert caller.waiter.woken == 1, "left the queue, but nobody told him"
            for caller in left:
                assert caller.waiter.woken == 0, "woken, but still in the queue"
                assert caller.entry is None
            queue[:] = left

    @invariant()
    def nothing_is_free_while_somebody_waits(self) -> None:
        for home in self.homes():
            if home.queue:
                assert home.state is READY
                assert not home.idle()
                assert not self.core._may_connect(home)
            if home.state is not READY:
                assert not home.idle()

    @invariant()
    def the_books_are_right(self) -> None:
        size = 0
        for home in self.homes():
            size += len(home.entries)
            states = Counter(entry.state for entry in home.entries.values())
            assert list(home.entries) == [entry.id for entry in home.entries.values()]
            assert all(entry.state is IDLE and not entry.doomed for entry in home.idle())
            assert len(home.idle()) == states[IDLE]
            opening = [entry for entry in home.entries.values() if not entry.ready]
            assert home.connecting == len(opening) <= self.options.max_connecting
            closing = states[CLOSING]
            assert home.crowded == (len(home.entries) - closing > self.max_size)
            always = self.options.reuse == "fifo" or self.options.max_uses is not None
            assert home.special == (always or home.crowded or bool(home.queue))
        assert self.core._size == size
        assert size or not self.core.is_closed() or all(waiter.woken for waiter in self.closers)

    @invariant()
    def nothing_changes_untold(self) -> None:
        for home in self.homes():
            assert home.turns == self.turns_at(home.endpoint)
            assert home.state is not OPENING or home.turns
            if home.state in (OPENING, REMOVED):
                self.told[home.endpoint] = PAUSED
            elif self.options.paused:
                assert home.state == self.told.get(home.endpoint, PAUSED)
            else:
                assert home.state is READY

    @invariant()
    def nobody_is_forgotten_or_kept_without_need(self) -> None:
        for endpoint in ENDPOINTS:
            home = self.core._homes.get(endpoint)
            if home is None:
                assert not self.turns_at(endpoint)
                self.told.pop(endpoint, None)
            elif not (home.added or home.turns or home.state is PAUSED or self.core.is_closed()):
                assert home.entries or home.queue or endpoint in self.fresh

    @invariant()
    def nobody_gets_a_place_above_the_maximum(self) -> None:
        permitted = {
            caller
            for caller in self.callers
            if caller.entry is not None and caller.entry.state is CONNECTING
        }
        for caller in permitted - self.permitted:
            home = self.core._homes[caller.endpoint]
            assert len(home.entries) <= self.max_size, "a permit above max_size"
        self.permitted = permitted

    @invariant()
    def everything_has_one_owner(self) -> None:
        owned = [caller.entry for caller in self.callers if caller.entry is not None]
        owned += self.releasing
        owned += self.closing
        free = [entry for home in self.homes() for entry in home.idle()]
        every = [entry for home in self.homes() for entry in home.entries.values()]
        assert Counter(map(id, owned + free)) == Counter(map(id, every))
        for caller in self.callers:
            if caller.entry is not None:
                assert caller.entry.state in (CONNECTING, VETTING, IN_USE)
        assert all(entry.state is RELEASING for entry in self.releasing)
        assert all(entry.state is CLOSING for entry in self.closing)

    @invariant()
    def the_statistics_agree(self) -> None:
        stats = self.core.stats(None, True)
        every = [entry for home in self.homes() for entry in home.entries.values()]
        states = Counter(entry.state for entry in every)
        assert stats.total == len(every)
        assert stats.total == stats.idle + stats.in_use + stats.connecting + stats.closing
        assert stats.waiting == sum(len(queue) for queue in self.queues.values())
        assert stats.acquired - stats.released == states[IN_USE]
        assert stats.created - stats.closed == sum(entry.ready for entry in every)

    def teardown(self) -> None:
        """Everybody ends what he is at: nothing is left."""
        if not hasattr(self, "core"):
            return
        self.apply(self.core.shut(None, True))
        for teller, turns in self.turns.items():
            while turns:
                self.end_turn(teller)
        while self.callers:
            self.leave(self.callers[0])
        steps: list[Callable[[], Effects]] = [
            lambda: self.core.doom(self.releasing.pop()) if self.releasing else Effects(),
            lambda: self.core.closed(self.closing.pop(), self.now) if self.closing else Effects(),
        ]
        while self.releasing or self.closing:
            for step in steps:
                self.apply(step())
        self.the_books_are_right()
        self.the_statistics_agree()
        stats = self.core.stats(None, True)
        assert (stats.total, stats.waiting) == (0, 0)
        assert stats.acquired == stats.released
        assert stats.created == stats.closed
