"""The way in, whenever it takes more than an idle connection that is at hand.

Who owns the slot at each step, and who gives it back::

    the queue      the claim's place         abandon(): leaves, a grant that crossed it goes to the next
    connect        the claim's permit        opened(), or abandon(): closed, its permit to the next
    check, hooks   the claim's connection    confirm() or dead(), or abandon(): disposed of
    leased         the claim's connection    the lease

One path gives back: ``Attempt.run`` catches whatever ends the attempt, a cancellation included, and calls
``abandon``, which knows by the claim what there is to give back.
"""

from math import inf
from typing import Generic, TypeVar

from pool._async.connect import Overtaken, connect, tell_of_failure
from pool._async.engine import Engine, log
from pool._async.manager import ConnectionT, EndpointT
from pool._async.turns import introduce
from pool._core.records import Claim, Effects, Entry
from pool._core.report import cause_of, shortage
from pool._core.states import CLOSED, CONNECTING, GRANTED, OVERLOADED, TIMEOUT, UNKNOWN, WAITING
from pool._runtime.aio import Limit, abandoned, clock, name
from pool.errors import (
    PoolClearedError,
    PoolClosedError,
    PoolError,
    PoolOverloadedError,
    PoolTimeoutError,
)
from pool.monitoring import (
    ConnectionCheckedInEvent,
    ConnectionCheckedOutEvent,
    ConnectionCheckOutFailedEvent,
    ConnectionCheckOutFailedReason,
    ConnectionCheckOutStartedEvent,
    ConnectionClosedReason,
)

__all__ = ["Attempt"]

ErrorT = TypeVar("ErrorT", bound=PoolError)

# A sleep or a socket may wake up this much (seconds) before the time it was told.
_EARLY = 0.001

# "Now or never" is about what is idle now. To check and prepare that may take this long (seconds): cut at
# once, every check that needs the network would kill a good connection.
_MOMENT = 1.0


class Attempt(Generic[EndpointT, ConnectionT]):
    """One acquire.

    Parameters:
        engine: the pool's.
        claim: the caller's; it holds the connection at the end.
        timeout: seconds for all of it, ``None`` for no limit, 0 for now or never.
    """

    __slots__ = ("claim", "deadline", "endpoint", "engine", "started", "timeout", "told")

    def __init__(
        self,
        engine: Engine[EndpointT, ConnectionT],
        claim: Claim,
        timeout: float | None,
    ) -> None:
        self.engine = engine
        self.claim = claim
        self.endpoint: EndpointT = claim.endpoint
        self.timeout = timeout
        self.started = clock()
        self.deadline = inf if timeout is None else self.started + (timeout or _MOMENT)
        self.told = False
        """Whether anybody was told that it started."""

    async def run(self) -> None:
        """Acquire: the claim holds the connection then.

        Raises:
            PoolError: as the contract says.
            Exception: what ``create`` or a hook raised.
        """
        publish = self.engine.publish
        try:
            if publish is not None:
                if not self.engine.core.knows(self.endpoint):
                    await introduce(self.engine, self.endpoint, deadline=self.deadline)
                self.told = True
                publish(ConnectionCheckOutStartedEvent, self.endpoint)
            entry = await self._pursue()
        except BaseException as error:
            await self._give_up(error)
            raise
        if publish is not None:
            try:
                publish(ConnectionCheckedOutEvent, self.endpoint, entry.id, self._elapsed())
            except BaseException:
                try:
                    publish(ConnectionCheckedInEvent, self.endpoint, entry.id)
                finally:
                    self.engine.dismiss(self.engine.core.abandon(self.claim, clock()))
                raise
        if self.engine.options.leak_threshold is not None:
            self.engine.dismiss(self.engine.core.watch(self.claim))

    async def _pursue(self) -> Entry:
        # After a fork it has another core.
        engine, claim = self.engine, self.claim
        if self.told and claim.stack is None:
            # Nobody has looked for what is idle yet, since it had to be told first.
            taken = engine.core.take(claim, clock(), claim.owner)
            if taken is not None:
                return taken
        await self._proceed(engine.core.request(claim, clock(), self._patient()))
        while claim.verdict is UNKNOWN:
            await introduce(engine, self.endpoint, deadline=self.deadline)
            await self._proceed(engine.core.request(claim, clock(), self._patient()))
        while True:
            entry = await self._turn()
            if entry.state is CONNECTING:
                await self._connect(entry)
            else:
                await self._check(entry)
            if claim.entry is entry:
                await self._prepare(entry)
                effects = engine.core.confirm(claim, clock(), self._patient())
                if effects is not None:
                    await self._proceed(effects)
                if claim.entry is entry:
                    return entry
            # The connection was dead or a clear overtook us: we have asked again.

    async def _turn(self) -> Entry:
        """Wait until there is a connection or a permit to connect."""
        claim = self.claim
        verdict = claim.verdict
        if verdict is WAITING:
            woken = await claim.waiter.wait(self._left())
            verdict = claim.verdict if woken else TIMEOUT
        if verdict is not GRANTED:
            raise self._refusal(verdict)
        assert claim.entry is not None, "bug: granted nothing"
        return claim.entry

    async def _connect(self, entry: Entry) -> None:
        """Open a connection. The claim holds nothing afterwards if a clear overtook it."""
        engine = self.engine
        left = self._left()
        if left is not None and entry.optional:
            # The rest is for one of the others, should this one not be there in time.
            left /= 2
        seconds = _least(engine.options.connect_timeout, left)
        try:
            service = await connect(engine, entry, seconds)
        except Overtaken:
            await self._proceed(engine.core.retreat(self.claim, clock(), self._patient()))
            return
        except Exception as error:
            failures = engine.core.failed(self.claim, error, clock())
            if entry.doomed == ConnectionClosedReason.POOL_CLOSED:
                raise self._refusal(CLOSED) from error
            if self._late(_EARLY):
                # Another one is no use either: a hook that is cut off would break it.
                raise self._timed_out("connect") from error
            effects = engine.core.instead(self.claim, clock(), self._patient())
            if effects is not None:
                tell_of_failure(failures, self.endpoint, error, "beside those that work")
                await self._proceed(effects)
                return
            raise
        await self._proceed(engine.core.opened(self.claim, service, clock(), self._patient()))
        got = self.claim.entry
        if got is not None and got.id == entry.id and self._late():
            raise self._timed_out("connect")

    async def _check(self, entry: Entry) -> None:
        """Check an idle connection if that is due. The claim holds nothing afterwards if it is dead."""
        engine = self.engine
        after = engine.options.check_after_idle
        if engine.check is None or after is None:
            return
        # One that is to be closed is left alone: that shows when it is confirmed.
        if entry.doomed or not entry.is_doubtful(clock(), after):
            return
        entry.begun = True
        alive = False
        left = self._left()
        limit = Limit(left)
        try:
            async with limit:
                alive = await engine.check(self.endpoint, entry.connection, left)
        except Exception as error:
            if limit.expired or self._late(_EARLY):
                raise self._timed_out("check") from error
            log.warning(
                "check of connection #%d to %r failed: %r",
                entry.id,
                self.endpoint,
                error,
                exc_info=True,
            )
        if alive:
            entry.begun = False
            if self._late():
                raise self._timed_out("check")
            return
        if engine.on_dead is not None:
            await self._bury(entry)
        await self._proceed(engine.core.dead(self.claim, clock(), self._patient()))

    async def _bury(self, entry: Entry) -> None:
        assert self.engine.on_dead is not None
        try:
            async with Limit(self._left()):
                await self.engine.on_dead(self.endpoint, entry.connection)
        except Exception:
            log.exception("on_connection_dead for %r failed", self.endpoint)

    async def _prepare(self, entry: Entry) -> None:
        """Call ``on_acquire``."""
        engine = self.engine
        if engine.on_acquire is None or entry.doomed:
            return
        entry.begun = True
        limit = Limit(self._left())
        try:
            async with limit:
                await engine.on_acquire(self.endpoint, entry.connection)
        except Exception as error:
            engine.core.failed(self.claim, error, clock())
            if limit.expired or self._late(_EARLY):
                raise self._timed_out("check") from error
            raise
        if self._late():
            raise self._timed_out("check")

    # -- giving up ----------------------------------------------------------------------------------

    async def _give_up(self, error: BaseException) -> None:
        timed_out = isinstance(error, PoolTimeoutError)
        effects = self.engine.core.abandon(self.claim, clock(), timed_out)
        try:
            if abandoned(error):
                self.engine.dismiss(effects)
            else:
                # One who is cancelled must not be held up by a closing.
                patience = self._left() if isinstance(error, Exception) else 0.0
                await self.engine.proceed(effects, self._left(), patience)
        finally:
            if self.engine.publish is not None and self.told:
                reason = ConnectionCheckOutFailedReason.CONN_ERROR
                if timed_out:
                    reason = ConnectionCheckOutFailedReason.TIMEOUT
                elif isinstance(error, PoolClosedError):
                    reason = ConnectionCheckOutFailedReason.POOL_CLOSED
                self.engine.publish(
                    ConnectionCheckOutFailedEvent, self.endpoint, reason, self._elapsed()
                )

    async def _proceed(self, effects: Effects) -> None:
        """Do what was decided. A dispose that ends at once is waited for, no other holds us up."""
        if effects:
            await self.engine.proceed(effects, self._left(), 0.0)

    def _refusal(self, verdict: str) -> PoolError:
        """The error for a claim that gets nothing."""
        if verdict is TIMEOUT:
            return self._timed_out("queue")
        if verdict is CLOSED:
            return PoolClosedError(f"the pool of connections to {self.endpoint!r} is closed")
        if verdict is OVERLOADED:
            return self._explained(
                PoolOverloadedError,
                f"too many callers wait for a connection to {self.endpoint!r} "
                f"(max_waiting={self.engine.options.max_waiting})",
            )
        return self._explained(PoolClearedError, f"connections to {self.endpoint!r} are paused")

    def _timed_out(self, phase: str) -> PoolTimeoutError:
        return self._explained(
            PoolTimeoutError,
            f"no connection to {self.endpoint!r} within {_shown(self.timeout)} s (phase: {phase})",
        )

    def _explained(self, kind: type[ErrorT], text: str) -> ErrorT:
        """Make an error that says what the matter is, caused by the last failed connect."""
        survey = self.engine.core.survey(self.endpoint, False, clock())
        error = kind(f"{text}: {shortage(survey, name)}")
        error.__cause__ = cause_of(survey)
        return error

    # -- time ---------------------------------------------------------------------------------------

    def _elapsed(self) -> float:
        return clock() - self.started

    def _left(self) -> float | None:
        """The seconds left, ``None`` for any number."""
        return None if self.timeout is None else max(self.deadline - clock(), 0.0)

    def _patient(self) -> bool:
        """Whether there is time for more than taking what is idle."""
        return self.timeout != 0 and clock() < self.deadline

    def _late(self, early: float = 0.0) -> bool:
        """Whether the time is up."""
        return clock() >= self.deadline - early


def _shown(seconds: float | None) -> float | None:
    """A time to be read by people: one that was left of another has many digits."""
    return None if seconds is None else round(seconds, 4)


def _least(limit: float | None, left: float | None) -> float | None:
    if limit is None or left is None:
        return left if limit is None else limit
    return min(limit, left)
