"""Time that is up: in every phase of an acquire, and what the error says."""

from typing import Any

import pytest

from pool import PoolExhaustedError, PoolTimeoutError
from pool.aio import ConnectionPool
from support.aio import runtime

from .callers import Caller, queued, settled
from .fakes import Connection, FakeClock, Hooked, Manager, Recorder, assert_empty, held

#: Seconds that really pass: enough to get from the call to what hangs, however crowded the machine is.
AMPLE = 0.25


class Silent(Hooked):
    """Its server never answers: each call takes all its time. ``silent`` names the calls."""

    def __init__(self, *silent: str) -> None:
        super().__init__()
        self.silent = silent

    async def _listen(self, name: str, timeout: float | None) -> None:
        if name in self.silent:
            await runtime.Waiter().wait(timeout)
            raise TimeoutError(f"silence in {name}")

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        await self._listen("create", timeout)
        return await super().create(endpoint, timeout)

    async def check_aliveness(self, endpoint: Any, conn: Connection, timeout: float | None) -> bool:
        await self._listen("check_aliveness", timeout)
        return await super().check_aliveness(endpoint, conn, timeout)


class Tardy(Hooked):
    """Each call of the hook named takes 6 seconds of a fake clock, then raises ``error`` if set."""

    def __init__(self, clock: FakeClock, hook: str, error: Exception | None = None) -> None:
        super().__init__()
        self.clock = clock
        self.error = error
        self.on[hook] = self._dawdle

    def _dawdle(self, conn: Connection) -> None:
        self.clock.now += 6.0
        if self.error is not None:
            raise self.error


class Refusing(Manager):
    """Its creates take ``seconds`` of a fake clock and raise ``error``."""

    def __init__(self, clock: FakeClock, seconds: float, error: Exception) -> None:
        super().__init__()
        self.clock = clock
        self.seconds = seconds
        self.error = error

    async def create(self, endpoint: Any, timeout: float | None) -> Connection:
        self.clock.now += self.seconds
        raise self.error


def test_it_is_a_timeout_and_a_shortage() -> None:
    """Both kinds of ``except`` catch it."""
    assert issubclass(PoolTimeoutError, TimeoutError)
    assert issubclass(PoolTimeoutError, PoolExhaustedError)


# -- in the queue -----------------------------------------------------------------------------------


async def test_time_may_be_up_in_the_queue() -> None:
    """The caller leaves; the connection that he waited for is none the worse."""
    manager = Manager()
    async with ConnectionPool(manager, max_size=1) as pool:
        async with pool.connection("e"):
            with pytest.raises(PoolTimeoutError, match=r"'e' within 0.02 s .*phase: queue"):
                await pool.acquire("e", 0.02)
            assert pool.stats().waiting == 0
        assert pool.stats().timeouts == 1
        assert pool.stats().idle == 1
    assert_empty(pool, manager)


async def test_the_default_is_the_option() -> None:
    """``acquire_timeout`` holds where a call says nothing."""
    manager = Manager()
    pool = ConnectionPool(manager, max_size=1, acquire_timeout=0.02)
    async with pool, pool.connection("e"):
        with pytest.raises(PoolTimeoutError, match=r"within 0.02 s"):
            await pool.acquire("e")
    assert_empty(pool, manager)


async def test_none_means_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that says ``None`` has no deadline, whatever the option."""
    clock, manager = FakeClock(monkeypatch), Manager()
    async with ConnectionPool(manager, max_size=1, acquire_timeout=0.02, max_lifetime=None) as pool:
        async with pool.connection("e"):
            call = await queued(pool, Caller(pool, timeout=None).call)
            clock.now += 1e9
        assert await call.result() is manager.opened[0]
    assert_empty(pool, manager)


async def test_the_option_may_be_none_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a call that says nothing has no deadline."""
    clock, manager = FakeClock(monkeypatch), Manager()

    async def call() -> None:
        await held(pool)

    async with ConnectionPool(manager, max_size=1, acquire_timeout=None) as pool:
        async with pool.connection("e"):
            waiting = await queued(pool, call)
            clock.now += 1e9
        await waiting.result()
    assert_empty(pool, manager)


async def test_in_the_queue_the_cause_is_the_last_failed_connect() -> None:
    """It says why there are too few; the text names it too."""
    manager, error = Manager(), OSError("refused")
    pool = ConnectionPool(manager, max_size=2)
    async with pool, pool.connection("e"):
        manager.errors = [error]
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        with pytest.raises(PoolTimeoutError, match=r"OSError\('refused'\)") as caught:
            await pool.acquire("e", 0)
        assert caught.value.__cause__ is error
    assert_empty(pool, manager)


async def test_a_connect_that_succeeds_ends_the_blame() -> None:
    """A failure before the last success is no cause any more."""
    manager = Manager()
    pool = ConnectionPool(manager, max_size=2)
    async with pool, pool.connection("e"):
        manager.errors = [OSError("refused")]
        with pytest.raises(OSError, match="refused"):
            await pool.acquire("e")
        async with pool.connection("e"):
            with pytest.raises(PoolTimeoutError) as caught:
                await pool.acquire("e", 0)
            assert caught.value.__cause__ is None
            assert "refused" not in str(caught.value)
    assert_empty(pool, manager)


# -- while connecting -------------------------------------------------------------------------------


async def test_time_may_be_up_while_connecting() -> None:
    """Before the connect's own time is up, it is the acquire that took too long."""
    manager, recorder = Silent("create"), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        with pytest.raises(PoolTimeoutError, match=r"within 0.25 s .*phase: connect") as caught:
            await pool.acquire("e", AMPLE)
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert pool.stats().timeouts == 1
        assert recorder.events[-1].reason == "timeout"
        await settled(pool)
    assert_empty(pool, manager)


async def test_the_time_for_one_connect_may_be_up() -> None:
    """That is a failed connect, not an exhausted pool."""
    manager = Silent("create")
    async with ConnectionPool(manager, connect_timeout=0.02) as pool:
        with pytest.raises(TimeoutError) as caught:
            await pool.acquire("e", 10.0)
        assert not isinstance(caught.value, PoolTimeoutError)
        stats = pool.stats()
        assert (stats.timeouts, stats.errors) == (0, 1)
        await settled(pool)
    assert_empty(pool, manager)


async def test_the_manager_may_run_out_of_time_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``TimeoutError`` of its own, while there is time left, reaches the caller as it is."""
    error = TimeoutError("no answer")
    manager = Refusing(FakeClock(monkeypatch), seconds=1.0, error=error)
    async with ConnectionPool(manager) as pool:
        with pytest.raises(TimeoutError) as caught:
            await pool.acquire("e", 5.0)
        assert caught.value is error


@pytest.mark.parametrize("error", [TimeoutError("no answer"), OSError("reset")])
async def test_whatever_fails_a_connect_when_time_is_up_is_the_cause(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The caller asked for a limit, and it was reached: ``PoolTimeoutError`` from what was raised."""
    manager = Refusing(FakeClock(monkeypatch), seconds=6.0, error=error)
    async with ConnectionPool(manager) as pool:
        with pytest.raises(PoolTimeoutError, match="phase: connect") as caught:
            await pool.acquire("e", 5.0)
        assert caught.value.__cause__ is error
        assert repr(error) in str(caught.value)
        stats = pool.stats()
        assert (stats.timeouts, stats.errors) == (1, 1)


# -- while checking ---------------------------------------------------------------------------------


async def test_time_may_be_up_while_checking() -> None:
    """A check that never ends: its connection is closed, and nobody else was tried."""
    manager, recorder = Silent("check_aliveness"), Recorder()
    async with ConnectionPool(
        manager, check_after_idle=0, event_listeners=[recorder.listener]
    ) as pool:
        connection = await held(pool)
        with pytest.raises(PoolTimeoutError, match="phase: check") as caught:
            await pool.acquire("e", AMPLE)
        assert isinstance(caught.value.__cause__, TimeoutError)
        assert recorder.reasons() == [(1, "error")]
        assert recorder.events[-1].reason == "timeout"
        assert manager.started == 1
        await settled(pool)
        assert connection.disposed
    assert_empty(pool, manager)


async def test_a_check_is_told_how_much_time_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of the acquire, or ``None``."""
    FakeClock(monkeypatch)
    told: list[float | None] = []

    class Noting(Manager):
        """Notes the timeouts of its checks."""

        async def check_aliveness(
            self, endpoint: Any, conn: Connection, timeout: float | None
        ) -> bool:
            told.append(timeout)
            return True

    manager = Noting()
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        await held(pool)
        for timeout in (5.0, None):
            lease = await pool.acquire("e", timeout)
            await lease.release()
    assert told == [5.0, None]
    assert_empty(pool, manager)


async def test_a_connection_found_alive_too_late_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its caller has no time left, but the next one can have it."""
    manager = Tardy(FakeClock(monkeypatch), "check_aliveness")
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        await held(pool)
        with pytest.raises(PoolTimeoutError, match="phase: check"):
            await pool.acquire("e", 5.0)
        stats = pool.stats()
        assert (stats.idle, stats.timeouts, stats.acquired) == (1, 1, 1)
    assert_empty(pool, manager)


async def test_a_check_that_fails_too_late_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection is closed."""
    error = OSError("reset")
    manager = Tardy(FakeClock(monkeypatch), "check_aliveness", error)
    async with ConnectionPool(manager, check_after_idle=0) as pool:
        await held(pool)
        with pytest.raises(PoolTimeoutError, match="phase: check") as caught:
            await pool.acquire("e", 5.0)
        assert caught.value.__cause__ is error
        await settled(pool)
        assert pool.stats().total == 0
    assert_empty(pool, manager)


async def test_a_connection_found_dead_too_late_has_no_successor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There is no time to open another one: nothing is begun for a caller who is gone."""
    clock, manager = FakeClock(monkeypatch), Hooked()
    async with ConnectionPool(manager, check_after_idle=1.0) as pool:
        connection = await held(pool)
        connection.alive = False
        clock.now += 2.0
        manager.on["on_connection_dead"] = lambda conn: setattr(clock, "now", clock.now + 6.0)
        with pytest.raises(PoolTimeoutError):
            await pool.acquire("e", 5.0)
        assert manager.started == 1
        await settled(pool)
    assert_empty(pool, manager)


# -- while a hook prepares --------------------------------------------------------------------------


async def test_a_connection_prepared_too_late_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was prepared for somebody who does not get it."""
    manager, recorder = Tardy(FakeClock(monkeypatch), "on_acquire"), Recorder()
    async with ConnectionPool(manager, event_listeners=[recorder.listener]) as pool:
        with pytest.raises(PoolTimeoutError, match="phase: check"):
            await pool.acquire("e", 5.0)
        assert recorder.reasons() == [(1, "error")]
        assert recorder.events[-1].reason == "timeout"
        assert pool.stats().timeouts == 1
        assert manager.calls == ["on_acquire"]
        await settled(pool)
    assert_empty(pool, manager)


async def test_a_preparation_that_fails_too_late_is_the_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As for a connect: ``PoolTimeoutError`` from what was raised."""
    error = OSError("reset")
    manager = Tardy(FakeClock(monkeypatch), "on_acquire", error)
    async with ConnectionPool(manager) as pool:
        with pytest.raises(PoolTimeoutError, match="phase: check") as caught:
            await pool.acquire("e", 5.0)
        assert caught.value.__cause__ is error
        stats = pool.stats()
        assert (stats.timeouts, stats.errors) == (1, 1)
        await settled(pool)
    assert_empty(pool, manager)
