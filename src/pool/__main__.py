"""The command line: ``python -m pool demo``."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from pool import __version__

NumberT = TypeVar("NumberT", int, float)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters:
        argv: the arguments; ``None`` for those of the process.

    Returns:
        The exit code.
    """
    arguments = _parser().parse_args(argv)
    try:
        return _demo(arguments)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _demo(arguments: argparse.Namespace) -> int:
    try:
        # Only here: the demo needs both worlds and an extra, the rest of the package neither.
        from pool._demo.job import Plan
        from pool._demo.run import run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rich":
            raise
        print(
            "The demo shows its results with the package 'rich', which is not installed.\n"
            "Install it with:  pip install 'twinpool[cli]'",
            file=sys.stderr,
        )
        return 1
    plan = Plan(
        requests=arguments.requests,
        workers=arguments.workers,
        max_size=arguments.max_size,
        downtime=arguments.downtime,
        give_up=arguments.give_up,
    )
    return run(plan, plain=arguments.plain)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pool", description="The twinpool library.")
    parser.add_argument("--version", action="version", version=f"twinpool {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    demo = commands.add_parser(
        "demo",
        help="drive both pools against a server that dies half-way",
        description="Drive pool.sync with threads, then pool.aio with tasks, against a small server on "
        "this machine that dies half-way and comes back, and show both side by side. "
        "The exit code is 0 only if everything added up.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    option = demo.add_argument
    option("--requests", type=_least(int, 1), default=15_000, metavar="N", help="per world")
    option("--workers", type=_least(int, 1), default=24, metavar="N", help="threads, then tasks")
    option("--max-size", type=_least(int, 1), default=8, metavar="N", help="connections at most")
    option(
        "--downtime", type=_least(float, 0), default=0.3, metavar="S", help="seconds of the outage"
    )
    option("--give-up", type=_least(float, 1), default=60.0, metavar="S", help="seconds per world")
    option("--plain", action="store_true", help="no progress bar, no colours, ASCII only")
    return parser


def _least(kind: Callable[[str], NumberT], least: NumberT) -> Callable[[str], NumberT]:
    def convert(text: str) -> NumberT:
        value = kind(text)
        if not least <= value < float("inf"):
            raise argparse.ArgumentTypeError(f"must be at least {least} and finite, not {text}")
        return value

    convert.__name__ = getattr(kind, "__name__", "number")
    return convert


if __name__ == "__main__":
    sys.exit(main())
