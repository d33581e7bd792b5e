"""Bars as SVG, by hand: no more than a page of them is needed, and nothing has to be installed."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

__all__ = ["Bar", "Panel", "chart"]

WIDTH, LABELS, VALUES = 760, 240, 60
ROW, TOP, GAP, FOOT = 22, 34, 18, 26

# A panel of its own makes it readable on any page; the colours follow what the reader's system prefers.
STYLE = """
.page { fill: #ffffff; stroke: #d0d4da }
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.tick { font-size: 11px; fill: #57606a }
.grid { stroke: #d8dee4 }
.bar { fill: #8c959f }
.ours { fill: #0969da }
.base { stroke: #24292f; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  .page { fill: #161b22; stroke: #3d444d }
  text { fill: #e6edf3 }
  .tick { fill: #9198a1 }
  .grid { stroke: #30363d }
  .bar { fill: #6e7681 }
  .ours { fill: #58a6ff }
  .base { stroke: #e6edf3 }
}
"""


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    ours: bool = False


@dataclass(frozen=True)
class Panel:
    """The bars of one world."""

    title: str
    bars: Sequence[Bar]


def chart(title: str, description: str, unit: str, panels: Sequence[Panel]) -> str:
    """Return bars on a logarithmic scale, all panels on the same.

    Parameters:
        title: what people who cannot see it hear first.
        description: what they hear next.
        unit: what the values are multiples of; where a bar of one ends there is a line.
        panels: below each other; every value is greater than zero.
    """
    values = [bar.value for panel in panels for bar in panel.bars] or [1.0]
    scale = Scale(min(*values, 0.9), max(*values, 2.0))
    height = sum(TOP + ROW * len(panel.bars) + FOOT + GAP for panel in panels) + GAP
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-labelledby="title desc">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="desc">{escape(description)}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
    ]
    y = GAP
    for panel in panels:
        parts += drawn(panel, scale, unit, y)
        y += TOP + ROW * len(panel.bars) + FOOT + GAP
    return "\n".join([*parts, "</svg>", ""])


class Scale:
    """Where on the paper a value is."""

    def __init__(self, least: float, most: float) -> None:
        self.low, high = log10(least), log10(most)
        self.room = (WIDTH - LABELS - VALUES) / (high - self.low)
        steps = [m * 10.0**e for e in range(floor(self.low), floor(high) + 1) for m in (1, 2, 5)]
        self.ticks = [step for step in steps if least <= step <= most]

    def x(self, value: float) -> float:
        return LABELS + (log10(value) - self.low) * self.room


def drawn(panel: Panel, scale: Scale, unit: str, y: float) -> list[str]:
    top, bottom = y + TOP - 8, y + TOP + ROW * len(panel.bars)
    parts = [
        f'<text class="title" x="16" y="{y + 14}">{escape(panel.title)}</text>',
        f'<text class="tick" x="{WIDTH - 16}" y="{y + 14}" text-anchor="end">{escape(unit)}, '
        f"logarithmic: shorter is better</text>",
    ]
    for tick in scale.ticks:
        x = scale.x(tick)
        parts += [
            f'<line class="grid" x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}"/>',
            f'<text class="tick" x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{tick:g}</text>',
        ]
    for row, bar in enumerate(panel.bars):
        middle = y + TOP + row * ROW
        width = max(scale.x(bar.value) - LABELS, 1.0)
        parts += [
            f'<text x="{LABELS - 8}" y="{middle + 12}" text-anchor="end">{escape(bar.label)}</text>',
            f'<rect class="bar{" ours" if bar.ours else ""}" x="{LABELS}" y="{middle}" '
            f'width="{width:.1f}" height="{ROW - 7}"/>',
            f'<text class="tick" x="{LABELS + width + 6:.1f}" y="{middle + 12}">{bar.value:.2f}</text>',
        ]
    base = scale.x(1.0)
    parts.append(f'<line class="base" x1="{base:.1f}" y1="{top}" x2="{base:.1f}" y2="{bottom}"/>')
    return parts
