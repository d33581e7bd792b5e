"""What must be true after every step, counted again from the entries, the claims and the queues."""

from collections import Counter
from collections.abc import Callable, Iterator
from math import inf
from typing import Any

from core.books import ENDPOINTS, Books
from hypothesis.stateful import invariant

from pool._core.home import Home
from pool._core.records import Claim, Effects, Entry
from pool._core.states import (
    CHECKING,
    CLOSING,
    CONNECTING,
    IDLE,
    IN_USE,
    OPENING,
    PAUSED,
    READY,
    RELEASING,
    REMOVED,
    VETTING,
)

__all__ = ["Truths"]


def chain(home: Home) -> Iterator[Entry]:
    """Everything that stands among the idle."""
    entry = home.top
    while entry is not None:
        yield entry
        entry = entry.next


class Truths(Books):
    """The invariants, and the end."""

    def every(self) -> list[Entry]:
        return self.core.every()

    # -- the queues ----------------------------------------------------------------------------------

    @invariant()
    def the_queue_is_served_in_order(self) -> None:
        for endpoint, queue in self.queues.items():
            self.see_who_was_served(endpoint)
            tickets = [caller.ticket for caller in queue]
            assert tickets == sorted(tickets)

    @invariant()
    def nothing_is_free_while_somebody_waits(self) -> None:
        core = self.core
        idle = [entry for entry in self.every() if entry.state is IDLE]
        for home in self.homes():
            if home.queue:
                assert home.state is READY
                assert not home.idle()
                assert not core._may_connect(home)
            if home.state is not READY or home.crowded:
                assert not home.idle()
        if idle:
            assert not core.is_pressed(), "idle while somebody waits for room, or too many"
        if core.demand():
            assert len(self.every()) >= core._total, "there is room, and somebody waits for it"

    @invariant()
    def who_waits_is_known(self) -> None:
        waiting: dict[Any, list[Home]] = {}
        for home in self.homes():
            for claim in home.queue:
                waiting.setdefault(claim.owner, []).append(home)
        known = self.core._waiting
        assert {owner: Counter(places) for owner, places in known.items()} == {
            owner: Counter(places) for owner, places in waiting.items()
        }

    # -- the counts ----------------------------------------------------------------------------------

    @invariant()
    def the_books_are_right(self) -> None:
        core, options = self.core, self.options
        always = (
            options.reuse == "fifo"
            or options.max_uses is not None
            or options.idle_timeout == 0
            or not options.background_collector
        )
        for home in self.homes():
            entries = home.every()
            states = Counter(entry.state for entry in entries)
            assert list(home.entries) == [entry.id for entry in entries]
            assert all(entry.home is home for entry in entries)
            opening = [entry for entry in entries if not entry.ready]
            assert home.connecting == len(opening) <= options.max_connecting
            assert home.closing == states[CLOSING]
            assert home.filling == sum(entry.fill for entry in entries)
            assert not any(entry.fill and entry.ready for entry in entries)
            assert home.marked == sum(entry.marked for entry in entries)
            assert home.crowded == (len(entries) - states[CLOSING] > core._max_size)
            assert home.special == (always or home.crowded or bool(home.queue) or home.marked > 0)
            assert home.hunger == core.hunger_at(home)
            assert home.stock == core.ready_at(home)
            assert (home.failures > 0) <= (home.ramp == 1)
            assert home.owed >= 0
        assert core._size == len(self.every())
        assert core._closing == sum(entry.state is CLOSING for entry in self.every())
        assert core._demand == core.demand()
        assert core._pressed == core.is_pressed()
        assert core._size or not core.is_closed() or all(waiter.woken for waiter in self.closers)

    @invariant()
    def the_idle_stand_in_a_chain(self) -> None:
        core = self.core
        for home in self.homes():
            standing = []
            for entry in chain(home):
                standing.append(entry)
                assert len(standing) <= 1000, "the chain has no end"
            assert len(set(standing)) == len(standing)
            assert all(entry.hidden or entry.state is IDLE for entry in standing)
            assert home.hidden == sum(entry.hidden for entry in standing)
            hidden = [entry for entry in home.every() if entry.hidden]
            assert all(entry in standing for entry in hidden)
            assert home.hidden <= len(home.entries) + 8
            idle = [entry for entry in home.every() if entry.state is IDLE]
            assert Counter(home.idle()) == Counter(idle), "idle, but not in the chain"
            for entry in idle:
                assert not entry.doomed
                assert not entry.marked, "makes every release at its endpoint slow"
                assert entry.owner is None
                if entry.hidden:
                    assert entry.until == -inf
                else:
                    assert entry.until <= min(entry.expires, entry.since + core._fresh_for)
                assert entry.hidden or entry not in self.suspects

    @invariant()
    def the_statistics_agree(self) -> None:
        stats = self.core.stats(None, True)
        every = self.every()
        states = Counter(entry.state for entry in every)
        assert stats.total == len(every)
        assert stats.total == stats.idle + stats.in_use + stats.connecting + stats.closing
        assert stats.waiting == sum(len(queue) for queue in self.queues.values())
        assert stats.acquired == self.leases
        assert stats.acquired - stats.released == states[IN_USE]
        assert stats.created - stats.closed == sum(entry.ready for entry in every)

    # -- who has what --------------------------------------------------------------------------------

    @invariant()
    def everything_has_one_owner(self) -> None:
        claims: list[Claim] = [*self.callers, *self.fillers]
        owned = [claim.entry for claim in claims if claim.entry is not None]
        owned += self.releasing
        owned += self.left
        owned += self.closing
        owned += self.checking
        owned += self.core._lost
        free = [entry for home in self.homes() for entry in home.idle()]
        assert Counter(map(id, owned + free)) == Counter(map(id, self.every()))
        for caller in self.callers:
            if caller.entry is not None:
                assert caller.entry.state in (CONNECTING, VETTING, IN_USE)
        for filler in self.fillers:
            assert filler.entry is not None
            assert filler.entry.state is CONNECTING
        assert all(entry.state is RELEASING for entry in self.releasing + self.left)
        assert all(entry.state is CLOSING for entry in self.closing)
        assert all(entry.state is CHECKING for entry in self.checking)

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
        core = self.core
        for endpoint in ENDPOINTS:
            home = core._homes.get(endpoint)
            if home is None:
                assert not self.turns_at(endpoint)
                self.told.pop(endpoint, None)
                self.fresh.discard(endpoint)
            elif not (home.added or home.turns or home.state is PAUSED or core.is_closed()):
                wanted = home.state is READY and (core._min_size or home.owed)
                assert home.entries or home.queue or endpoint in self.fresh or wanted
        assert all(home in self.homes() for home in core._starved)

    @invariant()
    def what_is_lazy_stays_small(self) -> None:
        core = self.core
        most = 2 * (len(self.every()) + len(self.homes())) + 64
        assert len(core._agenda._dates) <= most
        assert len(core._ranks) <= most
        assert len(core._hungry) <= most

    # -- the upkeep ----------------------------------------------------------------------------------

    @invariant()
    def whatever_comes_due_is_on_the_agenda(self) -> None:
        core = self.core
        if core.is_closed():
            return
        for home in self.homes():
            assert home.look >= core._agenda.next(), "thought to be on the agenda"
        for entry in self.every():
            if entry in core._lost:
                continue
            due = inf
            if entry.state is IDLE:
                due = entry.expires
                if self.options.background_collector:
                    due = min(due, max(entry.since, entry.checked) + entry.gap)
                if core.ready_at(entry.home) > core._min_size:
                    due = min(due, entry.since + core._idle_timeout)
            elif self.is_to_be_told(entry):
                due = entry.since + core._leak_threshold
            assert entry.look <= due, f"due at {due}, and nobody will look at {entry}"
            assert due == inf or entry.look >= core._agenda.next(), "thought to be on the agenda"
        if self.options.background_collector and not self.rung:
            assert core._agenda.next() >= self.wakes, "something comes due while the worker sleeps"
        if any(entry.state is IN_USE for entry in self.every()):
            assert self.awake == self.options.background_collector

    def is_to_be_told(self, entry: Entry) -> bool:
        """Whether the worker will tell of it once it is held too long; without him, a round by hand does."""
        told = entry in self.leaking or not self.options.background_collector
        return entry.state is IN_USE and entry.watched and not told

    @invariant()
    def no_fill_is_lost(self) -> None:
        core = self.core
        if not self.options.background_collector:
            return
        planned = []
        for home in self.homes():
            if core._may_fill(home) and home.look <= max(home.retry, 0.0):
                planned.append(home)
            elif core._may_fill(home):
                # Whoever is about to change its state will look.
                assert home in core._starved or home.turns, "to be filled, and nobody will look"
            elif core._may_fill(home, anyway=True):
                assert home in core._starved or home.turns or home.look < inf
        if any(core._may_fill(home) for home in core._starved):
            under_way = any(not entry.ready or entry.state is CLOSING for entry in self.every())
            assert planned or under_way, "there is room, and nobody will use it"

    @invariant()
    def who_waits_for_a_fill_is_told(self) -> None:
        core = self.core
        for endpoint, waiter in self.warmers:
            home = core._homes.get(endpoint)
            if home is not None and waiter in home.audience:
                assert home.turns
                assert not waiter.woken
            elif home is not None and waiter in home.warmers:
                assert home.state is READY
                assert core.ready_at(home) < core._min_size
                assert not waiter.woken
            else:
                assert waiter.woken, "nobody will tell him"

    # -- the end -------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Everybody ends what he is at: nothing is left."""
        if not hasattr(self, "core"):
            return
        core = self.core
        self.apply(core.shut(None, True))
        for teller, turns in self.turns.items():
            while turns:
                self.end_turn(teller)
        while self.callers:
            self.leave(self.callers[0])
        while self.fillers:
            self.apply(core.abandon(self.fillers.pop(), self.time()))
        self.apply(core.chores(self.time(), 1, False).effects)
        steps: list[Callable[[], Effects]] = [
            lambda: core.doom(self.releasing.pop()) if self.releasing else Effects(),
            lambda: core.doom(self.left.pop()) if self.left else Effects(),
            lambda: (
                core.checked(self.checking.pop(), True, self.time()) if self.checking else Effects()
            ),
            lambda: core.closed(self.closing.pop(), self.time()) if self.closing else Effects(),
        ]
        while self.releasing or self.left or self.closing or self.checking:
            for step in steps:
                self.apply(step())
        self.the_books_are_right()
        self.the_statistics_agree()
        stats = core.stats(None, True)
        assert (stats.total, stats.waiting) == (0, 0), (self.homes(), core._lost)
        assert stats.acquired == stats.released
        assert stats.created == stats.closed
        assert core.chores(self.time(), 1, False).next is None
        rest = core._lost, core._waiting, core._tellers, core._closers
        assert not any(rest)
        for home in self.homes():
            counts = home.closing, home.connecting, home.filling, home.marked, home.hidden
            assert counts == (0, 0, 0, 0, 0)
            assert home.top is None
            assert not any((home.queue, home.warmers, home.audience))
