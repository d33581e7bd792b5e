"""What of the kit is different in the two worlds, and that ``pool.testing`` knows which is meant."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from behaviour._async.defective import Right as AsyncRight
from behaviour._async.defective import answer
from behaviour._sync.defective import Right

import pool.aio
import pool.sync
from pool import testing
from pool.aio import Stream
from pool.monitoring import ConnectionClosedEvent, PoolClosedEvent
from pool.testing import ConformanceReport
from support.servers import Server

CANCELLED = "a create that is cancelled leaves nothing open"
CALLABLE = "every hook can be called as the pool calls it"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(answer) as server:
        yield server


def check(manager: Any, endpoint: Any, **options: Any) -> ConformanceReport:
    """Check a manager of either world."""
    report: Any = testing.check_manager(manager, endpoint, short=0.05, strict=False, **options)
    if isinstance(report, ConformanceReport):
        return report

    async def run() -> ConformanceReport:
        found: ConformanceReport = await report
        return found

    return asyncio.run(run())


def reasons(report: ConformanceReport) -> dict[str, str]:
    return {finding.check: finding.reason for finding in report.failed}


# --- pool.testing itself -----------------------------------------------------------------------------


def test_goes_by_the_world_of_the_manager() -> None:
    """A manager is wrapped by one of its own world."""
    chaos = testing.ChaosManager(pool.sync.TcpConnectionManager(), 7, refuse=1.0, delay_time=0.1)
    assert type(chaos) is testing.sync.ChaosManager
    assert chaos.seed == 7
    with pytest.raises(ConnectionRefusedError):
        chaos.create(("localhost", 1), None)
    assert type(testing.ChaosManager(pool.aio.TcpConnectionManager())) is testing.aio.ChaosManager


@pytest.mark.parametrize("function", [testing.ChaosManager, testing.check_manager])
def test_what_is_no_manager(function: Any) -> None:
    """It is refused by name."""
    with pytest.raises(
        TypeError, match=r"neither a pool\.aio nor a pool\.sync ConnectionManager: 3"
    ):
        function(3, "endpoint")


def test_checks_managers_of_both_worlds(server: Server) -> None:
    """Each by its own rules: only one of them can be cancelled."""
    sync, aio = check(Right(), server.endpoint), check(AsyncRight(), server.endpoint)
    assert (sync.failed, aio.failed) == ((), ())
    assert [str(each) for each in sync.skipped] == [f"{CANCELLED}: a thread cannot be cancelled"]
    assert aio.skipped == ()
    assert [each.check for each in sync.findings] == [each.check for each in aio.findings]


def test_one_recorder_for_both_worlds() -> None:
    """It hears of pools of either world, blocks in one and is awaited in the other."""
    recorder = testing.EventRecorder()
    with (
        Server(answer) as server,
        pool.sync.ConnectionPool(Right(), event_listeners=[recorder]) as sync_pool,
    ):
        with sync_pool.connection(server.endpoint):
            pass

        async def visit() -> None:
            manager = AsyncRight()
            async with pool.aio.ConnectionPool(manager, event_listeners=[recorder]) as aio_pool:
                lease = await aio_pool.acquire(server.endpoint)
                await lease.release()
            await recorder.wait_for(PoolClosedEvent)
            with pytest.raises(TimeoutError):
                await recorder.wait_for(PoolClosedEvent, 2, timeout=0.01)

        asyncio.run(visit())
        thread = threading.Thread(target=sync_pool.close)
        thread.start()
        recorder.wait_for(testing.expect(ConnectionClosedEvent), count=2)
        thread.join()


# --- What can only be wrong in one world -------------------------------------------------------------


class ForgetsWhenCancelled(AsyncRight):
    """It catches what is an Exception, and a cancellation is none."""

    def __init__(self) -> None:
        super().__init__()
        self.forgotten: list[Stream] = []

    async def create(self, endpoint: Any, timeout: float | None) -> Stream:
        stream = await pool.aio.TcpConnectionManager.create(self, endpoint, timeout)
        self.forgotten.append(stream)
        try:
            await self.greet(stream, timeout)
        except Exception:
            stream.abort()
            raise
        self.forgotten.remove(stream)
        return stream


def test_forgets_when_cancelled(server: Server) -> None:
    """What is left open is named, and where."""
    manager = ForgetsWhenCancelled()
    found = reasons(check(manager, server.endpoint, patience=1.0))
    for stream in manager.forgotten:
        stream.abort()
    # What is over its time is cancelled as well.
    assert found.pop("a create whose time is up leaves nothing open").startswith("a create whose")
    text = "create, cancelled where it waits for the 2nd time, left open: "
    assert found.pop(CANCELLED).startswith(text)
    assert found == {}


class RaisesSomethingElse(AsyncRight):
    async def create(self, endpoint: Any, timeout: float | None) -> Stream:
        try:
            return await super().create(endpoint, timeout)
        except asyncio.CancelledError:
            raise ConnectionError("it was cancelled, or so") from None


def test_raises_something_else(server: Server) -> None:
    """A cancellation that comes out as an error is one that was lost."""
    found = reasons(check(RaisesSomethingElse(), server.endpoint))
    text = "create raised ConnectionError('it was cancelled, or so') in place of its cancellation"
    assert found == {CANCELLED: text}


class CannotBeCancelled(AsyncRight):
    """Whatever happens, it asks again."""

    async def create(self, endpoint: Any, timeout: float | None) -> Stream:
        try:
            return await super().create(endpoint, timeout)
        except asyncio.CancelledError:
            await asyncio.Event().wait()
            raise


def test_cannot_be_cancelled(server: Server) -> None:
    """It is told at which point; nor does it keep its timeouts."""
    found = reasons(check(CannotBeCancelled(), server.endpoint, patience=1.0))
    text = "create did not end when it was cancelled where it waits for the 1st time"
    assert found[CANCELLED] == text


class AsksAtLeisure(AsyncRight):
    async def can_reuse(self, endpoint: Any, conn: Any, error: Any) -> bool:  # type: ignore[override]
        return True


class IsNoCoroutine(AsyncRight):
    def on_acquire(self, endpoint: Any, conn: Any) -> None:  # type: ignore[override]
        pass


class IsACoroutine(Right):
    async def create(self, endpoint: Any, timeout: float | None) -> Any:  # type: ignore[override]
        pass


@pytest.mark.parametrize(
    ("manager", "text"),
    [
        (AsksAtLeisure(), "can_reuse is to be a plain def, and is an async one"),
        (IsNoCoroutine(), "on_acquire is to be an async def"),
        (IsACoroutine(), "create is to be a plain def"),
    ],
    ids=repr,
)
def test_hooks_of_the_wrong_kind(server: Server, manager: Any, text: str) -> None:
    """Nothing else is tried."""
    report = check(manager, server.endpoint)
    assert reasons(report) == {CALLABLE: text}
    assert report.passed == ()
