"""The example of market data: what it shows is true."""

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pool.aio.websockets import WebSocketPool
from support.aio_net import until

PROGRAM = Path(__file__).resolve().parents[2] / "examples" / "market_data.py"

LIMIT = 20.0


@pytest.fixture(scope="module")
def market() -> ModuleType:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("market_data", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["market_data"] = module
    spec.loader.exec_module(module)
    return module


@asynccontextmanager
async def trading(market: ModuleType) -> AsyncIterator[tuple[Any, WebSocketPool, Any]]:
    """Give an exchange, a pool and a feed."""
    exchange = market.Exchange()
    async with (
        exchange.running() as uri,
        WebSocketPool(uri, json=True, reset=market.unsubscribe) as pool,
    ):
        yield exchange, pool, market.Feed(pool)


async def take(mailbox: Any, enough: Callable[[list[Any]], bool]) -> list[Any]:
    """Take what comes until it is enough."""
    got: list[Any] = []
    async with asyncio.timeout(LIMIT):
        async for item in mailbox:
            got.append(item)
            if enough(got):
                break
    return got


async def test_shared(market: ModuleType) -> None:
    """However many want a symbol, there is one subscription, from the first to the last of them."""
    async with trading(market) as (exchange, pool, feed):
        async with feed.subscribe("ACME") as one:
            await take(one, lambda got: len(got) == 3)
            async with feed.subscribe("ACME") as two, feed.subscribe("EMCA") as three:
                for mailbox in (one, two, three):
                    await take(mailbox, lambda got: len(got) == 3)
                assert exchange.subscriptions == {"ACME": 1, "EMCA": 1}
                assert pool.stats("quotes").active == 2
            assert exchange.subscriptions["EMCA"] == 0
            await take(one, lambda got: len(got) == 3)
            assert exchange.opened == {"ACME": 1, "EMCA": 1}
        stats = pool.stats("quotes")
        assert exchange.subscriptions.total() == 0
        # The reset has left both clean, and the next symbol gets one of them.
        assert (stats.active, stats.idle) == (0, 2)
        async with feed.subscribe("THIRD") as mailbox:
            got = await take(mailbox, lambda got: len(got) == 3)
        assert [item.symbol for item in got] == ["THIRD"] * 3
        assert pool.stats("quotes").total == 2


async def test_dropped_by_the_exchange(market: ModuleType) -> None:
    """Every consumer sees one gap, and then goes on; the symbol was subscribed to again."""
    async with trading(market) as (exchange, pool, feed):
        everything = 10_000
        async with (
            feed.subscribe("ACME", everything) as one,
            feed.subscribe("ACME", everything) as two,
        ):
            for mailbox in (one, two):
                await take(mailbox, lambda got: len(got) == 3)
            exchange.drop("ACME")
            for mailbox in (one, two):
                got = await take(
                    mailbox,
                    lambda got: (
                        len(got) > 5
                        and all(isinstance(i, market.Quote) for i in got[-5:])
                        and any(isinstance(i, market.Gap) for i in got)
                    ),
                )
                assert [type(item).__name__ for item in got].count("Gap") == 1
                after = got[[type(item).__name__ for item in got].index("Gap") + 1 :]
                assert all(b.price - a.price == 1 for a, b in pairwise(after))
            assert exchange.opened["ACME"] == 2
            assert exchange.subscriptions["ACME"] == 1
            assert pool.stats("quotes").reconnects == 1


async def test_slow_consumer(market: ModuleType) -> None:
    """One who does not read has the newest few, and a count of the rest; the others lose nothing."""
    async with trading(market) as (_, _, feed):
        symbol = "ACME"
        async with feed.subscribe(symbol, 5) as slow, feed.subscribe(symbol, 1) as newest:
            async with feed.subscribe(symbol, 10_000) as quick:
                got = await take(quick, lambda got: len(got) == 100)
            assert quick.dropped == 0
            assert all(b.price - a.price == 1 for a, b in pairwise(got))
            assert slow.dropped >= 95
            assert newest.dropped >= 99
            (last,) = await take(newest, lambda got: True)
            late = await take(slow, lambda got: len(got) == 5)
            assert last.price >= got[-1].price
            assert late[-1].price >= got[-1].price
            assert late[0].price > 5


async def test_ended_while_it_reconnects(market: ModuleType) -> None:
    """Who leaves while there is no connection does not wait for one."""
    async with trading(market) as (exchange, pool, feed):
        async with feed.subscribe("ACME") as mailbox:
            await take(mailbox, lambda got: len(got) == 3)
            exchange.drop("ACME")
            await take(mailbox, lambda got: isinstance(got[-1], market.Gap))
        await until(lambda: pool.stats("quotes").active == 0)
        assert exchange.subscriptions["ACME"] == 0


async def test_a_pool_that_is_closed(market: ModuleType) -> None:
    """A consumer is told that nothing will come."""
    async with trading(market) as (exchange, pool, feed), feed.subscribe("ACME") as mailbox:
        await take(mailbox, lambda got: len(got) == 3)
        await pool.close()
        exchange.drop("ACME")
        with pytest.raises(Exception, match="closed"):
            await take(mailbox, lambda got: False)


async def test_who_comes_after_the_end(market: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing will come for him either, and he is told so."""

    def refuse(self: Any, item: Any) -> None:
        raise KeyError("price")

    async with trading(market) as (_, _, feed), feed.subscribe("ACME") as mailbox:
        with monkeypatch.context() as patch:
            patch.setattr(market.Upstream, "_publish", refuse)
            with pytest.raises(KeyError, match="price"):
                await take(mailbox, lambda got: False)
        async with feed.subscribe("ACME") as late:
            with pytest.raises(KeyError, match="price"):
                await take(late, lambda got: False)


async def test_a_silent_exchange(market: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it answers no ping, there is a gap and another connection."""
    monkeypatch.setattr(market, "TICK", 1000.0)
    monkeypatch.setattr(market, "SILENCE", 0.05)
    exchange = market.Exchange()
    async with (
        exchange.running() as uri,
        WebSocketPool(uri, json=True, reset=market.unsubscribe, dispose_timeout=0.05) as pool,
        market.Feed(pool).subscribe("ACME") as mailbox,
    ):
        await take(mailbox, lambda got: True)
        deaf = exchange._clients["ACME"].transport
        deaf.pause_reading()
        try:
            got = await take(mailbox, lambda got: len(got) == 2)
        finally:
            deaf.resume_reading()
        assert [type(item).__name__ for item in got] == ["Gap", "Quote"]
        assert "no pong" in got[0].reason


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT for one process")
def test_interrupted() -> None:
    """After a Ctrl-C it ends, and nothing is left to complain about."""
    with subprocess.Popen(
        [sys.executable, "-u", "-X", "dev", str(PROGRAM)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(part for part in sys.path if part)},
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline().startswith("7 consumers")
        program.send_signal(signal.SIGINT)
        _, complaints = program.communicate(timeout=LIMIT)
    assert (program.returncode, complaints) == (0, "")
