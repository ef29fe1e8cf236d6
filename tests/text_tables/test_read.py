"""Text tables: what was written comes back cell by cell, or a line is named."""

from __future__ import annotations

import csv
import io
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dawnchorus.errors import TaskError
from dawnchorus.text_tables.read import open_table

if TYPE_CHECKING:
    import os
from pathlib import Path

CELL = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), max_size=9
)
FREELY = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80)


@FREELY
@given(
    rows=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=6),
    separator=st.sampled_from(["\t", ";", ",", "|"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_a_program_wrote_is_read(
    tmp_path: Path,
    rows: list[tuple[str, str, str]],
    separator: str,
    encoding: str,
    line_end: str,
    quoting: int,
) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator=line_end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerow(["path", "label", "note"])
    writer.writerows(rows)
    table = tmp_path / "t.csv"
    table.write_text(text.getvalue(), encoding=encoding, newline="")
    opened = open_table(table)
    assert opened.names == ("path", "label", "note")
    read = [tuple(row.values()) for _, row in opened.rows()]
    assert list(filter(any, read)) == list(filter(any, rows))


@FREELY
@given(notes=st.lists(st.text("\"ab '", min_size=1, max_size=6), min_size=1, max_size=6))
def test_no_mark_in_a_table_between_tabs_swallows_a_row(tmp_path: Path, notes: list[str]) -> None:
    table = tmp_path / "t.txt"
    lines = [f"{number}\t{note}\tx" for number, note in enumerate(notes)]
    table.write_text("\n".join(["Selection\tNotes\tSpecies", *lines]))
    read = [row["Selection"] for _, row in open_table(table).rows()]
    assert read == [str(number) for number in range(len(notes))]


@FREELY
@given(notes=st.lists(st.text('"ab,', max_size=6), min_size=1, max_size=6))
def test_a_mark_in_a_table_between_commas_swallows_no_row_in_silence(
    tmp_path: Path, notes: list[str]
) -> None:
    table = tmp_path / "t.csv"
    lines = [f"{number},x,{note}" for number, note in enumerate(notes)]
    table.write_text("\n".join(["path,label,note", *lines]))
    try:
        read = [row["path"] for _, row in open_table(table).rows()]
    except TaskError as error:
        assert ", line " in str(error)  # noqa: PT017  either is right
    else:
        assert read == [str(number) for number in range(len(notes))]


@FREELY
@given(content=st.binary(max_size=300))
def test_any_bytes_give_rows_or_our_error(tmp_path: Path, content: bytes) -> None:
    table = tmp_path / "t.csv"
    table.write_bytes(content)
    try:
        opened = open_table(table)
        assert all(tuple(row) == opened.names for _, row in opened.rows())
    except TaskError as error:
        assert "t.csv" in str(error)  # noqa: PT017  either is right


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text('\npath,note\na.wav,"two\nlines"\n\nb.wav,x\n')
    assert [number for number, _ in open_table(table).rows()] == [3, 6]


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no such file"):
        open_table(tmp_path / "t.csv")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_where_it_would_pass_for_an_empty_table(tmp_path: Path) -> None:
    pipe = tmp_path / "labels.csv"
    os.mkfifo(pipe)
    with pytest.raises(TaskError, match=r"labels.csv: is a pipe or a device; write the table into"):
        open_table(pipe)
