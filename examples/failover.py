"""Ride through a failover of Redis: write and read without a break, and say what happens.

Run it with ``python examples/failover.py HOST:PORT HOST:PORT ...``, the endpoints of a primary and its
replicas. Then kill the primary, and promote a replica: ``redis-cli -p PORT REPLICAOF NO ONE``. Ctrl-C ends
it, and so does ``--seconds N``.
"""

import argparse
import time
from contextlib import suppress
from threading import Event, Thread
from typing import Any

from pool.monitoring import TopologyDescriptionChangedEvent, TopologyListener
from pool.selectors import Selector
from pool.sync import Client, secondary_preferred, writable
from pool.sync.redis import RedisManager

PAUSE = 0.01  # seconds from one command to the next
LIMIT = 2.0  # seconds for a command: to find a server, to get a connection, and for the reply
GAP = 0.2  # seconds between two that succeed, if that is worth a line
STARTED = time.monotonic()


def say(text: str) -> None:
    """Print a line, in one piece: there are several threads."""
    print(f"{time.monotonic() - STARTED:7.3f}  {text}\n", end="", flush=True)


class Reporter(TopologyListener):
    """Says what the servers are, whenever that changes."""

    said = ""

    def description_changed(self, event: TopologyDescriptionChangedEvent) -> None:
        servers = event.new_description.server_descriptions()
        text = ", ".join(f"{h}:{p} {each.server_type_name}" for (h, p), each in servers.items())
        if text not in ("", self.said):
            self.said = text
            say(f"servers: {text}")


class Traffic(Thread):
    """Sends one command again and again, and says when that fails or takes long."""

    def __init__(self, client: Client[Any, Any], name: str, selector: Selector) -> None:
        super().__init__(name=name)
        self.client, self.selector = client, selector
        self.over = Event()
        self.last, self.longest, self.succeeded, self.failed = time.monotonic(), 0.0, 0, 0

    def run(self) -> None:
        command = {self.name: "twinpool:failover"}
        while not self.over.wait(PAUSE):
            try:
                self.client.command(command, selector=self.selector, timeout=LIMIT)
            except Exception as error:
                # It is not repeated: nobody knows whether the server has done it.
                say(f"{self.name}: {type(error).__name__}: {error}")
                self.failed += 1
                continue
            gap, self.last = time.monotonic() - self.last, time.monotonic()
            self.longest = max(self.longest, gap)
            self.succeeded += 1
            if gap > GAP:
                say(f"{self.name}: goes on after {gap:.3f} s")


def run(endpoints: list[tuple[str, int]], seconds: float | None) -> None:
    with Client(
        RedisManager(),
        endpoints,
        heartbeat_interval=1.0,
        heartbeat_timeout=1.0,
        event_listeners=[Reporter()],
    ) as client:
        callers = [Traffic(client, "INCR", writable), Traffic(client, "GET", secondary_preferred)]
        for each in callers:
            each.start()
        with suppress(KeyboardInterrupt):
            Event().wait(seconds)
        for each in callers:
            each.over.set()
            each.join()
            counts = f"{each.succeeded} succeeded, {each.failed} failed"
            say(f"{each.name}: {counts}, the longest gap was {each.longest:.3f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("servers", metavar="HOST:PORT", nargs="*", help="where a server is")
    parser.add_argument("--seconds", type=float, help="end after so many seconds")
    arguments = parser.parse_args()
    if not arguments.servers:
        print(__doc__)
        return
    pairs = [text.rpartition(":") for text in arguments.servers]
    run([(host, int(port)) for host, _, port in pairs], arguments.seconds)


if __name__ == "__main__":
    main()
