"""The ready-made manager for Redis: what it says of a primary and its replicas, in both worlds."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis
from real.redis_worlds import LIMIT, WORLDS, Rig, World, at

from pool import CommandError, ServerType
from support.real import RedisServer, eventually
from support.replicas import RedisMember, Sentinel, redis_info

Trio = tuple[RedisMember, RedisMember, RedisMember]


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    world.end()


@pytest.fixture
def rig(world: World) -> Rig:
    return Rig(world)


@pytest.fixture(scope="module")
def members() -> Iterator[Trio]:
    if reason := RedisServer.missing():
        pytest.skip(reason)
    with RedisMember() as primary, RedisMember(primary) as one, RedisMember(primary) as two:
        yield primary, one, two


@pytest.fixture
def trio(members: Trio) -> Trio:
    """Give a primary that was never replaced, and two replicas that have all it has."""
    primary, *replicas = members
    primary.renew()
    for replica in replicas:
        replica.renew(primary)
    primary.ask("SET key value")
    for replica in replicas:
        replica.wait_synced()
    return members


def test_hello(rig: Rig, trio: Trio) -> None:
    """Each says what it is, who else is there, and who is the primary."""
    primary, one, two = trio
    found = rig.hello(at(primary))
    assert found.server_type is ServerType.PRIMARY
    assert found.hosts[0] == at(primary)
    assert set(found.hosts) == {at(primary), at(one), at(two)}
    assert (found.primary, found.term, found.set_name) == (at(primary), 0, None)
    assert found.document["role"] == "master"
    assert found.document["tcp_port"] == str(primary.port)
    assert found.connection_id > 0
    for replica in (one, two):
        found = rig.hello(at(replica))
        assert found.server_type is ServerType.SECONDARY
        assert found.hosts == (at(replica), at(primary))
        assert (found.primary, found.term) == (at(primary), None)


def test_names(rig: Rig, trio: Trio) -> None:
    """Servers are called as the user calls them, whatever addresses they tell."""
    primary, one, two = ("localhost", trio[0].port), ("localhost", trio[1].port), at(trio[2])
    assert rig.hello(one).primary == at(trio[0])
    assert set(rig.hello(primary).hosts) == {primary, one, two}
    assert rig.hello(one).primary == primary
    # The same server under another name lists both, so that the first one stays.
    assert set(rig.hello(at(trio[0])).hosts) == {at(trio[0]), primary, one, two}
    assert set(rig.hello(primary).hosts) == {primary, one, two}


def test_without_discovery(world: World, trio: Trio) -> None:
    """Nobody tells of anybody."""
    rig = Rig(world, discover=False)
    for server in trio:
        assert rig.hello(at(server)).hosts == ()


def test_failover(rig: Rig, trio: Trio) -> None:
    """A promoted replica has a higher term, keeps the other one, and outdoes the primary that returns."""
    primary, one, two = trio
    for server in trio:
        rig.hello(at(server))
    primary.kill()
    with pytest.raises(ConnectionRefusedError):
        rig.create(at(primary))
    for replica in (one, two):
        replica.wait_orphaned()
        assert rig.hello(at(replica)).server_type is ServerType.SECONDARY
    one.promote()
    found = rig.hello(at(one))
    assert found.server_type is ServerType.PRIMARY
    # The other one does not follow it yet, but has its data, and can be read.
    assert found.hosts == (at(one), at(two))
    term = found.term
    assert term > 0

    primary.start()
    found = rig.hello(at(primary))
    assert (found.server_type, found.term) == (ServerType.PRIMARY, 0)
    assert at(one) in found.hosts
    assert at(primary) not in rig.hello(at(one)).hosts
    assert rig.hello(at(one)).term == term
    # To a client that knows nothing it says no more.
    assert Rig(rig.world).hello(at(primary)).term == 0

    two.follow(one)
    primary.follow(one)
    two.wait_synced()
    primary.wait_synced()
    assert set(rig.hello(at(one)).hosts) == {at(one), at(two), at(primary)}
    assert rig.hello(at(primary)).server_type is ServerType.SECONDARY


def test_replica_of_a_stale_primary(rig: Rig, trio: Trio) -> None:
    """A replica that follows the old primary after its return has other data: it is none of ours."""
    primary, one, two = trio
    for server in trio:
        rig.hello(at(server))
    primary.kill()
    rig.hello(at(two))
    one.promote()
    assert rig.hello(at(one)).hosts == (at(one), at(two))
    primary.start()
    two.wait_synced()
    rig.hello(at(two))
    assert rig.hello(at(one)).hosts == (at(one),)


def test_second_failover(rig: Rig, trio: Trio) -> None:
    """Terms grow also if the offsets have begun anew in between."""
    primary, one, two = trio
    for server in trio:
        rig.hello(at(server))
    for _ in range(50):
        primary.ask("SET key value")
    one.wait_synced()
    primary.kill()
    one.promote()
    two.follow(one)
    two.wait_synced()
    term = rig.hello(at(one)).term
    one.restart()
    assert redis_info(one)["second_repl_offset"] == -1
    assert rig.hello(at(one)).term == term
    two.wait_synced()
    one.kill()
    with pytest.raises(ConnectionRefusedError):
        rig.create(at(one))
    two.promote()
    assert 0 < redis_info(two)["second_repl_offset"] < term
    assert rig.hello(at(two)).term > term


def test_lone_primary(rig: Rig, trio: Trio) -> None:
    """A master without replicas is a primary too: a topology must not drop it while they are away.

    Nor must it drop others because of one that may be stale, before it has heard them.
    """
    primary, one, two = trio
    one.kill()
    two.kill()
    eventually(lambda: not redis_info(primary)["connected_slaves"], "the replicas are there")
    found = rig.hello(at(primary))
    assert (found.server_type, found.hosts) == (ServerType.PRIMARY, ())
    one.start()
    rig.hello(at(one))
    assert at(primary) in rig.hello(at(primary)).hosts


def test_empty_replica(rig: Rig, trio: Trio) -> None:
    """A replica that waits for its first data cannot be used yet."""
    primary, one, _ = trio
    primary.ask("CONFIG SET repl-diskless-sync-delay 60")
    one.renew(primary)
    assert rig.hello(at(one)).server_type is ServerType.OTHER
    primary.ask("CONFIG SET repl-diskless-sync-delay 0")
    one.wait_synced()
    assert rig.hello(at(one)).server_type is ServerType.SECONDARY


def test_replica_that_will_not_be_read(rig: Rig, trio: Trio) -> None:
    """One that serves nothing without its primary is no secondary meanwhile."""
    primary, one, _ = trio
    one.ask("CONFIG SET replica-serve-stale-data no")
    primary.kill()
    one.wait_orphaned()
    assert rig.hello(at(one)).server_type is ServerType.OTHER
    one.ask("CONFIG SET replica-serve-stale-data yes")
    assert rig.hello(at(one)).server_type is ServerType.SECONDARY


def test_write_to_a_replica(rig: Rig, trio: Trio) -> None:
    """It refuses, which says that it is no primary any more."""
    with rig.connection(at(trio[1])) as conn:
        with pytest.raises(CommandError) as raised:
            rig.execute(conn, {"SET": ["key", "value"]})
        document: Any = raised.value.document
        assert document["code"] == "READONLY"
        assert rig.manager.is_state_change(at(trio[1]), raised.value)


def test_refused_hello(world: World, trio: Trio) -> None:
    """A hello that is refused leaves no reply unread."""
    primary = trio[0]
    primary.ask("ACL SETUSER bob on >secret ~* +@all -info -ping")
    rig = Rig(world, username="bob", password="secret")
    with rig.connection(at(primary)) as conn:
        with pytest.raises(redis.ResponseError, match="no permissions"):
            world.call(rig.manager.hello, at(primary), conn, LIMIT)
        assert rig.execute(conn, {"ECHO": "now"}) == {"reply": b"now"}
        primary.ask("ACL SETUSER bob +info")
        found = world.call(rig.manager.hello, at(primary), conn, LIMIT)
        assert found.server_type is ServerType.PRIMARY
    primary.ask("ACL DELUSER bob")


def test_sentinel(rig: Rig) -> None:
    """A Sentinel has no data, and is told apart."""
    if reason := RedisServer.missing():
        pytest.skip(reason)
    with Sentinel() as server, rig.connection(at(server)) as conn:
        with pytest.raises(redis.ResponseError, match="its mode is sentinel"):
            rig.world.call(rig.manager.hello, at(server), conn, LIMIT)
        assert conn.is_settled
