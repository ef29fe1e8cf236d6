"""A table is the same in a file, a gzip and a zip, and read strictly or leniently."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dawnchorus.errors import TaskError
from dawnchorus.text_tables.files import TextFile, find_file, list_files
from dawnchorus.text_tables.read import open_table, read_text

CELL = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), max_size=9
)
FREELY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
SMALL = b"path,label\na.wav,wren\nb.wav,robin\n"


def rows_of(file: Path | TextFile) -> list[tuple[str, ...]]:
    return [tuple(row.values()) for _, row in open_table(file).rows()]


def test_a_table_is_read_out_of_a_gzip_and_a_member_of_a_zip(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(SMALL)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(SMALL))
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("inner/t.csv", SMALL)
    member = find_file(tmp_path / "t.zip", ["T.CSV"])
    assert member == TextFile(tmp_path / "t.zip", "inner/t.csv")
    assert str(member) == f"{tmp_path / 't.zip'}:inner/t.csv"
    plain = rows_of(tmp_path / "t.csv")
    assert plain == [("a.wav", "wren"), ("b.wav", "robin")]
    assert rows_of(tmp_path / "t.csv.gz") == plain
    assert rows_of(member) == plain
    assert read_text(tmp_path / "t.csv.gz") == read_text(tmp_path / "t.csv")


@pytest.mark.parametrize("cut", [5, 20, 40])
def test_a_gzip_that_is_cut_off_is_an_error_and_not_a_short_table(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(SMALL * 50)[:-cut])
    with pytest.raises(TaskError, match=r"t\.csv\.gz: cannot be read to its end"):
        rows_of(path)


def test_a_zip_itself_is_no_table_and_a_missing_member_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("t.csv", SMALL)
    with pytest.raises(TaskError, match="a spreadsheet or zip file"):
        open_table(tmp_path / "t.zip")
    with pytest.raises(TaskError, match=r"gone\.csv: cannot be read to its end"):
        open_table(TextFile(tmp_path / "t.zip", "gone.csv"))
    assert find_file(tmp_path / "t.zip", ["other.csv"]) is None


def test_upper_files_come_before_those_of_the_same_name_further_down(tmp_path: Path) -> None:
    for name in ("x/t.csv", "t.csv", "x/y/t.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(SMALL)
    assert [str(file) for file in list_files(tmp_path)] == [
        str(tmp_path / "t.csv"), str(tmp_path / "x/t.csv")
    ]  # fmt: skip
    assert find_file(tmp_path, ["t.csv"]) == TextFile(tmp_path / "t.csv")


@FREELY
@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL).filter(any), min_size=1, max_size=6),
    separator=st.sampled_from([";", ",", "|"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_a_whole_table_reads_the_same_strictly_and_leniently(
    tmp_path: Path, rows: list[tuple[str, str, str]], separator: str, quoting: int
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator="\n", quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([("path", "label", "note"), *rows])
    path = tmp_path / "t.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    damaged: list[object] = []
    lenient = open_table(path, on_damage=lambda *what: damaged.append(what))
    assert list(lenient.rows()) == list(open_table(path).rows())
    assert damaged == []


@FREELY
@given(lines=st.lists(st.sampled_from(["1,a", '2,"b"', '3,"open', "4", '5,"x" y', "6,a,b", ""])))
def test_every_line_of_a_published_table_is_a_row_or_reported(
    tmp_path: Path, lines: list[str]
) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["id,label", *lines, ""]), encoding="utf-8")
    damaged: list[int] = []
    table = open_table(path, on_damage=lambda _file, line, _what: damaged.append(line))
    read = dict(table.rows())
    for number, line in enumerate(lines, start=2):
        whole = line in {"1,a", '2,"b"', '5,"x" y'}
        # a quote that is opened may be closed by a later line, which then belongs to its field
        swallowed = any(
            first < number and "\n" in row["label"] and number <= first + row["label"].count("\n")
            for first, row in read.items()
        )
        if not line or swallowed:
            assert number not in damaged
        else:
            assert (number in read) != (number in damaged)
            assert not whole or number in read
