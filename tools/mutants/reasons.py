"""Why the mutants that survive may."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.mutants.making import Key, Mutant

__all__ = ["done", "judge", "shown"]

_FILE = Path(__file__).with_name("survivors.toml")


def _listed() -> dict[str, Any]:
    return tomllib.loads(_FILE.read_text(encoding="utf-8"))


def done() -> list[str]:
    """Return the modules that were gone through."""
    modules: list[str] = _listed()["done"]
    return modules


def _reasons() -> dict[Key, str]:
    return {
        (it["module"], it["function"], it["was"], becomes): it["why"]
        for it in _listed()["survivor"]
        for becomes in ([it["becomes"]] if isinstance(it["becomes"], str) else it["becomes"])
    }


def shown(key: Key) -> str:
    """Return a survivor as it would stand in the list."""
    names = ("module", "function", "was", "becomes")
    lines = [f"{name} = {json.dumps(value)}" for name, value in zip(names, key, strict=True)]
    return "\n".join(["[[survivor]]", *lines, 'why = ""', ""])


def judge(modules: Sequence[str], survivors: Sequence[Mutant]) -> list[str]:
    """Return what is wrong: survivors without a reason, and reasons without a survivor."""
    known = {key: why for key, why in _reasons().items() if key[0] in modules}
    found = {mutant.key for mutant in survivors}
    wrong = [f"survives, and nobody says why:\n{shown(key)}" for key in found - set(known)]
    wrong += [f"is listed, and is killed or gone:\n{shown(key)}" for key in set(known) - found]
    wrong += [f"has no reason:\n{shown(key)}" for key, why in known.items() if not why.strip()]
    return sorted(wrong)
