"""Tables in folders, zips and gzips, with what is wrong in real ones."""

from __future__ import annotations

import contextlib
import gzip
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dawnchorus.errors import TaskError
from dawnchorus.sources.source_table import SourceTable
from dawnchorus.text_tables.files import TextFile, find_file

Bad = list[tuple[str, int, str]]


def read(path: Path, *wanted: str) -> tuple[list[dict[str, str]], Bad]:
    """All rows of a table, and the lines left out."""
    bad: Bad = []
    table = SourceTable(TextFile(path), lambda *what: bad.append(what))
    return list(table.rows(wanted)), bad


def test_tabs_are_read_without_quoting(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text('gbifID\tremarks\n1\t"loud\n2\t5" of snow\n3\tsaid "hi"\n')
    rows, bad = read(path, "gbifid", "remarks")
    assert [row["remarks"] for row in rows] == ['"loud', '5" of snow', 'said "hi"']
    assert bad == []


def test_a_row_of_another_width_is_reported_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("a\tb\n1\t2\nonly one\n3\t4\t5\n6\t7\n")
    rows, bad = read(path, "a")
    assert [row["a"] for row in rows] == ["1", "6"]
    assert bad == [("t.txt", 3, "1 fields, the header has 2"), ("t.txt", 4, bad[1][2])]


def test_commas_and_lines_within_quotes_belong_to_the_field(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('id,remarks,x\n1,"one, two",a\n2,"three\nfour ""five""",b\n3,,c\n')
    rows, bad = read(path, "id", "remarks")
    assert [row["remarks"] for row in rows] == ["one, two", 'three\nfour "five"', ""]
    assert bad == []


def test_a_quote_that_is_never_closed_costs_its_own_line_only(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('id,r\n1,"lost\n2,b\n3,c\n4,"also lost\n5,e\n')
    rows, bad = read(path, "id")
    assert [row["id"] for row in rows] == ["2", "3", "5"]
    assert [number for _, number, _ in bad] == [2, 5]


def test_a_quote_within_a_field_is_only_a_character(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('id,r\n1,5" pipe and 6" pipe\n2,b\n')
    rows, bad = read(path, "r")
    assert [row["r"] for row in rows] == ['5" pipe and 6" pipe', "b"]
    assert bad == []


def test_columns_are_found_in_any_writing_and_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbfID,Associated Taxa,dwc:lifeStage\r\n9, Pica pica ,adult\r\n")
    rows, _ = read(path, "id", "associatedtaxa", "lifestage", "sex")
    assert rows == [{"id": "9", "associatedtaxa": "Pica pica", "lifestage": "adult", "sex": ""}]


def test_only_newlines_end_a_line(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("a\tb\n1\tx\u2028y\x0bz\r\n", newline="")
    rows, bad = read(path, "b")
    assert [row["b"] for row in rows] == ["x\u2028y\x0bz"]
    assert bad == []


@pytest.mark.parametrize("form", ["folder", "deeper", "zip", "gzip", "file"])
def test_a_file_is_found_wherever_it_lies(form: str, tmp_path: Path) -> None:
    content = "a\tb\n1\t2\n"
    place = tmp_path / "place"
    if form in {"folder", "deeper"}:
        folder = place if form == "folder" else place / "inner"
        folder.mkdir(parents=True)
        (folder / "Occurrence.txt").write_text(content)
    elif form == "zip":
        with zipfile.ZipFile(place, "w") as archive:
            archive.writestr("__MACOSX/occurrence.txt", "nonsense")
            archive.writestr("occurrence.txt", content)
    else:
        place = tmp_path / "occurrence.txt"
        data = content.encode()
        place.write_bytes(gzip.compress(data) if form == "gzip" else data)
    file = find_file(place, ["occurrence.txt"])
    assert file is not None
    assert list(SourceTable(file, lambda *_: None).rows(["b"])) == [{"b": "2"}]


def test_a_truncated_zip_is_an_error_and_not_a_short_table(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t.txt", "a\tb\n" + "".join(f"{i}\t{i * 7919}\n" for i in range(5000)))
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(TaskError, match="not a whole zip"):
        find_file(path, ["t.txt"])
    path.write_bytes(whole[:-400] + bytes(50) + whole[-350:])
    file = find_file(path, ["t.txt"])
    assert file is not None
    with pytest.raises(TaskError, match="cannot be read to its end"):
        list(SourceTable(file, lambda *_: None).rows(["a"]))


def test_a_file_that_is_no_such_table_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    path.write_text("a\tb\n" + "x\n" * 1500)
    with pytest.raises(TaskError, match="is it a table of this kind"):
        read(path, "a")
    path.write_text("")
    with pytest.raises(TaskError, match="is empty"):
        read(path, "a")


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0")),
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0")),
        ),
        max_size=5,
    )
)
def test_what_a_csv_writer_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    import csv  # noqa: PLC0415

    path = tmp_path_factory.mktemp("csv") / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerows([("a", "b"), *rows])
    read_back, bad = read(path, "a", "b")
    assert bad == []
    assert [(r["a"], r["b"]) for r in read_back] == [(a.strip(), b.strip()) for a, b in rows]


def test_a_line_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"a\tb\n")
        for _ in range(20):
            file.write(b"x" * 2**20)
    assert path.stat().st_size < 100_000
    with pytest.raises(TaskError, match="a line is longer than 16,777,216 characters"):
        read(path, "a")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_any_damaged_zip_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("zip") / "t.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("t.txt", "a\tb\n" + "1\t2\n" * 50)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    with contextlib.suppress(TaskError):
        found = find_file(path, ["t.txt"])
        if found is not None:
            list(SourceTable(found, lambda *_: None).rows(["a"]))
