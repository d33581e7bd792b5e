"""The two worlds are twins: the same names, the same signatures, the same stories.

Behaviour is tested once and generated; here the two results are compared with each other.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from behaviour._async import fakes as async_fakes
from behaviour._async import scenarios as async_scenarios
from behaviour._sync import fakes as sync_fakes
from behaviour._sync import scenarios as sync_scenarios

import pool
import pool.aio
import pool.sync
from pool import PoolOptions, monitoring, selectors
from pool._core.pool import PoolCore
from pool._core.pulse import Pulse
from pool._core.topology import TopologyCore
from pool._runtime import aio as aio_runtime
from pool._runtime import aio_topology, sync_topology
from pool._runtime import sync as sync_runtime
from pool._runtime.sync_guard import Guard
from pool._runtime.sync_topology import TopologyGuard
from pool.monitoring import ConnectionPoolListener

WORLDS = [pool.aio, pool.sync]

#: What the contract says is awaited in the async world.
AWAITED = {
    "ConnectionPool": {
        "acquire",
        "add",
        "clear",
        "close",
        "maintain",
        "ready",
        "remove",
        "warm_up",
    },
    "Lease": {"discard", "release"},
    "ConnectionManager": {
        "check_aliveness",
        "create",
        "dispose",
        "on_acquire",
        "on_connection_dead",
        "on_release",
    },
}
CLASSES = list(AWAITED)

#: What both doors show of the shared vocabulary.
SHARED = {
    *("Hello", "ServerDescription", "ServerType", "TopologyDescription", "TopologyType"),
    *(name for name in selectors.__all__ if name != "Selector"),
}
OWN = sorted(set(pool.aio.__all__) - SHARED)


# -- names and signatures -----------------------------------------------------------------------------


def public(owner: type) -> dict[str, Any]:
    """Return what a class offers, as it stands in the class."""
    return {
        name: inspect.getattr_static(owner, name)
        for name in dir(owner)
        if not name.startswith("_") and name not in dir(object)
    }


def shape(function: Callable[..., Any]) -> list[tuple[str, Any, Any]]:
    """Return a signature without its types, of which some name their world."""
    parameters = inspect.signature(function).parameters.values()
    return [(each.name, each.kind, each.default) for each in parameters]


def test_both_doors_have_the_same_names() -> None:
    """What is offered in one world is offered in the other, and really there."""
    assert pool.aio.__all__ == pool.sync.__all__
    assert pool.aio.__all__ == sorted(set(pool.aio.__all__))
    for world in WORLDS:
        assert all(isinstance(getattr(world, name), type) for name in OWN)


@pytest.mark.parametrize("name", sorted(SHARED))
def test_the_vocabulary_is_the_same_behind_every_door(name: str) -> None:
    """What servers are called does not depend on the world."""
    assert getattr(pool.aio, name) is getattr(pool.sync, name) is getattr(pool, name)
    assert name in pool.__all__


@pytest.mark.parametrize("name", OWN)
def test_each_world_has_classes_of_its_own(name: str) -> None:
    """Under the same name, and neither is the other's."""
    ours, theirs = getattr(pool.aio, name), getattr(pool.sync, name)
    assert ours is not theirs
    assert ours.__name__ == theirs.__name__ == name
    assert ours.__module__.replace("._async.", "._sync.") == theirs.__module__


@pytest.mark.parametrize("name", OWN)
def test_a_class_offers_the_same_in_both_worlds(name: str) -> None:
    """The same names, and kinds: methods, properties."""
    ours, theirs = public(getattr(pool.aio, name)), public(getattr(pool.sync, name))
    assert list(ours) == list(theirs)
    assert [type(each) for each in ours.values()] == [type(each) for each in theirs.values()]


@pytest.mark.parametrize("name", OWN)
def test_signatures_are_equal(name: str) -> None:
    """Parameters by name, kind and default; the constructor's too."""
    ours, theirs = getattr(pool.aio, name), getattr(pool.sync, name)
    methods = [each for each, value in public(ours).items() if inspect.isfunction(value)]
    assert methods, name
    for method in ["__init__", *methods]:
        assert shape(getattr(ours, method)) == shape(getattr(theirs, method)), method


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_awaited_is_a_plain_call_in_the_sync_world(name: str) -> None:
    """The methods that the contract says are ``async`` are, and in the sync world none is."""
    ours, theirs = getattr(pool.aio, name), getattr(pool.sync, name)
    found = {
        method
        for method, value in public(ours).items()
        if inspect.iscoroutinefunction(value) or "Coroutine" in str(annotation(value))
    }
    assert found & (AWAITED[name] | plain(name)) == AWAITED[name]
    for method, value in public(theirs).items():
        assert not inspect.iscoroutinefunction(value), method
        assert "Coroutine" not in str(annotation(value)), method


def annotation(value: Any) -> Any:
    return getattr(value, "__annotations__", {}).get("return")


def plain(name: str) -> set[str]:
    """Return what the contract says is a plain call or property in both worlds."""
    return {
        "ConnectionPool": {
            "connection",
            "explain",
            "get_endpoint_pool_size",
            "get_size",
            "name",
            "options",
            "resize",
            "stats",
        },
        "Lease": {"connection", "endpoint", "id"},
        "ConnectionManager": {"after_fork", "can_reuse", "interrupt", "service_id"},
    }[name]


@pytest.mark.parametrize("name", CLASSES)
def test_everything_that_the_contract_names_is_there(name: str) -> None:
    """In both worlds."""
    for world in WORLDS:
        assert AWAITED[name] | plain(name) <= set(dir(getattr(world, name)))


@pytest.mark.parametrize("name", ["ConnectionPool", "Lease"])
def test_blocks_are_the_worlds_own(name: str) -> None:
    """``async with`` in one world, ``with`` in the other, and never the wrong one."""
    ours, theirs = getattr(pool.aio, name), getattr(pool.sync, name)
    assert hasattr(ours, "__aenter__")
    assert hasattr(ours, "__aexit__")
    assert not hasattr(ours, "__enter__")
    assert hasattr(theirs, "__enter__")
    assert hasattr(theirs, "__exit__")
    assert not hasattr(theirs, "__aenter__")


@pytest.mark.parametrize("name", CLASSES)
def test_what_is_documented_in_one_world_is_documented_in_the_other(name: str) -> None:
    """Docstrings are generated too."""
    ours, theirs = public(getattr(pool.aio, name)), public(getattr(pool.sync, name))
    for method, value in ours.items():
        assert bool(value.__doc__) == bool(theirs[method].__doc__), method


# -- the hand-written twin ----------------------------------------------------------------------------


def methods(owner: type) -> dict[str, Callable[..., Any]]:
    found = inspect.getmembers(owner, inspect.isfunction)
    return {name: method for name, method in found if not name.startswith("_")}


#: Each core of which the threads of the sync world share the one object, and what guards it.
GUARDED: list[tuple[type, Any]] = [(PoolCore, Guard), (TopologyCore, TopologyGuard)]
CALLS = [
    pytest.param(method, guard, id=f"{core.__name__}.{name}")
    for core, guard in GUARDED
    for name, method in sorted(methods(core).items())
]


@pytest.mark.parametrize(("core", "guard"), GUARDED)
def test_a_guard_has_the_methods_of_its_core(core: type, guard: type) -> None:
    """Exactly those, with the same signatures, types included."""
    ours, theirs = methods(core), methods(guard)
    assert set(ours) == set(theirs)
    for name, method in ours.items():
        assert inspect.signature(method) == inspect.signature(theirs[name]), name


class Listening:
    """In the place of a core: notes what is called, and whether the lock was held."""

    def __init__(self) -> None:
        self.guard: Any = None
        self.calls: list[tuple[str, tuple[Any, ...], bool]] = []

    def __getattr__(self, name: str) -> Callable[..., str]:
        def method(*args: Any) -> str:
            self.calls.append((name, args, self.guard._lock.locked()))
            return f"answer of {name}"

        return method


@pytest.mark.parametrize(("method", "guard_type"), CALLS)
def test_a_guard_hands_on_under_its_lock(method: Callable[..., Any], guard_type: Any) -> None:
    """Every argument in its place, the answer as it is, the lock held meanwhile and free afterwards."""
    core: Any = Listening()
    guard = core.guard = guard_type(core)
    name, signature = method.__name__, inspect.signature(method)
    args = tuple(f"<{each}>" for each in list(signature.parameters)[1:])
    answer = getattr(guard, name)(*args)
    assert answer == f"answer of {name}" or (answer, signature.return_annotation) == (None, None)
    assert core.calls == [(name, args, True)]
    assert not guard._lock.locked()


@pytest.mark.parametrize(("method", "guard_type"), CALLS)
def test_a_guard_has_the_defaults_of_its_core(method: Callable[..., Any], guard_type: Any) -> None:
    """What is left out is handed on as the core would have it."""
    core: Any = Listening()
    guard = core.guard = guard_type(core)
    parameters = list(inspect.signature(method).parameters.values())[1:]
    given = [each for each in parameters if each.default is inspect.Parameter.empty]
    getattr(guard, method.__name__)(*[f"<{each.name}>" for each in given])
    defaults = [each.default for each in parameters[len(given) :]]
    assert list(core.calls[0][1]) == [*(f"<{each.name}>" for each in given), *defaults]


def test_the_async_world_needs_no_guard() -> None:
    """On one event loop, code between two awaits is atomic."""
    core = PoolCore(PoolOptions(), 1.0, aio_runtime.Waiter, lambda: 0.5, lambda entry: None)
    assert aio_runtime.guard(core) is core
    topology = TopologyCore("t", Pulse(1.0, 1.0, 1.0), lambda: 0.5)
    assert aio_topology.topology_guard(topology) is topology
    assert aio_topology.TopologyGuard is TopologyCore
    assert sync_topology.topology_guard is TopologyGuard
    assert aio_topology.__all__ == sync_topology.__all__


def test_the_runtimes_have_the_same_names() -> None:
    """Whoever imports from one may be generated to import from the other."""
    assert aio_runtime.__all__ == sync_runtime.__all__
    for name in aio_runtime.__all__:
        assert hasattr(aio_runtime, name)
        assert hasattr(sync_runtime, name)


@pytest.mark.parametrize("name", ["Limit", "Waiter"])
def test_the_runtimes_classes_are_used_alike(name: str) -> None:
    """The same public names, and parameters."""
    ours, theirs = getattr(aio_runtime, name), getattr(sync_runtime, name)
    assert set(public(ours)) == set(public(theirs))
    for method in ["__init__", *methods(ours)]:
        assert shape(getattr(ours, method)) == shape(getattr(theirs, method)), method


# -- the same stories ---------------------------------------------------------------------------------


def facts(events: list[Any]) -> list[tuple[Any, ...]]:
    """Return what events say, but for how long things took."""
    return [
        (
            type(event).__name__,
            *(getattr(event, name) for name in type(event)._fields if name != "duration"),
        )
        for event in events
    ]


BOTH = pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(ours, theirs, id=ours.__name__)
        for ours, theirs in zip(async_scenarios.SCENARIOS, sync_scenarios.SCENARIOS, strict=True)
    ],
)


def played(ours: Any, theirs: Any) -> tuple[async_scenarios.Story, sync_scenarios.Story]:
    """Play a story in both worlds."""
    one, other = async_scenarios.Story(), sync_scenarios.Story()
    asyncio.run(ours(one))
    theirs(other)
    return one, other


def test_both_worlds_know_the_same_stories() -> None:
    """Under the same names, in the same order."""
    names = [
        [story.__name__ for story in each.SCENARIOS] for each in (async_scenarios, sync_scenarios)
    ]
    assert names[0] == names[1]
    assert len(set(names[0])) > 15


@pytest.mark.concurrency
@BOTH
def test_a_story_is_told_alike_in_both_worlds(ours: Any, theirs: Any) -> None:
    """The same events with the same ids and reasons in the same order, and the same for the callers."""
    one, other = played(ours, theirs)
    assert facts(one.recorder.events) == facts(other.recorder.events)
    assert one.outcomes == other.outcomes
    assert len(one.recorder.events) > 5


@BOTH
def test_the_hooks_are_called_alike_in_both_worlds(ours: Any, theirs: Any) -> None:
    """As often, and in the same order."""
    one, other = played(ours, theirs)
    for attribute in ("started", "calls"):
        found = [getattr(each.manager, attribute, None) for each in (one, other)]
        assert found[0] == found[1], attribute


# -- one listener for both ----------------------------------------------------------------------------


class Shared(ConnectionPoolListener):
    """Overrides two methods and keeps what it hears, with the thread that told it."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, int]] = []

    def connection_checked_out(self, event: monitoring.ConnectionCheckedOutEvent) -> None:
        self.heard.append((event, threading.get_ident()))

    def connection_closed(self, event: monitoring.ConnectionClosedEvent) -> None:
        self.heard.append((event, threading.get_ident()))


def use_sync(listener: monitoring.EventListener, world: ModuleType, rounds: int) -> None:
    with world.ConnectionPool(sync_fakes.Manager(), event_listeners=[listener]) as connections:
        for _ in range(rounds):
            sync_fakes.held(connections, "sync")
        connections.clear()
        sync_fakes.held(connections, "sync")


async def use_async(listener: monitoring.EventListener, world: ModuleType, rounds: int) -> None:
    async with world.ConnectionPool(
        async_fakes.Manager(), event_listeners=[listener]
    ) as connections:
        for _ in range(rounds):
            await async_fakes.held(connections, "aio")
            await asyncio.sleep(0)
        await connections.clear()
        await async_fakes.held(connections, "aio")


@pytest.mark.concurrency
async def test_one_listener_serves_a_sync_and_an_async_pool_at_once() -> None:
    """It hears the same of both, each in order, while both are at work."""
    recorder = async_fakes.Recorder()
    await asyncio.gather(
        asyncio.to_thread(use_sync, recorder.listener, pool.sync, 50),
        use_async(recorder.listener, pool.aio, 50),
    )
    told = {
        world: [fact for fact in facts(recorder.events) if fact[1] == world]
        for world in ("sync", "aio")
    }
    assert [(fact[0], *fact[2:]) for fact in told["sync"]] == [
        (fact[0], *fact[2:]) for fact in told["aio"]
    ]
    names = [name for name, *_ in told["sync"]]
    assert names.count("ConnectionCheckedOutEvent") == names.count("ConnectionCheckedInEvent") == 51


@pytest.mark.concurrency
async def test_a_plain_class_is_a_listener_in_both_worlds() -> None:
    """The sync pool calls it in the thread of the caller, the async pool in that of the loop."""
    listener = Shared()
    await asyncio.gather(
        asyncio.to_thread(use_sync, listener, pool.sync, 3), use_async(listener, pool.aio, 3)
    )
    by_world = {
        world: [(event, thread) for event, thread in listener.heard if event.address == world]
        for world in ("sync", "aio")
    }
    names = [[type(event).__name__ for event, _ in each] for each in by_world.values()]
    assert names[0] == names[1]
    assert names[0].count("ConnectionCheckedOutEvent") == 4
    assert {thread for _, thread in by_world["aio"]} == {threading.get_ident()}
    assert threading.get_ident() not in {thread for _, thread in by_world["sync"]}


async def test_a_registered_listener_hears_of_both_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is one registry."""
    monkeypatch.setattr(monitoring._registry, "_registered", [])
    recorder = async_fakes.Recorder()
    monitoring.register(recorder.listener)
    async with pool.aio.ConnectionPool(async_fakes.Manager()) as ours:
        with pool.sync.ConnectionPool(sync_fakes.Manager()) as theirs:
            await ours.add("aio")
            theirs.add("sync")
    assert [(name, address) for name, address, *_ in facts(recorder.events)] == [
        ("PoolCreatedEvent", "aio"),
        ("PoolReadyEvent", "aio"),
        ("PoolCreatedEvent", "sync"),
        ("PoolReadyEvent", "sync"),
        ("PoolClosedEvent", "sync"),
        ("PoolClosedEvent", "aio"),
    ]
