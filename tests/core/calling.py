"""What callers do: ask, wait, connect, use, give back."""

from random import Random
from typing import Any

from core.books import SELDOM, SOMEWHERE, USUALLY, Caller, Step, pick
from core.truths import Truths

from pool._core.records import Entry
from pool._core.states import CLEARED, CLOSED, CONNECTING, GRANTED, IN_USE, VETTING

__all__ = ["Calling"]


class Calling(Truths):
    """The operations of callers."""

    def calling(self) -> list[Step]:
        """What they can do, each with its share."""
        return [
            (20, self.request, True),
            (14, self.take, self.options.leak_threshold is None),
            (12, self.wake_up, bool(self.woken())),
            (20, self.connect, bool(self.some(CONNECTING))),
            (12, self.vet, bool(self.some(VETTING))),
            (10, self.hurry, bool(self.some(CONNECTING, VETTING) or self.woken())),
            (15, self.release, bool(self.some(IN_USE))),
            (8, self.released, bool(self.releasing)),
            (12, self.closed, bool(self.closing)),
            (6, self.give_up, bool(self.callers)),
            (3, self.all_go_home, bool(self.some(IN_USE) or self.releasing or self.closing)),
        ]

    def request(self, dice: Random) -> None:
        """Some callers arrive."""
        endpoint = dice.choice(SOMEWHERE)
        patient = dice.choice(USUALLY)
        if not self.core.knows(endpoint) and not self.turns_at(endpoint):
            assert self.core.introduce(endpoint, False, teller=0) is True
            self.apply(self.core.announced(endpoint, 0))
        self.fresh.discard(endpoint)
        for _ in range(dice.randint(1, 4)):
            self.numbers += 1
            caller = Caller(self.numbers, endpoint)
            caller.waiter = self.nobody
            self.callers.append(caller)
            effects = self.core.request(caller, self.early(), patient)
            self.apply(effects)
            self.asked(caller, effects, patient=patient)

    def take(self, dice: Random) -> None:
        endpoint = dice.choice(SOMEWHERE)
        self.numbers += 1
        caller = Caller(self.numbers, endpoint)
        home = self.core._homes.get(endpoint)
        top = None if home is None else home.top
        # It reckons by the seconds of idleness, not by the sum to compare with, and rounds otherwise.
        over = top is None or self.core.is_over(top, self.early() - 1e-6)
        over = over or (top is not None and top.expires <= self.early())
        del top
        entry = self.core.take(caller, self.early(), caller.owner)
        assert entry is caller.entry
        if entry is not None:
            assert not over, "lent though its time is over"
            assert not self.queues[endpoint]
            assert entry.state is IN_USE
            assert entry.owner == caller.owner
            assert entry not in self.stale
            assert entry not in self.suspects, "lent unchecked after a jump of the clock"
            self.callers.append(caller)
            self.leases += 1

    def wake_up(self, dice: Random) -> None:
        caller = pick(dice, self.woken())
        caller.waiting = False
        if caller.verdict is GRANTED:
            assert caller.entry is not None
        else:
            assert caller.verdict in (CLEARED, CLOSED)
            self.leave(caller)

    def connect(self, dice: Random) -> None:
        """One more step of somebody who connects."""
        service = dice.choice([None, "s", "t"])
        patient = dice.choice(USUALLY)
        caller = pick(dice, self.some(CONNECTING))
        entry = caller.entry
        if entry.doomed and not (entry.begun and dice.choice(SELDOM)):
            self.again(
                caller, lambda patient: self.core.retreat(caller, self.time(), patient), patient
            )
        elif not entry.begun:
            entry.begun = True
        elif dice.choice(SELDOM):
            failures = entry.home.failures
            assert self.core.failed(caller, OSError(), self.time()) == failures + 1
            self.leave(caller)
        else:
            self.open(caller, service, patient)

    def open(self, caller: Caller, service: Any, patient: bool) -> None:
        """Its ``create`` has succeeded."""
        entry = caller.entry
        assert entry is not None
        entry.connection = object()
        self.again(
            caller, lambda patient: self.core.opened(caller, service, self.time(), patient), patient
        )
        assert (caller.entry is entry) != (entry in self.closing)

    def vet(self, dice: Random) -> None:
        """One more step of somebody who checks or prepares what he was given."""
        outcome = dice.choice(["begin", "dead", "confirm", "confirm", "confirm"])
        patient = dice.choice(USUALLY)
        caller = pick(dice, self.some(VETTING))
        entry = caller.entry
        if outcome == "begin":
            entry.begun = not entry.begun
        elif outcome == "dead":
            self.again(
                caller, lambda patient: self.core.dead(caller, self.time(), patient), patient
            )
            assert entry in self.closing
        else:
            self.confirm(caller, patient)

    def confirm(self, caller: Caller, patient: bool) -> None:
        """Its connection was vetted."""
        entry = caller.entry
        assert entry is not None
        self.again(caller, lambda patient: self.core.confirm(caller, self.time(), patient), patient)
        if caller.entry is entry:
            assert entry.state is IN_USE
            self.leases += 1
            assert entry not in self.stale, "leased though it is stale"
            assert not entry.suspect
            # It was checked, since it was suspect.
            self.suspects.discard(entry)
            if self.options.leak_threshold is not None:
                self.apply(self.core.watch(caller))

    def hurry(self, dice: Random) -> None:
        """All goes well for everybody who has been granted something."""
        for caller in self.woken():
            caller.waiting = False
            if caller.verdict is not GRANTED:
                self.leave(caller)
        for caller in self.some(CONNECTING):
            if caller.entry is not None and not caller.entry.doomed:
                caller.entry.begun = True
                self.open(caller, None, True)
        for caller in self.some(VETTING):
            self.confirm(caller, True)

    def release(self, dice: Random) -> None:
        caller = pick(dice, self.some(IN_USE))
        if dice.choice([True, False]):
            self.apply(self.core.check_in(caller, self.time()))
        else:
            entry = self.core.end(caller, self.time())
            assert entry is not None
            self.releasing.append(entry)
        # A lease ends once.
        assert self.core.end(caller, self.time()) is None
        assert self.core.check_in(caller, self.time()) is None
        self.callers.remove(caller)

    def released(self, dice: Random) -> None:
        entry = pick(dice, self.releasing)
        self.releasing.remove(entry)
        self.give_back(entry, dice.choice(USUALLY), dice.choice([True, False]))

    def give_back(self, entry: Entry, fit: bool, failed: bool) -> None:
        """The hooks of a release are through."""
        if self.core.leave(entry, fit, failed):
            assert entry in self.being_told
            self.left.append(entry)
            return
        self.apply(self.core.put(entry, self.time()) if fit else self.core.doom(entry, failed))

    def closed(self, dice: Random) -> None:
        entry = pick(dice, self.closing)
        self.closing.remove(entry)
        self.apply(self.core.closed(entry, self.time()))
        # For a while a frame may refer to it.
        self.gone = [entry]

    def give_up(self, dice: Random) -> None:
        self.leave(pick(dice, self.callers), dice.choice([True, False]))

    def all_go_home(self, dice: Random) -> None:
        """All leases but a few end, and whatever is to be closed is closed."""
        for caller in self.some(IN_USE)[dice.randint(0, 2) :]:
            self.apply(self.core.check_in(caller, self.time()))
            self.callers.remove(caller)
        while self.releasing:
            self.give_back(self.releasing.pop(), True, False)
        while self.closing:
            self.apply(self.core.closed(self.closing.pop(), self.time()))
