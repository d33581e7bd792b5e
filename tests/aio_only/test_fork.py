"""Forks: the event loop of a pool that was used is the parent's, and the child is told so."""

import asyncio
import gc
import os
import subprocess
import sys
import warnings
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aio_only.steps import Conn, Stepping
from aio_only.test_loops import USES, Use

from pool import LeaseReleasedError
from pool.aio import ConnectionPool, TcpConnectionManager
from support.aio import call_soon, until
from support.certs import client_context, server_context
from support.forks import FORKS, child
from support.servers import PATIENCE, Server

pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.filterwarnings(FORKS),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]

Pool = ConnectionPool[Any, Conn]


class Forking(Stepping):
    """Notes what it is told of after a fork."""

    def __init__(self) -> None:
        super().__init__()
        self.inherited: list[tuple[Any, int]] = []

    def after_fork(self, endpoint: Any, conn: Conn) -> None:
        self.inherited.append((endpoint, conn.number))


async def use(pool: Pool) -> int:
    async with pool.connection("e") as conn:
        return conn.number


@pytest.mark.parametrize("act", USES)
@pytest.mark.parametrize("running", [True, False])
def test_a_pool_that_was_used(act: Use, running: bool) -> None:
    """Whatever the child tries, in a loop of its own, it is told of the fork; the parent's pool goes on."""
    manager = Forking()
    pool: Pool = ConnectionPool(manager)

    def try_it() -> str:
        with asyncio.Runner() as runner, pytest.raises(RuntimeError) as caught:
            runner.run(act(pool))
        return str(caught.value)

    async def fork() -> str:
        text: str = child(try_it)
        return text

    with asyncio.Runner() as runner:
        runner.run(use(pool))
        told = runner.run(fork()) if running else child(try_it)
        assert "before it was forked" in told
        assert runner.run(use(pool)) == 1
        runner.run(pool.close())
    assert [conn.disposals for conn in manager.opened] == [1]


@pytest.mark.parametrize("running", [True, False])
def test_a_pool_that_was_not_used(running: bool) -> None:
    """It works in the child, and in the parent too."""
    pool: Pool = ConnectionPool(Forking())

    def work() -> tuple[int, int]:
        with asyncio.Runner() as runner:
            number = runner.run(use(pool))
            runner.run(pool.close(None))
        return number, pool.stats().total

    async def fork() -> Any:
        return child(work)

    with asyncio.Runner() as runner:
        assert (runner.run(fork()) if running else child(work)) == (1, 0)
        assert runner.run(use(pool)) == 1
        runner.run(pool.close())


def test_questions_work_in_the_child() -> None:
    """They need no loop, and find nothing."""
    pool: Pool = ConnectionPool(Forking(), name="main")

    def ask() -> tuple[Any, ...]:
        stats = pool.stats()
        return stats.total, stats.acquired, pool.explain(), repr(pool), pool.options.max_size

    async def main() -> None:
        async with pool.connection("e"):
            answers = child(ask)
        assert answers[:3] == (0, 0, "no endpoint in use")
        assert answers[3].startswith("<ConnectionPool 'main' open: 0 endpoints")
        assert answers[4] == 10
        await pool.close()

    asyncio.run(main())


async def test_leases_of_the_parent_are_over() -> None:
    """To end one does nothing in the child, in whichever loop; in the parent it goes on."""
    manager = Forking()
    pool: Pool = ConnectionPool(manager)
    lease = await pool.acquire("e")
    other = await pool.acquire("f")

    def end() -> Any:
        with pytest.raises(LeaseReleasedError, match="is the parent process's"):
            _ = lease.connection
        with asyncio.Runner() as runner:
            runner.run(lease.release())
            runner.run(other.discard())
        return sorted(manager.inherited), manager.begun

    inherited, begun = child(end)
    assert inherited == [("e", 1), ("f", 2)]
    assert begun == ["create", "create"]
    assert lease.connection.number == 1
    await lease.release()
    await other.release()
    assert pool.stats().idle == 2
    await pool.close()


async def test_what_the_child_forgets() -> None:
    """It drops pool and leases, and collects: no warning, no task, no dispose."""
    manager = Forking()
    kept: list[Any] = [ConnectionPool(manager)]
    kept.append(await kept[0].acquire("e"))

    def forget() -> Any:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            kept.clear()
            gc.collect()
        return [str(warning.message) for warning in warned], manager.begun

    assert child(forget) == ([], ["create"])
    pool, lease = kept
    await lease.release()
    await pool.close()


async def in_create(pool: Pool) -> None:
    await pool.acquire("e")


async def in_a_body(pool: Pool) -> None:
    async with pool.connection("e"):
        await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("act", [in_create, in_a_body])
async def test_tasks_of_the_parent(
    act: Callable[[Pool], Coroutine[Any, Any, None]],
) -> None:
    """They are not continued in the child, nor ended there with anything that is seen outside."""
    manager = Forking()
    pool: Pool = ConnectionPool(manager)
    if act is in_create:
        manager.outcomes["create"] = "never"
    call = asyncio.ensure_future(act(pool))
    manager.victim = call
    await until(lambda: pool.stats().total == 1)
    if act is in_a_body:
        await until(lambda: pool.stats().in_use == 1)

    def look() -> Any:
        gc.collect()
        return pool.stats().total, [conn.disposals for conn in manager.opened]

    assert child(look) == (0, [0] * (act is in_a_body))
    assert pool.stats().total == 1
    call.cancel()
    await asyncio.wait([call])
    await pool.close(None)


@pytest.mark.parametrize("secure", [True, False])
async def test_real_connections(secure: bool) -> None:
    """The other side learns nothing of what the child does, and the parent's streams go on."""
    manager = TcpConnectionManager(ssl=client_context() if secure else None)
    with Server(tls=server_context() if secure else None) as server:
        pool = ConnectionPool(manager, check_after_idle=None)
        call = await call_soon(pool.acquire, server.endpoint)
        peer = await asyncio.to_thread(server.accept)
        lease = await call.result()
        stream = lease.connection
        waiting = await call_soon(stream.receive_exactly, 4)
        await asyncio.sleep(0)

        def meddle() -> None:
            async def end() -> None:
                await lease.release()
                await stream.close()

            asyncio.run(end())
            stream.interrupt()
            gc.collect()

        child(meddle)
        peer.send(b"pong")
        assert await waiting.result() == b"pong"
        await stream.send(b"ping")
        assert await asyncio.to_thread(peer.receive, 4) == b"ping"
        await lease.release()
        async with pool.connection(server.endpoint, 0) as again:
            assert again is stream
        await pool.close()
        assert await asyncio.to_thread(peer.ending) == "end"
        peer.close()


PROGRAM = """
import asyncio, os
from pool.aio import ConnectionPool, ConnectionManager
class Manager(ConnectionManager):
    async def create(self, endpoint, timeout): return object()
    async def dispose(self, endpoint, conn, timeout): print("disposed of")
pool = ConnectionPool(Manager(), min_size=2, max_size=4, leak_threshold=60.0)
async def main():
    global lease
    await pool.warm_up("e")
    lease = await pool.acquire("e")
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
pid = os.fork()
if not pid:
    async def use():
        try:
            await pool.acquire("e")
        except RuntimeError:
            print("refused", flush=True)
    asyncio.run(use())
else:
    print(os.waitpid(pid, 0)[1])
    loop.run_until_complete(lease.release())
    loop.run_until_complete(pool.close())
    loop.close()
"""


def test_a_program_whose_child_ends_first() -> None:
    """The child ends with status 0 and without a word, and the parent closes its pool after it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "refused\n0\n" + "disposed of\n" * 2
