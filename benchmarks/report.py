"""Results as text and as data. They name the Python and the versions measured, never the machine."""

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template
from typing import Any

from benchmarks.contest import SLICES, Result
from benchmarks.peers import BY_HAND, FLOOR, OURS

TARGETS = {"sync": 1.5, "async": 1.6}
"""How many times the floor our block should cost at most."""

TITLES = {"sync": "Threads", "async": "asyncio"}

PAGE = Path(__file__).with_name("page.md")

HEAD = ("", "what is measured", "ns", "x floor", "min..max")


def python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()}"


def table(results: Sequence[Result]) -> str:
    """Return the results of one world as a Markdown table that is readable as it stands."""
    measured = sorted((r for r in results if not r.missing), key=lambda r: r.ratio)
    missing = [r for r in results if r.missing]
    rows = [HEAD]
    for result in measured:
        bold = "**" if result.entry.key == OURS else ""
        low, high = min(result.ratios), max(result.ratios)
        rows.append(
            (
                f"{bold}{titled(result)}{bold}",
                f"`{result.code}`",
                f"{result.ns:,.0f}",
                f"{bold}{result.ratio:.2f}{bold}",
                f"{low:.2f}..{high:.2f}",
            )
        )
    rows += [(titled(result), result.missing, "", "", "") for result in missing]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [aligned(row, widths) for row in rows]
    rules = ["-" * width if i < 2 else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    lines.insert(1, f"| {' | '.join(rules)} |")
    return "\n".join(lines)


def aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.ljust(width) if i < 2 else cell.rjust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return f"| {' | '.join(cells)} |"


def titled(result: Result) -> str:
    """Return the name of a competitor with its version."""
    number = version_of(result)
    if number is None or result.entry.distribution == "twinpool":
        return result.entry.label
    return f"{result.entry.label} {number}"


def version_of(result: Result) -> str | None:
    try:
        return version(result.entry.distribution or "")
    except (PackageNotFoundError, ValueError):
        return None


def verdict(results: Sequence[Result]) -> str:
    """Say in a sentence how our block fares against its target, and who is faster."""
    ours = next((r for r in results if r.entry.key == OURS and not r.missing), None)
    if ours is None:
        return "twinpool was not measured."
    target = TARGETS[ours.entry.world]
    word = "met" if ours.ratio <= target else "**missed**"
    faster = [
        r.entry.label
        for r in results
        if r.entry.key not in (FLOOR, BY_HAND) and not r.missing and r.ratio < ours.ratio
    ]
    return (
        f"The block costs {ours.ratio:.2f} times the floor; the target, at most {target}, is {word}. "
        f"Cheaper: {', '.join(faster) or 'none of the others'}."
    )


def sections(worlds: dict[str, list[Result]], heading: str = "") -> str:
    """Return the tables of all worlds measured, with their verdicts."""
    return "\n\n".join(
        f"{heading}{TITLES[world]}\n\n{table(results)}\n\n{verdict(results)}"
        for world, results in worlds.items()
    )


def page(worlds: dict[str, list[Result]], rounds: int, slice_ms: float) -> str:
    """Return the page for the documentation."""
    return Template(PAGE.read_text(encoding="utf-8")).substitute(
        python=python(),
        rounds=rounds,
        slices=SLICES,
        slice=f"{slice_ms:g}",
        results=sections(worlds, "### "),
    )


def data(worlds: dict[str, list[Result]], rounds: int, slice_ms: float) -> dict[str, Any]:
    """Return everything that was measured, for programs."""
    return {
        "python": python(),
        "rounds": rounds,
        "slices": SLICES,
        "slice_ms": slice_ms,
        "targets": TARGETS,
        "worlds": {world: [facts(r) for r in results] for world, results in worlds.items()},
    }


def facts(result: Result) -> dict[str, Any]:
    common = {
        "key": result.entry.key,
        "label": result.entry.label,
        "version": version_of(result),
    }
    if result.missing:
        return common | {"missing": result.missing}
    return common | {
        "code": result.code,
        "ns": result.ns,
        "ratio": result.ratio,
        "times_ns": result.times,
        "ratios": result.ratios,
    }
