"""What the callers of shared connections do: ask, wait, connect, use, give back."""

from random import Random

from core.books import USUALLY, Caller, pick
from core.shared_books import SharedBooks

from pool._core.states import (
    CLEARED,
    CLOSED,
    CLOSING,
    CONNECTING,
    GRANTED,
    IN_USE,
    OVERLOADED,
    TIMEOUT,
    VETTING,
)
from pool._core.trunk import Share

__all__ = ["SharedCalling"]


class SharedCalling(SharedBooks):
    """The operations of callers."""

    def newcomer(self) -> Caller:
        self.numbers += 1
        caller = Caller(self.numbers, "a")
        caller.waiter = self.nobody
        return caller

    def request(self, dice: Random) -> None:
        """Some callers arrive."""
        patient = dice.choice(USUALLY)
        for _ in range(dice.randint(1, 4)):
            caller = self.newcomer()
            self.callers.append(caller)
            effects = self.core.request(caller, self.time(), patient)
            self.apply(effects)
            self.asked(caller, effects, patient=patient)

    def take(self, dice: Random) -> None:
        caller = self.newcomer()
        fewest = [trunk.pending for trunk in self.every() if trunk.level != -1]
        share = self.core.take(caller, self.time(), caller.owner)
        assert share is caller.entry
        if share is not None:
            assert isinstance(share, Share)
            assert not self.queues["a"]
            assert share.state is IN_USE
            assert (share.owner, share.doomed) == (caller.owner, "")
            assert share.trunk.pending == min(fewest) + 1 <= self.core._max_pending
            assert share.trunk.expires > self.now
            self.callers.append(caller)
            self.leases += 1

    def wake_up(self, dice: Random) -> None:
        caller = pick(dice, self.woken())
        caller.waiting = False
        if caller.verdict is not GRANTED:
            assert caller.verdict in (CLEARED, CLOSED)
            self.leave(caller)

    def connect(self, dice: Random) -> None:
        """One more step of somebody who connects."""
        patient = dice.choice(USUALLY)
        caller = pick(dice, self.some(CONNECTING))
        entry = caller.entry
        assert entry is not None
        if entry.doomed and dice.choice(USUALLY):
            self.again(
                caller, lambda patient: self.core.retreat(caller, self.time(), patient), patient
            )
        elif not entry.begun:
            entry.begun = True
        elif dice.choice([True, False]):
            self.open_up(caller, patient)
        else:
            self.core.failed(caller, OSError(), self.time())
            caller.waiter = self.nobody
            effects = self.core.instead(caller, self.time(), patient)
            if effects is None:
                assert caller.entry is entry
                self.leave(caller)
                return
            self.apply(effects)
            assert entry.state is CLOSING
            if caller.verdict in (TIMEOUT, OVERLOADED):
                self.leave(caller)
            else:
                self.asked(caller, effects, first=True, patient=patient)

    def open_up(self, caller: Caller, patient: bool) -> None:
        """His ``create`` has succeeded."""
        entry = caller.entry
        assert entry is not None
        entry.connection = f"connection {entry.id}"
        self.again(
            caller, lambda patient: self.core.opened(caller, None, self.time(), patient), patient
        )
        assert (entry in self.closing) == (entry.state is CLOSING)

    def vet(self, dice: Random) -> None:
        outcome = dice.choice(["begin", "dead", "confirm", "confirm", "confirm"])
        patient = dice.choice(USUALLY)
        caller = pick(dice, self.some(VETTING))
        share = caller.entry
        assert isinstance(share, Share)
        if outcome == "begin":
            share.begun = not share.begun
        elif outcome == "dead":
            self.again(
                caller, lambda patient: self.core.dead(caller, self.time(), patient), patient
            )
            assert share.trunk.doomed
        else:
            self.confirm(caller, patient)

    def confirm(self, caller: Caller, patient: bool) -> None:
        share = caller.entry
        assert isinstance(share, Share)
        doomed = bool(share.doomed)
        self.again(caller, lambda patient: self.core.confirm(caller, self.time(), patient), patient)
        assert (caller.entry is share) == (not doomed)
        if not doomed:
            assert share.state is IN_USE
            assert not share.alone
            self.leases += 1

    def hurry(self, dice: Random) -> None:
        """All goes well for everybody who has been granted something."""
        while woken := self.woken():
            self.wake_up_one(woken[0])
        for caller in self.some(CONNECTING):
            if caller.entry is not None and not caller.entry.doomed:
                caller.entry.begun = True
                self.open_up(caller, True)
        for caller in self.some(VETTING):
            self.confirm(caller, True)

    def wake_up_one(self, caller: Caller) -> None:
        caller.waiting = False
        if caller.verdict is not GRANTED:
            self.leave(caller)

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
        share = pick(dice, self.releasing)
        self.releasing.remove(share)
        if dice.choice(USUALLY):
            self.apply(self.core.put(share, self.time()))
        else:
            trunk = share.trunk
            self.apply(self.core.doom(share, dice.choice([True, False])))
            assert trunk.doomed
            assert trunk.level == -1

    def closed(self, dice: Random) -> None:
        entry = pick(dice, self.closing)
        self.closing.remove(entry)
        self.apply(self.core.closed(entry, self.time()))
        self.gone = [entry]

    def give_up(self, dice: Random) -> None:
        self.leave(pick(dice, self.callers), dice.choice([True, False]))
