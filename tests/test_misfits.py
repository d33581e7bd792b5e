"""Hooks of the wrong kind are refused when the pool is made: they would be called and never run."""

from typing import Any

import pytest

from pool import aio, sync
from pool.aio.websockets import WebSocketPool as AioWebSocketPool
from pool.sync.websockets import WebSocketPool

WAITING = (
    "create",
    "dispose",
    "check_aliveness",
    "on_acquire",
    "on_release",
    "on_connection_dead",
)
PLAIN = ("can_reuse", "interrupt", "after_fork", "service_id")


async def asynchronous(*args: Any) -> Any:
    """What is called and never run in the world of threads."""


def plain(*args: Any) -> Any:
    """What can be called in both."""


def manager(world: Any, **hooks: Any) -> Any:
    """Make a manager with these hooks."""
    right = asynchronous if world is aio else plain
    methods = {"create": right, "dispose": right} | hooks
    return type("Mine", (world.ConnectionManager,), methods)()


@pytest.mark.parametrize("name", [*WAITING, *PLAIN])
def test_threads_want_plain_hooks(name: str) -> None:
    """Whatever the hook is for, and whatever the pool."""
    wrong = manager(sync, **{name: asynchronous})
    text = rf"^Mine\.{name} is an async def, and pool\.sync wants plain ones"
    with pytest.raises(TypeError, match=text):
        sync.ConnectionPool(wrong)
    with pytest.raises(TypeError, match=text):
        sync.MultiplexedPool(wrong, "e", size=1)


@pytest.mark.parametrize("name", PLAIN)
def test_hooks_that_must_not_wait_are_plain_in_both_worlds(name: str) -> None:
    """A coroutine would count as true."""
    with pytest.raises(
        TypeError, match=rf"^Mine\.{name} is an async def, but is called as a plain"
    ):
        aio.ConnectionPool(manager(aio, **{name: asynchronous}))


def test_what_is_right_is_taken() -> None:
    """Asynchronous or plain, and of any kind that can be called."""
    hooks = dict.fromkeys(PLAIN, plain)
    sync.ConnectionPool(manager(sync, **hooks, **dict.fromkeys(WAITING, plain)))
    aio.ConnectionPool(manager(aio, **hooks, **dict.fromkeys(WAITING, asynchronous)))
    # It may return what can be awaited.
    aio.ConnectionPool(manager(aio, create=plain))
    sync.ConnectionPool(manager(sync, can_reuse=staticmethod(bool)))


def test_a_reset_of_the_other_world_is_refused() -> None:
    """By a pool of WebSockets for threads; for asyncio it may return what can be awaited."""
    with pytest.raises(TypeError, match=r"^reset is an async def, and pool\.sync wants plain ones"):
        WebSocketPool(reset=asynchronous)  # type: ignore[arg-type]
    AioWebSocketPool(reset=asynchronous)
