"""Shared connections are measured as it is said. No test here depends on how fast anything is."""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from benchmarks.page import page
from benchmarks.peers import OURS, Entry
from benchmarks.peers.askers import AioShared, AsyncAsker, SyncAsker, SyncShared
from benchmarks.results import Effort
from benchmarks.targets import Findings
from benchmarks.validity import InvalidError
from benchmarks.works import WORLDS
from benchmarks.works.contended import DONE, LEAST, LONGEST
from benchmarks.works.shared import (
    ALONE,
    CONNECTIONS,
    EXCLUSIVE,
    Askers,
    Shared,
    alone,
    opened,
    stocked,
)
from benchmarks.works.shared import check as validate
from support.real import HOST, RedisServer

pytestmark = pytest.mark.slow

QUICK = Effort(quick=True)


@pytest.fixture
def there() -> None:
    """Skip where there is no Redis."""
    if reason := RedisServer.missing():
        pytest.skip(reason)


@pytest.fixture
def server(there: None) -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


async def run(asker: type[AsyncAsker | SyncAsker], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Measure somebody in place of ours."""
    monkeypatch.setattr(Entry, "find", lambda self: asker)
    world = "async" if issubclass(asker, AsyncAsker) else "sync"
    (found,) = await Shared().run([Entry(world, OURS, "it", "", "twinpool")], QUICK)
    return found


@pytest.mark.parametrize("world", list(WORLDS))
async def test_everybody_is_measured(world: str, there: None) -> None:
    """Commands, the longest and the lonely one take time, and the exclusive pool is once itself."""
    results = await Shared().run(Shared().entries(world), QUICK)
    for result in results:
        assert not result.missing, result.missing
        assert all(result.figures[key].value > 0 for key in (DONE, LONGEST, ALONE))
        assert result.figures[LEAST].value >= 0
        if result.entry.key == EXCLUSIVE:
            assert set(result.figures[DONE].ratios) == {1.0}


@pytest.mark.parametrize("world", list(WORLDS))
async def test_all_ask_the_server(world: str, server: RedisServer) -> None:
    """Each command is one ``GET`` at the server, over four connections of that name."""
    import redis

    values = {"caller:0": b"mine"}
    observer = redis.Redis(host=HOST, port=server.port)
    for entry in Shared().entries(world):
        asker = entry.find()((HOST, server.port), CONNECTIONS, entry.key)
        async with AsyncExitStack() as stack:
            stack.callback(observer.close)
            connections = stocked(stack, (HOST, server.port), values)
            await stack.enter_async_context(opened(asker))
            assert len(connections(entry.key)) == CONNECTIONS, entry.label
            observer.config_resetstat()
            assert len(await alone(asker, 7)) == 7
            assert observer.info("commandstats")["cmdstat_get"]["calls"] == 7, entry.label


class Confused(AioShared):
    """Gives everybody the reply of one."""

    async def ask(self, key: str) -> Any:
        return await super().ask("caller:3")


class Muddled(SyncShared):
    """Gives everybody the reply of one."""

    def ask(self, key: str) -> Any:
        return super().ask("caller:3")


class Rich(AioShared):
    """Has a connection too many."""

    def __init__(self, endpoint: tuple[str, int], size: int, name: str) -> None:
        super().__init__(endpoint, size + 1, name)


@pytest.mark.parametrize(
    ("cheat", "complaint"),
    [
        (Confused, "it mixes up replies: caller:"),
        (Muddled, "it mixes up replies: caller:"),
        (Rich, "it has 5 connections"),
    ],
)
async def test_a_cheat_is_found_out(
    cheat: type[AsyncAsker | SyncAsker],
    complaint: str,
    there: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever gives one caller what is another's, or has not the same four connections, is refused."""
    with pytest.raises(InvalidError, match=complaint):
        await run(cheat, monkeypatch)


@pytest.mark.parametrize(
    ("after", "complaint"),
    [("abce", "it has connected again"), ("abc", "it has 3 connections"), ("abcd", None)],
)
def test_connections_have_to_stay(after: str, complaint: str | None) -> None:
    """Who is not over the same four connections as before has lost some meanwhile."""
    crowd = Askers(1)
    if complaint is None:
        validate("it", crowd, set("abcd"), set(after))
        return
    with pytest.raises(InvalidError, match=complaint):
        validate("it", crowd, set("abcd"), set(after))


async def test_without_a_server_nobody_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody is listed with the reason, and the page says so."""
    reason = "redis is not installed (Debian's package redis-server)"
    monkeypatch.setattr(RedisServer, "missing", classmethod(lambda cls: reason))
    results = await Shared().run(Shared().entries("async"), QUICK)
    assert all(result.missing == f"not measurable: {reason}" for result in results)
    findings: Findings = {("shared", "async"): results}
    assert reason in page(findings, Effort(), {})


async def test_a_missing_client_is_reported(there: None) -> None:
    """Whoever cannot be imported is left out, with the reason; the others are measured."""
    _, _, exclusive, _ = Shared().entries("async")
    gone = Entry("async", "gone", "Gone", "gone.Aio")
    found, missing = await Shared().run([exclusive, gone], QUICK)
    assert found.figures[DONE].values
    assert "not installed" in missing.missing
