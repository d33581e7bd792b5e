"""Seeds from DNS: which names are taken, what the records of a real name server become, and in what time."""

from collections.abc import Iterator
from time import monotonic
from types import SimpleNamespace
from typing import Any

import dns.asyncresolver
import pytest
from dns.asyncresolver import Resolver
from dns.resolver import NXDOMAIN, NoAnswer, NoNameservers, NoResolverConfiguration

from pool._async.srv import Resolution, resolve, srv_name
from pool.aio import Topology
from support.aio import begun, until
from support.dns import DnsServer, Mode, Record

from .clusters import STANDALONE, Cluster, ClusterManager, Server

LIMIT = 20.0
"""Seconds that no test needs."""
NAME = "_redis._tcp.example"


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


async def look_up(server: DnsServer, *records: Record) -> Resolution:
    """Let the name have these records, and resolve it."""
    server.records[NAME] = list(records)
    return await resolve(NAME, LIMIT, server.resolver(Resolver))


# --- Names ---


@pytest.mark.parametrize(
    ("seeds", "name"),
    [
        ("srv://_redis._tcp.example", "_redis._tcp.example"),
        ("srv://_redis._tcp.example.", "_redis._tcp.example"),
        ("srv://_x-y9._udp.A.under_score.xn--bcher-kva.example", None),
        ("srv://_redis._tcp." + ".".join(["a" * 63] * 3) + "." + "a" * 43, None),
    ],
)
def test_names(seeds: str, name: str | None) -> None:
    """The name is what stands behind the scheme, without the dot of the root."""
    assert srv_name(seeds) == (name or seeds.removeprefix("srv://"))


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ("", "the name is missing"),
        (".", "the name is missing"),
        ("example.com", "it has to begin with a service and a protocol"),
        ("_redis.example.com", "it has to begin with a service and a protocol"),
        ("redis._tcp.example", "it has to begin with a service and a protocol"),
        ("_redis._tcp", "it has to begin with a service and a protocol"),
        ("_._tcp.example", "it has to begin with a service and a protocol"),
        ("127.0.0.1", "it has to begin with a service and a protocol"),
        ("_redis._tcp.example:6379", "it has no place for a port"),
        ("[::1]", "it has no place for a port"),
        ("_redis._tcp.example/0", "it has no place for a path"),
        ("_redis._tcp.example?tls=1", "it has no place for a path or options"),
        ("_redis._tcp.example#0", "it has no place for a path or options"),
        ("_redis._tcp..example", "the label '' is malformed"),
        ("_redis._tcp.example..", "the label '' is malformed"),
        ("_redis._tcp.exa mple", "the label 'exa mple' is malformed"),
        ("_redis._tcp.example\n", r"the label 'example\\n' is malformed"),
        ("_redis._tcp.-example", "the label '-example' is malformed"),
        ("_redis._tcp.example-", "the label 'example-' is malformed"),
        ("_redis._tcp.bücher", "the label 'bücher' is malformed"),
        ("_redis._tcp." + "a" * 64, "a label has at most 63 characters, not 64"),
        ("_redis._tcp." + ".".join(["a" * 63] * 4), "at most 253 characters, not 267"),
        ("_redis._tcp." + ".".join(["a" * 63] * 3) + "." + "a" * 50, "at most 253 characters"),
    ],
)
def test_malformed_names(rest: str, problem: str) -> None:
    """Whatever is no name of a service is refused: the error has the value and says what is wrong."""
    with pytest.raises(ValueError, match=problem) as caught:
        srv_name(f"srv://{rest}")
    text = str(caught.value)
    assert text.startswith("seeds must be 'srv://_service._proto.domain', not ")
    assert repr(f"srv://{rest}") in text


@pytest.mark.parametrize("seeds", ["", "localhost", "_redis._tcp.example", "redis://example"])
def test_other_seeds(seeds: str) -> None:
    """What is no ``srv://`` name at all is taken for a mistaken sequence of endpoints."""
    with pytest.raises(
        TypeError, match="a sequence of endpoints or a name such as 'srv://"
    ) as caught:
        srv_name(seeds)
    assert str(caught.value).endswith(f", not {seeds!r}")


@pytest.mark.parametrize("scheme", ["srv", "redis"])
def test_credentials_stay_secret(scheme: str) -> None:
    """The error that refuses a password does not repeat it."""
    with pytest.raises((TypeError, ValueError)) as caught:
        srv_name(f"{scheme}://me:p@ss/word@_redis._tcp.example")
    assert f"'{scheme}://***@_redis._tcp.example'" in str(caught.value)
    assert "me" not in str(caught.value).partition("not ")[2].partition("@")[0]


# --- Records ---


async def test_order(server: DnsServer) -> None:
    """By priority; then the greater weight; then the name, and the port."""
    found = await look_up(
        server,
        (20, 99, 6379, "last."),
        (10, 0, 6379, "light."),
        (10, 5, 6379, "b."),
        (10, 5, 6380, "a."),
        (10, 5, 6379, "a."),
        (0, 1, 6379, "first."),
    )
    assert found.addresses == (
        ("first", 6379),
        ("a", 6379),
        ("a", 6380),
        ("b", 6379),
        ("light", 6379),
        ("last", 6379),
    )


async def test_names_of_hosts(server: DnsServer) -> None:
    """A host has no dot at its end and no capitals."""
    found = await look_up(server, (0, 0, 6379, "Node-1.Example.COM."))
    assert found.addresses == (("node-1.example.com", 6379),)


async def test_duplicates(server: DnsServer) -> None:
    """An address that several records have stands where the most preferred of them does."""
    found = await look_up(
        server, (2, 0, 1, "a."), (1, 0, 1, "b."), (0, 3, 1, "A."), (0, 9, 2, "a.")
    )
    assert found.addresses == (("a", 2), ("a", 1), ("b", 1))


async def test_many_records(server: DnsServer) -> None:
    """An answer that fits no small datagram is read whole."""
    found = await look_up(server, *[(0, 0, port, "a.example.") for port in range(1, 201)])
    assert found.addresses == tuple(("a.example", port) for port in range(1, 201))


async def test_no_service(server: DnsServer) -> None:
    """A domain that says it has no such service has no addresses: that is an answer, not an error."""
    assert await look_up(server, (0, 0, 0, ".")) == Resolution((), 60.0)


async def test_ttl(server: DnsServer) -> None:
    """How long the answer holds is what the records say, in seconds."""
    server.ttl = 7
    found = await look_up(server, (0, 0, 6379, "a."))
    assert found.ttl == 7.0
    assert isinstance(found.ttl, float)


async def test_changes_are_seen(server: DnsServer) -> None:
    """Every call asks: with the same resolver, what has changed is seen the next time."""
    resolver = server.resolver(Resolver)
    server.records[NAME] = [(0, 0, 6379, "a.")]
    first = await resolve(NAME, LIMIT, resolver)
    server.records[NAME] = [(0, 0, 6379, "b.")]
    second = await resolve(NAME, LIMIT, resolver)
    assert (first.addresses, second.addresses) == ((("a", 6379),), (("b", 6379),))
    assert server.queries == 2


async def test_the_system_is_asked(server: DnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a resolver, the system's settings count, as they are at each call."""
    server.records[NAME] = [(0, 0, 6379, "a.")]
    made = []

    def configured() -> Resolver:
        made.append(server.resolver(Resolver))
        return made[-1]

    monkeypatch.setattr(dns.asyncresolver, "Resolver", configured)
    for count in (1, 2):
        assert (await resolve(NAME, None)).addresses == (("a", 6379),)
        assert len(made) == count


async def test_no_system_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without name servers is an ``OSError`` like others."""

    def configured() -> Resolver:
        raise NoResolverConfiguration

    monkeypatch.setattr(dns.asyncresolver, "Resolver", configured)
    with pytest.raises(OSError, match=f"could not look up the SRV records of {NAME}: ") as caught:
        await resolve(NAME, LIMIT)
    assert isinstance(caught.value.__cause__, NoResolverConfiguration)


# --- Failures ---


@pytest.mark.parametrize(
    ("mode", "cause"), [("nxdomain", NXDOMAIN), ("empty", NoAnswer), ("servfail", NoNameservers)]
)
async def test_failures(server: DnsServer, mode: Mode, cause: type[Exception]) -> None:
    """No such name, no such records, a server in trouble: an ``OSError`` that has the reason as its cause."""
    server.mode = mode
    with pytest.raises(OSError, match=f"could not look up the SRV records of {NAME}: ") as caught:
        await look_up(server, (0, 0, 6379, "a."))
    assert isinstance(caught.value.__cause__, cause)
    assert str(caught.value.__cause__) in str(caught.value)
    assert not isinstance(caught.value, TimeoutError)


async def test_a_resolver_that_takes_no_answer_for_one(server: DnsServer) -> None:
    """No records are an ``OSError`` also where the resolver does not mind them."""

    class Lenient(Resolver):
        async def resolve(self, *args: Any, **kwargs: Any) -> Any:
            return await super().resolve(*args, **(kwargs | {"raise_on_no_answer": False}))

    server.mode = "empty"
    with pytest.raises(OSError, match=f"^{NAME} has no SRV records$"):
        await resolve(NAME, LIMIT, server.resolver(Lenient))


async def test_silence(server: DnsServer) -> None:
    """Nothing from the server is a ``TimeoutError`` when the time is up, not when dnspython's pause is."""
    server.mode = "silent"
    resolver = server.resolver(Resolver)
    # It pauses for 0.1, 0.2, 0.4 and 0.8 seconds: alone it would end after 1.54.
    resolver.timeout = 0.01
    start = monotonic()
    with pytest.raises(
        TimeoutError, match=f"^no answer within 0.75 seconds to what SRV records {NAME}"
    ):
        await resolve(NAME, 0.75, resolver)
    assert 0.7 < monotonic() - start < 1.4
    assert server.queries > 1


async def test_no_limit_but_that_of_the_resolver(server: DnsServer) -> None:
    """Without a timeout, the resolver's own ends the call."""
    server.mode = "silent"
    resolver = server.resolver(Resolver)
    resolver.lifetime = 0.2
    with pytest.raises(TimeoutError, match=f"^no answer in time to what SRV records {NAME} has$"):
        await resolve(NAME, None, resolver)


@pytest.mark.parametrize("timeout", [0, -1.0])
async def test_no_time(server: DnsServer, timeout: float) -> None:
    """Without time left, the call fails at once."""
    server.mode = "silent"
    start = monotonic()
    with pytest.raises(TimeoutError):
        await resolve(NAME, timeout, server.resolver(Resolver))
    assert monotonic() - start < LIMIT / 10


async def test_a_server_that_comes_back(server: DnsServer) -> None:
    """A failure is not remembered."""
    server.mode = "servfail"
    resolver = server.resolver(Resolver)
    server.records[NAME] = [(0, 0, 6379, "a.")]
    with pytest.raises(OSError, match="SERVFAIL"):
        await resolve(NAME, LIMIT, resolver)
    server.mode = "answer"
    assert (await resolve(NAME, LIMIT, resolver)).addresses == (("a", 6379),)


# --- Resolvers of one's own ---


async def test_what_a_resolver_is_asked(server: DnsServer) -> None:
    """Any object will do that has dnspython's ``resolve``: it gets the name, the type and the time."""
    asked = []

    async def answer(*args: Any, **kwargs: Any) -> Any:
        asked.append((args, kwargs))
        return await server.resolver(Resolver).resolve(*args, **kwargs)

    server.records[NAME] = [(0, 0, 6379, "a.")]
    found = await resolve(NAME, LIMIT, SimpleNamespace(resolve=answer))
    assert found.addresses == (("a", 6379),)
    assert asked == [((NAME, "SRV"), {"lifetime": LIMIT})]


async def test_an_error_of_a_resolver() -> None:
    """What a resolver raises of its own comes through as it is."""
    error = RuntimeError("defective")

    async def fail(*_: Any, **__: Any) -> Any:
        raise error

    with pytest.raises(RuntimeError) as caught:
        await resolve(NAME, LIMIT, SimpleNamespace(resolve=fail))
    assert caught.value is error


# --- In a topology ---


async def test_nobody_stays_to_look_seeds_up(server: DnsServer) -> None:
    """A topology that is closed needs no seeds any more, even if it is kept."""
    server.records[NAME] = [(0, 0, 6379, "a.")]
    manager = ClusterManager(Cluster(Server(("a", 6379), STANDALONE)))
    topology = Topology(manager, f"srv://{NAME}", resolver=server.resolver(Resolver))
    scout = topology._watcher._scout
    async with topology:
        found = await topology.select_server()
        assert found.address == ("a", 6379)
        assert begun(scout)
    await until(lambda: not begun(scout))
