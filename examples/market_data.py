"""Market data over WebSockets: many consumers, one subscription for each symbol.

Run it with ``python examples/market_data.py``; the exchange is a server of its own, started here. It shows

- a connection of the pool for each symbol, as long as anybody wants it; given back clean by a ``reset``;
- sharing: the first consumer of a symbol opens the subscription, the last one ends it;
- reconnection with backoff, also from an exchange that falls silent: the symbol is subscribed to again, and
  every consumer sees a ``Gap``;
- back-pressure: a consumer who is slow loses quotes, by a policy and counted. He holds up nobody else.
"""

import asyncio
import json
import random
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from pool.aio.websockets import WebSocket, WebSocketPool

TICK = 0.002  # seconds between two quotes of a symbol
SILENCE = (
    2.0  # seconds without a quote after which the feed pings, and for which it waits for the answer
)

# --- The exchange: the other side --------------------------------------------------------------------------


class Exchange:
    """Sends quotes of what a client has subscribed to.

    Attributes:
        subscriptions: how many there are of each symbol now.
        opened: how many there were of each symbol.
    """

    def __init__(self) -> None:
        self.subscriptions: Counter[str] = Counter()
        self.opened: Counter[str] = Counter()
        self._prices: Counter[str] = Counter()
        self._clients: dict[str, ServerConnection] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve on a port that is free; give the URI."""
        async with serve(self._handle, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            yield f"ws://127.0.0.1:{port}/v1/"

    def drop(self, symbol: str) -> None:
        """Cut the connection over which somebody gets this symbol."""
        self._clients[symbol].transport.abort()

    async def _handle(self, client: ServerConnection) -> None:
        tickers: dict[str, asyncio.Task[None]] = {}
        try:
            async for message in client:
                request = json.loads(message)
                symbol = request["symbol"]
                if request["op"] == "subscribe":
                    self._clients[symbol] = client
                    tickers[symbol] = asyncio.ensure_future(self._tick(client, symbol))
                else:
                    tickers.pop(symbol).cancel()
                    await client.send(json.dumps({"op": "unsubscribed", "symbol": symbol}))
        except ConnectionClosed:
            pass
        finally:
            for ticker in tickers.values():
                ticker.cancel()

    async def _tick(self, client: ServerConnection, symbol: str) -> None:
        self.subscriptions[symbol] += 1
        self.opened[symbol] += 1
        try:
            while True:
                self._prices[symbol] += 1
                quote = {"op": "quote", "symbol": symbol, "price": self._prices[symbol]}
                await client.send(json.dumps(quote))
                await asyncio.sleep(TICK)
        except ConnectionClosed:
            pass
        finally:
            self.subscriptions[symbol] -= 1


# --- What a consumer gets ----------------------------------------------------------------------------------


class Quote(NamedTuple):
    """What something costs now. The exchange counts upwards, so that one can see what is missing."""

    symbol: str
    price: int


class Gap(NamedTuple):
    """Quotes are missing here: the connection was lost, for this reason."""

    symbol: str
    reason: str


class Mailbox:
    """What waits for one consumer: never more than ``size`` quotes.

    Who puts something in never waits. If it is full the oldest quote is dropped, and counted. With a size of
    1 that is conflation: whoever comes late gets the newest. A gap is not dropped.
    """

    def __init__(self, size: int) -> None:
        self.dropped = 0
        self._size = size
        self._quotes: deque[Quote] = deque()
        self._gap: Gap | None = None
        self._error: Exception | None = None
        self._filled = asyncio.Event()

    def put(self, item: Quote | Gap) -> None:
        if isinstance(item, Gap):
            # What is older than the gap is stale.
            self.dropped += len(self._quotes)
            self._quotes.clear()
            self._gap = item
        else:
            self._quotes.append(item)
            if len(self._quotes) > self._size:
                self._quotes.popleft()
                self.dropped += 1
        self._filled.set()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._filled.set()

    def __aiter__(self) -> "Mailbox":
        return self

    async def __anext__(self) -> Quote | Gap:
        await self._filled.wait()
        item: Quote | Gap
        if self._gap is not None:
            item, self._gap = self._gap, None
        elif self._quotes:
            item = self._quotes.popleft()
        else:
            assert self._error is not None
            raise self._error
        if not self._quotes and self._error is None:
            self._filled.clear()
        return item


# --- The feed: one subscription for each symbol ------------------------------------------------------------


async def unsubscribe(ws: WebSocket) -> bool:
    """End all subscriptions of a connection, for the pool: true if it is clean for the next one."""
    for symbol in ws.subscriptions:
        await ws.send({"op": "unsubscribe", "symbol": symbol})
    left = set(ws.subscriptions)
    while left:
        message = await ws.recv()
        if message["op"] == "unsubscribed":
            left.discard(message["symbol"])
    return True


class Upstream:
    """The subscription to one symbol, on a connection of its own, for all who want it."""

    def __init__(self, pool: WebSocketPool, symbol: str) -> None:
        self.consumers: set[Mailbox] = set()
        self.error: Exception | None = None
        self._pool = pool
        self._symbol = symbol
        self._over = asyncio.Event()
        self._task = asyncio.ensure_future(self._run())

    async def end(self) -> None:
        """End it, and wait until the connection is back in the pool."""
        self._over.set()
        await self._task

    async def _run(self) -> None:
        delay = 0.0
        while not self._over.is_set():
            try:
                async with self._pool.connection("quotes", timeout=5.0) as ws:
                    await ws.send({"op": "subscribe", "symbol": self._symbol})
                    ws.subscriptions.add(self._symbol)
                    async for message in until(self._over, ws):
                        delay = 0.0
                        self._publish(Quote(message["symbol"], message["price"]))
                return
            except (ConnectionClosed, InvalidHandshake, OSError) as error:
                # A PoolTimeoutError is an OSError, too.
                reason = f"{type(error).__name__}: {error}"
            except Exception as error:
                # There will be nothing more: nobody must wait for it, now or later.
                self.error = error
                for mailbox in self.consumers:
                    mailbox.fail(error)
                return
            self._publish(Gap(self._symbol, reason))
            # Only a random part of it, so that not all clients of an exchange come back at once.
            delay = min(max(2 * delay, 0.05), 5.0)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), delay * random.random())

    def _publish(self, item: Quote | Gap) -> None:
        for mailbox in self.consumers:
            mailbox.put(item)


async def until(over: asyncio.Event, ws: WebSocket) -> AsyncIterator[Any]:
    """Yield messages until it is over. A ``recv`` that is cancelled loses none.

    If none comes for a while, it pings the exchange: nobody else pings a connection in use.
    """
    end = asyncio.ensure_future(over.wait())
    try:
        while not over.is_set():
            message = asyncio.ensure_future(ws.recv())
            try:
                await asyncio.wait(
                    [message, end], timeout=SILENCE, return_when=asyncio.FIRST_COMPLETED
                )
            finally:
                message.cancel()
                await asyncio.wait([message])
            if not message.cancelled():
                yield message.result()
            elif not over.is_set():
                await ws.ping(timeout=SILENCE)
    finally:
        end.cancel()


class Feed:
    """Quotes for any number of consumers in this process."""

    def __init__(self, pool: WebSocketPool) -> None:
        self._pool = pool
        self._upstreams: dict[str, Upstream] = {}

    @asynccontextmanager
    async def subscribe(self, symbol: str, size: int = 100) -> AsyncIterator[Mailbox]:
        """Give what comes of a symbol from now on: ``Quote`` and ``Gap``.

        Parameters:
            symbol: which.
            size: quotes that may wait; then the oldest are dropped. 1 for only ever the newest.
        """
        upstream = self._upstreams.get(symbol)
        if upstream is None:
            upstream = self._upstreams[symbol] = Upstream(self._pool, symbol)
        mailbox = Mailbox(size)
        upstream.consumers.add(mailbox)
        if upstream.error is not None:
            mailbox.fail(upstream.error)
        try:
            yield mailbox
        finally:
            upstream.consumers.discard(mailbox)
            if not upstream.consumers:
                # Who comes from now on begins another one.
                del self._upstreams[symbol]
                await asyncio.shield(upstream.end())


# --- The program -------------------------------------------------------------------------------------------


async def consume(
    feed: Feed, symbol: str, count: int, size: int = 100, pause: float = 0.0
) -> tuple[list[Quote | Gap], int]:
    """Take so many quotes and gaps; return them, and how many quotes were dropped."""
    got: list[Quote | Gap] = []
    async with feed.subscribe(symbol, size) as mailbox:
        async for item in mailbox:
            got.append(item)
            if len(got) == count:
                break
            await asyncio.sleep(pause)
    return got, mailbox.dropped


async def main() -> None:
    exchange = Exchange()
    async with (
        exchange.running() as uri,
        WebSocketPool(uri, json=True, reset=unsubscribe, max_size=10) as pool,
        # On a Ctrl-C the consumers leave before the pool is closed.
        asyncio.TaskGroup() as group,
    ):
        feed = Feed(pool)
        quick = [group.create_task(consume(feed, "ACME", 300)) for _ in range(5)]
        slow = group.create_task(consume(feed, "ACME", 20, size=5, pause=0.03))
        newest = group.create_task(consume(feed, "EMCA", 20, size=1, pause=0.03))
        await asyncio.sleep(0.2)
        stats = pool.stats("quotes")
        print("7 consumers of 2 symbols, connections:", stats.active)
        print("subscriptions to ACME:", exchange.subscriptions["ACME"])

        exchange.drop("ACME")
        results = [await task for task in quick]
        gaps = [sum(isinstance(item, Gap) for item in got) for got, _ in results]
        print("the exchange has dropped ACME; gaps seen by the quick ones:", gaps)
        print("quotes that the quick ones have lost beside:", sum(lost for _, lost in results))

        late, dropped = await slow
        print("the slow one, with room for 5, has dropped some:", dropped > 0)
        seen, conflated = await newest
        assert len(late) == len(seen) == 20
        print("the one who wants only the newest, too:", conflated > 0)

        stats = pool.stats("quotes")
        print("subscriptions left:", exchange.subscriptions.total())
        print(
            f"connections: {stats.active} in use, {stats.idle} idle, {stats.reconnects} reconnect"
        )
        await consume(feed, "ACME", 3)
        print("clean enough for another subscription:", pool.stats("quotes").total == stats.total)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
