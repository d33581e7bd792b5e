"""The page for the documentation, and its charts."""

from pathlib import Path
from string import Template

from benchmarks import timing
from benchmarks.chart import Bar, Panel, chart
from benchmarks.published import Published
from benchmarks.report import losses, platform_text, reached, sections, summary
from benchmarks.results import Effort, Work
from benchmarks.targets import Findings
from benchmarks.works import WORKS, WORLDS

__all__ = ["charts", "page", "write"]

TEMPLATE = Path(__file__).with_name("page.md")

CHARTED = {
    "uncontended": "The cost of a checkout that need not wait",
    "handoff": "How long a hand-off to a caller who waits takes",
}
"""The works that have a chart, with its title."""


def write(path: Path, findings: Findings, effort: Effort, before: Published | None = None) -> None:
    """Write the page, and beside it the charts.

    Parameters:
        path: where the page is, or will be.
        findings: what was measured.
        effort: how much was done for it.
        before: where to take what was not measured.
    """
    drawn = charts(findings)
    for work, svg in drawn.items():
        picture(path, work).write_text(svg, encoding="utf-8")
    names = {work: picture(path, work).name for work in CHARTED}
    links = {
        work: name
        for work, name in names.items()
        if work in drawn or (before and f"]({name})" in before.text)
    }
    path.write_text(page(findings, effort, links, before), encoding="utf-8")


def picture(path: Path, work: str) -> Path:
    return path.with_name(f"{path.stem}-{work}.svg")


def page(
    findings: Findings, effort: Effort, links: dict[str, str], before: Published | None = None
) -> str:
    """Return the page.

    Parameters:
        findings: what was measured.
        effort: how much was done for it.
        links: where the charts are.
        before: where to take what was not measured.
    """
    images = [
        f"![{CHARTED[work]}, as multiples of the floor]({link})" for work, link in links.items()
    ]
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        platform=platform_text(),
        summary=summary(findings, before=before),
        reached=reached(findings, before),
        charts="\n\n".join(images),
        results=sections(findings, "##", before),
        losses=losses(findings, before),
        rounds=(before and before.rounds) or effort.of(timing.ROUNDS),
        slices=timing.SLICES,
        slice=f"{timing.SLICE_NS / 1e6:g}",
    )


def charts(findings: Findings) -> dict[str, str]:
    """Return the charts by work: as SVG."""
    return {
        work.key: drawn(work, findings)
        for work in WORKS
        if work.key in CHARTED and any(findings.get((work.key, world)) for world in WORLDS)
    }


def drawn(work: Work, findings: Findings) -> str:
    measure = work.measures[0]
    panels, spoken = [], []
    for world, title in WORLDS.items():
        measured = [r for r in findings.get((work.key, world), ()) if not r.missing]
        if not measured:
            continue
        measured.sort(key=lambda r: r.figures[measure.key].ratio)
        bars = [Bar(r.entry.label, r.figures[measure.key].ratio, r.entry.ours) for r in measured]
        panels.append(Panel(title, bars))
        spoken.append(f"{title}: " + ", ".join(f"{bar.label} {bar.value:.2f}" for bar in bars))
    description = f"Bars, as multiples of the floor. {'. '.join(spoken)}."
    return chart(CHARTED[work.key], description, "times the floor", panels)
