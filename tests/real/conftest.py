"""Real servers: one of each for the short tests, which leave it running, however they have treated it."""

from collections.abc import Iterator

import pytest
from real.kit import PROTOCOLS

from support.real import PostgresServer, RealServer, RedisServer, eventually
from support.standby import PostgresPrimary, PostgresStandby


def running(kind: type[RealServer]) -> Iterator[RealServer]:
    """Start a server, if it can be had here."""
    if reason := kind.missing():
        pytest.skip(reason)
    with kind() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RealServer]:
    yield from running(RedisServer)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[RealServer]:
    yield from running(PostgresServer)


@pytest.fixture(scope="session")
def _postgres_primary() -> Iterator[RealServer]:
    yield from running(PostgresPrimary)


@pytest.fixture
def primary(_postgres_primary: PostgresPrimary) -> Iterator[PostgresPrimary]:
    """Give a PostgreSQL that can be followed; it goes on afterwards."""
    yield _postgres_primary
    _postgres_primary.resume()
    if not _postgres_primary.answers():
        _postgres_primary.restart()


@pytest.fixture(scope="session")
def standby(_postgres_primary: PostgresPrimary) -> Iterator[PostgresStandby]:
    """Give a PostgreSQL that follows the primary, and is never promoted."""
    with PostgresStandby(_postgres_primary) as server:
        yield server


@pytest.fixture(params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    """One protocol after the other."""
    return str(request.param)


@pytest.fixture
def server(protocol: str, request: pytest.FixtureRequest) -> Iterator[RealServer]:
    """Give the protocol's server, with nobody connected."""
    server: RealServer = request.getfixturevalue(f"{protocol}_server")
    eventually(lambda: not server.connections(), "somebody stays connected")
    yield server
    server.resume()
    if not server.answers():
        server.restart()
