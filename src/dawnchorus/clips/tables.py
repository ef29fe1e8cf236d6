"""A manifest of any table of clips; which layouts are known is in `docs/how-to/data.md`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dawnchorus.clips.folders import Made, with_lengths
from dawnchorus.clips.recordings import Recordings
from dawnchorus.clips.spans import Spans, clip_id, read_spans
from dawnchorus.errors import TaskError
from dawnchorus.text_tables.text import open_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

CSV_SUFFIXES: Final = frozenset({".csv", ".tsv"})

__all__ = ["clip_id", "csv_files", "manifest_of_csv", "manifest_of_spans", "read_lines"]


def manifest_of_csv(
    tables: Path | Sequence[Path],
    *,
    audio: Path | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    values: Mapping[str, str] | None = None,
    progress: Callable[[int], None] = lambda _n: None,
) -> Made:
    """Make a manifest of a table with a line for each labelled span.

    A column is read when it is called as ours is, or as in a layout that we know (BirdNET, Raven,
    Kaleidoscope, OpenSoundscape, crowsetta); the notes of what is made say which was read as what.
    Others are kept as they are. Lines of one file and span are one clip with all their labels. A
    table without paths belongs to the recording of its own name.

    Args:
        tables: files, or folders of them (``.csv``, ``.tsv``); encoding, separator, decimal sign
            and units are found out.
        audio: folder that their paths are relative to; None: the first table's, or the folder of
            tables.
        columns: our column to theirs, such as ``{"path": "wav", "labels": "Species"}``; also
            ``start_s``, ``stop_s``, ``length_s``.
        separator: text between several labels in one cell; None: a cell is one label, commas and
            all.
        values: our column to a value for every clip, such as ``{"source": "Watkins"}``; an empty
            ``labels`` says that the clips have none.
        progress: called with 1 after each file.

    Raises:
        TaskError: The table cannot be read, or none of its clips can.
        UsageError: A column is not there, or it is not clear what it is.
    """
    named = [tables] if isinstance(tables, Path) else list(tables)
    first = named[0]
    folder = audio or (first if first.is_dir() else first.parent)
    recordings, spans = Recordings(folder), Spans()
    files = [file for item in named for file in (csv_files(item) if item.is_dir() else [item])]
    for file in files:
        spans.extend(
            read_spans(file, recordings, columns=columns, separator=separator, values=values)
        )
    if not spans.rows and not spans.bad:
        raise TaskError(f"{first}: no line under the names of its columns")
    spans.remarks += recordings.notes()
    return manifest_of_spans(spans, folder, progress, named=str(first))


def csv_files(folder: Path) -> list[Path]:
    """The tables of a folder."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in CSV_SUFFIXES)


def manifest_of_spans(
    spans: Spans, folder: Path, progress: Callable[[int], None], *, named: str
) -> Made:
    """Measure the recordings of labelled spans and make a manifest of them.

    Raises:
        TaskError: None of them can be read.
    """
    if not spans.rows:
        raise TaskError(f"{named}: none of {len(spans.bad)} rows is a clip: {spans.bad[0][2]}")
    made = with_lengths(_clips(spans.rows), folder, progress, named=named)
    return Made(made.manifest, (*spans.bad, *made.bad), (*spans.notes(), *made.notes))


def _clips(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of one file and span as one clip with all labels; every clip with an id."""
    clips: dict[tuple[str, float | None, float | None], dict[str, Any]] = {}
    for row in rows:
        held = clips.setdefault((row["path"], row["start_s"], row["stop_s"]), row)
        if held is not row:
            held["labels"] = list(dict.fromkeys([*held["labels"], *row["labels"]]))
    taken = {row["id"] for row in clips.values() if row.get("id")}
    for row in clips.values():
        if not row.get("id"):
            row["id"] = _free_id(clip_id(row["path"], row["start_s"], row["stop_s"]), taken)
    return list(clips.values())


def _free_id(name: str, taken: set[str]) -> str:
    """The name, with a number behind it where another span is the same to the millisecond."""
    free, number = name, 2
    while free in taken:
        free, number = f"{name}#{number}", number + 1
    taken.add(free)
    return free


def read_lines(table: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Names of the columns and the lines of a text table.

    Raises:
        TaskError: It cannot be read, has no lines, or one has more fields than the first.
    """
    text = open_table(table)
    lines = [row for _, row in text.rows()]
    if not lines:
        raise TaskError(f"{table}: no line under the names of its columns")
    return list(text.names), lines
