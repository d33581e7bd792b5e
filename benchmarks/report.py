"""Results as text and as data. They name the Python, the cores and the versions, never the machine."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from math import isfinite
from typing import Any

from benchmarks.peers import FLOOR, OURS
from benchmarks.published import Published
from benchmarks.results import Effort, Figure, Measure, Result, Work
from benchmarks.targets import MISSED, UNMEASURED, Findings, Verdict, judge
from benchmarks.works import WORKS, WORLDS

__all__ = ["better", "data", "losses", "platform_text", "reached", "sections", "summary", "table"]


def platform_text() -> str:
    cores = os.cpu_count()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {cores} {'core' if cores == 1 else 'cores'}"


# --- Tables ------------------------------------------------------------------------------------------------


def grid(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> str:
    """Return a Markdown table that is readable as it stands; so many columns are aligned to the left."""
    lines = [head, *rows]
    widths = [max(3, *(len(line[column]) for line in lines)) for column in range(len(head))]
    rules = [
        "-" * width if column < left else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return "\n".join(
        f"| {' | '.join(padded(line, widths, left))} |" for line in (head, rules, *rows)
    )


def padded(cells: Sequence[str], widths: Sequence[int], left: int) -> list[str]:
    return [
        cell.ljust(width) if column < left else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]


def table(work: Work, results: Sequence[Result]) -> str:
    """Return the results of one work in one world, the best first."""
    first = work.leading
    sign = -1 if first.more else 1
    measured = sorted(
        (r for r in results if not r.missing), key=lambda r: sign * r.figures[first.key].value
    )
    missing = [r for r in results if r.missing]
    head = ["", "what is measured"] if work.shows_code else [""]
    left = len(head)
    for measure in work.measures:
        head += columns(measure)
    rows = []
    for result in measured:
        bold = "**" if result.entry.key == OURS else ""
        row = [f"{bold}{titled(result)}{bold}"]
        if work.shows_code:
            row.append(f"`{result.code}`")
        for measure in work.measures:
            row += cells(measure, result.figures[measure.key], bold)
        rows.append(row)
    for result in missing:
        rows.append([titled(result), result.missing, *[""] * (len(head) - 2)])
    return grid(head, rows, left)


def columns(measure: Measure) -> list[str]:
    related = [measure.related] if measure.related else []
    return [measure.title, *related, *(["min..max"] if measure.spread else [])]


def cells(measure: Measure, figure: Figure, bold: str) -> list[str]:
    """Return what a table says of one measure."""
    value, numbers, digits = number(figure.value, measure.digits), figure.values, measure.digits
    row = [value] if measure.related else [f"{bold}{value}{bold}"]
    if measure.related and not figure.ratios:
        # What it would be compared with is missing.
        return [*row, *[""] * (len(columns(measure)) - 1)]
    if measure.related:
        numbers, digits = figure.ratios, measure.related_digits
        row.append(f"{bold}{number(figure.ratio, digits)}{bold}")
    if measure.spread:
        row.append(f"{number(min(numbers), digits)}..{number(max(numbers), digits)}")
    return row


def number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}" if isfinite(value) else "∞"


def titled(result: Result) -> str:
    """Return the name of a competitor with its version."""
    numbered = version_of(result)
    if numbered is None or result.entry.ours:
        return result.entry.label
    name, comma, rest = result.entry.label.partition(",")
    return f"{name} {numbered}{comma}{rest}"


def version_of(result: Result) -> str | None:
    try:
        return version(result.entry.distribution or "")
    except (PackageNotFoundError, ValueError):
        return None


def sections(findings: Findings, heading: str = "", before: Published | None = None) -> str:
    """Return the tables of everything measured, each with who is better than we are.

    Parameters:
        findings: what was measured.
        heading: the mark of a section, for pages.
        before: where to take what was not measured.
    """
    texts = []
    for work in WORKS:
        tables = {
            world: f"{table(work, results)}\n\n{ranking(work, results)}"
            for world in WORLDS
            if (results := findings.get((work.key, world)))
        }
        if before is not None:
            for world in WORLDS:
                if (kept := before.tables.get((work.key, world))) and world not in tables:
                    tables[world] = kept
        if not tables:
            continue
        texts.append(f"{heading} {work.title}".strip())
        if heading:
            texts.append(work.about)
        for world in WORLDS:
            if world in tables:
                sub = f"{heading}# {work.title}: {WORLDS[world]}" if heading else WORLDS[world]
                texts += [sub, tables[world]]
    return "\n\n".join(texts)


def ranking(work: Work, results: Sequence[Result]) -> str:
    """Say in a sentence who does better."""
    if not any(r.entry.key == OURS and not r.missing for r in results):
        return "twinpool was not measured."
    measure = work.leading
    named = [result.entry.label for result, _ in better(work, measure, results)]
    what = "Better" if len(work.measures) == 1 else f"Better by {measure.title.split(',')[0]}"
    return f"{what}: {', '.join(named) or 'none of the others'}."


# --- Targets, and where we lose ----------------------------------------------------------------------------


def summary(findings: Findings, everything: bool = True, before: Published | None = None) -> str:
    """Return what was aimed at and what was reached, of everything or only of what was measured."""
    rows = [row for row in verdicts(findings, before) if everything or row[-1] != UNMEASURED]
    return grid(["work", "", "target", "measured", "min..max", "met"], rows, 3)


def verdicts(findings: Findings, before: Published | None) -> list[list[str]]:
    """Return the row of each target; what was not measured has that of before."""
    rows = []
    for v in judge(findings):
        measured, spread = "", ""
        if v.value is not None and v.least is not None and v.most is not None:
            digits = 2 if v.target.related or not v.target.unit else 1
            measured = f"{number(v.value, digits)}{v.target.unit}"
            spread = f"{number(v.least, digits)}..{number(v.most, digits)}"
        row = [v.target.what, WORLDS[v.target.world], v.target.bound, measured, spread, v.word]
        if before is not None and v.met is None:
            row = before.verdicts.get(tuple(row[:3]), row)
        rows.append(row)
    return rows


def reached(findings: Findings, before: Published | None = None) -> str:
    """Say in a sentence how many targets were met."""
    words = [row[-1] for row in verdicts(findings, before)]
    met, left_out = sum(word.startswith("yes") for word in words), words.count(UNMEASURED)
    text = f"{met} of {len(words)} targets are met"
    return f"{text}, {left_out} were not measured." if left_out else f"{text}."


def losses(findings: Findings, before: Published | None = None) -> str:
    """Say truly where a target was missed, and who does better than we do, and by how much."""
    missed = [row for row in verdicts(findings, before) if row[-1] == MISSED]
    if missed:
        names = "; ".join(f"{what} ({world})" for what, world, *_ in missed)
        texts = [f"- **Targets missed:** {names}."]
    else:
        texts = ["- **Targets missed:** none of those measured."]
    for work in WORKS:
        for world, title in WORLDS.items():
            results = findings.get((work.key, world), ())
            if before is not None and not results:
                texts += before.losses[work.key, world]
            for measure in work.measures:
                others = better(work, measure, results) if measure.ranked else []
                if others:
                    named = ", ".join(f"{result.entry.label} ({times})" for result, times in others)
                    texts.append(f"- **{work.title}, {title}, {measure.title}:** {named}.")
    return "\n".join(texts)


def better(work: Work, measure: Measure, results: Sequence[Result]) -> list[tuple[Result, str]]:
    """Return who of the others does better than our block, and what theirs is as a multiple of ours."""
    ours = next((r for r in results if r.entry.key == OURS and not r.missing), None)
    if ours is None:
        return []
    own = ours.figures[measure.key].value
    found = []
    for result in results:
        if result.missing or result.entry.ours or result.entry.key in (FLOOR, work.base):
            continue
        theirs = result.figures[measure.key].value
        more, less = (theirs, own) if measure.more else (own, theirs)
        if round(less, measure.digits) < round(more, measure.digits):
            found.append((theirs, result))
    found.sort(key=lambda pair: pair[0], reverse=measure.more)
    return [(result, f"{number(theirs / own, 2)} of ours") for theirs, result in found]


# --- Data --------------------------------------------------------------------------------------------------


def data(findings: Findings, effort: Effort) -> dict[str, Any]:
    """Return everything that was measured, for programs. What is not finite is ``None``."""
    works: dict[str, dict[str, Any]] = {}
    for (work, world), results in findings.items():
        works.setdefault(work, {})[world] = [facts(result) for result in results]
    return {
        "platform": platform_text(),
        "quick": effort.quick,
        "targets": [judged(v) for v in judge(findings)],
        "works": works,
    }


def judged(v: Verdict) -> dict[str, Any]:
    target = v.target
    return {
        "what": target.what,
        "work": target.work,
        "world": target.world,
        "key": target.key,
        "measure": target.measure,
        "bound": target.bound,
        "value": finite(v.value),
        "met": v.met,
    }


def facts(result: Result) -> dict[str, Any]:
    common = {
        "key": result.entry.key,
        "label": result.entry.label,
        "version": version_of(result),
    }
    if result.missing:
        return common | {"missing": result.missing}
    figures = {
        key: {
            "value": finite(figure.value),
            "values": [finite(value) for value in figure.values],
            "ratios": [finite(ratio) for ratio in figure.ratios],
        }
        for key, figure in result.figures.items()
    }
    return common | {"code": result.code, "figures": figures}


def finite(value: float | None) -> float | None:
    return value if value is not None and isfinite(value) else None
