"""How to cancel a call at its k-th suspension, and a manager whose every hook suspends several times."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

import pytest

from pool import monitoring
from pool.aio import ConnectionManager, ConnectionPool
from pool.testing._order import check_order
from support.aio import PATIENCE, until

__all__ = [
    "AS_IT_IS_SERVED",
    "AT_ONCE",
    "BRIEF",
    "SOON",
    "TIME_FLIES",
    "Conn",
    "HookError",
    "Hooked",
    "Quit",
    "Stepped",
    "Stepping",
    "World",
    "ended",
    "leap",
    "settle",
    "turn",
]

T = TypeVar("T")

#: When the cancel strikes: as soon as the call is suspended, or in the loop's turn in which what it waits
#: for is there already, but it does not know yet.
AT_ONCE = "at once"
AS_IT_IS_SERVED = "as it is served"
#: No cancel: time flies when the call is suspended.
TIME_FLIES = "time flies"

#: A time (seconds) that must run out.
BRIEF = 0.005

#: A time (seconds) that is over when time has flown; what takes ``PATIENCE`` is not.
SOON = 5.0


async def turn() -> None:
    """Suspend twice: once for the loop's turn, once for a future."""
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0)
    future = loop.create_future()
    loop.call_soon(settle, future)
    await future


async def ended(
    task: "asyncio.Task[T]", patience: float = PATIENCE, why: object = ""
) -> "asyncio.Task[T]":
    """Wait until a task has ended, however; fail if it hangs (``why``: what to show then)."""
    done, _ = await asyncio.wait([task], timeout=patience)
    if not done:
        task.cancel()
        await asyncio.wait([task], timeout=patience)
        pytest.fail(f"the call hangs {why!r}")
    return task


class Stepped(Generic[T]):
    """Awaits a call, counts its suspensions, and strikes the task that awaits it at the chosen ones."""

    def __init__(self, call: Coroutine[Any, Any, T], at: set[int], moment: str) -> None:
        self._call = call
        self._at = at
        self._moment = moment
        self.steps = 0
        self.strikes = 0
        self.cancels = 0

    def __await__(self) -> Generator[Any, Any, T]:
        send: Callable[[], Any] = lambda: self._call.send(None)  # noqa: E731
        while True:
            try:
                waits_for = send()
            except StopIteration as end:
                result: T = end.value
                return result
            if self.steps in self._at:
                self._strike(waits_for)
            self.steps += 1
            try:
                yield waits_for
            except BaseException as error:
                send = lambda error=error: self._call.throw(error)  # type: ignore[misc]  # noqa: E731
            else:
                send = lambda: self._call.send(None)  # noqa: E731

    def _strike(self, waits_for: "asyncio.Future[Any] | None") -> None:
        task = asyncio.current_task()
        assert task is not None
        self.strikes += 1
        if self._moment == TIME_FLIES:
            leap(1.1 * SOON)
            return
        self.cancels += 1
        if self._moment == AT_ONCE:
            task.cancel()
        elif waits_for is None:
            task.get_loop().call_soon(task.cancel)
        else:
            # Registered before the task's own callback, so called before it.
            waits_for.add_done_callback(lambda _: task.cancel())


def leap(seconds: float) -> None:
    """Set the event loop's clock forward: all that is due until then is due in its next turn, in order."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds  # type: ignore[method-assign]


def settle(future: "asyncio.Future[None]") -> None:
    """Wake who waits for it, unless he is gone or woken already."""
    if not future.done():
        future.set_result(None)


class HookError(Exception):
    """What a hook raises that is told to fail."""


class Quit(BaseException):
    """Somebody wants to be gone, wherever he is."""


#: What a hook raises, by its outcome.
_RAISED: dict[str, type[BaseException]] = {
    "error": HookError,
    "stray": asyncio.CancelledError,
    "quit": Quit,
}


class Conn:
    """One connection, that only one may work with at a time."""

    def __init__(self, endpoint: Any, number: int) -> None:
        self.endpoint = endpoint
        self.number = number
        self.alive = True
        self.user = ""
        self.spoiled = False
        """Whether a hook or a body was left in the middle, so that only a dispose may follow."""
        self.disposals = 0

    def __repr__(self) -> str:
        return (
            f"<Conn {self.number} of {self.endpoint!r} user={self.user!r} spoiled={self.spoiled}>"
        )


class Stepping(ConnectionManager[Any, Conn]):
    """Suspends in each hook several times, does there what ``outcomes`` says, and notes every fault.

    An outcome is ``"ok"``, ``"error"``, ``"slow"`` (many suspensions), ``"never"`` (until it is cut),
    ``"stray"`` (a cancellation that nobody asked for) or ``"quit"``, by the hook's name. Only the ``victim``
    meets it, but in a dispose, which is nobody's, everybody. Nothing is asserted in here, as the pool might
    contain it: ``faults`` must stay empty.
    """

    def __init__(self) -> None:
        self.opened: list[Conn] = []
        self.faults: list[str] = []
        self.outcomes: dict[str, str] = {}
        self.victim: asyncio.Task[Any] | None = None
        self.inside: Callable[[str, Conn | None], Coroutine[Any, Any, None]] | None = None
        """What happens in every hook, after its suspensions."""
        self.begun: list[str] = []
        self.cut: list[str] = []
        # Per endpoint now, and the most that any ever had.
        self.creating: Counter[Any] = Counter()
        self.live: Counter[Any] = Counter()
        self.most_creating = self.most_live = 0
        self.most_of_all = 0
        """The most that there ever were, at all endpoints together."""
        self.reusable = False

    def meets(self, hook: str) -> bool:
        """Return whether the task that asks meets the outcome of a hook."""
        return hook == "dispose" or asyncio.current_task() is self.victim

    async def act(self, hook: str, conn: Conn | None = None) -> None:
        """Take part in ``hook`` as it is told to."""
        if conn is not None:
            self.enter(conn, hook)
        self.begun.append(hook)
        outcome = self.outcomes.get(hook, "ok") if self.meets(hook) else "ok"
        try:
            for _ in range(12 if outcome == "slow" else 2):
                await turn()
            if outcome == "never":
                await asyncio.get_running_loop().create_future()
            if outcome in _RAISED:
                raise _RAISED[outcome](hook)
            if self.inside is not None:
                await self.inside(hook, conn)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                self.cut.append(hook)
            if conn is not None:
                conn.spoiled = True
            raise
        finally:
            if conn is not None:
                self.leave(conn, hook)

    def enter(self, conn: Conn, user: str) -> None:
        """Note that ``user`` works with a connection now."""
        spoiled = conn.spoiled and user not in ("dispose", "on_connection_dead")
        if conn.user or conn.disposals or spoiled:
            self.faults.append(f"{user} works with {conn}, disposals={conn.disposals}")
        conn.user = user

    def leave(self, conn: Conn, user: str) -> None:
        """Note that ``user`` is done."""
        if conn.user != user:
            self.faults.append(f"{user} leaves {conn}")
        conn.user = ""

    async def create(self, endpoint: Any, timeout: float | None) -> Conn:
        self.creating[endpoint] += 1
        self.most_creating = max(self.most_creating, self.creating[endpoint])
        try:
            await self.act("create")
        finally:
            self.creating[endpoint] -= 1
        conn = Conn(endpoint, len(self.opened) + 1)
        self.opened.append(conn)
        self.live[endpoint] += 1
        self.most_live = max(self.most_live, self.live[endpoint])
        self.most_of_all = max(self.most_of_all, self.live.total())
        return conn

    async def dispose(self, endpoint: Any, conn: Conn, timeout: float | None) -> None:
        try:
            await self.act("dispose", conn)
        finally:
            conn.disposals += 1
            self.live[endpoint] -= 1


class Hooked(Stepping):
    """Overrides every hook."""

    async def check_aliveness(self, endpoint: Any, conn: Conn, timeout: float | None) -> bool:
        await self.act("check_aliveness", conn)
        return conn.alive

    async def on_acquire(self, endpoint: Any, conn: Conn) -> None:
        await self.act("on_acquire", conn)

    async def on_release(self, endpoint: Any, conn: Conn) -> None:
        await self.act("on_release", conn)

    async def on_connection_dead(self, endpoint: Any, conn: Conn) -> None:
        await self.act("on_connection_dead", conn)

    def can_reuse(self, endpoint: Any, conn: Conn, error: BaseException) -> bool:
        return self.reusable


class World:
    """A pool, its manager, its events, and whoever else uses it in one run.

    Parameters:
        hooked: whether every hook is overridden.
        manager: another one than those.
        options: the pool's.
    """

    def __init__(
        self, *, hooked: bool = True, manager: Stepping | None = None, **options: Any
    ) -> None:
        self.manager = manager or (Hooked() if hooked else Stepping())
        self.events: list[Any] = []
        listener = monitoring.on(self.events.append)
        options = {"max_size": 1, "check_after_idle": 0, **options}
        self.pool: ConnectionPool[Any, Conn] = ConnectionPool(
            self.manager, event_listeners=[listener], **options
        )
        self.bounds = self.pool.options
        """With the sizes that were never exceeded: who makes them larger must say so here."""
        self.others: list[asyncio.Task[Any]] = []
        self.leases: list[Any] = []

    async def acquire(self, timeout: float = PATIENCE, *, endpoint: str = "e") -> None:
        """Acquire a lease and keep it in ``leases``."""
        self.leases.append(await self.pool.acquire(endpoint, timeout=timeout))

    async def use(self, timeout: float = PATIENCE, *, endpoint: str = "e") -> None:
        """Hold a connection for a while."""
        async with self.pool.connection(endpoint, timeout=timeout) as conn:
            self.manager.enter(conn, "body")
            try:
                await turn()
            except BaseException:
                conn.spoiled = not self.manager.reusable
                raise
            finally:
                self.manager.leave(conn, "body")

    async def idle(self, count: int = 1, endpoint: str = "e") -> list[Conn]:
        """Leave ``count`` connections idle."""
        leases = [await self.pool.acquire(endpoint) for _ in range(count)]
        conns = [lease.connection for lease in leases]
        for lease in leases:
            await lease.release()
        assert self.pool.stats(endpoint).idle == count
        return conns

    def also(self, call: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Let somebody else do something at the same time; he must succeed in it."""
        task = asyncio.ensure_future(call)
        self.others.append(task)
        return task

    async def when(
        self, condition: Callable[[], object], call: Callable[[], Coroutine[Any, Any, Any]]
    ) -> None:
        """Do something as soon as a condition holds, or the victim has ended."""
        await until(lambda: condition() or self.over())
        await call()

    def over(self) -> bool:
        """Return whether the victim has ended."""
        return self.manager.victim is not None and self.manager.victim.done()

    def _release_all(self) -> bool:
        while self.leases:
            self.others.append(asyncio.ensure_future(self.leases.pop().release()))
        return all(task.done() for task in self.others)

    async def rest(self) -> None:
        """Wait until the pool has done what it does by itself: nothing."""

    async def settle(self, *, open_still: bool = True) -> None:
        """Let everybody end, and assert that nothing is lost.

        Parameters:
            open_still: the pool is not closed: a newcomer must be served.
        """
        self.manager.outcomes.clear()
        # The others may wait for our leases, or have leases for us.
        await until(self._release_all)
        for task in self.others:
            task.result()
        if open_still:
            assert self.pool.stats().waiting == 0, self.pool
            await self.use()
            await self.rest()
            # A closing takes its time; every other count is back at once.
            stats = self.pool.stats()
            assert (stats.in_use, stats.connecting, stats.waiting) == (0, 0, 0), stats
            assert stats.total == stats.idle + stats.closing, stats
        await ended(asyncio.ensure_future(self.pool.close(timeout=None)))
        stats = self.pool.stats()
        assert (stats.total, stats.waiting) == (0, 0), stats
        assert stats.acquired == stats.released, stats
        assert stats.created == stats.closed, stats
        manager, options = self.manager, self.pool.options
        assert not manager.faults, manager.faults
        assert [conn.disposals for conn in manager.opened] == [1] * len(manager.opened)
        assert manager.most_live <= (self.bounds.max_size or manager.most_live)
        assert manager.most_of_all <= (self.bounds.total_max_size or manager.most_of_all)
        assert manager.most_creating <= options.max_connecting
        check_order(self.events, ended=True)
