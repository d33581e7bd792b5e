"""``python -m soak [--seconds N] [--seed S]``: exits with 1, and tells the seed, if anything was wrong."""

import argparse
import sys
import time
from pathlib import Path
from random import Random

# The servers are started, and the protocols spoken, by what the tests have for that.
sys.path[:0] = [str(Path(__file__).resolve().parent.parent / "tests")]

from soak.protocols import PROTOCOLS  # noqa: E402
from soak.report import summary  # noqa: E402
from soak.run import soak  # noqa: E402


def main() -> int:
    """Run it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="soak", description="Soak both worlds in chaos.")
    parser.add_argument("--seconds", type=float, default=600.0, help="how long (default 600)")
    parser.add_argument("--seed", default=str(Random().randrange(2**32)), help="of the chaos")
    options = parser.parse_args()
    for protocol in PROTOCOLS:
        if reason := protocol.missing():
            print(f"soak: {reason}", file=sys.stderr)
            return 2
    started = time.monotonic()

    def say(what: str) -> None:
        print(f"{time.monotonic() - started:7.1f} s  {what}", flush=True)

    say(f"soaking for {options.seconds:g} s, --seed {options.seed}")
    books = soak(options.seconds, options.seed, say)
    print(summary(books))
    if books.violations:
        print(f"\n{len(books.violations)} violations. Again with: --seed {options.seed}")
        for violation in books.violations[:10]:
            print(f"\n--- {violation[:6000]}")
        return 1
    say("all is well")
    return 0


if __name__ == "__main__":
    sys.exit(main())
