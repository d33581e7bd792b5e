"""A server that is down for ten seconds while callers of both worlds go on asking.

Every combination of world, protocol and kind of outage is lived through once, all at the same time, each
with a server of its own. The tests look at what happened.
"""

import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import pytest
from real.kit import PROTOCOLS, SLACK, TIMEOUT
from real.load import CALLERS, MAX_SIZE, WORLDS, Attempt, Load

from pool import PoolOptions, PoolTimeoutError
from support.real import PostgresServer, RedisServer, eventually

pytestmark = pytest.mark.slow

DOWN = 10.0
"""Seconds that an outage takes."""

AGAIN = 5.0
"""Seconds after which everybody must be served again."""

KINDS = ["killed", "paused"]
STORIES = list(product(WORLDS, PROTOCOLS, KINDS))


@dataclass(frozen=True)
class Story:
    """What happened to one pool. Times are those of the monotonic clock."""

    load: Load
    down: float
    up: float
    again: float
    connections: int
    """What the server saw of us in the end."""

    def during(self) -> list[Attempt]:
        """Return the attempts that were made while the server was down."""
        return [a for a in self.load.attempts if self.down <= a.began and a.began < self.up]


def live_through(world: str, protocol: str, kind: str) -> Story:
    """Let callers work, take the server from them for a while, give it back, and let them end."""
    load_class, kits = WORLDS[world]
    kit = kits[protocol]
    with kit.server() as server:
        load = load_class(kit, server)
        with load:
            eventually(lambda: load.everybody_served(0.0), "it does not even begin")
            down = time.monotonic()
            if kind == "killed":
                server.kill()
            else:
                server.pause()
            time.sleep(DOWN)
            if kind == "killed":
                server.start()
            else:
                server.resume()
            up = time.monotonic()
            eventually(lambda: load.everybody_served(up), "it never recovers")
            again = time.monotonic()
            eventually(lambda: load.everybody_served(again), "it did not stay well")
        eventually(lambda: not server.connections(), "connections are left", AGAIN)
        return Story(load, down, up, again, server.connections())


@pytest.fixture(scope="module")
def stories() -> dict[tuple[str, str, str], "Future[Story]"]:
    """Live through all outages."""
    for reason in (RedisServer.missing(), PostgresServer.missing()):
        if reason:
            pytest.skip(reason)
    with ThreadPoolExecutor(len(STORIES)) as threads:
        return {key: threads.submit(live_through, *key) for key in STORIES}


@pytest.fixture(params=STORIES, ids="-".join)
def story(
    request: pytest.FixtureRequest, stories: dict[tuple[str, str, str], "Future[Story]"]
) -> Story:
    """One of them."""
    return stories[request.param].result()


def test_everybody_is_answered_in_time(story: Story) -> None:
    """No attempt takes longer than its caller has given it, down or not."""
    assert max(attempt.seconds for attempt in story.load.attempts) < TIMEOUT + SLACK
    most = (TIMEOUT + SLACK) * 1.1
    counts = Counter(attempt.caller for attempt in story.during())
    assert min(counts[caller] for caller in range(CALLERS)) >= int(DOWN / most)


def test_errors_say_what_it_is(story: Story) -> None:
    """While the server is down callers get timeouts and connection errors, and no others ever."""
    errors = {type(a.error) for a in story.load.attempts if a.error is not None}
    expected: tuple[type[Exception], ...] = (PoolTimeoutError, *story.load.kit.failures)
    assert errors
    assert [error for error in errors if not issubclass(error, expected)] == []


def test_it_recovers_by_itself(story: Story) -> None:
    """Soon after the server is back every caller is served, and then nobody sees an error any more."""
    assert story.again - story.up < AGAIN
    late = [a for a in story.load.attempts if a.error is not None and a.began > story.again]
    assert late == []


def test_no_storm(story: Story) -> None:
    """Never more than ``max_connecting`` connects at once, and no more connects than callers asked for."""
    load = story.load
    assert load.tally.most <= PoolOptions().max_connecting
    assert load.closed.created <= 3 * MAX_SIZE
    assert load.tally.total <= 3 * MAX_SIZE + len(story.during()) + CALLERS


def test_nothing_leaks(story: Story) -> None:
    """When all callers have ended nobody holds anything, and when the pool is closed nothing is open."""
    at_rest, closed = story.load.at_rest, story.load.closed
    assert (at_rest.in_use, at_rest.connecting, at_rest.waiting) == (0, 0, 0)
    assert at_rest.acquired == at_rest.released
    assert (closed.total, closed.created) == (0, closed.closed)
    assert story.connections == 0
