"""A pool that keeps three connections in stock, and whose server dies: nobody calls, it helps itself.

Lived through once for each world and protocol, all at the same time. The tests look at what happened.
"""

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import pytest
from real.kit import PROTOCOLS
from real.load import WORLDS

from pool import PoolStats
from support.real import PostgresServer, RedisServer, eventually

pytestmark = pytest.mark.slow

STOCK = 3
STORIES = list(product(WORLDS, PROTOCOLS))

DOWN = 4.0
"""Seconds that the server stays away, once the pool has seen that it is gone."""

AGAIN = 8.0
"""Seconds after which the stock must be there again: the pool asks every 5 seconds at least."""


@dataclass(frozen=True)
class Story:
    """What happened to one pool.

    Parameters:
        lost: seconds until the pool had noticed that its connections were dead.
        connects: how many times it tried to connect while the server was away, after the first time.
        at_once: how many of these at once.
        again: seconds from the server's return until the stock was there.
        full: what the pool said then.
        connections: what the server said then.
    """

    lost: float
    connects: int
    at_once: int
    again: float
    full: PoolStats
    connections: int


def live_through(world: str, protocol: str) -> Story:
    """Fill a pool, kill its server, wait, start it again, and wait for the stock."""
    load_class, kits = WORLDS[world]
    kit = kits[protocol]
    with kit.server() as server:
        load = load_class(kit, server, callers=0, min_size=STOCK, health_check_interval=0.3)
        with load:
            eventually(lambda: load.stats().idle == STOCK, "it is never filled")
            server.kill()
            killed = time.monotonic()
            eventually(lambda: not load.stats().idle, "it does not notice")
            lost = time.monotonic()
            eventually(lambda: load.stats().errors > STOCK, "it does not try to connect")
            load.tally.restart()
            time.sleep(DOWN)
            connects, at_once = load.tally.total, load.tally.most
            server.start()
            up = time.monotonic()
            eventually(lambda: load.stats().idle >= STOCK, f"it stays empty: {load.stats()}")
            again = time.monotonic()
            full, connections = load.stats(), server.connections()
        eventually(lambda: not server.connections(), "connections are left")
        return Story(lost - killed, connects, at_once, again - up, full, connections)


@pytest.fixture(scope="module")
def stories() -> dict[tuple[str, str], "Future[Story]"]:
    """Live through all of them."""
    for reason in (RedisServer.missing(), PostgresServer.missing()):
        if reason:
            pytest.skip(reason)
    with ThreadPoolExecutor(len(STORIES)) as threads:
        return {key: threads.submit(live_through, *key) for key in STORIES}


@pytest.fixture(params=STORIES, ids="-".join)
def story(request: pytest.FixtureRequest, stories: dict[tuple[str, str], "Future[Story]"]) -> Story:
    """One of them."""
    return stories[request.param].result()


def test_dead_stock_is_noticed(story: Story) -> None:
    """Checks in the background find connections that died idle."""
    assert story.lost < 2.0


def test_stock_is_not_refilled_in_a_storm(story: Story) -> None:
    """While the server is away the pool tries now and then, one connection at a time."""
    assert 1 <= story.connects < 40
    assert story.at_once == 1


def test_stock_is_refilled(story: Story) -> None:
    """Soon after the server is back the stock is there again, and not more than that."""
    assert story.again < AGAIN
    assert (story.full.idle, story.full.total, story.connections) == (STOCK, STOCK, STOCK)
