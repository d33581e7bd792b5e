"""What the documentation says is true: its code runs, and prints what stands below it.

A page is one program: its ``python`` blocks run in order, in an interpreter of their own, line 7 of the page
being line 7 of the program. What a block prints must follow it as a block ``output``, where ``...`` stands
for anything; a block that prints nothing has none. ``("localhost", 7000)`` is a server of lines, started
here. A block that must not run has the line ``<!-- not run: why -->`` above it; code of somebody else has a
reason of those in ``EXCUSES``.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from doctest import ELLIPSIS, NORMALIZE_WHITESPACE, Example, OutputChecker
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

import pytest

from support.servers import PATIENCE, Peer, Server

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))

STAND_IN = '("localhost", 7000)'
END = "-- end of the block --"
LANGUAGES = {"python", "output", "console", "rust", "text"}
NOT_RUN = "<!-- not run: "
#: Why code is not expected to run here at all.
EXCUSES = {"another library"}


@dataclass(frozen=True)
class Block:
    """A fenced block: the number of its first line, from 1, its text, and why it does not run."""

    language: str
    first: int
    text: str
    idle: str | None

    @property
    def runs(self) -> bool:
        return self.idle is None

    @property
    def last(self) -> int:
        return self.first + self.text.count("\n")


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    found = []
    lines = page.read_text(encoding="utf-8").split("\n")
    start: int | None = None
    for number, line in enumerate(lines, 1):
        if not line.startswith("```"):
            assert "```python" not in line, f"{page.name}:{number}: an indented block is not seen"
        elif start is None:
            start = number
        else:
            above = lines[start - 2]
            idle = above.removeprefix(NOT_RUN).removesuffix(" -->") if NOT_RUN in above else None
            text = "\n".join(lines[start : number - 1])
            found.append(Block(lines[start - 1].removeprefix("```"), start + 1, text, idle))
            start = None
    assert start is None, f"{page.name}: the block at line {start} does not end"
    return found


def program(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language == "python" and block.runs]


def script(page: Path, endpoint: tuple[str, int]) -> str:
    """Return a page as a program whose lines have the numbers they have in the page."""
    lines = [""] * page.read_text(encoding="utf-8").count("\n")
    for block in program(page):
        lines[block.first - 1 : block.last] = block.text.split("\n")
        lines[block.last] = f"print({END!r}, flush=True)"
    return "\n".join(lines).replace(STAND_IN, repr(endpoint))


def expected(page: Path) -> list[str]:
    """Return what the page says that each of its program's blocks prints."""
    every = blocks(page)
    following = {block.first: after for block, after in pairwise(every)}
    outputs = []
    for block in program(page):
        after = following.get(block.first)
        outputs.append(after.text + "\n" if after and after.language == "output" else "")
    return outputs


def serve(peer: Peer) -> None:
    """Answer each line: ``PING`` with ``PONG``, anything else with ``ERR``."""
    for line in peer.sock.makefile("rb"):
        word, _, rest = line.strip().partition(b" ")
        peer.send((b"PONG " + rest).strip() + b"\n" if word == b"PING" else b"ERR\n")


def run(path: Path) -> str:
    """Run a program to its end; return what it prints."""
    result = subprocess.run(
        [sys.executable, "-W", "error", path],
        capture_output=True,
        text=True,
        timeout=3 * PATIENCE,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, ""), result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page: Path, tmp_path: Path) -> None:
    """The code of a page runs as it stands and prints what the page says."""
    # Not the name alone: a page is called like the library it is about.
    path = tmp_path / f"page_{page.stem}.py"
    with Server(serve) as server:
        path.write_text(script(page, server.endpoint), encoding="utf-8")
        *printed, rest = run(path).split(END + "\n")
    assert rest == ""
    checker, flags = OutputChecker(), ELLIPSIS | NORMALIZE_WHITESPACE
    for block, want, got in zip(program(page), expected(page), printed, strict=True):
        if not checker.check_output(want, got, flags):
            difference = checker.output_difference(Example("", want), got, flags)
            pytest.fail(f"{page.name}, block at line {block.first}:\n{difference}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_say_what_they_are(page: Path) -> None:
    """Every block names its language, and only code is followed by output."""
    every = blocks(page)
    assert {block.language for block in every if not block.language.startswith("{")} <= LANGUAGES
    outputs = [pair for pair in pairwise(every) if pair[1].language == "output"]
    assert [before.first for before, _ in outputs if before.language != "python"] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_to_files(page: Path) -> None:
    """What a page links to in this repository is there."""
    links = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_blocks_that_do_not_run_are_few() -> None:
    """Code of ours that nobody runs is the exception."""
    idle = [b for page in PAGES for b in blocks(page) if b.language == "python" and not b.runs]
    assert len([block for block in idle if block.idle not in EXCUSES]) <= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_that_do_not_run_are_code(page: Path) -> None:
    """What nobody runs is Python all the same."""
    for block in blocks(page):
        if block.language == "python" and not block.runs:
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            compile(block.text, f"{page.name}:{block.first}", "exec", flags=flags)


def test_the_architecture_names_what_is_there() -> None:
    """What the page on architecture calls by name is in the sources, up to what comes next."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    today, _, _ = page.partition("## Where the next features go")
    names = set(re.findall(r"`(?:\w+\.)*(\w+)(?:\(.*?\))?`", today))
    sources = [path for top in ("src", "tests", "tools") for path in (ROOT / top).rglob("*.py")]
    sources.append(ROOT / "Makefile")
    known = set(re.findall(r"\w+", " ".join(path.read_text(encoding="utf-8") for path in sources)))
    known |= {part for path in sources for part in (path.stem, path.parent.name)}
    assert names - known == set()


# --- Examples ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path) -> None:
    """An example runs, and shows something."""
    assert run(example)


def test_examples_of_both_worlds_agree() -> None:
    """The same program prints the same in both worlds."""
    stem = ROOT / "examples"
    assert run(stem / "line_client_aio.py") == run(stem / "line_client_sync.py")


def test_the_tutorial_ends_at_the_example() -> None:
    """The client that the tutorial shows is the one of the examples."""
    tutorial = "\n\n\n".join(block.text for block in program(ROOT / "docs" / "tutorial.md"))
    for world in ("aio", "sync"):
        source = (ROOT / "examples" / f"line_client_{world}.py").read_text(encoding="utf-8")
        classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
        (client,) = [node for node in classes if node.name == "LineClient"]
        shown = ast.get_source_segment(source, client)
        assert shown
        assert shown in tutorial


# --- Docstrings --------------------------------------------------------------------------------------------

EXAMPLE = re.compile(r"^Example::\n\n((?:    .*\n|\n|    .*\Z)+)", re.MULTILINE)


def docstring_examples() -> Iterator[tuple[str, str]]:
    """Yield the examples in the library's docstrings, and where they are."""
    spec = find_spec("pool")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) or ""
                for example in EXAMPLE.findall(text):
                    name = getattr(node, "name", "")
                    yield f"{path.relative_to(package)}:{name}", dedent(example)


DOCSTRING_EXAMPLES = list(docstring_examples())


@pytest.mark.parametrize(
    ("where", "text"), DOCSTRING_EXAMPLES, ids=[where for where, _ in DOCSTRING_EXAMPLES]
)
def test_docstring_example_compiles(where: str, text: str) -> None:
    """An example in a docstring is Python; in the sync world without ``await``."""
    flags = 0 if "_sync" in where else ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    compile(text, where, "exec", flags=flags)


def test_docstring_examples_are_found() -> None:
    """The test above has something to look at, in both worlds."""
    found = {where for where, _ in DOCSTRING_EXAMPLES}
    assert {"_async/pool.py:ConnectionPool", "_sync/pool.py:ConnectionPool"} <= found
