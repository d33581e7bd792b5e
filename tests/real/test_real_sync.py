"""The examples for threads against real servers. The same with asyncio is in ``test_real_aio.py``."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.pq import TransactionStatus
from real.kit import PROMPT, TIMEOUT, Kit, Tally
from real.kit_sync import KITS

from pool import PoolTimeoutError
from pool.sync import ConnectionPool
from support.real import RealServer
from support.sync import call_soon, until

MAX_SIZE = 4


class Rig:
    """A pool, its kit, and the server's endpoint."""

    def __init__(self, kit: Kit, server: RealServer, **options: Any) -> None:
        self.kit = kit
        self.tally = Tally()
        self.endpoint = kit.endpoint(server)
        self.pool: ConnectionPool[Any, Any] = ConnectionPool(
            kit.manager(self.tally), max_size=MAX_SIZE, **options
        )

    def echo(self, n: int, timeout: float = TIMEOUT) -> int:
        with self.pool.connection(self.endpoint, timeout=timeout) as conn:
            return int(self.kit.echo(conn, n, timeout))

    def hold(self, count: int) -> None:
        """Open connections and leave them idle."""
        leases = [self.pool.acquire(self.endpoint, TIMEOUT) for _ in range(count)]
        for lease in leases:
            lease.release()


@pytest.fixture
def kit(protocol: str) -> Kit:
    return KITS[protocol]


def test_many_callers_share_few_connections(kit: Kit, server: RealServer) -> None:
    """Everybody gets his own answer, and the server never sees more than ``max_size`` connections."""
    rig = Rig(kit, server)
    seen = [0]
    with rig.pool, ThreadPoolExecutor(20) as threads:
        calls = [threads.submit(rig.echo, n) for n in range(1000)]
        while not all(call.done() for call in calls):
            seen.append(server.connections())
        assert [call.result() for call in calls] == list(range(1000))
        assert rig.pool.stats().created == rig.tally.total <= MAX_SIZE
    assert 0 < max(seen) <= MAX_SIZE
    assert rig.tally.most <= rig.pool.options.max_connecting


def test_refusal(kit: Kit, server: RealServer) -> None:
    """What the server refuses reaches the caller, and the connection serves the next one."""
    rig = Rig(kit, server)
    with rig.pool as pool:
        for _ in range(3):
            with pytest.raises(kit.offence), pool.connection(rig.endpoint) as conn:
                kit.offend(conn)
        assert rig.echo(1) == 1
        assert (pool.stats().idle, pool.stats().created) == (1, 1)


def test_no_answer(kit: Kit, server: RealServer) -> None:
    """A request given up half-way costs the connection, and nobody gets the answer to it."""
    rig = Rig(kit, server)
    with rig.pool as pool:
        with pytest.raises(TimeoutError), pool.connection(rig.endpoint) as conn:
            kit.hang(conn, 0.1)
        assert pool.stats().total == 0
        assert rig.echo(1) == 1
        assert pool.stats().created == 2


def test_transaction_left_open(postgres_server: RealServer) -> None:
    """A transaction that a body forgets is gone when the next one comes."""
    rig = Rig(KITS["postgres"], postgres_server)
    with rig.pool as pool:
        with pool.connection(rig.endpoint) as conn:
            conn.execute("BEGIN")
        with pool.connection(rig.endpoint) as conn:
            assert conn.info.transaction_status == TransactionStatus.IDLE
        assert pool.stats().created == 1


def test_error_in_a_transaction(postgres_server: RealServer) -> None:
    """An error within a transaction costs the connection."""
    rig = Rig(KITS["postgres"], postgres_server)
    with rig.pool as pool:

        def fail() -> None:
            with pool.connection(rig.endpoint) as conn:
                conn.execute("BEGIN")
                conn.execute("SELECT nonsense")

        with pytest.raises(psycopg.Error):
            fail()
        assert pool.stats().total == 0


def test_restart_while_idle(kit: Kit, server: RealServer) -> None:
    """A server that was killed and is back: the next caller gets a new connection, and no error."""
    rig = Rig(kit, server, check_after_idle=0)
    with rig.pool as pool:
        rig.hold(3)
        server.restart()
        assert rig.echo(1) == 1
        assert (pool.stats().total, pool.stats().created) == (1, 4)


@pytest.mark.parametrize("idle", [0, 1])
def test_silent_server(kit: Kit, server: RealServer, idle: int) -> None:
    """While a server hangs callers are told in time, whether they check or connect; then it goes on."""
    rig = Rig(kit, server, check_after_idle=0)
    with rig.pool as pool:
        rig.hold(idle)
        server.pause()
        for timeout in (1.2, 0.5):
            started = time.monotonic()
            with pytest.raises(PoolTimeoutError):
                rig.echo(1, timeout)
            assert timeout - 0.01 < time.monotonic() - started < timeout + PROMPT
        server.resume()
        assert rig.echo(2) == 2
        assert pool.stats().in_use == 0


def test_interrupt(kit: Kit, server: RealServer) -> None:
    """Whoever waits for a silent server is freed by a clear that interrupts."""
    rig = Rig(kit, server)
    with rig.pool as pool:

        def hang() -> None:
            with pool.connection(rig.endpoint) as conn:
                kit.hang(conn, 60.0)

        running = call_soon(hang)
        until(lambda: pool.stats().in_use)
        server.pause()
        pool.clear(interrupt_connections=True)
        with pytest.raises(kit.failures):
            running.result()
        assert pool.stats().total == 0
