"""What a Redis manager makes of what its servers say, where that is hard to bring about with real ones."""

from typing import Any

import pytest

from pool import ServerType
from pool._runtime.redis_family import Account, Address, Family, read_info

OLD, NEW, THIRD = ("old", 1), ("new", 2), ("third", 3)


def master(lineage: str, ancestor: str = "0" * 40, takeover: int = -1, **more: Any) -> Account:
    """Return what a primary says."""
    info = {"role": "master", "master_replid": lineage, "master_replid2": ancestor}
    return Account({**info, "second_repl_offset": str(takeover), "run_id": lineage, **more})


class Client:
    """A family and what it was told."""

    def __init__(self) -> None:
        self.family = Family(discover=True)

    def term(self, endpoint: Address, account: Account) -> Any:
        """Let a server speak, and return its term."""
        return self.family.heard(endpoint, account, None).term


@pytest.fixture
def client() -> Client:
    """Give a client that has seen one failover."""
    client = Client()
    assert client.term(OLD, master("a")) == 0
    assert client.term(NEW, master("b", "a", 1001)) == 1001
    return client


def test_partitioned(client: Client) -> None:
    """The primary that was replaced, if it never restarted."""
    assert client.term(OLD, master("a", "z", 5)) == 5
    assert client.term(OLD, master("a", "z", 2000)) < 1001


def test_restarted(client: Client) -> None:
    """The same, restarted: without its data, and with more of it than its replica ever got."""
    assert client.term(OLD, master("c")) == 0
    assert client.term(OLD, master("d", "a", 1500)) < 1001
    assert client.term(NEW, master("b", "a", 1001)) == 1001


def test_restarted_primary(client: Client) -> None:
    """A primary that restarts stays the primary, and so does who takes over from it."""
    assert client.term(NEW, master("c")) == 1001
    assert client.term(THIRD, master("d", "c", 20)) == 1002
    assert client.term(NEW, master("c")) == 0


def test_under_another_name(client: Client) -> None:
    """It is the same server if it is the same process, or was reached at the same address."""
    for name in (NEW, ("alias", 2)):
        client.family.asked(name)
        client.family.reached(name, ("10.0.0.2", 2))
    assert client.term(("alias", 2), master("c")) == 1001


def test_takes_over_twice(client: Client) -> None:
    """Of two that took over from the same primary the first counts, until it is gone."""
    assert client.term(THIRD, master("c", "a", 1002)) < 1001
    client.family.failed(NEW, gone=True)
    assert client.term(THIRD, master("c", "a", 900)) == 1002


def test_unseen_failovers(client: Client) -> None:
    """Who was promoted outdoes one that is gone, whatever happened in between."""
    assert client.term(THIRD, master("y", "x", 30)) == 30
    client.family.failed(NEW, gone=True)
    assert client.term(THIRD, master("y", "x", 30)) == 1002


def test_foreign_replicas(client: Client) -> None:
    """A server that has other data is no member, even if it answers; one not heard yet may be."""
    replica = {"role": "slave", "master_host": "10.9.9.9", "master_port": "9"}
    client.family.heard(THIRD, Account({**replica, "master_replid": "foreign"}), None)
    client.family.asked(("fourth", 4))
    hosts = client.family.heard(NEW, master("b", "a", 1001), None).hosts
    assert hosts == (NEW, ("fourth", 4))
    client.family.heard(THIRD, Account({**replica, "master_replid": "a"}), None)
    hosts = client.family.heard(NEW, master("b", "a", 1001), None).hosts
    assert set(hosts) == {NEW, THIRD, ("fourth", 4)}


def test_failures(client: Client) -> None:
    """A server is forgotten if it is gone, or if it was never heard; not if somebody gave up waiting."""
    hosts = client.family.heard(OLD, master("a"), None).hosts
    assert hosts == (OLD, NEW)
    client.family.asked(THIRD)
    client.family.failed(NEW, gone=False)
    client.family.failed(THIRD, gone=False)
    assert client.family.heard(OLD, master("a"), None).hosts == (OLD, NEW)
    client.family.failed(NEW, gone=True)
    assert client.family.heard(OLD, master("a"), None).hosts == ()


def test_announced_replicas(client: Client) -> None:
    """Replicas are listed at the address that they announce; one without a port announces nothing."""
    more = {
        "slave0": "ip=replica.example,port=7001,state=online,offset=1,lag=0",
        "slave1": "ip=::1,port=7002,state=wait_bgsave,offset=0,lag=0",
        "slave2": "ip=10.0.0.3,port=0,state=online,offset=1,lag=0",
        "slaves_waiting_psync": "0",
    }
    hosts = client.family.heard(NEW, master("b", "a", 1001, **more), None).hosts
    assert hosts == (NEW, ("::1", 7002), ("replica.example", 7001))


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({"master_link_status": "up", "slave_repl_offset": "0"}, ServerType.SECONDARY),
        ({"master_link_status": "down", "slave_repl_offset": "500"}, ServerType.SECONDARY),
        ({"master_link_status": "down", "slave_repl_offset": "0"}, ServerType.SECONDARY),
        ({"master_link_status": "down", "slave_repl_offset": "1"}, ServerType.OTHER),
        (
            {
                "master_link_status": "down",
                "slave_repl_offset": "500",
                "master_sync_in_progress": "1",
            },
            ServerType.OTHER,
        ),
    ],
)
def test_replicas(facts: dict[str, str], kind: ServerType) -> None:
    """A replica can be read if it has data, unless it is just getting other data."""
    assert Account({"role": "slave", **facts}).server_type is kind


def test_loading() -> None:
    """Who does not serve is of no use, a primary either."""
    assert Account({"role": "master"}, serves=False).server_type is ServerType.OTHER


def test_read_info() -> None:
    """Sections are one; values may have colons."""
    text = b"# Server\r\nexecutable:C:\\redis\r\n\r\n"
    assert read_info(text, b"role:master\r\n") == {"executable": "C:\\redis", "role": "master"}
