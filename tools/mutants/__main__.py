"""``python -m tools.mutants``."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tools.mutants.making import mutants_of
from tools.mutants.reasons import done, judge
from tools.mutants.running import Runner, tests_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line. Return the exit code."""
    parser = argparse.ArgumentParser(description="Test the tests of the core.")
    parser.add_argument("modules", nargs="*", help="such as agenda; by default those that are done")
    parser.add_argument("-j", dest="children", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args(arguments)
    modules = [Path(name).stem for name in options.modules] or done()
    mutants = [mutant for module in modules for mutant in mutants_of(module)]
    print(f"{len(mutants)} mutants of {', '.join(modules)}", flush=True)
    runner = Runner(mutants, options.children)
    began = time.perf_counter()
    pytest.main(
        ["-q", "-p", "no:cacheprovider", "--no-header", *tests_of(modules)], plugins=[runner]
    )
    if not runner.done:
        return 2
    wrong = judge(modules, runner.survivors)
    print(*wrong, sep="\n")
    print(
        f"{len(mutants)} mutants, {len(mutants) - len(runner.survivors)} killed, "
        f"{len(runner.survivors)} survived, {len(wrong)} wrong, "
        f"in {(time.perf_counter() - began) / 60:.1f} minutes"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
