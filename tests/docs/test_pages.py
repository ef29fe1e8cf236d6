"""Every tutorial runs as it is written, and prints what it shows."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from doc_pages import DOCS, Block, Session, blocks_of, difference, run_page

TUTORIALS = sorted(path for path in (DOCS / "tutorials").glob("*.md") if path.stem != "index")
RUN = [*TUTORIALS, DOCS / "how-to" / "distillation.md"]
LONG = {"own_sounds", "an_afternoon", "distillation"}  # train a model, embed an hour
RECORDINGS = DOCS.parent / "demo" / "recordings"


@pytest.mark.cli
@pytest.mark.skipif(sys.platform == "win32", reason="the pages' shell lines are for bash")
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[pytest.mark.long] if page.stem in LONG else [])
        for page in RUN
    ],
)
def test_a_tutorial_runs_as_written_and_prints_what_it_shows(page: Path, tmp_path: Path) -> None:
    shutil.copytree(RECORDINGS, tmp_path / "recordings")
    run_page(page, tmp_path)


def test_every_tutorial_has_code_to_run() -> None:
    assert TUTORIALS
    for page in TUTORIALS:
        assert {block.language for block in blocks_of(page)} & {"sh", "python"}, page


def test_the_test_that_holds_a_promise_exists() -> None:
    named = re.findall(r"`((?:tests|benchmarks)/[^`]*)`", (DOCS / "promises.md").read_text())
    assert len(named) > 40
    for path, _, function in (name.partition("::") for name in named):
        file = DOCS.parent / path
        assert file.exists(), path
        assert not function or f"def {function}(" in file.read_text(encoding="utf-8"), function


def test_blocks_are_read_with_the_comment_above_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A\n\n```sh\necho 1\n```\n\n<!-- varies: 1; 2.5 -->\n```text\n1\n```\n\n"
        "<!-- file: a.csv -->\n```csv\na,b\n```\n```{toctree}\nx\n```\n"
    )
    assert blocks_of(page) == [
        Block("sh", "echo 1\n", 3),
        Block("text", "1\n", 8, ("varies", "1; 2.5")),
        Block("csv", "a,b\n", 13, ("file", "a.csv")),
    ]


@pytest.mark.parametrize(
    ("shown", "printed", "varying", "expected"),
    [
        ("7 files\n", "7 files\n", [], ""),
        ("7  files\n", "7 files\n", [], ""),
        ("7 files\n", "8 files\n", [], "not printed: '7 files'"),
        ("7.2 s, 9 times\n", "31.0 s, 2 times\n", ["7.2", "9"], ""),
        ("0.91\n", "0.93\n", [], ""),
        ("0.91\n", "0.94\n", [], "not printed: '0.91'"),
        ("a\n...\nd\n", "a\nb\nc\nd\n", [], ""),
        ("a\n...\n", "a\nb\n", [], ""),
        ("a\n", "a\nb\n", [], "printed as well: 'b'"),
        ("a\nb\n", "a\n", [], "not printed: 'b'"),
    ],
)
def test_output_is_compared_line_by_line(
    shown: str, printed: str, varying: list[str], expected: str
) -> None:
    assert difference(shown, printed, varying) == expected


def test_a_page_that_shows_what_is_not_printed_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(2 + 2)\n```\n\n```text\n5\n```\n")
    with pytest.raises(AssertionError, match="line 5: not printed: '5'"):
        run_page(page, tmp_path)


def test_blocks_of_python_share_their_names_and_files_are_written(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.run(Block("csv", "a,b\n1,2\n", 1, ("file", "table.csv")))
    session.run(
        Block(
            "python", "from pathlib import Path\nrows = Path('table.csv').read_text().split()\n", 1
        )
    )
    assert session.run(Block("python", "print(rows[-1])\n", 1)) == "1,2\n"


@pytest.mark.skipif(sys.platform == "win32", reason="bash")
def test_a_failing_command_of_a_page_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="line 4: exit code 3"):
        Session(tmp_path).run(Block("sh", "exit 3\n", 4))
