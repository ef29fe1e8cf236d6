"""Blocks of code on a page of the docs: found, run in order as a reader would, output compared.

Blocks marked ``sh`` run in bash, ``python`` blocks in one shared namespace. A ``text`` block right
behind one of them is what it prints. A comment in the line above a block changes that:

- ``<!-- file: clips.csv -->``: the block is saved under this name instead of run.
- ``<!-- not run -->``: the block is for reading only.
- ``<!-- varies: 7.2; 9 -->``: these numbers of the output may be any others.

A line ``...`` of an output stands for any number of lines. Whole numbers have to agree; a number
with decimals may be off by two in its last place, since processors round differently.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
STAND_IN = "/home/you"  # on pages, for the folder in which everything runs
NUMBER = re.compile(r"(\d+(?:\.\d+)?)")
COMMENT = re.compile(r"<!-- *(file|not run|varies)(?:: *(.*?))? *-->")
# the programs of this environment, whatever PATH says
SHELL_START = (
    f'set -euo pipefail; python() {{ "{sys.executable}" "$@"; }}; '
    'dawnchorus() { python -m dawnchorus "$@"; }\n'
)


@dataclass(frozen=True)
class Block:
    """A block of code, with where it stands and what the comment above it says."""

    language: str
    text: str
    line: int
    comment: tuple[str, str] = ("", "")


@dataclass
class Session:
    """What a reader has done so far: the folder with its files, the names of Python."""

    folder: Path
    names: dict[str, Any] = field(default_factory=dict)

    def run(self, block: Block) -> str:
        """Run a block and return all that it prints; a file is written and prints nothing."""
        kind, value = block.comment
        if kind == "file":
            (self.folder / value).write_text(block.text, encoding="utf-8")
            return ""
        return self._python(block) if block.language == "python" else self._shell(block)

    def _python(self, block: Block) -> str:
        printed = io.StringIO()
        code = compile(
            "\n" * block.line + block.text, "page", "exec"
        )  # errors name the page's line
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(printed):
            exec(code, self.names)  # noqa: S102 - our own page
        return printed.getvalue()

    def _shell(self, block: Block) -> str:
        # unbuffered, so that both streams mix as on a terminal
        done = subprocess.run(
            ["bash", "-c", SHELL_START + block.text],  # noqa: S607
            cwd=self.folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "DAWNCHORUS_CACHE": str(self.folder / "c")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (
            f"line {block.line}: exit code {done.returncode}\n{done.stdout}"
        )
        return done.stdout.replace(str(self.folder), STAND_IN)


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order; directives of the site are left out."""
    blocks: list[Block] = []
    lines = page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        opening = re.fullmatch(r"(`{3,})(.*)", lines[number])
        if opening is None:
            number += 1
            continue
        end = lines.index(opening[1], number + 1)
        said = COMMENT.fullmatch(lines[number - 1])
        comment = (said[1], said[2] or "") if said else ("", "")
        text = "\n".join(lines[number + 1 : end]) + "\n"
        blocks.append(Block(opening[2], text, number + 1, comment))
        number = end + 1
    return [block for block in blocks if not block.language.startswith("{")]


def run_page(page: Path, folder: Path) -> Session:
    """Run a page from top to bottom and compare what it prints with what it shows."""
    session = Session(folder)
    printed: str | None = None
    for block in blocks_of(page):
        if block.language == "text" and printed is not None:
            varying = block.comment[1].split("; ") if block.comment[0] == "varies" else []
            problem = difference(block.text, printed, varying)
            assert not problem, f"{page.name}, line {block.line}: {problem}\nprinted:\n{printed}"
            printed = None
        elif block.comment[0] == "file" or block.language in {"sh", "python"}:
            printed = None if block.comment[0] == "not run" else session.run(block)
    return session


def difference(shown: str, printed: str, varying: list[str]) -> str:
    """The first line of a page that was not printed, or a printed one that it lacks; else empty."""
    left = printed.splitlines()
    skipping = False
    for line in shown.splitlines():
        if line == "...":
            skipping = True
            continue
        while left and skipping and not same(line, left[0], varying):
            left.pop(0)
        if not left or not same(line, left.pop(0), varying):
            return f"not printed: {line!r}"
        skipping = False
    return f"printed as well: {left[0]!r}" if left and not skipping else ""


def same(shown: str, printed: str, varying: list[str]) -> bool:
    """Whether two lines agree, by the rules for numbers; widths of columns do not count."""
    ours, theirs = (NUMBER.split(" ".join(line.split())) for line in (shown, printed))
    return len(ours) == len(theirs) and all(
        part == other or (place % 2 == 1 and near(part, other, varying))
        for place, (part, other) in enumerate(zip(ours, theirs, strict=True))
    )


def near(shown: str, printed: str, varying: list[str]) -> bool:
    """Whether a number may stand for another."""
    if shown in varying:
        return True
    decimals = len(shown.partition(".")[2])
    unit: float = 10.0**-decimals
    return decimals > 0 and abs(float(shown) - float(printed)) <= 2.01 * unit
