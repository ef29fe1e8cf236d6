"""Every CSV can be read back, by us and by others, whatever its cells hold."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.text_tables.read import open_table
from dawnchorus.text_tables.write import CsvWriter, csv_text, runs_as_formula

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2)))
def test_what_is_written_is_read_back_cell_by_cell(rows: list[list[str]]) -> None:
    text = csv_text(["a", "b"], rows)
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["a", "b"], *rows]


def test_a_bare_carriage_return_is_no_new_row_to_other_readers() -> None:
    text = csv_text(["path", "label"], [["a\rb.wav", "wren"], ["c\r\nd.wav", "x\ny"]])
    assert text == 'path,label\n"a\rb.wav",wren\n"c\r\nd.wav","x\ny"\n'
    assert len(pd.read_csv(io.StringIO(text, newline=""))) == 2
    tabbed = io.StringIO(newline="")
    CsvWriter(tabbed, delimiter="\t").row(["a\rb", "c\td", "e"])
    assert tabbed.getvalue() == '"a\rb"\t"c\td"\te\n'


def test_numbers_and_nothing_stay_as_they_are() -> None:
    assert csv_text(["a"], [[None], [-1], [0.5], [True]]) == 'a\n""\n-1\n0.5\nTrue\n'


def test_a_file_name_that_is_not_utf8_is_escaped() -> None:
    assert csv_text(["p"], [["a\udcff.wav"]]).encode() == b"p\na\\xff.wav\n"


@pytest.mark.parametrize("cell", ["=1+1", "+cmd", "-cmd|'/c calc'!A1", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_a_spreadsheet_would_run_can_be_written_as_text(cell: str) -> None:
    assert runs_as_formula(cell)
    plain, safe = (
        list(csv.reader(io.StringIO(csv_text(["a", "b"], [[cell, ""]], spreadsheet_safe=safe))))
        for safe in (False, True)
    )
    assert (plain[1][0], safe[1][0]) == (cell, f"'{cell}")


@pytest.mark.parametrize("cell", ["-0.5", "+3", "-1e-3", "wren", "", "a=b"])
def test_numbers_and_plain_text_are_no_formulas(cell: str) -> None:
    assert csv_text(["a", "b"], [[cell, "x"]], spreadsheet_safe=True) == f"a,b\n{cell},x\n"


@settings(max_examples=60)
@given(st.lists(st.lists(CELLS, min_size=2, max_size=2)), st.sampled_from([",", "\t", ";"]))
def test_a_safe_table_runs_nothing_and_loses_nothing_but_apostrophes(
    rows: list[list[str]], delimiter: str
) -> None:
    file = io.StringIO(newline="")
    CsvWriter(file, delimiter=delimiter, spreadsheet_safe=True).rows(rows)
    read = list(csv.reader(io.StringIO(file.getvalue(), newline=""), delimiter=delimiter))
    for cells, given_cells in zip(read, rows, strict=True):
        assert not any(map(runs_as_formula, cells))
        assert given_cells == [
            cell.removeprefix("'") if runs_as_formula(cell.removeprefix("'")) else cell
            for cell in cells
        ] or any(cell.startswith("'") for cell in given_cells)


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=5))
def test_numbers_come_back_to_the_last_bit(numbers: list[float]) -> None:
    text = csv_text(["a"], ([number] for number in numbers), spreadsheet_safe=True)
    assert [float(line) for line in text.splitlines()[1:]] == numbers


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_name_with_a_line_end_in_any_column_is_read_back(
    end: str, place: int, tmp_path: Path
) -> None:
    rows = [["a", "b", "c"], ["d", "e", "f"]]
    rows[0][place] = f"two{end}lines.wav"
    table = tmp_path / "t.csv"
    table.write_bytes(csv_text(["x", "y", "z"], rows).encode())
    read = [list(row.values()) for _, row in open_table(table).rows()]
    assert read == rows
