"""One connection to Redis that many threads share, under stress and when it breaks."""

import random
import threading
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import redis
from sync_only.steps import Strike

from pool._runtime.sync import Waiter
from pool._runtime.sync_net import Readiness
from pool.sync.redis import PipelinedConnection, PipelinedRedisManager
from pool.testing import ChaosProxy
from support.real import HOST, RealServer
from support.sync_net import start

LIMIT = 20.0


@pytest.fixture
def proxy(redis_server: RealServer) -> Iterator[ChaosProxy]:
    with ChaosProxy(HOST, redis_server.port) as proxy:
        yield proxy


def ask_often(conn: PipelinedConnection, thread: int, times: int) -> int:
    """Ask again and again, now and then impatiently; return how many replies came."""
    chance = random.Random(thread)
    count = 0
    for turn in range(times):
        value = b"%d-%d" % (thread, turn) * chance.choice([1, 1, 1, 1, 5000])
        timeout = chance.choice([LIMIT] * 9 + [0.0005])
        try:
            assert conn.ask("ECHO", value, timeout=timeout) == value
        except TimeoutError:
            assert timeout < LIMIT
        else:
            count += 1
    return count


@pytest.mark.concurrency
def test_stress(redis_server: RealServer) -> None:
    """8 threads with 500 commands each get the right replies, though some give up."""
    manager = PipelinedRedisManager()
    conn = manager.create((HOST, redis_server.port), LIMIT)
    calls = [start(ask_often, conn, number, 500) for number in range(8)]
    assert all(call.outcome() > 400 for call in calls)
    assert conn.ask("ECHO", "x", timeout=LIMIT) == b"x"
    assert conn.is_settled
    conn.disconnect()


@pytest.mark.concurrency
@pytest.mark.parametrize("how", ["interrupt", "reset"])
def test_broken_under_stress(proxy: ChaosProxy, how: str) -> None:
    """Connections that break at any moment: nobody hangs, and nobody gets a wrong reply."""
    manager = PipelinedRedisManager()
    for _ in range(5):
        conn = manager.create(proxy.address, LIMIT)
        calls = [start(ask_often, conn, number, 10**6) for number in range(8)]
        begun = threading.Event()
        threading.Timer(0.02, begun.set).start()
        assert begun.wait(LIMIT)
        if how == "interrupt":
            manager.interrupt(proxy.address, conn)
        else:
            proxy.reset()
        for call in calls:
            with pytest.raises(redis.ConnectionError, match="is lost"):
                call.outcome()
        assert not manager.can_reuse(proxy.address, conn, redis.ConnectionError())
        manager.dispose(proxy.address, conn, LIMIT)


def stepping(strike: Strike, wait: Callable[..., bool]) -> Callable[..., bool]:
    """Return a wait whose beginning and end are steps."""

    def stepped(*args: Any) -> bool:
        strike.step()
        woken = wait(*args)
        strike.step()
        return woken

    return stepped


@pytest.mark.concurrency
@pytest.mark.parametrize("others", [0, 3])
@pytest.mark.parametrize("size", [1, 3_000_000])
def test_interrupted_at_every_step(
    redis_server: RealServer, others: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in any wait of one thread: all others get their own replies."""
    conn = PipelinedRedisManager().create((HOST, redis_server.port), LIMIT)
    for number in count():
        strike = Strike()
        with monkeypatch.context() as patch:
            patch.setattr(Waiter, "wait", stepping(strike, Waiter.wait))
            patch.setattr(Readiness, "wait", stepping(strike, Readiness.wait))
            calls = [start(ask_often, conn, other, 5) for other in range(others)]
            strike.arm({number})
            interrupted = False
            try:
                assert conn.ask("ECHO", b"x" * size, timeout=LIMIT) == b"x" * size
            except KeyboardInterrupt:
                interrupted = True
            strike.disarm()
            for call in calls:
                call.outcome()
        assert conn.ask("ECHO", number, timeout=LIMIT) == b"%d" % number
        assert conn.is_settled
        if not interrupted or number > 20:
            break
    assert number > 0
    conn.disconnect()
