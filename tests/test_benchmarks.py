"""The benchmarks work, and measure what they say. No test here depends on how fast anything is."""

import asyncio
import json
import logging
import xml.etree.ElementTree as ET
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import islice
from pathlib import Path
from sys import getsizeof
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.fakes import FakeConnection, Indifferent
from benchmarks.page import page
from benchmarks.peer import AsyncPeer
from benchmarks.peers import FLOOR, OURS, Entry
from benchmarks.peers.routes import route
from benchmarks.report import data
from benchmarks.results import Effort, Result, Work
from benchmarks.targets import TARGETS, Findings, judge
from benchmarks.timing import TIME, face, opened
from benchmarks.validity import InvalidError, check, check_quiet
from benchmarks.works import WORKS, WORLDS
from benchmarks.works.contended import DONE, FAIRNESS, LEAST, LONGEST, Crowd
from support.real import RedisServer

pytestmark = pytest.mark.slow

BY_KEY = {work.key: work for work in WORKS}


# --- Cheats ------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("work", ["uncontended", "handoff", "contended", "growth", "memory"])
async def test_no_work_measures_a_cheat(work: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is measured, who opens more connections than he may is refused."""

    class Extravagant(Honest):
        async def setup(self) -> None:
            self.idle = [self.server.open() for _ in range(self.size + 1)]

    monkeypatch.setattr(Entry, "make", lambda self, size=1: Extravagant(size))
    entries = [Entry("async", FLOOR, "a cheat", "floor.Aio")]
    with pytest.raises(InvalidError, match=r"takes no connection|opened \d+"):
        await BY_KEY[work].run(entries, Effort(quick=True))


@pytest.mark.parametrize("world", list(WORLDS))
async def test_listeners_are_called(world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is measured with a listener has it called three times for each checkout."""
    calls: list[object] = []

    def hear(self: object, event: object) -> None:
        calls.append(event)

    for name in [name for name, value in vars(Indifferent).items() if value is Indifferent.ignore]:
        monkeypatch.setattr(Indifferent, name, hear)
    for entry in BY_KEY["listeners"].entries(world):
        peer = face(entry.make())
        async with opened(peer):
            await peer.run(1)
            calls.clear()
            await peer.run(10)
            assert len(calls) == (0 if "nobody" in entry.label else 30), entry.label


async def test_the_fair_floor_is_fair() -> None:
    """It serves those who wait in the order in which they came, and keeps no newcomer waiting."""
    peer = Entry("async", FLOOR, "the fair floor", "fair.Aio").make()
    assert isinstance(peer, AsyncPeer)
    served: list[int] = []

    async def call(number: int) -> None:
        async with peer.checkout():
            served.append(number)

    async with opened(peer), asyncio.TaskGroup() as group:
        async with peer.checkout():
            for number in range(5):
                group.create_task(call(number))
            await asyncio.sleep(0)
        assert not served
    assert served == list(range(5))


def test_a_route_visits_every_endpoint_in_any_order() -> None:
    """It is the same each time, but no two passes are."""
    first, second, third = (list(islice(route(50), start, start + 50)) for start in (0, 50, 0))
    assert set(first) == set(second)
    assert len(set(first)) == 50
    assert first == third != second


async def test_memory_is_what_each_connection_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept for each connection counts, the connections themselves and what is kept once do not."""

    class Hoarder(Honest):
        async def setup(self) -> None:
            self.once = bytes(100_000)
            self.idle = [self.server.open() for _ in range(self.size)]
            self.kept = [bytes(1000 - getsizeof(b"")) for _ in range(self.size)]

    monkeypatch.setattr(Entry, "make", lambda self, size=1: Hoarder(size))
    (found,) = await BY_KEY["memory"].run(
        [Entry("async", OURS, "a hoarder", "")], Effort(quick=True)
    )
    assert found.figures["bytes"].value == pytest.approx(1016, abs=30)


async def test_in_a_crowd_nobody_may_lend_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that lends one connection to several callers would be fast, and is refused."""

    class Generous(Peeking):
        async def setup(self) -> None:
            self.idle = [self.server.open() for _ in range(self.size)]

    monkeypatch.setattr(Entry, "make", lambda self, size=1: Generous(size))
    with pytest.raises(InvalidError, match="lends one twice"):
        await BY_KEY["contended"].run([Entry("async", OURS, "it", "")], Effort(quick=True))


def test_nobody_pays_for_logging(caplog: pytest.LogCaptureFixture) -> None:
    """A logger that is enabled for INFO makes the measurement invalid."""
    check_quiet()
    caplog.set_level(logging.INFO, "psycopg.pool")
    with pytest.raises(InvalidError, match=r"psycopg\.pool"):
        check_quiet()


# --- The command -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what one run of the command wrote."""
    folder = tmp_path_factory.mktemp("benchmarks")
    arguments = ["--json", str(folder / "bench.json"), "--markdown", str(folder / "bench.md")]
    assert main(["--quick", *arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def measured(everything: Path) -> dict[str, Any]:
    """The same as data."""
    content: dict[str, Any] = json.loads((everything / "bench.json").read_text(encoding="utf-8"))
    return content


def test_the_command_measures_everybody_at_every_work(measured: dict[str, Any]) -> None:
    """One run tells of every competitor all that the work measures, or why it cannot."""
    for work in WORKS:
        for world in WORLDS:
            found = {
                facts["key"]: facts for facts in measured["works"].get(work.key, {}).get(world, [])
            }
            assert list(found) == [entry.key for entry in work.entries(world)]
            for facts in found.values():
                if facts["key"] == OURS and not (work.key == "shared" and RedisServer.missing()):
                    assert "missing" not in facts
                if "missing" not in facts:
                    assert set(facts["figures"]) == {measure.key for measure in work.measures}


def test_numbers_are_what_they_can_be(measured: dict[str, Any]) -> None:
    """The base is once itself, ours takes time and room, and each round has its ratio."""
    for work in WORKS:
        for found in measured["works"][work.key].values():
            for facts in found:
                figure = facts.get("figures", {}).get(work.measures[0].key)
                if figure is None:
                    continue
                if facts["key"] == OURS:
                    assert min(figure["values"]) > 0
                assert len(figure["ratios"]) == (len(figure["values"]) if work.base else 0)
                if facts["key"] == work.base:
                    assert set(figure["ratios"]) == {1.0}


def test_a_crowd_counts_who_got_nothing() -> None:
    """Throughput is that of all together, the longest wait anybody's; who got nothing makes it unfair."""
    found = Result(Entry("sync", OURS, "it", ""))
    first, last = 10**9, 2 * 10**9
    Crowd(4, first, last, longest=[1_000_000, 3_000_000], served=[3, 1]).note(found)
    Crowd(4, first, last, longest=[4_000_000, 2_000_000], served=[4, 0]).note(found)
    values = {key: figure.values for key, figure in found.figures.items()}
    assert values == {LONGEST: [3, 4], DONE: [4, 4], FAIRNESS: [3, float("inf")], LEAST: [1, 0]}


def test_a_round_has_so_many_checkouts() -> None:
    """The last that counts ends it; those after it do not count."""
    crowd = Crowd(3)
    crowd.start()
    assert [crowd.over() for _ in range(5)] == [False, False, False, True, True]
    assert crowd.ended >= crowd.started > 0


def test_every_target_is_judged(measured: dict[str, Any]) -> None:
    """Each number that we want to reach was measured, in both worlds."""
    assert {target["work"] for target in measured["targets"]} == set(BY_KEY) - {"turns", "shared"}
    for target in measured["targets"]:
        assert isinstance(target["met"], bool), target
    for work in {target.work for target in TARGETS}:
        assert {target.world for target in TARGETS if target.work == work} == set(WORLDS)


def test_the_page_tells_everything(everything: Path, measured: dict[str, Any]) -> None:
    """Every target, every work and every competitor is on the page, and its charts are there."""
    written = (everything / "bench.md").read_text(encoding="utf-8")
    for target in TARGETS:
        assert f"| {target.what} " in written
        assert target.bound in written
    for work in WORKS:
        for world in WORLDS:
            if entries := work.entries(world):
                assert f"### {work.title}: {WORLDS[world]}" in written
            for entry in entries:
                # A version stands behind the name.
                assert all(part in written for part in entry.label.split(",", 1))
    for name in ("bench-uncontended.svg", "bench-handoff.svg"):
        assert f"({name})" in written
        ET.parse(everything / name)


def test_less_can_be_asked_for(tmp_path: Path) -> None:
    """One world, one work and one peer may be chosen; what it is compared with always runs."""
    as_json, as_page = tmp_path / "bench.json", tmp_path / "bench.md"
    arguments = ["--quick", "--world", "sync", "--work", "growth", "--only", OURS]
    assert main([*arguments, "--json", str(as_json), "--markdown", str(as_page)]) == 0
    works = json.loads(as_json.read_text(encoding="utf-8"))["works"]
    assert list(works) == ["growth"]
    assert [facts["key"] for facts in works["growth"]["sync"]] == [FLOOR, OURS]
    assert "not measured" in as_page.read_text(encoding="utf-8")


def test_a_page_is_kept_but_for_what_is_measured(everything: Path, tmp_path: Path) -> None:
    """With ``--keep`` one work is measured again, and everything else stays as it was."""
    as_page = tmp_path / "bench.md"
    before = (everything / "bench.md").read_text(encoding="utf-8")
    as_page.write_text(before, encoding="utf-8")
    arguments = ["--quick", "--world", "async", "--work", "growth"]
    assert main([*arguments, "--markdown", str(as_page), "--keep"]) == 0
    after = as_page.read_text(encoding="utf-8")

    def rest(text: str) -> list[str]:
        """Leave out the table, the verdict and the losses of that work, and how many were met."""
        start = f"### {BY_KEY['growth'].title}: asyncio"
        head, _, tail = text.partition(start)
        lines = (head + tail[tail.index("\n## ") :]).splitlines()
        moving = ("10,000", "targets are met", "Targets missed")
        kept = [line for line in lines if not any(word in line for word in moving)]
        # The widths of the columns follow what is in them.
        return [line.replace(" ", "").replace("-", "") for line in kept]

    assert rest(after) == rest(before)
    assert after != before


def test_an_invalid_measurement_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says why and returns 1, and reports no number."""

    async def fail(self: Work, *arguments: object) -> None:
        raise InvalidError("somebody cheats")

    monkeypatch.setattr(Work, "run", fail)
    assert main(["--quick"]) == 1
    out, err = capsys.readouterr()
    assert not out
    assert "invalid: somebody cheats" in err


async def test_a_missing_peer_is_reported() -> None:
    """A peer that cannot be imported is in the results, with the reason."""
    work = BY_KEY["uncontended"]
    entries = [*work.entries("sync")[:1], Entry("sync", "gone", "Gone", "gone.Sync")]
    results = await work.run(entries, Effort(quick=True))
    assert "not installed" in results[1].missing
    findings: Findings = {("uncontended", "sync"): results}
    assert "Gone" in page(findings, Effort(), {})
    (_, facts) = data(findings, Effort())["works"]["uncontended"]["sync"]
    assert "not installed" in facts["missing"]


async def test_without_what_it_is_compared_with_times_are_left() -> None:
    """If the base is missing, the others are still measured and reported, but not judged."""
    work = BY_KEY["listeners"]
    base = Entry("sync", work.base, "Gone", "gone.Sync")
    results = await work.run([*work.entries("sync")[:1], base], Effort(quick=True))
    findings: Findings = {("listeners", "sync"): results}
    assert "Gone" in page(findings, Effort(), {})
    (ours, _) = data(findings, Effort())["works"]["listeners"]["sync"]
    assert ours["figures"][TIME]["values"]
    assert all(verdict.met is None for verdict in judge(findings))
