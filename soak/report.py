"""What a soak says at its end."""

from collections.abc import Mapping

from soak.books import Books
from soak.protocols import PROTOCOLS
from soak.site import LIMITS

__all__ = ["summary"]


def summary(books: Books) -> str:
    """Return what happened, as a table."""
    rows = [["", *_COLUMNS]]
    for world in ("sync", "aio"):
        for protocol in PROTOCOLS:
            site = f"{world} {protocol.name}"
            rows.append([site, *(f"{books.counts[f'{site}: {what}']:,}" for what in _COLUMNS)])
    rows.append(["allowed", *([""] * 4), f"{LIMITS.max_size}", f"{LIMITS.total_max_size}"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    general = {name: count for name, count in books.counts.items() if name in _GENERAL}
    chaos = {n.removeprefix("chaos "): c for n, c in books.counts.items() if n[:6] == "chaos "}
    parts = [
        *table,
        _line("errors", books.errors),
        _line("chaos in managers", chaos),
        _line("done", books.done),
        _line("checked", general),
    ]
    return "\n".join(part.rstrip() for part in parts)


_COLUMNS = (
    *("operations", "cancelled", "opened", "timeouts"),
    *("most at one endpoint", "most in all"),
)
_GENERAL = {
    *("comparisons with a server", "connections compared", "pools closed", "events checked"),
}


def _line(title: str, counts: Mapping[str, int]) -> str:
    found = ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))
    return f"{title}: {found or 'none'}"
