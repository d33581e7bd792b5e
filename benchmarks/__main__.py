"""The command: ``python -m benchmarks --help``."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

# What starts a real server is what the tests have for that.
sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "tests")]

from benchmarks.page import write  # noqa: E402
from benchmarks.published import Published  # noqa: E402
from benchmarks.report import data, platform_text, reached, sections, summary  # noqa: E402
from benchmarks.results import Effort  # noqa: E402
from benchmarks.targets import Findings  # noqa: E402
from benchmarks.validity import InvalidError  # noqa: E402
from benchmarks.works import WORKS, WORLDS  # noqa: E402

KEYS = sorted(
    {e.key for work in WORKS for world in WORLDS for e in work.entries(world)} - {"floor"}
)


def parser() -> argparse.ArgumentParser:
    result = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the pool, interleaved with other pools and with floors.",
    )
    result.add_argument("--world", choices=list(WORLDS), help="only this world")
    result.add_argument(
        "--work",
        action="append",
        choices=[work.key for work in WORKS],
        metavar="WORK",
        help=f"only this work; may be repeated: {', '.join(work.key for work in WORKS)}",
    )
    result.add_argument(
        "--only",
        action="append",
        choices=KEYS,
        metavar="PEER",
        help=f"only this one and what it is compared with; may be repeated: {', '.join(KEYS)}",
    )
    result.add_argument("--rounds", type=count, help="rounds, if not as many as each work has")
    result.add_argument("--quick", action="store_true", help="two tiny rounds: does it work?")
    result.add_argument("--json", type=Path, metavar="FILE", help="write everything measured")
    result.add_argument(
        "--markdown", type=Path, metavar="FILE", help="write docs/benchmarks.md and its charts"
    )
    result.add_argument(
        "--keep",
        action="store_true",
        help="with --markdown: leave on the page what is not measured now",
    )
    return result


def count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


def main(argv: list[str] | None = None) -> int:
    """Measure and report; return the exit status."""
    args = parser().parse_args(argv)
    if args.keep and not (args.markdown and args.markdown.exists()):
        parser().error("--keep needs --markdown with a page that is there")
    effort = Effort(args.quick, args.rounds)
    findings: Findings = {}
    before = None
    try:
        if args.keep:
            before = Published(args.markdown.read_text(encoding="utf-8"), platform_text())
        for work in WORKS:
            if args.work and work.key not in args.work:
                continue
            for world in [args.world] if args.world else WORLDS:
                chosen = [
                    entry
                    for entry in work.entries(world)
                    if not args.only or entry.key in args.only or entry.key == work.base
                ]
                if chosen:
                    print(f"{work.title}: {WORLDS[world]} ...", file=sys.stderr)
                    findings[work.key, world] = asyncio.run(work.run(chosen, effort))
    except InvalidError as error:
        print(f"invalid: {error}", file=sys.stderr)
        return 1
    parts = (
        platform_text(),
        sections(findings),
        summary(findings, everything=False),
        reached(findings),
    )
    print("\n\n".join(parts))
    if args.json:
        text = json.dumps(data(findings, effort), indent=2, allow_nan=False)
        args.json.write_text(text + "\n", encoding="utf-8")
    if args.markdown:
        write(args.markdown, findings, effort, before)
    return 0


if __name__ == "__main__":
    sys.exit(main())
