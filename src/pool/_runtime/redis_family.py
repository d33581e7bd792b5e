"""What Redis servers say of replication, and what a manager remembers of it. Waits for nothing.

Redis has no number for its elections and no list of all members; each server knows its own side only. Who
asks all of them knows more, so a manager has a ``Family``.

The lineage of data has a name, the *replication id*. A replica has that of its primary. When it is promoted,
it invents a new one and keeps the old as its second id, up to the offset where it took over; so the second
id of a primary is the first of the one before. This shows who follows whom.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from threading import Lock

from pool._runtime.fork import watch
from pool.descriptions import Hello, ServerType

__all__ = ["Account", "Address", "Family", "read_info"]

Address = tuple[str, int]

_NOBODY = "0" * 40
_MOST = 1000
"""Servers to remember: a pool may have any number of them, which are no replica set."""


def read_info(*answers: bytes) -> dict[str, str]:
    """Return what INFO says as a ``dict``."""
    found: dict[str, str] = {}
    for answer in answers:
        for line in answer.decode("utf-8", "replace").splitlines():
            name, colon, value = line.partition(":")
            if colon and not line.startswith("#"):
                found[name] = value
    return found


@dataclass(frozen=True)
class Account:
    """What one server says of itself.

    Parameters:
        info: the sections "replication" and "server" of INFO.
        serves: whether it serves ordinary commands.
    """

    info: Mapping[str, str]
    serves: bool = True

    @property
    def is_master(self) -> bool:
        """Whether it takes itself for the primary."""
        return self.info["role"] == "master"

    @property
    def server_type(self) -> ServerType:
        """What it is."""
        if not self.serves or not self._has_data:
            return ServerType.OTHER
        return ServerType.PRIMARY if self.is_master else ServerType.SECONDARY

    @property
    def _has_data(self) -> bool:
        if self.is_master or self.info.get("master_link_status") == "up":
            return True
        if self.info.get("master_sync_in_progress", "0") != "0":
            return False
        # So says one that never got anything; one that has got all of nothing says 0.
        return self.info.get("slave_repl_offset") != "1"

    @property
    def run(self) -> str:
        """Which process it is, of all there are."""
        return self.info.get("run_id", "")

    @property
    def lineage(self) -> str:
        """Its replication id."""
        return self.info.get("master_replid", _NOBODY)

    @property
    def ancestor(self) -> str | None:
        """The replication id before, ``None`` if there was none."""
        found = self.info.get("master_replid2", _NOBODY)
        return None if found == _NOBODY else found

    @property
    def takeover(self) -> int:
        """The offset at which it took over, 0 if it never did."""
        return max(int(self.info.get("second_repl_offset", -1)), 0)

    @property
    def master(self) -> Address | None:
        """Whom it follows."""
        if "master_host" not in self.info:
            return None
        return self.info["master_host"], int(self.info["master_port"])

    def replicas(self) -> Iterator[Address]:
        """Yield the addresses of those who follow it, as they announce themselves."""
        for name, value in self.info.items():
            if name.startswith("slave") and name[5:].isdecimal():
                facts = dict(fact.split("=", 1) for fact in value.split(",") if "=" in fact)
                if int(facts.get("port", 0)):
                    yield facts["ip"], int(facts["port"])


@dataclass(frozen=True)
class _Standing:
    endpoint: Address
    account: Account
    term: int


class Family:
    """What a manager remembers of the servers of one replica set.

    The lock protects everything; nothing under it waits.

    Parameters:
        discover: believe the addresses that servers tell; else nobody has ``hosts``.
    """

    def __init__(self, discover: bool) -> None:
        self._discover = discover
        self.forked()
        watch(self)

    def forked(self) -> None:
        """Begin afresh, in a child too: the lock may be held by a thread of the parent."""
        self._lock = Lock()
        # By endpoint, in the order in which they were first known: the address behind it, and the process.
        self._peers: dict[Address, Address] = {}
        self._runs: dict[Address, str] = {}
        # Those who answer; None for those who have not yet been heard.
        self._servers: dict[Address, _Standing | None] = {}
        self._top: _Standing | None = None

    def asked(self, endpoint: Address) -> None:
        """Remember that somebody is about to be asked."""
        with self._lock:
            if len(self._servers) < _MOST:
                self._servers.setdefault(endpoint, None)

    def reached(self, endpoint: Address, peer: Address) -> None:
        """Remember which address an endpoint has led to."""
        with self._lock:
            if endpoint in self._servers:
                self._peers[endpoint] = peer

    def failed(self, endpoint: Address, gone: bool) -> None:
        """Forget a server that is gone, or that was never heard."""
        with self._lock:
            if gone or self._servers.get(endpoint) is None:
                self._servers.pop(endpoint, None)
            if len(self._peers) > _MOST:
                self._peers.clear()

    def heard(self, endpoint: Address, account: Account, connection_id: int | None) -> Hello:
        """Remember what a server says, and return what it means."""
        with self._lock:
            self._runs[endpoint] = account.run
            term = self._term(endpoint, account) if account.is_master else 0
            standing = self._servers[endpoint] = _Standing(endpoint, account, term)
            if account.is_master and (self._top is None or term >= self._top.term):
                self._top = standing
            master = account.master
            return Hello(
                document=account.info,
                server_type=account.server_type,
                hosts=self._hosts(standing),
                primary=endpoint if master is None else self._name(master),
                term=term if account.is_master else None,
                connection_id=connection_id,
            )

    def _name(self, address: Address) -> Address:
        """Return the endpoint under which a server was first known."""
        peer, run = self._peers.get(address, address), self._runs.get(address)
        for endpoint in self._peers:
            if self._peers[endpoint] == peer or (run and self._runs.get(endpoint) == run):
                return endpoint
        return address

    def _hosts(self, standing: _Standing) -> tuple[Address, ...]:
        """Return the members of a server's replica set; nothing if it must not tell."""
        endpoint, account = standing.endpoint, standing.account
        told = [*account.replicas()]
        if account.master is not None:
            told.append(account.master)
        heard = any(other for other in self._servers.values() if other is not standing)
        # Who alone is heard may be a primary that was replaced long ago, and whom it does not name is
        # dropped: there must be a chance to hear the others.
        if not self._discover or not (told or heard):
            return ()
        if account.is_master:
            for other in self._servers:
                known = self._servers[other]
                if known is None or self._belongs(known, standing):
                    told.append(other)
        # In the same order each time, or two answers that say the same would not be equal.
        others = sorted({self._name(address) for address in told})
        return tuple(dict.fromkeys([endpoint, self._name(endpoint), *others]))

    @staticmethod
    def _belongs(other: _Standing, primary: _Standing) -> bool:
        if other.account.is_master:
            # One that is stale must not hide one that is not.
            return other.term > primary.term
        # It follows this primary or, not told otherwise yet, the one before.
        return other.account.lineage in (primary.account.lineage, primary.account.ancestor)

    def _term(self, endpoint: Address, account: Account) -> int:
        """Return the term of a primary: the offset at which it took over, as far as that can be compared.

        Offsets begin anew when a primary restarts without its data, and its replication id is another.
        """
        term, top = account.takeover, self._top
        if top is None:
            return term
        if self._name(endpoint) == self._name(top.endpoint):
            return max(term, top.term)
        if account.ancestor == top.account.lineage:
            return max(term, top.term + 1)
        before = top.account.ancestor
        if before is not None and account.lineage == before:
            return min(term, top.term - 1)
        if account.ancestor is None:
            return term
        if self._servers.get(top.endpoint) is not top:
            # Nobody saw what came between, but this one was promoted, and the other is gone.
            return max(term, top.term + 1)
        # Two took over from the same primary, or one did and it has restarted with its data.
        return min(term, top.term - 1) if account.ancestor == before else term
