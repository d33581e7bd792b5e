"""The core behind a lock, for threads."""

import threading
from typing import Any

from pool._core.pool import PoolCore
from pool._core.records import Claim, Effects, Entry, Wakeable
from pool._core.report import Survey
from pool._core.upkeep import Chores, Leak
from pool.options import PoolOptions
from pool.stats import PoolStats

__all__ = ["Guard"]


class Guard:
    """The core behind one lock, which protects all of its state.

    Nothing may block, wait, do I/O or call user code while it is held. Every method of the core stands here
    once, written out: a ``*args`` wrapper would double the cost. The hot path does not come by here: see
    ``sync_checkout``.
    """

    __slots__ = ("_lock", "acquire", "core", "release")

    def __init__(self, core: PoolCore) -> None:
        self.core = core
        """For those who hold the lock."""
        self._lock = threading.Lock()
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def take(self, claim: Claim, now: float, owner: Any) -> Entry | None:
        with self._lock:
            return self.core.take(claim, now, owner)

    def is_fresh(self, entry: Entry, now: float) -> bool:
        with self._lock:
            return self.core.is_fresh(entry, now)

    def introduce(self, endpoint: Any, keep: bool, teller: int) -> Wakeable | bool:
        with self._lock:
            return self.core.introduce(endpoint, keep, teller)

    def announced(self, endpoint: Any, teller: int) -> Effects:
        with self._lock:
            return self.core.announced(endpoint, teller)

    def begin(self, endpoint: Any, teller: int) -> Wakeable | str:
        with self._lock:
            return self.core.begin(endpoint, teller)

    def ready(self, endpoint: Any, teller: int, was: str, now: float) -> Effects:
        with self._lock:
            return self.core.ready(endpoint, teller, was, now)

    def clear(
        self, endpoint: Any, teller: int, was: str, service: Any, interrupt: bool, effects: Effects
    ) -> None:
        with self._lock:
            return self.core.clear(endpoint, teller, was, service, interrupt, effects)

    def request(self, claim: Claim, now: float, patient: bool) -> Effects:
        with self._lock:
            return self.core.request(claim, now, patient)

    def opened(self, claim: Claim, service: Any, now: float, patient: bool) -> Effects:
        with self._lock:
            return self.core.opened(claim, service, now, patient)

    def confirm(self, claim: Claim, now: float, patient: bool) -> Effects | None:
        with self._lock:
            return self.core.confirm(claim, now, patient)

    def dead(self, claim: Claim, now: float, patient: bool) -> Effects:
        with self._lock:
            return self.core.dead(claim, now, patient)

    def failed(self, claim: Claim, error: BaseException, now: float) -> int:
        with self._lock:
            return self.core.failed(claim, error, now)

    def instead(self, claim: Claim, now: float, patient: bool) -> Effects | None:
        with self._lock:
            return self.core.instead(claim, now, patient)

    def retreat(self, claim: Claim, now: float, patient: bool) -> Effects:
        with self._lock:
            return self.core.retreat(claim, now, patient)

    def abandon(self, claim: Claim, now: float, timed_out: bool = False) -> Effects:
        with self._lock:
            return self.core.abandon(claim, now, timed_out)

    def check_in(self, claim: Claim, now: float) -> Effects | None:
        with self._lock:
            return self.core.check_in(claim, now)

    def broke(self, claim: Claim) -> bool:
        with self._lock:
            return self.core.broke(claim)

    def end(self, claim: Claim, now: float) -> Entry | None:
        with self._lock:
            return self.core.end(claim, now)

    def put(self, entry: Entry, now: float) -> Effects | None:
        with self._lock:
            return self.core.put(entry, now)

    def doom(self, entry: Entry, failed: bool = False) -> Effects:
        with self._lock:
            return self.core.doom(entry, failed)

    def closed(self, entry: Entry, now: float) -> Effects:
        with self._lock:
            return self.core.closed(entry, now)

    def shut(self, endpoint: Any, everywhere: bool) -> Effects:
        with self._lock:
            return self.core.shut(endpoint, everywhere)

    def break_all(self) -> Effects:
        with self._lock:
            return self.core.break_all()

    def drained(self, waiter: Wakeable) -> bool:
        with self._lock:
            return self.core.drained(waiter)

    def resize(self, options: PoolOptions, now: float) -> Effects:
        with self._lock:
            return self.core.resize(options, now)

    def chores(self, now: float, hands: int, everywhere: bool) -> Chores:
        with self._lock:
            return self.core.chores(now, hands, everywhere)

    def filled(self, claim: Claim, service: Any, now: float) -> Effects:
        with self._lock:
            return self.core.filled(claim, service, now)

    def checked(self, entry: Entry, alive: bool, now: float) -> Effects:
        with self._lock:
            return self.core.checked(entry, alive, now)

    def watch(self, claim: Claim) -> Effects:
        with self._lock:
            return self.core.watch(claim)

    def leaks(self, entry: Entry, now: float) -> Leak | None:
        with self._lock:
            return self.core.leaks(entry, now)

    def leave(self, entry: Entry, fit: bool, failed: bool) -> bool:
        with self._lock:
            return self.core.leave(entry, fit, failed)

    def told(self, entry: Entry) -> tuple[bool, bool] | None:
        with self._lock:
            return self.core.told(entry)

    def warm(self, endpoint: Any, waiter: Wakeable) -> str:
        with self._lock:
            return self.core.warm(endpoint, waiter)

    def cool(self, endpoint: Any, waiter: Wakeable) -> None:
        with self._lock:
            return self.core.cool(endpoint, waiter)

    def reclaim(self, now: float) -> Effects:
        with self._lock:
            return self.core.reclaim(now)

    def unheard(self) -> None:
        with self._lock:
            return self.core.unheard()

    def distrust(self) -> None:
        with self._lock:
            return self.core.distrust()

    def is_closed(self) -> bool:
        with self._lock:
            return self.core.is_closed()

    def knows(self, endpoint: Any) -> bool:
        with self._lock:
            return self.core.knows(endpoint)

    def is_shut(self, endpoint: Any) -> bool:
        with self._lock:
            return self.core.is_shut(endpoint)

    def endpoints(self) -> list[Any]:
        with self._lock:
            return self.core.endpoints()

    def stats(self, endpoint: Any, everywhere: bool) -> PoolStats:
        with self._lock:
            return self.core.stats(endpoint, everywhere)

    def survey(self, endpoint: Any, everywhere: bool, now: float) -> Survey:
        with self._lock:
            return self.core.survey(endpoint, everywhere, now)
