"""Stories of one pool each, for the test that compares what is told of them in the two worlds.

Every story has one order of events: whoever waits, waits alone, and nothing overlaps but what is stepped.
"""

from collections.abc import Callable
from typing import Any, Final

from pool.aio import ConnectionPool
from support.aio import Gate, Running, call_soon, until

from .fakes import Connection, Hooked, Recorder, held
from .meddlers import Breakable, Meddling

__all__ = ["SCENARIOS", "Story"]


class Story:
    """One pool, what is told of it, and what its callers get."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.manager: Any = Hooked()
        self.outcomes: list[str] = []
        self.pools: list[ConnectionPool[Any, Connection]] = []

    def pool(self, **options: Any) -> ConnectionPool[Any, Connection]:
        """Make a pool that tells of this story."""
        listeners = [self.recorder.listener]
        self.pools.append(ConnectionPool(self.manager, event_listeners=listeners, **options))
        return self.pools[-1]

    async def attempt(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call it; note and return how it ended, once what it left is closed."""
        try:
            result = await function(*args)
        except Exception as error:
            result = error
        self.outcomes.append(type(result).__name__)
        await until(lambda: not any(pool.stats().closing for pool in self.pools))
        return result

    async def end(self, running: Running[Any]) -> Any:
        """Wait for a call; note and return how it ended."""
        return await self.attempt(running.result)


async def use(story: Story) -> None:
    async with story.pool(max_size=2) as pool:
        for endpoint in ("a", "a", "b"):
            await held(pool, endpoint)
        first, second = await pool.acquire("a"), await pool.acquire("a")
        await first.discard()
        await second.release()
        await second.release()


async def retire(story: Story) -> None:
    async with story.pool(max_uses=2, reuse="fifo") as pool:
        await pool.add("e")
        for _ in range(5):
            await held(pool)


async def fail_to_connect(story: Story) -> None:
    async with story.pool() as pool:
        story.manager.errors = [OSError("refused"), None, LookupError("no such host")]
        for _ in range(2):
            await story.attempt(held, pool)
        lease = await pool.acquire("e")
        await story.attempt(held, pool)
        await lease.release()


async def find_dead(story: Story) -> None:
    async with story.pool(check_after_idle=0) as pool:
        for _ in range(3):
            connection = await held(pool)
            connection.alive = False


async def find_several_dead(story: Story) -> None:
    async with story.pool(check_after_idle=0, max_size=2) as pool:
        leases = [await pool.acquire("e") for _ in range(2)]
        for lease in leases:
            lease.connection.alive = False
            await lease.release()
        await held(pool)


async def fail_in_hooks(story: Story) -> None:
    def fail(*args: Any) -> Any:
        raise OSError("failed")

    async with story.pool(check_after_idle=0) as pool:
        for name in ("check_aliveness", "on_acquire", "on_release", "service_id"):
            await held(pool)
            story.manager.on[name] = fail
            await story.attempt(held, pool)
            del story.manager.on[name]


async def leave_dirty(story: Story) -> None:
    story.manager.on["can_reuse"] = lambda conn, error: isinstance(error, KeyError)

    async def body(error: Exception) -> None:
        async with pool.connection("e"):
            raise error

    async with story.pool() as pool:
        for error in (KeyError(), ValueError()):
            await story.attempt(body, error)


async def wait_in_vain(story: Story) -> None:
    async with story.pool(max_size=1, max_waiting=1) as pool:
        lease = await pool.acquire("e")
        await story.attempt(pool.acquire, "e", 0)
        await story.attempt(pool.acquire, "e", 0.01)
        waiting = await call_soon(held, pool)
        await until(lambda: pool.stats().waiting == 1)
        await story.attempt(pool.acquire, "e")
        await lease.release()
        await story.end(waiting)


async def clear(story: Story) -> None:
    async with story.pool(max_size=2) as pool:
        await held(pool)
        await pool.clear("e")
        lease = await pool.acquire("e")
        await pool.clear()
        await lease.release()
        await pool.clear("other")
        await held(pool)


async def clear_with_a_queue(story: Story) -> None:
    async with story.pool(max_size=1) as pool:
        lease = await pool.acquire("e")
        waiting = await call_soon(held, pool)
        await until(lambda: pool.stats().waiting == 1)
        await pool.clear("e")
        await lease.release()
        await story.end(waiting)


async def pause(story: Story) -> None:
    async with story.pool(paused=True, max_size=1) as pool:
        await story.attempt(held, pool)
        for _ in range(2):
            await pool.ready("e")
            await pool.ready("e")
            await held(pool)
            lease = await pool.acquire("e")
            waiting = await call_soon(held, pool)
            await until(lambda: pool.stats().waiting == 1)
            await pool.clear("e")
            await pool.clear("e")
            await story.end(waiting)
            await lease.release()


async def overtake_a_connect(story: Story) -> None:
    async with story.pool() as pool:
        gate = story.manager.create_gate = Gate()
        connecting = await call_soon(held, pool)
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        gate.open()
        await story.end(connecting)


async def overtake_a_check(story: Story) -> None:
    async with story.pool(check_after_idle=0) as pool:
        await held(pool)
        gate = story.manager.gates["check_aliveness"] = Gate()
        checking = await call_soon(held, pool)
        await until(lambda: gate.waiting == 1)
        await pool.clear("e")
        gate.open()
        await story.end(checking)


async def interrupt(story: Story) -> None:
    story.manager = Breakable()
    story.manager.create_gate.open()
    async with story.pool() as pool:
        lease = await pool.acquire("e")
        gate = story.manager.create_gate = Gate()
        connecting = await call_soon(pool.acquire, "e")
        await until(lambda: gate.waiting == 1)
        await pool.clear("e", interrupt_connections=True)
        await (await story.end(connecting)).release()
        await lease.release()


async def clear_a_service(story: Story) -> None:
    story.manager.on["service_id"] = lambda conn: "even" if conn.number % 2 == 0 else "odd"
    async with story.pool() as pool:
        leases = [await pool.acquire("e") for _ in range(4)]
        await leases[0].release()
        await leases[1].release()
        await pool.clear("e", service_id="odd")
        await leases[2].release()
        await leases[3].release()
        gate = story.manager.create_gate = Gate()
        leases = [await pool.acquire("e") for _ in range(2)]
        connecting = await call_soon(held, pool)
        await until(lambda: gate.waiting == 1)
        await pool.clear("e", service_id="odd")
        gate.open()
        await story.end(connecting)
        for lease in leases:
            await lease.release()


async def remove(story: Story) -> None:
    async with story.pool(max_size=1) as pool:
        await held(pool)
        await pool.remove("e")
        await pool.remove("e")
        lease = await pool.acquire("e")
        waiting = await call_soon(held, pool)
        await until(lambda: pool.stats().waiting == 1)
        await pool.remove("e")
        await story.end(waiting)
        again = await call_soon(held, pool)
        await until(lambda: pool.stats().waiting == 1)
        await lease.release()
        await story.end(again)


async def resize(story: Story) -> None:
    async with story.pool(max_size=4) as pool:
        leases = [await pool.acquire("e") for _ in range(4)]
        for lease in leases[:2]:
            await lease.release()
        pool.resize(max_size=1)
        for lease in leases[2:]:
            await lease.release()
        await until(lambda: pool.stats().closing == 0)
        await held(pool)
        pool.resize(max_size=2)
        leases = [await pool.acquire("e") for _ in range(2)]
        for lease in leases:
            await lease.release()


async def close(story: Story) -> None:
    pool = story.pool(max_size=2)
    await held(pool, "a")
    lease = await pool.acquire("b")
    gate = story.manager.create_gate = Gate()
    connecting = await call_soon(held, pool, "b")
    await until(lambda: gate.waiting == 1)
    await pool.close()
    await pool.close()
    gate.open()
    await story.end(connecting)
    await lease.release()
    await story.attempt(held, pool, "a")
    await story.attempt(held, pool, "c")
    await story.attempt(pool.add, "c")


async def close_from_a_hook(story: Story) -> None:
    for hook in ("create", "on_acquire", "on_release"):
        story.manager = Meddling(hook)
        pool = story.pool()
        story.manager.act = pool.close
        await story.attempt(held, pool)
        await pool.close(None)


SCENARIOS: Final = [
    use,
    retire,
    fail_to_connect,
    find_dead,
    find_several_dead,
    fail_in_hooks,
    leave_dirty,
    wait_in_vain,
    clear,
    clear_with_a_queue,
    pause,
    overtake_a_connect,
    overtake_a_check,
    interrupt,
    clear_a_service,
    remove,
    resize,
    close,
    close_from_a_hook,
]
