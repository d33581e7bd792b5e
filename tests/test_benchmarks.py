"""The benchmarks work, and measure what they say. No test here depends on how fast anything is."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.contest import measure
from benchmarks.fakes import FakeConnection
from benchmarks.peer import AsyncPeer
from benchmarks.peers import ENTRIES, FLOOR, OURS, Entry
from benchmarks.report import page
from benchmarks.validity import InvalidError, check, check_quiet


class Honest(AsyncPeer):
    """A pool of one connection that cannot wait; the others differ in one thing."""

    code = "nothing"

    async def setup(self) -> None:
        self.idle = [self.server.open()]

    async def run(self, n: int) -> None:
        for _ in range(n):
            self.idle.append(self.idle.pop())

    @asynccontextmanager
    async def checkout(self) -> AsyncGenerator[FakeConnection, None]:
        connection = self.idle.pop()
        yield connection
        self.idle.append(connection)

    async def teardown(self) -> None:
        pass


class Idle(Honest):
    """Does nothing when it is measured."""

    async def run(self, n: int) -> None:
        pass


class Peeking(Honest):
    """Looks at the connection, but leaves it to others as well."""

    @asynccontextmanager
    async def checkout(self) -> AsyncGenerator[FakeConnection, None]:
        yield self.idle[-1]


class Wasteful(Honest):
    """Opens a second connection."""

    async def run(self, n: int) -> None:
        await super().run(n)
        self.server.open()


class Forgetful(Honest):
    """Gives back another connection than it took."""

    async def run(self, n: int) -> None:
        self.idle.pop()
        self.idle.append(FakeConnection())


class Strange(Honest):
    """Leases something that is no connection."""

    @asynccontextmanager
    async def checkout(self) -> AsyncGenerator[FakeConnection, None]:
        yield object()  # type: ignore[misc]


async def test_an_honest_peer_passes() -> None:
    """A peer that takes the connection and gives it back is valid."""
    peer = Honest()
    await peer.setup()
    await check("it", peer)


@pytest.mark.parametrize(
    ("cheat", "complaint"),
    [
        (Idle, "takes no connection"),
        (Peeking, "takes no connection"),
        (Wasteful, "opened 2 connections"),
        (Forgetful, "does not give the connection back"),
        (Strange, "leases something else"),
    ],
)
async def test_a_cheat_is_found_out(cheat: type[AsyncPeer], complaint: str) -> None:
    """A peer that does not take the one connection and give it back is refused."""
    peer = cheat()
    await peer.setup()
    with pytest.raises(InvalidError, match=complaint):
        await check("it", peer)


def test_nobody_pays_for_logging(caplog: pytest.LogCaptureFixture) -> None:
    """A logger that is enabled for INFO makes the measurement invalid."""
    check_quiet()
    caplog.set_level(logging.INFO, "psycopg.pool")
    with pytest.raises(InvalidError, match=r"psycopg\.pool"):
        check_quiet()


async def test_a_missing_peer_is_reported() -> None:
    """A peer that cannot be imported is in the results, with the reason."""
    floor = next(entry for entry in ENTRIES if entry.key == FLOOR)
    missing = Entry("sync", "gone", "Gone", "gone.Sync")
    _, result = await measure([floor, missing], rounds=1, slice_ms=0.1)
    assert "not installed" in result.missing
    assert "Gone" in page({"sync": [result]}, 1, 0.1)


def test_the_command_measures_everybody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One run tells of every peer, on the screen, as data and as a page."""
    as_json, as_page = tmp_path / "bench.json", tmp_path / "bench.md"
    assert main(["--quick", "--json", str(as_json), "--markdown", str(as_page)]) == 0
    printed, written = capsys.readouterr().out, as_page.read_text(encoding="utf-8")
    worlds = json.loads(as_json.read_text(encoding="utf-8"))["worlds"]
    for entry in ENTRIES:
        (found,) = (f for f in worlds[entry.world] if f["key"] == entry.key)
        assert entry.label in printed
        assert entry.label in written
        assert found.get("missing") or len(found["ratios"]) == len(found["times_ns"]) == 2
        if entry.key == FLOOR:
            assert found["ratio"] == 1
        if entry.key == OURS:
            assert "missing" not in found


def test_less_can_be_asked_for(tmp_path: Path) -> None:
    """One world and one peer may be chosen; the floor always runs."""
    as_json = tmp_path / "bench.json"
    arguments = ["--quick", "--world", "sync", "--only", OURS, "--json", str(as_json)]
    assert main(arguments) == 0
    worlds = json.loads(as_json.read_text(encoding="utf-8"))["worlds"]
    assert {world: [f["key"] for f in found] for world, found in worlds.items()} == {
        "sync": [FLOOR, OURS]
    }
