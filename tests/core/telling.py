"""What becomes of endpoints and of the pool: known, cleared, ready, removed, closed."""

from random import Random
from typing import Any

from core.books import ENDPOINTS, SELDOM, SOMEWHERE, Step, Waiter, pick
from core.truths import Truths

from pool._core.records import Effects
from pool._core.states import PAUSED, READY

__all__ = ["Telling"]


class Telling(Truths):
    """The operations that change the state of an endpoint, or of all."""

    def telling(self) -> list[Step]:
        """What can happen, each with its share."""
        return [
            (5, self.announce, True),
            (10, self.finish, any(self.turns.values())),
            (1, self.remove, True),
            (1, self.close, self.numbers > 40),
        ]

    def announce(self, dice: Random) -> None:
        """One more has, or waits for, the turn to tell something of an endpoint."""
        what = dice.choice(["introduce", "clear", "clear", "ready", "ready"])
        endpoint = dice.choice(SOMEWHERE)
        teller = dice.choice([1, 1, 2])
        if not self.may_call(teller):
            return
        if what == "introduce":
            self.introduce(endpoint, dice.choice(SELDOM), teller)
        elif what == "clear":
            self.clear(endpoint, teller, dice.choice([None, None, "s"]))
        elif self.options.paused:
            self.ready(endpoint, teller)

    def introduce(self, endpoint: str, keep: bool, teller: int) -> None:
        def announced() -> Effects:
            self.fresh.add(endpoint)
            return self.core.announced(endpoint, teller)

        answer = self.core.introduce(endpoint, keep, teller)
        if answer is True:
            self.take_turn(endpoint, teller, True, announced)
        elif answer is not False:
            self.line_up(endpoint, teller, answer)

    def clear(self, endpoint: str, teller: int, service: Any) -> None:
        def clear() -> Effects:
            effects = Effects()
            if told and self.core._homes[endpoint].state is READY:
                self.told[endpoint] = PAUSED
            self.condemn(endpoint, service)
            self.core.clear(endpoint, teller, answer, service, True, effects)
            return effects

        answer: Any = self.core.begin(endpoint, teller)
        told = answer is READY and self.options.paused and service is None
        self.begun(endpoint, teller, answer, answer is READY, clear)

    def ready(self, endpoint: str, teller: int) -> None:
        def ready() -> Effects:
            if told and self.core._homes[endpoint].state is PAUSED:
                self.told[endpoint] = READY
            return self.core.ready(endpoint, teller, answer, self.time())

        answer: Any = self.core.begin(endpoint, teller)
        told = answer is PAUSED
        self.begun(endpoint, teller, answer, told, ready)

    def finish(self, dice: Random) -> None:
        self.end_turn(pick(dice, [teller for teller, turns in self.turns.items() if turns]))

    def remove(self, dice: Random) -> None:
        endpoint = dice.choice(SOMEWHERE)
        self.condemn(endpoint)
        self.apply(self.core.shut(endpoint, False))

    def close(self, dice: Random) -> None:
        for endpoint in ENDPOINTS:
            self.condemn(endpoint)
        self.apply(self.core.shut(None, True))
        waiter = Waiter()
        if not self.core.drained(waiter):
            self.closers.append(waiter)
        self.apply(self.core.break_all())
