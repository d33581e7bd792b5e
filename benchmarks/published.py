"""A page that was written before: what it says of works that are not measured again stays as it is."""

import re

from benchmarks.validity import demand
from benchmarks.works import WORKS, WORLDS

__all__ = ["Published"]

Key = tuple[str, str]
"""A work and a world."""


class Published:
    """A page, taken to pieces.

    Parameters:
        text: the whole page.
        platform: what measures now.

    Raises:
        InvalidError: something else measured then: the numbers do not belong on one page.
    """

    def __init__(self, text: str, platform: str) -> None:
        demand(f"Measured with {platform}." in text, f"the page was not measured with {platform}")
        self.text = text
        keys = [(work, world) for work in WORKS for world in WORLDS]
        self.tables: dict[Key, str] = {}
        """The table of a work, and who is better."""
        self.losses: dict[Key, list[str]] = {}
        """The lines that say where we lose."""
        for work, world in keys:
            title = re.escape(f"### {work.title}: {WORLDS[world]}")
            if found := re.search(rf"^{title}\n(.*?)(?=^##)", text, re.DOTALL | re.MULTILINE):
                self.tables[work.key, world] = found[1].strip()
            start = f"- **{work.title}, {WORLDS[world]}, "
            self.losses[work.key, world] = [
                line for line in text.splitlines() if line.startswith(start)
            ]
        targets = text.partition("\n## Targets\n")[2].partition("\n## ")[0]
        lines = [line.split("|")[1:-1] for line in targets.splitlines() if line.startswith("| ")]
        self.verdicts = {
            tuple(cells[:3]): cells for cells in ([cell.strip() for cell in line] for line in lines)
        }
        """What became of a target: the cells of its row by its name, world and bound."""

    @property
    def rounds(self) -> int | None:
        """How many rounds it says there were; ``None`` if it does not."""
        found = re.search(r"(\d+) rounds, each of", self.text)
        return int(found[1]) if found else None
