"""What the benchmarks make of numbers: ratios, verdicts, tables, a page, charts. Nothing is measured here."""

import json
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.chart import Bar, Panel, chart
from benchmarks.page import page, write
from benchmarks.peers import FLOOR, OURS, Entry
from benchmarks.published import Published
from benchmarks.report import better, data, losses, platform_text, reached, summary, table
from benchmarks.results import Effort, Figure, Result, Work, relate
from benchmarks.targets import TARGETS, Findings, judge
from benchmarks.timing import TIME
from benchmarks.works.contended import LEAST, Contended
from benchmarks.works.uncontended import Uncontended


def result(key: str, *times: float, world: str = "sync") -> Result:
    """Return what was found out about somebody with these times."""
    distribution = "twinpool" if key == OURS else None
    found = Result(Entry(world, key, key.title(), "", distribution), "it()")
    found.figures[TIME] = Figure(list(times))
    return found


@pytest.fixture
def findings() -> Findings:
    """The floor is at 100 ns, ours at 110, a queue at 90 and a snail at 900."""
    results = [
        result(FLOOR, 100, 200),
        result(OURS, 110, 220),
        result("queue", 90, 190),
        result("snail", 900, 900),
    ]
    relate(results, FLOOR)
    return {("uncontended", "sync"): results}


def test_ratios_compare_one_round(findings: Findings) -> None:
    """A machine that is half as fast in one round does not change them."""
    assert findings["uncontended", "sync"][1].figures[TIME].ratios == pytest.approx([1.1, 1.1])


def test_targets_are_judged_by_the_numbers(findings: Findings) -> None:
    """A target is met, met beyond its stretch, missed, or not measured."""

    def word(ours: float) -> str:
        results = [result(FLOOR, 100), result(OURS, ours)]
        relate(results, FLOOR)
        return judge({("uncontended", "sync"): results})[0].word

    assert word(115) == "yes"
    assert word(99) == "yes, and the stretch"
    assert word(116) == "**no**"
    assert judge(findings)[0].met is True
    assert judge(findings)[1].word == "not measured"
    assert (
        reached(findings)
        == f"1 of {len(TARGETS)} targets are met, {len(TARGETS) - 1} were not measured."
    )


def test_bounds_are_said_as_they_are_meant() -> None:
    """A bound that one may reach, that one must stay below, and one that is a minimum."""
    target = TARGETS[0]
    for change, bound, at, beside in (
        ({"stretch": None}, "≤ 1.15 x", True, False),
        ({"stretch": None, "strict": True}, "< 1.15 x", False, False),
        ({"stretch": None, "at_least": True}, "≥ 1.15 x", True, True),
    ):
        changed = replace(target, **change)
        verdict = judge({})[0]
        assert changed.bound == bound
        assert replace(verdict, target=changed, value=1.15).met is at
        assert replace(verdict, target=changed, value=1.2).met is beside


def test_the_worst_round_counts_where_it_must() -> None:
    """Nobody starved means: in no round."""
    found = result(OURS, 1, world="async")
    found.figures = {LEAST: Figure([3, 0, 2])}
    verdict = next(v for v in judge({("contended", "async"): [found]}) if v.target.measure == LEAST)
    assert verdict.value == 0
    assert verdict.met is False


def test_the_page_says_where_we_lose(findings: Findings) -> None:
    """Who does better is named, with how much better; floors and who does worse are not."""
    work = Uncontended()
    (queue, times), *others = better(work, work.measures[0], findings["uncontended", "sync"])
    assert queue.entry.key == "queue"
    assert times == "0.85 of ours"
    assert not others
    assert "Queue (0.85 of ours)" in losses(findings)
    assert "Snail" not in losses(findings)
    assert "Floor" not in losses(findings)
    assert "none of those measured" in losses(findings)
    findings["uncontended", "sync"][1].figures[TIME].ratios = [3.0, 3.0]
    assert "**Targets missed:** uncontended, block (Threads)." in losses(findings)
    assert "3.00 x" in summary(findings)


def test_tables_begin_with_the_best(findings: Findings) -> None:
    """Whoever is best comes first, ours stands out, and spreads are shown."""
    lines = table(Uncontended(), findings["uncontended", "sync"]).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [
        "Queue",
        "Floor",
        "**Twinpool**",
        "Snail",
    ]
    assert "0.90..0.95" in lines[2]
    assert len({len(line) for line in lines}) == 1


def test_what_is_not_finite_is_said(findings: Findings) -> None:
    """Nobody served at all is an infinite unfairness: in tables as such, in data as nothing."""
    work = Contended()
    found = result(OURS, 1)
    inf = float("inf")
    found.figures = {measure.key: Figure([inf], [inf]) for measure in work.measures}
    assert "∞" in table(work, [found])
    content = data({("contended", "sync"): [found]}, Effort())
    json.dumps(content, allow_nan=False)


def test_a_chart_can_be_read_by_everybody() -> None:
    """It is XML with a title and a description, follows the reader's colours, and longer bars are longer."""
    bars = [Bar("a < b", 1.0), Bar("ours", 2.0, ours=True), Bar("slow", 139.0)]
    text = chart("A title", "What it shows", "times", [Panel("Threads", bars), Panel("Empty", [])])
    svg = ET.fromstring(text)
    space = {"": "http://www.w3.org/2000/svg"}
    assert svg.findtext("title", namespaces=space) == "A title"
    assert svg.findtext("desc", namespaces=space) == "What it shows"
    assert svg.get("role") == "img"
    assert "prefers-color-scheme: dark" in text
    widths = [float(r.get("width", "0")) for r in svg.findall("rect", space)[1:]]
    assert widths == sorted(widths)
    assert len(set(widths)) == len(bars)


def test_writing_needs_no_chart(tmp_path: Path) -> None:
    """A page of works without a chart refers to none."""
    write(tmp_path / "bench.md", {("memory", "sync"): ()}, Effort())
    assert [path.name for path in tmp_path.iterdir()] == ["bench.md"]
    assert ".svg" not in (tmp_path / "bench.md").read_text(encoding="utf-8")


def test_a_page_is_kept_to_the_letter(tmp_path: Path, findings: Findings) -> None:
    """What is not measured again stays: tables, verdicts, losses and charts."""
    path = tmp_path / "bench.md"
    write(path, findings, Effort(rounds=7))
    text = path.read_text(encoding="utf-8")
    assert "Queue (0.85 of ours)" in text
    write(path, {}, Effort(), Published(text, platform_text()))
    assert path.read_text(encoding="utf-8") == text
    # What is measured takes the place of what was.
    again = [result(FLOOR, 100), result(OURS, 300)]
    relate(again, FLOOR)
    links = {"uncontended": "bench-uncontended.svg"}
    changed = page(
        {("uncontended", "sync"): again}, Effort(), links, Published(text, platform_text())
    )
    assert "Queue" not in changed
    assert "3.00 x" in changed
    assert "1.10 x" not in changed
    assert f"0 of {len(TARGETS)} targets are met" in changed
    assert "7 rounds, each of" in changed


def test_what_is_kept_must_be_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a page to keep, and the same Python on the same number of cores measured it."""
    as_page = tmp_path / "bench.md"
    arguments = ["--quick", "--work", "growth", "--markdown", str(as_page), "--keep"]
    with pytest.raises(SystemExit):
        main(arguments)
    assert "--keep needs --markdown with a page that is there" in capsys.readouterr().err
    as_page.write_text("Measured with an abacus.\n", encoding="utf-8")
    # Nothing is measured in vain.
    monkeypatch.setattr(Work, "run", None)
    assert main(arguments) == 1
    assert "invalid: the page was not measured with" in capsys.readouterr().err
    assert as_page.read_text(encoding="utf-8") == "Measured with an abacus.\n"
