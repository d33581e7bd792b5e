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
from typing import Generic

from pool._async.engine import Engine, log
from pool._async.manager import ConnectionT, EndpointT
from pool._core.records import (
    CLOSED,
    CONNECTING,
    GRANTED,
    OVERLOADED,
    TIMEOUT,
    UNKNOWN,
    WAITING,
    Claim,
    Effects,
    Entry,
)
from pool._core.report import shortage
from pool._runtime.aio import Limit, clock
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
    ConnectionCreatedEvent,
    ConnectionReadyEvent,
)

__all__ = ["Attempt"]

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
                    await self.engine.introduce(self.endpoint, deadline=self.deadline)
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

    async def _pursue(self) -> Entry:
        core, claim = self.engine.core, self.claim
        verdict = core.request(claim, clock(), self._patient())
        while verdict is UNKNOWN:
            await self.engine.introduce(self.endpoint, deadline=self.deadline)
            verdict = core.request(claim, clock(), self._patient())
        while True:
            entry = await self._turn()
            if entry.state is CONNECTING:
                await self._connect(entry)
            else:
                await self._check(entry)
            if claim.entry is entry:
                await self._prepare(entry)
                effects = core.confirm(claim, clock(), self._patient())
                if effects is None:
                    return entry
                await self._proceed(effects)
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
        engine, endpoint = self.engine, self.endpoint
        publish = engine.publish
        seconds = _least(engine.options.connect_timeout, self._left())
        # In this order: a clear condemns the entry, then looks for the limit.
        limit = entry.limit = Limit(seconds)
        if await self._overtaken(entry):
            return
        entry.begun = True
        started = clock()
        if publish is not None:
            publish(ConnectionCreatedEvent, endpoint, entry.id)
        try:
            async with limit:
                entry.connection = await engine.manager.create(endpoint, seconds)
            service = engine.service_id and engine.service_id(endpoint, entry.connection)
        except Exception as error:
            if limit.broken:
                await self._retreat()
                return
            self._connect_failed(entry, error, limit, seconds)
            raise
        if await self._overtaken(entry):
            return
        if publish is not None:
            publish(ConnectionReadyEvent, endpoint, entry.id, clock() - started)
        effects = engine.core.opened(self.claim, service, clock(), self._patient())
        await self._proceed(effects)
        if self.claim.entry is entry and self._late():
            raise self._timed_out("connect")

    def _connect_failed(
        self, entry: Entry, error: Exception, limit: Limit, seconds: float | None
    ) -> None:
        """Note it, and raise what should be raised in its place, if anything."""
        cause: Exception = error
        if limit.expired and isinstance(error, TimeoutError) and not error.args:
            # It is the limit's own, which knows nothing of us.
            cause = TimeoutError(f"connect to {self.endpoint!r} took longer than {seconds:.3f} s")
            cause.__cause__ = error
        self.engine.core.failed(self.claim, cause, clock())
        if entry.doomed == ConnectionClosedReason.POOL_CLOSED:
            raise self._refusal(CLOSED) from cause
        if self._late(_EARLY):
            raise self._timed_out("connect") from cause
        if cause is not error:
            raise cause

    async def _check(self, entry: Entry) -> None:
        """Check an idle connection if that is due. The claim holds nothing afterwards if it is dead."""
        engine = self.engine
        after = engine.options.check_after_idle
        if engine.check is None or after is None or (after and clock() - entry.since <= after):
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
        if engine.on_acquire is None:
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
            if isinstance(error, GeneratorExit):
                # Nobody drives us any more: there is nothing to wait with.
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

    async def _overtaken(self, entry: Entry) -> bool:
        """Whether a clear or close overtook the connect; then we have asked again."""
        if entry.doomed:
            await self._retreat()
        return bool(entry.doomed)

    async def _retreat(self) -> None:
        await self._proceed(self.engine.core.retreat(self.claim, clock(), self._patient()))

    async def _proceed(self, effects: Effects) -> None:
        """Do what was decided. A dispose that ends at once is waited for, no other holds us up."""
        await self.engine.proceed(effects, self._left(), 0.0)

    def _refusal(self, verdict: str) -> PoolError:
        """The error for a claim that gets nothing."""
        if verdict is TIMEOUT:
            return self._timed_out("queue")
        if verdict is CLOSED:
            return PoolClosedError(f"the pool of connections to {self.endpoint!r} is closed")
        survey = self.engine.core.survey(self.endpoint, False, clock())
        if verdict is OVERLOADED:
            return PoolOverloadedError(
                f"too many callers wait for a connection to {self.endpoint!r} "
                f"(max_waiting={self.engine.options.max_waiting}): {shortage(survey)}"
            )
        return PoolClearedError(
            f"connections to {self.endpoint!r} are paused after a clear: {shortage(survey)}"
        )

    def _timed_out(self, phase: str) -> PoolTimeoutError:
        survey = self.engine.core.survey(self.endpoint, False, clock())
        error = PoolTimeoutError(
            f"no connection to {self.endpoint!r} within {self.timeout} s "
            f"(phase: {phase}): {shortage(survey)}"
        )
        last = survey.homes[0].last_error if survey.homes else None
        error.__cause__ = last and last[0]
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


def _least(limit: float | None, left: float | None) -> float | None:
    if limit is None or left is None:
        return left if limit is None else limit
    return min(limit, left)
