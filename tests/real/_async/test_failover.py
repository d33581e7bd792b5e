"""The primary of a service fails while many write and read: what their client makes of it."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest
import redis

from pool import CommandError, PoolError, ServerDescription, ServerType, TopologyType
from pool.aio import Client
from pool.monitoring import (
    CommandFailedEvent,
    CommandStartedEvent,
    ConnectionClosedEvent,
    PoolClearedEvent,
    ServerDescriptionChangedEvent,
    ServerHeartbeatFailedEvent,
    TopologyDescriptionChangedEvent,
)
from pool.testing.aio import EventRecorder, expect
from support.aio_net import away, busy, start, until
from support.real import RealServer, eventually

from .failover_rig import (
    INTERVAL,
    LIMIT,
    TIMEOUT,
    Load,
    Postgres,
    Redis,
    Service,
    UndiscoveredRedis,
    at,
)

CLEAR = (OSError, redis.ConnectionError, psycopg.OperationalError, PoolError)
"""What a command may raise that meets a server which is gone. ``TimeoutError`` is an ``OSError``."""

SLACK = 0.7
"""Seconds that a test gives to a machine that is busy."""

SERVICES: dict[str, Any] = {"redis": Redis, "undiscovered": UndiscoveredRedis, "postgres": Postgres}

#: A service takes seconds to start, to fail, and to come back.
pytestmark = pytest.mark.slow


@pytest.fixture(params=["redis", "postgres"])
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    """Give a service of its own to each test: it is not what it was afterwards."""
    kind = SERVICES[request.param]
    if reason := kind.kind.missing():
        pytest.skip(reason)
    model = [request.getfixturevalue("primary")] if kind is Postgres else []
    with kind(*model) as service:
        yield service


# A service that tells of its members drops a primary that is gone; one that does not asks it again.
every_service = pytest.mark.parametrize(
    "service", ["redis", "undiscovered", "postgres"], indirect=True
)


@asynccontextmanager
async def riding(
    service: Service, **options: Any
) -> AsyncIterator[tuple[Client[Any, Any], Load, EventRecorder]]:
    """Give a client of a service that is well, and under load; nothing is left of it at the end."""
    before = busy()
    recorder = EventRecorder()
    client = service.client(event_listeners=[recorder], **options)
    async with client:
        load = Load(client, service)
        await load.begin()
        try:
            await until(lambda: all(each.is_known for each in servers_of(client)))
            await until(lambda: len(load.acknowledged()) > 20)
            assert {each.address for each in servers_of(client)} == set(map(at, service.servers))
            recorder.clear()
            yield client, load, recorder
        finally:
            await load.end()
    assert client.topology.stats().total == 0
    for server in service.servers:
        if server.answers():
            await away(deserted, service, server)
    await until(lambda: busy() <= before)


def deserted(service: Service, server: RealServer) -> None:
    """Wait until a server has no clients."""
    eventually(lambda: not service.connections(server), "somebody stays connected")


def servers_of(client: Client[Any, Any]) -> list[ServerDescription]:
    return list(client.topology.description.server_descriptions().values())


def is_lost(client: Client[Any, Any], server: RealServer) -> bool:
    """Return whether nothing is known of a server."""
    found = client.topology.description.servers.get(at(server))
    return found is None or not found.is_known


def is_refused(client: Client[Any, Any], service: Service) -> bool:
    """Return whether the old primary is no member, or says that it is the primary and is not believed."""
    found = client.topology.description.servers.get(at(service.primary))
    return service.drops if found is None else "StalePrimary" in repr(found.error)


def becomes(server: RealServer, kind: ServerType) -> Any:
    return expect(
        ServerDescriptionChangedEvent,
        server_address=at(server),
        new_description=lambda new: new.server_type is kind,
    )


def all_become(kind: TopologyType) -> Any:
    return expect(
        TopologyDescriptionChangedEvent, new_description=lambda new: new.topology_type is kind
    )


def takes_over(service: Service) -> list[Any]:
    """Return the events that tell so."""
    with_primary = all_become(TopologyType.REPLICA_SET_WITH_PRIMARY)
    return [becomes(service.heir, ServerType.PRIMARY), with_primary]


async def shun(client: Client[Any, Any], load: Load, service: Service, since: float) -> None:
    """See that the old primary gets nothing that was written after some time, and the new one all."""
    await until(lambda: is_refused(client, service))
    numbers = range(1_000_000, 1_000_060)
    for number in numbers:
        await client.command(service.write(number), timeout=LIMIT)
    assert is_refused(client, service)
    await load.end()
    kept = set(await away(service.kept, service.primary))
    assert kept.isdisjoint(numbers)
    assert kept.isdisjoint(load.attempted(since))
    assert {*numbers, *load.acknowledged(since)} <= set(await away(service.kept, service.heir))


async def test_killed_primary(service: Service) -> None:
    """Reads go on; writes do as soon as another is promoted; nothing that was replicated is lost."""
    async with riding(service) as (client, load, recorder):
        replicated = load.acknowledged()
        await away(service.synced)
        await away(service.primary.kill)
        killed = time.monotonic()
        await until(lambda: is_lost(client, service.primary))
        await away(service.take_over)
        promoted = time.monotonic()
        await until(lambda: len(load.acknowledged(killed)) > 20)
        await load.end()
        resumed = load.resumed(killed) - promoted
        print(f"resumed after {resumed:.3f} s, longest gap of reads {load.gap():.3f} s")
        assert resumed < INTERVAL + 1.0
        assert load.gap() < 1.0
        assert all(isinstance(each, CLEAR) and str(each) for each in load.failures())
        kept = await away(service.kept, service.heir)
        assert {*replicated, *load.acknowledged(killed)} <= set(kept)
        assert len(kept) == len(set(kept)), "something was written twice"
        story = [
            becomes(service.primary, ServerType.UNKNOWN),
            all_become(TopologyType.REPLICA_SET_NO_PRIMARY),
            expect(PoolClearedEvent, address=at(service.primary)),
            *takes_over(service),
        ]
        recorder.match(story, exact=False)


@every_service
async def test_killed_primary_that_returns(service: Service) -> None:
    """It takes itself for the primary still, and gets nothing more."""
    async with riding(service) as (client, load, _):
        await away(service.primary.kill)
        await until(lambda: is_lost(client, service.primary))
        await away(service.take_over)
        promoted = time.monotonic()
        await until(lambda: len(load.acknowledged(promoted)) > 20)
        await away(service.primary.start)
        await shun(client, load, service, promoted)


@every_service
async def test_hanging_primary(service: Service) -> None:
    """It is found out in time, who waits for it is told, and it gets nothing more when it goes on."""
    async with riding(service) as (client, load, recorder):
        waiting = await start(client.command, service.hang)
        hang = expect(CommandStartedEvent, command=service.hang)
        await until(lambda: bool(recorder.of(hang)))
        paused = time.monotonic()
        await away(service.primary.pause)
        with pytest.raises(CLEAR) as caught:
            await waiting.outcome()
        told = time.monotonic()
        assert str(caught.value)
        assert is_lost(client, service.primary)
        await away(service.take_over)
        promoted = time.monotonic()
        await until(lambda: len(load.acknowledged(promoted)) > 20)
        story = [
            expect(ServerHeartbeatFailedEvent, connection_id=at(service.primary)),
            becomes(service.primary, ServerType.UNKNOWN),
            all_become(TopologyType.REPLICA_SET_NO_PRIMARY),
            expect(PoolClearedEvent, address=at(service.primary), interrupt_connections=True),
            *takes_over(service),
        ]
        found = recorder.match(story, exact=False)
        detected = found[1].new_description.last_update
        resumed = load.resumed(told) - promoted
        await away(service.primary.resume)
        await shun(client, load, service, detected)
        print(f"detected after {detected - paused:.3f} s, told after {told - detected:.3f} s more")
        print(f"resumed after {resumed:.3f} s, longest gap of reads {load.gap():.3f} s")
        assert detected - paused < INTERVAL + TIMEOUT + SLACK
        assert told - detected < SLACK
        assert resumed < INTERVAL + 1.0
        assert load.gap() < 1.0
        assert all(isinstance(each, CLEAR) and str(each) for each in load.failures())


async def test_planned_change(service: Service) -> None:
    """Who writes to the old primary is refused; the next write finds the new one; nothing is lost."""
    # Nobody looks by himself.
    async with riding(service, heartbeat_interval=60.0) as (_, load, recorder):
        await away(service.hand_over)
        changed = time.monotonic()
        await until(lambda: len(load.acknowledged(changed)) > 20)
        await load.end()
        resumed = load.resumed(changed) - changed
        print(f"resumed after {resumed:.3f} s, longest gap of reads {load.gap():.3f} s")
        refusals = load.failures()
        assert all(isinstance(each, CommandError) for each in refusals)
        assert refusals
        # At most one for each writer, where nobody takes it for the primary once more.
        assert len(refusals) <= load.WRITERS or not service.resigns
        assert set(load.acknowledged()) <= set(await away(service.kept, service.heir))
        story = [
            CommandFailedEvent,
            becomes(service.primary, ServerType.UNKNOWN),
            *takes_over(service),
        ]
        *_, promoted, _ = recorder.match(story, exact=False)
        before = recorder.events[: recorder.events.index(promoted)]
        assert not [
            each for each in before if isinstance(each, (ConnectionClosedEvent, PoolClearedEvent))
        ]
