"""The command: ``python -m benchmarks --help``."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from benchmarks.contest import Result, measure
from benchmarks.peers import ENTRIES, FLOOR
from benchmarks.report import data, page, python, sections
from benchmarks.validity import InvalidError

KEYS = sorted({entry.key for entry in ENTRIES} - {FLOOR})


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure an uncontended checkout, interleaved with those of other pools.",
    )
    result.add_argument("--rounds", type=count, default=10, help="rounds (default %(default)s)")
    result.add_argument(
        "--slice",
        type=milliseconds,
        default=0.5,
        metavar="MS",
        help="milliseconds of each slice (default %(default)s)",
    )
    result.add_argument("--world", choices=("sync", "async"), help="only this world")
    result.add_argument(
        "--only",
        action="append",
        choices=KEYS,
        metavar="PEER",
        help=f"only this one and the floor; may be repeated: {', '.join(KEYS)}",
    )
    result.add_argument("--quick", action="store_true", help="two tiny rounds: does it work?")
    result.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    result.add_argument("--markdown", type=Path, metavar="FILE", help="write docs/benchmarks.md")
    return result


def count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def milliseconds(text: str) -> float:
    number = float(text)
    if not 0 < number <= 1000:
        raise ValueError
    return number


def main(argv: list[str] | None = None) -> int:
    """Measure and report; return the exit status."""
    args = parser().parse_args(argv)
    rounds, slice_ms = (2, 0.1) if args.quick else (args.rounds, args.slice)
    worlds: dict[str, list[Result]] = {}
    try:
        for world in [args.world] if args.world else ["sync", "async"]:
            chosen = [
                entry
                for entry in ENTRIES
                if entry.world == world
                and (entry.key == FLOOR or not args.only or entry.key in args.only)
            ]
            worlds[world] = asyncio.run(measure(chosen, rounds, slice_ms))
    except InvalidError as error:
        print(f"invalid: {error}", file=sys.stderr)
        return 1
    print(f"{python()}, {rounds} rounds\n\n{sections(worlds)}")
    if args.json:
        text = json.dumps(data(worlds, rounds, slice_ms), indent=2)
        args.json.write_text(text + "\n", encoding="utf-8")
    if args.markdown:
        args.markdown.write_text(page(worlds, rounds, slice_ms), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
