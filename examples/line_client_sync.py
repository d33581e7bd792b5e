"""A pooled client of a line protocol with threads: the result of the tutorial.

Run it with ``python examples/line_client_sync.py``; it starts its own server. The same program with asyncio
is ``line_client_aio.py``.
"""

import socketserver
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Self

from pool import PoolTimeoutError, monitoring
from pool.sync import ConnectionPool, Stream, TcpConnectionManager

Endpoint = tuple[str, int]


# --- The client --------------------------------------------------------------------------------------------


class ReplyError(Exception):
    """The server understood the request and refused it."""


class LineManager(TcpConnectionManager):
    """Opens streams of the line protocol."""

    def can_reuse(self, endpoint: Endpoint, conn: Stream, error: BaseException) -> bool:
        return isinstance(error, ReplyError)


class LineClient:
    """Sends a line, returns the line that answers it. Any number of threads may share one client."""

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

    def ask(self, line: str, timeout: float = 5.0) -> str:
        """Ask once more if the connection turns out to be dead: only for what may be repeated."""
        try:
            return self.ask_once(line, timeout)
        except (ConnectionError, EOFError):
            self.pool.clear(self.endpoint)
            return self.ask_once(line, timeout)

    def ask_once(self, line: str, timeout: float = 5.0) -> str:
        with self.pool.connection(self.endpoint, timeout=timeout) as stream:
            stream.send(line.encode() + b"\n", timeout=timeout)
            reply = stream.receive_until(b"\n", 1024, timeout=timeout)
            word, _, rest = reply.decode().strip().partition(" ")
            if word == "ERR":
                raise ReplyError(rest)
            return f"{word} {rest}".strip()

    def close(self) -> None:
        self.pool.close(timeout=1.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


# --- The program -------------------------------------------------------------------------------------------


def run(endpoint: Endpoint) -> None:
    events: list[monitoring.Event] = []
    with LineClient(endpoint, event_listeners=[monitoring.on(events.append)]) as client:
        with ThreadPoolExecutor(20) as threads:
            replies = list(threads.map(client.ask, [f"PING {n}" for n in range(20)]))
        print("20 callers:", replies[0], "to", replies[-1])

        try:
            client.ask("DANCE")
        except ReplyError as error:
            print("refused:", error)

        client.ask("BYE")
        print("after the server hung up:", client.ask("PING again"))

    with (
        LineClient(endpoint, max_size=1) as client,
        client.pool.connection(endpoint),
        ThreadPoolExecutor(1) as thread,
    ):
        try:
            thread.submit(client.ask, "PING", timeout=0.05).result()
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
        run(endpoint)


if __name__ == "__main__":
    main()
