"""A pooled client of a line protocol with asyncio: the result of the tutorial.

Run it with ``python examples/line_client_aio.py``; it starts its own server. The same program with threads
is ``line_client_sync.py``.
"""

import asyncio
import socketserver
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

from pool import PoolTimeoutError, monitoring
from pool.aio import ConnectionPool, Stream, TcpConnectionManager

Endpoint = tuple[str, int]


# --- The client --------------------------------------------------------------------------------------------


class ReplyError(Exception):
    """The server understood the request and refused it."""


class LineManager(TcpConnectionManager):
    """Opens streams of the line protocol."""

    def can_reuse(self, endpoint: Endpoint, conn: Stream, error: BaseException) -> bool:
        return isinstance(error, ReplyError)


class LineClient:
    """Sends a line, returns the line that answers it. Any number of tasks may share one client."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        max_size: int = 4,
        event_listeners: Sequence[monitoring.EventListener] = (),
    ) -> None:
        self.endpoint = endpoint
        self.pool = ConnectionPool(
            LineManager(), max_size=max_size, event_listeners=event_listeners
        )

    async def ask(self, line: str, timeout: float = 5.0) -> str:
        """Ask once more if the connection turns out to be dead: only for what may be repeated."""
        try:
            return await self.ask_once(line, timeout)
        except (ConnectionError, EOFError):
            await self.pool.clear(self.endpoint)
            return await self.ask_once(line, timeout)

    async def ask_once(self, line: str, timeout: float = 5.0) -> str:
        async with self.pool.connection(self.endpoint, timeout=timeout) as stream:
            await stream.send(line.encode() + b"\n", timeout=timeout)
            reply = await stream.receive_until(b"\n", 1024, timeout=timeout)
            word, _, rest = reply.decode().strip().partition(" ")
            if word == "ERR":
                raise ReplyError(rest)
            return f"{word} {rest}".strip()

    async def close(self) -> None:
        await self.pool.close(timeout=1.0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()


# --- The program -------------------------------------------------------------------------------------------


async def run(endpoint: Endpoint) -> None:
    events: list[monitoring.Event] = []
    async with LineClient(endpoint, event_listeners=[monitoring.on(events.append)]) as client:
        replies = await asyncio.gather(*(client.ask(f"PING {n}") for n in range(20)))
        print("20 callers:", replies[0], "to", replies[-1])

        try:
            await client.ask("DANCE")
        except ReplyError as error:
            print("refused:", error)

        await client.ask("BYE")
        print("after the server hung up:", await client.ask("PING again"))

    async with LineClient(endpoint, max_size=1) as client, client.pool.connection(endpoint):
        try:
            await asyncio.create_task(client.ask("PING", timeout=0.05))
        except PoolTimeoutError as error:
            print("all in use:", type(error).__name__)

    counts = Counter(type(event).__name__ for event in events)
    out, back = counts["ConnectionCheckedOutEvent"], counts["ConnectionCheckedInEvent"]
    print("never given back:", out - back)
    print("left open:", counts["ConnectionCreatedEvent"] - counts["ConnectionClosedEvent"])


# --- A server to talk to -----------------------------------------------------------------------------------


class Conversation(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        for line in self.rfile:
            word, _, rest = line.strip().partition(b" ")
            match word:
                case b"PING":
                    self.wfile.write(b"PONG " + rest + b"\n")
                case b"BYE":
                    self.wfile.write(b"BYE\n")
                    return
                case _:
                    self.wfile.write(b"ERR unknown word " + word + b"\n")


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def server() -> Iterator[Any]:
    with Server(("127.0.0.1", 0), Conversation) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield listening.server_address
        finally:
            listening.shutdown()
            thread.join()


def main() -> None:
    with server() as endpoint:
        asyncio.run(run(endpoint))


if __name__ == "__main__":
    main()
