"""Selections and commands are measured as it is said. No test here depends on how fast anything is."""

from typing import Any

import pytest

from benchmarks.fakes import Endpoint
from benchmarks.peers import BY_HAND, CHANGED, OURS, OWN, Entry
from benchmarks.peers.commands import AsyncManager, Listener, SyncManager
from benchmarks.peers.members import AsyncMembers, fit
from benchmarks.results import Effort
from benchmarks.timing import face, opened
from benchmarks.validity import InvalidError, check
from benchmarks.works import WORLDS
from benchmarks.works.commands import ADDED, MICROS, Commands
from benchmarks.works.listeners import HEARD
from benchmarks.works.selection import Selection
from benchmarks.works.selection import opened as known
from pool._core.selection import suitable

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("world", list(WORLDS))
async def test_all_execute_the_command(world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager's ``execute`` is called once for each command, by hand and by the client."""
    calls: list[str] = []

    def execute(self: object, *arguments: object) -> dict[str, int]:
        calls.append(world)
        return {}

    async def executed(self: object, *arguments: object) -> dict[str, int]:
        return execute(self)

    monkeypatch.setattr(SyncManager, "execute", execute)
    monkeypatch.setattr(AsyncManager, "execute", executed)
    for entry in Commands().entries(world):
        peer = face(entry.make())
        async with opened(peer):
            calls.clear()
            await peer.run(10)
            assert len(calls) == 10, entry.label


async def test_what_a_client_adds_is_the_difference() -> None:
    """It is that of one round; by hand nothing is added, and nothing is no base of ratios."""
    entries = Commands().entries("async")
    by_hand, ours, _ = await Commands().run(entries, Effort(quick=True))
    assert by_hand.entry.key == BY_HAND
    assert by_hand.figures[ADDED].values == [0, 0]
    assert not ours.figures[ADDED].ratios
    rounds = zip(*(each.figures[MICROS].values for each in (ours, by_hand)), strict=True)
    assert ours.figures[ADDED].values == pytest.approx([more - less for more, less in rounds])


@pytest.mark.parametrize("world", list(WORLDS))
async def test_a_listener_hears_of_commands(world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is measured with a listener has it called twice for each command."""
    calls: list[object] = []

    def hear(self: object, event: object) -> None:
        calls.append(event)

    for name in ("started", "succeeded", "failed"):
        monkeypatch.setattr(Listener, name, hear)
    for entry in Commands().entries(world):
        peer = face(entry.make())
        async with opened(peer):
            await check(entry.label, peer)
            calls.clear()
            await peer.run(10)
            assert len(calls) == (20 if entry.key == HEARD else 0), entry.label


@pytest.mark.parametrize("world", list(WORLDS))
async def test_who_is_measured_is_asked(world: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours is asked once while nothing changes; one of one's own, and after each change, always."""
    asked: list[object] = []

    def ask(selector: object, *arguments: Any) -> object:
        asked.append(selector)
        return suitable(selector, *arguments)  # type: ignore[arg-type]

    for module in ("pool._async.watcher", "pool._sync.watcher"):
        monkeypatch.setattr(f"{module}.suitable", ask)
    entries = {entry.key: entry for entry in Selection().entries(world)}
    async with known(entries[OURS].find(), 5) as topology:
        for key, times in ((OURS, 0), (OWN, 10), (CHANGED, 10)):
            await topology.select(key, 1)
            asked.clear()
            await topology.select(key, 10)
            assert len(asked) == times, key


@pytest.mark.parametrize("world", list(WORLDS))
async def test_all_select_among_the_same(world: str) -> None:
    """Everybody takes any secondary within the latency window, and no other server."""
    for entry in Selection().entries(world):
        async with known(entry.find(), 20) as topology:
            drawn = {await topology.select(entry.key, 1) for _ in range(500)}
            assert drawn == fit(topology.servers), entry.label
            assert 2 < len(drawn) < 19


CODES = {OURS: "nothing"}


@pytest.mark.parametrize(
    ("wrong", "complaint"), [(0, "who does not suit"), (None, "who does not suit"), (-1, "no lots")]
)
async def test_a_wrong_selection_is_found_out(
    wrong: int | None, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who selects the primary, nobody, or always the same is refused."""

    class Wrong(AsyncMembers):
        codes = CODES

        async def setup(self) -> None:
            self.all = [next(iter(self.servers)), *fit(self.servers)]

        async def select(self, key: str, n: int) -> Endpoint | None:
            return None if wrong is None else self.all[wrong]

        async def teardown(self) -> None:
            pass

    monkeypatch.setattr(Entry, "find", lambda self: Wrong)
    with pytest.raises(InvalidError, match=complaint):
        await Selection().run([Entry("async", OURS, "it", "")], Effort(quick=True))
