"""A client of Redis servers while a replica takes over and the old primary returns, in both worlds."""

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from real.redis_worlds import WORLDS, World, at

from pool import ServerType
from pool.selectors import nearest, secondary, secondary_preferred
from support.real import RedisServer, eventually
from support.replicas import RedisMember

LIMIT = 5.0
"""Seconds for one command, which may have to wait for a server."""


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    world.end()


@pytest.fixture
def trio() -> Iterator[tuple[RedisMember, RedisMember, RedisMember]]:
    if reason := RedisServer.missing():
        pytest.skip(reason)
    with RedisMember() as primary, RedisMember(primary) as one, RedisMember(primary) as two:
        one.wait_synced()
        two.wait_synced()
        yield primary, one, two


class Shop:
    """A client, asked from outside."""

    def __init__(self, world: World, *seeds: RedisServer, **options: Any) -> None:
        self.world = world
        door = importlib.import_module(f"pool.{world.name}")
        self.client: Any = door.Client(
            world.door.RedisManager(),
            [at(server) for server in seeds],
            heartbeat_interval=0.2,
            min_heartbeat_interval=0.05,
            heartbeat_timeout=2.0,
            **options,
        )

    @contextmanager
    def open(self) -> Iterator["Shop"]:
        """Close it at the end."""
        try:
            yield self
        finally:
            self.world.call(self.client.close)

    def ask(self, name: str, *words: Any, **options: Any) -> Any:
        """Send a command."""
        document = self.world.call(self.client.command, {name: words}, timeout=LIMIT, **options)
        return document["reply"]

    def kinds(self) -> dict[Any, ServerType]:
        """Return what each server is."""
        servers = self.client.topology.description.server_descriptions()
        return {address: server.server_type for address, server in servers.items()}

    def wait(self, **kinds: Any) -> None:
        """Wait until the servers are just these."""
        wanted = {at(server): ServerType[kind] for kind, all_ in kinds.items() for server in all_}
        try:
            eventually(lambda: self.kinds() == wanted, f"not {wanted}", LIMIT)
        except AssertionError as error:
            error.add_note(str(self.client.topology.description))
            raise


def test_discovery(world: World, trio: Any) -> None:
    """One seed is enough, a replica too."""
    primary, one, two = trio
    for seed in trio:
        with Shop(world, seed).open() as shop:
            assert shop.ask("SET", "key", seed.port) == b"OK"
            shop.wait(PRIMARY=[primary], SECONDARY=[one, two])
            eventually(
                lambda shop=shop, seed=seed: (  # type: ignore[misc]
                    shop.ask("GET", "key", selector=secondary) == str(seed.port).encode()
                ),
                "the replica does not get it",
            )


def test_failover(world: World, trio: Any) -> None:
    """Reads go on all the time; writes as soon as a replica is promoted, and never to the old primary."""
    primary, one, two = trio
    failures: list[BaseException] = []
    done = threading.Event()
    with Shop(world, *trio).open() as shop:
        shop.ask("SET", "key", "value")
        shop.wait(PRIMARY=[primary], SECONDARY=[one, two])

        def read() -> None:
            while not done.wait(0.005):
                try:
                    shop.ask("GET", "key", selector=secondary_preferred)
                except BaseException as error:
                    failures.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            primary.kill()
            shop.wait(UNKNOWN=[primary], SECONDARY=[one, two])
            one.promote()
            assert shop.ask("SET", "later", 1) == b"OK"
            shop.wait(PRIMARY=[one], SECONDARY=[two])
            two.follow(one)
            primary.start()
            for number in range(20):
                shop.ask("SET", "later", number)
            assert primary.ask("DBSIZE") == b"0"
            # Who comes when both say that they are the primary finds the newer one.
            with Shop(world, primary, one).open() as other:
                other.ask("PING", selector=nearest)
                other.wait(PRIMARY=[one], SECONDARY=[two])
                other.ask("SET", "other", 1)
            assert primary.ask("DBSIZE") == b"0"
            primary.follow(one)
            shop.wait(PRIMARY=[one], SECONDARY=[two, primary])
        finally:
            done.set()
            reader.join()
    assert not failures


def test_restart(world: World, trio: Any) -> None:
    """A promoted primary that restarts without its data is still the primary."""
    primary, one, two = trio
    with Shop(world, *trio).open() as shop:
        shop.ask("SET", "key", "value")
        primary.kill()
        shop.wait(UNKNOWN=[primary], SECONDARY=[one, two])
        one.promote()
        two.follow(one)
        shop.wait(PRIMARY=[one], SECONDARY=[two])
        one.kill()
        shop.wait(UNKNOWN=[one], SECONDARY=[two])
        one.start()
        shop.wait(PRIMARY=[one], SECONDARY=[two])
        shop.ask("SET", "key", "value")
