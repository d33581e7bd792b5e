"""Leases that are held too long: each is reported once, with the stack that took it, and goes on."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from pool.aio import ConnectionPool
from pool.monitoring import ConnectionLeakedEvent, ConnectionPoolListener
from support.aio import until

from .callers import Caller, line, queued
from .fakes import (
    Connection,
    FakeClock,
    Hooked,
    Keeper,
    Manager,
    Recorder,
    assert_empty,
    held,
)
from .meddlers import told

pytestmark = pytest.mark.concurrency

Pool = ConnectionPool[Any, Connection]


@pytest.fixture(params=[True, False], ids=["worker", "by hand"])
def keeper(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Keeper:
    """Who keeps the pool."""
    return Keeper(monkeypatch, request.param)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """A clock that the test turns."""
    return FakeClock(monkeypatch)


@pytest.fixture
def recorder() -> Recorder:
    """What is told."""
    return Recorder()


def make(keeper: Keeper, recorder: Recorder | None = None, **options: Any) -> Pool:
    """Return a pool whose leases must not be held for ten seconds."""
    options = {"leak_threshold": 10.0, "background_collector": keeper.worker, **options}
    listeners = [] if recorder is None else [recorder.listener]
    manager = options.pop("manager", None) or Manager()
    return ConnectionPool(manager, event_listeners=listeners, **options)


def leaks(recorder: Recorder) -> list[ConnectionLeakedEvent]:
    return [event for event in recorder.events if isinstance(event, ConnectionLeakedEvent)]


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings of leaks."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "pool.connection" and record.levelno == logging.WARNING
    ]


# -- the report -------------------------------------------------------------------------------------


@pytest.mark.parametrize("idle", [False, True], ids=["opened for him", "idle before"])
async def test_the_warning_names_the_culprit(
    idle: bool, keeper: Keeper, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """One record: the connection, for how long, the limit, and file, line and function."""
    async with make(keeper) as pool:
        if idle:
            await held(pool)
            clock.now += 12.0
            await keeper.tend(pool)
        async with pool.connection("e"):
            here = line() - 1
            clock.now += 12.0
            await keeper.tend(pool)
        (warning,) = warnings_of(caplog)
        assert warning.startswith(
            "connection #1 to 'e' has been held for 12.000 s, longer than leak_threshold=10.0; "
            f"acquired at {__file__}:{here} in test_the_warning_names_the_culprit:\n"
        )


@pytest.mark.parametrize("idle", [False, True], ids=["opened for him", "idle before"])
@pytest.mark.parametrize("listening", [False, True])
async def test_the_warning_shows_the_stack(
    idle: bool,
    listening: bool,
    keeper: Keeper,
    clock: FakeClock,
    recorder: Recorder,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The calls that led there, the oldest first, as a traceback shows them; none of the library's."""
    async with make(keeper, recorder if listening else None) as pool:
        if idle:
            await held(pool)

        async def inner() -> Any:
            return await pool.acquire("e")

        async def outer() -> Any:
            return await inner()

        lease = await outer()
        clock.now += 10.0
        await keeper.tend(pool)
        await lease.release()
        (warning,) = warnings_of(caplog)
        first = outer.__code__.co_firstlineno
        name = "test_the_warning_shows_the_stack"
        assert warning.endswith(
            f'  File "{__file__}", line {first + 3}, in {name}\n'
            f'  File "{__file__}", line {first + 1}, in {name}.<locals>.outer\n'
            f'  File "{__file__}", line {first - 2}, in {name}.<locals>.inner\n'
        )


async def test_listeners_are_told(keeper: Keeper, clock: FakeClock) -> None:
    """By the method of that name: the endpoint, the connection, the seconds, the stack."""
    told: list[ConnectionLeakedEvent] = []

    class Listener(ConnectionPoolListener):
        def connection_leaked(self, event: ConnectionLeakedEvent) -> None:
            told.append(event)

    async with ConnectionPool(
        Manager(),
        event_listeners=[Listener()],
        leak_threshold=10.0,
        background_collector=keeper.worker,
    ) as pool:
        async with pool.connection("e"):
            here = line() - 1
            clock.now += 11.0
            await keeper.tend(pool)
        (event,) = told
        assert (event.address, event.connection_id, event.duration) == ("e", 1, 11.0)
        assert event.stack.splitlines()[-1] == (
            f'  File "{__file__}", line {here}, in test_listeners_are_told'
        )


async def with_a_block(pool: Pool, body: Callable[[], Any]) -> int:
    async with pool.connection("e"):
        await body()
    return line() - 2


async def with_a_lease(pool: Pool, body: Callable[[], Any]) -> int:
    lease = await pool.acquire("e")
    await body()
    await lease.release()
    return line() - 3


async def with_a_lease_as_a_block(pool: Pool, body: Callable[[], Any]) -> int:
    lease = await pool.acquire("e")
    async with lease:
        await body()
    return line() - 3


async def with_a_block_made_before(pool: Pool, body: Callable[[], Any]) -> int:
    block = pool.connection("e")
    async with block:
        await body()
    return line() - 3


@pytest.mark.parametrize(
    "hold", [with_a_block, with_a_lease, with_a_lease_as_a_block, with_a_block_made_before]
)
async def test_however_it_is_held(
    keeper: Keeper, clock: FakeClock, hold: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The place that is named is the one where the user asked for the connection."""
    async with make(keeper) as pool:

        async def body() -> None:
            clock.now += 10.0
            await keeper.tend(pool)

        place = await hold(pool, body)
        (warning,) = warnings_of(caplog)
        assert f"acquired at {__file__}:{place} in {hold.__name__}:" in warning


async def test_a_deep_stack_is_cut(keeper: Keeper, clock: FakeClock, recorder: Recorder) -> None:
    """The innermost calls are shown."""
    async with make(keeper, recorder) as pool:

        async def dive(depth: int) -> Any:
            return await (dive(depth - 1) if depth else pool.acquire("e"))

        lease = await dive(100)
        clock.now += 10.0
        await keeper.tend(pool)
        await lease.release()
        (event,) = leaks(recorder)
        calls = event.stack.splitlines()
        assert len(calls) == 32
        assert all(call.endswith("dive") for call in calls)


# -- when -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [1000.0, 42275.934480541124, 77777.77])
async def test_not_before_the_time_is_up(
    keeper: Keeper, clock: FakeClock, recorder: Recorder, start: float
) -> None:
    """A lease of less than ``leak_threshold`` seconds is none of its business; one of as many is."""
    clock.now = start
    async with make(keeper, recorder, leak_threshold=0.1) as pool, pool.connection("e"):
        clock.now = start + 0.0999
        await keeper.tend(pool)
        assert not leaks(recorder)
        clock.now = start + 0.1
        await keeper.tend(pool)
        assert len(leaks(recorder)) == 1


async def test_a_lease_is_reported_once(
    keeper: Keeper, clock: FakeClock, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """However long it goes on, and whatever else is due meanwhile."""
    options: dict[str, Any] = {"max_lifetime": 60.0, "idle_timeout": 40.0}
    async with make(keeper, recorder, **options) as pool:
        async with pool.connection("e"):
            for _ in range(20):
                clock.now += 10.0
                await keeper.tend(pool)
        assert len(leaks(recorder)) == len(warnings_of(caplog)) == 1


async def test_the_next_lease_of_it_is_reported_again(
    keeper: Keeper, clock: FakeClock, recorder: Recorder
) -> None:
    """Each lease on its own, and each by its own time; the one between is short."""
    async with make(keeper, recorder, check_after_idle=None) as pool:
        for seconds in (11.0, 3.0, 12.0):
            async with pool.connection("e"):
                clock.now += seconds
                await keeper.tend(pool)
        assert [(event.connection_id, event.duration) for event in leaks(recorder)] == [
            (1, 11.0),
            (1, 12.0),
        ]


async def test_the_time_in_the_queue_does_not_count(
    keeper: Keeper, clock: FakeClock, recorder: Recorder
) -> None:
    """A lease begins when its connection is there, and one that was waited for is watched too."""
    async with make(keeper, recorder, max_size=1) as pool:
        lease = await pool.acquire("e")
        caller = Caller(pool, timeout=None, holds=True)
        call = await queued(pool, caller.call)
        clock.now += 9.0
        await lease.release()
        await until(lambda: caller.log)
        clock.now += 9.0
        await keeper.tend(pool)
        assert not leaks(recorder)
        clock.now += 1.0
        await keeper.tend(pool)
        assert [event.duration for event in leaks(recorder)] == [10.0]
        assert f"in {Caller.call.__qualname__}" in leaks(recorder)[0].stack
        caller.gate.open()
        await call.result()


async def test_several_at_once(keeper: Keeper, clock: FakeClock, recorder: Recorder) -> None:
    """Every one of them is reported, at every endpoint, each with its own place."""
    async with make(keeper, recorder) as pool:
        leases = [await pool.acquire(endpoint) for endpoint in ("a", "a", "b")]
        clock.now += 10.0
        await keeper.tend(pool)
        reported = sorted((event.address, event.connection_id) for event in leaks(recorder))
        assert reported == [("a", 1), ("a", 2), ("b", 1)]
        for lease in leases:
            await lease.release()


async def test_the_pool_reports_by_itself(recorder: Recorder) -> None:
    """While its holder holds it, and does nothing about it."""
    manager = Manager()
    async with (
        ConnectionPool(manager, event_listeners=[recorder.listener], leak_threshold=0.01) as pool,
        pool.connection("e"),
    ):
        await until(lambda: leaks(recorder))
        assert leaks(recorder)[0].duration >= 0.01
        assert pool.stats().in_use == 1
    assert_empty(pool, manager)


# -- what it does not do ----------------------------------------------------------------------------


async def test_the_lease_goes_on(keeper: Keeper, clock: FakeClock, recorder: Recorder) -> None:
    """It is still there, comes back as any other, and its connection is used again."""
    manager = Manager()
    async with make(keeper, recorder, manager=manager, check_after_idle=None) as pool:
        lease = await pool.acquire("e")
        clock.now += 10.0
        await keeper.tend(pool)
        assert lease.connection.number == 1
        assert pool.stats().in_use == 1
        await lease.release()
        assert pool.stats().idle == 1
        assert (await held(pool)).number == 1
        stats = pool.stats()
        assert (stats.acquired, stats.released, stats.errors, stats.use_time) == (2, 2, 0, 10.0)
    assert_empty(pool, manager)


async def test_the_order_of_what_is_told(
    keeper: Keeper, clock: FakeClock, recorder: Recorder
) -> None:
    """Out, leaked, in; then, if it is thrown away, closed."""
    async with make(keeper, recorder) as pool:
        lease = await pool.acquire("e")
        clock.now += 10.0
        await keeper.tend(pool)
        await lease.discard()
        assert told(recorder.events)[4:] == [
            ("ConnectionReady", 1),
            ("ConnectionCheckedOut", 1),
            ("ConnectionLeaked", 1),
            ("ConnectionCheckedIn", 1),
            ("ConnectionClosed", 1),
        ]


async def test_nothing_is_kept_without_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack costs time: nobody looks at it unless ``leak_threshold`` is set."""
    stacks: list[str] = []

    def calls() -> tuple[()]:
        stacks.append("taken")
        return ()

    monkeypatch.setattr("pool._async.lease.calls", calls)
    manager = Hooked()
    async with ConnectionPool(manager) as pool:
        await held(pool)
        await held(pool)
        assert not stacks
    async with ConnectionPool(manager, leak_threshold=60.0) as pool:
        await held(pool)
        await held(pool)
        assert stacks == ["taken", "taken"]
    assert_empty(pool, manager)


async def test_no_report_without_the_option(
    keeper: Keeper, clock: FakeClock, recorder: Recorder, caplog: pytest.LogCaptureFixture
) -> None:
    """A lease may take as long as it likes."""
    async with make(keeper, recorder, leak_threshold=None) as pool:
        async with pool.connection("e"):
            clock.now += 1e6
            await keeper.tend(pool)
        assert not leaks(recorder)
        assert not warnings_of(caplog)


async def test_a_listener_that_fails_does_not_stop_the_reports(
    keeper: Keeper, clock: FakeClock, recorder: Recorder
) -> None:
    """The others are told, and of the other leases too."""

    class Failing(ConnectionPoolListener):
        def connection_leaked(self, event: ConnectionLeakedEvent) -> None:
            raise LookupError

    manager = Manager()
    async with ConnectionPool(
        manager,
        event_listeners=[Failing(), recorder.listener],
        leak_threshold=10.0,
        background_collector=keeper.worker,
    ) as pool:
        leases = [await pool.acquire("e") for _ in range(2)]
        clock.now += 10.0
        await keeper.tend(pool)
        assert len(leaks(recorder)) == 2
        for lease in leases:
            await lease.release()
    assert_empty(pool, manager)


async def test_a_closed_pool_reports_none(
    keeper: Keeper, clock: FakeClock, recorder: Recorder
) -> None:
    """Its close has said already who still holds what."""
    manager = Manager()
    pool = make(keeper, recorder, manager=manager)
    lease = await pool.acquire("e")
    await pool.close()
    clock.now += 10.0
    await keeper.tend(pool)
    await lease.release()
    assert not leaks(recorder)
    assert_empty(pool, manager)
